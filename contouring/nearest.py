"""Exact distances from many lattice points to the nearest of many others, on an uneven lattice.

Every voxel first learns how far the nearest target of its own row or column is. What follows depends on how far apart
the surfaces are. Near ones: each point asks the rows around it, nearest first, until no row can hold anything nearer.
Far ones: the columns of neighbouring planes are joined for all voxels at once, and each point asks along its row only.
Both are exact, and cheaper than a distance transform of the box, because only surface points ask.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

__all__ = ["nearest_mm"]

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.intp]

ROWS = 1200
"""How many rows around a point are asked before a tree is: those within 29 mm on slices of 2.5 mm."""

STEPS_AT_ONCE = 8
"""Rows or voxels between two looks at which points are done."""

POINTS_AT_ONCE = 1 << 14
"""Neighbouring points taken together, so that the rows around them stay in the processor's cache."""

VOXELS_AT_ONCE = 1 << 15
"""Voxels whose planes are joined together, for the same reason."""

SAMPLE_STRIDE = 97
"""One point in so many is asked first how far apart the surfaces are."""

TARGET_STRIDE = 8
"""One target in so many answers them."""

FEWEST_SAMPLED = 20_000
"""Points below which the sample costs more than it can save."""

ROW_COST, JOIN_COST, VOXEL_COST = 7.0, 0.6, 7.0
"""Nanoseconds for asking a row, joining a voxel with another plane, asking a voxel of the row; measured."""


def nearest_mm(points: IndexArray, targets: IndexArray, spacing: FloatArray) -> FloatArray:
    """Distance of each point to the nearest target; infinite where there is none.

    Parameters
    ----------
    points, targets
        Indices (plane, row, column), shape (N, 3).
    spacing
        (between planes, between rows, between columns), mm.
    """
    distances = np.full(len(points), np.inf)
    if not len(targets) or not len(points):
        return distances
    low = np.minimum(points.min(axis=0), targets.min(axis=0))
    high = np.maximum(points.max(axis=0), targets.max(axis=0)) + 1
    reach_mm = _reach_of_columns_mm(points, targets, spacing, high - low)
    if reach_mm is None:
        return _by_rows(points - low, targets - low, spacing, high - low)
    return _by_columns(points - low, targets - low, spacing, high - low, reach_mm)


def _reach_of_columns_mm(
    points: IndexArray, targets: IndexArray, spacing: FloatArray, shape: IndexArray
) -> float | None:
    """How far to search by columns, where that is the cheaper way; judged by a sample of points."""
    if len(points) < FEWEST_SAMPLED:
        return None
    # Fewer targets only make the distances longer, so the reach stays long enough.
    sample = _by_tree(points[::SAMPLE_STRIDE], targets[::TARGET_STRIDE], spacing)
    reach_mm = float(sample.max()) * 1.1 + float(spacing.max())
    rows = np.minimum(np.pi * sample**2 / (spacing[0] * spacing[1]), ROWS).mean()
    columns = 2 * float(sample.mean()) / spacing[2]
    joining = JOIN_COST * 2 * reach_mm / spacing[0] * float(np.prod(shape)) + VOXEL_COST * columns * len(points)
    return reach_mm if joining < ROW_COST * rows * len(points) else None


def _by_rows(points: IndexArray, targets: IndexArray, spacing: FloatArray, shape: IndexArray) -> FloatArray:
    """Each point asks the rows around it; a tree serves the few beyond the last row."""
    steps, squares = _rows_around(float(spacing[0]), float(spacing[1]))
    reach = np.abs(steps).max(axis=0)
    width = int(shape[2])
    along_row = np.pad(_along_rows(targets, shape), ((reach[0],) * 2, (reach[1],) * 2, (0, 0)), constant_values=width)
    strides = np.array([along_row.shape[1] * width, width, 1])
    along_squares = np.append((np.arange(width) * spacing[2]) ** 2, np.inf)
    flat, moves = along_row.reshape(-1), steps @ strides[:2]
    distances = np.empty(len(points))
    for first in range(0, len(points), POINTS_AT_ONCE):
        part = slice(first, first + POINTS_AT_ONCE)
        places = (points[part] + [reach[0], reach[1], 0]) @ strides
        distances[part] = np.sqrt(_nearest_square(flat, along_squares, places, moves, squares))
    return _corrected(distances, float(np.sqrt(squares[-1])), points, targets, spacing)


