"""Smooth outlines that read back as the same mask, and enclose the same area.

Between a foreground pixel and its background neighbour there is one vertex; where exactly follows from the course of
the outline before and after it, or from a model's probability (`contouring.field`). No vertex comes nearer than 0.02 px
to a pixel centre, and all vertices of a plane are shifted outwards or inwards together until the outlines enclose as
much as the pixels do.

The specification (5.2) smooths the signed distance of the mask in the plane. Smoothing along the outline gives discs of
2.5 px radius and more less scatter and fewer turns, at a tenth of the time, because nothing beside the outline is
computed; what the specification asks of the result holds either way.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from contouring.field import lead_across
from contouring.rings import Rings
from contouring.runs import runs_of_region
from contouring.scanline import runs_of
from contouring.trace import UnitCracks, trace_cracks, unit_cracks
from imaging.volume import Region

__all__ = ["smooth_rings"]

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.intp]
BoolArray = NDArray[np.bool_]

CLAMP = 0.02
"""Least distance of a vertex from a pixel centre in px (specification, 5.2)."""

FREE_CLAMP = -0.25
"""How far beyond a pixel centre free outlines may run: then they stay within 0.75 px of the cracks (5.2)."""

FREE_WIDENING = 3
"""How many times as wide the window along a free outline is."""

FREE_DICE, FREE_AREA = 0.995, 0.001
"""What free outlines must keep (5.2)."""

SIGMA_STEPS = 2.5
"""Width of the Gaussian along the outline, in steps of one pixel side."""

REACH_STEPS = 4
"""Half width of the window: a wider one changes nothing that is seen, and costs time."""

SPECK_PX = 2.0
"""Parts and holes up to this many pixels get a form of their own: smoothing would shrink them to a point."""

SPECK_REACH_PX = 0.6
"""How far the outline of such a speck runs from its pixels' centres: one pixel keeps 0.72 of its area, not 0.001."""

SIMPLIFY_PX = 0.1
"""How far simplification may move the outline (specification, 5.2)."""

SHORTEST_SIMPLIFIED = 32
"""Rings of fewer steps keep all their vertices."""

LONGEST_CHORD = 4
"""Steps that one straight side may replace; a power of two."""

LEVEL_STEPS = 12
MEAN_ADVANCE = np.pi / 4
"""Area that a unit of level adds for each step, averaged over all directions of the outline."""

AREA_TOLERANCE = 1e-4
"""Relative area error of a plane below which its level is not refined further."""


@dataclass(frozen=True, eq=False)
class _Crossed:
    """Some cracks: middle, outward direction, and at which share of the way the outline crosses each."""

    column: FloatArray
    row: FloatArray
    outward_column: FloatArray
    outward_row: FloatArray
    share: FloatArray


