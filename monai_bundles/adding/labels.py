"""From a bundle's own words for its outputs to TG-263 names; a word without one is kept and told."""

import json
import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

__all__ = ["Resolver", "is_background", "named"]

Resolver = Callable[[str], str]
"""The TG-263 name of a word, or nothing: what a caller with a larger table hands in."""

MEANINGLESS = re.compile(
    r"(class|label|channel|region|output|structure|object|target|pred|prediction|foreground)?\s*\d*"
)
"""Words that only say that something is there."""


@lru_cache(maxsize=1)
def _table() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(Path(__file__).with_name("label_names.json").read_text(encoding="utf-8"))
    return content


def is_background(word: str) -> bool:
    """Whether a word means that nothing is there."""
    return _folded(word) in _table()["background"]


def named(word: str, resolve: Resolver | None = None) -> tuple[str, str]:
    """The structure's name for a bundle's word, and a sentence where it is no TG-263 name; no name without a meaning.

    Examples
    --------
    >>> named("left kidney")
    ('Kidney_L', '')
    """
    folded = _folded(word)
    if MEANINGLESS.fullmatch(folded):
        return "", f"What the output {word!r} means cannot be guessed; write its TG-263 name."
    found = _from_table(folded) or (resolve(word) if resolve is not None else "")
    if found:
        return found, ""
    plain = re.sub(r"[^0-9A-Za-z]+", "_", word).strip("_")[:64]
    if not plain:
        return "", f"What the output {word!r} means cannot be guessed; write its TG-263 name."
    return plain, f"There is no TG-263 name for {word!r}; it is kept as {plain}, correct it if there is a better one."


def _folded(word: str) -> str:
    """Lower case, one space between words."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", word)
    return " ".join(re.sub(r"[^0-9a-z]+", " ", spaced.lower()).split())


def _from_table(folded: str) -> str:
    table = _table()
    if folded in table["names"]:
        return str(table["names"][folded])
    words = folded.split()
    sides = [table["sides"][w] for w in words if w in table["sides"]]
    rest = " ".join(w for w in words if w not in table["sides"])
    if len(sides) == 1 and rest in table["paired"]:
        return f"{table['paired'][rest]}_{sides[0]}"
    if any(w.rstrip("s") in table["tumour"] for w in words):
        return "GTV"
    return ""
