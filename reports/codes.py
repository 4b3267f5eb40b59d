"""The codes of the reports, read from `codes.toml`: the only place where values and meanings are written."""

import tomllib
from functools import cache
from pathlib import Path

from pydicom.sr.coding import Code

from reports.errors import UnknownCode

__all__ = ["PRIVATE_SCHEME", "all_codes", "code"]

PRIVATE_SCHEME = "99RADGATE"
"""Designator of radgate's own codes; every object that uses one declares it (Coding Scheme Identification)."""


@cache
def all_codes() -> dict[str, Code]:
    """Every code of `codes.toml` by its key."""
    table = tomllib.loads(Path(__file__).with_name("codes.toml").read_text(encoding="utf-8"))
    return {key: Code(row["value"], row["scheme"], row["meaning"]) for key, row in table.items()}


def code(key: str) -> Code:
    """The code with this key.

    Raises
    ------
    UnknownCode
        `codes.toml` has no such key.
    """
    try:
        return all_codes()[key]
    except KeyError:
        raise UnknownCode(f"codes.toml has no entry '{key}'; add it with its source.") from None
