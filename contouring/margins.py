"""Margins: a structure grown or shrunk by millimetres along the patient's axes, from its smooth surface.

Grown is every point x with a point y of the structure so that sum(((x_i - y_i) / m_i)^2) <= 1, m_i being the margin on
the side to which x lies of y. Margins follow the patient's axes on oblique grids too.
"""

from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from contouring.min_plus import reach
from contouring.solid import Solid, solid_of
from imaging.geometry import Grid
from imaging.volume import Region

__all__ = ["Margin", "grow", "margin_mm", "shrink"]

FloatArray = NDArray[np.float64]

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
    centres = _centres_lps(box, grid, open_voxels)
    inside.ravel()[open_voxels] = _within(solid, centres, margin)
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
    centres = _centres_lps(region.box, grid, voxels)
    inside = np.zeros(region.crop.shape, dtype=np.bool_)
    # What lies outside grows inwards: off the left side, towards the right.
    inside.ravel()[voxels] = ~_within(solid, centres, margin.mirrored, from_outside=True)
    return _cropped(inside, region.box, grid)


def margin_mm(systematic_mm: float, random_mm: float) -> float:
    """PTV margin after van Herk (2000): 2.5 Sigma + 0.7 sigma.

    Examples
    --------
    >>> margin_mm(2.0, 3.0)
    7.1
    """
    return 2.5 * systematic_mm + 0.7 * random_mm


def _within(solid: Solid, centres_lps: FloatArray, margin: Margin, *, from_outside: bool = False) -> NDArray[np.bool_]:
    """Which points lie within the margin of the solid's surface, for points on the other side of it."""
    positive, negative = margin.positive_lps, margin.negative_lps
    if np.array_equal(positive, negative) and positive.min() >= SMALLEST_SCALED_MM:
        tree = cKDTree(solid.surface_points_lps() / positive)
        distances, _ = tree.query(centres_lps / positive, distance_upper_bound=1.0 + 1e-9)
        return np.asarray(distances <= 1.0)
    return reach(solid, centres_lps, positive, negative, from_outside=from_outside)


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
