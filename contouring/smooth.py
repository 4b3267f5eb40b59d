"""Smooth outlines that read back as the same mask, and enclose the same area.

Between a foreground pixel and its background neighbour there is one vertex; where exactly follows from a smooth field
(`contouring.field`). The field is clamped so that no vertex comes nearer than 0.02 px to a pixel centre, and shifted by
a level per plane so that the outlines enclose as much as the pixels do.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contouring.field import lead_across, smoothed_distance_at
from contouring.rings import Rings
from contouring.trace import trace_cracks, unit_cracks
from imaging.volume import Region

__all__ = ["smooth_rings"]

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.intp]
BoolArray = NDArray[np.bool_]

CLAMP = 0.02
"""Least distance of the field from zero at a pixel, and of a vertex from a pixel centre in px (specification, 5.2)."""

SPECK_PX = 2.0
"""Parts and holes up to this many pixels get a field of their own: the Gaussian would shrink them to a point."""

SPECK_REACH_PX = 0.6
"""How far the outline of such a speck runs from its pixels' centres: one pixel keeps 0.72 of its area, not 0.001."""

SIMPLIFY_PX = 0.05
"""How far simplification may move the outline (specification, 5.2, allows 0.1)."""

SIMPLIFY_PASSES = 5
LEVEL_STEPS = 12

AREA_TOLERANCE = 1e-4
"""Relative area error of a plane below which its level is not refined further."""


@dataclass(frozen=True, eq=False)
class _Steps:
    """The cracks of a mask: at each, a pixel, the step to its outer neighbour, and where the outline crosses it."""

    inside: FloatArray
    outward: FloatArray
    starts: IndexArray
    planes: IndexArray
    ring_planes: IndexArray
    field_inside: FloatArray
    field_outside: FloatArray

    def crossing(self, level: FloatArray, chosen: IndexArray | None = None) -> FloatArray:
        """Share of the way outwards at which the outline crosses, for each plane's level."""
        pick = slice(None) if chosen is None else chosen
        shift = level[self.planes[pick]]
        within = np.clip(self.field_inside[pick] + shift, CLAMP, 1.0)
        beyond = np.clip(self.field_outside[pick] + shift, -1.0, -CLAMP)
        return np.clip(within / (within - beyond), CLAMP, 1 - CLAMP)

    def rings(self, level: FloatArray, chosen: IndexArray, starts: IndexArray) -> Rings:
        vertices = self.inside[chosen] + self.crossing(level, chosen)[:, None] * self.outward[chosen]
        return Rings(vertices, starts, self.ring_planes)


def smooth_rings(
    region: Region, *, rivals: Sequence[Region] | None = None, keep_area: bool = True, simplify: bool = True
) -> Rings:
    """Smooth outlines of a region, plane by plane; read half-open they give the region again.

    Parameters
    ----------
    region
        The mask; with a probability the outline follows its 0.5 line as far as the mask allows.
    rivals
        Regions of the other structures, with probabilities: the outline then follows the line on which the structure
        ceases to lead, so that neighbours share one edge. It implies `keep_area=False, simplify=False`, because both
        would move the two sides apart.
    keep_area
        Shift the level of each plane until the outlines enclose as many pixels as the mask has.
    simplify
        Drop vertices where the outline moves by at most 0.05 px and no pixel changes sides.

    Returns
    -------
    Rings
        In the order and direction of `trace_cracks`, whose rings they follow one by one.

    Raises
    ------
    ValueError
        Rivals are given, and a structure has no probability.
    """
    cracks = trace_cracks(region)
    if not len(cracks):
        return cracks
    steps = _steps_of(region, cracks, rivals)
    level = np.zeros(region.shape[0])
    target = np.asarray(np.bincount(cracks.planes, cracks.areas, region.shape[0]), dtype=np.float64)
    every = np.arange(len(steps.planes), dtype=np.intp)
    if rivals is not None:
        return steps.rings(level, every, steps.starts)
    if not simplify:
        return steps.rings(_levels(steps, every, steps.starts, target) if keep_area else level, every, steps.starts)
    if keep_area:
        level = _levels(steps, every, steps.starts, target, evaluations=3)
    kept = _simplified(steps, level)
    starts = np.searchsorted(kept, steps.starts).astype(np.intp)
    if keep_area:
        level = _levels(steps, kept, starts, target)
    kept = _restored(steps, level, kept)
    return steps.rings(level, kept, np.searchsorted(kept, steps.starts).astype(np.intp))


def _steps_of(region: Region, cracks: Rings, rivals: Sequence[Region] | None) -> _Steps:
    inside, outside, starts, planes = unit_cracks(cracks)
    if region.probability is not None or rivals is not None:
        field_inside, field_outside = lead_across(region, rivals or (), planes, inside, outside)
    else:
        both = smoothed_distance_at(region, np.repeat(planes, 2), np.stack([inside, outside], axis=1).reshape(-1, 2))
        field_inside, field_outside = both[0::2], both[1::2]
    if rivals is None:
        _hold_specks(cracks.areas, starts, field_inside, field_outside)
    return _Steps(
        inside.astype(np.float64), (outside - inside).astype(np.float64), starts, planes, cracks.planes,
        field_inside, field_outside,
    )  # fmt: skip


