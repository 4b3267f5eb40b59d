"""What MONAI makes of the texts of a configuration before it evaluates them, done without MONAI.

Before an expression is judged its relative ids, macros and references are replaced exactly as MONAI's ConfigParser and
ReferenceResolver replace them (a test compares the two): what is judged is the very text that Python is given.
"""

import copy
import re
from typing import Any

from monai_bundles.errors import FileMacro

__all__ = ["REFERENCES", "expanded", "is_reference", "with_references"]

SEPARATOR = "::"
REFERENCES = "__local_refs"
"""The mapping of resolved entries that MONAI gives to an expression."""

REFERENCE = re.compile(r"@(?:\w*)(?:::\w*)*")
RELATIVE = re.compile(r"(?:@|%)(?:::)+")
FILE = re.compile(r".*\.(json|yaml|yml)(?=(?:::.*)|$)", re.IGNORECASE)


ELSEWHERE = "A macro of the configuration names a file, or an entry that is not there; write the value out."

MOST_COPIED = 20_000
"""Values that a macro may copy: macros of macros double what they copy each time."""


def expanded(config: dict[str, Any]) -> dict[str, Any]:
    """A copy of a configuration with its relative ids made absolute and its macros replaced by what they name.

    Raises
    ------
    FileMacro
        A macro names a file, an entry that does not exist, or one that is too large.
    """
    config = copy.deepcopy(config)
    _expand(config, "", config)
    return config


def _size(value: Any) -> int:
    """How many values a value holds, with itself."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(_size(v) for v in inner)


def with_references(text: str) -> str:
    """An expression with its references replaced, as Python is given it."""
    text = text.replace("#", SEPARATOR)
    for reference in sorted(REFERENCE.findall(text), key=len, reverse=True):
        text = text.replace(reference, f"{REFERENCES}['{reference[1:]}']")
    return text


def is_reference(text: str) -> str | None:
    """The id that a text refers to as a whole; None where it is no reference."""
    text = text.replace("#", SEPARATOR)
    match = REFERENCE.match(text)
    return match.group()[1:] if match and match.group() == text else None


def _expand(value: Any, where: str, root: dict[str, Any]) -> Any:
    """A value, changed in place, with everything below it expanded.

    Raises
    ------
    FileMacro
        A macro names a file, or an entry that does not exist.
    """
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            value[key] = _expand(inner, f"{where}{SEPARATOR}{key}" if where else str(key), root)
    if not isinstance(value, str):
        return value
    text = _absolute(value, where)
    if not text.startswith("%"):
        return text
    name = text[1:].replace("#", SEPARATOR)
    # Anywhere in it: a line of its own is a file's name to MONAI too.
    if FILE.search(name):
        raise FileMacro(ELSEWHERE, where=where, text=name)
    entry = _entry(root, name, where)
    if _size(entry) > MOST_COPIED:
        raise FileMacro(ELSEWHERE, where=where, text=name)
    return copy.deepcopy(entry)


def _absolute(text: str, where: str) -> str:
    """A text with "@::A" (same level) and "@::::A" (one level up) written in full.

    Raises
    ------
    FileMacro
        It points above the configuration.
    """
    text = text.replace("#", SEPARATOR)
    parts = where.split(SEPARATOR)
    for prefix in sorted(set(RELATIVE.findall(text)), reverse=True):
        levels = prefix.count(SEPARATOR)
        if levels > len(parts):
            raise FileMacro(ELSEWHERE, where=where, text=text)
        above = "" if levels == len(parts) else SEPARATOR.join(parts[:-levels]) + SEPARATOR
        text = text.replace(prefix, prefix[0] + above)
    return text


def _entry(root: dict[str, Any], name: str, where: str) -> Any:
    """The entry that a macro names.

    Raises
    ------
    FileMacro
        There is none.
    """
    entry: Any = root
    for part in name.split(SEPARATOR) if name else ():
        try:
            entry = entry[part] if isinstance(entry, dict) else entry[int(part)]
        except (KeyError, ValueError, IndexError, TypeError):
            raise FileMacro(ELSEWHERE, where=where, text=name) from None
    return entry
