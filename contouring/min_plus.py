"""Margins that differ from side to side: squared, scaled distances by separable passes on a fine lattice.

`out(x) = min over k of in(x - k s) + (k s / m)^2`, one pass an axis, m by the sign of k. This equals brute-force
dilation by the body of the margins exactly, which a union of eight scaled distance transforms does not: there a large
margin leaks to the opposite side.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from contouring.solid import Solid

__all__ = ["Lattice", "lattice_around", "min_plus_passes"]

FloatArray = NDArray[np.float64]

LATTICE_MM = 0.5
"""Spacing of the lattice along the patient's axes (specification of contouring, section 12)."""

SURFACE_OFFSET_MM = 0.12
"""Mean distance from the outermost lattice point inside to the surface at 0.5 mm (section 12: threshold M + 0.12)."""

HALVINGS = 4
"""Halvings of a step of the lattice by which the surface is found: to 0.03 mm."""

FAR = np.float32(4.0)
"""Squared scaled distance of what is out of reach; anything above 1."""


@dataclass(frozen=True, eq=False)
class Lattice:
    """Squared scaled distances from a solid, or from its complement, on a lattice along the patient's axes.

    Parameters
    ----------
    low_lps
        Its first point.
    squares
        Shape (x, y, z), in units of the margins; 4 at most.
    is_bare
        Axes along which one side or both have no margin, shape (3,).
    """

    low_lps: FloatArray
    squares: NDArray[np.float32]
    is_bare: NDArray[np.bool_]

    def distances(self, points_lps: FloatArray) -> FloatArray:
        """Distance of points, shape (N, 3), in units of the margins; 2 at most."""
        index = (points_lps - self.low_lps) / LATTICE_MM
        # Without a margin the surface lies anywhere between two points of the lattice: half way on average.
        index[:, self.is_bare] = np.rint(index[:, self.is_bare])
        # Beyond the lattice lies what its border is: out of reach, or the complement itself.
        return np.sqrt(ndimage.map_coordinates(self.squares, index.T, order=1, mode="nearest").astype(np.float64))


def lattice_around(solid: Solid, positive_mm: FloatArray, negative_mm: FloatArray, *, from_outside: bool) -> Lattice:
    """Distances from a solid, or from its complement (`from_outside`), all over their reach.

    Parameters
    ----------
    solid
        What reaches out.
    positive_mm, negative_mm
        Margins towards +x, +y, +z and towards -x, -y, -z.
    from_outside
        Whether the complement of the solid reaches in.
    """
    surface = solid.surface_points_lps()
    reach_mm = np.maximum(positive_mm, negative_mm)
    # The complement reaches into the solid, from just outside of it.
    room = 2.5 * LATTICE_MM + (reach_mm % LATTICE_MM if from_outside else reach_mm)
    low, high = surface.min(axis=0) - room, surface.max(axis=0) + room
    counts = np.ceil((high - low) / LATTICE_MM).astype(int) + 1
    starts = np.empty(counts, dtype=np.bool_)
    y, z = np.meshgrid(*(low[a] + LATTICE_MM * np.arange(counts[a]) for a in (1, 2)), indexing="ij")
    for n in range(counts[0]):
        layer = np.stack([np.full(y.size, low[0] + n * LATTICE_MM), y.ravel(), z.ravel()], axis=1)
        starts[n] = ((solid.values_at(layer) > 0) != from_outside).reshape(y.shape)

    def is_start(index: FloatArray) -> NDArray[np.bool_]:
        return np.asarray((solid.values_at(low + LATTICE_MM * index) > 0) != from_outside)

    axis = _furthest(positive_mm, negative_mm)[0]
    overhangs = (_overhang(starts, is_start, axis, 1), _overhang(starts, is_start, axis, -1))
    start = np.where(starts, np.float32(0), FAR)
    squares = min_plus_passes(start, positive_mm, negative_mm, overhangs=overhangs)
    return Lattice(low, squares, is_bare=np.minimum(positive_mm, negative_mm) <= 0)


