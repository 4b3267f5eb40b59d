"""RTSTRUCT to regions on a grid: by geometry, exactly, with everything that was moved, cut or left out told."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from pydicom.dataset import Dataset

from contouring.combine import Overlap, even_odd_area
from contouring.contours import Contours
from contouring.errors import ContouringError, EmptyAfterClipping, FrameOfReferenceMismatch, UnsupportedContourType
from contouring.planes import OffGrid, PlaneGroup, gaps_between
from contouring.raster import Filled, Interpolate, fill
from contouring.rings import Rings
from contouring.rtstruct_parse import ParsedRoi, ParsedStructureSet, parse_structure_set
from contouring.rtstruct_result import ReadReport, ReadRoi, ReadRtstruct, RoiReadReport
from contouring.scanline import coverage_of
from imaging.geometry import Grid
from imaging.volume import Region, SourceInstance

__all__ = ["read_rtstruct"]

CENTRE_PX = 1e-3
"""Vertices this near to a pixel centre lie on it (specification of contouring, 4.4)."""

CENTRE_SHARE = 0.9

REPORTED_DEVIATION_MM = 0.01
"""Points this far off their contour's plane are told (4.2)."""


def read_rtstruct(
    source: Dataset | Path | ParsedStructureSet,
    grid: Grid,
    *,
    offgrid: OffGrid = "error",
    interpolate: Interpolate = "none",
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
        The RTSTRUCT, as data set, file, or parsed already.
    grid
        The image's planes. Without the image, `grid_of` gives the grid that radgate wrote into the object.
    offgrid
        Contours between slices: refuse, move to the nearest slice, or interpolate shapes onto the slices.
    interpolate
        Whether slices without a contour inside a structure are filled ("shape"); else they stay empty and are reported.
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
    options = _Options(offgrid, interpolate, overlap, edge == "inclusive")
    parsed = source if isinstance(source, ParsedStructureSet) else parse_structure_set(source)
    structures: list[ReadRoi] = []
    refused: list[tuple[int, str, ContouringError]] = []
    for roi in parsed.rois:
        if numbers_wanted is not None and roi.number not in numbers_wanted:
            continue
        try:
            _check(roi, grid if frame_check else None)
            structures.append(_read(roi, grid, images, options))
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


def _check(roi: ParsedRoi, grid: Grid | None) -> None:
    if roi.fault is not None:
        raise roi.fault
    if grid is None or not roi.frame_of_reference_uid or not grid.frame_of_reference_uid:
        return
    if roi.frame_of_reference_uid != grid.frame_of_reference_uid:
        raise FrameOfReferenceMismatch(
            f"Structure {roi.number} was drawn in another frame of reference than the image; give the image series "
            "that it belongs to, or a registration of the two.",
            number=roi.number,
            expected=grid.frame_of_reference_uid,
            got=roi.frame_of_reference_uid,
        )


@dataclass(frozen=True)
class _Options:
    offgrid: OffGrid
    interpolate: Interpolate
    overlap: Overlap
    inclusive: bool


def _read(roi: ParsedRoi, grid: Grid, images: Sequence[SourceInstance], options: _Options) -> ReadRoi:
    encloses = roi.contours.encloses_area
    closed, rest = roi.contours.selected(encloses), roi.contours.selected(~encloses)
    if len(rest) and not len(closed):
        raise UnsupportedContourType(
            f"Structure {roi.number} holds only points or open lines, which enclose no voxels; draw closed contours.",
            number=roi.number,
            types=sorted(set(rest.types)),
        )
    report = RoiReadReport(contours=len(roi.contours), not_area=len(rest), miscounted=roi.miscounted)
    region = Region(np.zeros((0, 0, 0), dtype=np.bool_), (0, 0, 0), grid.shape)
    if len(closed):
        filled = fill(
            closed,
            grid,
            offgrid=options.offgrid,
            interpolate=options.interpolate,
            overlap=options.overlap,
            inclusive=options.inclusive,
        )
        region = filled.region
        report = _reported(report, filled, closed, grid, images, is_resampled=options.offgrid == "resample")
        if not filled.used or report.outside == len(closed) or report.cut_share >= 1:
            raise EmptyAfterClipping(
                f"All contours of structure {roi.number} lie outside the image; give the image series it was drawn on.",
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


def _reported(
    report: RoiReadReport,
    filled: Filled,
    closed: Contours,
    grid: Grid,
    images: Sequence[SourceInstance],
    *,
    is_resampled: bool,
) -> RoiReadReport:
    def contours(groups: Sequence[PlaneGroup], kind: str) -> int:
        return sum(len(g.contours) for g in groups if g.kind == kind)

    deviation = filled.deviation_mm
    inside = [g for g in filled.used if g.kind != "outside"]
    return replace(
        report,
        on_plane=contours(filled.used, "on"),
        snapped=contours(filled.used, "snapped"),
        moved=0 if is_resampled else contours(filled.used, "between"),
        resampled=contours(filled.used, "between") if is_resampled else 0,
        outside=contours(filled.groups, "outside"),
        displaced=sum(len(g.contours) for g in filled.behind),
        largest_shift_mm=max((g.shift_mm for g in inside), default=0.0),
        largest_deviation_mm=deviation if deviation > REPORTED_DEVIATION_MM else 0.0,
        duplicates=filled.duplicates,
        united=filled.united,
        cut_share=_cut_share(filled.rings, grid),
        gaps=gaps_between([g.plane for g in inside]),
        filled_planes=filled.filled_planes,
        through_voxel_centres=_is_through_centres(filled.rings),
        wrong_references=_wrong_references(closed, inside, images),
    )


def _cut_share(rings: Rings, grid: Grid) -> float:
    """Share of the enclosed area outside the image."""
    if not len(rings):
        return 0.0
    if all(
        float(values.min()) >= -0.5 - CENTRE_PX and float(values.max()) <= size - 0.5 + CENTRE_PX
        for values, size in zip(rings.columns_rows.T, (grid.columns, grid.rows), strict=True)
    ):
        return 0.0
    whole_area = even_odd_area(rings)
    inside = float(coverage_of(rings, grid.shape)[0].sum(dtype=np.float64))
    return max(0.0, 1 - inside / whole_area) if whole_area > 0 else 0.0


def _is_through_centres(rings: Rings) -> bool:
    if not len(rings):
        return False
    # One coordinate after the other, and the second only where the first allows it: nearly all files end here.
    on_centre = np.ones(len(rings.columns_rows), dtype=np.bool_)
    for values in rings.columns_rows.T:
        on_centre[on_centre] = np.abs(values[on_centre] - np.rint(values[on_centre])) <= CENTRE_PX
        if on_centre.mean() < CENTRE_SHARE:
            return False
    return True


def _wrong_references(contours: Contours, groups: Sequence[PlaneGroup], images: Sequence[SourceInstance]) -> int:
    if not images:
        return 0
    wrong = 0
    for group in groups:
        image = images[group.plane]
        for n in group.contours:
            uid, frame = contours.referenced_uids[n], contours.referenced_frames[n]
            other_frame = bool(frame) and image.frame_number is not None and frame != image.frame_number
            wrong += bool(uid) and (uid != image.sop_instance_uid or other_frame)
    return wrong
