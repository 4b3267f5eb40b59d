"""Which planes a reader should see: through the hottest point, through what is near or above a limit, and the field."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from contouring.dose.volume import DoseVolume
from imaging.geometry import Grid
from reports.dose.picture import Outline
from reports.planes import Plane, display_planes

__all__ = ["chosen_planes", "hottest_index"]

MOST_AXIAL = 8
MOST_OTHER = 2
FIELD_SHARE = 0.5
"""Planes are spread over where the dose reaches this share of its maximum."""

APART_MM = 6.0
"""Planes nearer than this show the same."""

MOST_POINTS = 20_000


def chosen_planes(grid: Grid, dose: DoseVolume, critical: Sequence[Outline] = ()) -> tuple[tuple[Plane, int], ...]:
    """Axial planes from head to foot, then coronal and sagittal ones.

    Parameters
    ----------
    grid
        Of the image.
    dose
        The dose that decides.
    critical
        Structures whose hottest point is to be seen, the most important first.
    """
    axial, coronal, sagittal = display_planes(grid)
    known = np.nan_to_num(dose.dose_gy, nan=-np.inf)
    hottest = _image_index(grid, dose, np.unravel_index(int(known.argmax()), known.shape))
    points = [hottest, *(p for o in critical if (p := hottest_index(grid, dose, o)) is not None)]
    points += _spread(grid, dose, known, axial)
    centre = _image_index(grid, dose, np.mean(np.nonzero(known >= FIELD_SHARE * known.max()), axis=1))
    chosen: list[tuple[Plane, int]] = []
    for plane, most, wanted in (
        (axial, MOST_AXIAL, points),
        (coronal, MOST_OTHER, [hottest, centre]),
        (sagittal, MOST_OTHER, [hottest, centre]),
    ):
        indices: list[int] = []
        spacing = grid.spacing_mm[plane.through]
        for point in wanted:
            index = int(np.clip(round(point[plane.through]), 0, plane.count - 1))
            if len(indices) < most and all(abs(index - other) * spacing >= APART_MM for other in indices):
                indices.append(index)
        chosen += [(plane, index) for index in sorted(indices, reverse=plane.ascends)]
    return tuple(chosen)


def hottest_index(grid: Grid, dose: DoseVolume, outline: Outline) -> tuple[float, ...] | None:
    """Index (k, j, i) on the image of the hottest voxel of a structure; None where no dose is known in it."""
    inside = np.argwhere(outline.region.crop) + outline.region.start
    inside = inside[:: max(1, len(inside) // MOST_POINTS)]
    points = inside @ grid.affine_lps[:3, :3].T + grid.affine_lps[:3, 3]
    sampled = dose.sample(points)
    if not sampled.is_known.any():
        return None
    return tuple(inside[int(np.where(sampled.is_known, sampled.dose_gy, -np.inf).argmax())].tolist())


def _image_index(
    grid: Grid, dose: DoseVolume, index: Sequence[np.floating | np.intp] | NDArray[np.float64]
) -> tuple[float, ...]:
    """Index on the image of an index on the dose grid."""
    found = np.linalg.inv(grid.affine_lps) @ dose.grid.affine_lps @ np.array([*index, 1.0])
    return tuple(found[:3].tolist())


def _spread(grid: Grid, dose: DoseVolume, known: NDArray[np.floating], axial: Plane) -> list[tuple[float, ...]]:
    """Points on planes spread evenly over the field."""
    through = axial.through
    filled = np.flatnonzero((known >= FIELD_SHARE * known.max()).any(axis=tuple(a for a in range(3) if a != through)))
    points = []
    for at in np.linspace(filled[0], filled[-1], MOST_AXIAL + 2)[1:-1]:
        index = [(n - 1) / 2 for n in known.shape]
        index[through] = float(at)
        points.append(_image_index(grid, dose, np.array(index)))
    return points
