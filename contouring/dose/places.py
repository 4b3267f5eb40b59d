"""Where a dose is asked: points that lie in layers of one lattice, which are quicker to interpolate than loose ones."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from contouring.dose.volume import DoseVolume, SampledDose

__all__ = ["LatticePlaces", "sampled_on_lattice", "turned"]

FloatArray = NDArray[np.float64]

PARALLEL = 1e-9
"""Largest off-diagonal cosine between axes that count as parallel: 1 nm over a metre."""


@dataclass(frozen=True, eq=False)
class LatticePlaces:
    """Some points of a lattice, layer by layer.

    Parameters
    ----------
    axes
        Unit vectors of rows, columns and layers, one a row.
    x_mm, y_mm, layers_mm
        Positions along each.
    counts
        Points in each layer.
    at
        Of each point, the index row * columns + column in its layer.
    """

    axes: FloatArray
    x_mm: FloatArray
    y_mm: FloatArray
    layers_mm: FloatArray
    counts: NDArray[np.intp]
    at: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.at)

    @cached_property
    def points_lps(self) -> FloatArray:
        """The points, shape (N, 3)."""
        row, column = np.divmod(self.at, len(self.x_mm))
        own = np.stack([self.x_mm[column], self.y_mm[row], np.repeat(self.layers_mm, self.counts)], axis=1)
        return turned(own, self.axes)


def turned(vectors: FloatArray, matrix: FloatArray) -> FloatArray:
    """`vectors @ matrix` for (N, 3) and (3, 3), without the threads of a BLAS: they cost more than such products do."""
    found = np.zeros((3, len(vectors)))
    for total, weights in zip(found, matrix.T.tolist(), strict=True):
        # Axes are mostly parallel, and then most weights are zero.
        for column, weight in zip(vectors.T, weights, strict=True):
            if weight:
                total += column if weight == 1 else weight * column
    return found.T


def sampled_on_lattice(dose: "DoseVolume", places: LatticePlaces, matrix: FloatArray) -> "SampledDose | None":
    """Dose and gradient at the points of a lattice whose axes are parallel to the dose's; None where they are not.

    The same as `DoseVolume.sample`: within each plane of the dose the lattice is interpolated once, as a whole.

    Parameters
    ----------
    dose
        The dose.
    places
        The points, in a frame of their own.
    matrix
        4x4 from that frame to the dose's.
    """
    from contouring.dose.volume import SampledDose

    rotation, shift = matrix[:3, :3], matrix[:3, 3]
    parallel = (places.axes @ rotation.T @ np.linalg.inv(dose.axes))[:, ::-1]
    if np.abs(parallel - np.diag(np.diag(parallel))).max() > PARALLEL or not len(places):
        return None

    def indices(values: FloatArray, axis: int) -> FloatArray:
        line = np.zeros((len(values), 3))
        line[:, axis] = values
        return dose.indices(turned(turned(line, places.axes), rotation.T) + shift)[:, 2 - axis]

    column, row, layer = (_Between(dose, indices(v, a), 2 - a) for a, v in enumerate(
        (places.x_mm, places.y_mm, places.layers_mm)
    ))  # fmt: skip
    first, last = int(layer.low.min()), int(layer.low.max()) + 2
    top, bottom = int(row.low.min()), int(row.low.max()) + 2
    left, right = int(column.low.min()), int(column.low.max()) + 2
    block = dose.dose_gy[first:last, top:bottom, left:right].astype(np.float64)
    above, beside = row.low - top, column.low - left
    near = block.take(beside, axis=2)
    slope_i = (block.take(beside + 1, axis=2) - near) / column.step_mm
    along_i = near + slope_i * (column.share * column.step_mm)
    near = along_i.take(above, axis=1)
    slope_j = (along_i.take(above + 1, axis=1) - near) / row.step_mm[:, None]
    plane = near + slope_j * (row.share * row.step_mm)[:, None]
    near = slope_i.take(above, axis=1)
    slope_i = near + (slope_i.take(above + 1, axis=1) - near) * row.share[:, None]
    # In each plane, what the three have in common: value, slope along the columns, slope along the rows.
    planes = np.stack([plane, slope_j, slope_i], axis=1).reshape(len(block), 3, -1)
    number = len(places)
    # Value, slope across the planes, and the two along them.
    found = np.empty((4, number))
    ends = np.concatenate([[0], np.cumsum(places.counts)])
    for n, (k, share, step) in enumerate(zip((layer.low - first).tolist(), layer.share.tolist(), layer.step_mm.tolist(),
                                             strict=True)):  # fmt: skip
        part = slice(int(ends[n]), int(ends[n + 1]))
        below, change = planes[k : k + 2].take(places.at[part], axis=2)
        change -= below
        np.divide(change[0], step, out=found[1, part])
        change *= share
        np.add(below[0], change[0], out=found[0, part])
        np.add(below[1:], change[1:], out=found[2:, part])
    values, slopes = found[0], found[1:]
    known = np.repeat(layer.is_known, places.counts)
    if not (row.is_known.all() and column.is_known.all()):
        known &= np.logical_and.outer(row.is_known, column.is_known).reshape(-1)[places.at]
    gradient = turned(slopes.T, dose.axes)
    cells = _of_corners(np.minimum, block), _of_corners(np.maximum, block)
    _, tall, wide = cells[0].shape
    within = (above[:, None] * wide + beside).reshape(-1).take(places.at)
    cell = np.repeat((layer.low - first) * (tall * wide), places.counts) + within
    low, high = (corners.reshape(-1).take(cell) for corners in cells)
    if known.all():
        return SampledDose(values, gradient, known, low, high)
    return SampledDose(np.where(known, values, 0.0), np.where(known[:, None], gradient, 0.0), known, low, high)


def _of_corners(which: np.ufunc, block: FloatArray) -> FloatArray:
    """The least or the largest of the eight corners of each cell between voxels."""
    block = which(block[1:], block[:-1])
    block = which(block[:, 1:], block[:, :-1])
    return np.asarray(which(block[:, :, 1:], block[:, :, :-1]))


class _Between:
    """Between which two voxels each position along one axis of a dose lies."""

    def __init__(self, dose: "DoseVolume", index: FloatArray, axis: int) -> None:
        self.low, self.share, self.is_known = dose.between(index, axis)
        steps = dose.grid.slice_steps_mm if axis == 0 else np.array([dose.grid.pixel_spacing_mm[axis - 1]])
        self.step_mm = steps[self.low] if axis == 0 else np.full(len(index), steps[0])
