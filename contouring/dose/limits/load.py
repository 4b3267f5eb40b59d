"""Reading sets of limits from TOML: checked when read, with the row and the key that is wrong."""

import tomllib
from collections.abc import Mapping, Sequence
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

__all__ = ["Kind", "Limit", "LimitSet", "limits_for", "load_limits", "shipped_limits", "sites"]

SET_KEYS = {"title", "citation", "site", "fractionation", "verified_by", "date", "limit"}
FRACTIONATION_KEYS = {"as", "dose_per_fraction_gy"}
LIMIT_KEYS = {"structure", "metric", "at_most", "at_least", "risk", "citation", "verified_by"}

Kind = Literal["physical", "EQD2", "conventional"]
"""What the numbers of a set are of: physical dose in fractions of the stated size; EQD2; or dose in fractions of about
2 Gy, which is physical dose where every course has such fractions and EQD2 where not."""


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
    citation
        Where the number is from.
    verified_by
        Who compared it with that source; "" is printed as not verified.
    """

    structure: str
    metric: str
    at_most: float | None
    at_least: float | None
    risk: str = ""
    citation: str = ""
    verified_by: str = ""

    @property
    def bound(self) -> float:
        """The number, whichever side it bounds."""
        return self.at_most if self.at_most is not None else self.at_least or 0.0

    @property
    def text(self) -> str:
        """Such as "Dmean <= 25"; the unit follows from the metric."""
        return f"{self.metric} {'<=' if self.at_most is not None else '>='} {self.bound:g}"


@dataclass(frozen=True)
class LimitSet:
    """Limits of one source.

    Parameters
    ----------
    name, title, citation
        Name of the file; what it is; where it is from.
    site
        What the set is for, such as "nasopharynx"; "" for every site.
    kind
        What the numbers are of.
    dose_per_fraction_gy
        Range of fraction doses that limits of physical dose are for; None where any.
    verified_by
        Who compared all rows with their sources; "" is printed as not verified.
    limits
        The rows.
    """

    name: str
    title: str
    citation: str
    site: str
    kind: Kind
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


def limits_for(site: str, own: Sequence[LimitSet] = ()) -> tuple[LimitSet, ...]:
    """The sets of a site. The site is stated; it is never guessed from names or headers.

    Parameters
    ----------
    site
        Such as "nasopharynx"; "" chooses only those of the clinic's sets that are for every site.
    own
        The clinic's sets. Those of this site take the place of the shipped ones; those without a site always apply.

    Raises
    ------
    LimitsRefused
        There is no set for this site.
    """
    always = tuple(s for s in own if not s.site)
    if not site and always:
        return always
    chosen = tuple(s for s in own if s.site == site) or tuple(s for s in shipped_limits().values() if s.site == site)
    if not site or not chosen:
        raise LimitsRefused(
            f"There are no limits for this site; choose one of {', '.join(sites())}, or give a file of limits."
        )
    return always + chosen


def sites() -> tuple[str, ...]:
    """The sites that shipped sets are for."""
    return tuple(sorted({s.site for s in shipped_limits().values()}))


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
    kind, span = _fractionation(content.get("fractionation", {}))
    verified_by = str(content.get("verified_by", ""))
    whole = {"citation": str(content["citation"]), "verified_by": verified_by}
    rows = content.get("limit", ())
    if not isinstance(rows, list | tuple) or not all(isinstance(row, dict) for row in rows):
        raise LimitsRefused("Limits are tables headed [[limit]]; write each of them so.")
    return LimitSet(
        name=name,
        title=str(content.get("title", name)),
        citation=str(content["citation"]),
        site=str(content.get("site", "")),
        kind=kind,
        dose_per_fraction_gy=span,
        verified_by=verified_by,
        limits=tuple(_limit(whole | row, n) for n, row in enumerate(rows, start=1)),
    )


def _fractionation(given: Any) -> tuple[Kind, tuple[float, float] | None]:
    """What the numbers are of, and the range of fraction doses.

    Raises
    ------
    LimitsRefused
        It has a fault.
    """
    fault = LimitsRefused(
        'fractionation needs as = "physical", "EQD2" or "conventional", and dose_per_fraction_gy = [low, high] '
        "with conventional."
    )
    if not isinstance(given, dict) or set(given) - FRACTIONATION_KEYS:
        raise fault
    kind, span = given.get("as", "physical"), given.get("dose_per_fraction_gy")
    if kind not in {"physical", "EQD2", "conventional"} or (kind == "conventional" and span is None):
        raise fault
    if span is None:
        return kind, None
    try:
        low, high = (float(v) for v in span)
    except (TypeError, ValueError):
        raise fault from None
    if not 0 < low <= high:
        raise fault
    return kind, (low, high)


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
    return Limit(
        structure=structure,
        metric=row["metric"],
        at_most=bounds.get("at_most"),
        at_least=bounds.get("at_least"),
        **{key: str(row.get(key, "")) for key in ("risk", "citation", "verified_by")},
    )
