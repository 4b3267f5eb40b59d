"""Lines of equal value on a plane by marching squares: straight pieces through the cells, exact on their edges."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["level_segments"]

FloatArray = NDArray[np.float64]

# Edges of a cell: 0 top, 1 right, 2 bottom, 3 left. Corners by bit: 1 top left, 2 top right, 4 bottom right, 8 bottom
# left. Saddles (5 and 10) are cut so that the high corners stay apart.
PIECES: dict[int, tuple[tuple[int, int], ...]] = {
    1: ((3, 0),), 2: ((0, 1),), 3: ((3, 1),), 4: ((1, 2),), 5: ((3, 0), (1, 2)), 6: ((0, 2),), 7: ((3, 2),),
    8: ((2, 3),), 9: ((2, 0),), 10: ((0, 1), (2, 3)), 11: ((2, 1),), 12: ((1, 3),), 13: ((1, 0),), 14: ((0, 3),),
}  # fmt: skip


def level_segments(values: NDArray[np.floating], level: float) -> FloatArray:
    """The line of a level, shape (N, 2, 2): two ends of each piece as (row, column); cells with NaN have none.

    A value equal to the level counts as above it.
    """
    v = np.asarray(values, dtype=np.float64)
    corners = v[:-1, :-1], v[:-1, 1:], v[1:, 1:], v[1:, :-1]
    high = [c >= level for c in corners]
    kind = sum(h.astype(np.int8) << bit for bit, h in enumerate(high))
    kind = np.where(np.isnan(sum(corners)), 0, kind)
    rows, columns = np.nonzero((kind > 0) & (kind < 15))
    if not len(rows):
        return np.empty((0, 2, 2))
    kinds = np.asarray(kind)[rows, columns]
    tl, tr, br, bl = (c[rows, columns] for c in corners)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = [(level - a) / (b - a) for a, b in ((tl, tr), (tr, br), (bl, br), (tl, bl))]
    ends = np.stack(
        [
            np.stack([rows, columns + shares[0]], axis=1),
            np.stack([rows + shares[1], columns + 1.0], axis=1),
            np.stack([rows + 1.0, columns + shares[2]], axis=1),
            np.stack([rows + shares[3], columns], axis=1),
        ],
        axis=1,
    )
    found = [
        np.stack([ends[mine, a], ends[mine, b]], axis=1)
        for number, pieces in PIECES.items()
        if len(mine := np.flatnonzero(kinds == number))
        for a, b in pieces
    ]
    return np.concatenate(found)
