"""Writing regions as a DICOM segmentation: BINARY, LABELMAP or FRACTIONAL, on the very planes of the image series.

Segments are described through highdicom's types; frames are laid down by `seg_groups` and `seg_pixels`, which is why
writing takes a fraction of highdicom's own time and memory. Equal arguments give equal bytes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydicom.charset import convert_encodings
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.sr.codedict import codes
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    RLELossless,
    SegmentationStorage,
)
from pydicom.valuerep import VR

from contouring.errors import EmptyStructure, GridMismatch, OverlappingSegments
from contouring.roi import Roi, algorithms_of
from contouring.seg_groups import add_functional_groups, instance_item
from contouring.seg_pixels import (
    MAX_FRACTION,
    Frame,
    binary_planes,
    fractional_planes,
    frames_of,
    label_planes,
    overlapping,
    pack_bits,
)
from contouring.seg_segments import background_segment, code_item, segment_items
from imaging.pictures import PictureSeries
from imaging.provenance import Algorithm, deterministic_uid
from imaging.quiet import quiet_pydicom
from imaging.volume import Region

if TYPE_CHECKING:
    from imaging.series import Stack

__all__ = ["SegmentationKind", "write_seg"]

SegmentationKind = Literal["binary", "labelmap", "fractional"]

ENCODER = "radgate.seg/1"
"""Goes into the UIDs: a change of the encoding that changes bytes gets a new number."""

SERIES_NUMBER = 9101
"""From the range of series numbers reserved for results."""

LABEL_MAP_STORAGE = "1.2.840.10008.5.1.4.1.1.66.7"
"""Not in the UID names of pydicom 3.0."""

IMPLEMENTATION_CLASS_UID = UID(deterministic_uid("implementation class", "radgate"))

COPIED = (
    "SpecificCharacterSet", "TimezoneOffsetFromUTC", "StudyDate", "StudyTime", "AccessionNumber",
    "IssuerOfAccessionNumberSequence", "ReferringPhysicianName", "StudyDescription", "PatientName", "PatientID",
    "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "OtherPatientIDs", "OtherPatientNames", "PatientAge",
    "PatientSize", "PatientWeight", "PatientIdentityRemoved", "DeidentificationMethod",
    "DeidentificationMethodCodeSequence", "StudyInstanceUID", "StudyID", "PositionReferenceIndicator",
)  # fmt: skip
"""Attributes of patient, study and frame of reference that are taken over byte for byte."""

REQUIRED_EMPTY = (
    "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "PatientName", "PatientID",
    "PatientBirthDate", "PatientSex", "StudyID", "PositionReferenceIndicator",
)  # fmt: skip
"""Type 2: written empty where the source has none."""


def write_seg(
    rois: Sequence[Roi],
    stack: "Stack | PictureSeries",
    *,
    made_at: datetime,
    algorithm: Algorithm,
    kind: SegmentationKind = "binary",
    settings_digest: str = "",
    omit_empty: bool = True,
    item_charset: bool = True,
    transfer_syntax_uid: UID = ExplicitVRLittleEndian,
) -> Dataset:
    """A DICOM segmentation of an image series, with file meta information.

    Parameters
    ----------
    rois
        Structures on the grid of the stack, numbered from 1 without gaps.
    stack
        The image series; its planes' positions are repeated character by character. Pictures have none, and no frame
        of reference: the segmentation then lies on their pixels.
    made_at
        When the result was made: from the run's record, so that a repetition gives the same bytes.
    algorithm
        What made the structures.
    kind
        "binary": one bit a voxel, structures may overlap. "labelmap": one number a voxel, they may not.
        "fractional": the regions' probabilities in 255 steps (all or nothing for a region without).
    settings_digest
        Digest of the settings behind the result; part of the UIDs.
    omit_empty
        Leave out frames without a voxel; False for old viewers that want every frame of every segment.
    item_charset
        Name the character set inside each segment's item too, without which OHIF 3.12 garbles Chinese (dcmjs #503).
    transfer_syntax_uid
        Explicit VR little endian, or RLE lossless for a label map.

    Returns
    -------
    Dataset
        Of explicit VR little endian encoding; write it with `save_as(path, enforce_file_format=True)`.

    Raises
    ------
    EmptyStructure
        No region has a voxel: an empty object would say that all was well.
    GridMismatch
        A region was made on another grid.
    OverlappingSegments
        Regions overlap in a label map.
    ValueError
        Numbers of the structures are not 1, 2, 3...; or RLE with another kind than "labelmap".
    """
    rois = sorted(rois, key=lambda r: r.number)
    _check(rois, stack, kind, transfer_syntax_uid)
    options = _Options(made_at, algorithm, kind, settings_digest, omit_empty, item_charset, str(transfer_syntax_uid))
    # Remarks of pydicom may quote a patient's data.
    with quiet_pydicom():
        ds = _encoded(rois, stack, options)
        if transfer_syntax_uid == RLELossless:
            ds.compress(RLELossless, encoding_plugin="pydicom", generate_instance_uid=False)
    return ds


@dataclass(frozen=True)
class _Options:
    made_at: datetime
    algorithm: Algorithm
    kind: SegmentationKind
    settings_digest: str
    omit_empty: bool
    item_charset: bool
    transfer_syntax_uid: str


def _encoded(rois: Sequence[Roi], stack: "Stack | PictureSeries", options: _Options) -> Dataset:
    """The segmentation, uncompressed.

    Raises
    ------
    OverlappingSegments
        Regions overlap in a label map.
    """
    kind = options.kind
    regions = [r.region for r in rois]
    ds = Dataset()
    _copy_identity(ds, stack.header)
    _add_series(ds, stack, rois, options)
    _add_references(ds, stack)
    _add_segments(ds, rois, options)
    overlaps = overlapping(regions)
    if kind == "labelmap" and overlaps:
        raise OverlappingSegments("Structures overlap, and a label map has one number a voxel; write them as binary.")
    ds.SegmentsOverlap = "YES" if overlaps else "NO"
    if kind == "labelmap":
        filled = {f.plane for f in frames_of(regions, options.omit_empty)}
        frames = [Frame(0, plane) for plane in sorted(filled)]
    else:
        plain = [Region(r.crop, r.start, r.shape) for r in regions] if kind == "binary" else regions
        frames = frames_of(plain, options.omit_empty)
    add_functional_groups(ds, stack, frames, [r.number for r in rois] if kind != "labelmap" else [])
    _add_pixels(ds, rois, frames, kind, stack.shape[1:])
    ds.file_meta = _file_meta(ds)
    # Raw elements are then written as they are; another transfer syntax or character set makes pydicom decode them.
    ds.set_original_encoding(is_implicit_vr=False, is_little_endian=True, character_encoding=ds._character_set)
    return ds


def _check(rois: Sequence[Roi], stack: "Stack | PictureSeries", kind: str, transfer_syntax_uid: str) -> None:
    if [r.number for r in rois] != list(range(1, len(rois) + 1)):
        raise ValueError("segments are numbered 1, 2, 3... without gaps")
    if transfer_syntax_uid not in {ExplicitVRLittleEndian, RLELossless}:
        raise ValueError("a segmentation is written in explicit VR little endian or RLE lossless")
    if transfer_syntax_uid == RLELossless and kind != "labelmap":
        raise ValueError("RLE lossless is for label maps")
    for roi in rois:
        if roi.region.shape != stack.shape:
            raise GridMismatch(
                f"Structure {roi.number} lies on a grid of {roi.region.shape} voxels but the image has "
                f"{stack.shape}; write it onto the series it was made from.",
                expected=list(stack.shape),
                got=list(roi.region.shape),
            )
    if not any(roi.region.crop.any() for roi in rois):
        raise EmptyStructure("None of the structures has a voxel; report that nothing was found instead.")


def _copy_identity(ds: Dataset, header: Dataset) -> None:
    """Patient, study and frame of reference as raw bytes, so that no decoding can change a name."""
    for keyword in COPIED:
        if keyword not in header:
            continue
        element: Any = header.get_item(keyword)
        vr = element.VR or dictionary_VR(element.tag)
        # The bytes of a sequence depend on the transfer syntax; pydicom writes them anew.
        if isinstance(element, RawDataElement) and vr != "SQ" and element.value is not None:
            value = element.value
            ds[element.tag] = RawDataElement(element.tag, vr, len(value), value, 0, False, True)
        else:
            ds[keyword] = header[keyword]
    for keyword in REQUIRED_EMPTY:
        if keyword not in ds:
            setattr(ds, keyword, "")


def _add_series(ds: Dataset, stack: "Stack | PictureSeries", rois: Sequence[Roi], options: _Options) -> None:
    algorithm, made_at = options.algorithm, options.made_at
    settings = [options.kind, options.settings_digest, options.omit_empty, options.transfer_syntax_uid]
    algorithms = algorithms_of(rois, algorithm)
    who = [[a.name, a.version, a.weights_sha256] for a in algorithms]
    named = [[r.number, r.name.tg263] for r in rois]
    parts = [stack.study_instance_uid, stack.id, who, settings, ENCODER, named]
    ds.SOPClassUID = LABEL_MAP_STORAGE if options.kind == "labelmap" else SegmentationStorage
    ds.SOPInstanceUID = deterministic_uid("seg instance", parts)
    ds.SeriesInstanceUID = deterministic_uid("seg series", parts)
    ds.Modality = "SEG"
    ds.SeriesNumber, ds.InstanceNumber = SERIES_NUMBER, 1
    ds.SeriesDescription = f"AI {algorithm.name if len(algorithms) == 1 else 'radgate'} SEG"[:64]
    ds.ImageType = ["DERIVED", "PRIMARY"]
    ds.InstanceCreationDate = ds.ContentDate = ds.SeriesDate = made_at.strftime("%Y%m%d")
    ds.InstanceCreationTime = ds.ContentTime = ds.SeriesTime = made_at.strftime("%H%M%S.%f")
    ds.Manufacturer = algorithm.manufacturer[:64]
    ds.ManufacturerModelName = "radgate"
    ds.SoftwareVersions = metadata.version("radgate")
    ds.DeviceSerialNumber = "radgate"
    ds.ContentLabel, ds.ContentDescription, ds.ContentCreatorName = "SEGMENTATION", "For review by a physician", ""
    if isinstance(stack, PictureSeries):
        del ds.PositionReferenceIndicator
        ds.PatientOrientation = ""
    else:
        ds.FrameOfReferenceUID = stack.frame_of_reference_uid
    ds.ContributingEquipmentSequence = DicomSequence([_equipment(a, made_at) for a in algorithms])


def _equipment(algorithm: Algorithm, made_at: datetime) -> Dataset:
    item = Dataset()
    item.Manufacturer, item.ManufacturerModelName = "radgate", "radgate"
    item.SoftwareVersions = [metadata.version("radgate"), f"{algorithm.name} {algorithm.version}"[:64]]
    item.ContributionDateTime = made_at.strftime("%Y%m%d%H%M%S.%f")
    item.PurposeOfReferenceCodeSequence = DicomSequence([code_item(codes.DCM.ProcessingEquipment)])
    return item


def _add_references(ds: Dataset, stack: "Stack | PictureSeries") -> None:
    instances = {s.sop_instance_uid: instance_item(s) for s in stack.sources}
    series = Dataset()
    series.SeriesInstanceUID = stack.series_instance_uid
    series.ReferencedInstanceSequence = DicomSequence(instances.values())
    ds.ReferencedSeriesSequence = DicomSequence([series])
    ds.SourceImageSequence = DicomSequence(instances.values())


def _add_segments(ds: Dataset, rois: Sequence[Roi], options: _Options) -> None:
    kind, item_charset = options.kind, options.item_charset
    unicode_text = item_charset or _can_say("".join(r.name.zh + r.description for r in rois), ds)
    items = segment_items(rois, options.algorithm, ds.StudyInstanceUID, text_is_unicode=unicode_text)
    if kind == "labelmap":
        items.insert(0, background_segment())
    if item_charset and any(not item.get("SegmentDescription", "").isascii() for item in items):
        for item in items:
            item.SpecificCharacterSet = "ISO_IR 192"
    ds.SegmentSequence = DicomSequence(items)
    ds.SegmentationType = kind.upper()
    if kind == "fractional":
        ds.SegmentationFractionalType, ds.MaximumFractionalValue = "PROBABILITY", MAX_FRACTION


def _can_say(text: str, ds: Dataset) -> bool:
    """Whether one of the source's character sets can encode the whole text."""
    for encoding in convert_encodings(ds.get("SpecificCharacterSet") or None):
        try:
            text.encode(encoding)
        except UnicodeEncodeError:
            continue
        return True
    return False


def _add_pixels(
    ds: Dataset, rois: Sequence[Roi], frames: Sequence[Frame], kind: SegmentationKind, size: tuple[int, int]
) -> None:
    wide = kind == "labelmap" and len(rois) > MAX_FRACTION
    bits = {"binary": 1, "labelmap": 16 if wide else 8, "fractional": 8}[kind]
    ds.Rows, ds.Columns = size
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = bits, bits, bits - 1
    ds.LossyImageCompression = "00"
    if kind == "binary":
        chunks: Iterator[bytes] = pack_bits(binary_planes(rois, frames, *size), *size)
    elif kind == "labelmap":
        ds.add_new("PixelPaddingValue", VR.US, 0)
        chunks = label_planes(rois, frames, *size, np.dtype("<u2" if wide else "u1"))
    else:
        chunks = fractional_planes(rois, frames, *size)
    value = b"".join(chunks)
    vr = VR.OW if bits == 16 else VR.OB
    ds.add_new("PixelData", vr, value + b"\0" if len(value) % 2 else value)


def _file_meta(ds: Dataset) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    meta.ImplementationVersionName = "radgate"
    return meta
