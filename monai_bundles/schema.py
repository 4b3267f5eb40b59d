"""Rules for values that were read from JSON: kind, range, known keys; each says in words what is wrong, and where.

The rules know no bundle: `monai_bundles.radgate_schema` writes down with them what `configs/radgate.json` holds.
"""

import math
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

__all__ = ["Choice", "Fault", "Flag", "Listed", "Mapped", "Number", "Rule", "Table", "Text", "Whole"]


@dataclass(frozen=True)
class Fault:
    """What is wrong with one entry.

    Parameters
    ----------
    where
        Its path: "inputs[0].repeat".
    wrong
        The rest of a sentence that begins with it: "is no whole number from 1 to 16".
    """

    where: str
    wrong: str


class Rule(Protocol):
    """What a value must be."""

    def faults(self, value: Any, where: str) -> Iterator[Fault]:
        """Everything that is wrong with it, in the order of the file."""
        ...


@dataclass(frozen=True)
class Text:
    """A string that people can print, without spaces around it.

    Parameters
    ----------
    least, most
        Characters.
    pattern
        Regular expression for all of it; empty takes any.
    said
        How a sentence calls what the pattern takes.
    """

    least: int = 1
    most: int = 4000
    pattern: str = ""
    said: str = ""

    def faults(self, value: Any, where: str) -> Iterator[Fault]:
        """See `Rule`."""
        if not isinstance(value, str):
            yield Fault(where, "is no text")
        elif not self.least <= len(value) <= self.most:
            yield Fault(where, f"has {len(value)} characters, and {self.least} to {self.most} are allowed")
        elif not value.replace("\n", " ").isprintable() or value != value.strip():
            yield Fault(where, "holds characters that cannot be printed, or spaces around it")
        elif self.pattern and not re.fullmatch(self.pattern, value):
            yield Fault(where, f"is no {self.said}")


@dataclass(frozen=True)
class Whole:
    """A whole number in a range, both ends included; true and false are none."""

    least: int
    most: int

    def faults(self, value: Any, where: str) -> Iterator[Fault]:
        """See `Rule`."""
        if not isinstance(value, int) or isinstance(value, bool) or not self.least <= value <= self.most:
            yield Fault(where, f"is no whole number from {self.least} to {self.most}")


@dataclass(frozen=True)
class Number:
    """A finite number in a range; its ends are included unless it must lie `above` the one or `below` the other."""

    least: float
    most: float
    above: bool = False
    below: bool = False

    def faults(self, value: Any, where: str) -> Iterator[Fault]:
        """See `Rule`."""
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        at_end = (self.above and value == self.least) or (self.below and value == self.most)
        if not is_number or not self.least <= value <= self.most or at_end:
            low = f"{'above' if self.above else 'from'} {self.least:g}"
            yield Fault(where, f"is no number {low} {'and below' if self.below else 'to'} {self.most:g}")


@dataclass(frozen=True)
class Flag:
    """True or false."""

    def faults(self, value: Any, where: str) -> Iterator[Fault]:
        """See `Rule`."""
        if not isinstance(value, bool):
            yield Fault(where, "is neither true nor false")


@dataclass(frozen=True)
class Choice:
    """One of a few words."""

    words: Collection[str]

    def faults(self, value: Any, where: str) -> Iterator[Fault]:
        """See `Rule`."""
        if not isinstance(value, str) or value not in self.words:
            yield Fault(where, f"is none of {', '.join(word or 'an empty text' for word in self.words)}")


@dataclass(frozen=True)
class Listed:
    """A list of so many things of one kind, if wanted each only once."""

    entry: Rule
    least: int = 0
    most: int = 10_000
    once: bool = False

    def faults(self, value: Any, where: str) -> Iterator[Fault]:
        """See `Rule`."""
        if not isinstance(value, list):
            yield Fault(where, "is no list")
            return
        if not self.least <= len(value) <= self.most:
            allowed = f"{self.least}" if self.least == self.most else f"{self.least} to {self.most}"
            yield Fault(where, f"has {len(value)} entries, and {allowed} are allowed")
        for number, entry in enumerate(value):
            yield from self.entry.faults(entry, f"{where}[{number}]")
            if self.once and entry in value[:number]:
                yield Fault(f"{where}[{number}]", "stands there twice")


@dataclass(frozen=True)
class Mapped:
    """An object with keys of the file's own choice and values of one kind."""

    key: Text
    entry: Rule
    least: int = 0

    def faults(self, value: Any, where: str) -> Iterator[Fault]:
        """See `Rule`."""
        if not isinstance(value, dict):
            yield Fault(where, "is no object")
            return
        if len(value) < self.least:
            yield Fault(where, "is empty")
        for key, entry in value.items():
            yield from self.key.faults(key, f"the key {key[:80]!r} of {where}")
            yield from self.entry.faults(entry, f"{where}.{key[:80]}")


@dataclass(frozen=True)
class Table:
    """An object with known keys.

    Parameters
    ----------
    needed, free
        Rules of the keys that must be there, and of those that may.
    """

    needed: Mapping[str, Rule] = field(default_factory=dict)
    free: Mapping[str, Rule] = field(default_factory=dict)

    def faults(self, value: Any, where: str) -> Iterator[Fault]:
        """See `Rule`."""
        if not isinstance(value, dict):
            yield Fault(where, "is no object")
            return
        inner = f"{where}." if where else ""
        rules = {**self.needed, **self.free}
        for key, rule in rules.items():
            if key in value:
                yield from rule.faults(value[key], f"{inner}{key}")
            elif key in self.needed:
                yield Fault(f"{inner}{key}", "is missing")
        for key in value:
            if key not in rules:
                yield Fault(f"{inner}{str(key)[:80]}", f"is unknown here; known are {', '.join(sorted(rules))}")
