"""What image quality writes down: series as judged, alerts coalesced per series and cause, points of trends."""

import math
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, and_, insert, not_, or_, select, update
from sqlalchemy.exc import IntegrityError

from dicom_gateway.store.quality_tables import alert, alert_message, judged_series, point
from dicom_gateway.store.tables import event
from imaging.provenance import digest

__all__ = [
    "ARRIVING",
    "AT_REST",
    "WITHDRAWN",
    "Told",
    "acknowledge",
    "keep_judgement",
    "note_event",
    "pending_messages",
    "reject_series",
    "told",
    "told_by",
]

ARRIVING, AT_REST = 1, 2
"""Why a word on a series is provisional: images are coming; or they came to rest, and the study is still waited for."""

WITHDRAWN = "WITHDRAWN"
"""What is told, in place of a grade, of an alert whose findings are gone."""

RANK = {"FAIL": 2, "WARN": 1, "PASS": 0, "NOT_EVALUABLE": -1, WITHDRAWN: -2}


@dataclass(frozen=True)
class Told:
    """An alert that has to go out as a message, or one that did and is withdrawn (its grade is `WITHDRAWN` then)."""

    id: int
    study_uid: str
    series_uid: str
    cause: str
    grade: str
    findings: Sequence[Mapping[str, Any]]
    first_seen: float
    is_final: bool = False
    """Whether all images of the study had come; otherwise more of them may change the finding."""
    taken: Mapping[str, str] = field(default_factory=dict)
    """The grade that was told last, by way."""

    def is_due(self, way: str) -> bool:
        """Whether this way has not taken it yet, or has told a better grade; or has told what is withdrawn since."""
        if self.grade == WITHDRAWN:
            return self.taken.get(way, WITHDRAWN) != WITHDRAWN
        return way not in self.taken or RANK[self.grade] > RANK[self.taken[way]]


def keep_judgement(engine: Engine, answer: Mapping[str, Any], *, now: float | None = None) -> None:
    """Write what the worker said of a series; a provisional word never replaces a final one of as many images."""
    now = time.time() if now is None else now
    verdict, source = answer["verdict"], answer["source"]
    values = {
        "study_uid": source["study_uid"],
        "modality": source["modality"],
        "station": source["station"],
        "serial": source["serial"],
        "profile": verdict["profile_id"],
        "grade": verdict["grade"],
        "provisional": (AT_REST if answer.get("at_rest") else ARRIVING) if verdict["provisional"] else 0,
        "planes": answer["planes"],
        "verdict": verdict,
        "pictures": dict(answer["pictures"]),
        "changed": now,
        "closed": None if verdict["provisional"] else now,
    }
    key = judged_series.c.series_uid == answer["series"]
    with engine.begin() as connection:
        known = connection.execute(select(judged_series.c.planes, judged_series.c.provisional).where(key)).first()
        if known is None:
            connection.execute(insert(judged_series).values(series_uid=answer["series"], opened=now, **values))
        elif not (verdict["provisional"] and not known.provisional and answer["planes"] <= known.planes):
            connection.execute(update(judged_series).where(key).values(**values))
        else:
            return
        _keep_alerts(connection, answer, now)
        if not verdict["provisional"]:
            _keep_points(connection, answer)


def _keep_alerts(connection: Connection, answer: Mapping[str, Any], now: float) -> None:
    """One alert for each cause of the series; one whose findings are gone is withdrawn, never deleted."""
    verdict = answer["verdict"]
    final = not verdict["provisional"]
    causes: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for result in verdict["results"]:
        if result["grade"] in {"WARN", "FAIL"} and result["cause"] is not None and _is_alarming(result):
            causes[result["cause"]["code"]].append(_finding(result, answer["pictures"]))
    rows = {row.cause: row for row in connection.execute(select(alert).where(alert.c.series_uid == answer["series"]))}
    for cause, findings in causes.items():
        findings.sort(key=lambda f: (-RANK[f["grade"]], f["check_id"]))
        grade = findings[0]["grade"]
        values = {
            "grade": grade,
            "findings": findings,
            "state": "confirmed" if final else "open",
            "last_seen": now,
        }
        if cause not in rows:
            connection.execute(
                insert(alert).values(
                    series_uid=answer["series"],
                    study_uid=answer["source"]["study_uid"],
                    cause=cause,
                    first_seen=now,
                    **values,
                )
            )
            continue
        if RANK[grade] > RANK[rows[cause].grade]:
            values |= {"acknowledged": None, "acknowledged_by": None}  # what is worse now has to be seen again
        connection.execute(update(alert).where(alert.c.id == rows[cause].id).values(**values))
    for cause, row in rows.items():
        if cause not in causes and row.state != "withdrawn":
            connection.execute(update(alert).where(alert.c.id == row.id).values(state="withdrawn", last_seen=now))


def _is_alarming(result: Mapping[str, Any]) -> bool:
    """Whether a person has to hear of a finding: it counts for the series, or can be put right only now."""
    role = (result["limits"] or {}).get("role")
    return role == "gate" or bool(result["action"] and result["action"]["now"])


def _finding(result: Mapping[str, Any], pictures: Mapping[str, str]) -> dict[str, Any]:
    action = result["action"] or {}
    return {
        "check_id": result["check_id"],
        "grade": result["grade"],
        "value": result["value"],
        "unit": result["unit"],
        "cause": {k: result["cause"][k] for k in ("zh", "en")},
        "action": {k: action.get(k, "") for k in ("zh", "en", "operator", "now")},
        "picture": pictures.get(result["check_id"], ""),
    }


