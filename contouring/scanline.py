"""Rings to masks: the half-open even-odd scanline, and exact partial coverage.

A pixel belongs to a set of rings when the number of crossings of its row at or left of its centre is odd. Edges at
smaller column or row index belong to the region, the opposite ones do not, so two structures that share an edge neither
overlap nor leave a gap. Everything is computed for all planes at once as runs along rows.
"""

import numpy as np
from numpy.typing import NDArray

from contouring.rings import Rings
from contouring.runs import Runs

__all__ = ["SUBROWS", "coverage_of", "crossings", "runs_of"]

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.intp]

SNAP_PX = 1e-6
"""Coordinates this near to a pixel centre are on it (specification of contouring, 4.4): well above the noise of the
arithmetic, well below the 0.001 mm to which coordinates are written."""

SUBROWS = 16
"""Sub-scanlines per row in coverage mode: area of discs within 0.09 % at r = 1.5 px (specification, 4.6)."""

CHUNK_VOXELS = 1 << 22


def snapped(values: FloatArray) -> FloatArray:
    """The values, those within the snapping tolerance of an integer moved onto it."""
    near = np.rint(values)
    return np.where(np.abs(values - near) <= SNAP_PX, near, values)


def crossings(rings: Rings, rows: int, subrows: int = 1) -> tuple[IndexArray, IndexArray, FloatArray]:
    """Where the rings cross the scanlines of the image rows.

    Parameters
    ----------
    rings
        The rings.
    rows
        Number of rows of a plane; crossings of other rows are left out.
    subrows
        Scanlines per row: with 1 they pass through the pixel centres, else they divide each row evenly.

    Returns
    -------
    lines
        Scanline of each crossing, counted through all planes.
    edges
        Index of the edge's first vertex.
    columns
        Column index of the crossing.
    """
    u, w = snapped(rings.columns_rows[:, 0]), snapped(rings.columns_rows[:, 1])
    if subrows > 1:
        w = (w + 0.5) * subrows - 0.5
    after = rings.successors
    # The first scanline at or after each vertex; an edge crosses those from its upper end's to before its lower end's.
    nearest = np.clip(np.ceil(w), 0, rows * subrows).astype(np.intp)
    nearest_after = nearest[after]
    number = np.abs(nearest_after - nearest)
    edges = np.repeat(np.arange(len(u), dtype=np.intp), number)
    number_before = np.cumsum(number) - number
    line = np.arange(len(edges), dtype=np.intp) + (np.minimum(nearest, nearest_after) - number_before)[edges]
    other = after[edges]
    flip = w[edges] > w[other]
    first, last = np.where(flip, other, edges), np.where(flip, edges, other)
    u0, w0 = u[first], w[first]
    columns = u0 + (u[last] - u0) * ((line - w0) / (w[last] - w0))
    return rings.vertex_planes[edges] * (rows * subrows) + line, edges, columns


def runs_of(rings: Rings, shape: tuple[int, int, int], *, inclusive: bool = False) -> Runs:
    """The voxels whose centres lie inside the rings: even-odd over all rings of a plane, half-open.

    Parameters
    ----------
    rings
        The rings, with planes that exist in `shape`.
    shape
        (planes, rows, columns) of the grid. What lies outside is cut.
    inclusive
        Whether centres on the path count too (within 1e-6 px), as DICOM says of a region's border.
    """
    rows, columns = shape[1], shape[2]
    line, _, at = crossings(rings, rows)
    column = np.clip(np.ceil(snapped(at)), 0, columns).astype(np.intp)
    # Along a ring the rows rise and fall in long runs, which a stable sort merges.
    keys = np.sort(line * (columns + 1) + column, kind="stable")
    # Dividing and multiplying back is many times quicker than numpy's `divmod`.
    lines = keys[0::2] // (columns + 1)
    firsts, ends = keys[0::2] - lines * (columns + 1), keys[1::2] - lines * (columns + 1)
    filled = ends > firsts
    runs = Runs(lines[filled], firsts[filled], ends[filled], shape)
    return _with_path(runs, rings) if inclusive else runs


