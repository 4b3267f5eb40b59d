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
    "print_outside_sum",
    "print_refused",
    "print_sum",
    "print_table",
    "print_warnings",
]

LONGEST_WORD = 24
"""A cell of more letters is a sentence."""

WIDEST = 10_000


def number(value: float | None) -> str:
    """Two decimals; a dash where there is none."""
    return "-" if value is None else f"{value:.2f}"


def print_outside(rows: Sequence[dict[str, Any]]) -> None:
    """How much of each structure has no dose, and that the numbers are about the rest; why others are missing."""
    from reports.dose.wording import share_text

    for row in rows:
        if row["outside_share"]:
            typer.echo(
                f"{row['structure']}: {share_text(row['outside_share'])} % lies outside the dose grid; the numbers are "
                "of the part inside.",
                err=True,
            )
        for reason in dict.fromkeys(row["refused"].values()):
            typer.echo(f"{row['structure']}: {reason}", err=True)


def print_outside_sum(rows: Sequence[dict[str, Any]], letters: Sequence[str]) -> None:
    """How much of each structure has not all doses, which of them do not reach it, and why a number is missing."""
    from reports.dose.wording import share_text

    for row in rows:
        parts = [
            f"{share_text(c['outside_share'])} % outside the grid of dose {letter}"
            for letter, c in zip(letters, row["courses"], strict=True)
            if c["outside_share"]
        ]
        if row["outside_share"]:
            known = f"{share_text(row['outside_share'])} % has not all doses"
            typer.echo(f"{row['structure']}: {known} ({', '.join(parts)}); the sum is of the part that has.", err=True)
        elif parts:
            typer.echo(f"{row['structure']}: {', '.join(parts)}; the numbers are of the part inside.", err=True)
        printed = [*((c, "Dmean") for c in (*row["courses"], row["physical"])), (row["physical"], "D0.03cc")]
        printed += [(row[kind], "D0.03cc") for kind in ("eqd2", "bed") if row[kind]]
        for reason in dict.fromkeys(found["refused"][m] for found, m in printed if m in found["refused"]):
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
        [
            "structure",
            "a/b",
            *(f"mean\n{n}" for n in letters),
            "mean\nsum",
            *(f"D0.03cc\n{kind}" for kind in ("sum", "EQD2", "BED")),
        ],
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
    print_outside_sum(report["structures"], letters)
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
    """Columns with their heads; names and numbers are never cut or broken, only sentences are."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 1))
    for place, head in enumerate(heads):
        longest = max((len(row[place]) for row in rows), default=0)
        # two structures may differ in the end of their names only
        table.add_column(head, no_wrap=place == 0 or longest <= LONGEST_WORD, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console = Console()
    needed = Console(width=WIDEST).measure(table)
    # what reads a pipe has no edge of a screen
    console.width = max(console.width, needed.minimum if console.is_terminal else needed.maximum)
    console.print(table, highlight=False)
