"""One field of the settings: its default, its limits, and why it is as it is."""

from dataclasses import MISSING, Field, dataclass, field
from typing import Any

__all__ = ["Limits", "limits_of", "setting"]


@dataclass(frozen=True)
class Limits:
    """What a value must keep, and what the manual says of it.

    Parameters
    ----------
    why
        What the field is, and what a site trades that changes it.
    unit
        Unit of a number.
    at_least, at_most
        Closed range of a number.
    choices
        Allowed texts; empty where any text is allowed.
    table
        Whether the field is a table of its own (or a list of them) and has no line in the manual.
    """

    why: str = ""
    unit: str = ""
    at_least: float | None = None
    at_most: float | None = None
    choices: tuple[str, ...] = ()
    table: bool = False


def setting(
    default: Any = MISSING,
    why: str = "",
    *,
    unit: str = "",
    at_least: float | None = None,
    at_most: float | None = None,
    choices: tuple[str, ...] = (),
    secret: bool = False,
) -> Any:
    """A dataclass field that carries its limits; without a default it must be given in the file."""
    limits = Limits(why, unit, at_least, at_most, choices)
    return field(default=default, metadata={"limits": limits}, repr=not secret)


def limits_of(item: Field[Any]) -> Limits:
    """The limits of a field; those of a table where it has none."""
    return item.metadata.get("limits", Limits(table=True))