def _by_columns(
    points: IndexArray, targets: IndexArray, spacing: FloatArray, shape: IndexArray, reach_mm: float
) -> FloatArray:
    """Columns of planes within reach are joined for all voxels; then each point asks along its row."""
    planes, rows, width = (int(n) for n in shape)
    depth, side = (min(int(reach_mm / spacing[axis]), int(shape[axis]) - 1) for axis in (0, 2))
    joined = np.empty((planes, rows, width + 2 * side))
    joined[:, :, :side] = joined[:, :, side + width :] = np.inf
    voxels = _along_columns(targets, shape)
    along_squares = np.append((np.arange(rows) * spacing[1]) ** 2, np.inf)
    step = max(1, VOXELS_AT_ONCE // (planes * width))
    for first in range(0, rows, step):
        own = along_squares.take(voxels[:, first : first + step])
        nearest, raised = own.copy(), np.empty_like(own)
        for k in range(1, depth + 1):
            np.add(own, (k * spacing[0]) ** 2, out=raised)
            np.minimum(nearest[k:], raised[:-k], out=nearest[k:])
            np.minimum(nearest[:-k], raised[k:], out=nearest[:-k])
        joined[:, first : first + step, side : side + width] = nearest
    order = np.arange(1, 2 * side + 2)
    moves = np.where(order % 2, order // 2, -(order // 2))
    squares = (order // 2 * spacing[2]) ** 2
    strides = np.array([rows * joined.shape[2], joined.shape[2], 1])
    flat = joined.reshape(-1)
    distances = np.empty(len(points))
    for first in range(0, len(points), POINTS_AT_ONCE):
        chosen = slice(first, first + POINTS_AT_ONCE)
        places = (points[chosen] + [0, 0, side]) @ strides
        distances[chosen] = np.sqrt(_nearest_square(flat, None, places, moves, squares))
    # What was not searched lies at least one plane or one voxel of the row further off, or outside of all targets.
    beyond = [(n + 1) * float(spacing[axis]) for axis, n in ((0, depth), (2, side)) if n + 1 < shape[axis]]
    return _corrected(distances, min(beyond, default=np.inf), points, targets, spacing)


def _corrected(
    distances: FloatArray, sure_mm: float, points: IndexArray, targets: IndexArray, spacing: FloatArray
) -> FloatArray:
    """The distances, those above what was searched looked up in a tree."""
    is_far = distances > sure_mm
    if is_far.any():
        distances[is_far] = _by_tree(points[is_far], targets, spacing)
    return distances


def _by_tree(points: IndexArray, targets: IndexArray, spacing: FloatArray) -> FloatArray:
    tree = cKDTree(targets * spacing, balanced_tree=False, compact_nodes=False)
    return np.asarray(tree.query(points * spacing)[0])


def _nearest_square(
    values: NDArray[np.int16] | FloatArray,
    meaning: FloatArray | None,
    places: IndexArray,
    moves: IndexArray,
    squares: FloatArray,
) -> FloatArray:
    """Least of value + square over the moves from each place; right where it is within the last square.

    `meaning` translates the values, where they are numbers of voxels.
    """
    found, left, nearest = np.empty(len(places)), np.arange(len(places)), np.full(len(places), np.inf)
    for n, (move, square) in enumerate(zip(moves.tolist(), squares.tolist(), strict=True)):
        if n % STEPS_AT_ONCE == 0:
            is_open = nearest > square
            found[left[~is_open]] = nearest[~is_open]
            left, places, nearest = left[is_open], places[is_open], nearest[is_open]
            if not len(left):
                return found
        here = values.take(places + move)
        np.minimum(nearest, (here if meaning is None else meaning.take(here)) + square, out=nearest)
    found[left] = nearest
    return found


def _along_rows(targets: IndexArray, shape: IndexArray) -> NDArray[np.int16]:
    """Distance in voxels to the nearest target of the row, the row's length without one."""
    width = int(shape[2])
    before = np.full(tuple(shape), -width, dtype=np.int16)
    after = np.full(tuple(shape), 2 * width, dtype=np.int16)
    before[tuple(targets.T)] = after[tuple(targets.T)] = targets[:, 2]
    np.maximum.accumulate(before, axis=2, out=before)
    np.minimum.accumulate(after[:, :, ::-1], axis=2, out=after[:, :, ::-1])
    here = np.arange(width, dtype=np.int16)
    nearest = np.minimum(here - before, after - here)
    nearest[nearest >= width] = width
    return nearest


def _along_columns(targets: IndexArray, shape: IndexArray) -> NDArray[np.int16]:
    """Distance in voxels to the nearest target of the column, the column's length without one."""
    rows = int(shape[1])
    nearest = np.full(tuple(shape), rows, dtype=np.int16)
    nearest[tuple(targets.T)] = 0
    # Row by row: a running minimum over a long stride is several times slower.
    for j in range(1, rows):
        np.minimum(nearest[:, j], nearest[:, j - 1] + np.int16(1), out=nearest[:, j])
    for j in range(rows - 2, -1, -1):
        np.minimum(nearest[:, j], nearest[:, j + 1] + np.int16(1), out=nearest[:, j])
    return nearest


@lru_cache(maxsize=64)
def _rows_around(sz: float, sy: float) -> tuple[IndexArray, FloatArray]:
    """Steps (planes, rows) to the rows around by ascending distance, all of them up to the last; squares of those."""
    reach = float(np.sqrt(ROWS * sz * sy / np.pi))
    sides = [np.arange(-n, n + 1) for n in (int(reach / sz), int(reach / sy))]
    steps = np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1).reshape(-1, 2)
    squares = (steps * [sz, sy]) ** 2 @ np.ones(2)
    order = np.argsort(squares, kind="stable")
    order = order[squares[order] <= reach**2]
    return steps[order], squares[order]
