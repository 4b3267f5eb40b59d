"""Diameters of a lesion: long and short axis in a slice, largest diameter and principal axes in space.

Diameters run between corners of pixels (the lesion's outline follows the pixels' sides), so they are up to one pixel
diagonal longer than from centre to centre; `ends="centre"` measures those.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.distance import pdist, squareform

from contouring.errors import EmptyStructure
from contouring.volumes import check_on_grid, plane_thickness_mm
from imaging.geometry import Grid
from imaging.volume import Region

__all__ = ["Chord", "Ends", "PlaneAxes", "axes_in_plane", "largest_diameter_mm", "principal_axes_mm"]

FloatArray = NDArray[np.float64]
Ends = Literal["corner", "centre"]

SAMPLES = 1000
"""Points along a diameter at which it is asked whether the lesion is there."""


@dataclass(frozen=True)
class Chord:
    """A line across a lesion: its length (mm) and ends in patient space (LPS, mm)."""

    length_mm: float
    ends_lps: tuple[tuple[float, float, float], tuple[float, float, float]]


@dataclass(frozen=True)
class PlaneAxes:
    """Long and short axis of a lesion in the slice where the long axis is largest.

    Parameters
    ----------
    plane
        Index of the slice.
    long_axis
        Between the two points of the outline that are furthest apart.
    short_axis
        The longest chord at right angles to it, within the lesion.
    inside_fraction
        Share of the long axis that runs inside the lesion; below 0.95 the lesion is concave and a person should look.
    ends
        Whether pixel corners or pixel centres were measured.
    """

    plane: int
    long_axis: Chord
    short_axis: Chord
    inside_fraction: float
    ends: Ends = "corner"

    @property
    def is_concave(self) -> bool:
        """Whether less than 95 % of the long axis lies inside the lesion."""
        return self.inside_fraction < 0.95


def axes_in_plane(region: Region, grid: Grid, ends: Ends = "corner") -> PlaneAxes:
    """Long and short axis in the acquisition plane.

    Raises
    ------
    EmptyStructure
        The region has no voxel.
    GridMismatch
        The region lies on another grid.
    """
    _check(region, grid)
    scale = np.array([grid.pixel_spacing_mm[1], grid.pixel_spacing_mm[0]])
    best: tuple[float, int, FloatArray] | None = None
    for k, mask in enumerate(region.crop):
        if mask.any():
            points = _hull(_outline_points(mask, ends) * scale)
            first, second, length = _furthest(points)
            if best is None or length > best[0]:
                best = (length, k, np.array([points[first], points[second]]) / scale)
    if best is None:
        raise EmptyStructure("An empty structure has no diameter; draw it or leave it out.")
    length, k, ends_uw = best
    plane, offset = k + region.start[0], np.array([region.start[2], region.start[1]])
    short_length, short_uw = _longest_perpendicular(region.crop[k], ends_uw, scale, ends)
    return PlaneAxes(
        plane=plane,
        long_axis=_chord(length, ends_uw + offset, plane, grid),
        short_axis=_chord(short_length, short_uw + offset, plane, grid),
        inside_fraction=_inside_fraction(region.crop[k], ends_uw),
        ends=ends,
    )


def largest_diameter_mm(region: Region, grid: Grid) -> float:
    """Largest distance of two corners of the region's voxels in space, mm.

    Raises
    ------
    EmptyStructure
        The region has no voxel.
    GridMismatch
        The region lies on another grid.
    MissingSlices
        A single plane without SliceThickness.
    """
    _check(region, grid)
    thickness = plane_thickness_mm(grid)
    points = []
    for k, mask in enumerate(region.crop, start=region.start[0]):
        if mask.any():
            corners = _hull(_outline_points(mask, "corner")) + np.array([region.start[2], region.start[1]])
            centre = grid.points_lps(k, corners)
            points += [centre + side * thickness[k] / 2 * grid.normal for side in (-1, 1)]
    return float(pdist(_hull(np.concatenate(points))).max())


def principal_axes_mm(region: Region, grid: Grid) -> tuple[float, float, float]:
    """Lengths 4 sqrt(eigenvalue) of the covariance of the voxels' centres, largest first (IBSI, major to least axis).

    Raises
    ------
    EmptyStructure
        The region has no voxel.
    GridMismatch
        The region lies on another grid.
    """
    _check(region, grid)
    k, j, i = np.nonzero(region.crop)
    columns_rows = np.stack([i + region.start[2], j + region.start[1]], axis=1)
    points = grid.points_lps(np.asarray(k + region.start[0]), columns_rows)
    values = np.linalg.eigvalsh(np.cov(points.T, bias=True))[::-1]
    first, second, third = (4 * float(np.sqrt(max(0.0, v))) for v in values)
    return first, second, third


def _check(region: Region, grid: Grid) -> None:
    check_on_grid(region, grid)
    if not region.voxel_count:
        raise EmptyStructure("An empty structure has no diameter; draw it or leave it out.")


def _outline_points(mask: NDArray[np.bool_], ends: Ends) -> FloatArray:
    """Corners (or centres) of the first and last pixel of each row, as (column, row): they hold the convex hull."""
    rows = np.flatnonzero(mask.any(axis=1))
    first = mask[rows].argmax(axis=1)
    last = mask.shape[1] - 1 - mask[rows][:, ::-1].argmax(axis=1)
    half = 0.5 if ends == "corner" else 0.0
    parts = [
        np.stack([column + side * half, rows + up * half], axis=1)
        for column, side in ((first, -1), (last, 1))
        for up in (-1, 1)
    ]
    return np.concatenate(parts).astype(np.float64)


def _hull(points: FloatArray) -> FloatArray:
    """Vertices of the convex hull; the points themselves where they lie on a line or a plane."""
    unique = np.unique(points, axis=0)
    if len(unique) <= points.shape[1] + 1:
        return unique
    try:
        return np.asarray(unique[ConvexHull(unique).vertices])
    except QhullError:
        return unique


def _furthest(points: FloatArray) -> tuple[int, int, float]:
    if len(points) == 1:
        return 0, 0, 0.0
    distances = squareform(pdist(points))
    first, second = np.unravel_index(int(distances.argmax()), distances.shape)
    return int(first), int(second), float(distances[first, second])


def _boundary_edges(mask: NDArray[np.bool_]) -> FloatArray:
    """Sides between a pixel inside and one outside, shape (E, 2, 2) of (column, row)."""
    padded = np.pad(mask, 1)
    row, column = np.nonzero(padded[1:-1, :-1] != padded[1:-1, 1:])
    upright = np.stack([np.stack([column - 0.5, row - 0.5], 1), np.stack([column - 0.5, row + 0.5], 1)], axis=1)
    row, column = np.nonzero(padded[:-1, 1:-1] != padded[1:, 1:-1])
    level = np.stack([np.stack([column - 0.5, row - 0.5], 1), np.stack([column + 0.5, row - 0.5], 1)], axis=1)
    return np.concatenate([upright, level])


def _longest_perpendicular(
    mask: NDArray[np.bool_], ends_uw: FloatArray, scale: FloatArray, ends: Ends
) -> tuple[float, FloatArray]:
    """The longest run inside the lesion at right angles to the long axis, and its ends (column, row).

    Between two neighbouring corners the length changes linearly, so its maximum stands beside a corner.
    """
    axis = (ends_uw[1] - ends_uw[0]) * scale
    axis = axis / np.linalg.norm(axis) if np.any(axis) else np.array([1.0, 0.0])
    across = np.array([-axis[1], axis[0]])
    if ends == "centre":
        rows, columns = np.nonzero(mask)
        return _widest_centres(np.stack([columns, rows], axis=1) * scale, axis, across, scale)
    edges = _boundary_edges(mask) * scale
    along, side = edges @ axis, edges @ across
    nudge = 1e-6 * float(scale.min())
    offsets = np.unique(np.round(along.ravel(), 9))
    best, where = 0.0, np.zeros((2, 2))
    for offset in np.concatenate([offsets - nudge, offsets + nudge]):
        crossed = (along[:, 0] < offset) != (along[:, 1] < offset)
        if not crossed.any():
            continue
        a, b = along[crossed].T
        hits = np.sort(side[crossed, 0] + (offset - a) / (b - a) * (side[crossed, 1] - side[crossed, 0]))
        runs = hits[1::2] - hits[::2]
        n = int(runs.argmax())
        if runs[n] > best:
            best = float(runs[n])
            where = np.array([offset * axis + hits[2 * n] * across, offset * axis + hits[2 * n + 1] * across])
    return best, where / scale


def _widest_centres(
    points: FloatArray, axis: FloatArray, across: FloatArray, scale: FloatArray
) -> tuple[float, FloatArray]:
    """Largest distance across of two pixel centres that lie within half a pixel along the axis."""
    along, side = points @ axis, points @ across
    near = np.abs(along[:, None] - along[None]) <= float(scale.min()) / 2
    widths = np.where(near, np.abs(side[:, None] - side[None]), -1)
    first, second = np.unravel_index(int(widths.argmax()), widths.shape)
    return float(widths[first, second]), points[[first, second]] / scale


def _inside_fraction(mask: NDArray[np.bool_], ends_uw: FloatArray) -> float:
    """Share of the line that runs over pixels of the mask."""
    t = (np.arange(SAMPLES) + 0.5) / SAMPLES
    points = ends_uw[0] + t[:, None] * (ends_uw[1] - ends_uw[0])
    columns, rows = np.rint(points).astype(int).T
    columns, rows = np.clip(columns, 0, mask.shape[1] - 1), np.clip(rows, 0, mask.shape[0] - 1)
    return float(mask[rows, columns].mean())


def _chord(length_mm: float, ends_uw: FloatArray, plane: int, grid: Grid) -> Chord:
    first, second = (tuple(float(v) for v in p) for p in grid.points_lps(plane, ends_uw))
    return Chord(length_mm, ((first[0], first[1], first[2]), (second[0], second[1], second[2])))
