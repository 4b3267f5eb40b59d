"""Functional groups of a DICOM segmentation: where each frame lies, what it was derived from, whose segment it is.

highdicom builds a Python object for every value of every frame, which is most of its time; here the groups of a plane
are encoded once and the frames joined from them as bytes.
"""

import struct
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.sr.codedict import codes
from pydicom.tag import Tag
from pydicom.valuerep import format_number_as_ds

from contouring.seg_pixels import Frame
from contouring.seg_segments import code_item
from imaging.geometry import Grid
from imaging.pictures import PictureSeries
from imaging.provenance import deterministic_uid
from imaging.volume import SourceInstance

if TYPE_CHECKING:
    from imaging.series import Stack

__all__ = ["add_functional_groups", "decimal_strings", "instance_item"]

ITEM = b"\xfe\xff\x00\xe0"
PICTURES = "PICTURES"
"""StackID of frames that have no position: their place is the picture's number in its series."""


def add_functional_groups(
    ds: Dataset, stack: "Stack | PictureSeries", frames: Sequence[Frame], numbers: Sequence[int]
) -> None:
    """Add the shared and per-frame groups and the dimensions; `numbers` are the segments', empty for a label map.

    Frames on pictures, which lie nowhere in the patient, say which pixels they belong to by the image that they were
    derived from (PS3.3 A.51), and have a number instead of a position.
    """
    planes = range(len(stack.sources))
    used = {f.plane for f in frames}
    is_placed = not isinstance(stack, PictureSeries)
    derivations = [_encoded(_derivation(stack.sources[k])) if k in used else b"" for k in planes]
    if isinstance(stack, PictureSeries):
        positions = [b""] * len(planes)
    else:
        positions = [_encoded(_position(stack.headers[k], stack.grid, k)) if k in used else b"" for k in planes]
    value = _per_frame_groups(
        frames,
        derivations=derivations,
        positions=positions,
        identifications=[_encoded(_identification(n)) for n in numbers],
        numbered=not is_placed,
    )
    tag = Tag("PerFrameFunctionalGroupsSequence")
    ds[tag] = RawDataElement(tag, "SQ", len(value), value, 0, False, True)
    ds.SharedFunctionalGroupsSequence = DicomSequence([
        Dataset() if isinstance(stack, PictureSeries) else _shared_groups(stack)
    ])
    organisation = deterministic_uid("dimension organisation", ds.SOPInstanceUID)
    organisation_item = Dataset()
    organisation_item.DimensionOrganizationUID = organisation
    ds.DimensionOrganizationSequence = DicomSequence([organisation_item])
    pointers = [("ReferencedSegmentNumber", "SegmentIdentificationSequence")] if numbers else []
    if is_placed:
        pointers.append(("ImagePositionPatient", "PlanePositionSequence"))
    else:
        pointers.append(("InStackPositionNumber", "FrameContentSequence"))
    indices = []
    for keyword, group in pointers:
        index = Dataset()
        index.DimensionOrganizationUID = organisation
        index.DimensionIndexPointer, index.FunctionalGroupPointer = Tag(keyword), Tag(group)
        index.DimensionDescriptionLabel = keyword
        indices.append(index)
    ds.DimensionIndexSequence = DicomSequence(indices)
    ds.NumberOfFrames = len(frames)


def instance_item(source: SourceInstance) -> Dataset:
    """A reference to the instance."""
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = source.sop_class_uid, source.sop_instance_uid
    return item


def _derivation(source: SourceInstance) -> Dataset:
    image = instance_item(source)
    if source.frame_number is not None:
        image.ReferencedFrameNumber = source.frame_number
    image.SpatialLocationsPreserved = "YES"
    image.PurposeOfReferenceCodeSequence = DicomSequence([code_item(codes.DCM.SourceImageForImageProcessingOperation)])
    item = Dataset()
    item.SourceImageSequence = DicomSequence([image])
    item.DerivationCodeSequence = DicomSequence([code_item(codes.DCM.SegmentationImageDerivation)])
    group = Dataset()
    group.DerivationImageSequence = DicomSequence([item])
    return group


def _position(header: Dataset, grid: Grid, plane: int) -> Dataset:
    item = Dataset()
    item.ImagePositionPatient = decimal_strings(header, "ImagePositionPatient", grid.positions_lps[plane])
    group = Dataset()
    group.PlanePositionSequence = DicomSequence([item])
    return group


