"""Exact distances from many lattice points to the nearest of many others, on an uneven lattice.

Every voxel first learns how far the nearest target of its own column is. What follows depends on how far apart the
surfaces are. Near ones: each point asks the columns around it, nearest first, until none can hold anything nearer.
Far ones: the columns of neighbouring planes are joined for whole rows of voxels, and each point asks along its row.
Both are exact, and cheaper than a distance transform of the box, because only surface points ask.
"""

from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.spatial import cKDTree

__all__ = ["nearest_mm"]

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.intp]

COLUMNS = 1200
"""How many columns around a point are asked before a tree is: those within 32 mm on slices of 2.5 mm."""

STEPS_AT_ONCE = 8
"""Columns between two looks at which points are done."""

POINTS_AT_ONCE = 1 << 14
"""Neighbouring points taken together, so that the columns around them stay in the processor's cache."""

VOXELS_AT_ONCE = 1 << 17
"""Voxels whose planes are joined together, and voxels of rows asked together: what stays in that cache."""

HALF_WINDOWS = (4, 8, 16, 32, 64)
"""How far along the row points ask together: those that need a little more ask as far as the next of these."""

SAMPLE_STRIDE = 97
"""One point in so many is asked first how far apart the surfaces are."""

TARGET_STRIDE = 8
"""One target in so many answers them."""

FEWEST_SAMPLED = 20_000
"""Points below which the sample costs more than it can save."""

COLUMN_COST, JOIN_COST, VOXEL_COST = 3.5, 0.45, 3.0
"""Nanoseconds for asking a column, joining a voxel with another plane, asking a voxel of the row; measured."""


def nearest_mm(points: IndexArray, targets: IndexArray, spacing: FloatArray) -> FloatArray:
    """Distance of each point to the nearest target; infinite where there is none.

    Parameters
    ----------
    points, targets
        Indices (plane, row, column), shape (N, 3).
    spacing
        (between planes, between rows, between columns), mm.
    """
    if not len(targets) or not len(points):
        return np.full(len(points), np.inf)
    of_points, of_targets = _box(points), _box(targets)
    low = np.minimum(of_points[0], of_targets[0])
    shape = np.maximum(of_points[1], of_targets[1]) - low
    reach_mm = _reach_where_joined_mm(points, targets, spacing, shape)
    if reach_mm is None:
        return _asked_around(points - low, targets - low, spacing, shape)
    return _joined(points, targets, spacing, reach_mm)


def _box(points: IndexArray) -> tuple[IndexArray, IndexArray]:
    """First index and the one after the last, along each axis."""
    # Axis by axis: numpy takes the least of N rows of three many times slower than of three columns.
    low, high = ([int(f(points[:, axis])) for axis in range(3)] for f in (np.min, np.max))
    return np.array(low), np.array(high) + 1


def _reach_where_joined_mm(
    points: IndexArray, targets: IndexArray, spacing: FloatArray, shape: IndexArray
) -> float | None:
    """How far to search by joined planes, where that is the cheaper way; judged by a sample of points."""
    if len(points) < FEWEST_SAMPLED:
        return None
    # Fewer targets only make the distances longer, so the reach stays long enough.
    sample = _by_tree(points[::SAMPLE_STRIDE], targets[::TARGET_STRIDE], spacing)
    reach_mm = float(sample.max()) * 1.1 + float(spacing.max())
    columns = np.minimum(np.pi * sample**2 / (spacing[0] * spacing[2]), COLUMNS).mean()
    voxels = 2 * float(sample.mean()) / spacing[2]
    joining = JOIN_COST * 2 * reach_mm / spacing[0] * float(np.prod(shape)) + VOXEL_COST * voxels * len(points)
    return reach_mm if joining < COLUMN_COST * columns * len(points) else None


def _asked_around(points: IndexArray, targets: IndexArray, spacing: FloatArray, shape: IndexArray) -> FloatArray:
    """Each point asks the columns around it; a tree serves the few beyond the last one."""
    steps, squares = _columns_around(float(spacing[0]), float(spacing[2]))
    reach = np.abs(steps).max(axis=0)
    rows = int(shape[1])
    along = np.pad(_along_columns(targets, shape), ((reach[0],) * 2, (0, 0), (reach[1],) * 2), constant_values=rows)
    strides = np.array([rows * along.shape[2], along.shape[2], 1])
    along_squares = np.append((np.arange(rows) * spacing[1]) ** 2, np.inf)
    flat, moves = along.reshape(-1), steps @ strides[[0, 2]]
    places = (points + np.array([reach[0], 0, reach[1]])) @ strides
    distances = np.empty(len(points))
    for first in range(0, len(points), POINTS_AT_ONCE):
        part = slice(first, first + POINTS_AT_ONCE)
        distances[part] = np.sqrt(_nearest_square(flat, along_squares, places[part], moves, squares))
    return _corrected(distances, float(np.sqrt(squares[-1])), points, targets, spacing)


def _nearest_square(
    numbers: NDArray[np.int16], meaning: FloatArray, places: IndexArray, moves: IndexArray, squares: FloatArray
) -> FloatArray:
    """Least of value + square over the moves from each place; right where it is within the last square.

    `meaning` translates the numbers of voxels that are found there into values.
    """
    found, left, nearest = np.empty(len(places)), np.arange(len(places)), np.full(len(places), np.inf)
    for n, (move, square) in enumerate(zip(moves.tolist(), squares.tolist(), strict=True)):
        if n % STEPS_AT_ONCE == 0:
            is_open = nearest > square
            found[left[~is_open]] = nearest[~is_open]
            left, places, nearest = left[is_open], places[is_open], nearest[is_open]
            if not len(left):
                return found
        np.minimum(nearest, meaning.take(numbers.take(places + move)) + square, out=nearest)
    found[left] = nearest
    return found


