"""The solid between the contours of a structure, as sub-voxels: signed distances joined by a spline along the normal.

Between planes runs a natural cubic spline of the signed distance, at either end the structure goes on for half a slice
with about the spline's slope. Parts without a partner on the next plane end flat at half the way to it.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from contouring.combine import Overlap
from contouring.dose.distance import Lattice, lattice_around, signed_distances_mm
from contouring.dose.places import LatticePlaces, turned
from contouring.dose.round_end import RoundEnd, half_widths_mm
from contouring.dose.structure import PlanarStructure

__all__ = ["Caps", "Steps", "SubVoxelSource", "SubVoxels", "steps_for", "sub_voxels"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

Layer = tuple[float, float, NDArray[np.intp], FloatArray]
"""Position and thickness; sub-pixels that lie inside, wholly or in part, and how much of each."""

Caps = Literal["half", "flat", "none", "rounded"]
"""How a structure ends beyond its first and last plane: half a slice with the slope of the last planes; half a slice
unchanged; not at all; or until it closes, at most one slice."""

REACH_STEPS = 8.0
"""Distances are cut off at this many plane distances: what a spline between planes can bring to the surface."""

BAND_STEPS = 2.0
"""Between the ends of a structure, up to this many plane distances from the contours (specification, 2.1) they are
exact; deeper ones only tell that the surface is elsewhere."""

PARABOLA_SHARE = 1 / 3
"""How far the slope beyond the ends leans from the spline's to that of the parabola through three planes: nearer for
spheres, ellipsoids and tori whose planes lie at slab centres, and the same for cylinders and cones (tests' suite). More
would cost spheres with a plane on their pole."""

OVERSHOOT_SHARE = 0.5
"""Where the cubic leaves the straight line by more than this share of the plane distance, the line is taken."""

GAP_STEPS = 1.5
"""Planes further apart than this many usual distances have a gap between them (as in `contouring.interpolate`)."""

FINEST_MM, LARGEST_MM, LARGEST_ACROSS_MM = 0.02, 0.5, 0.25
"""Limits of the sub-voxels' sides; across they are half as large, because the caps are a few layers only."""

SHARE_OF_SPACING = 0.25
FEWEST_SUB_VOXELS = 20_000
MOST_SUB_VOXELS = 120_000
"""Above this number the sub-voxels of a large structure become larger than 0.5 mm: its surface is a small share."""


@dataclass(frozen=True)
class Steps:
    """Size of the sub-voxels: their side in the planes, and the largest one across."""

    in_plane_mm: float
    across_mm: float

    def scaled(self, factor: float) -> "Steps":
        """Both times a factor."""
        return Steps(self.in_plane_mm * factor, self.across_mm * factor)


@dataclass(frozen=True, eq=False)
class SubVoxels:
    """Sub-voxels of a structure.

    Parameters
    ----------
    places
        Their centres.
    volumes_mm3
        What of each lies inside.
    coverage
        The same as a share, above 0 to 1.
    sizes_mm
        Side in the planes, and across of each.
    axes
        The structure's axes, one a row.
    gaps
        Missing planes: (position before, position after) along the normal.
    """

    places: LatticePlaces
    volumes_mm3: FloatArray
    coverage: FloatArray
    sizes_mm: tuple[float, FloatArray]
    axes: FloatArray
    gaps: tuple[tuple[float, float], ...] = ()

    def __len__(self) -> int:
        return len(self.volumes_mm3)

    @property
    def points_lps(self) -> FloatArray:
        """Their centres, shape (N, 3)."""
        return self.places.points_lps

    def half_ranges_gy(self, gradient_gy_per_mm: FloatArray) -> FloatArray:
        """Half width of the even spread that has the variance of the dose within each sub-voxel, shape (N,)."""
        side, thickness = self.sizes_mm
        u, w, n = turned(gradient_gy_per_mm, self.axes.T).T
        return np.asarray(0.5 * np.sqrt(side * side * (u * u + w * w) + (n * thickness) ** 2))


def steps_for(structure: PlanarStructure, dose_spacing_mm: tuple[float, ...]) -> Steps:
    """A quarter of the dose's spacing and of the plane distance, 0.5 mm and 0.25 mm at most.

    Finer where the structure is small, coarser where it is so large that its surface hardly matters.

    Raises
    ------
    StructureRefused
        There is one plane, and nothing says how thick it is.
    """
    steps = Steps(
        min(SHARE_OF_SPACING * min(dose_spacing_mm), LARGEST_MM),
        min(SHARE_OF_SPACING * structure.usual_step_mm, LARGEST_ACROSS_MM),
    )
    count = structure.slab_volume_mm3 / (steps.in_plane_mm**2 * steps.across_mm)
    wanted = min(max(count, FEWEST_SUB_VOXELS), MOST_SUB_VOXELS)
    scaled = steps.scaled((count / wanted) ** (1 / 3))
    return Steps(max(scaled.in_plane_mm, FINEST_MM), max(scaled.across_mm, FINEST_MM))


def sub_voxels(
    structure: PlanarStructure, steps: Steps, *, caps: Caps = "half", overlap: Overlap = "error"
) -> SubVoxels:
    """The structure as sub-voxels of about the given size.

    Raises
    ------
    OverlappingContours
        Boundaries of two contours cross, and `overlap` is "error".
    StructureRefused
        There is one plane, and nothing says how thick it is.
    """
    return _cut(structure, *_fields_of(structure, steps, caps, overlap), steps.across_mm, caps)


def _fields_of(
    structure: PlanarStructure, steps: Steps, caps: Caps, overlap: Overlap
) -> tuple[Lattice, NDArray[np.float32]]:
    """A lattice around the structure, and the signed distance in each plane at its points."""
    usual = structure.usual_step_mm
    rim = usual if caps in {"half", "rounded"} else 0.0
    lattice = lattice_around(structure, steps.in_plane_mm, rim)
    needed = lattice.step_mm + OVERSHOOT_SHARE * usual
    # Twice the step: the same distances serve sub-voxels of twice the size.
    needed += lattice.step_mm
    ends = {k for a, b in _blocks(structure) for k in (*range(a, min(a + 3, b)), *range(max(b - 3, a), b))}
    return lattice, signed_distances_mm(
        structure, lattice, REACH_STEPS * usual, overlap, needed, BAND_STEPS * usual, ends
    )


def _blocks(structure: PlanarStructure) -> list[tuple[int, int]]:
    """First plane and the one after the last of each run of planes without a gap."""
    gaps = np.flatnonzero(np.diff(structure.positions_mm) > GAP_STEPS * structure.usual_step_mm) + 1
    return list(itertools.pairwise([0, *gaps.tolist(), len(structure.positions_mm)]))


def _cut(
    structure: PlanarStructure, lattice: Lattice, distances: NDArray[np.float32], across_mm: float, caps: Caps
) -> SubVoxels:
    """The solid of signed distances."""
    usual = structure.usual_step_mm
    layers: list[Layer] = []
    blocks = _blocks(structure)
    for first, last in blocks:
        block = _Block(distances[first:last], structure.positions_mm[first:last], usual, lattice)
        layers += block.layers(across_mm, caps)
    gaps = tuple((float(structure.positions_mm[e - 1]), float(structure.positions_mm[e])) for e, _ in blocks[1:])
    return _collected(layers, lattice, structure.axes, gaps)


class SubVoxelSource:
    """Sub-voxels of one structure, kept for every size that was asked for."""

    # Distances are by far the dearest part, and those of sub-voxels twice as large follow from them.

    def __init__(self, structure: PlanarStructure, caps: Caps = "half", overlap: Overlap = "error") -> None:
        self._structure, self._caps, self._overlap = structure, caps, overlap
        self._kept: dict[Steps, SubVoxels] = {}
        self._fields: dict[Steps, tuple[Lattice, NDArray[np.float32]]] = {}

    def of(self, steps: Steps) -> SubVoxels:
        """See `sub_voxels`."""
        if steps not in self._kept:
            self._fields[steps] = _fields_of(self._structure, steps, self._caps, self._overlap)
            self._kept[steps] = _cut(self._structure, *self._fields[steps], steps.across_mm, self._caps)
        return self._kept[steps]

    def coarser_than(self, steps: Steps) -> SubVoxels:
        """The sub-voxels of twice the size, at the mean distance of the four that lie in each."""
        if steps.scaled(2.0) not in self._kept:
            self.of(steps)
            lattice, distances = self._fields[steps]
            rows, columns = lattice.rows // 2, lattice.columns // 2
            even = distances[:, : 2 * rows, : 2 * columns]
            pooled = even[:, ::2, ::2] + even[:, 1::2, ::2] + even[:, ::2, 1::2] + even[:, 1::2, 1::2]
            pooled *= np.float32(0.25)
            x, y = lattice.first_mm
            step = lattice.step_mm
            wider = Lattice((x + step / 2, y + step / 2), 2 * step, rows, columns)
            self._kept[steps.scaled(2.0)] = _cut(self._structure, wider, pooled, 2 * steps.across_mm, self._caps)
        return self._kept[steps.scaled(2.0)]


def _collected(
    layers: list[Layer],
    lattice: Lattice,
    axes: FloatArray,
    gaps: tuple[tuple[float, float], ...],
) -> SubVoxels:
    counts = [len(at) for _, _, at, _ in layers]
    coverage = np.concatenate([w for *_, w in layers]) if layers else np.empty(0)
    at = np.concatenate([at for _, _, at, _ in layers]) if layers else np.empty(0, dtype=np.intp)
    heights = np.array([z for z, *_ in layers])
    thickness = np.repeat([dz for _, dz, *_ in layers], counts)
    places = LatticePlaces(axes, lattice.x_mm, lattice.y_mm, heights, np.array(counts, dtype=np.intp), at)
    return SubVoxels(
        places=places,
        volumes_mm3=coverage * (lattice.step_mm**2 * thickness),
        coverage=coverage,
        sizes_mm=(lattice.step_mm, thickness),
        axes=axes,
        gaps=gaps,
    )


class _Block:
    """Planes without a gap between them."""

    def __init__(
        self, distances: NDArray[np.float32], positions_mm: FloatArray, usual_mm: float, lattice: Lattice
    ) -> None:
        guard = lattice.step_mm + OVERSHOOT_SHARE * usual_mm
        self.pixels = np.flatnonzero((distances > -guard).any(axis=0).reshape(-1))
        self.full = distances
        self.fields = distances.reshape(len(distances), -1)[:, self.pixels].astype(np.float64)
        self.positions = positions_mm
        self.usual = usual_mm
        self.step = lattice.step_mm
        self.apart = [self._unlinked(k) for k in range(len(positions_mm) - 1)]
        self.bends = _second_derivatives(self.fields, np.diff(positions_mm))
        self._end_splines()

    def layers(self, across_mm: float, caps: Caps) -> Iterator[Layer]:
        """Layers from the lower end to the upper one."""
        if len(self.positions) == 1:
            for offset, dz in _centres(self.usual, across_mm):
                yield self._cut(float(self.positions[0]) - self.usual / 2 + offset, dz, self.fields[0])
            return
        yield from self._cap(0, -1, across_mm, caps)
        for k, h in enumerate(np.diff(self.positions).tolist()):
            yield from self._between(k, h, across_mm)
        yield from self._cap(len(self.positions) - 1, 1, across_mm, caps)

    def _cut(
        self, z: float, dz: float, field: FloatArray, chosen: NDArray[np.intp] | None = None,
        whole: NDArray[np.intp] | None = None,
    ) -> Layer:  # fmt: skip
        """The layer of a field at all sub-pixels, or at chosen ones while others lie wholly inside."""
        covered = field / self.step
        covered += 0.5
        np.clip(covered, 0.0, 1.0, out=covered)
        inside = np.flatnonzero(covered)
        at, share = (self.pixels if chosen is None else chosen)[inside], covered[inside]
        if whole is None:
            return z, dz, at, share
        return z, dz, np.concatenate([whole, at]), np.concatenate([np.ones(len(whole)), share])

    def _between(self, k: int, h: float, across_mm: float) -> Iterator[Layer]:
        """The spline from plane k to the next."""
        low, high, apart = self.fields[k], self.fields[k + 1], self.apart[k]
        if apart is not None:
            for offset, dz in _centres(h, across_mm):
                yield self._cut(float(self.positions[k]) + offset, dz, _joined(apart, offset / h))
            return
        # A bulge beyond its limit is left out: what is deeper than that in both planes is inside between them too.
        limit = OVERSHOOT_SHARE * h
        least = np.minimum(low, high)
        whole = self.pixels[least >= limit + self.step / 2]
        open_ = np.flatnonzero((least < limit + self.step / 2) & (np.maximum(low, high) > -limit - self.step / 2))
        low, high, chosen = low[open_], high[open_], self.pixels[open_]
        bends = self.bends[k][open_], self.bends[k + 1][open_]
        for offset, dz in _centres(h, across_mm):
            t = offset / h
            bulge = (h * h / 6 * ((1 - t) ** 3 - (1 - t))) * bends[0]
            bulge += (h * h / 6 * (t**3 - t)) * bends[1]
            bulge[np.abs(bulge) > limit] = 0.0
            bulge += (1 - t) * low
            bulge += t * high
            yield self._cut(float(self.positions[k]) + offset, dz, bulge, chosen, whole)

    def _end_splines(self) -> None:
        """End the splines where a part begins or ends: its jump would ring through the planes beside it."""
        breaks = [k for k, apart in enumerate(self.apart) if apart is not None]
        if not breaks:
            return
        changed = np.zeros(len(self.pixels), dtype=np.bool_)
        for k in breaks:
            low, _, high, _ = self.apart[k] or ()
            changed |= (low != self.fields[k]) | (high != self.fields[k + 1])
        steps = np.diff(self.positions)
        for first, last in itertools.pairwise([0, *(k + 1 for k in breaks), len(self.positions)]):
            part = _second_derivatives(self.fields[first:last][:, changed], steps[first : last - 1])
            self.bends[first:last, changed] = part

    def _cap(self, plane: int, side: int, across_mm: float, caps: Caps) -> Iterator[Layer]:
        if caps == "none":
            return
        neighbour = plane - side
        h = abs(float(self.positions[plane] - self.positions[neighbour]))
        # Slope outwards of the spline at its end, where its second derivative is zero.
        slope = (self.fields[plane] - self.fields[neighbour]) / h + h / 6 * self.bends[neighbour]
        if len(self.positions) > 2:
            slope += PARABOLA_SHARE * (self._parabola_slope(plane, side) - slope)
        if caps == "flat":
            slope = np.zeros_like(slope)
        end = self._round_end(plane, side) if caps != "flat" and len(self.positions) > 2 else None
        for offset, dz in _centres(h if caps == "rounded" else h / 2, across_mm):
            straight = self.fields[plane] + slope * offset
            field = straight if end is None else end.bent(straight, offset)
            yield self._cut(float(self.positions[plane]) + side * offset, dz, field)

    def _round_end(self, plane: int, side: int) -> RoundEnd:
        planes = [plane, plane - side, plane - 2 * side]
        near, far = (abs(float(self.positions[plane] - self.positions[k])) for k in planes[1:])
        widths = [half_widths_mm(self.full[k]).reshape(-1)[self.pixels] for k in planes]
        return RoundEnd([self.fields[k] for k in planes], widths, (near, far), near / 2)

    def _parabola_slope(self, plane: int, side: int) -> FloatArray:
        """Slope outwards of the parabola through the three planes of an end.

        A natural spline does not bend at its end, and a rounded end does.
        """
        first, second = plane - side, plane - 2 * side
        near = abs(float(self.positions[plane] - self.positions[first]))
        far = abs(float(self.positions[first] - self.positions[second]))
        last = (self.fields[plane] - self.fields[first]) / near
        before = (self.fields[first] - self.fields[second]) / far
        return np.asarray(last + (last - before) * near / (near + far))

    def _unlinked(self, k: int) -> tuple[FloatArray, ...] | None:
        """Where parts of plane k or the next have no partner: the joined parts, and the single ones, of both."""
        low, high = self.full[k] > 0, self.full[k + 1] > 0
        parts = [_touching(low, high), _touching(high, low)]
        if (parts[0] == low).all() and (parts[1] == high).all():
            return None
        fields: list[FloatArray] = []
        for whole, linked, mask in ((self.full[k], parts[0], low), (self.full[k + 1], parts[1], high)):
            fields += [_field_of(part, whole, self.step).reshape(-1)[self.pixels] for part in (linked, mask & ~linked)]
        return tuple(fields)


def _joined(apart: tuple[FloatArray, ...], t: float) -> FloatArray:
    """Joined parts interpolated along a line; single ones unchanged up to half the way."""
    low, low_single, high, high_single = apart
    return np.maximum((1 - t) * low + t * high, low_single if t < 0.5 else high_single)


def _touching(mask: BoolArray, other: BoolArray) -> BoolArray:
    """The parts of a mask whose projection overlaps another."""
    from scipy import ndimage

    parts, count = ndimage.label(mask, np.ones((3, 3)))
    hits = np.zeros(count + 1, dtype=np.bool_)
    hits[parts[mask & other]] = True
    hits[0] = False
    return np.asarray(hits[parts])


def _field_of(part: BoolArray, whole: NDArray[np.float32], step_mm: float) -> FloatArray:
    """Signed distance to some parts of a plane alone: that of the plane where these parts are the nearest."""
    from scipy import ndimage

    if not part.any():
        return np.full(part.shape, -1e3)
    away = (ndimage.distance_transform_edt(~part) - 0.5) * step_mm
    is_own = part | (-whole >= away - step_mm) & (whole <= 0)
    return np.where(is_own, whole.astype(np.float64), -away)


def _centres(length_mm: float, step_mm: float) -> list[tuple[float, float]]:
    """Centre and thickness of equal layers that fill a length."""
    count = max(1, int(np.ceil(length_mm / step_mm - 1e-9)))
    thickness = length_mm / count
    return [((n + 0.5) * thickness, thickness) for n in range(count)]


def _second_derivatives(fields: FloatArray, steps_mm: FloatArray) -> FloatArray:
    """Second derivatives of the natural cubic spline through the planes, shape as `fields`."""
    from scipy.linalg import solve_banded

    bends = np.zeros_like(fields)
    if len(fields) < 3:
        return bends
    slopes = np.diff(fields, axis=0) / steps_mm[:, None]
    band = np.zeros((3, len(fields) - 2))
    band[0, 1:] = steps_mm[1:-1]
    band[1] = 2 * (steps_mm[:-1] + steps_mm[1:])
    band[2, :-1] = steps_mm[1:-1]
    bends[1:-1] = solve_banded((1, 1), band, 6 * np.diff(slopes, axis=0))
    return bends
