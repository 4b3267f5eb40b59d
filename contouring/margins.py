"""Margins: a structure grown or shrunk by millimetres along the patient's axes, from its smooth surface.

Grown is every point x with a point y of the structure so that sum(((x_i - y_i) / m_i)^2) <= 1, m_i being the margin on
the side to which x lies of y. Margins follow the patient's axes on oblique grids too.

Voxels at the new surface are taken by how much of them lies within it, from about a half on, so that they fill its
volume. Taking those whose
centre lies within would miss the volume of a sphere of 15 mm on slices of 3 mm by up to 1 %, however exact its surface.
"""

from dataclasses import astuple, dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from contouring.min_plus import Lattice, lattice_around
from contouring.solid import Solid, solid_of
from imaging.geometry import Grid
from imaging.volume import Region

__all__ = ["Margin", "grow", "margin_mm", "shrink"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

SAMPLING_MM = 0.5
"""Distance of the points by which the share of a voxel within the surface is found."""

RAMP_MM = 0.6
"""Width over which such a point counts in part, so that shares have no steps; it adds 0.1 % to a sphere of 10 mm."""

THRESHOLDS = np.linspace(0.4, 0.6, 41)
"""From which share on a voxel is taken: the threshold that comes nearest to the volume, and near a half in any case."""

CHUNK = 20_000
"""Voxels whose shares are found together, which bounds the memory."""

SMALLEST_SCALED_MM = 1.0
"""Margins below this are no scale for distances between surface points a pixel apart; the lattice serves them."""


@dataclass(frozen=True)
class Margin:
    """Margins towards the six sides of the patient, mm.

    Raises
    ------
    ValueError
        A margin is negative, not finite, or larger than 100 mm.
    """

    left: float
    right: float
    anterior: float
    posterior: float
    superior: float
    inferior: float

    def __post_init__(self) -> None:
        if not all(0 <= m <= 100 for m in astuple(self)):
            raise ValueError("a margin lies within 0 and 100 mm; shrink with shrink(), not with a negative margin")

    @classmethod
    def uniform(cls, mm: float) -> "Margin":
        """The same margin on all sides."""
        return cls(mm, mm, mm, mm, mm, mm)

    @property
    def positive_lps(self) -> FloatArray:
        """Margins towards +x, +y, +z: left, posterior, superior."""
        return np.array([self.left, self.posterior, self.superior])

    @property
    def negative_lps(self) -> FloatArray:
        """Margins towards -x, -y, -z: right, anterior, inferior."""
        return np.array([self.right, self.anterior, self.inferior])

    @property
    def mirrored(self) -> "Margin":
        """Opposite sides exchanged."""
        return Margin(self.right, self.left, self.posterior, self.anterior, self.inferior, self.superior)


def grow(region: Region, grid: Grid, margin: Margin) -> Region:
    """A region with a margin around it, cut at the border of the image.

    Parameters
    ----------
    region
        Keeps all its voxels.
    grid
        Any orientation; uneven distances and tilt allowed.
    margin
        Sides of zero do not grow.

    Raises
    ------
    EmptyStructure
        The region has no voxel.
    GridMismatch
        The region lies on another grid.
    MissingSlices
        The grid is a single plane without SliceThickness.
    """
    solid = solid_of(region, grid)
    if not any(astuple(margin)):
        return region
    box = _box_around(region, grid, margin)
    inside = np.zeros([s.stop - s.start for s in box], dtype=np.bool_)
    own = tuple(slice(r.start - b.start, r.stop - b.start) for r, b in zip(region.box, box, strict=True))
    inside[own] = region.crop
    open_voxels = np.flatnonzero(~inside.ravel())
    inside.ravel()[open_voxels] = _taken(_Reach(solid, margin), box, grid, open_voxels)
    return _cropped(inside, box, grid)


def shrink(region: Region, grid: Grid, margin: Margin) -> Region:
    """A region without what lies within the margin of its surface; may come out empty.

    The margin towards a side is taken off at that side.

    Raises
    ------
    EmptyStructure
        The region has no voxel to begin with.
    GridMismatch
        The region lies on another grid.
    MissingSlices
        The grid is a single plane without SliceThickness.
    """
    solid = solid_of(region, grid)
    if not any(astuple(margin)):
        return region
    voxels = np.flatnonzero(region.crop.ravel())
    inside = np.zeros(region.crop.shape, dtype=np.bool_)
    # What lies outside grows inwards: off the left side, towards the right.
    inside.ravel()[voxels] = ~_taken(_Reach(solid, margin.mirrored, from_outside=True), region.box, grid, voxels)
    return _cropped(inside, region.box, grid)


def margin_mm(systematic_mm: float, random_mm: float) -> float:
    """PTV margin after van Herk (2000): 2.5 Sigma + 0.7 sigma.

    Examples
    --------
    >>> margin_mm(2.0, 3.0)
    7.1
    """
    return 2.5 * systematic_mm + 0.7 * random_mm


@dataclass(frozen=True, eq=False)
class _Reach:
    """How far the margins of a solid's surface reach, asked for points on the other side of it."""

    solid: Solid
    margin: Margin
    from_outside: bool = False

    @cached_property
    def is_symmetric(self) -> bool:
        """Whether opposite sides have the same margin, large enough to scale distances by."""
        positive = self.margin.positive_lps
        return bool(np.array_equal(positive, self.margin.negative_lps) and positive.min() >= SMALLEST_SCALED_MM)

    @cached_property
    def tree(self) -> cKDTree:
        """Points of the surface in units of the margins."""
        return cKDTree(self.solid.surface_points_lps() / self.margin.positive_lps)

    @cached_property
    def lattice(self) -> Lattice:
        """Distances for margins that differ from side to side."""
        positive, negative = self.margin.positive_lps, self.margin.negative_lps
        return lattice_around(self.solid, positive, negative, from_outside=self.from_outside)

    @cached_property
    def slack(self) -> float:
        """Mean square distance, in units of the margins, from a place on the surface to the nearest point of it."""
        if self.from_outside:
            return 0.0
        return self.solid.point_gap_mm2 * float(np.mean(1 / self.margin.positive_lps**2))

    def within(self, points_lps: FloatArray) -> FloatArray:
        """How much a point lies within the margins: 0, 1, or between beside the surface."""
        scale_mm = self.scale_mm
        return np.clip(0.5 + (1.0 - self.distances(points_lps, 1.0 + RAMP_MM / scale_mm)) * scale_mm / RAMP_MM, 0, 1)

    @property
    def scale_mm(self) -> float:
        """The smallest margin that is one."""
        sides = np.array(astuple(self.margin))
        return float(sides[sides > 0].min())

    def distances(self, points_lps: FloatArray, largest: float) -> FloatArray:
        """Distance to the surface in units of the margins; as good as infinite above the largest that is asked for."""
        if not self.is_symmetric:
            return self.lattice.distances(points_lps)
        found, _ = self.tree.query(points_lps / self.margin.positive_lps, distance_upper_bound=largest + self.slack)
        found = np.minimum(found, 1e3)
        return np.asarray(np.sqrt(np.maximum(found**2 - self.slack, 0.0)))


def _taken(around: _Reach, box: tuple[slice, slice, slice], grid: Grid, voxels: NDArray[np.intp]) -> BoolArray:
    """Which voxels of a box lie within reach: those with the largest shares within, about as many as fill it."""
    centres = _centres_lps(box, grid, voxels)
    planes = box[0].start + voxels // ((box[1].stop - box[1].start) * (box[2].stop - box[2].start))
    below, above = _half_steps_mm(grid)
    dy, dx = grid.pixel_spacing_mm
    heights = (below + above)[planes]
    if around.is_symmetric:
        corner_mm = float(np.linalg.norm([np.maximum(below, above).max(), dy / 2, dx / 2])) + RAMP_MM
        room = corner_mm / float(around.margin.positive_lps.min())
        distances = around.distances(centres, 1.0 + room)
        share = (distances <= 1.0).astype(np.float64)
        cut = np.flatnonzero(np.abs(distances - 1.0) <= room)
    else:
        share = (around.distances(centres, 1.0) <= 1.0).astype(np.float64)
        cut = _beside_change(share > 0, box, voxels, is_open=not around.from_outside)
    # Shares of the voxels that the surface may cut, by points all over them.
    count = [max(1, int(np.ceil(float(s) / SAMPLING_MM - 0.1))) for s in (heights.max(initial=0.0), dy, dx)]
    k, j, i = (
        np.ravel(a) for a in np.meshgrid(*((np.arange(n) + 0.5) / n for n in count), indexing="ij", sparse=False)
    )
    offsets = np.outer(j - 0.5, dy * grid.column_direction) + np.outer(i - 0.5, dx * grid.row_direction)
    # A structure that is shrunk by more than its half width has no voxel beside the new surface.
    for some in np.array_split(cut, -(-len(cut) // CHUNK)) if len(cut) else ():
        along = k * heights[some, None] - below[planes[some], None]
        points = centres[some, None] + offsets + along[..., None] * grid.normal
        share[some] = around.within(points.reshape(-1, 3)).reshape(len(some), -1).mean(axis=1)
    # One threshold for all, so that a flat side is taken as a whole or not at all.
    order = np.argsort(share)
    volume = float(heights.sum()) - np.concatenate([[0.0], np.cumsum(heights[order])])
    # Beside a side without a margin the drawn voxels already hold what the shares there would be filled with.
    thresholds = THRESHOLDS if all(astuple(around.margin)) else np.array([0.5])
    kept = volume[np.searchsorted(share[order], thresholds)]
    return np.asarray(share >= thresholds[int(np.abs(kept - float((share * heights).sum())).argmin())])


def _half_steps_mm(grid: Grid) -> tuple[FloatArray, FloatArray]:
    """How far each plane's voxels reach down and up along the normal: half way to the neighbours."""
    steps = grid.slice_steps_mm
    if not len(steps):
        half = np.array([(grid.slice_thickness_mm or 0.0) / 2])
        return half, half
    return np.concatenate([steps[:1], steps]) / 2, np.concatenate([steps, steps[-1:]]) / 2


def _beside_change(
    inside: BoolArray, box: tuple[slice, slice, slice], voxels: NDArray[np.intp], *, is_open: bool
) -> NDArray[np.intp]:
    """Places in `voxels` of those with another kind among their neighbours.

    All that is not asked for, the structure or what is outside of it, is inside; unless the box is open at its border,
    that goes on around it.
    """
    inside_of_box = np.ones([s.stop - s.start for s in box], dtype=np.bool_)
    inside_of_box.ravel()[voxels] = inside
    body = np.ones((3, 3, 3), dtype=np.bool_)
    grown = ndimage.binary_dilation(inside_of_box, body, border_value=not is_open)
    near = np.where(inside_of_box, ndimage.binary_dilation(~inside_of_box, body), grown)
    return np.flatnonzero(near.ravel()[voxels])


def _box_around(region: Region, grid: Grid, margin: Margin) -> tuple[slice, slice, slice]:
    """The region's box with room for the margin, within the grid."""
    largest = max(astuple(margin))
    along = grid.plane_positions_mm
    step = float(grid.slice_steps_mm.max()) if len(along) > 1 else 0.0
    first, last = region.start[0], region.start[0] + len(region.crop) - 1
    planes = np.flatnonzero((along >= along[first] - largest - step) & (along <= along[last] + largest + step))
    # A tilted stack shifts its planes sideways by as much as it rises.
    shift = largest + (grid.shear_mm if grid.shear_mm > 0.01 else 0.0)
    sides = [
        slice(
            max(0, region.start[axis] - int(np.ceil(shift / spacing)) - 1),
            min(grid.shape[axis], region.start[axis] + region.crop.shape[axis] + int(np.ceil(shift / spacing)) + 1),
        )
        for axis, spacing in zip((1, 2), grid.pixel_spacing_mm, strict=True)
    ]
    return slice(int(planes[0]), int(planes[-1]) + 1), sides[0], sides[1]


def _centres_lps(box: tuple[slice, slice, slice], grid: Grid, voxels: NDArray[np.intp]) -> FloatArray:
    """Centres of the voxels of a box, given by their flat index."""
    k, j, i = np.unravel_index(voxels, [s.stop - s.start for s in box])
    columns_rows = np.stack([i + box[2].start, j + box[1].start], axis=1)
    return grid.points_lps(np.asarray(k + box[0].start), columns_rows)


def _cropped(inside: NDArray[np.bool_], box: tuple[slice, slice, slice], grid: Grid) -> Region:
    part = Region.from_mask(inside)
    start = tuple(s + b.start for s, b in zip(part.start, box, strict=True)) if part.crop.size else (0, 0, 0)
    return Region(part.crop, (start[0], start[1], start[2]), grid.shape)
