"""Trends from the index: points of a check on one scanner and protocol, their chart, and audited new baselines."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, func, insert, select

from dicom_gateway.errors import UnknownTrend
from dicom_gateway.quality.record import note_event
from dicom_gateway.store.quality_tables import baseline, judged_series, point
from imaging.provenance import digest
from qc.image.trend import Chart, Point, baseline_of, chart_of

__all__ = ["Trend", "accepted_values", "groups", "rebaseline", "trend_of", "trends_of"]

MOST_POINTS = 2000
LEAST_SHOWN = 2


@dataclass(frozen=True)
class Trend:
    """One check on one scanner under one protocol."""

    check_id: str
    station: str
    profile: str
    unit: str
    chart: Chart
    since_s: float | None
    reason: str


def groups(connection: Connection) -> list[tuple[str, str, int]]:
    """(station, profile, series) of all that has points."""
    rows = connection.execute(
        select(point.c.station, point.c.profile, func.count(func.distinct(point.c.series_digest)))
        .group_by(point.c.station, point.c.profile)
        .order_by(point.c.station, point.c.profile)
    )
    return [(r[0], r[1], r[2]) for r in rows]


def trends_of(connection: Connection, station: str, profile: str, checks: Sequence[str] | None = None) -> list[Trend]:
    """The trends of a scanner and protocol with at least two points, alarms first."""
    query = select(point.c.check_id).where(point.c.station == station, point.c.profile == profile)
    known = connection.execute(query.group_by(point.c.check_id).order_by(point.c.check_id)).scalars().all()
    found = [trend_of(connection, check, station, profile) for check in known if checks is None or check in checks]
    shown = [t for t in found if len(t.chart.points) >= LEAST_SHOWN]
    return sorted(shown, key=lambda t: (not t.chart.alarms(), t.check_id))


def accepted_values(connection: Connection, station: str, profile: str) -> dict[str, list[float]]:
    """Values by check of a scanner and protocol, without those of series that a person rejected."""
    rejected = connection.execute(select(judged_series.c.series_uid).where(judged_series.c.rejected.is_not(None)))
    out = {digest(["trend", uid]) for uid in rejected.scalars()}
    found: dict[str, list[float]] = {}
    rows = connection.execute(
        select(point.c.check_id, point.c.value, point.c.series_digest)
        .where(point.c.station == station, point.c.profile == profile)
        .order_by(point.c.check_id, point.c.time)
    )
    for check_id, value, series in rows:
        if series not in out:
            found.setdefault(check_id, []).append(value)
    return found


def trend_of(connection: Connection, check_id: str, station: str, profile: str) -> Trend:
    """One trend against its newest baseline.

    Raises
    ------
    UnknownTrend
        There is no point of this check on this scanner and protocol.
    """
    rows = connection.execute(
        select(point)
        .where(point.c.check_id == check_id, point.c.station == station, point.c.profile == profile)
        .order_by(point.c.time.desc(), point.c.series_digest)
        .limit(MOST_POINTS)
    ).all()
    if not rows:
        raise UnknownTrend("There are no points of this check for this scanner and protocol; check their names.")
    points = [Point(r.time, r.series_digest, r.value, r.uncertainty) for r in rows]
    named = connection.execute(
        select(baseline.c.since, baseline.c.reason)
        .where(baseline.c.check_id == check_id, baseline.c.station == station, baseline.c.profile == profile)
        .order_by(baseline.c.id.desc())
    ).first()
    usual = baseline_of(points, since_s=named.since) if named else baseline_of(points)
    # What was before a new baseline is another machine: it is shown and not judged.
    return Trend(
        check_id,
        station,
        profile,
        rows[0].unit,
        chart_of(points, usual),
        named.since if named else None,
        named.reason if named else "",
    )


def rebaseline(
    engine: Engine, check_id: str, station: str, profile: str, *, since_s: float, reason: str, who: str
) -> None:
    """Begin a new baseline; who and why stay in the audit trail.

    Raises
    ------
    UnknownTrend
        There is no such trend, or no reason was given.
    """
    if not reason.strip() or not who.strip():
        raise UnknownTrend("A new baseline needs a reason (tube change, upgrade) and a name; give both.")
    with engine.begin() as connection:
        trend_of(connection, check_id, station, profile)
        connection.execute(
            insert(baseline).values(
                check_id=check_id,
                station=station,
                profile=profile,
                since=since_s,
                reason=reason.strip()[:500],
                made_by=who.strip()[:64],
                created=time.time(),
            )
        )
        note_event(
            connection,
            "quality_baseline",
            None,
            {"check": check_id, "station": station, "profile": profile, "since": since_s, "by": who.strip()[:64]},
        )
