"""What reading a structure set gives: structures, refusals, and a report of everything that was not plain."""

from dataclasses import dataclass

from pydicom.sr.coding import Code

from contouring.contours import Contours
from contouring.errors import ContouringError
from imaging.volume import Region

__all__ = ["ReadReport", "ReadRoi", "ReadRtstruct", "RoiReadReport"]


@dataclass(frozen=True)
class RoiReadReport:
    """What happened to one ROI on its way to voxels.

    Parameters
    ----------
    contours, on_plane, snapped, moved, outside, displaced
        Number of contours in all; on a plane; off by rounding; moved to the nearest slice on request; outside the
        image; left out because a nearer contour group has that slice.
    resampled
        Contours between slices from which shapes were interpolated onto the slices, on request.
    largest_shift_mm
        Largest distance of a used contour from its slice.
    largest_deviation_mm
        Largest distance of a point from its contour's plane (reported above 0.01 mm, else 0).
    not_area
        Points, lines and contours of fewer than 3 points, which enclose nothing.
    duplicates, united, miscounted
        Contours dropped as exact copies; united because they cross; with a wrong NumberOfContourPoints.
    cut_share
        Share of the enclosed area that lies outside the image.
    gaps
        Runs of planes without a contour inside the structure, as (first, last).
    filled_planes
        Planes that were interpolated on request.
    through_voxel_centres
        Whether the contours run through pixel centres: read half-open they give a mask half a pixel too small.
    wrong_references
        Contours that name another image than the one they lie on.
    """

    contours: int = 0
    on_plane: int = 0
    snapped: int = 0
    moved: int = 0
    outside: int = 0
    displaced: int = 0
    resampled: int = 0
    largest_shift_mm: float = 0.0
    largest_deviation_mm: float = 0.0
    not_area: int = 0
    duplicates: int = 0
    united: int = 0
    miscounted: int = 0
    cut_share: float = 0.0
    gaps: tuple[tuple[int, int], ...] = ()
    filled_planes: tuple[int, ...] = ()
    through_voxel_centres: bool = False
    wrong_references: int = 0


@dataclass(frozen=True, eq=False)
class ReadRoi:
    """One structure on the grid.

    Parameters
    ----------
    number, name, description, interpreted_type, code, colour_rgb
        As the structure set says.
    region
        Its voxels; empty for a structure without contours.
    not_area
        Its points and open lines, mm.
    report
        What happened.
    """

    number: int
    name: str
    description: str
    interpreted_type: str
    code: Code | None
    colour_rgb: tuple[int, int, int] | None
    region: Region
    not_area: Contours
    report: RoiReadReport


@dataclass(frozen=True)
class ReadReport:
    """What was noticed about the structure set as a whole.

    Parameters
    ----------
    label
        StructureSetLabel.
    referenced_series_uids
        Image series that it names.
    names_another_series
        Whether it names series, and the image's is not among them. Geometry decides; nothing is refused for this.
    strays
        ROI numbers that have contours and no definition; they are left out.
    """

    label: str
    referenced_series_uids: tuple[str, ...]
    names_another_series: bool
    strays: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class ReadRtstruct:
    """A structure set on a grid.

    Parameters
    ----------
    structures
        The structures that could be read.
    refused
        (number, name, error) of those that could not.
    report
        About the whole.
    """

    structures: tuple[ReadRoi, ...]
    refused: tuple[tuple[int, str, ContouringError], ...]
    report: ReadReport
