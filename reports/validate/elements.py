"""Rules that every element of an object has to keep: UIDs, lengths, character sets. Values are read as raw bytes."""

import re
import warnings
from collections.abc import Iterator
from typing import Any

from pydicom.charset import decode_bytes
from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from reports.validate.violation import Violation

__all__ = ["element_violations"]

TEXT_LIMITS = {"SH": 16, "LO": 64, "ST": 1024, "LT": 10240, "PN": 64, "UC": 2**32, "UT": 2**32}
"""Characters of one value; of one component group for names (PS3.5, table 6.2-1)."""

ASCII_LIMITS = {"AE": 16, "AS": 4, "CS": 16, "DA": 8, "DS": 16, "DT": 26, "IS": 12, "TM": 14}
"""Bytes of one value."""

UNSPLIT = frozenset({"ST", "LT", "UT"})
"""Representations in which a backslash is text."""

UID = re.compile(rb"(0|[1-9]\d*)(\.(0|[1-9]\d*))*")


def element_violations(outlet: str, ds: Dataset) -> Iterator[Violation]:
    """Violations in `ds` and in all items below it."""
    yield from _of_items(outlet, ds, _encodings(ds))


def _of_items(outlet: str, ds: Dataset, inherited: Any) -> Iterator[Violation]:
    encodings = _encodings(ds) if "SpecificCharacterSet" in ds else inherited
    for tag in sorted(ds.keys()):
        element: Any = ds.get_item(tag)
        vr = str(_vr(element))
        if vr == "SQ":
            for item in ds[tag].value or ():
                yield from _of_items(outlet, item, encodings)
        elif isinstance(element, RawDataElement):
            if isinstance(element.value, bytes):
                yield from _of_bytes(outlet, tag, vr, element.value, encodings)
        elif vr == "UI":
            values = element.value if element.VM > 1 else [element.value or ""]
            yield from _of_bytes(outlet, tag, vr, "\\".join(map(str, values)).encode(), encodings)
        elif vr in TEXT_LIMITS:
            yield from _of_text(outlet, tag, vr, str(element.value if element.value is not None else ""))


def _encodings(ds: Dataset) -> list[str]:
    """Python's names of the character sets of a data set; pydicom keeps the default one as a bare string."""
    stated = ds._character_set
    return [stated] if isinstance(stated, str) else list(stated)


def _of_bytes(outlet: str, tag: BaseTag, vr: str, value: bytes, encodings: Any) -> Iterator[Violation]:
    name = _name(tag)
    if vr == "UI":
        for uid in value.rstrip(b"\0").split(b"\\"):
            if uid and (len(uid) > 64 or not UID.fullmatch(uid)):
                yield Violation(outlet, "uid", f"{name} holds no legal UID.")
    elif vr in ASCII_LIMITS:
        if re.search(rb"[^\\]{%d,}" % (ASCII_LIMITS[vr] + 1), value.rstrip(b" \0")):
            yield Violation(outlet, "length", f"{name} ({vr}) has a value of more than {ASCII_LIMITS[vr]} characters.")
        if not value.isascii():
            yield Violation(outlet, "charset", f"{name} ({vr}) may hold ASCII only.")
    elif vr in TEXT_LIMITS:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                text = decode_bytes(value, encodings, set())
        except (UnicodeError, LookupError, UserWarning):
            yield Violation(outlet, "charset", f"{name} does not decode in the character set that is stated.")
            return
        yield from _of_text(outlet, tag, vr, text)


def _of_text(outlet: str, tag: BaseTag, vr: str, text: str) -> Iterator[Violation]:
    name = _name(tag)
    if "\ufffd" in text:
        yield Violation(outlet, "charset", f"{name} does not decode in the character set that is stated.")
    values = [text] if vr in UNSPLIT else text.split("\\")
    if vr == "PN":
        values = [group for value in values for group in value.split("=")]
    if any(len(value.rstrip(" \0")) > TEXT_LIMITS[vr] for value in values):
        yield Violation(outlet, "length", f"{name} ({vr}) has a value of more than {TEXT_LIMITS[vr]} characters.")


def _vr(element: Any) -> str:
    """The representation of an element; looked up where the file does not state it."""
    if element.VR is not None and element.VR != "UN":
        return str(element.VR)
    try:
        return str(dictionary_VR(element.tag))
    except KeyError:
        return "UN"


def _name(tag: BaseTag) -> str:
    return keyword_for_tag(tag) or f"({tag.group:04X},{tag.element:04X})"
