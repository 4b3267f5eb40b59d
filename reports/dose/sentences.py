"""The sentences of dose in Chinese: reasons and refusals of the library, the table and the choice of doses."""

import re
import tomllib
from functools import cache
from importlib.resources import files

__all__ = ["sentence_words"]


def sentence_words(text: str) -> tuple[str, str]:
    """A sentence in both languages; one that has no Chinese words stays as it is."""
    for pattern, zh in _table():
        if found := pattern.fullmatch(text):
            return zh.format(*found.groups()), text
    return text, text


@cache
def _table() -> tuple[tuple[re.Pattern[str], str], ...]:
    read = tomllib.loads(files("reports.dose").joinpath("sentences.toml").read_text(encoding="utf-8"))
    return tuple(
        (re.compile("(.+?)".join(re.escape(part) for part in en.split("{}"))), zh)
        for group in read.values()
        for en, zh in group.items()
    )