def _furthest(positive_mm: FloatArray, negative_mm: FloatArray) -> list[int]:
    """The axes, that of the largest margin first."""
    return [int(axis) for axis in np.argsort(-np.maximum(positive_mm, negative_mm), kind="stable")]


def _overhang(
    starts: NDArray[np.bool_], is_start: Callable[[FloatArray], NDArray[np.bool_]], axis: int, sign: int
) -> NDArray[np.float32]:
    """How far, in steps, the surface lies beyond the last start along an axis, towards `sign`; 0 elsewhere."""
    low, high = (
        tuple(part if a == axis else slice(None) for a in range(3)) for part in (slice(None, -1), slice(1, None))
    )
    near, beyond = (low, high) if sign > 0 else (high, low)
    index = np.argwhere(starts[near] & ~starts[beyond]).astype(np.float64)
    index[:, axis] += 0 if sign > 0 else 1
    steps, step = np.zeros(len(index)), 0.5
    for _ in range(HALVINGS):
        tried = index.copy()
        tried[:, axis] += sign * (steps + step)
        steps += step * is_start(tried)
        step /= 2
    overhang = np.zeros(starts.shape, dtype=np.float32)
    # The surface lies somewhere in the last half that is left.
    overhang[tuple(index.astype(np.intp).T)] = steps + step
    return overhang


def min_plus_passes(
    field: NDArray[np.float32],
    positive_mm: FloatArray,
    negative_mm: FloatArray,
    spacing_mm: float = LATTICE_MM,
    overhangs: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None,
) -> NDArray[np.float32]:
    """Squared scaled distance to the points where `field` is 0, along the three axes of the array; 4 at most.

    Parameters
    ----------
    field
        0 or 4.
    positive_mm, negative_mm
        Margins towards both sides of the axes.
    spacing_mm
        Of the points.
    overhangs
        How far, in steps, what starts reaches beyond its last points along the axis of the largest margin, towards its
        positive and its negative side; where left out, by its mean as along the others.
    """
    # The axis that reaches furthest comes first: there all steps are done in one go.
    first, *others = _furthest(positive_mm, negative_mm)
    out = field.copy()
    offset_mm = SURFACE_OFFSET_MM if overhangs is None else 0.0
    for n, margin in enumerate((positive_mm[first], negative_mm[first])):
        if margin > 0:
            beyond = None if overhangs is None else overhangs[n]
            steps = _steps_from_start(field == 0, beyond, first, backwards=n == 1)
            squares = np.square(steps * np.float32(spacing_mm / (margin + offset_mm)))
            np.minimum(out, np.minimum(squares, FAR), out=out)
    for axis in others:
        moved = np.moveaxis(out, axis, 0)
        lowered = moved.copy()
        for margin, sign in ((positive_mm[axis], 1), (negative_mm[axis], -1)):
            if margin <= 0:
                continue
            margin += SURFACE_OFFSET_MM
            # Beyond the margin too: the distance where it ends is found between two points of the lattice.
            for k in range(1, int(2 * margin / spacing_mm) + 1):
                cost = np.float32((k * spacing_mm / margin) ** 2)
                to, source = (lowered[k:], moved[:-k]) if sign > 0 else (lowered[:-k], moved[k:])
                np.minimum(to, source + cost, out=to)
        out = np.moveaxis(lowered, 0, axis)
    return out


def _steps_from_start(
    is_start: NDArray[np.bool_], overhang: NDArray[np.float32] | None, axis: int, *, backwards: bool
) -> NDArray[np.float32]:
    """Steps from the last start before along an axis (`backwards`: from the next one after), less its overhang."""
    size = is_start.shape[axis]
    place = np.arange(size, dtype=np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
    reached = np.broadcast_to(place, is_start.shape)
    if backwards:
        is_start = np.flip(is_start, axis)
    if overhang is not None:
        reached = place + (np.flip(overhang, axis) if backwards else overhang)
    before = np.maximum.accumulate(np.where(is_start, reached, np.float32(-2 * size - 1e4)), axis=axis)
    steps = np.maximum(place - before, 0)
    return np.asarray(np.flip(steps, axis) if backwards else steps)
