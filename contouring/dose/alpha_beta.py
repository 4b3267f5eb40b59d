"""Alpha/beta of structures: a table with a citation in each row, and what stands in for a row that is missing."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType

from contouring.errors import UnknownStructure
from contouring.names import lookup

__all__ = ["AlphaBeta", "alpha_beta_of", "shipped_alpha_beta"]

ORGAN_GY, TARGET_GY = 3.0, 10.0
TARGET_TYPES = frozenset({"GTV", "CTV", "PTV"})


@dataclass(frozen=True)
class AlphaBeta:
    """Alpha/beta of a structure.

    Parameters
    ----------
    gy
        The value.
    citation
        Where it is from; for a stand-in, that it is one.
    is_default
        Whether the table has no row for the structure.
    is_verified
        Whether somebody compared the row with its source.
    is_stated
        Whether a person gave it.
    """

    gy: float
    citation: str
    is_default: bool = False
    is_verified: bool = False
    is_stated: bool = False


@cache
def shipped_alpha_beta() -> Mapping[str, AlphaBeta]:
    """The table that ships with radgate, by TG-263 name."""
    text = resources.files("contouring.dose").joinpath("alpha_beta.csv").read_text(encoding="utf-8")
    return MappingProxyType({
        row["structure"]: AlphaBeta(float(row["alpha_beta_gy"]), row["citation"], is_verified=row["verified"] == "yes")
        for row in csv.DictReader(text.splitlines())
    })


def alpha_beta_of(name: str, interpreted_type: str = "", own: Mapping[str, float] | None = None) -> AlphaBeta:
    """Alpha/beta of a structure: the clinic's own value, the table's, or 3 Gy (10 Gy for a target), which says so.

    Parameters
    ----------
    name
        Name of the structure.
    interpreted_type
        RTROIInterpretedType, which tells targets from organs.
    own
        The clinic's values by name.
    """
    if own and name in own:
        return AlphaBeta(own[name], "stated by the user", is_stated=True)
    found = shipped_alpha_beta().get(name)
    if found is not None:
        return found
    try:
        kind = interpreted_type or lookup(name).interpreted_type
    except UnknownStructure:
        kind = interpreted_type
    if kind in TARGET_TYPES or name.upper().startswith(("GTV", "CTV", "PTV", "ITV")):
        return AlphaBeta(TARGET_GY, "no row for this structure: 10 Gy for a target", is_default=True)
    return AlphaBeta(ORGAN_GY, "no row for this structure: 3 Gy for an organ at risk", is_default=True)
