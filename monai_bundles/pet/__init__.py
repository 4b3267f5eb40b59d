"""Lesions on FDG PET by thresholds, without a network."""

from monai_bundles.pet.finder import LesionFinder

__all__ = ["LesionFinder"]
