"""The tables that the demonstration prints."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

__all__ = ["came_back_table", "steps_table"]

COLOURS = {"done": "green", "failed": "red", "refused": "yellow", "running": "cyan"}


def steps_table(
    instances: Sequence[Mapping[str, Any]], steps: Sequence[Mapping[str, Any]], states: Mapping[str, str]
) -> Table:
    """What arrived and what ran, with the seconds each step took."""
    received = [row for row in instances if row["origin"] == "received"]
    table = Table(title="What arrived and what ran")
    for column, justify in (("Step", "left"), ("State", "left"), ("Seconds", "right"), ("Outcome", "left")):
        table.add_column(column, justify="right" if justify == "right" else "left", overflow="fold")
    if received:
        span = max(r["received"] for r in received) - min(r["received"] for r in received)
        series = len({r["series_uid"] for r in received})
        table.add_row("receive", "[green]done[/]", f"{span:.1f}", f"{len(received)} objects in {series} series")
    for row in sorted(steps, key=lambda r: (r["started"], r["id"])):
        seconds = "" if row["ended"] is None else f"{row['ended'] - row['started']:.1f}"
        colour = COLOURS.get(row["state"], "white")
        table.add_row(row["step"], f"[{colour}]{row['state']}[/]", seconds, escape(outcome_of(row)))
    counted = Counter(states.values())
    table.caption = "studies: " + ", ".join(f"{number} {state}" for state, number in counted.items())
    return table


def outcome_of(row: Mapping[str, Any]) -> str:
    """One line on what a step came to."""
    detail = row["detail"] or {}
    if row["message"]:
        return str(row["message"])
    if row["step"] == "split":
        return ", ".join(
            f"{s['modality']} {' x '.join(str(n) for n in s['shape'])}" for s in detail.get("stacks", [])
        ) + "".join(f"; {g['files']} files: {g['message']}" for g in detail.get("leftovers", []))
    if row["step"] == "route":
        return ", ".join(c["route"] for c in detail.get("choices", [])) or "no route matches"
    if row["step"] == "run":
        return ", ".join(f"{b['bundle']} {b.get('elapsed_s', '')} s" for b in detail.get("bundles", []))
    if row["step"] == "deliver":
        return f"{len(detail.get('objects', []))} objects"
    return ""


DRAWN = (
    "Dice is measured on a phantom drawn from simple shapes. The networks know patients only: on it they may miss a "
    "structure altogether. What they reach on patients is in their cards (monai_bundles/bundles/*/docs/README.md)."
)


def came_back_table(
    results: Sequence[Mapping[str, Any]],
    objects: Sequence[Mapping[str, Any]],
    found: set[str],
    dice: Mapping[str, float],
) -> Table:
    """Objects in the store, and structures with their volume and, for the phantom, Dice against the truth."""
    table = Table(title="What came back", caption=DRAWN if dice else None, caption_justify="left")
    for column, justify in (("What", "left"), ("", "left"), ("Volume, cm3", "right"), ("Dice", "right")):
        table.add_column(column, justify="right" if justify == "right" else "left", overflow="fold")
    for row in sorted(objects, key=lambda r: (r["result_id"], r["position"])):
        there = "[green]in the store[/]" if row["sop_uid"] in found else "[red]missing[/]"
        table.add_row(f"{row['outlet'].upper()} object, {row['size_bytes'] / 1e6:.2f} MB", there, "", "")
    for result in results:
        document = result["document"]
        table.add_section()
        for run in document["runs"]:
            algorithm = run["algorithm"]
            table.add_row(escape(f"{algorithm['name']} {algorithm['version']}"), run["status"], "", "")
        for structure in document["structures"]:
            name = structure["name"]["tg263"]
            score = f"{dice[name]:.3f}" if name in dice else ""
            table.add_row(f"  {escape(name)}", "", f"{structure['volume']['value']:.1f}", score)
    return table
