"""All rules on the objects of one result: nothing that breaks one is sent."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from io import BytesIO
from typing import TYPE_CHECKING

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from imaging.quiet import quiet_pydicom
from reports.encode.encoded import EncodedObject
from reports.errors import InvalidObject
from reports.model import Result
from reports.validate.content import content_violations
from reports.validate.elements import raw_violations
from reports.validate.inherited import inherited_from
from reports.validate.outside import dciodvfy_errors, dciodvfy_findings
from reports.validate.raw import RawItem, raw_object
from reports.validate.references import reference_violations
from reports.validate.violation import Violation

if TYPE_CHECKING:
    from imaging.planes import PlaneSeries

__all__ = ["require_valid", "validate"]


Asked = Mapping[str, "Future[tuple[str, ...] | None]"]
"""Answers of dciodvfy that are on their way, by the sha256 of the object."""


def validate(
    objects: Sequence[EncodedObject],
    result: Result,
    stack: "PlaneSeries",
    *,
    outside: bool = False,
    asked: Asked | None = None,
) -> tuple[Violation, ...]:
    """Every broken rule, sorted; none for objects that may be sent.

    Faults in what an object took over unchanged from its images break no rule; the objects' warnings name them.

    Parameters
    ----------
    objects
        What `encode_all` gave for `result` and `stack`.
    outside
        Runs dciodvfy as well, where it is installed; its errors count, its warnings do not.
    asked
        What dciodvfy was asked before, while other objects were still being written; only the rest is asked here.

    Raises
    ------
    ValidatorSilent
        dciodvfy is there and gives no answer.
    """
    found: list[Violation] = []
    read: dict[str, Dataset] = {}
    raw: dict[str, RawItem] = {}
    # The other program works on another core while our own rules are checked here.
    # pydicom remarks on values, with the values; our rules say the same without them.
    with ThreadPoolExecutor(max_workers=2) as pool, quiet_pydicom():
        answers = [
            (item.outlet, (asked or {}).get(item.sha256) or pool.submit(dciodvfy_findings, item))
            for item in objects
            if outside
        ]
        for item in objects:
            found += _file_violations(item, read, raw)
        inherited = {outlet: inherited_from(stack, ds) for outlet, ds in read.items()}
        for outlet, elements in raw.items():
            found += raw_violations(outlet, elements, inherited[outlet])
        found += reference_violations(read, raw, result, stack)
        found += content_violations(read, raw, {o.outlet: o for o in objects if o.outlet in read}, result)
        for outlet, answer in answers:
            if outlet in read:
                found += [
                    Violation(outlet, "dciodvfy", line) for line in dciodvfy_errors(answer.result(), inherited[outlet])
                ]
    return tuple(sorted(set(found)))


def require_valid(
    objects: Sequence[EncodedObject],
    result: Result,
    stack: "PlaneSeries",
    *,
    outside: bool = False,
    asked: Asked | None = None,
) -> None:
    """Returns where all rules are kept.

    Raises
    ------
    InvalidObject
        A rule is broken; `fields` lists outlets and rules. `ValidatorSilent`, a kind of it: dciodvfy gives no answer.
    """
    found = validate(objects, result, stack, outside=outside, asked=asked)
    if found:
        raise InvalidObject(
            f"{len(found)} rules are broken, first by {found[0].outlet}: {found[0].rule}; keep the objects for support "
            "and do not send them.",
            broken=[[v.outlet, v.rule] for v in found],
        )


def _file_violations(item: EncodedObject, read: dict[str, Dataset], raw: dict[str, RawItem]) -> Iterator[Violation]:
    """Reads the file into `read` and `raw`; violations of the file as such."""
    if hashlib.sha256(item.data).hexdigest() != item.sha256:
        yield Violation(item.outlet, "file", "The bytes are not those of the hash.")
    try:
        ds = dcmread(BytesIO(item.data))
        elements = raw_object(item.data)
        stated = (str(ds.SOPClassUID), str(ds.SOPInstanceUID), str(ds.SeriesInstanceUID))
    except (InvalidDicomError, AttributeError, EOFError, ValueError):
        yield Violation(item.outlet, "file", "The bytes are no DICOM file.")
        return
    if stated != (item.sop_class_uid, item.sop_instance_uid, item.series_instance_uid):
        yield Violation(item.outlet, "identity", "The UIDs in the file are not those that are stated for it.")
    meta = (str(ds.file_meta.MediaStorageSOPClassUID), str(ds.file_meta.MediaStorageSOPInstanceUID))
    if meta != stated[:2]:
        yield Violation(item.outlet, "identity", "The file's meta information names another instance.")
    read[item.outlet], raw[item.outlet] = ds, elements
