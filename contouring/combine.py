"""Several contours in one plane: duplicates dropped, nested ones cut holes, crossing ones need a decision."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from contouring.errors import OverlappingContours
from contouring.rings import Rings
from contouring.runs import Runs
from contouring.scanline import SUBROWS, crossings, runs_of

__all__ = ["Combined", "Overlap", "combine", "even_odd_area"]

Overlap = Literal["error", "union", "xor"]
"""What contours of type CLOSED_PLANAR mean where their boundaries cross by more than a pixel's area."""

WORD = 64


@dataclass(frozen=True, eq=False)
class Combined:
    """The voxels of all contours of a structure.

    Parameters
    ----------
    runs
        The voxels.
    duplicates
        Contours that were dropped because another one has the same points.
    united
        Contours that were united with others because their boundaries cross.
    """

    runs: Runs
    duplicates: int
    united: int


def combine(
    rings: Rings, shape: tuple[int, int, int], *, is_xor: bool, overlap: Overlap = "error", inclusive: bool = False
) -> Combined:
    """Fill rings, even-odd within each plane, after dropping exact duplicates.

    Parameters
    ----------
    rings
        Rings in index space.
    shape
        (planes, rows, columns) of the grid.
    is_xor
        Whether the contours are CLOSEDPLANAR_XOR: crossing is then what was meant.
    overlap
        What crossing means otherwise. An overlap below one pixel's area is always a union.
    inclusive
        Whether pixel centres on the path count.

    Raises
    ------
    OverlappingContours
        Boundaries cross and `overlap` is "error".
    """
    unique = _without_duplicates(rings)
    dropped = len(rings) - int(unique.sum())
    if dropped:
        rings = rings.selected(unique)
    clusters: list[list[int]] = []
    if not is_xor and overlap != "xor":
        clusters = _clusters(rings, overlap)
    runs = runs_of(rings, shape, inclusive=inclusive)
    if clusters:
        runs = _with_unions(runs, rings, clusters, shape, inclusive)
    return Combined(runs, dropped, sum(len(c) for c in clusters))


def even_odd_area(rings: Rings) -> float:
    """Area (pixels) that the rings enclose by the even-odd rule, whether inside the image or not."""
    if not len(rings.columns_rows):
        return 0.0
    low = np.floor(rings.columns_rows[:, 1].min()) - 1
    moved = Rings(rings.columns_rows - (0.0, low), rings.starts, rings.planes)
    lines, _, at = crossings(moved, int(np.ceil(moved.columns_rows[:, 1].max())) + 1, SUBROWS)
    ordered = at[np.lexsort((at, lines))]
    return float((ordered[1::2] - ordered[0::2]).sum()) / SUBROWS


def _without_duplicates(rings: Rings) -> NDArray[np.bool_]:
    """Which rings are the first with their points, whatever their start and direction."""
    keep = np.ones(len(rings), dtype=np.bool_)
    if len(np.unique(rings.planes)) == len(rings):
        return keep
    points = np.rint(rings.columns_rows * 1e6).astype(np.int64)
    sums = np.concatenate([
        np.zeros((1, 3), np.int64),
        np.cumsum(np.column_stack([points, points[:, 0] * points[:, 1]]), 0),
    ])
    signature = sums[rings.starts[1:]] - sums[rings.starts[:-1]]
    first: dict[tuple[int, ...], list[int]] = {}
    for n, (plane, count, values) in enumerate(
        zip(rings.planes.tolist(), rings.counts.tolist(), signature.tolist(), strict=True)
    ):
        same = first.setdefault((plane, count, *values), [])
        if any(_is_same_path(rings.polygon(n), rings.polygon(m)) for m in same):
            keep[n] = False
        else:
            same.append(n)
    return keep


def _is_same_path(a: NDArray[np.float64], b: NDArray[np.float64]) -> bool:
    for direction in (b, b[::-1]):
        for start in np.flatnonzero((np.abs(direction - a[0]) <= 1e-6).all(axis=1)):
            if (np.abs(np.roll(direction, -int(start), axis=0) - a) <= 1e-6).all():
                return True
    return False


def _clusters(rings: Rings, overlap: Overlap) -> list[list[int]]:
    """Groups of rings to be united because their boundaries cross.

    Raises
    ------
    OverlappingContours
        They cross by at least a pixel's area and `overlap` is "error".
    """
    parent = {n: n for n in range(len(rings))}

    def root(n: int) -> int:
        while parent[n] != n:
            n = parent[n]
        return n

    for a, b in _crossing_pairs(rings):
        pair = rings.selected([a, b])
        areas = [even_odd_area(rings.selected([n])) for n in (a, b)]
        shared = (sum(areas) - even_odd_area(pair)) / 2
        part = min(shared, min(areas) - shared)
        if part < 1e-3:
            continue
        if part >= 1 and overlap == "error":
            raise OverlappingContours(
                f"Two contours in plane {int(rings.planes[a]) + 1} cross and share {shared:.1f} pixels of area; "
                "say with overlap (--overlap) union or xor what was meant.",
                plane=int(rings.planes[a]),
                shared_px=shared,
            )
        parent[root(a)] = root(b)
    found: dict[int, list[int]] = {}
    for n in parent:
        found.setdefault(root(n), []).append(n)
    return [members for members in found.values() if len(members) > 1]


