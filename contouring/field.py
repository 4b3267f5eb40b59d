"""The lead of a structure's probability over its strongest rival, beside the boundary: where a smooth outline runs."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from imaging.volume import Region

__all__ = ["lead_across"]

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.intp]


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
