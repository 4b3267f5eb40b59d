"""Holding a structure set, ours or a foreign one, against an export profile."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.charset import convert_encodings
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from contouring.contours import AREA_TYPES, Contours
from contouring.errors import CorruptContourData, DuplicateRoiNumber, FrameOfReferenceMismatch
from contouring.profiles.drawing import check_drawing
from contouring.profiles.finding import Finding, broken
from contouring.profiles.image_match import check_image_match
from contouring.profiles.load import Profile, load_profile
from contouring.profiles.sequences import check_sequences
from contouring.rings import Rings
from contouring.rtstruct_parse import ParsedRoi, ParsedStructureSet, open_structure_set, parse_structure_set
from contouring.rtstruct_planes import grid_of
from contouring.rtstruct_read import read_rtstruct
from imaging.geometry import Grid
from imaging.headers import text
from imaging.labels import label_of
from imaging.volume import SourceInstance

__all__ = ["Finding", "check_profile", "findings_of"]

LONGEST_DS = 16
ON_PLANE_MM = 0.01
RETIRED = ("ROIObservationLabel", "ROIObservationDescription")
STUDY_VALUES = ("StudyDate", "StudyTime", "StudyID", "AccessionNumber")


def check_profile(
    source: Dataset | Path,
    profile: str | Profile,
    grid: Grid | None = None,
    images: Sequence[SourceInstance] = (),
) -> tuple[Finding, ...]:
    """Every rule of a profile, and of DICOM itself, that a structure set breaks; empty where it keeps them all.

    Parameters
    ----------
    source
        The structure set.
    profile
        Profile or its name.
    grid
        The image's planes, for rules about planes and pixels; else what the object itself says of them.
    images
        The image of each plane, for whether the structure set names this series.

    Raises
    ------
    NotDicom
        The file is no DICOM file.
    TruncatedFile
        The file ends before its data set does.
    NotAStructureSet
        The object is of another kind, or its sequences cannot be read.
    """
    dataset = open_structure_set(source)
    rules = profile if isinstance(profile, Profile) else load_profile(profile)
    parsed, planes = parse_structure_set(dataset), grid or grid_of(dataset)
    return (
        *check_sequences(dataset, parsed),
        *(check_image_match(parsed, rules, planes, images) if planes is not None else ()),
        *(_refusals(parsed, rules, planes, images) if planes is not None else ()),
        *check_drawing(dataset, parsed, rules),
        *findings_of(dataset, parsed, rules, planes),
    )


def _refusals(
    parsed: ParsedStructureSet, rules: Profile, grid: Grid, images: Sequence[SourceInstance]
) -> Iterator[Finding]:
    """Structures that reading would refuse on these planes: found by reading them."""
    told_elsewhere = (CorruptContourData, DuplicateRoiNumber) + (
        (FrameOfReferenceMismatch,) if rules.value("same_frame_of_reference") else ()
    )
    for number, _, fault in read_rtstruct(parsed, grid, images=images).refused:
        if not isinstance(fault, told_elsewhere):
            yield Finding("(3006,0050)", f"ROI {number}: {fault.code}", "contours can be read", fault.message, True)


def findings_of(ds: Dataset, parsed: ParsedStructureSet, rules: Profile, grid: Grid | None) -> tuple[Finding, ...]:
    """What the writer holds its own object against: all but the rules that it keeps by its making.

    It has written the sequences, the form of holes and the decimals itself, for the image at hand.
    """
    rois = parsed.rois
    return (
        *_head(ds, rules),
        *_names(rois, rules),
        *_contours(rois, rules, grid),
        *_presentation(ds, rois, rules),
    )


def _head(ds: Dataset, rules: Profile) -> Iterator[Finding]:
    label = label_of(ds, "StructureSetLabel") or text(ds, "StructureSetLabel")
    limit = rules.value("label_max")
    if not 1 <= len(label) <= limit:
        yield broken(rules, "label_max", "(3006,0002)", f"{len(label)} characters", f"use 1 to {limit} characters")
    syntax = text(ds.file_meta, "TransferSyntaxUID") if hasattr(ds, "file_meta") else ""
    wanted = {"implicit": {ImplicitVRLittleEndian}, "explicit": {ImplicitVRLittleEndian, ExplicitVRLittleEndian}}
    if syntax and syntax not in wanted[rules.value("transfer_syntax")]:
        yield broken(rules, "transfer_syntax", "(0002,0010)", syntax, "write Implicit VR Little Endian")
    charset = text(ds, "SpecificCharacterSet")
    if rules.value("charset") != "source" and charset != rules.value("charset"):
        yield broken(rules, "charset", "(0008,0005)", charset or "none", f"write {rules.value('charset')}")
    try:
        convert_encodings(charset.split("\\") if charset else None)
    except LookupError:
        yield Finding("(0008,0005)", charset, "DICOM: a defined character set", "name the real character set", True)
    if rules.value("need_study_values"):
        for keyword in STUDY_VALUES:
            if not text(ds, keyword):
                tag = str(ds[keyword].tag) if keyword in ds else keyword
                yield broken(rules, "need_study_values", tag, "empty", f"fill {keyword} in the image series")


def _names(rois: Sequence[ParsedRoi], rules: Profile) -> Iterator[Finding]:
    limit = rules.value("name_max")
    for roi in rois:
        if not 1 <= len(roi.name) <= limit:
            yield broken(
                rules, "name_max", "(3006,0026)", f"ROI {roi.number}: {len(roi.name)} characters", f"use 1 to {limit}"
            )
    folded = [r.name.casefold() for r in rois]
    if rules.value("names_unique_ignoring_case") and len(set(folded)) < len(folded):
        twice = [str(r.number) for r, f in zip(rois, folded, strict=True) if folded.count(f) > 1]
        yield broken(
            rules, "names_unique_ignoring_case", "(3006,0026)", f"ROIs {', '.join(twice)}", "rename them apart"
        )
    numbers = [r.number for r in rois]
    if len(set(numbers)) < len(numbers):
        yield Finding("(3006,0022)", "a number twice", "DICOM: ROINumber is unique", "number the ROIs apart", True)
    if rules.value("need_external") and not any(r.interpreted_type == "EXTERNAL" for r in rois):
        yield broken(rules, "need_external", "(3006,00A4)", "no EXTERNAL", "add the outline of the body")
    if sum(r.interpreted_type == "EXTERNAL" for r in rois) > 1:
        yield Finding("(3006,00A4)", "several EXTERNAL", "one EXTERNAL at most", "keep one", False)
    for roi in rois:
        mapped = rules.value("type_map").get(roi.interpreted_type)
        if mapped and mapped != roi.interpreted_type:
            yield broken(rules, "type_map", "(3006,00A4)", f"ROI {roi.number}", f"write {mapped}")


def _contours(rois: Sequence[ParsedRoi], rules: Profile, grid: Grid | None) -> Iterator[Finding]:
    for roi in rois:
        if roi.fault is not None:
            yield Finding("(3006,0050)", f"ROI {roi.number}", f"DICOM: {roi.fault.code}", roi.fault.message, True)
            continue
        closed = [t in AREA_TYPES for t in roi.contours.types]
        few = sum(c and not e for c, e in zip(closed, roi.contours.encloses_area.tolist(), strict=True))
        if few:
            yield Finding("(3006,0046)", f"ROI {roi.number}: {few} contours", "3 points at least", "drop them", True)
        if roi.miscounted:
            yield Finding(
                "(3006,0046)",
                f"ROI {roi.number}: {roi.miscounted} contours",
                "DICOM: NumberOfContourPoints counts the points",
                "write the number of points",
                True,
            )
        if rules.value("need_contour_image") and not all(roi.contours.referenced_uids):
            missing = sum(not u for u in roi.contours.referenced_uids)
            yield broken(
                rules, "need_contour_image", "(3006,0016)", f"ROI {roi.number}: {missing} contours", "name the images"
            )
        if roi.longest_number > LONGEST_DS:
            found = f"ROI {roi.number}: {roi.longest_number} characters"
            yield Finding("(3006,0050)", found, "DICOM: DS has at most 16 characters", "round to 3 decimals", True)
        yield from _sizes(roi, rules, grid)


def _sizes(roi: ParsedRoi, rules: Profile, grid: Grid | None) -> Iterator[Finding]:
    contours = roi.contours
    most = int(contours.counts.max(initial=0))
    if rules.value("max_points") and most > rules.value("max_points"):
        yield broken(
            rules,
            "max_points",
            "(3006,0046)",
            f"ROI {roi.number}: {most} points",
            f"at most {rules.value('max_points')}",
        )
    if grid is None:
        return
    filled = np.flatnonzero(contours.counts >= 3)
    first = contours.starts[:-1]
    near = small = off = 0
    if len(filled) and rules.value("min_spacing_px"):
        sides = np.linalg.norm(_following(contours) - contours.points_lps, axis=1)
        shortest = np.minimum.reduceat(sides, np.minimum(first, len(sides) - 1))[filled]
        near = int((shortest < rules.value("min_spacing_px") * min(grid.pixel_spacing_mm)).sum())
    if len(filled) and rules.value("min_area_px"):
        # (p x q) . n = p . (q x n), and the latter product is linear in q.
        crossed = _following(contours) @ np.cross(np.eye(3), grid.normal)
        twice_area = np.einsum("ij,ij->i", contours.points_lps, crossed)
        area = np.abs(np.add.reduceat(twice_area, np.minimum(first, len(twice_area) - 1)))[filled] / 2
        small = int((area < rules.value("min_area_px") * float(np.prod(grid.pixel_spacing_mm))).sum())
    if len(filled) and rules.value("one_plane_per_slice"):
        along = contours.points_lps @ grid.normal
        position = np.add.reduceat(along, np.minimum(first, len(along) - 1))[filled] / contours.counts[filled]
        shift = np.abs(grid.plane_positions_mm[:, None] - position).min(axis=0)
        off = int((shift > ON_PLANE_MM).sum())
    if near:
        yield broken(
            rules, "min_spacing_px", "(3006,0050)", f"ROI {roi.number}: {near} contours", "drop points that lie close"
        )
    if small and len(contours) > 1:
        yield broken(rules, "min_area_px", "(3006,0050)", f"ROI {roi.number}: {small} contours", "drop the specks")
    if off:
        yield broken(
            rules, "one_plane_per_slice", "(3006,0050)", f"ROI {roi.number}: {off} contours", "draw on the slices"
        )


def _following(contours: Contours) -> NDArray[np.float64]:
    """The point after each point in its contour."""
    return contours.points_lps[Rings(contours.points_lps[:, :2], contours.starts, contours.counts).successors]


def _presentation(ds: Dataset, rois: Sequence[ParsedRoi], rules: Profile) -> Iterator[Finding]:
    if rules.value("colour"):
        # The colour stands with the contours: an ROI without an item there has no place for one.
        drawn = {text(i, "ReferencedROINumber") for i in ds.get("ROIContourSequence") or ()}
        for roi in rois:
            if roi.colour_rgb is None and str(roi.number) in drawn:
                yield broken(rules, "colour", "(3006,002A)", f"ROI {roi.number}: none", "give each ROI a colour")
    for observation in ds.get("RTROIObservationsSequence") or ():
        for keyword in RETIRED:
            if text(observation, keyword):
                yield Finding(keyword, "present", "DICOM: retired", "leave it out", True)
        for sequence in ("RTROIIdentificationCodeSequence", "SegmentedPropertyCategoryCodeSequence"):
            for code in observation.get(sequence) or ():
                has_group = text(code, "ContextIdentifier")
                if rules.value("need_code_version") and has_group and not text(code, "ContextGroupVersion"):
                    yield broken(rules, "need_code_version", "(0008,0106)", "absent", "add ContextGroupVersion")
