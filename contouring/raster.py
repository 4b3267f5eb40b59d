"""Contours in patient space to voxels of a grid: as a mask by pixel centres, or as exact coverage."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from contouring.combine import Combined, Overlap, combine
from contouring.contours import Contours
from contouring.interpolate import between_planes
from contouring.planes import OffGrid, PlaneGroup, check_planarity, group_by_plane, one_group_per_plane
from contouring.rings import Rings
from contouring.scanline import coverage_of
from imaging.geometry import Grid
from imaging.volume import Region

__all__ = ["Filled", "Interpolate", "coverage", "fill", "rasterise"]

FloatArray = NDArray[np.float64]

Interpolate = Literal["none", "shape"]
"""Whether planes without a contour inside a structure are filled from the shapes around them."""


@dataclass(frozen=True, eq=False)
class Filled:
    """Voxels of some contours, and how they came about.

    Parameters
    ----------
    region
        The voxels.
    rings
        The contours in index space, on the planes that they were filled on.
    groups
        All contours by the plane they were drawn in.
    used, behind
        Groups that were filled; groups that had to stand back for a nearer one.
    duplicates, united
        Contours dropped as copies; contours united because they cross.
    filled_planes
        Planes that were interpolated.
    deviation_mm
        Largest distance of a point from its contour's plane.
    """

    region: Region
    rings: Rings
    groups: tuple[PlaneGroup, ...]
    used: tuple[PlaneGroup, ...]
    behind: tuple[PlaneGroup, ...]
    duplicates: int = 0
    united: int = 0
    filled_planes: tuple[int, ...] = ()
    deviation_mm: float = 0.0


def rasterise(
    contours: Sequence[FloatArray] | Contours,
    grid: Grid,
    *,
    offgrid: OffGrid = "error",
    interpolate: Interpolate = "none",
    overlap: Overlap = "error",
    edge: Literal["half-open", "inclusive"] = "half-open",
) -> NDArray[np.bool_]:
    """Voxels whose centre lies inside a set of closed planar contours.

    Parameters
    ----------
    contours
        Vertices of each contour, shape (N, 3), mm, patient LPS, in drawing order; the last joins the first. Nested
        contours cut holes (even-odd rule).
    grid
        Target grid. One position per plane, so uneven distances and gantry tilt are allowed.
    offgrid, interpolate, overlap, edge
        See `contouring.read_rtstruct`.

    Returns
    -------
    ndarray, shape (Z, Y, X)
        True inside. Half-open: a centre on an edge belongs to exactly one of two contours that share it.

    Raises
    ------
    OffGridContours
        A contour lies further than the tolerance from every plane.
    NonPlanarContour
        A contour is not parallel to the planes.
    OverlappingContours
        Boundaries of two contours cross.

    References
    ----------
    DICOM PS3.3 C.8.8.6.
    """
    given = contours if isinstance(contours, Contours) else Contours.of(contours)
    if not len(given):
        return np.zeros(grid.shape, dtype=np.bool_)
    filled = fill(given, grid, offgrid=offgrid, interpolate=interpolate, overlap=overlap, inclusive=edge == "inclusive")
    return filled.region.mask()


def coverage(contours: Sequence[FloatArray] | Contours, grid: Grid) -> NDArray[np.float32]:
    """Share of each voxel's in-plane area that lies inside a set of closed planar contours, shape (Z, Y, X).

    Raises
    ------
    OffGridContours
        A contour lies further than the tolerance from every plane.
    NonPlanarContour
        A contour is not parallel to the planes.
    """
    given = contours if isinstance(contours, Contours) else Contours.of(contours)
    full = np.zeros(grid.shape, dtype=np.float32)
    if len(given):
        used, _ = one_group_per_plane(group_by_plane(check_planarity(given, grid)[0], grid), "error")
        crop, start = coverage_of(rings_on_planes(given, used, grid), grid.shape)
        full[tuple(slice(s, s + n) for s, n in zip(start, crop.shape, strict=True))] = crop
    return full


def fill(
    contours: Contours,
    grid: Grid,
    *,
    offgrid: OffGrid,
    interpolate: Interpolate,
    overlap: Overlap,
    inclusive: bool,
) -> Filled:
    """Fill closed contours on a grid; `rasterise` with everything that was found on the way.

    Raises
    ------
    OffGridContours
        A contour lies between the planes, and `offgrid` is "error".
    NonPlanarContour
        A contour is not parallel to the planes.
    OverlappingContours
        Boundaries of two contours cross, and `overlap` is "error".
    """
    positions, deviation_mm = check_planarity(contours, grid)
    groups = group_by_plane(positions, grid)
    is_xor = "CLOSEDPLANAR_XOR" in contours.types
    if offgrid == "resample":
        used: tuple[PlaneGroup, ...] = groups
        behind: tuple[PlaneGroup, ...] = ()
    else:
        used, behind = one_group_per_plane(groups, offgrid)
    rings = rings_on_planes(contours, used, grid)
    if not used or (offgrid != "resample" and interpolate == "none"):
        combined = combine(rings, grid.shape, is_xor=is_xor, overlap=overlap, inclusive=inclusive)
        return Filled(
            combined.runs.region(), rings, groups, used, behind, combined.duplicates, combined.united,
            deviation_mm=deviation_mm,
        )  # fmt: skip
    numbered = Rings(rings.columns_rows, rings.starts, _group_numbers(contours, used))
    combined = combine(
        numbered, (len(used), grid.rows, grid.columns), is_xor=is_xor, overlap=overlap, inclusive=inclusive
    )
    # Contours on the image's slices are as thick as a slice, however many slices were left out between them.
    steps = grid.slice_steps_mm
    slice_mm = float(np.median(steps)) if offgrid != "resample" and len(steps) else None
    # What was moved to a slice is drawn on it: only the slices between are made up.
    positions = np.array([
        g.position_mm if offgrid == "resample" else float(grid.plane_positions_mm[g.plane]) for g in used
    ])
    region, planes = _interpolated(combined, positions, grid, fill_gaps=interpolate == "shape", slice_mm=slice_mm)
    return Filled(region, rings, groups, used, behind, combined.duplicates, combined.united, planes, deviation_mm)


def rings_on_planes(contours: Contours, groups: Sequence[PlaneGroup], grid: Grid) -> Rings:
    """Contours of some groups in index space, on the planes of their groups."""
    plane = np.full(len(contours), -1, dtype=np.intp)
    for group in groups:
        plane[list(group.contours)] = group.plane
    kept = contours.selected(plane >= 0)
    planes = plane[plane >= 0]
    uw = grid.columns_rows(np.repeat(planes, kept.counts), kept.points_lps)
    return Rings(uw, kept.starts, planes)


def _group_numbers(contours: Contours, groups: Sequence[PlaneGroup]) -> NDArray[np.intp]:
    number = np.full(len(contours), -1, dtype=np.intp)
    for n, group in enumerate(groups):
        number[list(group.contours)] = n
    return number[number >= 0]


def _interpolated(
    combined: Combined, positions_mm: NDArray[np.float64], grid: Grid, *, fill_gaps: bool, slice_mm: float | None
) -> tuple[Region, tuple[int, ...]]:
    """Shapes at some positions along the normal carried to the planes of the grid."""
    drawn = combined.runs.region()
    if not drawn.crop.size:
        return Region(np.zeros((0, 0, 0), dtype=np.bool_), (0, 0, 0), grid.shape), ()
    shapes = np.zeros((len(positions_mm), *drawn.crop.shape[1:]), dtype=np.bool_)
    shapes[drawn.box[0]] = drawn.crop
    masks, made = between_planes(
        shapes,
        positions_mm,
        grid.plane_positions_mm,
        grid.pixel_spacing_mm,
        fill_gaps=fill_gaps,
        slice_mm=slice_mm,
    )
    full = np.zeros(grid.shape, dtype=np.bool_)
    full[:, drawn.box[1], drawn.box[2]] = masks
    return Region.from_mask(full), made
