"""Masks to rings along the cracks between pixels: exact for every mask, and the base of the smooth outlines.

The rings follow the sides of the pixel squares, so every vertex lies half a pixel from every pixel centre and no
rounding can move a pixel from one side to the other.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from contouring.rings import Rings
from imaging.volume import Region

__all__ = ["UnitCracks", "trace_cracks", "unit_cracks"]

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.intp]
WordArray = NDArray[np.uint64]

CHUNK_VOXELS = 1 << 21
"""Planes are taken together up to this size, so that the corners stay in the processor's cache."""

WORD_BITS = 64


@dataclass(frozen=True, eq=False)
class UnitCracks:
    """The sides of pixels that rings run along, in their order, each between a foreground and a background pixel.

    Parameters
    ----------
    columns, rows
        Middle of each side.
    outward_columns, outward_rows
        Step from the foreground to the background pixel: -1, 0 or 1.
    starts
        Index of each ring's first step, and their number at the end.
    ring_planes
        Plane of each ring.
    """

    columns: FloatArray
    rows: FloatArray
    outward_columns: FloatArray
    outward_rows: FloatArray
    starts: IndexArray
    ring_planes: IndexArray

    @cached_property
    def planes(self) -> IndexArray:
        """Plane of each step."""
        return np.repeat(self.ring_planes, np.diff(self.starts))

    @property
    def inside(self) -> IndexArray:
        """Column and row index of the foreground pixel at each step, shape (S, 2)."""
        return self._pixels(-0.5)

    @property
    def outside(self) -> IndexArray:
        """Column and row index of the background pixel on the other side, shape (S, 2)."""
        return self._pixels(0.5)

    def _pixels(self, way: float) -> IndexArray:
        sides = (self.columns + way * self.outward_columns, self.rows + way * self.outward_rows)
        return np.rint(np.stack(sides, axis=1)).astype(np.intp)


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
    rows = crop.shape[1]
    here, left = _packed(crop)
    # Around a corner: the pixels below and right of it in `here`, below and left in `left`, those above one row up.
    top, bottom = (here ^ left)[:, :-1], (here ^ left)[:, 1:]
    saddle = top & bottom & (here[:, :-1] ^ here[:, 1:])
    turns = (top ^ bottom) | saddle
    width = WORD_BITS * turns.shape[2]
    octets = turns.reshape(-1).view(np.uint8)
    filled = np.flatnonzero(octets != 0)
    if not len(filled):
        return Rings.of([], [])
    # As truth values, which are found several times quicker than numbers that are not zero.
    bits = np.flatnonzero(np.unpackbits(octets[filled], bitorder="little").view(np.bool_))
    corner = filled[bits >> 3] * 8 + (bits & 7)
    # Two copies of a saddle, one for each of the two rings that touch there: the first belongs to the segment at its
    # left. Foreground at the upper left joins the left and the upper segment, else the left and the lower one.
    node = corner
    downwards = np.arange(len(corner), dtype=np.intp)
    if saddle.any():
        twice = _bits_at(saddle, corner)
        node = np.repeat(corner, 1 + twice)
        downwards = np.arange(len(node), dtype=np.intp)
        first = np.flatnonzero(node[1:] == node[:-1])
        exchanged = first[~_bits_at(left[:, :-1], node[first])]
        downwards[exchanged], downwards[exchanged + 1] = exchanged + 1, exchanged
    # Dividing and multiplying back is many times quicker than numpy's `divmod`.
    line = node // width
    i, plane = node - line * width, line // (rows + 1)
    j = line - plane * (rows + 1)
    along_row = np.arange(len(node), dtype=np.intp) ^ 1
    # Short keys are sorted by their digits, which is several times quicker than comparing; order within a column stays.
    column = i.astype(np.uint16) if width <= 1 << 16 else i
    column_order = downwards[np.argsort(column, kind="stable")]
    along_column = np.empty(len(node), dtype=np.intp)
    along_column[column_order[0::2]] = column_order[1::2]
    along_column[column_order[1::2]] = column_order[0::2]
    # Corners at which a horizontal edge begins when foreground is kept on the right: the left end of an edge with
    # foreground below it, the right end of one with foreground above it.
    departs = np.arange(0, len(node), 2, dtype=np.intp) + ~_bits_at(here[:, 1:], node[0::2])
    # Numbers of the departures; the one after each in its ring.
    order, lengths = _walk(along_column[along_row[departs]] // 2)
    half = departs[order]
    sequence = np.empty(2 * len(half), dtype=np.intp)
    sequence[0::2], sequence[1::2] = half, along_row[half]
    starts = np.concatenate([[0], np.cumsum(2 * lengths)]).astype(np.intp)
    vertices = np.empty((len(sequence), 2))
    vertices[:, 0], vertices[:, 1] = i[sequence], j[sequence]
    return Rings(vertices, starts, plane[sequence[starts[:-1]]] + first_plane)


def _packed(crop: NDArray[np.bool_]) -> tuple[WordArray, WordArray]:
    """Each row's pixels as bits of words, and the same moved right by one; an empty row before and after each plane."""
    planes, rows, columns = crop.shape
    words = columns // WORD_BITS + 1
    here = np.zeros((planes, rows + 2, words), dtype="<u8")
    packed = np.packbits(crop, axis=2, bitorder="little")
    here.view(np.uint8)[:, 1:-1, : packed.shape[2]] = packed
    left = here << np.uint64(1)
    left[:, :, 1:] |= here[:, :, :-1] >> np.uint64(WORD_BITS - 1)
    return here, left


def _bits_at(words: WordArray, index: IndexArray) -> NDArray[np.bool_]:
    """Bits by their index through all words, counted along rows and planes."""
    number = index // WORD_BITS
    bit = (index - number * WORD_BITS).astype(np.uint64)
    flat = np.ascontiguousarray(words).reshape(-1)
    return ((flat[number] >> bit) & np.uint64(1)).astype(np.bool_)


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


def unit_cracks(rings: Rings) -> UnitCracks:
    """Crack rings cut into steps of one pixel side."""
    here_u, here_w = (np.ascontiguousarray(part) for part in rings.columns_rows.T)
    move_u, move_w = here_u[rings.successors] - here_u, here_w[rings.successors] - here_w
    number = (np.abs(move_u) + np.abs(move_w)).astype(np.intp)
    along_u, along_w = np.sign(move_u), np.sign(move_w)
    total = np.concatenate([[0], np.cumsum(number)]).astype(np.intp)
    # A step's middle is its edge's beginning plus half a side plus one side for each step before it on the edge.
    begin = total[:-1] - 0.5
    count = np.arange(total[-1], dtype=np.float64)
    step_u, step_w = np.repeat(along_u, number), np.repeat(along_w, number)
    return UnitCracks(
        columns=np.repeat(here_u - begin * along_u, number) + count * step_u,
        rows=np.repeat(here_w - begin * along_w, number) + count * step_w,
        outward_columns=step_w,
        outward_rows=-step_u,
        starts=total[rings.starts],
        ring_planes=rings.planes,
    )
