"""Signed distance to the contours of each plane at the points of a lattice: exact beside them, capped far away."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contouring.combine import Overlap, combine
from contouring.dose.structure import PlanarStructure
from contouring.rings import Rings

__all__ = ["Lattice", "lattice_around", "signed_distances_mm"]

FloatArray = NDArray[np.float64]
Floats = NDArray[np.float32]

ROUND_MM = 1e-3
"""Edges that run there and back between equal points (to this rounding) are the channel of a keyhole, no boundary."""

MOST_MOVES = 24
"""How far along a polygon the nearest edge is looked for, in edges: far points start some mm beside it."""

OTHER_SIDE = 3
"""Points beside each other whose nearest edges are further apart than this, in edges, lie on a ridge between two parts
of the boundary, and either may have the edge that is nearer to the other."""

BATCH_POINTS = 50_000
"""Points whose nearest edges are looked for at once."""


@dataclass(frozen=True)
class Lattice:
    """Square sub-pixels in the axes of a structure.

    Parameters
    ----------
    first_mm
        Centre of the first one, along the first and the second axis.
    step_mm
        Their side.
    rows, columns
        Their number along the second and the first axis.
    """

    first_mm: tuple[float, float]
    step_mm: float
    rows: int
    columns: int

    @property
    def x_mm(self) -> FloatArray:
        """Centres along the first axis."""
        return np.asarray(self.first_mm[0] + self.step_mm * np.arange(self.columns))

    @property
    def y_mm(self) -> FloatArray:
        """Centres along the second axis."""
        return np.asarray(self.first_mm[1] + self.step_mm * np.arange(self.rows))


def lattice_around(structure: PlanarStructure, step_mm: float, rim_mm: float) -> Lattice:
    """Sub-pixels that cover all contours of a structure and a rim around them."""
    points = np.concatenate([p for plane in structure.polygons for p in plane])
    low = points.min(axis=0) - rim_mm - step_mm
    # Multiples of the step: the sub-pixels lie the same for neighbouring structures.
    low = np.floor(low / step_mm) * step_mm + step_mm / 2
    count = np.ceil((points.max(axis=0) + rim_mm + step_mm - low) / step_mm).astype(int) + 1
    return Lattice((float(low[0]), float(low[1])), step_mm, int(count[1]), int(count[0]))


def signed_distances_mm(
    structure: PlanarStructure,
    lattice: Lattice,
    reach_mm: float,
    overlap: Overlap = "error",
    needed_mm: float | None = None,
    band_mm: float | None = None,
    exact_planes: Collection[int] = (),
) -> NDArray[np.float32]:
    """In-plane distance to the contours, positive inside, shape (planes, rows, columns).

    Parameters
    ----------
    structure
        The contours.
    lattice
        Where.
    reach_mm
        Further away the distance is this; nearer it is exact.
    overlap
        What crossing contours mean.
    needed_mm
        Points further than this from the contours of every plane are not asked for, and get the reach.
    band_mm, exact_planes
        Further from the contours than this, distances may be half a step too large, but in these planes.

    Raises
    ------
    OverlappingContours
        Boundaries of two contours cross, and `overlap` is "error".
    """
    inside = _inside(structure, lattice, overlap)
    asked = _asked(inside, lattice.step_mm, needed_mm)
    distances = np.full(inside.shape, reach_mm, dtype=np.float32)
    bands = [np.inf if band_mm is None or k in exact_planes else band_mm for k in range(len(inside))]
    drawn = [(k, edges) for k, edges in enumerate(_edges(structure.polygons)) if len(edges.begin)]
    # Several planes at once, as many as stay in the processor's memory.
    together = max(1, BATCH_POINTS // max(len(asked), 1))
    for first in range(0, len(drawn), together):
        planes = [k for k, _ in drawn[first : first + together]]
        edges = [e for _, e in drawn[first : first + together]]
        found = _distance(edges, lattice, [bands[k] for k in planes], asked, inside[planes])
        np.minimum(found, np.float32(reach_mm), out=found)
        for k, values in zip(planes, found, strict=True):
            distances[k].reshape(-1)[asked] = values
    np.negative(distances, out=distances, where=~inside)
    return distances


def _inside(structure: PlanarStructure, lattice: Lattice, overlap: Overlap) -> NDArray[np.bool_]:
    polygons = [p for plane in structure.polygons for p in plane]
    planes = [k for k, plane in enumerate(structure.polygons) for _ in plane]
    rings = Rings.of([(p - lattice.first_mm) / lattice.step_mm for p in polygons], planes)
    shape = (len(structure.polygons), lattice.rows, lattice.columns)
    return combine(rings, shape, is_xor=structure.is_xor, overlap=overlap).runs.region().mask()


def _asked(inside: NDArray[np.bool_], step_mm: float, needed_mm: float | None) -> NDArray[np.intp]:
    """Flat indices of the points at which distances are needed."""
    from scipy import ndimage

    if needed_mm is None:
        return np.arange(inside[0].size)
    # Two steps more, because a contour passes beside the points that it encloses.
    away = ndimage.distance_transform_edt(~inside.any(axis=0))
    return np.flatnonzero(away * step_mm <= needed_mm + 2 * step_mm)


@dataclass(frozen=True)
class _Edges:
    """The edges of one plane: both ends of each, and the one before and after it in its polygon."""

    begin: FloatArray
    end: FloatArray
    before: NDArray[np.intp]
    after: NDArray[np.intp]


def _distance(
    edges: Sequence[_Edges],
    lattice: Lattice,
    bands_mm: Sequence[float],
    asked: NDArray[np.intp],
    inside: NDArray[np.bool_],
) -> Floats:
    """Unsigned distance to the boundary of each plane at the points asked for, shape (planes, points).

    The nearest sub-pixel that the boundary passes tells an edge near the nearest one; from there the polygon is walked
    as long as it comes nearer. On ridges inside, the edges of the points beside are tried too.
    """
    firsts = _firsts([e.begin for e in edges])
    best = np.concatenate([first + _passing(e, lattice, asked) for e, first in zip(edges, firsts, strict=True)])
    before, after = (
        np.concatenate([first + near for near, first in zip(beside, firsts, strict=True)])
        for beside in ([e.before for e in edges], [e.after for e in edges])
    )
    segments = _segments(edges, lattice)
    rows, columns = np.divmod(asked, lattice.columns)
    step = np.float32(lattice.step_mm)
    x, y = (np.tile(v.astype(np.float32) * step, len(edges)) for v in (columns, rows))
    found = _squared(x, y, segments, best)
    close = np.flatnonzero(found < np.repeat(np.square(bands_mm), len(asked)))
    for beside in (before, after):
        walking = close
        for _ in range(MOST_MOVES):
            other = beside.take(best.take(walking))
            squared = _squared(x.take(walking), y.take(walking), segments, other)
            nearer = np.flatnonzero(squared < found.take(walking))
            if not len(nearer):
                break
            walking = walking.take(nearer)
            best[walking], found[walking] = other.take(nearer), squared.take(nearer)
    for n, band in enumerate(bands_mm):
        if np.isinf(band):
            part = slice(n * len(asked), (n + 1) * len(asked))
            _settle_ridges((x[part], y[part], segments), (best[part], found[part]), asked, inside[n])
    return np.sqrt(found).reshape(len(edges), len(asked))


def _passing(edges: _Edges, lattice: Lattice, asked: NDArray[np.intp]) -> NDArray[np.intp]:
    """Of each point asked for, an edge that passes through the sub-pixel nearest to it of all that are passed."""
    from scipy import ndimage

    points, owner = _beads(edges.begin, edges.end, lattice.step_mm)
    column, row = np.rint((points - lattice.first_mm) / lattice.step_mm).astype(np.intp).T
    passed = np.full((lattice.rows, lattice.columns), -1, dtype=np.intp)
    passed[row, column] = owner
    nearest = ndimage.distance_transform_edt(passed < 0, return_distances=False, return_indices=True)
    at = nearest[0].ravel().take(asked) * np.intp(lattice.columns) + nearest[1].ravel().take(asked)
    return passed.ravel().take(at)


def _settle_ridges(
    places: tuple[Floats, Floats, "_Segments"],
    nearest: tuple[NDArray[np.intp], Floats],
    asked: NDArray[np.intp],
    inside: NDArray[np.bool_],
) -> None:
    """Take the edge of a point beside where it is nearer, in place."""
    (x, y, segments), (best, found) = places, nearest
    chosen = np.full(inside.size, -1, dtype=np.intp)
    chosen[asked] = best
    within = np.flatnonzero(inside.reshape(-1)[asked])
    at, own = asked[within], best[within]
    for shift in (1, -1, inside.shape[1], -inside.shape[1]):
        other = chosen.take(at + shift, mode="clip")
        ridge = np.flatnonzero((np.abs(other - own) > OTHER_SIDE) & (other >= 0))
        if not len(ridge):
            continue
        here = within[ridge]
        squared = _squared(x[here], y[here], segments, other[ridge])
        found[here] = np.minimum(found[here], squared)


@dataclass(frozen=True)
class _Segments:
    """Edges in mm from the first point of the lattice: where they begin, where they lead, and 1 / length^2."""

    begin_x: Floats
    begin_y: Floats
    along_x: Floats
    along_y: Floats
    inverse: Floats


def _segments(edges: Sequence[_Edges], lattice: Lattice) -> _Segments:
    begins, ends = np.concatenate([e.begin for e in edges]), np.concatenate([e.end for e in edges])
    begin = (begins - lattice.first_mm).astype(np.float32)
    along = (ends - begins).astype(np.float32)
    length = np.maximum((along * along).sum(axis=1), np.float32(1e-12))
    parts = (*begin.T, *along.T, 1 / length)
    return _Segments(*(np.ascontiguousarray(p) for p in parts))


def _squared(x: Floats, y: Floats, segments: _Segments, chosen: NDArray[np.intp]) -> Floats:
    """Square of the distance of each point to its edge."""
    px, py = x - segments.begin_x.take(chosen), y - segments.begin_y.take(chosen)
    ax, ay = segments.along_x.take(chosen), segments.along_y.take(chosen)
    t = px * ax
    t += py * ay
    t *= segments.inverse.take(chosen)
    np.maximum(t, 0, out=t)
    np.minimum(t, 1, out=t)
    ax *= t
    ay *= t
    px -= ax
    py -= ay
    px *= px
    py *= py
    px += py
    return px


def _edges(planes: Sequence[Sequence[FloatArray]]) -> list[_Edges]:
    """The edges of each plane, without those of channels, which are walked in both directions."""
    begin = [np.concatenate(polygons) for polygons in planes]
    end = [np.concatenate([np.roll(p, -1, axis=0) for p in polygons]) for polygons in planes]
    rings = [
        [np.arange(first, first + len(p), dtype=np.intp) for p, first in zip(polygons, _firsts(polygons), strict=True)]
        for polygons in planes
    ]
    before = [np.concatenate([np.roll(r, 1) for r in ring]) for ring in rings]
    after = [np.concatenate([np.roll(r, -1) for r in ring]) for ring in rings]
    plane = np.repeat(np.arange(len(planes)), [len(p) for p in begin])
    a, b = (np.rint(np.concatenate(p) / ROUND_MM).astype(np.int64) for p in (begin, end))
    # One number for each edge: equal edges have equal numbers, so that most contours are done with one comparison.
    there, back = (
        p[:, 0] * 73_856_093 ^ p[:, 1] * 19_349_663 ^ q[:, 0] * 83_492_791 ^ q[:, 1] * 49_979_687 ^ plane * 15_485_863
        for p, q in ((a, b), (b, a))
    )
    keep = np.ones(len(plane), dtype=np.bool_)
    if np.isin(back, there).any():
        keys = np.concatenate([plane[:, None], a, b], axis=1)
        walked, backwards = {tuple(k) for k in keys.tolist()}, keys[:, [0, 3, 4, 1, 2]]
        keep = np.array([tuple(k) not in walked for k in backwards.tolist()], dtype=np.bool_)
    chosen = [keep[plane == k] for k in range(len(planes))] if not keep.all() else [None] * len(planes)
    return [_kept(_Edges(*parts), c) for *parts, c in zip(begin, end, before, after, chosen, strict=True)]


def _firsts(polygons: Sequence[FloatArray]) -> list[int]:
    return [0, *np.cumsum([len(p) for p in polygons])[:-1].tolist()]


def _kept(edges: _Edges, keep: NDArray[np.bool_] | None) -> _Edges:
    """Some of the edges; one whose neighbour is gone has itself in its place."""
    if keep is None:
        return edges
    number = np.cumsum(keep, dtype=np.intp) - 1
    own = np.flatnonzero(keep)
    before, after = (number[np.where(keep[n[own]], n[own], own)] for n in (edges.before, edges.after))
    return _Edges(edges.begin[own], edges.end[own], before, after)


def _beads(begin: FloatArray, end: FloatArray, step_mm: float) -> tuple[FloatArray, NDArray[np.intp]]:
    """Points along the edges, closer than a step, and the edge of each."""
    count = np.ceil(np.linalg.norm(end - begin, axis=1) / step_mm).astype(np.intp) + 1
    owner = np.repeat(np.arange(len(begin)), count)
    number = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    t = (number + 0.5) / count[owner]
    return begin[owner] + t[:, None] * (end - begin)[owner], owner
