"""Sentences on what a segmentation lacks: structures not found, and structures that the edge of the scan cuts."""

from collections.abc import Sequence

import numpy as np

from imaging.volume import Region
from monai_bundles.bundle import SegmentedStructure

__all__ = ["completeness_warnings", "cut_faces"]

EDGES_EXPECTED = {"Body", "Bone", "SpinalCord", "SpinalCanal", "Esophagus", "Trachea"}
"""Structures that the first or last plane of nearly every scan cuts; worth a word only at the sides."""


def cut_faces(region: Region) -> tuple[bool, bool]:
    """Whether the region reaches the first or last plane, and whether it reaches a side, with more than a touch."""
    reaches = []
    for axis in range(3):
        first = region.start[axis] == 0 and bool(np.take(region.crop, 0, axis).any())
        last = region.start[axis] + region.crop.shape[axis] == region.shape[axis]
        reaches.append(first or (last and bool(np.take(region.crop, -1, axis).any())))
    return reaches[0], reaches[1] or reaches[2]


def completeness_warnings(found: Sequence[SegmentedStructure], absent: Sequence[str]) -> tuple[str, ...]:
    """One sentence for each absent structure and each one that the edge of the scan cuts."""
    sentences = [f"{name} was not found." for name in absent]
    for structure in found:
        ends, sides = cut_faces(structure.region)
        if sides:
            sentences.append(f"{structure.name} reaches the side of the field of view: its volume is incomplete.")
        elif ends and structure.name not in EDGES_EXPECTED:
            sentences.append(f"{structure.name} reaches the first or last slice: its volume is incomplete.")
    return tuple(sentences)
