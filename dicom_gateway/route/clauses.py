"""One condition of a rule: which fact, which comparator, which value; read from the settings and answered by facts."""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from dicom_gateway.errors import SettingsError
from dicom_gateway.route.patterns import compile_pattern
from dicom_gateway.route.values import KINDS, tag_keywords, tag_subject

__all__ = ["Clause", "Outcome", "nearest", "parse_clause"]


class Outcome(StrEnum):
    """What a clause answers; a fact that is missing makes it unknown, which never counts as a match."""

    TRUE = "true"
    FALSE = "false"
    UNKNOWN = "unknown"


FACTS: dict[str, dict[str, str]] = {
    "stack": {
        "regular": "flag",
        "irregular": "flag",
        "planes": "number",
        "phases": "number",
        "rows": "number",
        "columns": "number",
        "slice_spacing_mm": "number",
        "row_spacing_mm": "number",
        "column_spacing_mm": "number",
        "extent_mm": "number",
    },
    "study": {"complete": "flag", "incomplete": "flag"},
    "peer": {"name": "code"},
    "qc": {"grade": "code"},
}
"""Facts that are no tags: source, name, kind."""

GRADES = ("PASS", "WARN", "FAIL", "NOT_EVALUABLE")

SAYS = {
    "equals": "",
    "one_of": "one of ",
    "contains": "containing ",
    "starts_with": "starting with ",
    "matches": "matching ",
    "at_least": "at least ",
    "at_most": "at most ",
    "between": "between ",
}


@dataclass(frozen=True)
class Clause:
    """One condition.

    Parameters
    ----------
    source
        Where the fact is from: tag, stack, study, peer or qc.
    subject
        Keyword of the tag, or name of the fact.
    kind
        Key into `values.KINDS`, or "flag".
    comparator
        One of the comparators that the kind allows.
    wanted
        Typed values: one, two for "between", several for "one_of", one bool for "present" and flags.
    every
        Whether all values of a multi-valued tag have to answer, not just one.
    """

    source: str
    subject: str
    kind: str
    comparator: str
    wanted: tuple[Any, ...]
    every: bool = False

    @property
    def name(self) -> str:
        """The subject as people read it: the tag's keyword, else source and fact."""
        return self.subject if self.source == "tag" else f"{self.source} {self.subject}"

    @property
    def wanted_text(self) -> str:
        """What the clause wants, for people."""
        if self.comparator == "present":
            return "present" if self.wanted[0] else "absent"
        if self.kind == "flag":
            return "yes" if self.wanted[0] else "no"
        shown = [f"{w:g}" if isinstance(w, float) else str(w) for w in self.wanted]
        text = SAYS[self.comparator] + (" and " if self.comparator == "between" else ", ").join(shown)
        return f"every value {text}" if self.every else text

    def answer(self, values: tuple[Any, ...] | None) -> Outcome:
        """What the clause says to the typed values of its subject; None stands for a fact that nobody knows."""
        if self.comparator == "present":
            return Outcome.TRUE if (values is not None) == self.wanted[0] else Outcome.FALSE
        if values is None:
            return Outcome.UNKNOWN
        answers = [self._holds(value) for value in values]
        return Outcome.TRUE if (all(answers) if self.every else any(answers)) else Outcome.FALSE

    def _holds(self, value: Any) -> bool:
        first = self.wanted[0]
        match self.comparator:
            case "equals" | "one_of":
                return any(_same(value, w) for w in self.wanted)
            case "at_least":
                return bool(value >= first) or _same(value, first)
            case "at_most":
                return bool(value <= first) or _same(value, first)
            case "between":
                low, high = self.wanted
                return bool(low <= value <= high) or _same(value, low) or _same(value, high)
            case "contains":
                return bool(value == first) if self.kind == "code" else first in value
            case "starts_with":
                return bool(value.startswith(first))
            case _:
                flags = re.NOFLAG if self.kind == "code" else re.IGNORECASE
                return re.search(first, value, flags) is not None


def _same(a: Any, b: Any) -> bool:
    """Equality; for numbers within a millionth, because a DS has been through decimal text."""
    if isinstance(a, float) and isinstance(b, float):
        return abs(a - b) <= 1e-6 * max(abs(a), abs(b), 1e-3)
    return bool(a == b)


def nearest(word: str, known: Sequence[str]) -> str:
    """The end of a sentence that suggests what was meant; empty where nothing is near."""
    close = difflib.get_close_matches(word, known, n=2, cutoff=0.6)
    if not close:
        folded = {k.casefold(): k for k in known}
        close = [folded[w] for w in difflib.get_close_matches(word.casefold(), list(folded), n=2, cutoff=0.6)]
    return f"; did you mean {' or '.join(close)}?" if close else ""


