"""Values that rules compare, typed by their VR: what a rule may ask of a tag, and what a header answers.

Text is compared after NFKC normalisation and case folding, codes and UIDs exactly, numbers as numbers, dates and times
in their order, ages in years, and names by component. Which rules exist is left to `rules`.
"""

import datetime
import math
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pydicom.uid
from pydicom.datadict import dictionary_keyword, dictionary_VM, dictionary_VR, keyword_dict, tag_for_keyword
from pydicom.dataset import Dataset

__all__ = ["KINDS", "Kind", "TagSubject", "fold", "header_values", "tag_keywords", "tag_subject"]

LONGEST_TEXT = 128
"""Characters of a header value that rules look at; bounds the time that a regular expression can take."""

MOST_VALUES = 64
"""Values of a multi-valued tag that rules look at."""


def fold(text: str) -> str:
    """Text as rules compare it: NFKC (full-width letters become plain ones), case folded, outer blanks gone."""
    return unicodedata.normalize("NFKC", text).casefold().strip()


@dataclass(frozen=True)
class Kind:
    """How the values of one family of VRs are read and compared.

    Parameters
    ----------
    name
        What the manual calls it.
    comparators
        What a rule may ask of it.
    from_rule
        Typed value from the settings file; raises ValueError with what is wanted.
    from_header
        Typed values (one, or the components of a name) from one value of a data set; raises ValueError.
    """

    name: str
    comparators: tuple[str, ...]
    from_rule: Callable[[Any], Any]
    from_header: Callable[[Any], Any]


