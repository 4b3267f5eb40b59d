"""Signed distance to the contours of one plane at the points of a lattice: exact beside them, capped further away."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contouring.combine import Overlap, combine
from contouring.dose.structure import PlanarStructure
from contouring.rings import Rings

__all__ = ["Lattice", "lattice_around", "signed_distances_mm"]

FloatArray = NDArray[np.float64]

ROUND_MM = 1e-3
"""Edges that run there and back between equal points (to this rounding) are the channel of a keyhole, no boundary."""


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
    structure: PlanarStructure, lattice: Lattice, reach_mm: float, overlap: Overlap = "error"
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

    Raises
    ------
    OverlappingContours
        Boundaries of two contours cross, and `overlap` is "error".
    """
    inside = _inside(structure, lattice, overlap)
    distances = np.empty(inside.shape, dtype=np.float32)
    for k, polygons in enumerate(structure.polygons):
        distances[k] = _distance(polygons, lattice, reach_mm)
        np.negative(distances[k], out=distances[k], where=~inside[k])
    return distances


def _inside(structure: PlanarStructure, lattice: Lattice, overlap: Overlap) -> NDArray[np.bool_]:
    polygons = [p for plane in structure.polygons for p in plane]
    planes = [k for k, plane in enumerate(structure.polygons) for _ in plane]
    rings = Rings.of([(p - lattice.first_mm) / lattice.step_mm for p in polygons], planes)
    shape = (len(structure.polygons), lattice.rows, lattice.columns)
    return combine(rings, shape, is_xor=structure.is_xor, overlap=overlap).runs.region().mask()


def _distance(polygons: Sequence[FloatArray], lattice: Lattice, reach_mm: float) -> NDArray[np.float32]:
    """Unsigned distance to the boundary, capped."""
    from scipy.spatial import cKDTree

    distance = np.full((lattice.rows, lattice.columns), reach_mm, dtype=np.float32)
    begin, end = _edges(polygons)
    if not len(begin):
        return distance
    points, owner = _beads(begin, end, lattice.step_mm)
    columns, rows = _near(points, lattice, reach_mm)
    x, y = np.meshgrid(lattice.x_mm[columns], lattice.y_mm[rows])
    asked = np.stack([x.ravel(), y.ravel()], axis=1)
    # The edge of the nearest bead and that of the second nearest: at a corner they are the two that meet there.
    far, nearest = cKDTree(points).query(asked, k=2, distance_upper_bound=reach_mm + lattice.step_mm)
    is_near = np.isfinite(far[:, 0])
    asked, nearest = asked[is_near], nearest[is_near]
    nearest[:, 1] = np.where(nearest[:, 1] < len(points), nearest[:, 1], nearest[:, 0])
    found = np.minimum(*(_to_edge(asked, begin[owner[n]], end[owner[n]]) for n in nearest.T))
    window = np.full(len(is_near), reach_mm, dtype=np.float32)
    window[is_near] = np.minimum(found, reach_mm)
    distance[rows, columns] = window.reshape(len(x), -1)
    return distance


def _edges(polygons: Sequence[FloatArray]) -> tuple[FloatArray, FloatArray]:
    """Both ends of all edges, without the edges of channels, which are walked in both directions."""
    begin = np.concatenate(polygons)
    end = np.concatenate([np.roll(p, -1, axis=0) for p in polygons])
    keys = np.rint(np.concatenate([begin, end], axis=1) / ROUND_MM).astype(np.int64)
    there, back = {tuple(k) for k in keys.tolist()}, keys[:, [2, 3, 0, 1]]
    keep = np.array([tuple(k) not in there for k in back.tolist()], dtype=np.bool_)
    return begin[keep], end[keep]


def _beads(begin: FloatArray, end: FloatArray, step_mm: float) -> tuple[FloatArray, NDArray[np.intp]]:
    """Points along the edges, closer than a step, and the edge of each."""
    count = np.ceil(np.linalg.norm(end - begin, axis=1) / step_mm).astype(np.intp) + 1
    owner = np.repeat(np.arange(len(begin), dtype=np.intp), count)
    number = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    t = (number + 0.5) / count[owner]
    return begin[owner] + t[:, None] * (end - begin)[owner], owner


def _near(points: FloatArray, lattice: Lattice, reach_mm: float) -> tuple[slice, slice]:
    """Columns and rows of the lattice within reach of some points."""
    low, high = points.min(axis=0) - reach_mm, points.max(axis=0) + reach_mm
    columns = np.searchsorted(lattice.x_mm, [low[0], high[0]])
    rows = np.searchsorted(lattice.y_mm, [low[1], high[1]])
    return slice(*columns.tolist()), slice(*rows.tolist())


def _to_edge(points: FloatArray, begin: FloatArray, end: FloatArray) -> FloatArray:
    direction = end - begin
    length = np.maximum((direction * direction).sum(axis=1), 1e-12)
    t = np.clip(((points - begin) * direction).sum(axis=1) / length, 0, 1)
    away = points - begin - t[:, None] * direction
    return np.sqrt((away * away).sum(axis=1))
