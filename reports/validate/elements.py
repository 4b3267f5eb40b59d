"""Rules that every element of an object has to keep: UIDs, lengths, character sets. Values are read as raw bytes."""

import re
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

from pydicom.charset import decode_bytes
from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from reports.representations import ASCII_LIMITS, TEXT_LIMITS, UID, is_too_long
from reports.validate.inherited import Inherited
from reports.validate.violation import Violation

__all__ = ["element_violations"]


def element_violations(outlet: str, ds: Dataset, inherited: Inherited | None = None) -> Iterator[Violation]:
    """Violations in `ds` and in all items below it, but for the values that it has from its images."""
    inherited = inherited or Inherited()
    tags = list(ds.keys())
    own = [tag for tag in tags if keyword_for_tag(tag) not in inherited.keywords]
    yield from _of_elements(outlet, ds, own, _encodings(ds), inherited.uids)


def _of_elements(
    outlet: str, ds: Dataset, tags: Iterable[BaseTag], encodings: Any, known_uids: frozenset[str]
) -> Iterator[Violation]:
    """Violations in some elements; `known_uids` are not ours to judge."""
    for tag in sorted(tags):
        element: Any = ds.get_item(tag)
        vr = str(_vr(element))
        if vr == "SQ":
            for item in ds[tag].value or ():
                stated = _encodings(item) if "SpecificCharacterSet" in item else encodings
                yield from _of_elements(outlet, item, item.keys(), stated, known_uids)
        elif isinstance(element, RawDataElement):
            if isinstance(element.value, bytes):
                yield from _of_bytes(outlet, tag, vr, element.value, encodings, known_uids)
        elif vr == "UI":
            values = element.value if element.VM > 1 else [element.value or ""]
            yield from _of_bytes(outlet, tag, vr, "\\".join(map(str, values)).encode(), encodings, known_uids)
        elif vr in TEXT_LIMITS:
            yield from _of_text(outlet, tag, vr, str(element.value if element.value is not None else ""))


def _encodings(ds: Dataset) -> list[str]:
    """Python's names of the character sets of a data set; pydicom keeps the default one as a bare string."""
    stated = ds._character_set
    return [stated] if isinstance(stated, str) else list(stated)


def _of_bytes(
    outlet: str, tag: BaseTag, vr: str, value: bytes, encodings: Any, known_uids: frozenset[str]
) -> Iterator[Violation]:
    name = _name(tag)
    if vr == "UI":
        for uid in value.decode("latin-1").rstrip("\0").split("\\"):
            if uid and uid not in known_uids and (len(uid) > 64 or not UID.fullmatch(uid)):
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
    if is_too_long(vr, text):
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
