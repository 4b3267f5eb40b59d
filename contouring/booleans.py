"""Booleans of regions on one grid, and what is made from them: rings, walls, largest part, filled holes, cropping."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from contouring.margins import Margin, grow, shrink
from contouring.overlap import joint_crops
from contouring.volumes import volume_cc
from imaging.geometry import Grid
from imaging.volume import Region

__all__ = [
    "cropped_from_skin",
    "exclusive_or",
    "intersection",
    "largest_part",
    "ring",
    "subtract",
    "union",
    "wall",
    "with_filled_holes",
    "without_small_parts",
]

BoolArray = NDArray[np.bool_]

FACE_NEIGHBOURS = ndimage.generate_binary_structure(3, 1)


def union(*regions: Region) -> Region:
    """Voxels of any of the regions.

    Raises
    ------
    GridMismatch
        The grids differ.
    """
    return _fold(np.logical_or, regions)


def intersection(*regions: Region) -> Region:
    """Voxels of all of the regions.

    Raises
    ------
    GridMismatch
        The grids differ.
    """
    return _fold(np.logical_and, regions)


def subtract(region: Region, *others: Region) -> Region:
    """Voxels of the first region that are in none of the others.

    Raises
    ------
    GridMismatch
        The grids differ.
    """
    return _fold(lambda a, b: a & ~b, (region, *others))


def exclusive_or(*regions: Region) -> Region:
    """Voxels of an odd number of the regions.

    Raises
    ------
    GridMismatch
        The grids differ.
    """
    return _fold(np.logical_xor, regions)


def ring(region: Region, grid: Grid, inner_mm: float, outer_mm: float) -> Region:
    """What lies between two margins around a region.

    Raises
    ------
    EmptyStructure
        The region has no voxel.
    ValueError
        The outer margin is not larger than the inner one.
    """
    if not outer_mm > inner_mm >= 0:
        raise ValueError("the outer margin of a ring is larger than the inner one")
    return subtract(grow(region, grid, Margin.uniform(outer_mm)), grow(region, grid, Margin.uniform(inner_mm)), region)


def wall(region: Region, grid: Grid, thickness_mm: float) -> Region:
    """The outermost layer of a hollow organ, from its surface inwards.

    Raises
    ------
    EmptyStructure
        The region has no voxel.
    """
    return subtract(region, shrink(region, grid, Margin.uniform(thickness_mm)))


def cropped_from_skin(region: Region, body: Region, grid: Grid, distance_mm: float) -> Region:
    """What of a region lies inside the body, at least this far below the skin.

    Raises
    ------
    EmptyStructure
        The body has no voxel.
    GridMismatch
        The grids differ.
    """
    return intersection(region, shrink(body, grid, Margin.uniform(distance_mm)) if distance_mm else body)


def largest_part(region: Region) -> tuple[Region, int]:
    """The largest of the parts that share faces, and how many others were left out."""
    labels, count = ndimage.label(region.crop, FACE_NEIGHBOURS)
    if count <= 1:
        return region, 0
    sizes = np.bincount(labels.ravel())[1:]
    return _recropped(region, labels == int(sizes.argmax()) + 1), count - 1


def without_small_parts(region: Region, grid: Grid, smallest_cc: float) -> tuple[Region, int]:
    """The region without parts (that share faces) smaller than a volume, and how many were left out.

    Raises
    ------
    GridMismatch
        The region lies on another grid.
    """
    labels, count = ndimage.label(region.crop, FACE_NEIGHBOURS)
    kept = np.zeros_like(region.crop)
    dropped = 0
    for part in range(1, count + 1):
        mask = labels == part
        if volume_cc(Region(mask, region.start, region.shape), grid) >= smallest_cc:
            kept |= mask
        else:
            dropped += 1
    return _recropped(region, kept), dropped


def with_filled_holes(region: Region) -> tuple[Region, int]:
    """The region with the holes of each slice filled, and how many voxels were added."""
    filled = np.array([ndimage.binary_fill_holes(plane) for plane in region.crop], dtype=np.bool_)
    filled = filled.reshape(region.crop.shape)
    return Region(filled, region.start, region.shape), int(np.count_nonzero(filled) - region.voxel_count)


def _fold(operation: Callable[[BoolArray, BoolArray], BoolArray], regions: tuple[Region, ...]) -> Region:
    result = regions[0]
    for other in regions[1:]:
        a, b, start = joint_crops(result, other)
        result = _recropped(Region(np.zeros_like(a), start, result.shape), operation(a, b))
    return Region(result.crop, result.start, result.shape)


def _recropped(frame: Region, mask: BoolArray) -> Region:
    """The region of a mask that lies where `frame` has its box."""
    part = Region.from_mask(mask)
    if not part.crop.size:
        return Region(part.crop, (0, 0, 0), frame.shape)
    start = tuple(s + o for s, o in zip(part.start, frame.start, strict=True))
    return Region(part.crop, (start[0], start[1], start[2]), frame.shape)
