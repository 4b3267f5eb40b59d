"""Rules between objects: what one refers to has to exist, in the same study and frame of reference."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from pydicom.dataset import Dataset

from imaging.attributes import text
from imaging.pictures import PictureSeries
from reports.errors import UndecodableText
from reports.model import Result
from reports.study import decoded, raw_value
from reports.validate.raw import RawItem, items_below, sequence, uid
from reports.validate.violation import Violation

if TYPE_CHECKING:
    from imaging.planes import PlaneSeries

__all__ = ["reference_violations"]

REFERENCED_CLASS, REFERENCED_INSTANCE = 0x00081150, 0x00081155
REFERENCED_SEGMENT, SEGMENT_NUMBER, SEGMENTS = 0x0062000B, 0x00620004, 0x00620002
CONTENT, CURRENT_EVIDENCE, OTHER_EVIDENCE = 0x0040A730, 0x0040A375, 0x0040A385
FRAME_OF_REFERENCE, REFERENCED_FRAME_OF_REFERENCE = 0x00200052, 0x30060024
PER_FRAME_GROUPS, PLANE_POSITION, IMAGE_POSITION = 0x52009230, 0x00209113, 0x00200032
DERIVATION_IMAGE, SOURCE_IMAGE, REFERENCED_FRAME = 0x00089124, 0x00082112, 0x00081160
"""Tags of what is followed."""


def reference_violations(
    objects: Mapping[str, Dataset], raw: Mapping[str, RawItem], result: Result, stack: "PlaneSeries"
) -> Iterator[Violation]:
    """Violations between the objects (by outlet, as data sets and raw) and the series they were made from."""
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
            if not _is_that_of(ds, stack.header, keyword):
                yield Violation(outlet, "identity", f"{keyword} is not that of the images.")
        for item in items_below(raw[outlet]):
            instance = uid(item, REFERENCED_INSTANCE)
            if instance and instance not in known:
                yield Violation(
                    outlet, "reference", "A referenced instance is neither an image nor one of the objects."
                )
            elif instance and known[instance] and (uid(item, REFERENCED_CLASS) or known[instance]) != known[instance]:
                yield Violation(outlet, "reference", "A referenced instance has another SOP class than is stated.")
    yield from _segment_references(raw)
    yield from _evidence(raw)
    yield from _frames_of_reference(objects, raw, stack)


def _segment_references(raw: Mapping[str, RawItem]) -> Iterator[Violation]:
    """Segment numbers in structure set and report have to exist in the segmentation."""
    numbers = {_number(s, SEGMENT_NUMBER) for s in sequence(raw.get("seg", {}), SEGMENTS)}
    for outlet in ("rtstruct", "sr"):
        for item in items_below(raw.get(outlet, {})):
            number = _number(item, REFERENCED_SEGMENT)
            if number is not None and number not in numbers:
                yield Violation(outlet, "reference", f"Segment {number} is referred to and does not exist.")


def _number(item: RawItem, tag: int) -> int | None:
    """A number of two bytes, where it is there."""
    value = item.get(tag, ("", b""))[1]
    return int.from_bytes(value[:2], "little") if value else None


def _evidence(raw: Mapping[str, RawItem]) -> Iterator[Violation]:
    """What the report's content refers to has to be among its evidence."""
    report = raw.get("sr", {})
    evidence, content = (
        {
            uid(item, REFERENCED_INSTANCE)
            for tag in tags
            for part in sequence(report, tag)
            for item in items_below(part)
            if REFERENCED_INSTANCE in item
        }
        for tags in ((CURRENT_EVIDENCE, OTHER_EVIDENCE), (CONTENT,))
    )
    if content - evidence:
        yield Violation("sr", "reference", "The content refers to instances that are not listed as evidence.")


def _frames_of_reference(
    objects: Mapping[str, Dataset], raw: Mapping[str, RawItem], stack: "PlaneSeries"
) -> Iterator[Violation]:
    """Coordinates have to mean what they mean in the images."""
    expected = stack.frame_of_reference_uid
    for outlet in ("seg", "rtstruct"):
        if outlet not in objects:
            continue
        stated = {str(objects[outlet].get("FrameOfReferenceUID", ""))}
        for item in items_below(raw[outlet]) if outlet == "rtstruct" else ():
            stated |= {uid(item, tag) for tag in (FRAME_OF_REFERENCE, REFERENCED_FRAME_OF_REFERENCE) if tag in item}
        if stated - {expected}:
            yield Violation(outlet, "geometry", "Another frame of reference than that of the images.")
    if isinstance(stack, PictureSeries):
        yield from _on_pictures(objects, raw, stack)
        return
    positions = {tuple(float(x) for x in h.ImagePositionPatient) for h in stack.headers}
    for frame in sequence(raw.get("seg", {}), PER_FRAME_GROUPS):
        [place] = sequence(frame, PLANE_POSITION)
        if tuple(float(x) for x in uid(place, IMAGE_POSITION).split("\\")) not in positions:
            yield Violation("seg", "geometry", "A frame does not lie on a plane of the images.")
            break


def _on_pictures(
    objects: Mapping[str, Dataset], raw: Mapping[str, RawItem], series: PictureSeries
) -> Iterator[Violation]:
    """Without coordinates, every frame has to be the pixels of one picture, and to name it."""
    if "seg" not in objects:
        return
    if (int(objects["seg"].Rows), int(objects["seg"].Columns)) != series.shape[1:]:
        yield Violation("seg", "geometry", "The segmentation has other rows and columns than its pictures.")
    known = {(s.sop_instance_uid, s.frame_number or 0) for s in series.sources}
    for frame in sequence(raw["seg"], PER_FRAME_GROUPS):
        named = {
            (uid(image, REFERENCED_INSTANCE), int(uid(image, REFERENCED_FRAME) or 0))
            for derivation in sequence(frame, DERIVATION_IMAGE)
            for image in sequence(derivation, SOURCE_IMAGE)
        }
        if len(named) != 1 or not named <= known:
            yield Violation("seg", "geometry", "A frame does not name the one picture that it lies on.")
            break


def _is_that_of(ds: Dataset, header: Dataset, keyword: str) -> bool:
    """Whether an attribute is the same text in both; or, where it does not decode, the same bytes and character set."""
    try:
        return decoded(ds, keyword) == decoded(header, keyword)
    except UndecodableText:
        first, second = (raw_value(d, keyword) for d in (ds, header))
        if first is None or second is None or first.rstrip(b" \0") != second.rstrip(b" \0"):
            return False
        return text(ds, "SpecificCharacterSet") == text(header, "SpecificCharacterSet")
