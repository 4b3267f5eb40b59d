"""RTSTRUCT to regions on a grid: by geometry, exactly, with everything that was moved, cut or left out told."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from contouring.combine import Overlap, combine, even_odd_area
from contouring.contours import Contours
from contouring.errors import (
    ContouringError,
    EmptyAfterClipping,
    FrameOfReferenceMismatch,
    UnsupportedContourType,
)
from contouring.planes import PlaneGroup, check_planarity, gaps_between, group_by_plane, one_group_per_plane
from contouring.raster import coverage_of
from contouring.rings import Rings
from contouring.rtstruct_parse import ParsedRoi, open_structure_set, parse_structure_set
from imaging.geometry import Grid
from imaging.headers import numbers, text, whole
from imaging.volume import Region, SourceInstance

__all__ = ["ReadReport", "ReadRoi", "ReadRtstruct", "RoiReadReport", "grid_of", "read_rtstruct"]

AREA_TYPES = frozenset({"CLOSED_PLANAR", "CLOSEDPLANAR_XOR"})

CENTRE_PX = 1e-3
"""Vertices this near to a pixel centre lie on it (specification of contouring, 4.4)."""

CENTRE_SHARE = 0.9


@dataclass(frozen=True)
class RoiReadReport:
    """What happened to one ROI on its way to voxels.

    Parameters
    ----------
    contours, on_plane, snapped, moved, outside, displaced
        Number of contours in all; on a plane; off by rounding; moved to the nearest slice on request; outside the
        image; left out because a nearer contour group has that slice.
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


def read_rtstruct(
    source: Dataset | Path,
    grid: Grid,
    *,
    offgrid: Literal["error", "nearest"] = "error",
    overlap: Overlap = "error",
    edge: Literal["half-open", "inclusive"] = "half-open",
    frame_check: bool = True,
    images: Sequence[SourceInstance] = (),
    numbers_wanted: Sequence[int] | None = None,
) -> ReadRtstruct:
    """All structures of an RTSTRUCT as regions on a grid.

    A structure that cannot be read without guessing is refused with a typed error; the others are read.

    Parameters
    ----------
    source
        The RTSTRUCT, as data set or file.
    grid
        The image's planes. Without the image, `grid_of` gives the grid that radgate wrote into the object.
    offgrid
        Contours between slices: refuse, or move to the nearest slice.
    overlap
        CLOSED_PLANAR contours whose boundaries cross: refuse, unite, or XOR.
    edge
        Whether pixel centres on the path count (inclusive), or only those on the sides of lower index (half-open).
    frame_check
        Whether the frame of reference must be that of the grid. Switch off only with a registration at hand that says
        the frames coincide.
    images
        The image of each plane; where given, contours that name another image are counted. Geometry wins.
    numbers_wanted
        ROI numbers to read; all where left out.

    Raises
    ------
    NotDicom
        The file is no DICOM file.
    TruncatedFile
        The file ends before its data set does.
    NotAStructureSet
        The object is of another kind, or its sequences cannot be read.
    """
    parsed = parse_structure_set(source)
    structures: list[ReadRoi] = []
    refused: list[tuple[int, str, ContouringError]] = []
    for roi in parsed.rois:
        if numbers_wanted is not None and roi.number not in numbers_wanted:
            continue
        try:
            _check(roi, grid if frame_check else None)
            structures.append(_read(roi, grid, images, offgrid=offgrid, overlap=overlap, inclusive=edge == "inclusive"))
        except ContouringError as refusal:
            refused.append((roi.number, roi.name, refusal))
    own_series = {i.series_instance_uid for i in images}
    report = ReadReport(
        label=parsed.label,
        referenced_series_uids=parsed.referenced_series_uids,
        names_another_series=bool(own_series and parsed.referenced_series_uids)
        and not own_series & set(parsed.referenced_series_uids),
        strays=parsed.strays,
    )
    return ReadRtstruct(tuple(structures), tuple(refused), report)


