"""Pixels to labels with torch: the networks of the five reports and what they cost."""

from deep.zoo import MODELS, build_model

__all__ = ["MODELS", "build_model"]
