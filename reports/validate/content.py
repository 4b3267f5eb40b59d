"""Rules on what each object says: status, review, algorithm, no empty segment, a PDF that is one."""

from collections.abc import Iterator, Mapping

import numpy as np
from pydicom.dataset import Dataset

from imaging.provenance import Algorithm
from reports.codes import code
from reports.encode.encoded import EncodedObject
from reports.model import Result
from reports.validate.raw import RawItem, sequence, uid
from reports.validate.violation import Violation
from reports.wording import unique_algorithms

__all__ = ["content_violations"]

STATUS_KEYS = {
    "findings": "status_findings",
    "none_found": "status_none_found",
    "failed": "status_failed",
    "refused": "not_attempted",
}


SHARED_GROUPS, FRAME_GROUPS = 0x52009229, 0x52009230
SEGMENT_IDENTIFICATION, REFERENCED_SEGMENT_NUMBER = 0x0062000A, 0x0062000B
ROI_CONTOURS, CONTOURS, REFERENCED_ROI_NUMBER = 0x30060039, 0x30060040, 0x30060084


def content_violations(
    objects: Mapping[str, Dataset],
    raw: Mapping[str, RawItem],
    encoded: Mapping[str, EncodedObject],
    result: Result,
) -> Iterator[Violation]:
    """Violations of what the objects (by outlet, as data sets and as raw elements) have to say about `result`."""
    for outlet in ("seg", "rtstruct"):
        if outlet in objects and not result.structures:
            yield Violation(outlet, "status", f"A result that is '{result.status}' must not have this object.")
    for outlet, item in encoded.items():
        for algorithm in unique_algorithms(result):
            if _concerns(outlet, algorithm, result) and not _names(item.data, algorithm):
                yield Violation(outlet, "algorithm", "An algorithm's name, version or weights' hash is missing.")
    if "seg" in objects:
        yield from _empty_segments(objects["seg"], raw["seg"])
    if "rtstruct" in objects:
        yield from _structure_set(objects["rtstruct"], raw["rtstruct"])
    if "sr" in objects:
        yield from _report(objects["sr"], result)
    if "pdf" in objects:
        yield from _document(objects["pdf"])


def _concerns(outlet: str, algorithm: Algorithm, result: Result) -> bool:
    """Reports name every algorithm; the others name those whose structures they hold."""
    if outlet in {"sr", "pdf"}:
        return True
    return any(result.algorithm_of(s) == algorithm for s in result.structures)


def _names(data: bytes, algorithm: Algorithm) -> bool:
    return all(text.encode() in data for text in (algorithm.name, algorithm.version, *algorithm.weights_sha256))


def _empty_segments(seg: Dataset, raw: RawItem) -> Iterator[Violation]:
    """Each segment needs a voxel: an empty one would say that nothing is there."""
    pixels = np.frombuffer(seg.PixelData, dtype=np.uint8)
    size = int(seg.Rows) * int(seg.Columns)
    numbers = {int(s.SegmentNumber) for s in seg.SegmentSequence} - {0}
    if seg.SegmentationType == "LABELMAP":
        wide = int(seg.BitsAllocated) == 16
        found = set(np.flatnonzero(np.bincount(pixels.view(np.uint16) if wide else pixels)).tolist())
    else:
        bits = int(seg.BitsAllocated)
        found = set()
        # Frames are thousands: as data sets, reading them took a second.
        for index, frame in enumerate(sequence(raw, FRAME_GROUPS)):
            number = _segment_of(frame, raw)
            if number not in found and _filled(pixels, index * size * bits, size * bits):
                found.add(number)
    for number in sorted(numbers - found):
        yield Violation("seg", "empty", f"Segment {number} has no voxel.")


def _segment_of(frame: RawItem, seg: RawItem) -> int:
    """Segment of a frame; the identification may be shared by all frames."""
    holder = frame if SEGMENT_IDENTIFICATION in frame else sequence(seg, SHARED_GROUPS)[0]
    number: bytes = sequence(holder, SEGMENT_IDENTIFICATION)[0][REFERENCED_SEGMENT_NUMBER][1]
    return int.from_bytes(number, "little")


def _filled(pixels: "np.ndarray[tuple[int], np.dtype[np.uint8]]", first_bit: int, bits: int) -> bool:
    """Whether a bit is set in a run of bits, which need not begin at a byte."""
    start, stop = first_bit // 8, -(-(first_bit + bits) // 8)
    part = np.unpackbits(pixels[start:stop], bitorder="little")
    return bool(part[first_bit - 8 * start :][:bits].any())


def _structure_set(rtstruct: Dataset, raw: RawItem) -> Iterator[Violation]:
    if rtstruct.get("ApprovalStatus") != "UNAPPROVED":
        yield Violation("rtstruct", "review", "What nobody has reviewed has to be UNAPPROVED.")
    drawn = {int(uid(c, REFERENCED_ROI_NUMBER)) for c in sequence(raw, ROI_CONTOURS) if sequence(c, CONTOURS)}
    for roi in rtstruct.StructureSetROISequence:
        if int(roi.ROINumber) not in drawn:
            yield Violation("rtstruct", "empty", f"ROI {int(roi.ROINumber)} has no contour.")


def _report(report: Dataset, result: Result) -> Iterator[Violation]:
    flags = (report.get("CompletionFlag"), report.get("VerificationFlag"), report.get("PreliminaryFlag"))
    if flags != ("COMPLETE", "UNVERIFIED", "PRELIMINARY"):
        yield Violation("sr", "review", "What nobody has signed has to be COMPLETE, UNVERIFIED and PRELIMINARY.")
    key = STATUS_KEYS.get(result.status) or ("status_partial_findings" if result.found else "status_partial_none")
    expected = code(key).value
    if not any(v == expected for v in _coded_values(report)):
        yield Violation("sr", "status", f"The code of the status '{result.status}' is missing.")


def _coded_values(item: Dataset) -> Iterator[str]:
    """Values of all CODE items of a content tree."""
    for child in item.get("ContentSequence", ()):
        if child.ValueType == "CODE":
            yield str(child.ConceptCodeSequence[0].get("CodeValue", ""))
        yield from _coded_values(child)


def _document(ds: Dataset) -> Iterator[Violation]:
    document = bytes(ds.EncapsulatedDocument)
    length = int(ds.get("EncapsulatedDocumentLength", len(document)))
    whole = document[:length].rstrip().endswith(b"%%EOF") and document.startswith(b"%PDF-")
    if not whole or ds.get("MIMETypeOfEncapsulatedDocument") != "application/pdf":
        yield Violation("pdf", "document", "The encapsulated document is no whole PDF.")
