"""Which values a value representation allows, and which attributes of a source's header break that."""

import re
from datetime import datetime

from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset

from imaging.attributes import PARSER_FAULTS, text
from reports.errors import UndecodableText
from reports.study import decoded

__all__ = ["ASCII_LIMITS", "TEXT_LIMITS", "UID", "UNSPLIT", "is_legal_code", "is_legal_in_header", "is_too_long"]

TEXT_LIMITS = {"SH": 16, "LO": 64, "ST": 1024, "LT": 10240, "PN": 64, "UC": 2**32, "UT": 2**32}
"""Characters of one value; of one component group for names (PS3.5, table 6.2-1)."""

ASCII_LIMITS = {"AE": 16, "AS": 4, "CS": 16, "DA": 8, "DS": 16, "DT": 26, "IS": 12, "TM": 14}
"""Bytes of one value."""

UNSPLIT = frozenset({"ST", "LT", "UT"})
"""Representations in which a backslash is text."""

UID = re.compile(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))*", re.ASCII)

PATTERNS = {
    "AS": re.compile(r"\d{3}[DWMY]", re.ASCII),
    "CS": re.compile(r"[A-Z0-9 _]{1,16}", re.ASCII),
    "DA": re.compile(r"\d{8}", re.ASCII),
    "DS": re.compile(r"(?=.{1,16}$)[+-]?(\d+\.?\d*|\.\d+)([Ee][+-]?\d+)?", re.ASCII),
    "TM": re.compile(r"([01]\d|2[0-3])([0-5]\d(([0-5]\d|60)(\.\d{1,6})?)?)?", re.ASCII),
    "UI": re.compile(rf"(?=.{{1,64}}$){UID.pattern}", re.ASCII),
}
"""One value of the representations that are codes, numbers or times."""

ENUMERATED = {"PatientSex": frozenset({"M", "F", "O"})}
"""Values that the standard allows alone."""


def is_legal_code(keyword: str, value: str) -> bool:
    """Whether a value other than text (a date, time, age, number, code) may stand in an attribute.

    Examples
    --------
    >>> [is_legal_code("PatientBirthDate", v) for v in ("19600229", "19610229", "1960")]
    [True, False, False]
    """
    vr = dictionary_VR(keyword)
    if not PATTERNS[vr].fullmatch(value) or value not in ENUMERATED.get(keyword, {value}):
        return False
    return vr != "DA" or _is_day(value)


def is_too_long(vr: str, value: str) -> bool:
    """Whether one of the values of a text is longer than its representation allows."""
    values = [value] if vr in UNSPLIT else value.split("\\")
    if vr == "PN":
        values = [group for part in values for group in part.split("=")]
    return any(len(part.rstrip(" \0")) > TEXT_LIMITS[vr] for part in values)


def is_legal_in_header(header: Dataset, keyword: str) -> bool:
    """Whether an attribute is absent, empty, or holds one value that its representation allows."""
    vr = dictionary_VR(keyword)
    if vr in PATTERNS:
        value = text(header, keyword).strip(" \0")
        return not value or is_legal_code(keyword, value)
    try:
        value = decoded(header, keyword)
        is_many = "\\" in value and vr not in UNSPLIT
        return not is_many and not is_too_long(vr, value)
    except (UndecodableText, *PARSER_FAULTS):
        return False


def _is_day(value: str) -> bool:
    try:
        datetime.strptime(value, "%Y%m%d")
    except ValueError:
        return False
    return True