def grid_of(source: Dataset | Path) -> Grid | None:
    """The grid in SourcePixelPlanesCharacteristicsSequence; None where the object has none, or several that differ.

    Raises
    ------
    NotDicom
        The file is no DICOM file.
    TruncatedFile
        The file ends before its data set does.
    NotAStructureSet
        The object is of another kind.
    MissingAttribute
        The sequence lacks one of its attributes.
    """
    dataset = open_structure_set(source)
    frames = {
        text(d, "ROINumber"): text(d, "ReferencedFrameOfReferenceUID")
        for d in dataset.get("StructureSetROISequence") or ()
    }
    found: list[Grid] = []
    for item in dataset.get("ROIContourSequence") or ():
        for planes in item.get("SourcePixelPlanesCharacteristicsSequence") or ():
            grid = _grid(planes, frames.get(text(item, "ReferencedROINumber"), ""))
            if not any(grid.is_same_as(other) for other in found):
                found.append(grid)
    return found[0] if len(found) == 1 else None


def _grid(planes: Dataset, frame: str) -> Grid:
    row, column = np.array(numbers(planes, "ImageOrientationPatient", 6)).reshape(2, 3)
    normal = np.cross(row, column) / np.linalg.norm(np.cross(row, column))
    step = numbers(planes, "SpacingBetweenSlices", 1)[0]
    origin = np.array(numbers(planes, "ImagePositionPatient", 3))
    spacing = numbers(planes, "PixelSpacing", 2)
    count = whole(planes, "NumberOfFrames")
    return Grid(
        positions_lps=origin + np.outer(np.arange(count) * step, normal),
        row_direction=row,
        column_direction=column,
        pixel_spacing_mm=(spacing[0], spacing[1]),
        rows=whole(planes, "Rows"),
        columns=whole(planes, "Columns"),
        frame_of_reference_uid=frame,
        slice_thickness_mm=step,
    )


def _check(roi: ParsedRoi, grid: Grid | None) -> None:
    if roi.fault is not None:
        raise roi.fault
    if grid is None or not roi.frame_of_reference_uid or not grid.frame_of_reference_uid:
        return
    if roi.frame_of_reference_uid != grid.frame_of_reference_uid:
        raise FrameOfReferenceMismatch(
            f"Structure {roi.number} was drawn in another frame of reference than the image; give the image series that "
            "it belongs to, or a registration of the two.",
            number=roi.number,
            expected=grid.frame_of_reference_uid,
            got=roi.frame_of_reference_uid,
        )


def _read(
    roi: ParsedRoi,
    grid: Grid,
    images: Sequence[SourceInstance],
    *,
    offgrid: Literal["error", "nearest"],
    overlap: Overlap,
    inclusive: bool,
) -> ReadRoi:
    encloses = _encloses_area(roi.contours)
    closed, rest = roi.contours.selected(encloses), roi.contours.selected(~encloses)
    if len(rest) and not len(closed):
        raise UnsupportedContourType(
            f"Structure {roi.number} holds only points or open lines, which enclose no voxels; draw closed contours.",
            number=roi.number,
            types=sorted(set(rest.types)),
        )
    report = RoiReadReport(contours=len(roi.contours), not_area=len(rest), miscounted=roi.miscounted)
    region = Region.from_mask(np.zeros((0, 0, 0), dtype=np.bool_))
    region = replace(region, shape=grid.shape)
    if len(closed):
        groups = group_by_plane(check_planarity(closed, grid), grid)
        used, behind = one_group_per_plane(groups, offgrid)
        if not used:
            raise EmptyAfterClipping(
                f"All contours of structure {roi.number} lie outside the image; give the image series it was drawn on.",
                number=roi.number,
                contours=len(closed),
            )
        rings = _rings(closed, used, grid)
        combined = combine(
            rings, grid.shape, is_xor="CLOSEDPLANAR_XOR" in closed.types, overlap=overlap, inclusive=inclusive
        )
        region = combined.runs.region()
        report = replace(
            _counted(report, groups, used, behind),
            duplicates=combined.duplicates,
            united=combined.united,
            cut_share=_cut_share(rings, grid),
            through_voxel_centres=_is_through_centres(rings),
            wrong_references=_wrong_references(closed, used, images),
        )
        if report.cut_share >= 1:
            raise EmptyAfterClipping(
                f"All contours of structure {roi.number} lie beside the image; give the image series it was drawn on.",
                number=roi.number,
                contours=len(closed),
            )
    return ReadRoi(
        number=roi.number,
        name=roi.name,
        description=roi.description,
        interpreted_type=roi.interpreted_type,
        code=roi.code,
        colour_rgb=roi.colour_rgb,
        region=region,
        not_area=rest,
        report=report,
    )