@dataclass(frozen=True, eq=False)
class _Steps:
    """The cracks of a mask, and at which share of the way from pixel to outer neighbour the outline crosses each."""

    cracks: UnitCracks
    share: FloatArray
    clamp: float = CLAMP

    def shares(self, level: FloatArray, chosen: IndexArray | slice = slice(None)) -> FloatArray:
        """The share for each plane's level, at least the clamp away from both pixel centres."""
        moved = self.share[chosen] + level[self.cracks.planes[chosen]]
        return np.clip(moved, self.clamp, 1 - self.clamp, out=moved)

    def vertices(
        self, level: FloatArray, chosen: IndexArray | slice = slice(None)
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Column and row of the vertices, and the share of each."""
        cracks, share = self.cracks, self.shares(level, chosen)
        from_middle = share - 0.5
        columns = cracks.columns[chosen] + from_middle * cracks.outward_columns[chosen]
        return columns, cracks.rows[chosen] + from_middle * cracks.outward_rows[chosen], share

    def areas(self, level: FloatArray, chosen: IndexArray, following: IndexArray) -> FloatArray:
        """Area that the chosen vertices enclose in each plane."""
        u, w, _ = self.vertices(level, chosen)
        cross = u * w[following] - u[following] * w
        return np.bincount(self.cracks.planes[chosen], cross, len(level)) / 2

    def rings(self, level: FloatArray, chosen: IndexArray) -> Rings:
        u, w, _ = self.vertices(level, chosen)
        return self.as_rings(u, w, chosen)

    def as_rings(self, u: FloatArray, w: FloatArray, chosen: IndexArray) -> Rings:
        """Rings of the vertices of the chosen steps."""
        starts = np.searchsorted(chosen, self.cracks.starts).astype(np.intp)
        return Rings(np.stack([u, w], axis=1), starts, self.cracks.ring_planes)

    def at(self, chosen: IndexArray | slice, share: FloatArray) -> _Crossed:
        """The chosen cracks, with the share of each."""
        cracks = self.cracks
        parts = (cracks.columns, cracks.rows, cracks.outward_columns, cracks.outward_rows)
        u, w, outward_u, outward_w = (p[chosen] if isinstance(chosen, slice) else p.take(chosen) for p in parts)
        return _Crossed(u, w, outward_u, outward_w, share)

    @cached_property
    def every(self) -> IndexArray:
        return np.arange(len(self.share), dtype=np.intp)

    def following(self, chosen: IndexArray) -> IndexArray:
        """Place in `chosen` of the vertex after each in its ring."""
        starts = np.searchsorted(chosen, self.cracks.starts)
        after = np.arange(1, len(chosen) + 1, dtype=np.intp)
        after[starts[1:] - 1] = starts[:-1]
        return after


def smooth_rings(
    region: Region,
    *,
    rivals: Sequence[Region] | None = None,
    keep_area: bool = True,
    simplify: bool = True,
    free: bool = False,
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
        Shift the vertices of each plane until the outlines enclose as many pixels as the mask has.
    simplify
        Drop vertices where the outline moves by at most 0.1 px and no pixel changes sides.
    free
        For print and display only: let the outline pass on the wrong side of single pixel centres where it is smoother
        so. Taken where Dice with the mask stays at least 0.995, the area within 0.1 % and the outline within 0.75 px of
        the cracks; else the outline is as without.

    Returns
    -------
    Rings
        In the order and direction of `trace_cracks`, whose rings they follow one by one.

    Raises
    ------
    ValueError
        Rivals are given, and a structure has no probability.
    """
    outline = trace_cracks(region)
    if not len(outline):
        return outline
    cracks = unit_cracks(outline)
    level = np.zeros(region.shape[0])
    if rivals is not None:
        steps = _Steps(cracks, _share_by_probability(region, cracks, rivals))
        return steps.rings(level, steps.every)
    share = _share_by_course(cracks) if region.probability is None else _share_by_probability(region, cracks, ())
    _hold_specks(outline.areas, cracks.starts, share)
    steps = _Steps(cracks, share)
    target = np.asarray(np.bincount(outline.planes, outline.areas, len(level)), dtype=np.float64)
    if free:
        unbound = _Steps(cracks, _share_by_course(cracks, FREE_WIDENING), FREE_CLAMP)
        rings = unbound.rings(_levels(unbound, unbound.every, target), unbound.every)
        if _is_near(rings, region):
            return rings
    kept = _simplified(steps) if simplify else steps.every
    while True:
        if keep_area:
            level = _levels(steps, kept, target)
        u, w, _ = steps.vertices(level, kept)
        restored = _restored(steps, level, kept, (u, w))
        if len(restored) == len(kept):
            return steps.as_rings(u, w, kept)
        # More vertices enclose another area, so the level is sought again. Each round adds some; at the end all stand.
        kept = restored


def _is_near(rings: Rings, region: Region) -> bool:
    """Whether free outlines stay near enough to the mask; how far from the cracks they may run is their clamp."""
    own, read = runs_of_region(region), runs_of(rings, region.shape)
    stride = region.shape[2] + 1
    ends = np.sort(np.concatenate([r.lines * stride + column for r in (own, read) for column in (r.firsts, r.ends)]))
    # Between the first and the second end, the third and the fourth and so on lies what belongs to one of the two only.
    differing = int((ends[1::2] - ends[0::2]).sum())
    total = own.voxel_count + read.voxel_count
    enclosed = float(rings.areas.sum())
    return 1 - differing / total >= FREE_DICE and abs(enclosed / own.voxel_count - 1) <= FREE_AREA


def _share_by_probability(region: Region, cracks: UnitCracks, rivals: Sequence[Region]) -> FloatArray:
    inner, outer = lead_across(region, rivals, cracks.planes, cracks.inside, cracks.outside)
    within, beyond = np.clip(inner, CLAMP, 1.0), np.clip(outer, -1.0, -CLAMP)
    return np.asarray(within / (within - beyond))


def _share_by_course(cracks: UnitCracks, widening: int = 1) -> FloatArray:
    """Where a smooth curve along the middles of the cracks passes each of them.

    A Gaussian g is taken twice, 2 g - g * g: it leaves curves of constant bend where they are, while g alone would pull
    them inwards.
    """
    reach = widening * REACH_STEPS
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / (widening * SIGMA_STEPS)) ** 2)
    weights /= weights.sum()
    around = _Around.of(cracks.starts, 2 * reach)
    moved_columns = around.straightened(cracks.columns, weights) - cracks.columns
    moved_rows = around.straightened(cracks.rows, weights) - cracks.rows
    return np.asarray(0.5 + moved_columns * cracks.outward_columns + moved_rows * cracks.outward_rows)


