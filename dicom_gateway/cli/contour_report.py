"""How `radgate contour` says what it did: tables for people, JSON for programs, and what was noticed on the way."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from contouring.convert import Structures
    from contouring.names import NameTable

__all__ = ["exit_where_refused", "noticed", "print_json", "print_table", "tell_noticed"]

FOUND_SOMETHING = 1


def noticed(read: "Structures", table: "NameTable") -> dict[str, Any]:
    """Refusals, remarks, and names without an entry, for JSON."""
    return {
        "refused": [list(r) for r in read.refused],
        "remarks": [list(r) for r in read.remarks],
        "unknown_names": list(read.unknown_names),
        "nearest_names": {name: list(table.suggestions(name)) for name in read.unknown_names},
    }


def tell_noticed(read: "Structures", table: "NameTable") -> None:
    """Print the same for people."""
    for name, reason in read.refused:
        typer.echo(f"not read: {name}: {reason}")
    for name, text in read.remarks:
        typer.echo(f"note: {name}: {text}" if name else f"note: {text}")
    for name, near in noticed(read, table)["nearest_names"].items():
        nearest = f"; the nearest are {', '.join(near)}" if near else ""
        typer.echo(f"not a TG-263 name: {name}{nearest}. Give it an entry in --aliases.")


def exit_where_refused(read: "Structures") -> None:
    """End with exit code 1 where a structure could not be read."""
    if read.refused:
        raise typer.Exit(FOUND_SOMETHING)


def print_json(value: Any) -> None:
    """Print JSON; NaN and infinite are null."""
    typer.echo(json.dumps(_finite(value), ensure_ascii=False, indent=1, allow_nan=False))


def _finite(value: Any) -> Any:
    """The value with what JSON cannot say (NaN, infinite) as null, and keys as text."""
    if isinstance(value, dict):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not abs(value) < float("inf") else value


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as they need, never cut: a name that is shortened is another name."""
    widths = [max(len(row[n]) for row in (heads, *rows)) for n in range(len(heads))]
    for row in (heads, *rows):
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
