"""`radgate deliver`: what waits to be sent, what was taken or refused, and sending it again."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from dicom_gateway.deliver import DeliveryRow
    from dicom_gateway.settings import Settings

__all__ = ["app"]

app = typer.Typer(help="Deliveries: what was sent where, and sending it again.", no_args_is_help=True)

Config = Annotated[Path, typer.Option("--config", help="Settings file of the service.", exists=True)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

GIVEN_UP = ("DEAD", "REJECTED")


@app.command("list")
def list_deliveries(
    config: Config,
    state: Annotated[str, typer.Option(help="Only rows in this state, such as DEAD.")] = "",
    destination: Annotated[str, typer.Option(help="Only rows of this destination.")] = "",
    as_json: AsJson = False,
) -> None:
    """List the deliveries: number, state, attempts, destination, object, and the last error."""
    from dataclasses import asdict

    from dicom_gateway.cli.sources import index_of
    from dicom_gateway.deliver import rows

    _, engine = index_of(config)
    try:
        found = [r for r in rows(engine, destination=destination or None) if r.state == (state.upper() or r.state)]
    finally:
        engine.dispose()
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in found], ensure_ascii=False, indent=1))
        return
    for row in found:
        error = f"  {row.last_error}" if row.last_error else ""
        typer.echo(f"{row.id:>6}  {row.state:<9} {row.attempts:>3}  {row.destination:<16} {row.sop_uid}{error}")
    typer.echo(f"{len(found)} deliveries")


@app.command()
def resend(
    config: Config,
    numbers: Annotated[list[int] | None, typer.Argument(help="Numbers from `radgate deliver list`.")] = None,
    dead: Annotated[bool, typer.Option("--dead", help="Everything that was given up or rejected.")] = False,
    as_json: AsJson = False,
) -> None:
    """Send deliveries again from the beginning; a running service sees it within seconds, another at its start."""
    import time

    from dicom_gateway import deliver
    from dicom_gateway.cli.sources import index_of

    settings, engine = index_of(config)
    try:
        chosen = _chosen(deliver.rows(engine), numbers or [], settings, dead=dead)
        sent = [row.id for row in chosen if deliver.resend(engine, row.id, time.time())]
    finally:
        engine.dispose()
    busy = len(chosen) - len(sent)
    if as_json:
        typer.echo(json.dumps({"resent": sent, "being_sent": busy}))
        return
    typer.echo(f"{len(sent)} deliveries will be sent again" + (f"; {busy} are being sent just now" if busy else ""))


def _chosen(found: "list[DeliveryRow]", numbers: list[int], settings: "Settings", *, dead: bool) -> "list[DeliveryRow]":
    """The rows that are meant, all of which can be sent.

    Raises
    ------
    DeliveryError
        Nothing or something unknown is named, or a destination is no longer in the settings.
    """
    from dicom_gateway.errors import DeliveryError

    if bool(numbers) == dead:
        raise DeliveryError("Name the deliveries to send again by number, or give --dead for all that were given up.")
    unknown = sorted(set(numbers) - {row.id for row in found})
    if unknown:
        raise DeliveryError(f"There is no delivery {unknown[0]}; see `radgate deliver list`.", number=unknown[0])
    chosen = [row for row in found if row.id in numbers or (dead and row.state in GIVEN_UP)]
    configured = {destination.name for destination in settings.destinations}
    gone = next((row for row in chosen if row.destination not in configured), None)
    if gone is not None:
        raise DeliveryError(
            f"Delivery {gone.id} goes to '{gone.destination}', which the settings do not have; add the "
            "[[destination]], or name other deliveries."
        )
    return chosen
