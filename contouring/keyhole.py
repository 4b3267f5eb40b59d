"""Holes joined to the outline around them by a channel of no width, so that one path encloses the region exactly.

A bridge runs along a row from the hole's right side to the first outline on its right. In crack mode it lies a quarter
pixel off the pixel centres, so it can touch neither a centre nor another vertex. Both passes along it have the same end
points, so a scanline crosses them at the same place and they cancel.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from contouring.rings import Rings

__all__ = ["with_keyholes"]

FloatArray = NDArray[np.float64]

QUARTER_PX = 0.25

NEAR_PX = 0.01
"""A vertex this near to a bridge's end is dropped: half of what smooth outlines keep away from pixel centres."""


def with_keyholes(rings: Rings) -> Rings:
    """The rings with each hole merged into the outline around it: one path for each 4-connected part.

    Parameters
    ----------
    rings
        Rings sorted by plane, outer parts with positive area and holes with negative area, as the tracers give them.
    """
    polygons: list[FloatArray] = []
    planes: list[int] = []
    edges = np.searchsorted(rings.planes, np.arange(int(rings.planes.max(initial=-1)) + 2))
    for plane in range(len(edges) - 1):
        members = range(int(edges[plane]), int(edges[plane + 1]))
        loops = [rings.polygon(n) for n in members]
        holes = [n for n, ring in enumerate(members) if rings.areas[ring] < 0]
        merged = _merged(loops, holes) if holes else loops
        polygons += merged
        planes += [plane] * len(merged)
    return Rings.of(polygons, planes)


@dataclass
class _Paths:
    """Closed paths of one plane as linked vertices, so that one path can be spliced into another.

    A side goes by its first vertex. Splices cut it into pieces, each of which begins at a vertex listed in `pieces`.
    """

    points: list[tuple[float, float]]
    following: list[int]
    sides: FloatArray
    pieces: dict[int, list[int]] = field(default_factory=dict)
    ends: set[int] = field(default_factory=set)

    def meeting(self, u: float, w: float) -> tuple[int, float]:
        """The side that a ray from (u, w) towards larger u meets first, and the u at which it does."""
        chosen, at = self.crossed(w, slice(None))
        right = at > u + 1e-9
        nearest = int(at[right].argmin())
        return int(chosen[right][nearest]), float(at[right][nearest])

    def crossed(self, w: float, part: slice) -> tuple[NDArray[np.intp], FloatArray]:
        """Sides among a part of them that cross the line at w, and where (u)."""
        u0, w0, u1, w1 = self.sides[part].T
        chosen = np.flatnonzero((np.minimum(w0, w1) <= w) & (w < np.maximum(w0, w1)))
        at = u0[chosen] + (u1 - u0)[chosen] * (w - w0[chosen]) / (w1 - w0)[chosen]
        return chosen + (part.start or 0), at

    def add(self, point: tuple[float, float], following: int) -> int:
        self.points.append(point)
        self.following.append(following)
        return len(self.points) - 1

    def piece(self, side: int, w: float) -> int:
        """First vertex of the piece of a side that passes w."""
        w0, w1 = self.sides[side, 1], self.sides[side, 3]
        pieces = [p for p in self.pieces.setdefault(side, [side]) if (self.points[p][1] - w) * (w1 - w0) <= 0]
        return max(pieces, key=lambda p: (self.points[p][1] - w0) * (w1 - w0))

    def splice(self, hole: tuple[int, bool], start: tuple[float, float], target: int, at: float) -> None:
        """Lead the path of side `target` from (at, w) to `start` on the hole, around the hole and back."""
        side, at_vertex = hole
        w = start[1]
        end = side if at_vertex else self.piece(side, w)
        leave = self.add(start, self.following[end])
        if not at_vertex:
            self.pieces[side].append(leave)
        before = self.piece(target, w)
        back = self.add((at, w), self.following[before])
        self.following[before] = self.add((at, w), leave)
        self.pieces[target].append(back)
        self.following[end] = back if at_vertex else self.add(start, back)
        if at_vertex:
            self.pieces[side] = [leave]
            self.ends.add(end)

    def walk(self, start: int) -> FloatArray:
        """Points of the path through a vertex, without vertices that a bridge's end all but coincides with."""
        order = [start]
        while (current := self.following[order[-1]]) != start:
            order.append(current)
        kept = [
            here
            for before, here, after in zip([order[-1], *order[:-1]], order, [*order[1:], order[0]], strict=True)
            if self.is_bridge_end(here)
            or not any(self.is_bridge_end(n) and self.is_near(here, n) for n in (before, after))
        ]
        return np.array([self.points[n] for n in kept])

    def is_bridge_end(self, vertex: int) -> bool:
        return vertex >= len(self.sides) or vertex in self.ends

    def is_near(self, a: int, b: int) -> bool:
        (u0, w0), (u1, w1) = self.points[a], self.points[b]
        return max(abs(u0 - u1), abs(w0 - w1)) < NEAR_PX


def _merged(loops: list[FloatArray], holes: list[int]) -> list[FloatArray]:
    """The loops of one plane with every hole spliced into the loop on its right."""
    starts = np.cumsum([0, *(len(loop) for loop in loops)]).tolist()
    vertices = np.concatenate(loops)
    after = np.concatenate([np.roll(np.arange(starts[n], starts[n + 1]), -1) for n in range(len(loops))])
    loop_of = np.repeat(np.arange(len(loops)), np.diff(starts)).tolist()
    paths = _Paths([(u, w) for u, w in vertices.tolist()], after.tolist(), np.hstack([vertices, vertices[after]]))
    waiting = set(holes)
    # From right to left, so that what lies to the right of a hole has been merged already.
    for hole in sorted(holes, key=lambda n: -float(loops[n][:, 0].max())):
        rightmost = starts[hole] + int(loops[hole][:, 0].argmax())
        found = _right_side(paths, paths.points[rightmost], slice(starts[hole], starts[hole + 1]))
        side, u, w = found if found else (rightmost, *paths.points[rightmost])
        target, at = paths.meeting(u, w)
        if found and loop_of[target] in waiting:
            found, side, (u, w) = None, rightmost, paths.points[rightmost]
            target, at = paths.meeting(u, w)
        waiting.discard(hole)
        paths.splice((side, found is None), (u, w), target, at)
    return [paths.walk(starts[n]) for n in range(len(loops)) if n not in holes]


def _right_side(paths: _Paths, rightmost: tuple[float, float], part: slice) -> tuple[int, float, float] | None:
    """Where a hole's right side crosses a quarter line beside its rightmost vertex (side, u, w), if it does."""
    below = np.floor(rightmost[1] - QUARTER_PX) + QUARTER_PX
    best: tuple[int, float, float] | None = None
    for w in (below, below + 1):
        sides, at = paths.crossed(float(w), part)
        if len(at) and (best is None or at.max() > best[1]):
            best = (int(sides[at.argmax()]), float(at.max()), float(w))
    return best
