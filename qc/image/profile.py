"""Protocol profiles: TOML files that choose the checks and their limits, with inheritance and line-exact errors.

Shipped profiles lie in `profiles/`; a site adds a folder of its own, whose files inherit by `extends` and override
single keys. Which profile fits a series is settled in `qc.image.match`.
"""

import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from pydicom.datadict import tag_for_keyword

from imaging.provenance import digest
from qc.errors import ProfileInvalid, UnknownProfile
from qc.image.registry import MODALITIES, discover
from qc.image.result import Grade

__all__ = ["SHIPPED", "Expectation", "Limits", "Match", "Profile", "load_profiles", "profile_by_id"]

SHIPPED = Path(__file__).parent / "profiles"

Interval = tuple[float, float]


@dataclass(frozen=True)
class Limits:
    """Limits of one check: inside `warn` is PASS, outside it WARN, outside `fail` FAIL; a bound itself is the better.

    Parameters
    ----------
    warn, fail
        (low, high); an open end is infinite. None for a categorical check.
    grades
        For a categorical check: grade of a state where it differs from the check's own.
    role
        "gate" may FAIL the series; "note" is WARN at most and never changes the grade of the series.
    limit_source
        Where the limits come from.
    """

    warn: Interval | None = None
    fail: Interval | None = None
    grades: Mapping[str, str] = field(default_factory=dict)
    role: str = "gate"
    limit_source: str = ""


@dataclass(frozen=True)
class Expectation:
    """What one attribute should say: one of `values`, within `range`, or matching the pattern `regex`."""

    values: tuple[str | float, ...] = ()
    range: Interval | None = None
    regex: str = ""


@dataclass(frozen=True)
class Match:
    """Which series a profile is made for: modality and body part where they are named, and text or intent.

    Parameters
    ----------
    modality
        Modality (0008,0060) is one of these.
    body_part
        BodyPartExamined is one of these.
    text
        One of these words stands in the description of series, study or protocol (case does not matter).
    intent
        The caller's intent is one of these (a route may say "rt_sim").
    """

    modality: tuple[str, ...] = ()
    body_part: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    intent: tuple[str, ...] = ()


@dataclass(frozen=True)
class Profile:
    """A profile with everything that it inherits.

    Parameters
    ----------
    lineage
        Ids of the profiles it inherits from, the nearest first.
    is_base
        Whether it is the profile of a modality where the headers tell nothing more.
    required
        Checks that have to be evaluable.
    strict
        A required check that is NOT_EVALUABLE counts as FAIL, not as WARN.
    """

    id: str
    title_zh: str
    title_en: str
    lineage: tuple[str, ...]
    match: Match
    is_base: bool
    required: tuple[str, ...]
    strict: bool
    limits: Mapping[str, Limits]
    expect: Mapping[str, Expectation]

    @cached_property
    def sha256(self) -> str:
        """Hash over the resolved content, so that a result names the very limits it was made with."""
        content = asdict(self)
        content["limits"] = {
            key: {**asdict(limits), "warn": _text_ends(limits.warn), "fail": _text_ends(limits.fail)}
            for key, limits in self.limits.items()
        }
        content["expect"] = {key: {**asdict(e), "range": _text_ends(e.range)} for key, e in self.expect.items()}
        return digest(content)


TOP_KEYS = frozenset({
    "id", "title_zh", "title_en", "extends", "match", "base", "required", "strict", "limits", "expect"
})  # fmt: skip
TOP_KINDS: dict[str, type] = {
    "title_zh": str, "title_en": str, "extends": str, "match": dict, "base": bool, "required": list, "strict": bool,
    "limits": dict, "expect": dict,
}  # fmt: skip
KIND_NAMES = {str: "a text", bool: "true or false", list: "a list", dict: "a table"}
LIMIT_KEYS = frozenset({"warn", "fail", "grades", "role", "limit_source"})
EXPECT_KEYS = frozenset({"values", "range", "regex"})
MATCH_KEYS = frozenset({"modality", "body_part", "text", "intent"})


def load_profiles(*folders: Path) -> dict[str, Profile]:
    """All profiles of the shipped folder and of a site's folders (or single files), resolved, by id.

    Raises
    ------
    ProfileInvalid
        A file breaks a rule; the message names file, line and key. Shipped ids cannot be replaced.
    """
    raw = dict(_shipped_sources())
    for place in folders:
        raw.update(_sources(place, raw))
    shipped = _shipped_profiles()
    return {key: shipped[key] if key in shipped else _resolve(source, raw) for key, source in raw.items()}


@cache
def _shipped_sources() -> dict[str, "_Source"]:
    """The shipped files; they are read-only, those of a site are read anew each time."""
    return _sources(SHIPPED, {})


