"""How much of a grown structure lies beyond the end of the scan, where no voxel can hold it."""

from dataclasses import astuple

import numpy as np
from numpy.typing import NDArray

from contouring.margins import Margin
from contouring.min_plus import min_plus_passes
from contouring.volumes import check_on_grid, plane_thickness_mm
from imaging.geometry import Grid
from imaging.volume import Region

__all__ = ["cut_by_scan", "share_beyond_image"]

FloatArray = NDArray[np.float64]

LATTICE_POINTS = 96
"""Lattice points along the longest side; a share in per cent needs no more."""

FINEST_MM = 0.5


def share_beyond_image(region: Region, grid: Grid, margin: Margin) -> float:
    """Share of the volume of a region with a margin that the border of the image cuts off.

    Found on a coarse lattice: to be told, not to be measured.

    Raises
    ------
    GridMismatch
        The region lies on another grid.
    MissingSlices
        A single plane without SliceThickness.
    """
    check_on_grid(region, grid)
    if not region.voxel_count or not any(astuple(margin)):
        return 0.0
    k, j, i = np.nonzero(region.crop)
    k, j, i = k + region.start[0], j + region.start[1], i + region.start[2]
    points = grid.points_lps(k, np.stack([i, j], axis=1).astype(np.float64))
    room = np.array([plane_thickness_mm(grid)[k].max(), *grid.pixel_spacing_mm]).max()
    low = points.min(axis=0) - margin.negative_lps - room
    high = points.max(axis=0) + margin.positive_lps + room
    step = max(FINEST_MM, float((high - low).max()) / LATTICE_POINTS)
    shape = np.ceil((high - low) / step).astype(int) + 1
    start = np.full(shape, np.float32(4))
    lattice = low + step * np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1).reshape(-1, 3)
    inside, is_in_image = _held(lattice, region, grid)
    if is_in_image.all():
        return 0.0
    start.ravel()[inside] = 0
    # Single voxels may lie between the lattice's points.
    start[tuple(np.rint((points - low) / step).astype(int).T)] = 0
    grown = min_plus_passes(start, margin.positive_lps, margin.negative_lps, step).ravel() <= 1
    return float(np.count_nonzero(grown & ~is_in_image) / np.count_nonzero(grown))


def cut_by_scan(share: float) -> str:
    """The sentence that tells of a margin cut by the end of the scan."""
    return f"the end of the scan cuts off about {max(share, 0.01):.0%} of it; scan further, or take it as it is"


def _held(points: FloatArray, region: Region, grid: Grid) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which points lie in voxels of the region, and which in the image at all."""
    along = grid.plane_positions_mm
    offset_mm = points @ grid.normal
    planes = np.searchsorted((along[1:] + along[:-1]) / 2, offset_mm)
    reach = plane_thickness_mm(grid)[planes] / 2
    in_plane = points - grid.positions_lps[planes]
    columns = np.rint(in_plane @ grid.row_direction / grid.pixel_spacing_mm[1]).astype(int)
    rows = np.rint(in_plane @ grid.column_direction / grid.pixel_spacing_mm[0]).astype(int)
    is_in_image = (columns >= 0) & (columns < grid.columns) & (rows >= 0) & (rows < grid.rows)
    # Between planes the nearest one holds a point, however uneven they are.
    is_in_image &= (offset_mm >= along[0] - reach) & (offset_mm <= along[-1] + reach)
    inside = is_in_image.copy()
    index = (planes[inside], rows[inside], columns[inside])
    local = [a - s for a, s in zip(index, region.start, strict=True)]
    is_near = np.all([(a >= 0) & (a < n) for a, n in zip(local, region.crop.shape, strict=True)], axis=0)
    held = np.zeros(len(is_near), dtype=np.bool_)
    held[is_near] = region.crop[tuple(a[is_near] for a in local)]
    inside[inside] = held
    return inside, is_in_image
