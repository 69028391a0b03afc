"""Folders of images in, pixels and labels out."""

from scenes.dataset import Part, SceneDataset
from scenes.reading import UnreadableImage, pixel_hash, read_grey, read_pixels, read_rgb

__all__ = ["Part", "SceneDataset", "UnreadableImage", "pixel_hash", "read_grey", "read_pixels", "read_rgb"]
