"""What the board shows: alerts, series and held runs of a day, each with the patient it is about."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, or_, select

from dicom_gateway.quality.record import ARRIVING
from dicom_gateway.store.quality_tables import alert, hold, judged_series
from dicom_gateway.store.tables import job, series, step_log, study

__all__ = ["Board", "SeriesView", "read_board", "read_series"]

MOST_SERIES = 200
RANK = {"FAIL": 0, "WARN": 1, "PASS": 3, "NOT_EVALUABLE": 2}

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Board:
    """One day. Holds patient data."""

    day: date
    alerts: Sequence[Row]
    series: Sequence[Row]
    holds: Sequence[Row]
    counts: Mapping[str, int]


@dataclass(frozen=True)
class SeriesView:
    """One series as its page shows it. Holds patient data."""

    row: Row
    patient: Row
    alerts: Sequence[Row]
    runs: Sequence[Row] = ()
    """What the runs on this series were decided by: route, bundle, grade and profile_id."""


def read_board(connection: Connection, day: date | None = None) -> Board:
    """The board of a day (today by default): what waits for a person comes first, then the newest."""
    day = day or datetime.fromtimestamp(time.time()).astimezone().date()
    begin = datetime(day.year, day.month, day.day).astimezone()
    end = begin + timedelta(days=1)
    of_day = (begin.timestamp(), end.timestamp())
    rows = [
        dict(row)
        for row in connection.execute(
            select(judged_series, study.c.patient_name, study.c.patient_id, series.c.series_description)
            .outerjoin(study, study.c.study_uid == judged_series.c.study_uid)
            .outerjoin(series, series.c.series_uid == judged_series.c.series_uid)
            .where(judged_series.c.changed.between(*of_day))
            .order_by(judged_series.c.opened.desc(), judged_series.c.series_uid)
            .limit(MOST_SERIES)
        ).mappings()
    ]
    for row in rows:
        row.update(_told(row))
    alerts = [
        dict(row)
        for row in connection.execute(
            select(
                alert,
                study.c.patient_name,
                study.c.patient_id,
                judged_series.c.station,
                judged_series.c.modality,
                judged_series.c.planes,
                judged_series.c.provisional,
                judged_series.c.profile,
                series.c.series_description,
            )
            .outerjoin(study, study.c.study_uid == alert.c.study_uid)
            .outerjoin(judged_series, judged_series.c.series_uid == alert.c.series_uid)
            .outerjoin(series, series.c.series_uid == alert.c.series_uid)
            .where(alert.c.state != "withdrawn", alert.c.last_seen.between(*of_day))
            .order_by(alert.c.first_seen.desc())
            .limit(MOST_SERIES)
        ).mappings()
    ]
    # Seen ones sink; among the others the worst is first, then what helps only while the patient is there.
    alerts.sort(key=_urgency)
    counts = {grade: sum(r["grade"] == grade and not r["is_awaited"] for r in rows) for grade in RANK}
    return Board(day, alerts, rows, _holds(connection, of_day), counts)


def _urgency(row: Row) -> tuple[bool, int, bool, float]:
    is_now = any(f["action"]["now"] for f in row["findings"])
    return row["acknowledged"] is not None, RANK[row["grade"]], not is_now, -row["first_seen"]


def _holds(connection: Connection, of_day: tuple[float, float]) -> list[dict[str, Any]]:
    """Runs that wait, however old, and those decided on this day."""
    found = connection.execute(
        select(hold, study.c.patient_name, study.c.patient_id)
        .outerjoin(study, study.c.study_uid == hold.c.study_uid)
        .outerjoin(job, job.c.id == hold.c.job_id)
        # A later version of the study has taken over from a job that is held no longer.
        .where(or_(and_(hold.c.state == "open", job.c.state == "HELD"), hold.c.decided.between(*of_day)))
        .order_by(hold.c.decided.is_not(None), hold.c.created)
    )
    return [dict(row) for row in found.mappings()]


def _told(row: Row) -> dict[str, Any]:
    """What the pages say of a judged series besides its row."""
    return {
        "findings": findings_of(row),
        "unjudged": unjudged_of(row),
        "not_judged": reason_of(row),
        "is_awaited": is_awaited(row),
    }


def findings_of(row: Row) -> list[dict[str, Any]]:
    """The WARN and FAIL results of a judged series with their pictures, the worst first."""
    verdict, pictures = row["verdict"], row["pictures"] or {}
    bad = [
        {**result, "picture": pictures.get(result["check_id"], "")}
        for result in verdict.get("results", ())
        if result["grade"] in {"WARN", "FAIL"}
    ]
    return sorted(bad, key=lambda r: (RANK[r["grade"]], (r["limits"] or {}).get("role") != "gate", r["check_id"]))


def unjudged_of(row: Row) -> list[dict[str, Any]]:
    """Results of required checks that could not be evaluated, where the series is WARN or FAIL for them."""
    verdict = row["verdict"]
    required = verdict.get("required", ()) if row["grade"] in {"WARN", "FAIL"} else ()
    return [r for r in verdict.get("results", ()) if r["grade"] == "NOT_EVALUABLE" and r["check_id"] in required]


def is_awaited(row: Row) -> bool:
    """Whether a series has no grade to show: it arrives, nothing bad was seen, and it was not checked as a whole."""
    return row["provisional"] == ARRIVING and row["grade"] not in {"WARN", "FAIL"}


def reason_of(row: Row) -> str:
    """Why a series was not judged: the reason that most of its checks give; "" where it has a grade."""
    reasons = Counter(r["reason"] for r in row["verdict"].get("results", ()) if r.get("reason"))
    return max(sorted(reasons), key=reasons.__getitem__) if row["grade"] == "NOT_EVALUABLE" and reasons else ""


def read_series(connection: Connection, series_uid: str) -> SeriesView | None:
    """One series with its alerts, or None where it was not judged."""
    row = connection.execute(select(judged_series).where(judged_series.c.series_uid == series_uid)).mappings().first()
    if row is None:
        return None
    patient = (
        connection
        .execute(
            select(study, series.c.series_description, series.c.series_number)
            .outerjoin(series, series.c.series_uid == series_uid)
            .where(study.c.study_uid == row["study_uid"])
        )
        .mappings()
        .first()
    )
    alerts = connection.execute(
        select(alert).where(alert.c.series_uid == series_uid).order_by(alert.c.first_seen, alert.c.id)
    ).mappings()
    return SeriesView(
        {**row, **_told(dict(row))},
        dict(patient) if patient else {},
        [dict(a) for a in alerts],
        _runs(connection, series_uid),
    )


def _runs(connection: Connection, series_uid: str) -> list[dict[str, Any]]:
    """The verdicts that runs on a series were decided by: a route may name another profile than the board has used."""
    rows = connection.execute(
        select(job.c.id, job.c.route, job.c.bundle, step_log.c.detail)
        .join(step_log, (step_log.c.job_id == job.c.id) & (step_log.c.step == "qc"))
        .where(job.c.series_uid == series_uid, step_log.c.detail.is_not(None))
        .order_by(job.c.version, job.c.created, job.c.id, step_log.c.id)
    )
    newest = {
        row.id: {"route": row.route, "bundle": row.bundle, **{k: row.detail[k] for k in ("grade", "profile_id")}}
        for row in rows
        if row.detail and "profile_id" in row.detail
    }
    return list(newest.values())