@dataclass(frozen=True, eq=False)
class _Around:
    """Rings laid out in a row, each with its own ends repeated before and after it."""

    source: IndexArray
    result: IndexArray

    @classmethod
    def of(cls, starts: IndexArray, reach: int) -> "_Around":
        counts = np.diff(starts)
        before = 2 * reach * np.arange(len(counts))
        total = int(starts[-1]) + 2 * reach * len(counts)
        source = np.arange(total, dtype=np.intp) - np.repeat(before + reach, counts + 2 * reach)
        window = np.arange(reach)
        ahead, behind = (starts[:-1] + before)[:, None] + window, (starts[1:] + before + reach)[:, None] + window
        source[ahead] = starts[:-1, None] + (window - reach) % counts[:, None]
        source[behind] = starts[:-1, None] + window % counts[:, None]
        return cls(source, np.arange(int(starts[-1]), dtype=np.intp) + np.repeat(before, counts))

    def straightened(self, values: FloatArray, weights: FloatArray) -> FloatArray:
        """Twice the convolution with the weights less that taken once more; two short kernels are quicker than one."""
        reach = len(weights) // 2
        once = np.convolve(values[self.source], weights, mode="valid")
        return np.asarray((2 * once[reach:-reach] - np.convolve(once, weights, mode="valid"))[self.result])


def _hold_specks(areas: FloatArray, starts: IndexArray, share: FloatArray) -> None:
    """Overwrite the share along tiny rings, so that parts and holes of one or two pixels stay visible."""
    if float(np.abs(areas).min()) > SPECK_PX:
        return
    counts = np.diff(starts)
    for sign, inner in ((1, SPECK_REACH_PX), (-1, 1 - SPECK_REACH_PX)):
        share[np.repeat((sign * areas > 0) & (np.abs(areas) <= SPECK_PX), counts)] = inner


def _levels(steps: _Steps, chosen: IndexArray, target: FloatArray) -> FloatArray:
    """Level of each plane at which its outlines enclose the target area: secants within brackets, planes together."""
    following = steps.following(chosen)
    slope = np.maximum(MEAN_ADVANCE * np.bincount(steps.cracks.planes, minlength=len(target)), 1.0)
    low, high = np.full(len(target), -1.0), np.full(len(target), 1.0)
    level, best = np.zeros(len(target)), np.zeros(len(target))
    smallest = np.full(len(target), np.inf)
    last_level, last_value = level, np.zeros(len(target))
    for n in range(LEVEL_STEPS):
        value = steps.areas(level, chosen, following) - target
        better = np.abs(value) < smallest
        best[better], smallest[better] = level[better], np.abs(value[better])
        if (smallest <= AREA_TOLERANCE * target).all():
            break
        low, high = np.where(value > 0, low, level), np.where(value > 0, level, high)
        if n:
            moved, change = level - last_level, value - last_value
            usable = (moved * change > 0) & (np.abs(change) > 1e-9)
            slope = np.where(usable, change / np.where(usable, moved, 1.0), slope)
        last_level, last_value = level, value
        level = level - value / slope
        level = np.where((level > low) & (level < high), level, (low + high) / 2)
    return best