def _crossing_pairs(rings: Rings) -> list[tuple[int, int]]:
    """Pairs of rings of one plane of which neither contains the other nor stays outside, seen on fine scanlines.

    Walking along a scanline, every crossing is asked inside which other rings it lies. Rings whose boundaries do not
    cross give one answer all around.
    """
    shared = np.bincount(rings.planes, minlength=1)[rings.planes] > 1
    if not shared.any():
        return []
    chosen = np.flatnonzero(shared)
    some = rings.selected(chosen.tolist())
    low = np.floor(some.columns_rows[:, 1].min()) - 1
    moved = Rings(some.columns_rows - (0.0, low), some.starts, some.planes)
    lines, edges, at = crossings(moved, int(np.ceil(moved.columns_rows[:, 1].max())) + 1, 2)
    order = np.lexsort((at, lines))
    ring = np.repeat(np.arange(len(some)), some.counts)[edges[order]]
    place = (
        np.arange(len(some)) - np.searchsorted(some.planes, some.planes)
        if _sorted(some.planes)
        else _places(some.planes)
    )
    pairs: list[tuple[int, int]] = []
    for word in range(0, int(place.max()) + 1, WORD):
        bit = np.where(
            (place >= word) & (place < word + WORD),
            np.uint64(1) << ((place - word) % WORD).astype(np.uint64),
            np.uint64(0),
        )
        own = bit[ring]
        inside = np.bitwise_xor.accumulate(own) & ~own
        any_inside = np.zeros(len(some), dtype=np.uint64)
        any_outside = np.zeros(len(some), dtype=np.uint64)
        np.bitwise_or.at(any_inside, ring, inside)
        np.bitwise_or.at(any_outside, ring, ~inside)
        mixed = any_inside & any_outside & ~bit
        for n in np.flatnonzero(mixed):
            same_plane = np.flatnonzero(some.planes == some.planes[n])
            pairs += [(int(n), int(m)) for m in same_plane if m != n and int(mixed[n]) & int(bit[m])]
    found = {(min(a, b), max(a, b)) for a, b in pairs}
    return [(int(chosen[a]), int(chosen[b])) for a, b in sorted(found)]


def _sorted(planes: NDArray[np.intp]) -> bool:
    return bool((np.diff(planes) >= 0).all())


def _places(planes: NDArray[np.intp]) -> NDArray[np.intp]:
    """Number of each ring within its plane."""
    order = np.argsort(planes, kind="stable")
    place = np.empty(len(planes), dtype=np.intp)
    ordered = planes[order]
    place[order] = np.arange(len(planes)) - np.searchsorted(ordered, ordered)
    return place


def _with_unions(
    runs: Runs, rings: Rings, clusters: list[list[int]], shape: tuple[int, int, int], inclusive: bool
) -> Runs:
    """The runs with the planes of the clusters filled anew: each cluster united, then all combined by even-odd."""
    rows = shape[1]
    planes = {int(rings.planes[c[0]]) for c in clusters}
    untouched = ~np.isin(runs.lines // rows, list(planes))
    parts = [(runs.lines[untouched], runs.firsts[untouched], runs.ends[untouched])]
    stride = shape[2] + 2
    for plane in sorted(planes):
        here = list(np.flatnonzero(rings.planes == plane).tolist())
        groups = [c for c in clusters if int(rings.planes[c[0]]) == plane]
        grouped = {n for c in groups for n in c}
        keys: list[NDArray[np.intp]] = []
        for group in [*groups, *([n] for n in here if n not in grouped)]:
            single = [runs_of(rings.selected([n]), shape, inclusive=inclusive) for n in group]
            mask = np.zeros((rows, shape[2]), dtype=np.bool_)
            for one in single:
                for line, first, end in zip(one.lines % rows, one.firsts, one.ends, strict=True):
                    mask[line, first:end] = True
            edge = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
            line, column = np.nonzero(edge)
            keys.append(line * stride + column)
        ordered = np.sort(np.concatenate(keys))
        line, first = np.divmod(ordered[0::2], stride)
        end = ordered[1::2] - line * stride
        filled = end > first
        parts.append((line[filled] + plane * rows, first[filled], end[filled]))
    lines, firsts, ends = (np.concatenate(p) for p in zip(*parts, strict=True))
    order = np.lexsort((firsts, lines))
    return Runs(lines[order], firsts[order], ends[order], shape)
