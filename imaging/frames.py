"""The planes of one file: itself for a single-frame image, one per frame for an enhanced multi-frame image.

Each plane gets a header of its own in which the functional groups of its frame stand at top level, so that everything
after this module sees one kind of header.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    EnhancedPETImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
    LegacyConvertedEnhancedMRImageStorage,
    LegacyConvertedEnhancedPETImageStorage,
    MRImageStorage,
    PositronEmissionTomographyImageStorage,
)

from imaging.attributes import PARSER_FAULTS, numbers, text, whole
from imaging.errors import MissingAttribute, TruncatedFile
from imaging.headers import Header, PixelLocation
from imaging.volume import SourceInstance

__all__ = ["ENHANCED", "SINGLE_FRAME", "Plane", "planes_of"]

SINGLE_FRAME = frozenset({CTImageStorage, MRImageStorage, PositronEmissionTomographyImageStorage})

ENHANCED = frozenset({
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    EnhancedPETImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
    LegacyConvertedEnhancedMRImageStorage,
    LegacyConvertedEnhancedPETImageStorage,
})

GROUP_TAGS = {0x52009229, 0x52009230}
"""SharedFunctionalGroupsSequence and PerFrameFunctionalGroupsSequence."""


@dataclass(frozen=True, eq=False)
class Plane:
    """One plane with its geometry as floats, its header and its place in a file."""

    source: SourceInstance
    file: Path
    header: Dataset
    pixels: PixelLocation
    position_lps: NDArray[np.float64]
    orientation: NDArray[np.float64]
    pixel_spacing_mm: tuple[float, float]
    rows: int
    columns: int
    frame_of_reference_uid: str


def planes_of(header: Header) -> tuple[Plane, ...]:
    """The planes of one image file, in the order of its frames.

    Raises
    ------
    MissingAttribute
        A plane has no ImagePositionPatient, ImageOrientationPatient, PixelSpacing, Rows or Columns.
    TruncatedFile
        The object has fewer functional groups than NumberOfFrames.
    """
    if text(header.dataset, "SOPClassUID") not in ENHANCED:
        return (_plane(header, header.dataset, None),)
    return tuple(_plane(header, flat, number) for number, flat in enumerate(_flattened(header.dataset), start=1))


def _plane(header: Header, dataset: Dataset, frame_number: int | None) -> Plane:
    source = SourceInstance(
        sop_class_uid=text(dataset, "SOPClassUID"),
        sop_instance_uid=text(dataset, "SOPInstanceUID"),
        series_instance_uid=text(dataset, "SeriesInstanceUID"),
        frame_number=frame_number,
    )
    if header.pixels is None:
        raise MissingAttribute("PixelData is absent; export the series again with its pixels.", keyword="PixelData")
    spacing = numbers(dataset, "PixelSpacing", 2)
    if min(spacing) <= 0:
        raise MissingAttribute("PixelSpacing is not positive; export the series again.", keyword="PixelSpacing")
    rows, columns = whole(dataset, "Rows"), whole(dataset, "Columns")
    if min(rows, columns) < 1:
        raise MissingAttribute("Rows or Columns is zero; export the series again.", keyword="Rows")
    return Plane(
        source=source,
        file=header.file,
        header=dataset,
        pixels=header.pixels,
        position_lps=np.array(numbers(dataset, "ImagePositionPatient", 3)),
        orientation=np.array(numbers(dataset, "ImageOrientationPatient", 6)),
        pixel_spacing_mm=(spacing[0], spacing[1]),
        rows=rows,
        columns=columns,
        frame_of_reference_uid=text(dataset, "FrameOfReferenceUID"),
    )


def _flattened(dataset: Dataset) -> list[Dataset]:
    """One data set per frame: top level, then the shared groups, then the frame's own, later ones winning.

    Raises
    ------
    MissingAttribute
        The functional groups are absent or cannot be read.
    TruncatedFile
        There are fewer (or more) of them than frames.
    """
    count = whole(dataset, "NumberOfFrames")
    try:
        per_frame = list(dataset.get("PerFrameFunctionalGroupsSequence") or ())
        shared = list(dataset.get("SharedFunctionalGroupsSequence") or ())[:1]
        base = {e.tag: e for e in dataset.values() if e.tag not in GROUP_TAGS}
        flat = [
            Dataset(base | _macros([*shared, frame]), parent_encoding=dataset.original_character_set)
            for frame in per_frame
        ]
    except PARSER_FAULTS:
        flat = []
    if not flat:
        raise MissingAttribute(
            "PerFrameFunctionalGroupsSequence is absent or damaged, so no frame has a position; export it again.",
            keyword="PerFrameFunctionalGroupsSequence",
        )
    if len(flat) != count:
        raise TruncatedFile(
            "The number of functional groups differs from the number of frames; export the series again.",
            frames=count,
            groups=len(flat),
        )
    return flat


def _macros(groups: list[Dataset]) -> dict[BaseTag, DataElement | RawDataElement]:
    elements: dict[BaseTag, DataElement | RawDataElement] = {}
    for group in groups:
        for macro in group:
            if macro.VR == "SQ" and macro.value and len(macro.value) == 1:
                elements |= {e.tag: e for e in macro.value[0].values()}
    return elements
