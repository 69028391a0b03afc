"""Pixels to vectors: tiny images, dense SIFT, vocabularies, bags of words."""

from features.assignment import NearestWord, assign
from features.bag_of_words import BagOfWords, histograms
from features.dense_sift import dense_sift, descriptor_blocks, frame_centres
from features.tiny import TinyImage
from features.vocabulary import Vocabulary

__all__ = [
    "BagOfWords",
    "NearestWord",
    "TinyImage",
    "Vocabulary",
    "assign",
    "dense_sift",
    "descriptor_blocks",
    "frame_centres",
    "histograms",
]
