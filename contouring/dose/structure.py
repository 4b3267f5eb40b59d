"""A structure for dose: its contours by plane in axes of their own, from a structure set or from voxels.

No image is needed: the planes are those that the contours were drawn in. Overlapping contours and open ones are left to
`contouring.combine` and `contouring.rtstruct_read`; what lies between the planes to `contouring.dose.solid`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from contouring.contours import Contours
from contouring.dose.errors import StructureRefused
from contouring.outline import points_of
from contouring.smooth import smooth_rings
from contouring.volumes import check_on_grid
from imaging.geometry import Grid
from imaging.volume import Region

__all__ = ["PlanarStructure", "structure_of_contours", "structure_of_region"]

FloatArray = NDArray[np.float64]

PLANARITY_MM = 0.1
"""Largest distance of a point from its contour's plane (specification of contouring, 4.2)."""

SAME_PLANE_MM = 0.05
"""Contours nearer than this along the normal were drawn in one plane: slices are never that near."""

AREA_TYPES = frozenset({"CLOSED_PLANAR", "CLOSEDPLANAR_XOR"})


@dataclass(frozen=True, eq=False)
class PlanarStructure:
    """Closed contours on parallel planes.

    Parameters
    ----------
    positions_mm
        Position of each plane along the normal (third row of `axes`), ascending, shape (K,).
    polygons
        By plane, the (N, 2) vertices in mm along the first two axes.
    axes
        Unit vectors in patient space, one a row: two in the planes, then their normal.
    is_xor
        Whether crossing contours mean exclusive or (CLOSEDPLANAR_XOR).
    thickness_mm
        Thickness of a single plane, where it is known.
    """

    positions_mm: FloatArray
    polygons: tuple[tuple[FloatArray, ...], ...]
    axes: FloatArray
    is_xor: bool = False
    thickness_mm: float | None = None

    @cached_property
    def usual_step_mm(self) -> float:
        """Median distance of neighbouring planes; of one plane its thickness.

        Raises
        ------
        StructureRefused
            There is one plane, and nothing says how thick it is.
        """
        if len(self.positions_mm) > 1:
            return float(np.median(np.diff(self.positions_mm)))
        if self.thickness_mm is None:
            raise StructureRefused(
                "The structure was drawn on one plane and nothing says how thick it is; state the slice thickness."
            )
        return self.thickness_mm

    @cached_property
    def areas_mm2(self) -> FloatArray:
        """Area on each plane by the even-odd rule for nested contours, shape (K,)."""
        return np.array([_nested_area(plane) for plane in self.polygons])

    @property
    def slab_volume_mm3(self) -> float:
        """Areas times plane distances, half of the usual distance beyond either end."""
        ends = np.concatenate([
            [self.positions_mm[0] - self.usual_step_mm / 2],
            (self.positions_mm[1:] + self.positions_mm[:-1]) / 2,
            [self.positions_mm[-1] + self.usual_step_mm / 2],
        ])
        return float(self.areas_mm2 @ np.diff(ends))

    @property
    def end_uncertainty_mm3(self) -> float:
        """How far the volume may be off because nobody knows where between two slices a structure ends (2.4)."""
        return float(self.areas_mm2[0] + self.areas_mm2[-1]) * self.usual_step_mm / 2


def _nested_area(polygons: Sequence[FloatArray]) -> float:
    """Area of nested polygons: one inside an odd number of others is a hole."""
    total = 0.0
    for n, polygon in enumerate(polygons):
        depth = sum(_is_inside(polygon[0], other) for m, other in enumerate(polygons) if m != n)
        x, y = (polygon - polygon[0]).T
        area = abs(float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum())) / 2
        total += -area if depth % 2 else area
    return total


def _is_inside(point: FloatArray, polygon: FloatArray) -> bool:
    (x0, y0), (x1, y1) = polygon.T, np.roll(polygon, -1, axis=0).T
    crosses = (y0 <= point[1]) != (y1 <= point[1])
    with np.errstate(divide="ignore", invalid="ignore"):
        at = x0 + (x1 - x0) * (point[1] - y0) / (y1 - y0)
    return bool(np.count_nonzero(crosses & (at > point[0])) % 2)


