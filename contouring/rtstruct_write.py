"""Regions to RTSTRUCT: one deterministic object, re-read and compared before anybody gets it."""

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from io import BytesIO
from typing import Any

import numpy as np
from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.sequence import Sequence as DicomSequence
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, RTStructureSetStorage

from contouring.decimals import decimal_text
from contouring.errors import DuplicateRoiNumber, GridMismatch, ProfileViolation, RoundTripMismatch
from contouring.outline import Holes, Mode, Outline, outline_of
from contouring.profiles import Profile, load_profile
from contouring.roi import Roi
from contouring.rtstruct_header import copy_patient_and_study, encodable, encodings_of, referenced_frame_of_reference
from contouring.rtstruct_items import LONGEST_EXPLICIT_VALUE, contour_sequence
from contouring.rtstruct_read import read_rtstruct
from imaging.geometry import Grid
from imaging.provenance import Algorithm, deterministic_uid
from imaging.series import Stack
from imaging.volume import Region

__all__ = ["RoiWriteReport", "WriteReport", "WrittenRtstruct", "write_rtstruct"]

REVIEW_NOTE = "for review by a physician"
CONTOUR_SEQUENCE = Tag(0x30060040)
ARTIFICIAL_INTELLIGENCE = codes.DCM.ArtificialIntelligence
IMAGE_PROCESSING = codes.DCM.MorphologicalOperations
PROCESSING_EQUIPMENT = codes.DCM.ProcessingEquipment
EVEN_SHEAR_MM = 0.01


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
    """

    rois: tuple[RoiWriteReport, ...]
    mode: Mode
    holes: Holes
    profile: str
    implicit: bool
    left_out: tuple[tuple[int, str], ...] = ()


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
    outlines = [outline_of(r.region, stack.grid, mode=mode, holes=form, decimals=rules.value("decimals")) for r in rois]
    longest = max((len(d) for o in outlines for d in o.data), default=0)
    implicit = rules.value("transfer_syntax") == "implicit" or longest > LONGEST_EXPLICIT_VALUE
    writer = _Writer(stack, rules, algorithm, implicit)
    ds = writer.head(made_at, label, _uid_parts(rois, outlines, stack, algorithm, settings_digest, form), predecessor)
    ds.StructureSetROISequence = DicomSequence([
        writer.definition(r, (definition_sources or {}).get(r.number)) for r in rois
    ])
    ds.ROIContourSequence = DicomSequence([writer.contours(r, o) for r, o in zip(rois, outlines, strict=True)])
    ds.RTROIObservationsSequence = DicomSequence([writer.observation(r) for r in rois])
    encoded = _encode(ds, implicit)
    dataset = dcmread(BytesIO(encoded))
    check_round_trip(dataset, rois, stack.grid)
    report = WriteReport(
        rois=tuple(_reported(r, o) for r, o in zip(rois, outlines, strict=True)),
        mode=mode,
        holes=form,
        profile=profile,
        implicit=implicit,
        left_out=tuple(writer.left_out),
    )
    return WrittenRtstruct(dataset, encoded, report)


def check_round_trip(dataset: Dataset, rois: Sequence[Roi], grid: Grid) -> None:
    """Read an object again and compare every structure with the region it was made from.

    Raises
    ------
    RoundTripMismatch
        A voxel differs, or a structure is missing.
    """
    read = read_rtstruct(dataset, grid)
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
    if a.shape != b.shape or a.voxel_count != b.voxel_count:
        return False
    first = [max(s, t) for s, t in zip(a.start, b.start, strict=True)]
    last = [min(s + n, t + m) for s, n, t, m in zip(a.start, a.crop.shape, b.start, b.crop.shape, strict=True)]
    if any(e <= f for f, e in zip(first, last, strict=True)):
        return a.voxel_count == 0
    parts = [r.crop[tuple(slice(f - s, e - s) for f, e, s in zip(first, last, r.start, strict=True))] for r in (a, b)]
    return bool(np.array_equal(*parts)) and int(np.count_nonzero(parts[0])) == a.voxel_count


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
    who = [algorithm.name, algorithm.version, [*algorithm.weights_sha256], algorithm.bundle_digest]
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
    meta.ImplementationClassUID = deterministic_uid("implementation", "radgate")
    meta.ImplementationVersionName = "RADGATE"
    ds.file_meta = meta
    buffer = BytesIO()
    with warnings.catch_warnings():
        # Values copied from the images may break rules of style; they are kept as they are.
        warnings.simplefilter("ignore")
        dcmwrite(buffer, ds, enforce_file_format=True)
    return buffer.getvalue()


class _Writer:
    """Builds the parts of one structure set."""

    def __init__(self, stack: Stack, rules: Profile, algorithm: Algorithm, implicit: bool) -> None:
        self.stack = stack
        self.rules = rules
        self.algorithm = algorithm
        self.implicit = implicit
        self.encodings = encodings_of(stack.header)
        self.left_out: list[tuple[int, str]] = []

    def head(self, made_at: datetime, label: str, parts: Sequence[Any], predecessor: tuple[str, str] | None) -> Dataset:
        """The object without its ROIs."""
        ds = Dataset()
        copy_patient_and_study(self.stack.header, ds)
        ds.set_original_encoding(self.implicit, True, ds._character_set)
        ds.SOPClassUID = RTStructureSetStorage
        ds.SOPInstanceUID = deterministic_uid("rtstruct", parts)
        ds.SeriesInstanceUID = deterministic_uid("rtstruct series", parts[:5])
        ds.Modality = "RTSTRUCT"
        ds.SeriesNumber, ds.InstanceNumber = 9001, 1
        ds.SeriesDescription = "radgate contours"
        ds.OperatorsName = ""
        ds.Manufacturer, ds.ManufacturerModelName = "radgate", "radgate"
        ds.SoftwareVersions = version("radgate")
        day, time = made_at.strftime("%Y%m%d"), made_at.strftime("%H%M%S")
        ds.SeriesDate = ds.InstanceCreationDate = ds.StructureSetDate = day
        ds.SeriesTime = ds.InstanceCreationTime = ds.StructureSetTime = time
        ds.StructureSetLabel = label
        ds.StructureSetDescription = f"{self.algorithm.name} {self.algorithm.version}, {REVIEW_NOTE}"
        ds.ApprovalStatus = "UNAPPROVED"
        ds.ReferencedFrameOfReferenceSequence = referenced_frame_of_reference(self.stack)
        ds.ContributingEquipmentSequence = DicomSequence([self._equipment()])
        if predecessor is not None:
            item = Dataset()
            item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = predecessor
            ds.PredecessorStructureSetSequence = DicomSequence([item])
        return ds

    def definition(self, roi: Roi, source: tuple[str, str, int] | None) -> Dataset:
        """Item of StructureSetROISequence."""
        algorithm = roi.algorithm or self.algorithm
        item = Dataset()
        item.ROINumber = roi.number
        item.ReferencedFrameOfReferenceUID = self.stack.frame_of_reference_uid
        item.ROIName = roi.name.tg263
        description = " ".join(t for t in (roi.name.zh, roi.description) if t)
        if encodable(description, self.encodings):
            item.ROIDescription = description
        else:
            self.left_out.append((roi.number, "ROIDescription"))
            item.ROIDescription = roi.name.en
        item.ROIGenerationAlgorithm = roi.generation
        item.ROIGenerationDescription = f"{algorithm.name} {algorithm.version}"[:64]
        if roi.generation != "MANUAL":
            item.ROIDerivationAlgorithmIdentificationSequence = DicomSequence([_algorithm_item(algorithm)])
        if source is not None:
            reference = Dataset()
            reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = source[:2]
            reference.ReferencedSegmentNumber = source[2]
            item.DefinitionSourceSequence = DicomSequence([reference])
        return item

    def contours(self, roi: Roi, outline: Outline) -> Dataset:
        """Item of ROIContourSequence."""
        item = Dataset()
        item.set_original_encoding(self.implicit, True, item._character_set)
        item.ReferencedROINumber = roi.number
        item.ROIDisplayColor = [*roi.name.colour_rgb]
        if outline.planes:
            value = contour_sequence(outline, self.stack.sources, implicit=self.implicit)
            item[CONTOUR_SEQUENCE] = RawDataElement(CONTOUR_SEQUENCE, "SQ", len(value), value, 0, self.implicit, True)
        planes = _pixel_planes(self.stack.grid)
        if planes is not None:
            item.SourcePixelPlanesCharacteristicsSequence = DicomSequence([planes])
        return item

    def observation(self, roi: Roi) -> Dataset:
        """Item of RTROIObservationsSequence."""
        item = Dataset()
        item.ObservationNumber = roi.number
        item.ReferencedROINumber = roi.number
        item.SegmentedPropertyCategoryCodeSequence = DicomSequence([code_item(roi.name.category)])
        identification = code_item(roi.name.type)
        if roi.name.modifier is not None:
            identification.SegmentedPropertyTypeModifierCodeSequence = DicomSequence([code_item(roi.name.modifier)])
        item.RTROIIdentificationCodeSequence = DicomSequence([identification])
        kind = roi.name.interpreted_type
        item.RTROIInterpretedType = self.rules.value("type_map").get(kind, kind)
        item.ROIInterpreter = ""
        return item

    def _equipment(self) -> Dataset:
        item = Dataset()
        item.Manufacturer, item.ManufacturerModelName = "radgate", "radgate"
        item.SoftwareVersions = version("radgate")
        item.ContributionDescription = f"Contours by {self.algorithm.name} {self.algorithm.version}" + (
            f", bundle sha256 {self.algorithm.bundle_digest}" if self.algorithm.bundle_digest else ""
        )
        item.PurposeOfReferenceCodeSequence = DicomSequence([code_item(PROCESSING_EQUIPMENT)])
        return item


def code_item(code: Code) -> Dataset:
    """Item of a code sequence."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme_designator, code.meaning
    if code.scheme_version:
        item.CodingSchemeVersion = code.scheme_version
    return item