@cache
def _shipped_profiles() -> dict[str, Profile]:
    raw = _shipped_sources()
    return {key: _resolve(source, raw) for key, source in raw.items()}


def _sources(place: Path, known: Mapping[str, "_Source"]) -> dict[str, "_Source"]:
    """The profiles of a folder or file, by id."""
    found: dict[str, _Source] = {}
    for path in sorted(place.glob("*.toml")) if place.is_dir() else [place]:
        source = _read(path)
        other = known.get(source.id) or found.get(source.id)
        if other is not None:
            raise source.fault("id", f"'{source.id}' is the id of {other.path.name}; choose another and inherit")
        found[source.id] = source
    return found


def profile_by_id(profiles: Mapping[str, Profile], profile_id: str) -> Profile:
    """One profile of several.

    Raises
    ------
    UnknownProfile
        There is none of this id.
    """
    if profile_id not in profiles:
        raise UnknownProfile(f"There is no profile '{profile_id}'; choose one of: {', '.join(sorted(profiles))}.")
    return profiles[profile_id]


@dataclass(frozen=True)
class _Source:
    """One file: its parsed content, and its text to find lines in."""

    path: Path
    text: str
    content: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.content["id"])

    def fault(self, key: str, what: str) -> ProfileInvalid:
        line = _line_of(self.text, key)
        message = f"{self.path.name}, line {line}, {key}: {what}."
        return ProfileInvalid(message, file=self.path.name, line=line, key=key)


def _read(path: Path) -> _Source:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        what = "is not written in UTF-8" if isinstance(error, UnicodeDecodeError) else "cannot be read"
        raise ProfileInvalid(f"{path.name} {what}; save it again.", file=path.name, line=0, key="") from error
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"line (\d+)", str(error))
        line = int(found.group(1)) if found else text.count("\n") + 1
        raise ProfileInvalid(
            f"{path.name}, line {line}: no valid TOML ({error}).", file=path.name, line=line, key=""
        ) from error
    source = _Source(path, text, content)
    if not isinstance(content.get("id"), str) or not re.fullmatch(r"[a-z][a-z0-9_]*", content["id"]):
        raise source.fault("id", 'needs lower-case letters, digits and underscores, such as "ct_rt_sim"')
    _check_words(source)
    _check_limits(source)
    _check_expect(source)
    return source


def _check_words(source: _Source) -> None:
    content = source.content
    for key in content:
        if key not in TOP_KEYS:
            raise source.fault(key, f"is no key of a profile; allowed are {', '.join(sorted(TOP_KEYS))}")
    for key, kind in TOP_KINDS.items():
        if key in content and not isinstance(content[key], kind):
            raise source.fault(key, f"needs {KIND_NAMES[kind]}")
    for key, words in content.get("match", {}).items():
        if key not in MATCH_KEYS:
            raise source.fault(f"match.{key}", f"is no criterion; allowed are {', '.join(sorted(MATCH_KEYS))}")
        if not isinstance(words, list) or not all(isinstance(w, str) and w for w in words):
            raise source.fault(f"match.{key}", "needs a list of words")
        if key == "modality" and set(words) - MODALITIES:
            raise source.fault("match.modality", f"unknown modality; known are {', '.join(sorted(MODALITIES))}")
    for check_id in content.get("required", []):
        if not isinstance(check_id, str) or check_id not in discover():
            raise source.fault("required", f"there is no check '{check_id}'")


def _check_limits(source: _Source) -> None:
    for check_id, table in source.content.get("limits", {}).items():
        name = f'limits."{check_id}"'
        spec = discover().get(check_id)
        if spec is None:
            raise source.fault(name, "there is no such check")
        if not isinstance(table, dict) or not isinstance(table.get("grades", {}), dict):
            raise source.fault(name, f"needs {KIND_NAMES[dict]}")
        for key in table:
            if key not in LIMIT_KEYS:
                raise source.fault(f"{name}.{key}", f"is no key of limits; allowed are {', '.join(sorted(LIMIT_KEYS))}")
        if table.get("role", "gate") not in {"gate", "note"}:
            raise source.fault(f"{name}.role", 'needs "gate" or "note"')
        for key in ("warn", "fail"):
            if key in table and not _is_interval(table[key]):
                raise source.fault(f"{name}.{key}", "needs [low, high] with low not above high; inf opens an end")
        if ("warn" in table or "fail" in table) and spec.direction == "categorical":
            raise source.fault(name, "the check has states, not numbers; give grades")
        if "warn" in table and "fail" in table:
            (w_low, w_high), (f_low, f_high) = table["warn"], table["fail"]
            if f_low > w_low or f_high < w_high:
                raise source.fault(f"{name}.fail", "has to contain the interval warn")
        for state, grade in table.get("grades", {}).items():
            if state not in spec.states or not isinstance(grade, str) or grade not in set(Grade):
                known = ", ".join(spec.states) or "none"
                raise source.fault(f"{name}.grades", f"'{state} = {grade}' is unknown; states are {known}")


