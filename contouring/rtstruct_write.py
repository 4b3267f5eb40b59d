"""Regions to RTSTRUCT: one deterministic object, re-read and compared before anybody gets it."""

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RTStructureSetStorage

from contouring.errors import DuplicateRoiNumber, GridMismatch, ProfileViolation, RoundTripMismatch
from contouring.outline import Holes, Mode, Outline, outline_of
from contouring.profiles import Finding, Profile, findings_of, load_profile
from contouring.rings import Rings
from contouring.roi import Roi, algorithms_of
from contouring.rtstruct_build import StructureSetBuilder
from contouring.rtstruct_items import LONGEST_EXPLICIT_VALUE
from contouring.rtstruct_parse import ParsedStructureSet, parse_structure_set
from contouring.rtstruct_read import read_rtstruct
from imaging.geometry import Grid
from imaging.provenance import Algorithm, deterministic_uid
from imaging.series import Stack
from imaging.volume import Region

__all__ = ["RoiWriteReport", "WriteReport", "WrittenRtstruct", "check_round_trip", "write_rtstruct"]


@dataclass(frozen=True)
class RoiWriteReport:
    """What was written of one ROI.

    Parameters
    ----------
    number
        Its number.
    voxels, contours, points
        Counts.
    area_error
        Relative difference of the area that the contours enclose to that of the voxels.
    """

    number: int
    voxels: int
    contours: int
    points: int
    area_error: float


@dataclass(frozen=True)
class WriteReport:
    """What was written.

    Parameters
    ----------
    rois
        One entry per ROI.
    mode, holes, profile
        How.
    implicit
        Whether Implicit VR was used.
    left_out
        Keywords of texts that the images' character set cannot hold, with the ROI number (0 for the object).
    findings
        Rules of the profile that the object breaks all the same, such as a contour of too many points.
    """

    rois: tuple[RoiWriteReport, ...]
    mode: Mode
    holes: Holes
    profile: str
    implicit: bool
    left_out: tuple[tuple[int, str], ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, eq=False)
class WrittenRtstruct:
    """A structure set that has been read back and found equal.

    Parameters
    ----------
    dataset
        The object, as read from `encoded`.
    encoded
        The DICOM file.
    report
        What was written.
    """

    dataset: Dataset
    encoded: bytes
    report: WriteReport


def write_rtstruct(
    rois: Sequence[Roi],
    stack: Stack,
    *,
    made_at: datetime,
    algorithm: Algorithm,
    label: str = "radgate AI",
    mode: Mode = "smooth",
    holes: Holes | None = None,
    profile: str = "generic",
    settings_digest: str = "",
    definition_sources: Mapping[int, tuple[str, str, int]] | None = None,
    predecessor: tuple[str, str] | None = None,
    shared_edges: bool = False,
    rings: Mapping[int, Rings] | None = None,
) -> WrittenRtstruct:
    """An RT structure set of regions on the planes of an image series.

    Parameters
    ----------
    rois
        The structures, on the stack's grid. An empty region becomes an ROI without contours.
    stack
        The image series; any orientation, uneven distances and gantry tilt allowed.
    made_at
        Time of the run; not part of what the UIDs follow from.
    algorithm
        What made the regions, where a ROI does not name its own.
    label
        StructureSetLabel, at most 16 characters.
    mode
        "crack" follows the pixels' sides; "smooth" is what a person would draw. Both read back as the same voxels.
    holes
        How holes are written; the profile's form where left out.
    profile
        Export profile, see `contouring.profiles`.
    settings_digest
        Digest of the settings of the run; UIDs depend on it.
    definition_sources
        By ROI number: SOP class, SOP instance and segment of the segmentation that the ROI was made from.
    predecessor
        SOP class and instance of the structure set that this one replaces.
    shared_edges
        In smooth mode, let neighbouring structures share one outline between them instead of keeping each one's area.
        All regions need a probability.
    rings
        By ROI number, contours that are drawn already, such as isodose lines; they enclose the region's voxels.

    Raises
    ------
    GridMismatch
        A region has another shape than the grid.
    DuplicateRoiNumber
        Two ROIs have the same number.
    ProfileViolation
        A name or the label is longer than the profile allows, or names coincide.
    UnwritableNumber
        A coordinate does not fit into 16 characters.
    RoundTripMismatch
        The written object does not read back as the same voxels; nothing is delivered.
    """
    rules = load_profile(profile)
    form = holes or rules.holes
    _check_input(rois, stack.grid, rules, label)
    outlines = [
        outline_of(
            roi.region,
            stack.grid,
            mode=mode,
            holes=form,
            decimals=rules.value("decimals"),
            rivals=[other.region for other in rois if other is not roi] if shared_edges else None,
            rings=(rings or {}).get(roi.number),
        )
        for roi in rois
    ]
    longest = max((len(d) for o in outlines for d in o.data), default=0)
    implicit = rules.value("transfer_syntax") == "implicit" or longest > LONGEST_EXPLICIT_VALUE
    writer = StructureSetBuilder(stack, rules, algorithms_of(rois, algorithm), algorithm, implicit)
    ds = writer.head(made_at, label, _uid_parts(rois, outlines, stack, algorithm, settings_digest, form), predecessor)
    ds.StructureSetROISequence = DicomSequence([
        writer.definition(r, (definition_sources or {}).get(r.number)) for r in rois
    ])
    ds.ROIContourSequence = DicomSequence([writer.contours(r, o) for r, o in zip(rois, outlines, strict=True)])
    ds.RTROIObservationsSequence = DicomSequence([writer.observation(r) for r in rois])
    encoded = _encode(ds, implicit)
    dataset = dcmread(BytesIO(encoded))
    parsed = parse_structure_set(dataset)
    check_round_trip(parsed, rois, stack.grid)
    report = WriteReport(
        rois=tuple(_reported(r, o) for r, o in zip(rois, outlines, strict=True)),
        mode=mode,
        holes=form,
        profile=profile,
        implicit=implicit,
        left_out=tuple(writer.left_out),
        findings=findings_of(dataset, parsed, rules, stack.grid),
    )
    return WrittenRtstruct(dataset, encoded, report)


