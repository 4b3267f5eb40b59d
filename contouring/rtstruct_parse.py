"""A structure set's ROIs and contours as arrays, before any image is looked at."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import RTStructureSetStorage

from contouring.contours import Contours
from contouring.decimal_parse import parse_with_longest
from contouring.errors import ContouringError, CorruptContourData, DuplicateRoiNumber, NotAStructureSet
from contouring.rtstruct_items import ContourItem, contour_items
from imaging.headers import PARSER_FAULTS, read_header, text
from imaging.labels import label_of

__all__ = ["ParsedRoi", "ParsedStructureSet", "coordinate_texts", "open_structure_set", "parse_structure_set"]

CONTOUR_SEQUENCE = 0x30060040
CONTOUR_DATA = 0x30060050


@dataclass(frozen=True, eq=False)
class ParsedRoi:
    """One ROI as the structure set describes it.

    Parameters
    ----------
    number, name, description, generation
        ROINumber, ROIName, ROIDescription, ROIGenerationAlgorithm.
    interpreted_type
        RTROIInterpretedType, "" where there is none.
    code
        First item of RTROIIdentificationCodeSequence.
    colour_rgb
        ROIDisplayColor.
    frame_of_reference_uid
        ReferencedFrameOfReferenceUID.
    contours
        All contours; none for an ROI without ContourSequence.
    miscounted
        Contours whose NumberOfContourPoints differs from their data.
    longest_number
        Characters of the longest value of ContourData; DICOM allows 16.
    fault
        Why the contours cannot be used, where that is so.
    """

    number: int
    name: str
    description: str
    generation: str
    interpreted_type: str
    code: Code | None
    colour_rgb: tuple[int, int, int] | None
    frame_of_reference_uid: str
    contours: Contours
    miscounted: int
    longest_number: int
    fault: ContouringError | None


@dataclass(frozen=True, eq=False)
class ParsedStructureSet:
    """A structure set.

    Parameters
    ----------
    rois
        In the order of StructureSetROISequence.
    label
        StructureSetLabel.
    referenced_series_uids
        Series named in ReferencedFrameOfReferenceSequence.
    strays
        Numbers that have contours but no entry in StructureSetROISequence.
    """

    rois: tuple[ParsedRoi, ...]
    label: str
    referenced_series_uids: tuple[str, ...]
    strays: tuple[int, ...]


def open_structure_set(source: Dataset | Path) -> Dataset:
    """A structure set from a file, or the data set itself.

    Raises
    ------
    NotDicom
        The file is no DICOM file.
    TruncatedFile
        The file ends before its data set does.
    NotAStructureSet
        The object is of another kind.
    """
    dataset = source if isinstance(source, Dataset) else read_header(source).dataset
    if text(dataset, "SOPClassUID") != RTStructureSetStorage:
        raise NotAStructureSet("The object is no RT structure set; give the RTSTRUCT file.")
    return dataset


def parse_structure_set(source: Dataset | Path) -> ParsedStructureSet:
    """All ROIs of a structure set with their contours; faults of one ROI stay with that ROI.

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
    try:
        contours_of: dict[int, list[Dataset]] = {}
        for item in _items(dataset, "ROIContourSequence"):
            contours_of.setdefault(_whole(item, "ReferencedROINumber"), []).append(item)
        observations = {_whole(o, "ReferencedROINumber"): o for o in _items(dataset, "RTROIObservationsSequence")}
        definitions = _items(dataset, "StructureSetROISequence")
        numbers = [_whole(d, "ROINumber") for d in definitions]
        rois = tuple(
            _roi(d, n, contours_of.get(n, []), observations.get(n), is_duplicate=numbers.count(n) > 1)
            for d, n in zip(definitions, numbers, strict=True)
        )
        return ParsedStructureSet(
            rois=rois,
            label=label_of(dataset, "StructureSetLabel"),
            referenced_series_uids=_series_uids(dataset),
            strays=tuple(sorted(set(contours_of) - set(numbers))),
        )
    except PARSER_FAULTS as fault:
        raise NotAStructureSet(
            "The sequences of the structure set cannot be read; export it again.", reason=type(fault).__name__
        ) from fault


def coordinate_texts(dataset: Dataset) -> Iterator[tuple[int, bytes]]:
    """ROI number and ContourData as written, contour after contour."""
    for item in _items(dataset, "ROIContourSequence"):
        number = _whole(item, "ReferencedROINumber")
        for contour in _contour_items([item]):
            yield number, contour.data.strip(b" \0")


def _items(dataset: Dataset, keyword: str) -> list[Dataset]:
    return list(dataset.get(keyword) or ())


def _whole(item: Dataset, keyword: str) -> int:
    value = text(item, keyword)
    return int(float(value))


def _series_uids(dataset: Dataset) -> tuple[str, ...]:
    return tuple(
        text(series, "SeriesInstanceUID")
        for frame in _items(dataset, "ReferencedFrameOfReferenceSequence")
        for study in _items(frame, "RTReferencedStudySequence")
        for series in _items(study, "RTReferencedSeriesSequence")
    )


