"""`radgate job`: what is worked on, cancelling a job, and starting a cancelled one again."""

import json
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["app"]

app = typer.Typer(help="Jobs: what is worked on, cancelling one, starting it again.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="JOB", help="Id of the job, or how it begins; see `radgate job list`.")]
Config = Annotated[Path, typer.Option("--config", help="Settings file of the service.", exists=True)]
By = Annotated[str, typer.Option("--by", help="Your name, for the record; by default that of your account.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

SHOWN_DIGITS = 12


@app.command("list")
def list_jobs(
    config: Config,
    study: Annotated[str, typer.Option("--study", help="Only jobs of this Study Instance UID.")] = "",
    state: Annotated[str, typer.Option(help="Only jobs in this state, such as RUN.")] = "",
    as_json: AsJson = False,
) -> None:
    """List the jobs, newest first: id, state, progress, bundles, and who cancelled it or why it is not well."""
    from dataclasses import asdict

    from dicom_gateway.cli.sources import index_of
    from dicom_gateway.flow.cancelling import job_rows

    _, engine = index_of(config)
    try:
        found = job_rows(engine, study_uid=study, state=state.upper())
    finally:
        engine.dispose()
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in found], ensure_ascii=False, indent=1))
        return
    for row in found:
        share = "" if row.progress is None else f"{row.progress:.0%}"
        why = f"  {row.reason}" if row.reason else ""
        typer.echo(f"{row.id[:SHOWN_DIGITS]}  {row.state:<10} {share:>4}  {row.bundle}{why}")
    typer.echo(f"{len(found)} jobs")


@app.command()
def cancel(
    job: Name,
    config: Config,
    reason: Annotated[
        str, typer.Option(help="Why; kept in the record and shown on the page, so no patient data.")
    ] = "",
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """Cancel a job that waits or runs: it ends within a second or two, and nothing of it is delivered."""
    from dicom_gateway.cli.sources import index_of
    from dicom_gateway.flow.cancelling import cancel_job, job_named

    _, engine = index_of(config)
    try:
        job_id = job_named(engine, job)
        cancel_job(engine, job_id, who=by.strip() or account(), reason=reason)
    finally:
        engine.dispose()
    if as_json:
        typer.echo(json.dumps({"job": job_id, "state": "CANCELLED"}))
    else:
        typer.echo("The job is cancelled; what runs of it is stopped, and nothing of it is delivered.")


@app.command()
def again(job: Name, config: Config, by: By = "", as_json: AsJson = False) -> None:
    """Start a cancelled job again as it was planned; a running service sees it within a minute."""
    from dicom_gateway.cli.sources import index_of
    from dicom_gateway.flow.cancelling import job_named, start_again

    _, engine = index_of(config)
    try:
        job_id = job_named(engine, job)
        start_again(engine, job_id, who=by.strip() or account())
    finally:
        engine.dispose()
    if as_json:
        typer.echo(json.dumps({"job": job_id, "state": "ROUTED"}))
    else:
        typer.echo("The job is started again; a running service begins it within a minute.")


def account() -> str:
    """Name of the account that runs the command; its number where it has no name."""
    import getpass
    import os

    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"uid {os.getuid()}"
