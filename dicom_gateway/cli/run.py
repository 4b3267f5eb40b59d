"""`radgate run`: a folder of DICOM files through quality control, bundles and encoders, without a network."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from dicom_gateway.flow.local import FolderOutcome
    from dicom_gateway.route.explain import StackExplanation

__all__ = ["run"]

STOPPED_BY_KEYBOARD = 130
"""128 and the number of SIGINT, as shells have it."""


def run(
    study: Annotated[
        Path, typer.Argument(help="Folder of DICOM files: nested, mixed, with other files in between.", exists=True)
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for objects, result.json and report.pdf.")],
    config: Annotated[Path | None, typer.Option("--config", help="Settings file.", exists=True)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Take a folder of files through the same steps as the service, and write the results to a folder."""
    from rich.console import Console

    from contouring.names import load_aliases
    from dicom_gateway.cli.progress import TerminalJournal
    from dicom_gateway.cli.sources import bundles_of, settings_of
    from dicom_gateway.flow.accepts import accepted_by_nobody
    from dicom_gateway.flow.job import Tools
    from dicom_gateway.flow.local import process_folder
    from monai_bundles import run_bundle

    settings = settings_of(config)
    console = Console(stderr=True)
    with stopping(console, out), TerminalJournal(console) as journal:
        outcome = process_folder(
            study,
            out,
            settings,
            Tools(
                bundles_of(settings),
                run_bundle,
                names=load_aliases(settings.contour.aliases),
                undelivered=accepted_by_nobody(settings),
                profiles=settings.quality.profiles,
            ),
            journal,
            reading=journal.reading,
            planned=journal.planned,
        )
    if as_json:
        typer.echo(json.dumps(outcome.to_json(), ensure_ascii=False, indent=1))
    else:
        Console().print(outcome_table(outcome))
    if any(job.status == "failed" for job in outcome.jobs):
        raise typer.Exit(1)


@contextmanager
def stopping(console: "Console", out: Path) -> Iterator[None]:
    """Say what lies in the folder where a person stops the command, and end with the shell's code for that.

    Raises
    ------
    typer.Exit
        Ctrl-C was pressed.
    """
    try:
        yield
    except KeyboardInterrupt:
        if (out / "result.json").exists():
            console.print(
                "Stopped. The folder holds what was finished; its result.json names what was cancelled.", soft_wrap=True
            )
        else:
            console.print("Stopped before anything was written.")
        raise typer.Exit(STOPPED_BY_KEYBOARD) from None


def outcome_table(outcome: "FolderOutcome") -> "Table":
    """One row for every stack, job and kind of leftover: what was done, what was not, and why."""
    from rich.markup import escape
    from rich.table import Table

    colours = {"findings": "green", "none_found": "green", "failed": "red"}
    table = Table(title="What was done", show_lines=True)
    for column in ("Input", "Route and bundles", "Outcome", "Reason, or what was made"):
        table.add_column(column, overflow="fold")
    # Words of a header are shown as they stand: a StudyDescription with "[CE]" is no markup.
    shapes = {s["id"]: f"{escape(s['modality'])} {' x '.join(str(n) for n in s['shape'])}" for s in outcome.stacks}
    refusals = {s["id"]: s["refusal"] for s in outcome.stacks}
    routed = set()
    for job in outcome.jobs:
        routed.add(job.plan.stack)
        made = ", ".join(job.objects)
        table.add_row(
            shapes[job.plan.stack],
            escape(f"{job.plan.route}\n{', '.join(job.plan.bundles)}"),
            f"[{colours.get(job.status, 'yellow')}]{job.status}[/]",
            "\n".join(t for t in (escape(job.reason), *(f"[yellow]{escape(w)}[/]" for w in job.warnings), made) if t),
        )
    for explanation in outcome.explanations:
        if explanation.shape is not None and explanation.stack not in routed:
            why = [_nearest(explanation), refusals[explanation.stack]]
            table.add_row(shapes[explanation.stack], "-", "not routed", escape("\n".join(t for t in why if t)))
    for group in outcome.leftovers:
        kind = escape(group["modality"] or "files")
        names = ", ".join(group["names"]) + (", ..." if group["files"] > len(group["names"]) else "")
        table.add_row(f"{kind}: {group['files']}", "-", group["reason"], escape(f"{group['message']}\n{names}"))
    return table


def _nearest(explanation: "StackExplanation") -> str:
    """Why no route took a stack: what was chosen instead, or the nearest route's first condition that does not hold."""
    instead = [f"{route.route}: {route.not_chosen_because}" for route in explanation.routes if route.not_chosen_because]
    if instead:
        return "\n".join(instead)
    for route in explanation.routes:
        if route.route == explanation.nearest and route.first_failing:
            clause = route.clauses[route.first_failing - 1].sentence
            return f"nearest is {route.route}: {clause}; change its [[route]] in the settings, or add one"
    return "no route matches; add a [[route]] for it to the settings"