def _keep_points(connection: Connection, answer: Mapping[str, Any]) -> None:
    """A point for every number of a final verdict; a later verdict on the series replaces its points."""
    verdict, source = answer["verdict"], answer["source"]
    series_digest = digest(["trend", answer["series"]])
    for item in [*verdict["results"], *verdict["measurements"]]:
        value = item["value"]
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            continue
        keep_point(
            connection,
            {
                "check_id": item["check_id"],
                "station": source["station"],
                "serial": source["serial"],
                "profile": verdict["profile_id"],
                "time": source["time"] if source["time"] is not None else time.time(),
                "value": float(value),
                "uncertainty": item["uncertainty"],
                "unit": item["unit"],
                "series_digest": series_digest,
            },
        )


def keep_point(connection: Connection, values: Mapping[str, Any]) -> None:
    """Insert a point, or replace the one of the same check and series."""
    same = (point.c.check_id == values["check_id"]) & (point.c.series_digest == values["series_digest"])
    try:
        with connection.begin_nested():
            connection.execute(insert(point).values(**values))
    except IntegrityError:
        connection.execute(update(point).where(same).values(**values))


def pending_messages(engine: Engine, least_grade: str) -> list[Told]:
    """Alerts that were not told by every way, are other than when they were told, or were told and hold no more.

    An alert holds no more when it is withdrawn, or better than the least grade now.
    """
    grades = [g for g, rank in RANK.items() if rank >= RANK[least_grade]]
    holds = and_(alert.c.state != "withdrawn", alert.c.grade.in_(grades))
    was_told = select(alert_message.c.alert_id).where(alert_message.c.alert_id == alert.c.id).exists()
    news = or_(
        and_(holds, alert.c.told_grade.is_(None) | (alert.c.told_grade != alert.c.grade)),
        and_(not_(holds), was_told, alert.c.told_grade.is_(None) | (alert.c.told_grade != WITHDRAWN)),
    )
    with engine.connect() as connection:
        rows = connection.execute(select(alert, holds.label("holds")).where(news).order_by(alert.c.id)).all()
        due = [(r, str(r.grade) if r.holds else WITHDRAWN) for r in rows]
        taken: dict[int, dict[str, str]] = defaultdict(dict)
        for part in range(0, len(due), 500):  # a statement takes a limited number of values
            ids = [r.id for r, _ in due[part : part + 500]]
            for row in connection.execute(select(alert_message).where(alert_message.c.alert_id.in_(ids))):
                taken[row.alert_id][row.way] = row.grade
    return [
        Told(
            r.id,
            r.study_uid,
            r.series_uid,
            r.cause,
            grade,
            r.findings,
            r.first_seen,
            r.state == "confirmed",
            taken[r.id],
        )
        for r, grade in due
    ]


def told_by(engine: Engine, item: Told, way: str) -> None:
    """Note that one way took the message of an alert, so that no other way's fault sends it there again."""
    values = {"grade": item.grade, "told": time.time()}
    same = (alert_message.c.alert_id == item.id) & (alert_message.c.way == way)
    with engine.begin() as connection:
        if not connection.execute(update(alert_message).where(same).values(**values)).rowcount:
            connection.execute(insert(alert_message).values(alert_id=item.id, way=way, **values))
        # The ways differ now, until `told` finds that none of them waits for anything.
        connection.execute(update(alert).where(alert.c.id == item.id).values(told_grade=None))


def told(engine: Engine, item: Told) -> None:
    """Note that the message of an alert went out by every way."""
    with engine.begin() as connection:
        connection.execute(update(alert).where(alert.c.id == item.id).values(told=time.time(), told_grade=item.grade))


def acknowledge(engine: Engine, alert_id: int, who: str, note: str) -> bool:
    """Note that a person has seen an alert; it stays. Whether there is such an alert."""
    with engine.begin() as connection:
        row = connection.execute(select(alert).where(alert.c.id == alert_id)).first()
        if row is None:
            return False
        connection.execute(
            update(alert)
            .where(alert.c.id == alert_id)
            .values(acknowledged=time.time(), acknowledged_by=who[:64], note=note[:256])
        )
        note_event(connection, "quality_acknowledged", row.study_uid, {"alert": alert_id, "cause": row.cause})
    return True


def reject_series(engine: Engine, series_uid: str, who: str, reason: str) -> bool:
    """Note that a person rejected a series for its quality. Whether it was judged and not rejected before."""
    key = judged_series.c.series_uid == series_uid
    with engine.begin() as connection:
        row = connection.execute(select(judged_series).where(key)).first()
        if row is None or row.rejected is not None or row.provisional:
            return False
        connection.execute(
            update(judged_series)
            .where(key)
            .values(rejected=time.time(), rejected_by=who[:64], reject_reason=reason[:256], changed=time.time())
        )
        note_event(connection, "quality_rejected", row.study_uid, {"series_uid": series_uid})
    return True


def note_event(connection: Connection, kind: str, study_uid: str | None, detail: Mapping[str, Any]) -> None:
    """Append to the audit trail of the index: codes and UIDs, no patient data."""
    connection.execute(insert(event).values(time=time.time(), kind=kind, study_uid=study_uid, detail=dict(detail)))