def _hold_specks(areas: FloatArray, starts: IndexArray, field_inside: FloatArray, field_outside: FloatArray) -> None:
    """Overwrite the field along tiny rings, so that parts and holes of one or two pixels stay visible."""
    counts = np.diff(starts)
    for sign, inner in ((1, SPECK_REACH_PX), (-1, 1 - SPECK_REACH_PX)):
        steps = np.repeat((sign * areas > 0) & (np.abs(areas) <= SPECK_PX), counts)
        field_inside[steps], field_outside[steps] = inner, inner - 1


def _levels(
    steps: _Steps, chosen: IndexArray, starts: IndexArray, target: FloatArray, evaluations: int = LEVEL_STEPS
) -> FloatArray:
    """Level of each plane at which its outlines enclose the target area: Illinois method, all planes at once."""

    def excess(level: FloatArray) -> FloatArray:
        rings = steps.rings(level, chosen, starts)
        return np.bincount(rings.planes, rings.areas, len(target)) - target

    low, high = np.full(len(target), -1.0), np.full(len(target), 1.0)
    at_low, at_high = -target, np.maximum(target, 1.0)
    best, level = np.zeros(len(target)), np.zeros(len(target))
    smallest = np.full(len(target), np.inf)
    side = np.zeros(len(target), dtype=np.int8)
    for _ in range(evaluations):
        value = excess(level)
        better = np.abs(value) < smallest
        best[better], smallest[better] = level[better], np.abs(value[better])
        if (smallest <= AREA_TOLERANCE * target).all():
            break
        over = value > 0
        at_low = np.where(over & (side > 0), at_low / 2, at_low)
        at_high = np.where(~over & (side < 0), at_high / 2, at_high)
        side = np.where(over, 1, -1).astype(np.int8)
        high, at_high = np.where(over, level, high), np.where(over, value, at_high)
        low, at_low = np.where(over, low, level), np.where(over, at_low, value)
        width = at_high - at_low
        level = np.where(width > 0, low - at_low * (high - low) / np.where(width > 0, width, 1), (low + high) / 2)
    return best


def _simplified(steps: _Steps, level: FloatArray) -> IndexArray:
    """The steps whose vertices stay when every second vertex is offered for removal, pass after pass."""
    t = steps.crossing(level)
    vertices = steps.inside + t[:, None] * steps.outward
    kept = np.arange(len(vertices), dtype=np.intp)
    for _ in range(SIMPLIFY_PASSES):
        starts = np.searchsorted(kept, steps.starts).astype(np.intp)
        counts = np.diff(starts)
        place = np.arange(len(kept)) - np.repeat(starts[:-1], counts)
        count = np.repeat(counts, counts)
        offered = np.flatnonzero((place % 2 == 1) & (count >= 8))
        if not len(offered):
            break
        gone = offered[_chord_fits(steps, t, vertices, kept, starts, offered, reach=2)]
        if not len(gone):
            break
        kept = np.delete(kept, gone)
    return kept


def _restored(steps: _Steps, level: FloatArray, kept: IndexArray) -> IndexArray:
    """The kept steps, and all those whose chord no longer separates its pixels after the level has moved."""
    t = steps.crossing(level)
    vertices = steps.inside + t[:, None] * steps.outward
    starts = np.searchsorted(kept, steps.starts).astype(np.intp)
    every = np.arange(1, len(kept) + 1, dtype=np.intp)
    fits = _chord_fits(steps, t, vertices, kept, starts, every, reach=1, tolerance_px=2 * SIMPLIFY_PX)
    ends = np.concatenate([kept[1:], [len(vertices)]])
    missing = [np.arange(kept[n] + 1, ends[n]) for n in np.flatnonzero(~fits)]
    return np.sort(np.concatenate([kept, *missing])).astype(np.intp)


def _chord_fits(
    steps: _Steps,
    t: FloatArray,
    vertices: FloatArray,
    kept: IndexArray,
    starts: IndexArray,
    offered: IndexArray,
    *,
    reach: int,
    tolerance_px: float = SIMPLIFY_PX,
) -> BoolArray:
    """Whether the straight line from the vertex before each offered one to the one `reach` later may replace it.

    The line must cross every step that it replaces between the two pixel centres, no further than the tolerance from
    where the outline crosses now. Then it passes the same pixels on the same sides.
    """
    before = offered - 1
    after = before + reach
    ring = np.searchsorted(starts, before, side="right") - 1
    wraps = after >= starts[ring + 1]
    begin = kept[before]
    end_exclusive = np.where(wraps, steps.starts[ring + 1], kept[np.minimum(after, len(kept) - 1)])
    target = np.where(wraps, steps.starts[ring], kept[np.minimum(after, len(kept) - 1)])
    number = end_exclusive - begin - 1
    owner = np.repeat(np.arange(len(offered)), number)
    first = np.cumsum(number) - number
    step = np.arange(len(owner)) - first[owner] + begin[owner] + 1
    a, b = vertices[begin][owner], vertices[target][owner]
    pixel, outward = steps.inside[step], steps.outward[step]
    along_u = outward[:, 0] != 0
    run = b - a
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(along_u, (pixel[:, 1] - a[:, 1]) / run[:, 1], (pixel[:, 0] - a[:, 0]) / run[:, 0])
        at = np.where(
            along_u,
            (a[:, 0] + share * run[:, 0] - pixel[:, 0]) * outward[:, 0],
            (a[:, 1] + share * run[:, 1] - pixel[:, 1]) * outward[:, 1],
        )
        good = (share >= 0) & (share <= 1) & (np.abs(at - t[step]) <= tolerance_px) & (at >= CLAMP) & (at <= 1 - CLAMP)
    bad = np.bincount(owner, ~good, len(offered))
    return np.asarray(bad == 0)