def _algorithm_item(algorithm: Algorithm) -> Dataset:
    item = Dataset()
    family = IMAGE_PROCESSING if algorithm.deterministic else ARTIFICIAL_INTELLIGENCE
    item.AlgorithmFamilyCodeSequence = DicomSequence([code_item(family)])
    item.AlgorithmName = algorithm.name[:64]
    item.AlgorithmVersion = algorithm.version[:64]
    item.AlgorithmParameters = "; ".join(f"weights sha256 {w}" for w in algorithm.weights_sha256) or "no weights"
    item.AlgorithmSource = algorithm.manufacturer[:64]
    return item


def _pixel_planes(grid: Grid) -> Dataset | None:
    """Item of SourcePixelPlanesCharacteristicsSequence; None where one spacing cannot describe the planes."""
    if not grid.is_even or grid.shear_mm > EVEN_SHEAR_MM:
        return None
    if len(grid.positions_lps) == 1 and grid.slice_thickness_mm is None:
        return None
    item = Dataset()
    item.PixelSpacing = [decimal_text(s) for s in grid.pixel_spacing_mm]
    item.SpacingBetweenSlices = decimal_text(grid.slice_spacing_mm)
    item.ImageOrientationPatient = [decimal_text(c) for c in (*grid.row_direction, *grid.column_direction)]
    item.ImagePositionPatient = [decimal_text(p) for p in grid.positions_lps[0]]
    item.NumberOfFrames, item.Rows, item.Columns = grid.shape
    return item