def _roi(
    definition: Dataset,
    number: int,
    items: Sequence[Dataset],
    observation: Dataset | None,
    *,
    is_duplicate: bool,
) -> ParsedRoi:
    fault: ContouringError | None = None
    contours, miscounted, longest = Contours.of([]), 0, 0
    try:
        contours, miscounted, longest = _contours(_contour_items(items))
    except ContouringError as refusal:
        fault = refusal
    if is_duplicate:
        fault = DuplicateRoiNumber(
            f"ROINumber {number} is used by more than one structure; export the structure set with unique numbers.",
            number=number,
        )
    observed = observation if observation is not None else Dataset()
    colour = text(items[0], "ROIDisplayColor").split("\\") if items else []
    return ParsedRoi(
        number=number,
        name=_decoded(definition, "ROIName"),
        description=_decoded(definition, "ROIDescription"),
        generation=text(definition, "ROIGenerationAlgorithm"),
        interpreted_type=text(observed, "RTROIInterpretedType"),
        code=_code(observed),
        colour_rgb=_rgb(colour),
        frame_of_reference_uid=text(definition, "ReferencedFrameOfReferenceUID"),
        contours=contours,
        miscounted=miscounted,
        longest_number=longest,
        fault=fault,
    )


def _decoded(item: Dataset, keyword: str) -> str:
    """Text in the object's character set."""
    return str(item.get(keyword) or "")


def _rgb(parts: Sequence[str]) -> tuple[int, int, int] | None:
    try:
        r, g, b = (int(float(p)) for p in parts)
    except ValueError:
        return None
    return (r, g, b)


def _code(observation: Dataset) -> Code | None:
    for item in _items(observation, "RTROIIdentificationCodeSequence"):
        value, scheme = text(item, "CodeValue"), text(item, "CodingSchemeDesignator")
        if value and scheme:
            return Code(value, scheme, _decoded(item, "CodeMeaning"))
    return None


def _contour_items(items: Sequence[Dataset]) -> list[ContourItem]:
    """All contours of the items of one ROI in ROIContourSequence, decoded at once where their bytes allow it."""
    found: list[ContourItem] = []
    for item in items:
        element: Any = item.get_item(CONTOUR_SEQUENCE) if CONTOUR_SEQUENCE in item else None
        if isinstance(element, RawDataElement) and element.is_little_endian and element.value:
            try:
                found += contour_items(element.value, implicit=element.is_implicit_VR)
                continue
            except ValueError:
                pass
        found += [_contour_item(c) for c in _items(item, "ContourSequence")]
    return found


def _contour_item(contour: Dataset) -> ContourItem:
    images = _items(contour, "ContourImageSequence")
    return ContourItem(
        geometric_type=text(contour, "ContourGeometricType"),
        stated_points=text(contour, "NumberOfContourPoints"),
        data=_bytes(contour.get_item(CONTOUR_DATA)),
        referenced_uid=text(images[0], "ReferencedSOPInstanceUID") if images else "",
        referenced_frame=text(images[0], "ReferencedFrameNumber") if images else "",
    )


def _contours(items: Sequence[ContourItem]) -> tuple[Contours, int, int]:
    """Contours of one ROI, how many of them state a wrong number of points, and the length of the longest number.

    Raises
    ------
    CorruptContourData
        A value is no finite number, or their count is no multiple of three.
    """
    data = [item.data.strip(b" \0") for item in items]
    counts = np.array([d.count(b"\\") + 1 if d else 0 for d in data], dtype=np.intp)
    uneven = np.flatnonzero(counts % 3)
    if len(uneven):
        raise CorruptContourData(
            f"Contour {int(uneven[0]) + 1} holds {int(counts[uneven[0]])} values, which is no multiple of three; "
            "export the structure set again.",
            contour=int(uneven[0]) + 1,
            values=int(counts[uneven[0]]),
        )
    joined = b"\\".join(d for d in data if d)
    try:
        numbers, longest = parse_with_longest(joined)
    except CorruptContourData as fault:
        number = 1 + next((n for n, d in enumerate(data) if d and not _is_numbers(d)), 0)
        raise CorruptContourData(
            f"ContourData of contour {number} holds something that is no finite number; "
            "export the structure set again.",
            contour=number,
        ) from fault
    contours = Contours(
        points_lps=numbers.reshape(-1, 3),
        starts=np.concatenate([[0], np.cumsum(counts // 3)]).astype(np.intp),
        types=tuple(item.geometric_type.upper() for item in items),
        referenced_uids=tuple(item.referenced_uid for item in items),
        referenced_frames=tuple(
            int(item.referenced_frame) if item.referenced_frame.isdecimal() else 0 for item in items
        ),
    )
    miscounted = sum(item.stated_points != str(n // 3) for item, n in zip(items, counts.tolist(), strict=True))
    return contours, miscounted, longest


def _is_numbers(data: bytes) -> bool:
    """Whether all values of one contour are finite numbers."""
    try:
        parse_with_longest(data)
    except CorruptContourData:
        return False
    return True


def _bytes(element: Any) -> bytes:
    """Value of ContourData as it was written; a decoded one is spelled out again."""
    value = None if element is None else element.value
    if value is None or isinstance(value, bytes):
        return (value or b"").strip(b" \0")
    values = [value] if isinstance(value, str | float | int) else value
    return "\\".join(repr(float(v)) for v in values).encode()
