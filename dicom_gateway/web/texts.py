"""The texts of the pages in Chinese and English, and the forms of numbers and times that people read."""

import time
import tomllib
from collections.abc import Callable
from datetime import datetime
from functools import cache
from importlib import resources
from typing import Any

__all__ = [
    "LANGUAGES",
    "advice",
    "clock_time",
    "decimals",
    "is_coming",
    "phrased",
    "size_text",
    "text_table",
    "translator",
]

LANGUAGES = ("zh", "en")


@cache
def text_table() -> dict[str, dict[str, str]]:
    """All texts by dotted key, each in both languages."""
    raw = tomllib.loads(resources.files("dicom_gateway.web").joinpath("texts.toml").read_text(encoding="utf-8"))
    return {f"{section}.{key}": entry for section, entries in raw.items() for key, entry in entries.items()}


def translator(language: str) -> Callable[..., str]:
    """A function from a dotted key to its text; a key that is unknown (a new state, say) shows its last part."""
    table = text_table()

    def text(key: str, *more: Any) -> str:
        full = ".".join([key, *(str(m) for m in more)])
        entry = table.get(full)
        return entry[language] if entry else full.rsplit(".", 1)[-1]

    return text


def phrased(text: str, language: str) -> str:
    """An explanation's wanted or actual value with its leading phrases in the reader's language."""
    words: list[str] = []
    rest = text
    table = text_table()
    known = sorted((k.removeprefix("phrase.") for k in table if k.startswith("phrase.")), key=len, reverse=True)
    while phrase := next((k for k in known if rest == k or rest.startswith(f"{k} ")), None):
        words.append(table[f"phrase.{phrase}"][language])
        rest = rest[len(phrase) :].lstrip()
    return " ".join([*words, rest]).strip()


def advice(code: str, language: str) -> str:
    """What to do about a refusal or a state; empty where the sentence beside it says it in this language."""
    entry = text_table().get(f"todo.{code}")
    return entry[language] if entry else ""


def clock_time(seconds: float | None) -> str:
    """A time of the database in local time, to the second."""
    return "" if not seconds else datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def is_coming(seconds: float) -> bool:
    """Whether a time of the database lies ahead."""
    return seconds > time.time()


def size_text(size_bytes: float | None) -> str:
    """A size in binary units with at most three digits before the point."""
    value = float(size_bytes or 0)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def decimals(value: Any, places: int = 2) -> str:
    """A number with a fixed number of decimals; whatever is no number stays as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "" if value is None else str(value)
    return f"{value:.{places}f}"
