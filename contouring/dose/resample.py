"""The sum as voxels, for export: on a grid that covers all doses, in mm, what is unknown told apart."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from contouring.dose.accumulate import MappedDose, known_course
from contouring.dose.errors import DosesApart
from contouring.dose.radiobiology import eqd2
from contouring.dose.transform import RigidTransform
from contouring.dose.volume import EDGE_MM, DoseFacts, DoseVolume
from imaging.geometry import Grid

__all__ = ["GridSum", "check_overlap", "facts_of_sum", "sum_on_grid", "union_grid"]

FloatArray = NDArray[np.float64]

FINEST_MM = 1.0
"""A sum is not written finer than this (specification, section 6)."""

PARALLEL = 1e-9
EVEN_MM = 1e-6
"""Planes off an even row by more than this are interpolated point by point."""

SLAB_PLANES = 16
MOST_THREADS = 4
"""A gateway has other work too."""


@dataclass(frozen=True, eq=False)
class GridSum:
    """A sum of doses on a grid.

    Parameters
    ----------
    volume
        The sum of what is known at each voxel.
    is_known
        Where all doses are known.
    """

    volume: DoseVolume
    is_known: NDArray[np.bool_]


def union_grid(doses: Sequence[MappedDose], orientation: tuple[FloatArray, FloatArray], frame: str) -> Grid:
    """An even grid with the finest spacing of the doses (1 mm at least) over all of them, as the image is turned.

    Parameters
    ----------
    doses
        The doses.
    orientation
        Directions of rows and columns of the reference image.
    frame
        Frame of reference of the image.
    """
    row, column = orientation
    axes = np.stack([np.cross(row, column), column, row])
    corners = np.concatenate([_corners(m) for m in doses]) @ axes.T
    spacing = np.maximum(np.min([_spacing_along(axes, m) for m in doses], axis=0), FINEST_MM)
    low, high = corners.min(axis=0), corners.max(axis=0)
    count = np.ceil((high - low) / spacing - 1e-6).astype(int) + 1
    origin = low @ axes
    return Grid(
        positions_lps=origin + np.arange(count[0])[:, None] * spacing[0] * axes[0],
        row_direction=row,
        column_direction=column,
        pixel_spacing_mm=(float(spacing[1]), float(spacing[2])),
        rows=int(count[1]),
        columns=int(count[2]),
        frame_of_reference_uid=frame,
        slice_thickness_mm=float(spacing[0]),
    )


def check_overlap(doses: Sequence[MappedDose], orientation: tuple[FloatArray, FloatArray]) -> None:
    """Refuse doses whose boxes, turned as the image is, lie apart: their sum would be known nowhere.

    Raises
    ------
    DosesApart
        A registration has moved them away from each other, or they were never of one region.
    """
    row, column = orientation
    axes = np.stack([np.cross(row, column), column, row])
    boxes = [_corners(m) @ axes.T for m in doses]
    low = np.max([box.min(axis=0) for box in boxes], axis=0)
    high = np.min([box.max(axis=0) for box in boxes], axis=0)
    if (high < low).any():
        raise DosesApart(
            "The doses have no point of the image in common; check the direction and the shift of the registration."
        )


def sum_on_grid(doses: Sequence[MappedDose], grid: Grid, alpha_beta_gy: float | None = None) -> GridSum:
    """Physical sum, or EQD2 for one alpha/beta, at the voxel centres of a grid in the reference frame.

    Raises
    ------
    FractionCountUnknown
        EQD2 is asked for and a course is not known.
    """
    total = np.zeros(grid.shape, dtype=np.float32)
    known = np.ones(grid.shape, dtype=np.bool_)
    for mapped in doses:
        course = None if alpha_beta_gy is None else known_course(mapped)
        part = _resampled(mapped, grid)
        there = ~np.isnan(part)
        np.nan_to_num(part, copy=False)
        if course is not None and alpha_beta_gy is not None:
            part = ((1 - course.recovery) * eqd2(part, course.fractions, alpha_beta_gy)).astype(np.float32)
        total += part
        known &= there
    return GridSum(DoseVolume(total, grid, facts_of_sum(doses, alpha_beta_gy)), known)


def facts_of_sum(doses: Sequence[MappedDose], alpha_beta_gy: float | None) -> DoseFacts:
    """What a sum of doses says of itself."""
    kind = "PHYSICAL" if alpha_beta_gy is None else "EFFECTIVE"
    plans = tuple(dict.fromkeys(p for m in doses for p in m.dose.facts.plan_uids))
    return DoseFacts(dose_type=kind, summation_type="MULTI_PLAN", plan_uids=plans, header=doses[0].dose.facts.header)


def _corners(mapped: MappedDose) -> FloatArray:
    """Outermost voxel centres of a dose in the reference frame."""
    grid = mapped.dose.grid
    ends = np.array([[0, 0], [grid.columns - 1, 0], [0, grid.rows - 1], [grid.columns - 1, grid.rows - 1]])
    own = np.concatenate([grid.points_lps(k, ends.astype(np.float64)) for k in (0, grid.shape[0] - 1)])
    return mapped.transform.source_points(own)


def _spacing_along(axes: FloatArray, mapped: MappedDose) -> list[float]:
    """Spacing of a dose along the axes of the image: a dose may be stored on sagittal or coronal planes."""
    corners = _corners(mapped)
    # Along the planes, the rows and the columns of the dose, as the spacing is.
    edges = corners[[4, 2, 1]] - corners[0]
    likeness = np.abs(edges @ axes.T) / np.linalg.norm(edges, axis=1, keepdims=True)
    best = max(permutations(range(3)), key=lambda order: sum(likeness[own, axis] for axis, own in enumerate(order)))
    return [mapped.dose.spacing_mm[own] for own in best]


def _resampled(mapped: MappedDose, grid: Grid) -> NDArray[np.float32]:
    """A dose at the voxels of a grid, NaN outside; along the axes one by one where they are parallel."""
    dose = mapped.dose
    if isinstance(mapped.transform, RigidTransform):
        axes = np.stack([grid.normal, grid.column_direction, grid.row_direction])
        turned = axes @ mapped.transform.matrix[:3, :3].T @ np.linalg.inv(dose.axes)
        if np.abs(turned - np.diag(np.diag(turned))).max() < PARALLEL and np.diag(turned).min() > 0:
            return _along_axes(mapped, grid)
        if _is_even(grid) and _is_even(dose.grid):
            return _turned(mapped, grid)
    w, u = np.mgrid[0 : grid.rows, 0 : grid.columns]
    pixels = np.stack([u.ravel(), w.ravel()], axis=1).astype(np.float64)
    found = np.empty(grid.shape, dtype=np.float32)

    def fill(planes: slice) -> None:
        for k in range(planes.start, planes.stop):
            points = grid.points_lps(k, pixels)
            values, is_known = dose.values(mapped.transform.apply(points))
            is_known &= mapped.transform.covers(points)
            found[k] = np.where(is_known, values, np.nan).reshape(grid.rows, grid.columns)

    _in_slabs(fill, grid.shape[0])
    return found


def _is_even(grid: Grid) -> bool:
    """Whether the planes of a grid are equally far from each other."""
    line = np.linspace(grid.positions_lps[0], grid.positions_lps[-1], len(grid.positions_lps))
    return bool(np.abs(line - grid.positions_lps).max() < EVEN_MM)


def _turned(mapped: MappedDose, grid: Grid) -> NDArray[np.float32]:
    """Trilinear interpolation where the index in the dose is linear in that of the grid."""
    import SimpleITK

    dose = mapped.dose
    # Where the first voxel of the grid lies in the dose, and how that changes from voxel to voxel.
    far = grid.points_lps(grid.shape[0] - 1, np.zeros((1, 2)))
    near = grid.points_lps(0, np.array([[0, 0], [0, grid.rows - 1], [grid.columns - 1, 0]], dtype=np.float64))
    first, *ends = dose.indices(mapped.transform.apply(np.concatenate([near[:1], far, near[1:]])))
    steps = np.stack([(end - first) / max(n - 1, 1) for end, n in zip(ends, grid.shape, strict=True)], axis=1)
    # All in indices: unit voxels at the origin, in ITK's order of axes.
    source = SimpleITK.GetImageFromArray(dose.dose_gy.astype(np.float32, copy=False))
    move = SimpleITK.AffineTransform(np.ascontiguousarray(steps[::-1, ::-1]).ravel().tolist(), first[::-1].tolist())
    size, identity = [int(n) for n in grid.shape[::-1]], np.eye(3).ravel().tolist()
    # What lies up to half a voxel outside has the value of the edge; what is unknown is told apart below.
    made = SimpleITK.Resample(
        source, size, move, SimpleITK.sitkLinear, [0.0] * 3, [1.0] * 3, identity, 0.0, SimpleITK.sitkFloat32
    )
    found = np.array(SimpleITK.GetArrayViewFromImage(made))
    last, edge = np.array(dose.dose_gy.shape) - 1, EDGE_MM / np.array(dose.spacing_mm)
    rows, columns = np.ogrid[0 : grid.rows, 0 : grid.columns]
    for k, plane in enumerate(found):
        for axis in range(3):
            index = (first[axis] + k * steps[axis, 0] + rows * steps[axis, 1]) + columns * steps[axis, 2]
            plane[(index < -edge[axis]) | (index > last[axis] + edge[axis])] = np.nan
    return found


def _in_slabs(fill: Callable[[slice], None], planes: int) -> None:
    """Fill planes on several processors; no plane knows of another, so their number changes nothing."""
    slabs = [slice(k, min(k + SLAB_PLANES, planes)) for k in range(0, planes, SLAB_PLANES)]
    with ThreadPoolExecutor(max_workers=min(MOST_THREADS, os.cpu_count() or 1)) as pool:
        for _ in pool.map(fill, slabs):
            pass


def _along_axes(mapped: MappedDose, grid: Grid) -> NDArray[np.float32]:
    """Trilinear interpolation as three linear ones, which is the same and a good deal faster."""
    dose = mapped.dose
    planes = np.arange(grid.shape[0])
    ends = [
        dose.indices(mapped.transform.apply(grid.points_lps(planes, np.zeros((len(planes), 2)))))[:, 0],
        dose.indices(mapped.transform.apply(grid.points_lps(0, _line(grid.rows, 1))))[:, 1],
        dose.indices(mapped.transform.apply(grid.points_lps(0, _line(grid.columns, 0))))[:, 2],
    ]
    values: NDArray[np.float32] = dose.dose_gy.astype(np.float32, copy=False)
    for axis, index in enumerate(ends):
        last = dose.dose_gy.shape[axis] - 1
        edge = EDGE_MM / dose.spacing_mm[axis]
        low = np.clip(index.astype(np.intp), 0, last - 1)
        share = np.clip(index - low, 0, 1)
        share = np.where((index < -edge) | (index > last + edge), np.nan, share).astype(np.float32)
        if not (len(index) == last + 1 and np.allclose(index, np.arange(last + 1), rtol=0, atol=1e-6)):
            form = [1, 1, 1]
            form[axis] = len(share)
            below = np.take(values, low, axis=axis)
            values = np.asarray(below + (np.take(values, low + 1, axis=axis) - below) * share.reshape(form), np.float32)
    return np.array(values, dtype=np.float32)


def _line(count: int, column: int) -> FloatArray:
    line = np.zeros((count, 2))
    line[:, column] = np.arange(count)
    return line
