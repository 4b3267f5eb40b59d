"""Measuring a lesion: volume, diameters, density, where it lies, and what changed since the last time.

Standardised uptake is in `contouring.suv`; categories of guidelines are in `reports`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion
from scipy.spatial import cKDTree

from contouring.diameters import Ends, PlaneAxes, axes_in_plane, largest_diameter_mm, principal_axes_mm
from contouring.errors import GridMismatch
from contouring.midline import Midline, midline_of_body
from contouring.overlap import joint_crops
from contouring.volumes import centroid_lps, volume_cc
from imaging.geometry import Grid
from imaging.volume import Region, Volume

__all__ = [
    "OUTLINES",
    "Density",
    "LesionMeasurement",
    "Neighbour",
    "Side",
    "density",
    "doubling_time_days",
    "measure_lesion",
    "neighbours",
    "recist_label",
    "side_of",
]

Side = Literal["L", "R", "midline"]

CORE_VOXELS = 30
"""Smallest core (lesion eroded by a voxel) that gets statistics of its own (specification of contouring, 13)."""

OUTLINES = ("Body", "External")
"""Names of the patient's outline, whose middle is the midline."""

MIDLINE_MM = 5.0
"""Half width of the band around the midline in which no side is named."""


@dataclass(frozen=True)
class Density:
    """Statistics of the image's values inside, in the image's own unit."""

    unit: str
    mean: float
    sd: float
    median: float
    minimum: float
    maximum: float
    percentile_5: float
    percentile_95: float
    voxels: int


@dataclass(frozen=True)
class Neighbour:
    """A structure beside or around a lesion.

    Parameters
    ----------
    name
        TG-263 name.
    share
        Share of the lesion's voxels inside the structure.
    distance_mm
        Smallest distance of voxel centres; 0 where they overlap.
    """

    name: str
    share: float
    distance_mm: float


@dataclass(frozen=True)
class LesionMeasurement:
    """Everything that geometry and the image say about one lesion.

    Parameters
    ----------
    volume_cc
        Voxels times their volume.
    axes
        Long and short axis in the acquisition plane.
    largest_diameter_mm, principal_axes_mm
        In space.
    centroid_lps
        Centre of mass, mm.
    key_plane
        Slice of the long axis.
    side
        Side of the patient, or None where no midline is known, or not well enough.
    density, core_density
        Of the whole and of the part a voxel below its surface; None without an image, or where the core is too small.
    neighbours
        Structures that hold it or lie within reach, the one that holds most of it first.
    """

    volume_cc: float
    axes: PlaneAxes
    largest_diameter_mm: float
    principal_axes_mm: tuple[float, float, float]
    centroid_lps: tuple[float, float, float]
    key_plane: int
    side: Side | None = None
    density: Density | None = None
    core_density: Density | None = None
    neighbours: tuple[Neighbour, ...] = ()


def measure_lesion(
    region: Region,
    grid: Grid,
    *,
    volume: Volume | None = None,
    organs: Mapping[str, Region] | None = None,
    midline: Midline | None = None,
    ends: Ends = "corner",
) -> LesionMeasurement:
    """All measurements of one lesion.

    Parameters
    ----------
    region
        The lesion's voxels.
    grid
        Their grid.
    volume
        Image on the same grid, for density.
    organs
        Structures on the same grid, for the neighbours; a `Body` or `External` that shows both halves of the patient
        gives the midline.
    midline
        Midline of the patient, where it is found already; one without a place gives no side.
    ends
        Whether diameters run between pixel corners or centres.

    Raises
    ------
    EmptyStructure
        The region has no voxel.
    GridMismatch
        Region, image and organs lie on different grids.
    """
    centre = centroid_lps(region, grid)
    axes = axes_in_plane(region, grid, ends)
    body = next(((organs or {})[name] for name in OUTLINES if name in (organs or {})), None)
    if midline is None and body is not None and body.voxel_count:
        midline = midline_of_body(body, grid)
    inside = core = None
    if volume is not None:
        if not volume.grid.is_same_as(grid):
            raise GridMismatch(
                "The image lies on another grid than the lesion; measure it on the image it was drawn on."
            )
        inside = density(region, volume)
        eroded = binary_erosion(np.pad(region.crop, 1))[1:-1, 1:-1, 1:-1]
        if np.count_nonzero(eroded) >= CORE_VOXELS:
            core = density(Region(eroded, region.start, region.shape), volume)
    return LesionMeasurement(
        volume_cc=volume_cc(region, grid),
        axes=axes,
        largest_diameter_mm=largest_diameter_mm(region, grid),
        principal_axes_mm=principal_axes_mm(region, grid),
        centroid_lps=(float(centre[0]), float(centre[1]), float(centre[2])),
        key_plane=axes.plane,
        side=None if midline is None else _certain_side(float(centre[0]), midline),
        density=inside,
        core_density=core,
        neighbours=neighbours(region, {n: r for n, r in (organs or {}).items() if n not in OUTLINES}, grid),
    )