def _number_rule(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("a number is wanted")
    return float(value)


def _number_header(value: Any) -> float:
    number = float(str(value).strip())
    if not math.isfinite(number):
        raise ValueError("no finite number")
    return number


def _string_rule(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a text that is not empty is wanted, in quotes")
    return value


def _text_rule(value: Any) -> str:
    return fold(_string_rule(value))


def _text_header(value: Any) -> str:
    return fold(str(value)[:LONGEST_TEXT])


def _code_rule(value: Any) -> str:
    return _string_rule(value).strip()


def _code_header(value: Any) -> str:
    return str(value)[:LONGEST_TEXT].strip()


def _uid_rule(value: Any) -> str:
    text = _code_rule(value)
    if re.fullmatch(r"[0-9]+(\.[0-9]+)*", text):
        return text
    named = getattr(pydicom.uid, text, None)
    if isinstance(named, pydicom.uid.UID):
        return str(named)
    raise ValueError("a UID, or a keyword of the standard such as CTImageStorage, is wanted")


def _date_rule(value: Any) -> str:
    if isinstance(value, datetime.datetime):
        raise ValueError("a date without a time is wanted")
    if isinstance(value, datetime.date):
        return value.strftime("%Y%m%d")
    try:
        return datetime.date.fromisoformat(_string_rule(value)).strftime("%Y%m%d")
    except ValueError as error:
        raise ValueError("a date is wanted, such as 2026-01-31") from error


def _date_header(value: Any) -> str:
    text = str(value).strip().replace(".", "")
    return datetime.datetime.strptime(text, "%Y%m%d").strftime("%Y%m%d")


def _time_rule(value: Any) -> float:
    if isinstance(value, str):
        try:
            value = datetime.time.fromisoformat(value)
        except ValueError as error:
            raise ValueError("a time is wanted, such as 07:30:00") from error
    if not isinstance(value, datetime.time):
        raise ValueError("a time is wanted, such as 07:30:00")
    return value.hour * 3600 + value.minute * 60 + value.second + value.microsecond / 1e6


def _time_header(value: Any) -> float:
    found = re.fullmatch(r"(\d{2})(\d{2})?(\d{2})?(\.\d{1,6})?", str(value).strip().replace(":", ""))
    if found is None:
        raise ValueError("no time")
    hours, minutes, seconds, fraction = found.groups(default="0")
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds) + float(fraction)


def _moment_rule(value: Any) -> str:
    if isinstance(value, str):
        try:
            value = datetime.datetime.fromisoformat(value)
        except ValueError as error:
            raise ValueError("a date and time is wanted, such as 2026-01-31T07:30:00") from error
    if not isinstance(value, datetime.datetime) or value.tzinfo is not None:
        raise ValueError("a date and time without zone is wanted, such as 2026-01-31T07:30:00")
    return value.strftime("%Y%m%d%H%M%S")


def _moment_header(value: Any) -> str:
    digits = re.match(r"\d{4,14}", str(value).strip())
    if digits is None:
        raise ValueError("no date and time")
    return digits.group().ljust(14, "0") if len(digits.group()) >= 8 else _raise("date and time are not complete")


def _raise(message: str) -> str:
    raise ValueError(message)


def _age_header(value: Any) -> float:
    found = re.fullmatch(r"(\d{3})([DWMY])", str(value).strip())
    if found is None:
        raise ValueError("no age")
    return int(found[1]) / {"D": 365.25, "W": 52.18, "M": 12.0, "Y": 1.0}[found[2]]


def _name_header(value: Any, component: str = "any") -> tuple[str, ...]:
    groups = str(value)[:LONGEST_TEXT].split("=")
    named = dict(zip(("alphabetic", "ideographic", "phonetic"), groups, strict=False))
    wanted = named.values() if component == "any" else [named.get(component, "")]
    return tuple(fold(g).rstrip("^") for g in wanted if g.strip("^ "))


def _name_rule(value: Any) -> str:
    return fold(_string_rule(value)).rstrip("^")


ORDERED = ("equals", "one_of", "at_least", "at_most", "between", "present")
WORDS = ("equals", "one_of", "contains", "starts_with", "matches", "present")

KINDS: dict[str, Kind] = {
    "number": Kind("number", ORDERED, _number_rule, _number_header),
    "age": Kind("age in years", ORDERED, _number_rule, _age_header),
    "date": Kind("date", ORDERED, _date_rule, _date_header),
    "time": Kind("time", ORDERED, _time_rule, _time_header),
    "moment": Kind("date and time", ORDERED, _moment_rule, _moment_header),
    "code": Kind("code", ("equals", "one_of", "contains", "matches", "present"), _code_rule, _code_header),
    "uid": Kind("UID", ("equals", "one_of", "present"), _uid_rule, _code_header),
    "text": Kind("text", WORDS, _text_rule, _text_header),
    "name": Kind("name", WORDS, _name_rule, _name_header),
    "other": Kind("value", ("present",), _string_rule, _code_header),
}
for _component in ("alphabetic", "ideographic", "phonetic"):
    KINDS[f"name:{_component}"] = Kind("name", WORDS, _name_rule, partial(_name_header, component=_component))

_KIND_OF_VR = {
    **dict.fromkeys(("DS", "IS", "US", "SS", "UL", "SL", "UV", "SV", "FL", "FD", "US or SS"), "number"),
    **dict.fromkeys(("LO", "SH", "LT", "ST", "UT", "UC", "AE", "UR"), "text"),
    "AS": "age",
    "DA": "date",
    "TM": "time",
    "DT": "moment",
    "CS": "code",
    "UI": "uid",
    "PN": "name",
}


@dataclass(frozen=True)
class TagSubject:
    """A tag as rules name it: keyword, kind of its values, and whether it can hold several."""

    keyword: str
    kind: str
    several: bool


def tag_keywords() -> Sequence[str]:
    """All keywords of the data dictionary, for suggestions."""
    return list(keyword_dict)


def tag_subject(name: str) -> TagSubject | None:
    """The tag of a keyword ("SliceThickness") or of a number ("0018,0050"); None where the standard has none."""
    found = re.fullmatch(r"\(?([0-9A-Fa-f]{4}),\s*([0-9A-Fa-f]{4})\)?", name)
    tag = int(found[1] + found[2], 16) if found else tag_for_keyword(name)
    if tag is None:
        return None
    try:
        keyword, vr, multiplicity = dictionary_keyword(tag), dictionary_VR(tag), dictionary_VM(tag)
    except KeyError:
        return None
    return TagSubject(keyword, _KIND_OF_VR.get(vr, "other"), multiplicity != "1")


def header_values(header: Dataset, keyword: str, kind: str) -> tuple[Any, ...] | None:
    """Typed values of a tag; None where it is absent, empty, or no value can be read as its kind."""
    try:
        raw = header.get(keyword)
    except (ValueError, TypeError, NotImplementedError, AttributeError, KeyError):
        return None  # pydicom converts on access: a damaged value is as good as none, and the clause says "unknown"
    if raw is None:
        return None
    several = list(raw) if isinstance(raw, list | tuple) or type(raw).__name__ in {"MultiValue", "Sequence"} else [raw]
    typed: list[Any] = []
    for value in several[:MOST_VALUES]:
        if value is None or not str(value).strip():
            continue
        try:
            one = KINDS[kind].from_header(value)
        except (ValueError, OverflowError):
            continue
        typed.extend(one if isinstance(one, tuple) else (one,))
    return tuple(typed) or None
