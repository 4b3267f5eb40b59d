"""The smooth function whose zero line becomes a smooth outline, evaluated only beside the boundary.

From a mask it is a Gaussian (0.7 px) of the signed distance; from a model's probability it is the lead of this
structure over its strongest rival.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from imaging.volume import Region

__all__ = ["lead_across", "smoothed_distance_at"]

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.intp]

SIGMA_PX = 0.7
"""Width of the Gaussian over the signed distance (specification of contouring, 5.2)."""

RADIUS_PX = 3
"""Half width of the Gaussian's window: beyond it the weights are below 1e-4."""

REACH_PX = 5
"""Distances are exact up to here: a window beside the boundary sees none above 1 + 3 * sqrt(2) px."""

CHUNK_PIXELS = 1 << 17
"""Planes are taken together up to this size, so that the passes stay in the processor's cache."""


def smoothed_distance_at(region: Region, planes: IndexArray, columns_rows: IndexArray) -> FloatArray:
    """Gaussian of the signed in-plane distance (px, positive inside) at pixels beside the region's boundary.

    Parameters
    ----------
    region
        The mask; outside of the image counts as background.
    planes
        Plane of each pixel in the full grid, ascending.
    columns_rows
        Pixels (column, row), at most one pixel outside the region's box, shape (N, 2).
    """
    crop = region.crop
    margin = REACH_PX + RADIUS_PX + 1
    height, width = crop.shape[1] + 2 * margin, crop.shape[2] + 2 * margin
    step = max(1, CHUNK_PIXELS // (height * width))
    values = np.empty(len(planes), dtype=np.float64)
    local = planes - region.start[0]
    flat = (columns_rows[:, 1] - region.start[1] + margin) * width + columns_rows[:, 0] - region.start[2] + margin
    window = np.arange(-RADIUS_PX, RADIUS_PX + 1)
    taps = np.exp(-0.5 * (window / SIGMA_PX) ** 2)
    weights = (np.outer(taps, taps) / taps.sum() ** 2).astype(np.float32).reshape(-1)
    offsets = (window[:, None] * width + window[None, :]).reshape(-1)
    table = _distance_table()
    for k in range(0, len(crop), step):
        first, last = np.searchsorted(local, [k, k + step])
        if first == last:
            continue
        codes = _signed_squares(crop[k : k + step], margin).reshape(-1)
        at = (local[first:last] - k) * (height * width) + flat[first:last]
        pixels, back = np.unique(at, return_inverse=True)
        values[first:last] = (table[codes[pixels[:, None] + offsets]] @ weights)[back]
    return values


def _distance_table() -> NDArray[np.float32]:
    """Signed distance to the boundary (px) by the code of `_signed_squares`."""
    squares = np.arange(128, dtype=np.float32)
    distance = np.sqrt(squares) - np.float32(0.5)
    return np.concatenate([distance, -distance])


def _signed_squares(crop: NDArray[np.bool_], margin: int) -> NDArray[np.uint8]:
    """Squared distance to the nearest pixel of the other kind, capped; background has 128 added."""
    padded = np.pad(crop, ((0, 0), (margin, margin), (margin, margin)))
    cap = (REACH_PX + 1) ** 2
    to_background = _squares_to(~padded, cap)
    to_foreground = _squares_to(padded, cap)
    return np.where(padded, to_background, to_foreground + np.uint8(128))


def _squares_to(target: NDArray[np.bool_], cap: int) -> NDArray[np.uint8]:
    """Squared in-plane distance of every pixel to the nearest True one, capped."""
    squares = np.where(target, np.uint8(0), np.uint8(cap))
    for axis in (2, 1):
        source, squares = squares, squares.copy()
        for r in range(1, REACH_PX + 1):
            raised = source + np.uint8(r * r)
            ahead, behind = [slice(None)] * 3, [slice(None)] * 3
            ahead[axis], behind[axis] = slice(r, None), slice(None, -r)
            np.minimum(squares[tuple(behind)], raised[tuple(ahead)], out=squares[tuple(behind)])
            np.minimum(squares[tuple(ahead)], raised[tuple(behind)], out=squares[tuple(ahead)])
    return squares


def lead_across(
    region: Region, rivals: Sequence[Region], planes: IndexArray, inside: IndexArray, outside: IndexArray
) -> tuple[FloatArray, FloatArray]:
    """Lead of the region's probability over its rival, at the pixels on both sides of each step of its boundary.

    The rival of a step is whatever is most probable on its outer side: one of the given structures, or what remains to
    a sum of 1. Seen from that structure the same two probabilities are compared, so both get the same outline. Without
    given rivals the lead is the distance from 0.5. Outside the box of a region its probability counts as 0.

    Returns
    -------
    inner, outer
        Values at the inner and at the outer pixels.

    Raises
    ------
    ValueError
        A region has no probability.
    """
    own = [_probability_at(region, planes, pixels) for pixels in (inside, outside)]
    if not rivals:
        return own[0] - 0.5, own[1] - 0.5
    others = [np.stack([_probability_at(r, planes, pixels) for r in rivals]) for pixels in (inside, outside)]
    rest = [np.maximum(0, 1 - o - others[n].sum(axis=0)) for n, o in enumerate(own)]
    candidates = [np.concatenate([others[n], rest[n][None]]) for n in (0, 1)]
    strongest = candidates[1].argmax(axis=0)[None]
    inner, outer = (own[n] - np.take_along_axis(candidates[n], strongest, axis=0)[0] for n in (0, 1))
    return inner, outer


def _probability_at(region: Region, planes: IndexArray, columns_rows: IndexArray) -> FloatArray:
    if region.probability is None:
        raise ValueError("the region has no probability")
    index = np.stack([planes, columns_rows[:, 1], columns_rows[:, 0]], axis=1) - region.start
    inside = ((index >= 0) & (index < region.crop.shape)).all(axis=1)
    values = np.zeros(len(planes), dtype=np.float64)
    k, j, i = index[inside].T
    values[inside] = region.probability[k, j, i]
    return values