def _check_expect(source: _Source) -> None:
    for keyword, table in source.content.get("expect", {}).items():
        name = f"expect.{keyword}"
        if tag_for_keyword(keyword) is None:
            raise source.fault(name, "needs the keyword of a DICOM attribute")
        if not isinstance(table, dict) or len(table) != 1 or set(table) - EXPECT_KEYS:
            raise source.fault(name, "needs one of values, range, regex")
        if "range" in table and not _is_interval(table["range"]):
            raise source.fault(f"{name}.range", "needs [low, high]")
        if "regex" in table:
            try:
                re.compile(table["regex"])
            except re.error as error:
                raise source.fault(f"{name}.regex", f"is no pattern ({error})") from error


def _resolve(source: _Source, raw: Mapping[str, _Source]) -> Profile:
    chain = [source]
    while "extends" in chain[-1].content:
        parent = chain[-1].content["extends"]
        if parent not in raw:
            raise chain[-1].fault("extends", f"there is no profile '{parent}'")
        if any(parent == s.id for s in chain):
            raise chain[-1].fault("extends", "the profiles inherit from each other in a circle")
        chain.append(raw[parent])
    limits: dict[str, dict[str, Any]] = {}
    expect: dict[str, Any] = {}
    required: list[str] = []
    strict = False
    for ancestor in reversed(chain):
        for check_id, table in ancestor.content.get("limits", {}).items():
            limits[check_id] = {**limits.get(check_id, {}), **table}
        expect.update(ancestor.content.get("expect", {}))
        required = list(ancestor.content.get("required", required))
        strict = bool(ancestor.content.get("strict", strict))
    for check_id, table in limits.items():
        if discover()[check_id].direction != "categorical" and not ("warn" in table and "fail" in table):
            raise source.fault(f'limits."{check_id}"', "needs both warn and fail")
        if not table.get("limit_source"):
            raise source.fault(f'limits."{check_id}"', "needs limit_source: where the limits come from")
    for check_id in required:
        if check_id not in limits:
            raise source.fault("required", f"'{check_id}' is required but has no limits")
    return Profile(
        id=source.id,
        title_zh=source.content.get("title_zh", source.id),
        title_en=source.content.get("title_en", source.id),
        lineage=tuple(s.id for s in chain[1:]),
        match=Match(**{k: tuple(v) for k, v in source.content.get("match", {}).items()}),
        is_base=bool(source.content.get("base", False)),
        required=tuple(sorted(required)),
        strict=strict,
        limits={key: _limits(limits[key]) for key in sorted(limits)},
        expect={key: _expectation(expect[key]) for key in sorted(expect)},
    )


def _limits(table: Mapping[str, Any]) -> Limits:
    return Limits(
        warn=_pair(table.get("warn")),
        fail=_pair(table.get("fail")),
        grades=dict(table.get("grades", {})),
        role=table.get("role", "gate"),
        limit_source=table["limit_source"],
    )


def _expectation(table: Mapping[str, Any]) -> Expectation:
    return Expectation(tuple(table.get("values", ())), _pair(table.get("range")), table.get("regex", ""))


def _pair(values: list[float] | None) -> Interval | None:
    return None if values is None else (float(values[0]), float(values[1]))


def _is_interval(value: Any) -> bool:
    if not isinstance(value, list) or len(value) != 2:
        return False
    numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) and not math.isnan(v) for v in value)
    return numbers and value[0] <= value[1]


def _text_ends(interval: Interval | None) -> list[str] | None:
    return None if interval is None else [repr(v) for v in interval]


def _line_of(text: str, dotted: str) -> int:
    """Line (from 1) on which a dotted key stands, else that of its nearest table, else 1."""
    parts = re.findall(r'"[^"]*"|[^.]+', dotted)
    best, depth, table = 1, 0, []
    for number, line in enumerate(text.splitlines(), start=1):
        header = re.match(r"\s*\[+([^\]]+)\]+", line)
        if header:
            table = re.findall(r'"[^"]*"|[^.\s]+', header.group(1))
            here = table
        else:
            key = re.match(r'\s*((?:"[^"]*"|[\w-]+)(?:\s*\.\s*(?:"[^"]*"|[\w-]+))*)\s*=', line)
            if not key:
                continue
            here = [*table, *re.findall(r'"[^"]*"|[\w-]+', key.group(1))]
        if here == parts[: len(here)] and len(here) > depth:
            best, depth = number, len(here)
    return best
