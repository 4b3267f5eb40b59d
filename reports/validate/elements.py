"""Rules that every element of an object has to keep: UIDs, lengths, character sets. Values are read as raw bytes."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from imaging.charset import decode_strictly, stated_terms, terms_of
from reports.representations import ASCII_LIMITS, TEXT_LIMITS, UID, is_too_long
from reports.validate.inherited import Inherited
from reports.validate.raw import RawItem
from reports.validate.violation import Violation

__all__ = ["element_violations", "raw_violations"]

CHARACTER_SET = 0x00080005
CHECKED_VRS = frozenset({"UI", *ASCII_LIMITS, *TEXT_LIMITS})
TOO_LONG = {vr: re.compile(rb"[^\\]{%d,}" % (limit + 1)) for vr, limit in ASCII_LIMITS.items()}


def element_violations(outlet: str, ds: Dataset, inherited: Inherited | None = None) -> Iterator[Violation]:
    """Violations in `ds` and in all items below it, but for the values that it has from its images."""
    inherited = inherited or Inherited()
    tags = list(ds.keys())
    own = [tag for tag in tags if keyword_for_tag(tag) not in inherited.keywords]
    yield from _of_elements(outlet, ds, own, stated_terms(ds), inherited.uids)


def raw_violations(outlet: str, item: RawItem, inherited: Inherited | None = None) -> Iterator[Violation]:
    """The same as `element_violations` for an object that was read by `raw_object`."""
    inherited = inherited or Inherited()
    own = {tag: entry for tag, entry in item.items() if keyword_for_tag(tag) not in inherited.keywords}
    yield from _of_raw(outlet, own, _terms(item, ("",)), inherited.uids)


def _of_raw(outlet: str, item: RawItem, terms: Sequence[str], known_uids: frozenset[str]) -> Iterator[Violation]:
    for tag, (vr, value) in item.items():
        if vr == "SQ":
            for inner in value:
                yield from _of_raw(outlet, inner, _terms(inner, terms), known_uids)
        elif vr in CHECKED_VRS:
            yield from _of_bytes(outlet, BaseTag(tag), vr, value, terms, known_uids)


def _terms(item: RawItem, above: Sequence[str]) -> Sequence[str]:
    """Character sets of an item: its own, or those of what it lies in."""
    return terms_of(item[CHARACTER_SET][1]) if CHARACTER_SET in item else above


def _of_elements(
    outlet: str, ds: Dataset, tags: Iterable[BaseTag], terms: Sequence[str], known_uids: frozenset[str]
) -> Iterator[Violation]:
    """Violations in some elements; `known_uids` are not ours to judge."""
    for tag in sorted(tags):
        element: Any = ds.get_item(tag)
        vr = str(_vr(element))
        if vr == "SQ":
            for item in ds[tag].value or ():
                stated = stated_terms(item) if "SpecificCharacterSet" in item else terms
                yield from _of_elements(outlet, item, item.keys(), stated, known_uids)
        elif isinstance(element, RawDataElement):
            if isinstance(element.value, bytes):
                yield from _of_bytes(outlet, tag, vr, element.value, terms, known_uids)
        elif vr == "UI":
            values = element.value if element.VM > 1 else [element.value or ""]
            yield from _of_bytes(outlet, tag, vr, "\\".join(map(str, values)).encode(), terms, known_uids)
        elif vr in TEXT_LIMITS:
            yield from _of_text(outlet, tag, vr, str(element.value if element.value is not None else ""))


def _of_bytes(
    outlet: str, tag: BaseTag, vr: str, value: bytes, terms: Sequence[str], known_uids: frozenset[str]
) -> Iterator[Violation]:
    if vr == "UI":
        for uid in value.decode("latin-1").rstrip("\0").split("\\"):
            if uid and uid not in known_uids and (len(uid) > 64 or not UID.fullmatch(uid)):
                yield Violation(outlet, "uid", f"{_name(tag)} holds no legal UID.")
    elif vr in ASCII_LIMITS:
        if len(value) > ASCII_LIMITS[vr] and TOO_LONG[vr].search(value.rstrip(b" \0")):
            yield Violation(
                outlet, "length", f"{_name(tag)} ({vr}) has more than {ASCII_LIMITS[vr]} characters in a value."
            )
        if not value.isascii():
            yield Violation(outlet, "charset", f"{_name(tag)} ({vr}) may hold ASCII only.")
    elif vr in TEXT_LIMITS:
        text = decode_strictly(value, terms)
        if text is None:
            yield Violation(outlet, "charset", f"{_name(tag)} does not decode in the character set that is stated.")
            return
        yield from _of_text(outlet, tag, vr, text)


def _of_text(outlet: str, tag: BaseTag, vr: str, text: str) -> Iterator[Violation]:
    if "\ufffd" in text:
        yield Violation(outlet, "charset", f"{_name(tag)} does not decode in the character set that is stated.")
    if is_too_long(vr, text):
        yield Violation(outlet, "length", f"{_name(tag)} ({vr}) has a value of more than {TEXT_LIMITS[vr]} characters.")


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