def _encloses_area(contours: Contours) -> np.ndarray:
    """Which contours are closed and have at least three different points."""
    closed = np.array([t in AREA_TYPES for t in contours.types], dtype=np.bool_) & (contours.counts >= 3)
    for n in np.flatnonzero(closed & (contours.counts < 16)):
        closed[n] = len(np.unique(contours.polygon(int(n)), axis=0)) >= 3
    return closed


def _rings(contours: Contours, groups: Sequence[PlaneGroup], grid: Grid) -> Rings:
    """Contours of the groups in index space, on the planes of their groups."""
    plane = np.full(len(contours), -1, dtype=np.intp)
    for group in groups:
        plane[list(group.contours)] = group.plane
    kept = contours.selected(plane >= 0)
    planes = plane[plane >= 0]
    uw = grid.columns_rows(np.repeat(planes, kept.counts), kept.points_lps)
    return Rings(uw, kept.starts, planes)


def _counted(
    report: RoiReadReport, groups: Sequence[PlaneGroup], used: Sequence[PlaneGroup], behind: Sequence[PlaneGroup]
) -> RoiReadReport:
    def contours(some: Sequence[PlaneGroup]) -> int:
        return sum(len(g.contours) for g in some)

    return replace(
        report,
        on_plane=contours([g for g in used if g.kind == "on"]),
        snapped=contours([g for g in used if g.kind == "snapped"]),
        moved=contours([g for g in used if g.kind == "between"]),
        outside=contours([g for g in groups if g.kind == "outside"]),
        displaced=contours(behind),
        largest_shift_mm=max((g.shift_mm for g in used), default=0.0),
        gaps=gaps_between([g.plane for g in used]),
    )


def _cut_share(rings: Rings, grid: Grid) -> float:
    """Share of the enclosed area outside the image."""
    low, high = rings.columns_rows.min(axis=0), rings.columns_rows.max(axis=0)
    if (low >= -0.5 - CENTRE_PX).all() and (high <= np.array([grid.columns, grid.rows]) - 0.5 + CENTRE_PX).all():
        return 0.0
    whole_area = even_odd_area(rings)
    inside = float(coverage_of(rings, grid.shape)[0].sum(dtype=np.float64))
    return max(0.0, 1 - inside / whole_area) if whole_area > 0 else 0.0


def _is_through_centres(rings: Rings) -> bool:
    on_centre = (np.abs(rings.columns_rows - np.rint(rings.columns_rows)) <= CENTRE_PX).all(axis=1)
    return bool(on_centre.mean() >= CENTRE_SHARE)


def _wrong_references(contours: Contours, groups: Sequence[PlaneGroup], images: Sequence[SourceInstance]) -> int:
    if not images:
        return 0
    wrong = 0
    for group in groups:
        image = images[group.plane]
        for n in group.contours:
            named = (contours.referenced_uids[n], contours.referenced_frames[n])
            wrong += bool(named[0]) and named not in {
                (image.sop_instance_uid, image.frame_number or 0),
                (image.sop_instance_uid, 0) if image.frame_number is None else named[:0],
            }
    return wrong
