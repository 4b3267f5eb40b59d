"""Which plane of the image a contour belongs to: by position alone, with every shift counted."""

import itertools
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from contouring.contours import Contours
from contouring.errors import NonPlanarContour, OffGridContours
from imaging.geometry import Grid

__all__ = ["OffGrid", "PlaneGroup", "check_planarity", "gaps_between", "group_by_plane", "one_group_per_plane"]

OffGrid = Literal["error", "nearest", "resample"]
"""What to do with contours between the slices: refuse, move to the nearest slice, or interpolate shapes."""

ON_PLANE_MM = 0.01
"""Shift that counts as none (specification of contouring, 4.3)."""

SNAPPED_SHARE = 0.1
"""Shift, as a share of the slice distance, that is rounding rather than another plane (4.3)."""

GROUP_SHARE = 0.05
"""Contours nearer than this share of the slice distance were drawn in one plane (4.3)."""

THICKNESS_SHARE = 0.51
"""Beyond half a slice thickness a contour lies outside the image (4.3)."""

PLANARITY_MM = 0.1
"""Largest distance of a point from its contour's plane (4.2)."""

Kind = Literal["on", "snapped", "between", "outside"]


@dataclass(frozen=True, eq=False)
class PlaneGroup:
    """Contours of one structure that were drawn in one plane.

    Parameters
    ----------
    contours
        Their numbers.
    position_mm
        Position of their plane along the grid's normal.
    plane
        The nearest plane of the image.
    shift_mm
        Distance to it.
    kind
        What the distance means.
    """

    contours: tuple[int, ...]
    position_mm: float
    plane: int
    shift_mm: float
    kind: Kind


def check_planarity(contours: Contours, grid: Grid) -> tuple[NDArray[np.float64], float]:
    """Position of each contour along the normal, and how far (mm) a point leaves its contour's plane at most.

    Contours must be planar and parallel to the image.

    Raises
    ------
    NonPlanarContour
        A point lies more than 0.1 mm off its contour's plane.
    """
    if not len(contours):
        return np.empty(0), 0.0
    along = contours.points_lps @ grid.normal
    first = contours.starts[:-1]
    positions = np.add.reduceat(along, first) / contours.counts
    deviation = np.maximum.reduceat(np.abs(along - np.repeat(positions, contours.counts)), first)
    if float(deviation.max()) > PLANARITY_MM:
        worst = int(deviation.argmax())
        raise NonPlanarContour(
            f"Contour {worst + 1} leaves the plane of the image by {deviation[worst]:.2f} mm; read the structure set "
            "with the image series that it was drawn on.",
            contour=worst + 1,
            deviation_mm=float(deviation[worst]),
            contours=int((deviation > PLANARITY_MM).sum()),
        )
    return np.asarray(positions), float(deviation.max())


def group_by_plane(positions_mm: NDArray[np.float64], grid: Grid) -> tuple[PlaneGroup, ...]:
    """Contours grouped by the plane they were drawn in, ascending, each group with the nearest plane of the image."""
    order = np.argsort(positions_mm, kind="stable").tolist()
    positions = positions_mm.tolist()
    tolerances = np.maximum(ON_PLANE_MM, GROUP_SHARE * _steps_at(grid, positions_mm)).tolist()
    groups: list[list[int]] = []
    for contour in order:
        if groups and positions[contour] - positions[groups[-1][0]] <= tolerances[contour]:
            groups[-1].append(contour)
        else:
            groups.append([contour])
    members = [sorted(g) for g in groups]
    means = np.array([sum(positions[n] for n in g) / len(g) for g in members])
    shifts = np.abs(grid.plane_positions_mm - means[:, None])
    nearest = shifts.argmin(axis=1)
    rows = zip(members, means.tolist(), nearest.tolist(), shifts[np.arange(len(means)), nearest].tolist(), strict=True)
    steps = _steps_at(grid, means).tolist()
    return tuple(_placed(*row, step, grid) for row, step in zip(rows, steps, strict=True))


def _steps_at(grid: Grid, positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance of the two planes around each position; beyond an end, of the last two; of one plane, its thickness."""
    steps = grid.slice_steps_mm
    if not len(steps):
        return np.full(len(positions), grid.slice_thickness_mm or 0.0)
    above = np.searchsorted(grid.plane_positions_mm, positions)
    return steps[np.clip(above - 1, 0, len(steps) - 1)]


def _placed(contours: list[int], position: float, plane: int, shift: float, step: float, grid: Grid) -> PlaneGroup:
    reach = max(0.5 * step, THICKNESS_SHARE * (grid.slice_thickness_mm or 0.0))
    kind: Kind = "outside"
    if shift <= ON_PLANE_MM:
        kind = "on"
    elif shift <= SNAPPED_SHARE * step:
        kind = "snapped"
    elif shift <= reach + 1e-9 or _is_between(grid, position):
        kind = "between"
    return PlaneGroup(tuple(contours), position, plane, shift, kind)


def _is_between(grid: Grid, position: float) -> bool:
    planes = grid.plane_positions_mm
    return bool(planes[0] < position < planes[-1])


def one_group_per_plane(
    groups: tuple[PlaneGroup, ...], offgrid: Literal["error", "nearest"]
) -> tuple[tuple[PlaneGroup, ...], tuple[PlaneGroup, ...]]:
    """The groups to rasterise, at most one for each plane, and those that had to stand back.

    Raises
    ------
    OffGridContours
        A group lies between planes, or two groups share one plane, and `offgrid` is "error".
    """
    inside = [g for g in groups if g.kind != "outside"]
    between = [g for g in inside if g.kind == "between"]
    nearest: dict[int, PlaneGroup] = {}
    for group in sorted(inside, key=lambda g: (g.shift_mm, g.position_mm)):
        nearest.setdefault(group.plane, group)
    behind = [g for g in inside if nearest[g.plane] is not g]
    if offgrid == "error" and (between or behind):
        worst = max(g.shift_mm for g in between + behind)
        number = sum(len(g.contours) for g in {*between, *behind})
        raise OffGridContours(
            f"{number} contours lie between the slices of the image, by up to {worst:.2f} mm; "
            "give the whole series they were drawn on (an image of it may be missing), or read with offgrid "
            "(--offgrid) nearest or resample.",
            contours=number,
            largest_shift_mm=worst,
        )
    return tuple(sorted(nearest.values(), key=lambda g: g.plane)), tuple(behind)


def gaps_between(planes: list[int]) -> tuple[tuple[int, int], ...]:
    """Runs of planes without a contour between planes that have some, as (first, last)."""
    used = sorted(set(planes))
    return tuple((a + 1, b - 1) for a, b in itertools.pairwise(used) if b - a > 1)
