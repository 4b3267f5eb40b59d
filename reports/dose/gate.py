"""All rules on the objects of one dose report: nothing that breaks one is sent."""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import BytesIO

from pydicom import dcmread
from pydicom.dataset import Dataset

from contouring.dose.rtdose_read import read_rtdose
from imaging.errors import RadgateError
from imaging.quiet import quiet_pydicom
from reports.dose.report import DoseReport
from reports.encode.encoded import EncodedObject
from reports.errors import InvalidObject
from reports.validate.elements import element_violations
from reports.validate.inherited import inherited_from
from reports.validate.outside import dciodvfy_errors, dciodvfy_findings
from reports.validate.violation import Violation

__all__ = ["require_valid_dose", "validate_dose"]


def validate_dose(
    objects: Sequence[EncodedObject], report: DoseReport, *, outside: bool = False
) -> tuple[Violation, ...]:
    """Every broken rule, sorted; none for objects that may be sent.

    Parameters
    ----------
    objects
        What `encode_dose` gave.
    report
        What they were made from.
    outside
        Runs dciodvfy as well, where it is installed; its errors count, its warnings do not.
    """
    found: list[Violation] = []
    known = _known(objects, report)
    with ThreadPoolExecutor(max_workers=2) as pool, quiet_pydicom():
        asked = [pool.submit(_said_outside, o) for o in objects if outside]
        # One object is open at a time: a dose takes as much memory as its grid, and there are many.
        for n, item in enumerate(objects):
            ds = dcmread(BytesIO(item.data))
            inherited = inherited_from(report.stack, ds)
            found += element_violations(item.outlet, ds, inherited)
            found += _identity(item, ds, report)
            found += _references(item, ds, known)
            found += _content(item, ds, report)
            if outside:
                lines = dciodvfy_errors(asked[n].result(), inherited)
                found += [Violation(item.outlet, "dciodvfy", line) for line in lines]
    if len({o.sop_instance_uid for o in objects}) < len(objects):
        found.append(Violation("all", "identity", "Two objects have the same SOP Instance UID."))
    return tuple(sorted(set(found)))


def require_valid_dose(objects: Sequence[EncodedObject], report: DoseReport, *, outside: bool = False) -> None:
    """Returns where all rules are kept.

    Raises
    ------
    InvalidObject
        A rule is broken; `fields` lists outlets and rules.
    """
    found = validate_dose(objects, report, outside=outside)
    if found:
        raise InvalidObject(
            f"{len(found)} rules are broken, first by {found[0].outlet}: {found[0].rule}; keep the objects for support "
            "and do not send them.",
            broken=[[v.outlet, v.rule] for v in found],
        )


def _said_outside(item: EncodedObject) -> tuple[str, ...] | None:
    return dciodvfy_findings(narrowed(item))


def narrowed(item: EncodedObject) -> EncodedObject:
    """An RTDOSE with pixels of 16 bits for dciodvfy, which aborts on wider ones; any other object as it is."""
    if item.outlet != "rtdose":
        return item
    ds = dcmread(BytesIO(item.data))
    ds.PixelData = (ds.pixel_array >> 16).astype("<u2").tobytes()
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit = 15
    buffer = BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    return replace(item, data=buffer.getvalue())


def _known(objects: Sequence[EncodedObject], report: DoseReport) -> set[str]:
    """Instances that may be referred to: the images, what was added, and the objects themselves."""
    found = report.assessment
    known = {s.sop_instance_uid for s in report.stack.sources} | {o.sop_instance_uid for o in objects}
    known |= {report.stack.study_instance_uid, report.stack.series_instance_uid, found.structure_set_uid}
    for course in found.courses:
        known |= {course.dose_uid, course.registration_uid, *course.plan_uids}
    return known


def _identity(item: EncodedObject, ds: Dataset, report: DoseReport) -> Iterator[Violation]:
    if hashlib.sha256(item.data).hexdigest() != item.sha256:
        yield Violation(item.outlet, "file", "The bytes are not those of the hash.")
    stated = (str(ds.SOPClassUID), str(ds.SOPInstanceUID), str(ds.SeriesInstanceUID))
    if stated != (item.sop_class_uid, item.sop_instance_uid, item.series_instance_uid):
        yield Violation(item.outlet, "identity", "The UIDs in the file are not those that are stated for it.")
    if str(ds.StudyInstanceUID) != report.stack.study_instance_uid:
        yield Violation(item.outlet, "identity", "The object lies in another study than its images.")
    frame = ds.get("FrameOfReferenceUID")
    if frame is not None and str(frame) != report.stack.frame_of_reference_uid:
        yield Violation(item.outlet, "geometry", "Another frame of reference than that of the images.")


def _references(item: EncodedObject, ds: Dataset, known: set[str]) -> Iterator[Violation]:
    for inner in ds.iterall():
        if inner.keyword == "ReferencedSOPInstanceUID" and str(inner.value) not in known and item.outlet != "reg":
            yield Violation(
                item.outlet, "reference", "A referenced instance is neither an image nor a dose that was added."
            )


def _content(item: EncodedObject, ds: Dataset, report: DoseReport) -> Iterator[Violation]:
    """What each kind has to say: a dose reads back, a report is unsigned, a capture warns."""
    if item.outlet == "rtdose":
        try:
            read_rtdose(ds, any_size=True)
        except RadgateError:
            yield Violation("rtdose", "content", "The dose does not read back.")
        if ds.get("DoseSummationType") == "PLAN" and len(report.assessment.courses) > 1:
            yield Violation("rtdose", "content", "A sum of plans has to be MULTI_PLAN or PLAN_OVERVIEW.")
    if item.outlet == "rtstruct" and ds.get("ApprovalStatus") != "UNAPPROVED":
        yield Violation("rtstruct", "review", "What nobody has reviewed has to be UNAPPROVED.")
    if item.outlet == "sr":
        flags = (ds.get("CompletionFlag"), ds.get("VerificationFlag"), ds.get("PreliminaryFlag"))
        if flags != ("COMPLETE", "UNVERIFIED", "PRELIMINARY"):
            yield Violation("sr", "review", "What nobody has signed has to be COMPLETE, UNVERIFIED and PRELIMINARY.")
    if item.outlet == "sc" and "NOT FOR PLANNING" not in str(ds.get("SeriesDescription", "")):
        yield Violation("sc", "content", "A picture of a dose has to say that it is not for planning.")
