"""Rules between objects: what one refers to has to exist, in the same study and frame of reference."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from pydicom.dataset import Dataset

from reports.errors import UndecodableText
from reports.model import Result
from reports.study import decoded
from reports.validate.violation import Violation

if TYPE_CHECKING:
    from imaging.series import Stack

__all__ = ["reference_violations"]


def reference_violations(objects: Mapping[str, Dataset], result: Result, stack: "Stack") -> Iterator[Violation]:
    """Violations between the objects (by outlet) and the series they were made from."""
    known = {s.sop_instance_uid: s.sop_class_uid for s in stack.sources}
    known |= {str(ds.SOPInstanceUID): str(ds.SOPClassUID) for ds in objects.values()}
    known |= {old.sop_instance_uid: old.sop_class_uid for old in result.predecessors}
    known[stack.study_instance_uid] = known[stack.series_instance_uid] = ""
    if len({str(ds.SOPInstanceUID) for ds in objects.values()}) < len(objects):
        yield Violation("all", "identity", "Two objects have the same SOP Instance UID.")
    if len({str(ds.SeriesInstanceUID) for ds in objects.values()} - {stack.series_instance_uid}) < len(objects):
        yield Violation("all", "identity", "Each object needs a series of its own, other than that of the images.")
    for outlet, ds in objects.items():
        if str(ds.StudyInstanceUID) != stack.study_instance_uid:
            yield Violation(outlet, "identity", "The object lies in another study than its images.")
        for keyword in ("PatientName", "PatientID", "AccessionNumber"):
            if _text(ds, keyword) != _text(stack.header, keyword):
                yield Violation(outlet, "identity", f"{keyword} is not that of the images.")
        for item in _items(ds):
            uid = str(item.get("ReferencedSOPInstanceUID", ""))
            if uid and uid not in known:
                yield Violation(
                    outlet, "reference", "A referenced instance is neither an image nor one of the objects."
                )
            elif uid and known[uid] and str(item.get("ReferencedSOPClassUID", known[uid])) != known[uid]:
                yield Violation(outlet, "reference", "A referenced instance has another SOP class than is stated.")
    yield from _segment_references(objects)
    yield from _evidence(objects)
    yield from _frames_of_reference(objects, stack)


def _segment_references(objects: Mapping[str, Dataset]) -> Iterator[Violation]:
    """Segment numbers in structure set and report have to exist in the segmentation."""
    seg = objects.get("seg")
    for outlet in ("rtstruct", "sr"):
        for item in _items(objects.get(outlet, Dataset())):
            number = item.get("ReferencedSegmentNumber")
            if number is None:
                continue
            numbers = {int(s.SegmentNumber) for s in seg.SegmentSequence} if seg is not None else set()
            if int(number) not in numbers:
                yield Violation(outlet, "reference", f"Segment {int(number)} is referred to and does not exist.")


def _evidence(objects: Mapping[str, Dataset]) -> Iterator[Violation]:
    """What the report's content refers to has to be among its evidence."""
    report = objects.get("sr")
    if report is None:
        return
    evidence = {
        str(i.ReferencedSOPInstanceUID)
        for keyword in ("CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence")
        for study in report.get(keyword, ())
        for i in _items(study)
        if "ReferencedSOPInstanceUID" in i
    }
    content = {
        str(i.ReferencedSOPInstanceUID)
        for part in report.get("ContentSequence", ())
        for i in _items(part)
        if "ReferencedSOPInstanceUID" in i
    }
    if content - evidence:
        yield Violation("sr", "reference", "The content refers to instances that are not listed as evidence.")


def _frames_of_reference(objects: Mapping[str, Dataset], stack: "Stack") -> Iterator[Violation]:
    """Coordinates have to mean what they mean in the images."""
    expected = stack.frame_of_reference_uid
    for outlet in ("seg", "rtstruct"):
        ds = objects.get(outlet)
        if ds is None:
            continue
        stated = {str(ds.FrameOfReferenceUID)} if outlet == "seg" else set()
        for item in _items(ds) if outlet == "rtstruct" else ():
            stated |= {
                str(item[k].value) for k in ("FrameOfReferenceUID", "ReferencedFrameOfReferenceUID") if k in item
            }
        if stated - {expected}:
            yield Violation(outlet, "geometry", "Another frame of reference than that of the images.")
    seg = objects.get("seg")
    if seg is not None:
        positions = {tuple(float(x) for x in h.ImagePositionPatient) for h in stack.headers}
        for frame in seg.PerFrameFunctionalGroupsSequence:
            if tuple(float(x) for x in frame.PlanePositionSequence[0].ImagePositionPatient) not in positions:
                yield Violation("seg", "geometry", "A frame does not lie on a plane of the images.")
                break


def _text(ds: Dataset, keyword: str) -> str:
    """A value as text, or a mark that equals no text where it does not decode."""
    try:
        return decoded(ds, keyword)
    except UndecodableText:
        return f"undecodable in {id(ds)}"


def _items(ds: Dataset) -> Iterator[Dataset]:
    """A data set and all items below it, without reading other values."""
    yield ds
    for tag in sorted(ds.keys()):
        element = ds.get_item(tag)
        vr = getattr(element, "VR", None)
        if vr == "SQ" or (vr is None and ds[tag].VR == "SQ"):
            for item in ds[tag].value or ():
                yield from _items(item)
