"""How `radgate dose` prints: tables for people, JSON for programs, warnings and refusals on the error stream."""

import json
from collections.abc import Sequence
from typing import Any

import typer

__all__ = [
    "number",
    "print_json",
    "print_limits",
    "print_outside",
    "print_refused",
    "print_sum",
    "print_table",
    "print_warnings",
]


def number(value: float | None) -> str:
    """Two decimals; a dash where there is none."""
    return "-" if value is None else f"{value:.2f}"


def print_outside(rows: Sequence[dict[str, Any]]) -> None:
    """How much of each structure has no dose, and that the numbers are about the rest; why others are missing."""
    for row in rows:
        if row["outside_share"]:
            share = (
                f"{100 * row['outside_share']:.2g} % lies outside the dose grid; the numbers are of the part inside."
            )
            typer.echo(f"{row['structure']}: {share}", err=True)
        for reason in dict.fromkeys(row["refused"].values()):
            typer.echo(f"{row['structure']}: {reason}", err=True)


def print_limits(rows: Sequence[dict[str, Any]]) -> None:
    """How the limits of all structures stand; nothing where there are none."""
    lines = [
        [
            r["structure"],
            f"{v['metric']} {'<=' if v['at_least'] is None else '>='} {v['at_most'] or v['at_least']:g} {v['unit']}",
            number(v["value"]),
            v["status"] + (f": {v['reason']}" if v["reason"] else ""),
            v["judged_on"],
            v["verified_by"],
        ]
        for r in rows
        for v in r["limits"]
    ]
    if lines:
        print_table(["structure", "limit", "found", "verdict", "of", "verified by"], lines)


def print_sum(report: dict[str, Any]) -> None:
    """The table of a sum with limits, warnings and refusals."""
    letters = [c["letter"] for c in report["courses"]]
    print_table(
        ["structure", "a/b", *(f"mean {n}" for n in letters), "mean sum", "D0.03cc sum", "D0.03cc EQD2", "D0.03cc BED"],
        [
            [
                r["structure"],
                f"{r['alpha_beta_gy']:g}",
                *(number(c["metrics"]["Dmean"]) for c in r["courses"]),
                number(r["physical"]["metrics"]["Dmean"]),
                number(r["physical"]["metrics"]["D0.03cc"]),
                number(r["eqd2"]["metrics"]["D0.03cc"]) if r["eqd2"] else "no fractions",
                number(r["bed"]["metrics"]["D0.03cc"]) if r["bed"] else "no fractions",
            ]
            for r in report["structures"]
        ],
    )
    print_limits(report["structures"])
    print_warnings(report["warnings"])
    print_refused(report["refused"])


def print_warnings(warnings: Sequence[str]) -> None:
    """What a reader has to know first."""
    for warning in warnings:
        typer.echo(warning, err=True)


def print_refused(refused: Sequence[dict[str, str]]) -> None:
    """Structures without numbers, and why."""
    for row in refused:
        typer.echo(f"{row['structure']}: {row['message']}", err=True)


def print_json(value: Any) -> None:
    """Readable JSON; a number that is none is a fault."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False))


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns with their heads."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*heads, box=None, padding=(0, 2))
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table, highlight=False)