def check_round_trip(written: Dataset | ParsedStructureSet, rois: Sequence[Roi], grid: Grid) -> None:
    """Read an object again and compare every structure with the region it was made from.

    Raises
    ------
    RoundTripMismatch
        A voxel differs, or a structure is missing.
    """
    read = read_rtstruct(written, grid)
    found = {s.number: s for s in read.structures}
    reasons = {number: error.code for number, _, error in read.refused}
    for roi in rois:
        structure = found.get(roi.number)
        if structure is None or not is_same_region(structure.region, roi.region):
            raise RoundTripMismatch(
                f"Structure {roi.number} does not read back as the voxels it was made from; nothing was written. "
                "Please report this with the geometry of the series.",
                number=roi.number,
                reason=reasons.get(roi.number, "voxels differ"),
            )


def is_same_region(a: Region, b: Region) -> bool:
    """Whether two regions hold the same voxels of grids of the same shape."""
    if a.shape != b.shape:
        return False
    if a.start == b.start and a.crop.shape == b.crop.shape:
        return all(map(_is_same_plane, a.crop, b.crop))
    if a.voxel_count != b.voxel_count:
        return False
    first = [max(s, t) for s, t in zip(a.start, b.start, strict=True)]
    last = [min(s + n, t + m) for s, n, t, m in zip(a.start, a.crop.shape, b.start, b.crop.shape, strict=True)]
    if any(e <= f for f, e in zip(first, last, strict=True)):
        return a.voxel_count == 0
    parts = [r.crop[tuple(slice(f - s, e - s) for f, e, s in zip(first, last, r.start, strict=True))] for r in (a, b)]
    # Plane by plane, which stays in the processor's cache.
    return all(map(np.array_equal, *parts)) and int(np.count_nonzero(parts[0])) == a.voxel_count


def _is_same_plane(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> bool:
    """Whether two planes hold the same pixels, eight at a time where they lie in a row in memory."""
    if a.flags.c_contiguous and b.flags.c_contiguous and a.size % 8 == 0:
        return np.array_equal(a.reshape(-1).view(np.uint64), b.reshape(-1).view(np.uint64))
    return np.array_equal(a, b)


def _check_input(rois: Sequence[Roi], grid: Grid, rules: Profile, label: str) -> None:
    numbers = [r.number for r in rois]
    if len(set(numbers)) < len(numbers):
        raise DuplicateRoiNumber("Two structures to write have the same number; number them apart.", numbers=numbers)
    for roi in rois:
        if roi.region.shape != grid.shape:
            raise GridMismatch(
                f"Structure {roi.number} has the shape {roi.region.shape}, the series {grid.shape}; "
                "resample it to the series first.",
                number=roi.number,
            )
    names = [r.name.tg263 for r in rois]
    too_long = [n for n in names if len(n) > rules.value("name_max")]
    folded = {n.casefold() for n in names}
    if too_long or (rules.value("names_unique_ignoring_case") and len(folded) < len(names)):
        raise ProfileViolation(
            f"Names must be unique and have at most {rules.value('name_max')} characters for profile {rules.name}; "
            "rename the structures.",
            profile=rules.name,
            names=too_long or names,
        )
    if not label or len(label) > rules.value("label_max"):
        raise ProfileViolation(
            f"StructureSetLabel needs 1 to {rules.value('label_max')} characters; choose a shorter label.",
            profile=rules.name,
            length=len(label),
        )


def _uid_parts(
    rois: Sequence[Roi], outlines: Sequence[Outline], stack: Stack, algorithm: Algorithm, settings: str, holes: Holes
) -> list[Any]:
    """What the UID of the object follows from: input, algorithm, settings, and every coordinate."""
    content = hashlib.sha256()
    for roi, outline in zip(rois, outlines, strict=True):
        content.update(f"{roi.number}|{roi.name.tg263}|{roi.generation}|{holes}|".encode())
        for plane, data in zip(outline.planes, outline.data, strict=True):
            content.update(f"{plane}:".encode())
            content.update(data)
    who = [[a.name, a.version, [*a.weights_sha256], a.bundle_digest] for a in algorithms_of(rois, algorithm)]
    return [stack.study_instance_uid, stack.series_instance_uid, stack.id, who, settings, content.hexdigest()]


def _reported(roi: Roi, outline: Outline) -> RoiWriteReport:
    voxels = roi.region.voxel_count
    return RoiWriteReport(
        number=roi.number,
        voxels=voxels,
        contours=len(outline.planes),
        points=sum(outline.counts),
        area_error=outline.area_px / voxels - 1 if voxels else 0.0,
    )


def _encode(ds: Dataset, implicit: bool) -> bytes:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = RTStructureSetStorage
    meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(deterministic_uid("implementation", "radgate"))
    meta.ImplementationVersionName = "RADGATE"
    ds.file_meta = meta
    buffer = BytesIO()
    with warnings.catch_warnings():
        # Values copied from the images may break rules of style; they are kept as they are.
        warnings.simplefilter("ignore")
        dcmwrite(buffer, ds, enforce_file_format=True)
    return buffer.getvalue()
