"""Vectors to labels."""

from classifiers.distances import METRICS, pairwise_distances
from classifiers.knn import TIES, KNNClassifier

__all__ = ["METRICS", "TIES", "KNNClassifier", "pairwise_distances"]
