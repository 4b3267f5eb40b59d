"""How well two contours of one structure agree: surface Dice, Hausdorff distance, mean distance, added path length.

The definitions are fixed (`DEFINITION` goes with every stored number); all distances are in mm with the real spacing.
Overlap in voxels is in `contouring.overlap`, the surfaces in `contouring.surface`.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from contouring.overlap import check_same_shape, dice, jaccard, joint_crops, volume_difference
from contouring.surface import SurfaceDistances, surface_distances
from contouring.volumes import centroid_lps, volume_cc
from imaging.geometry import Grid
from imaging.volume import Region

__all__ = [
    "DEFINITION",
    "TOLERANCES_MM",
    "AddedPath",
    "Agreement",
    "MeanSurfaceDistance",
    "added_path_length",
    "agreement",
    "dice",
    "hausdorff_mm",
    "jaccard",
    "mean_surface_distance_mm",
    "surface_dice",
    "volume_difference",
]

DEFINITION = "radgate.metrics/1"
"""Version of the definitions; changes when a number may change."""

TOLERANCES_MM = (1.0, 2.0, 3.0)
"""Tolerances of surface Dice that `agreement` reports."""


@dataclass(frozen=True)
class MeanSurfaceDistance:
    """Area-weighted mean distance of the surfaces, mm: either direction, their mean, and over both areas together."""

    a_to_b_mm: float
    b_to_a_mm: float
    mean_mm: float
    pooled_mm: float


@dataclass(frozen=True)
class AddedPath:
    """Boundary that would have to be drawn anew: pixels, and pixels times the geometric mean of the pixel spacings."""

    pixels: int
    length_mm: float


@dataclass(frozen=True)
class Agreement:
    """All numbers for one structure; `reference` is what is taken as right.

    Distances are infinite where one of the two is empty, and everything is NaN where both are.
    """

    dice: float
    jaccard: float
    surface_dice: dict[float, float]
    hausdorff95_mm: float
    hausdorff_mm: float
    mean_surface_distance: MeanSurfaceDistance
    added_path: AddedPath
    reference_cc: float
    other_cc: float
    volume_difference: float
    centroid_shift_lps_mm: tuple[float, float, float]
    definition: str = DEFINITION


def surface_dice(distances: SurfaceDistances, tolerance_mm: float) -> float:
    """Share of both surfaces that lies within the tolerance (inclusive) of the other.

    NaN where both regions are empty, 0 where one is.

    Examples
    --------
    >>> surface_dice(SurfaceDistances(np.array([0.0, 3.0]), np.ones(2), np.array([2.0]), np.ones(1)), 2.0)
    0.6666666666666666
    """
    total = float(distances.a_areas.sum() + distances.b_areas.sum())
    if not total:
        return math.nan
    near = float(distances.a_areas[distances.a_to_b_mm <= tolerance_mm].sum())
    near += float(distances.b_areas[distances.b_to_a_mm <= tolerance_mm].sum())
    return near / total


def hausdorff_mm(distances: SurfaceDistances, percent: float = 95.0) -> float:
    """The larger of the two directed distances that reach `percent` of the surface's area; 100 gives the maximum.

    NaN where both regions are empty, infinite where one is.

    Raises
    ------
    ValueError
        `percent` is not within 0 and 100.
    """
    if not 0 <= percent <= 100:
        raise ValueError("percent lies within 0 and 100")
    if not len(distances.a_areas) and not len(distances.b_areas):
        return math.nan
    directed = [
        _reached_mm(d, areas, percent / 100) if len(d) else math.inf
        for d, areas in ((distances.a_to_b_mm, distances.a_areas), (distances.b_to_a_mm, distances.b_areas))
    ]
    return max(directed)


def mean_surface_distance_mm(distances: SurfaceDistances) -> MeanSurfaceDistance:
    """Area-weighted mean distances; NaN where both regions are empty, infinite where one is."""
    sums = []
    for d, areas in ((distances.a_to_b_mm, distances.a_areas), (distances.b_to_a_mm, distances.b_areas)):
        sums.append((float(d @ areas) if np.isfinite(d).all() else math.inf, float(areas.sum())))
    (sum_a, area_a), (sum_b, area_b) = sums
    if not area_a and not area_b:
        return MeanSurfaceDistance(math.nan, math.nan, math.nan, math.nan)
    if not area_a or not area_b:
        return MeanSurfaceDistance(math.inf, math.inf, math.inf, math.inf)
    a, b = sum_a / area_a, sum_b / area_b
    return MeanSurfaceDistance(a, b, (a + b) / 2, (sum_a + sum_b) / (area_a + area_b))


def added_path_length(reference: Region, other: Region, grid: Grid, tolerance_px: float = 0.0) -> AddedPath:
    """Pixels of the reference's boundary, slice by slice, that are not in the other's boundary.

    Parameters
    ----------
    reference, other
        Regions of the grid; the reference is what the other would be corrected to.
    grid
        Gives the pixel spacing.
    tolerance_px
        A boundary pixel of the other within this distance (in pixels, Euclidean, in the plane) counts as the same.

    Raises
    ------
    GridMismatch
        The regions lie on different grids.
    """
    check_same_shape(reference, other)
    crop_reference, crop_other, _ = joint_crops(reference, other)
    missing = 0
    for wanted, drawn in zip(crop_reference, crop_other, strict=True):
        boundary, found = _boundary(wanted), _boundary(drawn)
        if tolerance_px > 0 and found.any():
            found = distance_transform_edt(~found) <= tolerance_px
        missing += int(np.count_nonzero(boundary & ~found))
    return AddedPath(missing, missing * math.sqrt(grid.pixel_spacing_mm[0] * grid.pixel_spacing_mm[1]))


def agreement(
    reference: Region, other: Region, grid: Grid, tolerances_mm: tuple[float, ...] = TOLERANCES_MM
) -> Agreement:
    """Every metric of two regions on one even grid.

    Raises
    ------
    GridMismatch
        A region lies on another grid.
    MissingSlices
        Planes are not evenly spaced.
    GantryTilt
        The planes are shifted against each other.
    """
    distances = surface_distances(reference, other, grid)
    shift = (math.nan,) * 3
    if reference.voxel_count and other.voxel_count:
        moved = centroid_lps(other, grid) - centroid_lps(reference, grid)
        shift = (float(moved[0]), float(moved[1]), float(moved[2]))
    return Agreement(
        dice=dice(reference, other),
        jaccard=jaccard(reference, other),
        surface_dice={tolerance: surface_dice(distances, tolerance) for tolerance in tolerances_mm},
        hausdorff95_mm=hausdorff_mm(distances, 95.0),
        hausdorff_mm=hausdorff_mm(distances, 100.0),
        mean_surface_distance=mean_surface_distance_mm(distances),
        added_path=added_path_length(reference, other, grid),
        reference_cc=volume_cc(reference, grid),
        other_cc=volume_cc(other, grid),
        volume_difference=volume_difference(reference, other),
        centroid_shift_lps_mm=(shift[0], shift[1], shift[2]),
    )


def _reached_mm(distances: NDArray[np.float64], areas: NDArray[np.float64], share: float) -> float:
    """Distance at which the cumulative share of the area first reaches `share`; distances ascend."""
    cumulative = np.cumsum(areas) / areas.sum()
    # The last sum may stay a rounding error below 1.
    index = min(int(np.searchsorted(cumulative, share)), len(distances) - 1)
    return float(distances[index])


def _boundary(plane: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Foreground pixels with a background neighbour among four; outside the image is background."""
    padded = np.pad(plane, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return plane & ~inner