def density(region: Region, volume: Volume) -> Density:
    """Statistics of an image inside a region that has voxels.

    Raises
    ------
    GridMismatch
        The region belongs to an image of another shape.
    """
    if region.shape != volume.array.shape:
        raise GridMismatch("The image lies on another grid than the lesion; measure it on the image it was drawn on.")
    values = volume.array[region.box][region.crop].astype(np.float64)
    low, middle, high = (float(v) for v in np.percentile(values, [5, 50, 95]))
    return Density(
        unit=volume.unit,
        mean=float(values.mean()),
        sd=float(values.std(ddof=1)) if len(values) > 1 else 0.0,
        median=middle,
        minimum=float(values.min()),
        maximum=float(values.max()),
        percentile_5=low,
        percentile_95=high,
        voxels=len(values),
    )


def neighbours(
    region: Region, organs: Mapping[str, Region], grid: Grid, within_mm: float = 20.0
) -> tuple[Neighbour, ...]:
    """Structures that overlap a lesion or come within reach of it, most overlap first, then nearest first.

    Raises
    ------
    GridMismatch
        A structure lies on another grid.
    """
    own = cKDTree(_surface_lps(region, grid)) if region.voxel_count else None
    found = []
    for name, organ in organs.items():
        a, b, _ = joint_crops(region, organ)
        shared = int(np.count_nonzero(a & b))
        if shared:
            found.append(Neighbour(name, shared / region.voxel_count, 0.0))
        elif own is not None and organ.voxel_count:
            distance = float(own.query(_surface_lps(organ, grid))[0].min())
            if distance <= within_mm:
                found.append(Neighbour(name, 0.0, distance))
    return tuple(sorted(found, key=lambda n: (-n.share, n.distance_mm, n.name)))


def side_of(x_lps_mm: float, midline_x_mm: float) -> Side:
    """The patient's side of a point; +x is left."""
    offset = x_lps_mm - midline_x_mm
    if abs(offset) <= MIDLINE_MM:
        return "midline"
    return "L" if offset > 0 else "R"


def _certain_side(x_lps_mm: float, midline: Midline) -> Side | None:
    """The side of a point, where it lies further from the midline than that is uncertain."""
    if midline.x_mm is None:
        return None
    offset = abs(x_lps_mm - midline.x_mm)
    if midline.uncertainty_mm and offset <= midline.uncertainty_mm + MIDLINE_MM:
        return None
    return side_of(x_lps_mm, midline.x_mm)


def recist_label(measurement: LesionMeasurement, *, is_node: bool, slice_thickness_mm: float) -> str:
    """What RECIST 1.1 calls a lesion of this size: "target", "non-target" or "normal" (for a node below 10 mm).

    A lesion is measurable from 10 mm of long axis (twice the slice thickness where that is above 5 mm); a node from
    15 mm of short axis, from 10 mm it is pathological and no target.

    References
    ----------
    Eisenhauer et al., Eur J Cancer 2009;45:228-247.
    """
    if is_node:
        short = measurement.axes.short_axis.length_mm
        return "target" if short >= 15 else "non-target" if short >= 10 else "normal"
    needed = 10.0 if slice_thickness_mm <= 5 else 2 * slice_thickness_mm
    return "target" if measurement.axes.long_axis.length_mm >= needed else "non-target"


def doubling_time_days(earlier_cc: float, later_cc: float, days: float) -> float:
    """Volume doubling time; negative for a shrinking lesion, infinite for an unchanged one.

    Raises
    ------
    ValueError
        A volume or the time is not positive.

    Examples
    --------
    >>> doubling_time_days(1.0, 2.0, 90.0)
    90.0
    """
    if min(earlier_cc, later_cc, days) <= 0:
        raise ValueError("volumes and time between them are positive")
    growth = math.log(later_cc / earlier_cc)
    return math.log(2) * days / growth if growth else math.inf


def _surface_lps(region: Region, grid: Grid) -> NDArray[np.float64]:
    """Centres of the voxels with a background neighbour."""
    border = region.crop & ~binary_erosion(np.pad(region.crop, 1))[1:-1, 1:-1, 1:-1]
    k, j, i = np.nonzero(border)
    columns_rows = np.stack([i + region.start[2], j + region.start[1]], axis=1)
    return grid.points_lps(np.asarray(k + region.start[0]), columns_rows)
