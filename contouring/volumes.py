"""Volume and centre of a region on its grid; uneven stacks count each plane with its own thickness."""

import numpy as np
from numpy.typing import NDArray

from contouring.errors import EmptyStructure, GridMismatch
from imaging.errors import MissingSlices
from imaging.geometry import Grid
from imaging.volume import Region

__all__ = ["centroid_lps", "plane_thickness_mm", "volume_cc"]


def plane_thickness_mm(grid: Grid) -> NDArray[np.float64]:
    """How far each plane reaches along the normal, shape (Z,): half the way to either neighbour, twice that at an end.

    In an even stack this is the slice spacing; gaps are shared by the two planes beside them.

    Raises
    ------
    MissingSlices
        A single plane without SliceThickness.
    """
    steps = grid.slice_steps_mm
    if not len(steps):
        if grid.slice_thickness_mm is None:
            raise MissingSlices("A single slice without SliceThickness has no extent; state the thickness.")
        return np.array([grid.slice_thickness_mm])
    if grid.is_even:
        return np.full(len(steps) + 1, steps.mean())
    padded = np.concatenate([steps[:1], steps, steps[-1:]])
    return np.asarray((padded[:-1] + padded[1:]) / 2)


def volume_cc(region: Region, grid: Grid) -> float:
    """Volume of a region in cubic centimetres: voxels times pixel area times the thickness of their plane.

    Raises
    ------
    GridMismatch
        The region belongs to a grid of another shape.
    MissingSlices
        A single plane without SliceThickness.
    """
    check_on_grid(region, grid)
    counts = np.count_nonzero(region.crop, axis=(1, 2))
    thickness = plane_thickness_mm(grid)[region.box[0]]
    return float(counts @ thickness) * grid.pixel_spacing_mm[0] * grid.pixel_spacing_mm[1] / 1000


def centroid_lps(region: Region, grid: Grid) -> NDArray[np.float64]:
    """Centre of mass of a region in patient space (mm), each voxel weighted by the thickness of its plane.

    Raises
    ------
    GridMismatch
        The region belongs to a grid of another shape.
    EmptyStructure
        The region has no voxel.
    """
    check_on_grid(region, grid)
    if not region.voxel_count:
        raise EmptyStructure("An empty structure has no centre; draw it or leave it out.")
    counts = np.count_nonzero(region.crop, axis=(1, 2)).astype(np.float64)
    if len(grid.positions_lps) > 1:
        counts *= plane_thickness_mm(grid)[region.box[0]]
    per_plane = np.array([_mean_column_row(plane) for plane in region.crop])
    planes = np.arange(region.start[0], region.start[0] + len(region.crop))
    centres = grid.points_lps(planes, per_plane + np.array([region.start[2], region.start[1]]))
    return np.asarray(counts @ centres / counts.sum())


def check_on_grid(region: Region, grid: Grid) -> None:
    """Refuse a region of another grid.

    Raises
    ------
    GridMismatch
        The shapes differ.
    """
    if region.shape != grid.shape:
        raise GridMismatch(
            f"The structure lies on a grid of {region.shape} voxels but the image has {grid.shape}; "
            "resample the structure or choose the image it was drawn on.",
            expected=list(grid.shape),
            got=list(region.shape),
        )


def _mean_column_row(plane: NDArray[np.bool_]) -> tuple[float, float]:
    total = np.count_nonzero(plane)
    if not total:
        return (0.0, 0.0)
    column = plane.sum(axis=0) @ np.arange(plane.shape[1]) / total
    row = plane.sum(axis=1) @ np.arange(plane.shape[0]) / total
    return (float(column), float(row))