def _simplified(steps: _Steps) -> IndexArray:
    """The steps whose vertices stay: a straight side replaces two steps, then four, where it fits."""
    starts = steps.cracks.starts
    counts = np.where(np.diff(starts) >= SHORTEST_SIMPLIFIED, np.diff(starts), 0)
    keep = np.ones(len(steps.share), dtype=np.bool_)
    u, w, share = steps.vertices(np.zeros(int(steps.cracks.ring_planes.max()) + 1))
    # A closed path of unit steps has as many steps forth as back, hence an even number: pairs never straddle two rings.
    # The vertex after a pair, that of the ring's beginning where the ring closes.
    after_u, after_w = (np.append(part[2::2], part[0]) for part in (u, w))
    closing, opening = starts[1:] // 2 - 1, starts[:-1]
    after_u[closing], after_w[closing] = u[opening], w[opening]
    fits = _passes(
        (u[0::2], w[0::2]), (after_u, after_w), steps.at(slice(1, None, 2), share[1::2]), SIMPLIFY_PX
    ) & np.repeat(counts > 0, np.diff(starts) // 2)
    keep[1::2] = ~fits
    size = 2
    begins = 2 * np.flatnonzero(fits)
    ring = np.repeat(np.arange(len(counts)), np.diff(starts) // 2)[fits]
    while size < LONGEST_CHORD:
        # Two pieces side by side, both replaced, make one of twice the size.
        place = (begins - starts[ring]) // size
        pairs = np.flatnonzero((place[:-1] % 2 == 0) & (begins[1:] == begins[:-1] + size) & (ring[1:] == ring[:-1]))
        begins, ring, size = begins[pairs], ring[pairs], 2 * size
        ends = begins + size
        ends = np.where(ends == starts[ring + 1], starts[ring], ends)
        for step in sorted(range(1, size), key=lambda n: abs(n - size // 2)):
            between = begins + step
            begin, end = ((u.take(side), w.take(side)) for side in (begins, ends))
            fits = _passes(begin, end, steps.at(between, share.take(between)), SIMPLIFY_PX)
            begins, ends, ring = begins[fits], ends[fits], ring[fits]
        keep[begins + size // 2] = False
    return np.flatnonzero(keep)


def _restored(
    steps: _Steps, level: FloatArray, kept: IndexArray, vertices: tuple[FloatArray, FloatArray]
) -> IndexArray:
    """The kept steps, and those dropped ones whose side no longer separates their pixels after the level has moved."""
    is_kept = np.zeros(len(steps.share), dtype=np.bool_)
    is_kept[kept] = True
    dropped = np.flatnonzero(~is_kept)
    if not len(dropped):
        return kept
    before = np.cumsum(is_kept)[dropped] - 1
    after = steps.following(kept)[before]
    u, w = vertices
    begin, end = ((u.take(side), w.take(side)) for side in (before, after))
    fits = _passes(begin, end, steps.at(dropped, steps.shares(level, dropped)), 2 * SIMPLIFY_PX)
    if fits.all():
        return kept
    is_kept[dropped[np.isin(before, before[~fits])]] = True
    return np.flatnonzero(is_kept)


def _passes(
    begin: tuple[FloatArray, FloatArray], end: tuple[FloatArray, FloatArray], step: _Crossed, tolerance_px: float
) -> BoolArray:
    """Whether the straight line between two vertices crosses a step between them where the outline does.

    It must cross between the two pixel centres, no further than the tolerance from where the outline crosses now. Then
    it passes the same pixels on the same sides.
    """
    run_u, run_w = end[0] - begin[0], end[1] - begin[1]
    offset_u, offset_w = step.column - begin[0], step.row - begin[1]
    # The outline walks along each crack with the foreground on its right: forward is outward turned by a right angle.
    along = offset_w * step.outward_column - offset_u * step.outward_row
    length = run_w * step.outward_column - run_u * step.outward_row
    # Where the line meets the step, outwards of the crack, times `length`; so are all sides of the comparisons.
    outwards = run_u * offset_w - run_w * offset_u
    moved = np.abs(outwards - (step.share - 0.5) * length)
    fits = (along >= 0) & (along <= length) & (length > 0)
    return np.asarray(fits & (moved <= tolerance_px * length) & (np.abs(outwards) <= (0.5 - CLAMP) * length))
