"""`radgate qc export`, `trend` and `limits`: what was judged, as a table, over time, and as limits of a site."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["export", "limits", "trend"]

Config = Annotated[Path, typer.Option("--config", help="Settings file of the service.", exists=True)]
Day = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Only what is not older than this day.")]
ALARM, TOO_FEW = 11, 12
"""Exit codes, as of a FAIL and of what could not be evaluated."""


def export(
    out: Annotated[Path, typer.Argument(help="File to write: .csv or .parquet.")], config: Config, since: Day = None
) -> None:
    """Write one row for each check of each judged series; no name, no id, no UID."""
    from dicom_gateway.quality.export import write_export

    with _connected(config) as connection:
        count = write_export(connection, out, since=0.0 if since is None else since.astimezone().timestamp())
    typer.echo(f"{count} rows")


def trend(
    check: Annotated[str, typer.Argument(help="Id of the check, such as ct.noise.gni.")],
    station: Annotated[str, typer.Option("--station", help="Station name of the scanner.")],
    config: Config,
    profile: Annotated[str, typer.Option(help="Only this protocol profile.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say whether a number of a scanner has changed; exit code 0 no, 11 yes, 12 fewer than 20 points."""
    from dicom_gateway.errors import UnknownTrend
    from dicom_gateway.quality.history import groups, trend_of

    with _connected(config) as connection:
        profiles = [p for s, p, _ in groups(connection) if s == station and p == (profile or p)]
        found = []
        for name in profiles:
            try:
                found.append(trend_of(connection, check, station, name))
            except UnknownTrend:
                continue
    if not found:
        raise UnknownTrend("There are no points of this check for this scanner; see the page of trends for the names.")
    if as_json:
        rows = [{"check": t.check_id, "profile": t.profile, "unit": t.unit, **t.chart.to_json()} for t in found]
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=1).replace("Infinity", "null"))
    else:
        for t in found:
            usual = t.chart.baseline
            base = f"baseline {usual.centre:.4g} +- {usual.spread:.2g}" if usual else "no baseline"
            typer.echo(f"{t.profile}: {len(t.chart.points)} points, {base}. {t.chart.sentence(t.unit, 'en')}".rstrip())
            last = t.chart.points[-1]
            day = datetime.fromtimestamp(last.time_s, UTC).astimezone().date()
            typer.echo(f"  last {last.value:.4g} {t.unit} on {day}")
    if any(t.chart.alarms() for t in found):
        raise typer.Exit(ALARM)
    if all(t.chart.baseline is None for t in found):
        raise typer.Exit(TOO_FEW)


def limits(
    out: Annotated[Path, typer.Argument(help="Profile file to write, such as site_mr1_brain.toml.")],
    station: Annotated[str, typer.Option("--station", help="Station name of the scanner.")],
    profile: Annotated[str, typer.Option(help="Profile that the series were judged with.")],
    config: Config,
) -> None:
    """Write a site profile whose limits come from at least 50 accepted series of one scanner and protocol."""
    from dicom_gateway.errors import OutputRefused
    from dicom_gateway.quality.history import accepted_values
    from dicom_gateway.settings import load_settings
    from qc.image.profile import load_profiles, profile_by_id
    from qc.image.scaled import scaled_limits, site_profile_text

    judged_with = profile_by_id(load_profiles(*load_settings(config).quality.profiles), profile)
    with _connected(config) as connection:
        found = scaled_limits(judged_with, accepted_values(connection, station, profile))
    text = site_profile_text(out.stem, judged_with, found, datetime.now().astimezone().date())
    try:
        with out.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise OutputRefused(f"The profile cannot be written ({error.strerror}); name another file.") from error
    typer.echo(
        f"{len(found)} checks have limits in {out.name}; name '{out.stem}' in the peer's qc_profiles or in a route."
    )


@contextmanager
def _connected(config: Path) -> Iterator["Connection"]:
    from dicom_gateway.settings import load_settings
    from dicom_gateway.store import open_engine

    engine = open_engine(load_settings(config))
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()
