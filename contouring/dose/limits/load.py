"""Reading sets of limits from TOML: checked when read, with the row and the key that is wrong."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from contouring.dose.errors import LimitsRefused, MetricRefused
from contouring.dose.metrics import check_name
from contouring.errors import UnknownStructure
from contouring.names import lookup

__all__ = ["Limit", "LimitSet", "load_limits", "shipped_limits"]

SET_KEYS = {"title", "citation", "fractionation", "verified_by", "date", "limit"}
LIMIT_KEYS = {"structure", "metric", "at_most", "at_least", "risk"}


@dataclass(frozen=True)
class Limit:
    """One limit.

    Parameters
    ----------
    structure, metric
        TG-263 name; the number, as `contouring.dose.metrics` writes it.
    at_most, at_least
        One of the two is given, in Gy, percent or cc as the metric says.
    risk
        What the limit stands for.
    """

    structure: str
    metric: str
    at_most: float | None
    at_least: float | None
    risk: str = ""


@dataclass(frozen=True)
class LimitSet:
    """Limits of one source.

    Parameters
    ----------
    name, title, citation
        Name of the file; what it is; where it is from.
    kind
        Whether the limits are of physical dose or of EQD2.
    dose_per_fraction_gy
        Range of fraction doses that limits of physical dose are for; None where any.
    verified_by
        Who compared the rows with the source; "" is printed as not verified.
    limits
        The rows.
    """

    name: str
    title: str
    citation: str
    kind: Literal["physical", "EQD2"]
    dose_per_fraction_gy: tuple[float, float] | None
    verified_by: str
    limits: tuple[Limit, ...]


@cache
def shipped_limits() -> Mapping[str, LimitSet]:
    """The sets that ship with radgate, by name."""
    folder = resources.files("contouring.dose.limits")
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".toml")), key=lambda f: f.name)
    sets = (_parsed(f.read_text(encoding="utf-8"), f.name.removesuffix(".toml")) for f in files)
    return MappingProxyType({s.name: s for s in sets})


def load_limits(file: Path) -> LimitSet:
    """A clinic's own set.

    Raises
    ------
    LimitsRefused
        The file cannot be read, or has a fault; names the row and the key.
    """
    try:
        return _parsed(file.read_text(encoding="utf-8"), file.stem)
    except (OSError, UnicodeDecodeError):
        raise LimitsRefused("The file of limits cannot be read; check its path and that it is UTF-8.") from None


def _parsed(text: str, name: str) -> LimitSet:
    """A set from TOML.

    Raises
    ------
    LimitsRefused
        It has a fault.
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        raise LimitsRefused(f"The limits are no TOML: {fault}; correct that line.") from None
    if unknown := set(content) - SET_KEYS:
        raise LimitsRefused(
            f"The limits have an unknown key '{min(unknown)}'; there are {', '.join(sorted(SET_KEYS))}."
        )
    if not content.get("citation"):
        raise LimitsRefused("The limits name no citation; say where the numbers are from.")
    fractions = content.get("fractionation", {})
    kind = fractions.get("as", "physical")
    span = fractions.get("dose_per_fraction_gy")
    if kind not in {"physical", "EQD2"} or (span is not None and len(span) != 2):
        raise LimitsRefused('fractionation needs as = "physical" or "EQD2" and a range of two doses.')
    return LimitSet(
        name=name,
        title=str(content.get("title", name)),
        citation=str(content["citation"]),
        kind=kind,
        dose_per_fraction_gy=None if span is None else (float(span[0]), float(span[1])),
        verified_by=str(content.get("verified_by", "")),
        limits=tuple(_limit(row, n) for n, row in enumerate(content.get("limit", ()), start=1)),
    )


def _limit(row: dict[str, Any], number: int) -> Limit:
    """A row.

    Raises
    ------
    LimitsRefused
        It has a fault.
    """
    if unknown := set(row) - LIMIT_KEYS:
        raise LimitsRefused(f"Limit {number} has an unknown key '{min(unknown)}'.", row=number)
    if ("at_most" in row) == ("at_least" in row):
        raise LimitsRefused(f"Limit {number} needs one of at_most and at_least.", row=number)
    try:
        structure = lookup(str(row.get("structure", ""))).tg263
        check_name(str(row.get("metric", "")))
        bounds = {key: float(row[key]) for key in ("at_most", "at_least") if key in row}
    except (UnknownStructure, MetricRefused, TypeError, ValueError) as fault:
        raise LimitsRefused(f"Limit {number}: {fault}", row=number) from None
    return Limit(structure, row["metric"], bounds.get("at_most"), bounds.get("at_least"), str(row.get("risk", "")))