def _identification(number: int) -> Dataset:
    item = Dataset()
    item.ReferencedSegmentNumber = number
    group = Dataset()
    group.SegmentIdentificationSequence = DicomSequence([item])
    return group


def _shared_groups(stack: "Stack") -> Dataset:
    grid, header = stack.grid, stack.header
    orientation = Dataset()
    cosines = np.concatenate([grid.row_direction, grid.column_direction])
    orientation.ImageOrientationPatient = decimal_strings(header, "ImageOrientationPatient", cosines)
    measures = Dataset()
    measures.PixelSpacing = decimal_strings(header, "PixelSpacing", np.array(grid.pixel_spacing_mm))
    steps = grid.slice_steps_mm
    thickness = grid.slice_thickness_mm or (float(np.median(steps)) if len(steps) else 1.0)
    measures.SliceThickness = format_number_as_ds(thickness)
    if len(steps) and grid.is_even:
        measures.SpacingBetweenSlices = format_number_as_ds(float(steps.mean()))
    group = Dataset()
    group.PlaneOrientationSequence = DicomSequence([orientation])
    group.PixelMeasuresSequence = DicomSequence([measures])
    return group


def decimal_strings(header: Dataset, keyword: str, values: NDArray[np.float64]) -> list[str]:
    """The characters of a decimal-string attribute as the header has them; formatted anew where one is too long."""
    element: Any = header.get_item(keyword) if keyword in header else None
    texts: list[str] = []
    if isinstance(element, RawDataElement):
        texts = [t.strip() for t in (element.value or b"").decode("ascii", "replace").strip("\0 ").split("\\")]
    elif element is not None and element.value is not None:
        texts = [str(v) for v in element.value]
    if len(texts) == len(values) and all(0 < len(t) <= 16 for t in texts):
        return texts
    return [format_number_as_ds(float(v)) for v in values]


def _encoded(dataset: Dataset) -> bytes:
    """The data set in explicit VR little endian, without any file meta information."""
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, False
    write_dataset(stream, dataset)
    return stream.getvalue()


def _sequence_value(items: Iterable[bytes]) -> bytes:
    """The value of a sequence from its encoded items."""
    return b"".join(ITEM + struct.pack("<I", len(item)) + item for item in items)


def _per_frame_groups(
    frames: Sequence[Frame],
    *,
    derivations: Sequence[bytes],
    positions: Sequence[bytes],
    identifications: Sequence[bytes],
    numbered: bool = False,
) -> bytes:
    """The value of PerFrameFunctionalGroupsSequence.

    Parameters
    ----------
    frames
        The frames in their order.
    derivations
        Encoded DerivationImageSequence of each plane of the stack.
    positions
        Encoded PlanePositionSequence of each plane of the stack; empty where planes have none.
    identifications
        Encoded SegmentIdentificationSequence of each region; empty for label maps, whose frames hold all segments.
    numbered
        Write each frame's number in the stack, from 1.
    """
    ordinal = {plane: n for n, plane in enumerate(sorted({f.plane for f in frames}), start=1)}
    if numbered:
        # Here the index is the number itself (PS3.3 C.7.6.16.2.2), also where earlier pictures have no frame.
        ordinal = {plane: plane + 1 for plane in ordinal}
    items = []
    for frame in frames:
        index: tuple[int, ...] = (ordinal[frame.plane],)
        if identifications:
            index = (frame.region + 1, *index)
        # Ascending tags: (0008,9124), (0020,9111), (0020,9113), (0062,000A).
        content = _frame_content(index, frame.plane + 1 if numbered else None)
        item = derivations[frame.plane] + content + positions[frame.plane]
        items.append(item + identifications[frame.region] if identifications else item)
    return _sequence_value(items)


def _frame_content(index: tuple[int, ...], number: int | None = None) -> bytes:
    """FrameContentSequence (0020,9111) with DimensionIndexValues (0020,9157).

    With a number also StackID (0020,9056) and InStackPositionNumber (0020,9057).
    """
    values = struct.pack(f"<{len(index)}I", *index)
    element = struct.pack("<HH2sH", 0x0020, 0x9157, b"UL", len(values)) + values
    if number is not None:
        stack_id = PICTURES.encode()
        element = (
            struct.pack("<HH2sH", 0x0020, 0x9056, b"SH", len(stack_id))
            + stack_id
            + struct.pack("<HH2sHI", 0x0020, 0x9057, b"UL", 4, number)
            + element
        )
    item = _sequence_value([element])
    return struct.pack("<HH2sHI", 0x0020, 0x9111, b"SQ", 0, len(item)) + item
