"""Whether the sequences of a structure set are there and belong together: definitions, contours, contour types."""

from collections import Counter
from collections.abc import Iterator

from pydicom.dataset import Dataset

from contouring.profiles.finding import Finding
from contouring.rtstruct_parse import ParsedStructureSet
from imaging.headers import text

__all__ = ["check_sequences"]

NEEDED = {
    "StructureSetROISequence": "(3006,0020)",
    "ROIContourSequence": "(3006,0039)",
    "RTROIObservationsSequence": "(3006,0080)",
}
"""Type 1 in modules that are mandatory for the object (PS3.3, A.19.3 and C.8.8.5 to C.8.8.8)."""

OPEN = frozenset({"OPEN_PLANAR", "OPEN_NONPLANAR"})
KNOWN_TYPES = OPEN | {"POINT", "CLOSED_PLANAR", "CLOSEDPLANAR_XOR"}


def check_sequences(ds: Dataset, parsed: ParsedStructureSet) -> Iterator[Finding]:
    """What is missing, doubled or without a definition, and contours that say no usable type."""
    for keyword, tag in NEEDED.items():
        if not ds.get(keyword):
            yield Finding(tag, "absent or empty", f"DICOM: {keyword} is Type 1", "export all sequences of ROIs", True)
    items = Counter(text(i, "ReferencedROINumber") for i in ds.get("ROIContourSequence") or ())
    for named, count in items.items():
        if count > 1:
            yield Finding(
                "(3006,0039)",
                f"ROI {named}: {count} items",
                "one item of ROIContourSequence for each ROI",
                "put all contours of the ROI into one item",
                False,
            )
    for number in parsed.strays:
        yield Finding(
            "(3006,0084)",
            f"contours of ROI {number}, which is not defined",
            "DICOM: ReferencedROINumber is a number in StructureSetROISequence",
            "give the contours the number of their ROI, or define it",
            True,
        )
    for roi in parsed.rois:
        if not roi.frame_of_reference_uid:
            yield Finding(
                "(3006,0024)",
                f"ROI {roi.number}: absent",
                "DICOM: ReferencedFrameOfReferenceUID is Type 1",
                "write the frame of reference of the image",
                True,
            )
        if roi.fault is None:
            yield from _types(roi.number, Counter(roi.contours.types))


def _types(number: int, types: Counter[str]) -> Iterator[Finding]:
    if types[""]:
        yield Finding(
            "(3006,0042)",
            f"ROI {number}: {types['']} contours without it",
            "DICOM: ContourGeometricType is Type 1",
            "write CLOSED_PLANAR where the contour is closed",
            True,
        )
    strange = sum(count for kind, count in types.items() if kind and kind not in KNOWN_TYPES)
    if strange:
        yield Finding(
            "(3006,0042)",
            f"ROI {number}: {strange} contours of an undefined type",
            f"DICOM: ContourGeometricType is one of {', '.join(sorted(KNOWN_TYPES))}",
            "write CLOSED_PLANAR where the contour is closed",
            True,
        )
    still_open = sum(types[kind] for kind in OPEN)
    if still_open:
        yield Finding(
            "(3006,0042)",
            f"ROI {number}: {still_open} open contours",
            "contours of a volume are closed",
            "write CLOSED_PLANAR: an open contour encloses no voxel",
            False,
        )