def parse_clause(table: Any, key: str) -> Clause:
    """The clause of one inline table of the settings.

    Raises
    ------
    SettingsError
        Unknown source, tag, fact, comparator or option (with the nearest known one), a comparator that the VR does not
        have, a value of another type, a pattern that could run away.
    """
    if not isinstance(table, Mapping):
        raise SettingsError('A clause is a table such as { tag = "Modality", equals = "CT" }.', key=key)
    sources = [s for s in ("tag", *FACTS) if s in table]
    if len(sources) != 1:
        hint = "" if sources else "".join(nearest(k, ["tag", *FACTS]) for k in table)[:80]
        raise SettingsError(f"A clause names exactly one of tag, stack, study, peer or qc{hint or '.'}", key=key)
    source = sources[0]
    options = {k: v for k, v in table.items() if k != source}
    if source == "peer" and not options:
        options = {"equals": table["peer"]} if isinstance(table["peer"], str) else {"one_of": table["peer"]}
        subject, kind, several = "name", "code", False
    else:
        subject, kind, several = _subject(source, table[source], key)
    every = _every(options.pop("values", "any"), several, key)
    if kind == "name" and "component" in options:
        kind = _component(options.pop("component"), key)
    comparator, raw = _comparator(source, subject, kind, options, key)
    wanted = _wanted(kind, comparator, raw, key, subject)
    if source == "qc" and not set(wanted) <= set(GRADES):
        raise SettingsError(f"A QC grade is one of {', '.join(GRADES)}.", key=key)
    return Clause(source, subject, kind, comparator, wanted, every)


def _subject(source: str, name: Any, key: str) -> tuple[str, str, bool]:
    if not isinstance(name, str):
        raise SettingsError(f"The {source} of a clause is a name in quotes.", key=f"{key}.{source}")
    if source != "tag":
        if name not in FACTS[source]:
            known = list(FACTS[source])
            raise SettingsError(
                f"'{name}' is no fact of a {source}; known are {', '.join(known)}{nearest(name, known) or '.'}",
                key=f"{key}.{source}",
            )
        return name, FACTS[source][name], False
    tag = tag_subject(name)
    if tag is None:
        hint = nearest(name, tag_keywords())
        raise SettingsError(f"'{name}' is no tag of the DICOM data dictionary{hint or '.'}", key=f"{key}.tag")
    return tag.keyword, tag.kind, tag.several


def _every(value: Any, several: bool, key: str) -> bool:
    if value not in {"any", "all"}:
        raise SettingsError('values is "any" (one value is enough) or "all".', key=f"{key}.values")
    if value == "all" and not several:
        raise SettingsError('values = "all" needs a tag that can hold several values.', key=f"{key}.values")
    return bool(value == "all")


def _component(value: Any, key: str) -> str:
    if value not in {"any", "alphabetic", "ideographic", "phonetic"}:
        raise SettingsError("component is any, alphabetic, ideographic or phonetic.", key=f"{key}.component")
    return "name" if value == "any" else f"name:{value}"


def _comparator(source: str, subject: str, kind: str, options: dict[str, Any], key: str) -> tuple[str, Any]:
    if kind == "flag":
        if set(options) - {"equals"}:
            raise SettingsError(f'{{ {source} = "{subject}" }} takes no other comparator than equals.', key=key)
        return "equals", options.get("equals", True)
    allowed = KINDS[kind].comparators
    if len(options) != 1:
        raise SettingsError(f"A clause on {subject} needs exactly one comparator of {', '.join(allowed)}.", key=key)
    [(comparator, raw)] = options.items()
    if comparator not in allowed:
        raise SettingsError(
            f"{subject} holds a {KINDS[kind].name} and cannot be compared by '{comparator}'; "
            f"it takes {', '.join(allowed)}{nearest(comparator, allowed) or '.'}",
            key=f"{key}.{comparator}",
        )
    return comparator, raw


def _wanted(kind: str, comparator: str, raw: Any, key: str, subject: str) -> tuple[Any, ...]:
    place = f"{key}.{comparator}"
    if comparator == "present" or kind == "flag":
        if not isinstance(raw, bool):
            raise SettingsError(f"{subject}: true or false is wanted.", key=place)
        return (raw,)
    if comparator == "matches":
        try:
            compile_pattern(raw if isinstance(raw, str) and raw else "(")
        except ValueError as error:
            raise SettingsError(f"{subject}: {error}.", key=place) from error
        return (raw,)
    if comparator in {"one_of", "between"}:
        if not isinstance(raw, list | tuple) or not raw or (comparator == "between" and len(raw) != 2):
            raise SettingsError(f"{subject}: {comparator} takes a list of values in brackets.", key=place)
        values = tuple(raw)
    else:
        values = (raw,)
    try:
        typed = tuple(KINDS[kind].from_rule(v) for v in values)
    except ValueError as error:
        raise SettingsError(f"{subject}: {error}.", key=place) from error
    if comparator == "between" and typed[0] > typed[1]:
        raise SettingsError(f"{subject}: between takes the smaller value first.", key=place)
    return typed
