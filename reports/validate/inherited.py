"""Faults that an object has from its images: what was taken over unchanged is for the source to correct, not for us."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydicom.datadict import dictionary_description, tag_for_keyword
from pydicom.dataset import Dataset

from imaging.attributes import PARSER_FAULTS, text
from reports.errors import UndecodableText
from reports.study import decoded, raw_value

if TYPE_CHECKING:
    from imaging.planes import PlaneSeries

__all__ = ["Inherited", "inherited_from", "without_inherited"]

PATIENT_AND_STUDY = (
    "SpecificCharacterSet", "TimezoneOffsetFromUTC", "StudyDate", "StudyTime", "AccessionNumber", "InstitutionName",
    "ReferringPhysicianName", "StudyDescription", "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate",
    "PatientSex", "OtherPatientIDs", "OtherPatientNames", "PatientAge", "PatientSize", "PatientWeight",
    "PatientIdentityRemoved", "DeidentificationMethod", "DeidentificationMethodCodeSequence", "StudyInstanceUID",
    "StudyID", "FrameOfReferenceUID", "PositionReferenceIndicator",
)  # fmt: skip
"""What objects take over from their images."""

INVALID_VALUE = "Value invalid for this VR"
SUMMARY = "contains invalid data values for Value Representations"
"""dciodvfy's line for all invalid values together."""


@dataclass(frozen=True)
class Inherited:
    """What an object has from its images.

    Parameters
    ----------
    keywords
        Attributes of the data set itself (not of its items) that are the same in the images, or absent in both.
    uids
        Identifiers of the images, their series, study and frame of reference: objects refer to them as they are.
    """

    keywords: frozenset[str] = frozenset()
    uids: frozenset[str] = frozenset()


def inherited_from(stack: "PlaneSeries", ds: Dataset) -> Inherited:
    """What a data set has from the images of `stack`."""
    header = stack.header
    uids = {stack.study_instance_uid, stack.series_instance_uid, stack.frame_of_reference_uid}
    return Inherited(
        frozenset(keyword for keyword in PATIENT_AND_STUDY if _is_same(header, ds, keyword)),
        frozenset(uids | {source.sop_instance_uid for source in stack.sources}),
    )


def without_inherited(lines: Iterable[str], inherited: Inherited) -> tuple[str, ...]:
    """The lines of dciodvfy without those on what the object has from its images."""
    kept = [line for line in lines if not _is_inherited(line, inherited)]
    if not any(INVALID_VALUE in line for line in kept):
        kept = [line for line in kept if SUMMARY not in line]
    return tuple(kept)


def _is_inherited(line: str, inherited: Inherited) -> bool:
    """Whether a line names an inherited attribute (by number, description or keyword), or quotes an inherited UID."""
    if INVALID_VALUE in line and any(f" = <{uid}>" in line for uid in inherited.uids):
        return True
    return any(re.search(_named(keyword), line) for keyword in inherited.keywords)


def _named(keyword: str) -> str:
    """Pattern of the three ways in which dciodvfy names an attribute."""
    tag = tag_for_keyword(keyword) or 0
    number = rf"- \(0x{tag >> 16:04x},0x{tag & 0xFFFF:04x}\) "
    return rf"{number}|attribute <{re.escape(dictionary_description(tag))}>|Element=<{keyword}>"


def _is_same(header: Dataset, ds: Dataset, keyword: str) -> bool:
    """Whether an attribute has the same bytes and character set, or the same text, in both; or is in neither."""
    if keyword not in header or keyword not in ds:
        return keyword not in header and keyword not in ds
    first, second = _raw(header, keyword), _raw(ds, keyword)
    if first is not None and first == second:
        return first.isascii() or text(header, "SpecificCharacterSet") == text(ds, "SpecificCharacterSet")
    try:
        return decoded(header, keyword) == decoded(ds, keyword)
    except (UndecodableText, *PARSER_FAULTS):
        return False


def _raw(ds: Dataset, keyword: str) -> bytes | None:
    """The bytes of a value without their padding, where they are known."""
    value = raw_value(ds, keyword)
    return None if value is None else value.rstrip(b" \0")
