"""A structure smoothed at constant volume: steps and spikes are evened out, every separate part keeps its size.

Each part is blurred by a Gaussian in millimetres, and as many voxels are taken, from the highest value down, as fill
its volume again. What such smoothing cannot keep, a spike or a sheet thinner than its width, a hole or a cleft narrower
than it, is measured and returned.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from contouring.errors import EmptyStructure
from contouring.volumes import check_on_grid, plane_thickness_mm, volume_cc
from imaging.geometry import Grid
from imaging.volume import Region

__all__ = ["LARGEST_WIDTH_MM", "Smoothed", "smoothed"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

LARGEST_WIDTH_MM = 20.0
"""Widths above this are no smoothing of a structure but its replacement by a ball."""

REACH = 3.0
"""Where the Gaussian is cut, in widths."""

PARTS = np.ones((3, 3, 3), dtype=np.bool_)
"""Voxels that touch at a corner belong to one part."""


@dataclass(frozen=True, eq=False)
class Smoothed:
    """What smoothing made of a structure.

    Parameters
    ----------
    region
        The smooth structure.
    thin_cc
        Volume of what it had and now lies further than the width from it: thin parts that smoothing took away.
    parts_before, parts_after
        Separate parts; parts that grow into each other become one, and a thin neck that is lost makes two of one.
    holes_closed
        Holes, as the slices show them, of which nothing is left; those that touch from slice to slice are one.
    filled_cc
        Their volume, and that of clefts and of whatever else was outside and now lies further than the width within.
    """

    region: Region
    thin_cc: float
    parts_before: int = 1
    parts_after: int = 1
    holes_closed: int = 0
    filled_cc: float = 0.0

    @property
    def losses(self) -> tuple[str, ...]:
        """What a person should know of it, a sentence each; empty where nothing was lost."""
        told = []
        if self.thin_cc:
            told.append(f"{self.thin_cc:.2f} cc of thin parts were lost by smoothing")
        if self.filled_cc:
            holes = f"holes ({self.holes_closed} closed) and " if self.holes_closed else ""
            told.append(f"{self.filled_cc:.2f} cc of {holes}narrow gaps were filled by smoothing")
        if self.parts_before != self.parts_after:
            told.append(f"{self.parts_before} separate parts became {self.parts_after} by smoothing")
        return tuple(told)


def smoothed(region: Region, grid: Grid, width_mm: float) -> Smoothed:
    """A region without roughness finer than a width; every separate part keeps its volume to a voxel.

    Parameters
    ----------
    region, grid
        Uneven planes are allowed; the shift of a tilted stack from plane to plane is not followed.
    width_mm
        Standard deviation of the Gaussian, above 0 to 20 mm.

    Raises
    ------
    EmptyStructure
        The region has no voxel.
    GridMismatch
        The region lies on another grid.
    MissingSlices
        A single plane without SliceThickness.
    ValueError
        The width is out of its range.
    """
    if not 0 < width_mm <= LARGEST_WIDTH_MM:
        raise ValueError(f"the width of smoothing lies above 0 and up to {LARGEST_WIDTH_MM:g} mm")
    check_on_grid(region, grid)
    if not region.voxel_count:
        raise EmptyStructure("An empty structure cannot be smoothed; draw it or leave it out.")
    box = _with_rooms(region.box, _rooms(grid, width_mm), grid.shape)
    mask = np.zeros([s.stop - s.start for s in box], dtype=np.bool_)
    own = tuple(slice(r.start - b.start, r.stop - b.start) for r, b in zip(region.box, box, strict=True))
    mask[own] = region.crop
    weights = _weights_along(grid, box[0], width_mm)
    labels, count = ndimage.label(mask, PARTS)
    result = np.zeros_like(mask)
    heights = plane_thickness_mm(grid)[box[0]]
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    places = ndimage.find_objects(labels)
    rooms = _rooms(grid, width_mm)
    # Each part fills its volume with voxels of its own, small ones first: shared ones would be counted twice.
    for n in np.argsort(sizes, kind="stable").tolist():
        near = _with_rooms(places[n], rooms, mask.shape)
        part, taken = labels[near] == n + 1, result[near]
        blurred = _blurred(part, weights[near[0], near[0]], grid, width_mm)
        blurred[taken] = -1.0
        each = np.repeat(heights[near[0]], part[0].size)
        taken |= _fullest(blurred, each, float(each[part.ravel()].sum()))
    found = _placed(result, box, region)
    spacing = (float(np.median(heights)), *grid.pixel_spacing_mm)
    lost = mask & (ndimage.distance_transform_edt(~result, sampling=spacing) > width_mm)
    closed, holes_closed = _closed_holes(mask, result)
    filled = closed | (result & ~mask & (ndimage.distance_transform_edt(result, sampling=spacing) > width_mm))
    return Smoothed(
        found,
        volume_cc(_placed(lost, box, region), grid),
        count,
        int(ndimage.label(result, PARTS)[1]),
        holes_closed,
        volume_cc(_placed(filled, box, region), grid),
    )


def _closed_holes(mask: BoolArray, result: BoolArray) -> tuple[BoolArray, int]:
    """Voxels of the holes of a mask that its smooth form has not any more, and the number of these holes."""
    holes = np.stack([ndimage.binary_fill_holes(plane) for plane in mask]) & ~mask
    numbers, count = ndimage.label(holes)
    closed = np.ones(count + 1, dtype=np.bool_)
    closed[numbers[~result]] = closed[0] = False
    return np.asarray(closed[numbers]), int(closed.sum())


def _rooms(grid: Grid, width_mm: float) -> list[int]:
    """How many voxels the Gaussian reaches along each axis."""
    steps = grid.slice_steps_mm
    finest = (float(steps.min()) if len(steps) else np.inf, *grid.pixel_spacing_mm)
    return [int(np.ceil(REACH * width_mm / s)) + 1 for s in finest]


def _with_rooms(box: Sequence[slice], rooms: Sequence[int], shape: Sequence[int]) -> tuple[slice, slice, slice]:
    """A box with room around it, within an array."""
    first, second, third = (
        slice(max(0, r.start - room), min(size, r.stop + room)) for r, room, size in zip(box, rooms, shape, strict=True)
    )
    return first, second, third


def _weights_along(grid: Grid, planes: slice, width_mm: float) -> FloatArray:
    """How much each plane of a box adds to each: the Gaussian of their distance, by their thickness."""
    along = grid.plane_positions_mm[planes]
    distances = along[:, None] - along
    weights = np.exp(-0.5 * (distances / width_mm) ** 2) * plane_thickness_mm(grid)[planes]
    weights[np.abs(distances) > REACH * width_mm] = 0.0
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _blurred(part: BoolArray, weights: FloatArray, grid: Grid, width_mm: float) -> FloatArray:
    sigma = [width_mm / s for s in grid.pixel_spacing_mm]
    planes = np.zeros(part.shape)
    for k in np.flatnonzero(part.any(axis=(1, 2))):
        planes[k] = ndimage.gaussian_filter(part[k].astype(np.float64), sigma, truncate=REACH, mode="nearest")
    return np.asarray(np.tensordot(weights, planes, axes=1))


def _fullest(values: FloatArray, heights: FloatArray, volume: float) -> BoolArray:
    """The voxels of the highest values that come nearest to a volume, given as heights of voxels."""
    flat = values.ravel()
    order = np.argsort(-flat, kind="stable")
    filled = np.cumsum(heights[order])
    count = int(np.searchsorted(filled, volume))
    if count and volume - filled[count - 1] <= filled[min(count, len(filled) - 1)] - volume:
        count -= 1
    result = np.zeros(len(flat), dtype=np.bool_)
    result[order[: count + 1]] = True
    return result.reshape(values.shape)


def _placed(mask: BoolArray, box: tuple[slice, slice, slice], region: Region) -> Region:
    part = Region.from_mask(mask)
    if not part.crop.size:
        return Region(part.crop, (0, 0, 0), region.shape)
    start = tuple(s + b.start for s, b in zip(part.start, box, strict=True))
    return Region(part.crop, (start[0], start[1], start[2]), region.shape)