def _joined(points: IndexArray, targets: IndexArray, spacing: FloatArray, reach_mm: float) -> FloatArray:
    """Columns of planes within reach are joined for whole rows of voxels; then each point asks along its row."""
    (low, high), (low_targets, high_targets) = _box(points), _box(targets)
    extent = np.maximum(high, high_targets) - np.minimum(low, low_targets)
    depth, side = (min(int(reach_mm / spacing[axis]), int(extent[axis]) - 1) for axis in (0, 2))
    # Columns are known where targets stand, all along the rows of either; values are wanted where points ask.
    start, stop = low_targets.copy(), high_targets.copy()
    start[1], stop[1] = min(low[1], start[1]), max(high[1], stop[1])
    along = _along_columns(targets - start, stop - start)
    along_squares = np.append((np.arange(along.shape[1]) * spacing[1]) ** 2, np.inf)
    left, width = int(low[2]) - side, int(high[2] - low[2]) + 2 * side
    to, own = _overlap(int(start[2]) - left, width, along.shape[2])
    planes = int(high[0] - low[0])
    rows_at_once = max(1, VOXELS_AT_ONCE // (planes * width))
    joined = np.full((planes, rows_at_once, width), np.inf)
    strides = np.array([rows_at_once * width, width, 1])
    windows = _windows(joined.reshape(-1), side, float(spacing[2]))
    order = np.argsort(points[:, 1], kind="stable")
    rows = points[order, 1]
    distances = np.empty(len(points))
    for row in range(int(low[1]), int(high[1]), rows_at_once):
        some = order[slice(*np.searchsorted(rows, [row, row + rows_at_once]))]
        squares = along_squares.take(along[:, row - start[1] : row - start[1] + rows_at_once, own])
        nearest = _of_planes(squares, planes, int(start[0] - low[0]), float(spacing[0]), depth)
        joined[:, : squares.shape[1], to] = nearest
        places = (points[some] - np.array([low[0], row, left])) @ strides
        distances[some] = np.sqrt(_least_of_row(joined.reshape(-1), places, windows, float(spacing[2])))
    # What was not searched lies at least one plane or one voxel of the row further off, or outside of all targets.
    beyond = [(n + 1) * float(spacing[axis]) for axis, n in ((0, depth), (2, side)) if n + 1 < extent[axis]]
    return _corrected(distances, min(beyond, default=np.inf), points, targets, spacing)


def _of_planes(squares: FloatArray, planes: int, first: int, step_mm: float, depth: int) -> FloatArray:
    """Least of square + square of the distance between planes, where the squares stand on planes from `first` on."""
    nearest, raised = np.full((planes, *squares.shape[1:]), np.inf), np.empty_like(squares)
    for k in range(depth + 1):
        np.add(squares, (k * step_mm) ** 2, out=raised)
        for shift in {k, -k}:
            to, source = _overlap(first + shift, planes, len(raised))
            np.minimum(nearest[to], raised[source], out=nearest[to])
    return nearest


def _overlap(offset: int, size: int, other_size: int) -> tuple[slice, slice]:
    """Where a stretch of `other_size` that begins at `offset` lies in one of `size`, and which part of it does."""
    begin, end = max(0, offset), max(0, offset, min(size, offset + other_size))
    return slice(begin, end), slice(begin - offset, end - offset)


def _windows(values: FloatArray, side: int, step_mm: float) -> list[tuple[int, FloatArray, FloatArray]]:
    """Half width, windows from every voxel on, and squares of the distance from their middle; up to `side` voxels."""
    halves = [n for n in HALF_WINDOWS if n < side] + [side]
    offsets_mm = [np.asarray(np.arange(-n, n + 1) * step_mm, dtype=np.float64) for n in halves]
    return [(n, sliding_window_view(values, 2 * n + 1), mm * mm) for n, mm in zip(halves, offsets_mm, strict=True)]


def _least_of_row(
    values: FloatArray, places: IndexArray, windows: list[tuple[int, FloatArray, FloatArray]], step_mm: float
) -> FloatArray:
    """Least of value + square of the distance along the row, as far from each place as the windows reach."""
    # A voxel further off than the place's own value says cannot hold anything nearer.
    needed = np.minimum(np.sqrt(values.take(places)) / step_mm, windows[-1][0])
    least = np.empty(len(places))
    before = -1
    for half, around, squares in windows:
        chosen = np.flatnonzero((needed > before) & (needed <= half))
        step = VOXELS_AT_ONCE // (2 * half + 1) + 1
        for some in (chosen[first : first + step] for first in range(0, len(chosen), step)):
            found = around[places[some] - half]
            found += squares
            least[some] = found.min(axis=1)
        before = half
    return least


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
def _columns_around(sz: float, sx: float) -> tuple[IndexArray, FloatArray]:
    """Steps (planes, columns of voxels) to the columns around by ascending distance; squares of those."""
    reach = float(np.sqrt(COLUMNS * sz * sx / np.pi))
    sides = [np.arange(-n, n + 1) for n in (int(reach / sz), int(reach / sx))]
    steps = np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1).reshape(-1, 2)
    squares = (steps * [sz, sx]) ** 2 @ np.ones(2)
    order = np.argsort(squares, kind="stable")
    order = order[squares[order] <= reach**2]
    return steps[order], squares[order]