def _with_path(runs: Runs, rings: Rings) -> Runs:
    """The runs and every pixel whose centre lies on the path."""
    rows, columns = runs.shape[1], runs.shape[2]
    line, _, at = crossings(rings, rows)
    hit = np.abs(at - np.rint(at)) <= SNAP_PX
    lines, firsts = [runs.lines, line[hit]], [runs.firsts, np.rint(at[hit]).astype(np.intp)]
    ends = [runs.ends, firsts[1] + 1]
    u, w = snapped(rings.columns_rows[:, 0]), snapped(rings.columns_rows[:, 1])
    after = rings.successors
    level = (w == w[after]) & (w == np.rint(w)) & (w >= 0) & (w < rows)
    top = (w == np.rint(w)) & (w >= 0) & (w < rows) & (u == np.rint(u))
    for chosen, low, high in (
        (level, np.minimum(u, u[after]), np.maximum(u, u[after])),
        (top, u, u),
    ):
        lines.append(rings.vertex_planes[chosen] * rows + w[chosen].astype(np.intp))
        firsts.append(np.ceil(low[chosen]).astype(np.intp))
        ends.append(np.floor(high[chosen]).astype(np.intp) + 1)
    return _union(np.concatenate(lines), np.concatenate(firsts), np.concatenate(ends), (runs.shape[0], rows, columns))


def _union(lines: IndexArray, firsts: IndexArray, ends: IndexArray, shape: tuple[int, int, int]) -> Runs:
    """Runs of the union of intervals that may overlap."""
    columns = shape[2]
    firsts, ends = np.clip(firsts, 0, columns), np.clip(ends, 0, columns)
    filled = ends > firsts
    lines, firsts, ends = lines[filled], firsts[filled], ends[filled]
    order = np.lexsort((firsts, lines))
    lines, firsts, ends = lines[order], firsts[order], ends[order]
    if not len(lines):
        return Runs(lines, firsts, ends, shape)
    stride = columns + 2
    reach = np.maximum.accumulate(lines * stride + ends)
    begins = np.ones(len(lines), dtype=np.bool_)
    begins[1:] = lines[1:] * stride + firsts[1:] > reach[:-1]
    last = np.concatenate([np.flatnonzero(begins)[1:] - 1, [len(lines) - 1]])
    return Runs(lines[begins], firsts[begins], reach[last] - lines[begins] * stride, shape)


def coverage_of(rings: Rings, shape: tuple[int, int, int]) -> tuple[NDArray[np.float32], tuple[int, int, int]]:
    """Share of each pixel's area that lies inside the rings (even-odd over all rings of a plane).

    Sixteen sub-scanlines per row, on each the exact overlap of the spans with the pixels.

    Returns
    -------
    crop
        Values 0 to 1 over the box of the rings, clipped to the image.
    start
        Index (k, j, i) of the box's first voxel.
    """
    if not len(rings.columns_rows):
        return np.zeros((0, 0, 0), dtype=np.float32), (0, 0, 0)
    low = np.floor(rings.columns_rows.min(axis=0) + 0.5).astype(int)
    high = np.floor(rings.columns_rows.max(axis=0) + 0.5).astype(int) + 1
    i0, j0 = (int(np.clip(v, 0, s)) for v, s in zip(low, (shape[2], shape[1]), strict=True))
    i1, j1 = (int(np.clip(v, 0, s)) for v, s in zip(high, (shape[2], shape[1]), strict=True))
    k0, k1 = int(rings.planes.min()), int(rings.planes.max()) + 1
    crop = np.zeros((k1 - k0, max(j1 - j0, 0), max(i1 - i0, 0)), dtype=np.float32)
    if not crop.size:
        return crop, (k0, j0, i0)
    line, _, at = crossings(rings, shape[1], SUBROWS)
    order = np.lexsort((at, line))
    line, at = line[order], np.clip(at[order] + 0.5 - i0, 0, i1 - i0)
    sign = np.where(np.arange(len(line)) % 2, -1.0, 1.0)
    plane, row = np.divmod(line // SUBROWS, shape[1])
    inside = (row >= j0) & (row < j1)
    width = i1 - i0 + 2
    step = max(1, CHUNK_VOXELS // ((j1 - j0) * width))
    for first in range(0, k1 - k0, step):
        count = min(step, k1 - k0 - first)
        chosen = inside & (plane >= k0 + first) & (plane < k0 + first + count)
        cell = np.floor(at[chosen]).astype(np.intp)
        share = at[chosen] - cell
        base = ((plane[chosen] - k0 - first) * (j1 - j0) + row[chosen] - j0) * width + cell
        size = count * (j1 - j0) * width
        change = np.bincount(base, sign[chosen] * (1 - share), size) + np.bincount(base + 1, sign[chosen] * share, size)
        filled = np.cumsum(change.reshape(count, j1 - j0, width), axis=2)[:, :, : i1 - i0] / SUBROWS
        filled[np.abs(filled) < 1e-9] = 0
        crop[first : first + count] = np.clip(filled, 0, 1)
    return crop, (k0, j0, i0)