def structure_of_contours(
    contours: Contours, *, along: FloatArray | None = None, thickness_mm: float | None = None
) -> PlanarStructure:
    """The structure of one ROI's closed contours.

    Parameters
    ----------
    contours
        In patient space; points and open lines enclose nothing and are passed by.
    along
        Direction to align the sub-voxels with, such as the rows of the dose grid.
    thickness_mm
        SliceThickness, for a structure of a single plane.

    Raises
    ------
    StructureRefused
        No contour encloses an area, or they are not parallel planes.
    """
    polygons = [
        contours.polygon(n)
        for n in range(len(contours))
        if contours.types[n] in AREA_TYPES and contours.counts[n] >= 3 and _newell(contours.polygon(n)).any()
    ]
    if not polygons:
        raise StructureRefused("No contour of the structure encloses an area; draw closed contours.")
    normals = np.array([_newell(p) for p in polygons])
    normal = normals[int(np.linalg.norm(normals, axis=1).argmax())]
    normal = normal / np.linalg.norm(normal)
    # Upwards along the largest component, whichever way round the largest contour was drawn.
    normal = normal * np.sign(normal[int(np.abs(normal).argmax())])
    heights = [p @ normal for p in polygons]
    worst = max(float(h.max() - h.min()) / 2 for h in heights)
    if worst > PLANARITY_MM:
        raise StructureRefused(
            f"The contours are no parallel planes: one leaves its plane by {worst:.2f} mm; export the structure set "
            "again from the images it was drawn on.",
            deviation_mm=worst,
        )
    first = _first_axis(normal, along)
    axes = np.stack([first, np.cross(normal, first), normal])
    positions, members = _grouped(np.array([float(h.mean()) for h in heights]))
    return PlanarStructure(
        positions_mm=positions,
        polygons=tuple(tuple(polygons[n] @ axes[:2].T for n in group) for group in members),
        axes=axes,
        is_xor="CLOSEDPLANAR_XOR" in contours.types,
        thickness_mm=thickness_mm,
    )


def structure_of_region(region: Region, grid: Grid) -> PlanarStructure:
    """The structure of voxels: smooth outlines that enclose the same area, on the planes of their grid.

    Raises
    ------
    GridMismatch
        The region lies on another grid.
    StructureRefused
        The region has no voxel.
    """
    check_on_grid(region, grid)
    rings = smooth_rings(region)
    if not len(rings):
        raise StructureRefused("The structure has no voxel; draw it or leave it out.")
    points = points_of(rings, grid)
    polygons = [points[a:b] for a, b in zip(rings.starts[:-1], rings.starts[1:], strict=True)]
    thickness = float(np.median(grid.slice_steps_mm)) if len(grid.slice_steps_mm) else grid.slice_thickness_mm
    return structure_of_contours(Contours.of(polygons), along=grid.row_direction, thickness_mm=thickness)


def _newell(polygon: FloatArray) -> FloatArray:
    """Twice the vector area of a polygon; zero where its points lie on a line."""
    shifted = polygon - polygon[0]
    area = np.cross(shifted, np.roll(shifted, -1, axis=0)).sum(axis=0)
    return np.asarray(area if float(np.linalg.norm(area)) > 1e-9 else np.zeros(3))


def _first_axis(normal: FloatArray, along: FloatArray | None) -> FloatArray:
    """A unit vector in the plane, nearest to `along` where that lies in it well enough."""
    candidates = [np.eye(3)[int(np.abs(normal).argmin())]]
    if along is not None:
        candidates.insert(0, np.asarray(along, dtype=np.float64))
    for candidate in candidates:
        flat = candidate - (candidate @ normal) * normal
        if float(np.linalg.norm(flat)) > 0.1:
            break
    return np.asarray(flat / np.linalg.norm(flat))


def _grouped(heights: FloatArray) -> tuple[FloatArray, list[list[int]]]:
    """Positions of the planes, and the contours of each."""
    groups: list[list[int]] = []
    for n in np.argsort(heights, kind="stable").tolist():
        if groups and heights[n] - heights[groups[-1][0]] <= SAME_PLANE_MM:
            groups[-1].append(n)
        else:
            groups.append([n])
    return np.array([float(heights[g].mean()) for g in groups]), [sorted(g) for g in groups]
