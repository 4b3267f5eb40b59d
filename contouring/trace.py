"""Masks to rings along the cracks between pixels: exact for every mask, and the base of the smooth outlines.

The rings follow the sides of the pixel squares, so every vertex lies half a pixel from every pixel centre and no
rounding can move a pixel from one side to the other.
"""

import numpy as np
from numpy.typing import NDArray

from contouring.rings import Rings
from imaging.volume import Region

__all__ = ["trace_cracks", "unit_cracks"]

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.intp]

CHUNK_VOXELS = 1 << 19


def trace_cracks(region: Region) -> Rings:
    """The boundary of the union of a region's pixel squares, plane by plane.

    Vertices are corners only. Foreground lies on the right of each edge as seen on an image with row index downwards,
    so outer rings have positive area and holes a negative one. Where two pixels touch at a corner the ring turns
    towards the foreground: parts that are not 4-connected stay separate. Rings begin at the corner that comes first in
    row order and are sorted by plane, then by that corner.
    """
    crop = region.crop
    if not crop.any():
        return Rings.of([], [])
    step = max(1, CHUNK_VOXELS // (crop.shape[1] * crop.shape[2]))
    parts = [_trace_chunk(crop[k : k + step], k) for k in range(0, len(crop), step)]
    vertices = np.concatenate([p.columns_rows for p in parts])
    counts = np.concatenate([p.counts for p in parts])
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.intp)
    vertices += (region.start[2] - 0.5, region.start[1] - 0.5)
    return Rings(vertices, starts, np.concatenate([p.planes for p in parts]) + region.start[0])


def _trace_chunk(crop: NDArray[np.bool_], first_plane: int) -> Rings:
    """Rings of some planes with vertices in corner indices: corner (i, j) is the first corner of pixel (i, j)."""
    planes, rows, columns = crop.shape
    # Flat, each row followed by one empty column and each plane by one empty row: the pixel at the upper left of
    # corner n stands at n, the one at its right at n + 1, the ones below at n + width. Long runs are quick to compare.
    width = columns + 1
    size = planes * (rows + 1) * width
    padded = np.zeros(size + width + 2, dtype=np.bool_)
    padded[width + 1 : -1].reshape(planes, rows + 1, width)[:, :-1, :-1] = crop
    across = padded[1:] ^ padded[:-1]
    top, bottom = across[:size], across[width : width + size]
    saddle = padded[width : width + size] ^ padded[:size]
    saddle &= top
    saddle &= bottom
    turns = top ^ bottom
    turns |= saddle
    corner = np.flatnonzero(turns)
    if not len(corner):
        return Rings.of([], [])
    # Two copies of a saddle, one for each of the two rings that touch there: the first belongs to the segment at its
    # left. Foreground at the upper left joins the left and the upper segment, else the left and the lower one.
    twice = saddle[corner]
    node = np.repeat(corner, 1 + twice)
    second = np.zeros(len(node), dtype=np.bool_)
    second[1:] = node[1:] == node[:-1]
    plane, rest = np.divmod(node, (rows + 1) * width)
    j, i = np.divmod(rest, width)
    upper_left = padded[node]
    in_saddle = np.repeat(twice, 1 + twice)
    comes_later = in_saddle & (second ^ ~upper_left)
    along_row = np.arange(len(node), dtype=np.intp) ^ 1
    # Key and number in one word: sorting words is several times quicker than finding the order of keys.
    key = ((plane * width + i) * (rows + 1) + j) * 2 + comes_later
    bits = len(node).bit_length()
    column_order = np.sort(key << bits | np.arange(len(node))) & ((1 << bits) - 1)
    along_column = np.empty(len(node), dtype=np.intp)
    along_column[column_order[0::2]] = column_order[1::2]
    along_column[column_order[1::2]] = column_order[0::2]
    # Corners at which a horizontal edge begins when foreground is kept on the right: the left end of an edge with
    # foreground below it, the right end of one with foreground above it.
    is_left_end = np.arange(len(node)) % 2 == 0
    left_end = np.where(is_left_end, np.arange(len(node)), along_row)
    below = padded[node[left_end] + width + 1]
    departs = np.flatnonzero(is_left_end == below)
    # Numbers of the departures; the one after each in its ring.
    number = np.empty(len(node), dtype=np.intp)
    number[departs] = np.arange(len(departs))
    order, lengths = _walk(number[along_column[along_row[departs]]])
    half = departs[order]
    sequence = np.empty(2 * len(half), dtype=np.intp)
    sequence[0::2], sequence[1::2] = half, along_row[half]
    starts = np.concatenate([[0], np.cumsum(2 * lengths)]).astype(np.intp)
    vertices = np.stack([i[sequence], j[sequence]], axis=1).astype(np.float64)
    return Rings(vertices, starts, plane[sequence[starts[:-1]]] + first_plane)


def _walk(following: IndexArray) -> tuple[IndexArray, IndexArray]:
    """Closed paths of a permutation: all elements path by path from the smallest on, and the length of each path.

    In each round every element looks twice as far ahead, so that even the longest path takes few rounds.
    """
    number = np.arange(len(following), dtype=np.int64)
    # Smallest element seen ahead, and in the low half of the word how many steps ahead it stands. Once no window finds
    # anything smaller in the next one, all windows of a path have found the same.
    seen, jump, step = number << 32, following, 1
    while not np.array_equal(seen, nearer := np.minimum(seen, seen[jump] + step)):
        seen, jump, step = nearer, jump[jump], 2 * step
    first, ahead = seen >> 32, seen & 0xFFFFFFFF
    length = np.bincount(first, minlength=len(following))
    begin = np.cumsum(length) - length
    order = np.empty(len(following), dtype=np.intp)
    order[begin[first] + np.where(ahead > 0, length[first] - ahead, 0)] = number
    return order, length[length > 0]


def unit_cracks(rings: Rings) -> tuple[IndexArray, IndexArray, IndexArray, IndexArray]:
    """Crack rings cut into steps of one pixel side.

    Returns
    -------
    inside
        Column and row index of the foreground pixel at each step, shape (S, 2).
    outside
        Column and row index of the background pixel on the other side, shape (S, 2).
    starts
        Index of each ring's first step, and S at the end.
    planes
        Plane of each step.
    """
    here = rings.columns_rows
    move = here[rings.successors] - here
    length = np.abs(move).sum(axis=1)
    number = np.rint(length).astype(np.intp)
    direction = np.rint(move / length[:, None]).astype(np.intp)
    edge = np.repeat(np.arange(len(here), dtype=np.intp), number)
    before = np.cumsum(number) - number
    along = np.arange(len(edge), dtype=np.intp) - before[edge]
    d = direction[edge]
    twice = np.rint(2 * here[edge]).astype(np.intp) + 2 * along[:, None] * d + d
    right = np.stack([-d[:, 1], d[:, 0]], axis=1)
    total = np.concatenate([[0], np.cumsum(number)])
    return (twice + right) // 2, (twice - right) // 2, total[rings.starts].astype(np.intp), rings.vertex_planes[edge]
