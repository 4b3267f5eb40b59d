"""The worklist: one row for each study with its newest version, read from the index in a few bounded queries."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, exists, func, literal_column, or_, select

from dicom_gateway.store.tables import (
    delivery,
    dose_sum,
    encoded_object,
    instance,
    job,
    quarantine,
    result,
    series,
    step_log,
    study,
    study_version,
)

__all__ = [
    "Filter",
    "Worklist",
    "WorklistRow",
    "held_up",
    "incomplete_reason",
    "known_states",
    "read_worklist",
    "unreached",
]

PAGE_ROWS = 60
GOOD = ("ACCEPTED", "WARNED", "COMMITTED", "VERIFIED")
BAD = ("REJECTED", "DEAD")
WAITING = ("PENDING", "SENDING")
PROBLEM_RESULTS = ("partial", "failed", "refused", "held")
PROBLEM_STATES = ("INCOMPLETE", "UNROUTED", "FAILED", "REFUSED", "PARTLY", "HELD")


@dataclass(frozen=True)
class Filter:
    """Which studies are shown."""

    text: str = ""
    state: str = ""
    modality: str = ""
    page: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing is filtered."""
        return not (self.text or self.state or self.modality)


@dataclass
class WorklistRow:
    """One study for people. Holds patient data."""

    study_uid: str
    patient_name: str
    patient_id: str
    study_date: str
    description: str
    accession: str
    state: str
    version: int
    reason: str
    changed: float
    images: int = 0
    modalities: list[str] = field(default_factory=list)
    step: str = ""
    step_state: str = ""
    progress: float | None = None
    result_states: list[str] = field(default_factory=list)
    outlets: list[str] = field(default_factory=list)
    delivered: int = 0
    failed: int = 0
    sends: int = 0
    unreached: int = 0
    """Sends that wait for a destination that is down, or refuses for now."""
    unreached_why: dict[str, str] = field(default_factory=dict)
    """The last error of each such destination."""
    quarantined: int = 0
    incomplete: str = ""
    """Why the images were not all there, where work went on with those that were."""
    dose: str = ""
    """State of the newest sum of doses of this study, open proposals first."""

    @property
    def is_problem(self) -> bool:
        """Whether a person should look."""
        unwell = any(s in PROBLEM_RESULTS for s in self.result_states) or bool(self.incomplete)
        return self.state in PROBLEM_STATES or unwell or self.failed + self.unreached + self.quarantined > 0


@dataclass(frozen=True)
class Worklist:
    """One page of studies, how many there are in each state, and the modalities there are."""

    rows: list[WorklistRow]
    total: int
    states: dict[str, int]
    modalities: list[str]


def read_worklist(connection: Connection, wanted: Filter) -> Worklist:
    """The studies of a filter, the last received first: rows keep their place while they are worked on."""
    newest = (
        select(study_version.c.study_uid, func.max(study_version.c.version).label("version"))
        .group_by(study_version.c.study_uid)
        .subquery()
    )
    joined = study.outerjoin(newest, newest.c.study_uid == study.c.study_uid).outerjoin(
        study_version,
        and_(study_version.c.study_uid == study.c.study_uid, study_version.c.version == newest.c.version),
    )
    # A literal, not a parameter: PostgreSQL would take the parameters of SELECT and GROUP BY for different expressions.
    state = func.coalesce(study_version.c.state, literal_column("'RECEIVING'"))
    activity = func.coalesce(study_version.c.changed, study.c.last_received)
    conditions = _conditions(wanted, state)
    total = connection.execute(select(func.count()).select_from(joined).where(*conditions)).scalar_one()
    found = connection.execute(
        select(
            study,
            state.label("state"),
            func.coalesce(study_version.c.version, 1).label("version"),
            study_version.c.reason,
            study_version.c.evidence,
            activity.label("changed"),
        )
        .select_from(joined)
        .where(*conditions)
        .order_by(study.c.last_received.desc(), study.c.study_uid)
        .limit(PAGE_ROWS)
        .offset(wanted.page * PAGE_ROWS)
    ).mappings()
    rows = [_row(r) for r in found]
    by_uid = {r.study_uid: r for r in rows}
    if by_uid:
        _add_images(connection, by_uid)
        _add_steps(connection, by_uid)
        _add_results(connection, by_uid)
        _add_quarantine(connection, by_uid)
        _add_doses(connection, by_uid)
    counts = connection.execute(select(state, func.count()).select_from(joined).group_by(state))
    modalities = connection.execute(select(series.c.modality).distinct().where(series.c.modality.is_not(None)))
    return Worklist(rows, total, dict(counts.all()), sorted(m for (m,) in modalities if m))


def _conditions(wanted: Filter, state: ColumnElement[Any]) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.state == "PROBLEM":
        conditions.append(_is_problem(state))
    elif wanted.state:
        conditions.append(state == wanted.state)
    if wanted.modality:
        inside = select(series.c.study_uid).where(series.c.modality == wanted.modality)
        conditions.append(study.c.study_uid.in_(inside))
    for word in wanted.text.split()[:5]:
        pattern = "%" + re.sub(r"([\\%_])", r"\\\1", word) + "%"
        columns = (
            study.c.patient_name,
            func.replace(study.c.patient_name, "^", ""),  # a Chinese name is typed without anything between
            study.c.patient_id,
            study.c.accession_number,
            study.c.study_description,
            study.c.study_uid,
            study.c.study_date,
        )
        conditions.append(or_(*(c.ilike(pattern, escape="\\") for c in columns)))
    return conditions


def _is_problem(state: ColumnElement[Any]) -> ColumnElement[bool]:
    """`WorklistRow.is_problem` in SQL: the filter lists the rows that are marked."""
    of_newest = (
        result.c.study_uid == study.c.study_uid,
        result.c.version == func.coalesce(study_version.c.version, 1),
    )
    return or_(
        state.in_(PROBLEM_STATES),
        study_version.c.evidence["state"].as_string() == "INCOMPLETE",
        exists().where(*of_newest, result.c.status.in_(PROBLEM_RESULTS)),
        exists().where(*of_newest, delivery.c.result_id == result.c.id, delivery.c.state.in_(BAD)),
        exists().where(*of_newest, delivery.c.result_id == result.c.id, *held_up()),
        exists().where(quarantine.c.study_uid == study.c.study_uid, quarantine.c.settled.is_(None)),
    )


def held_up() -> tuple[ColumnElement[bool], ...]:
    """Sends that wait for a destination that did not take an object of late, whether they were tried or not."""
    tried = delivery.alias()
    unwell = select(tried.c.destination).where(tried.c.state.in_(WAITING), tried.c.last_error.is_not(None))
    return (delivery.c.state.in_(WAITING), delivery.c.destination.in_(unwell))


def unreached(connection: Connection) -> dict[str, str]:
    """The last error of each destination that sends wait for."""
    last = select(delivery.c.destination, func.max(delivery.c.last_error)).group_by(delivery.c.destination)
    return dict(connection.execute(last.where(*held_up())).all())


def _row(found: Any) -> WorklistRow:
    return WorklistRow(
        study_uid=found["study_uid"],
        patient_name=found["patient_name"] or "",
        patient_id=found["patient_id"] or "",
        study_date=found["study_date"] or "",
        description=found["study_description"] or "",
        accession=found["accession_number"] or "",
        state=found["state"],
        version=found["version"],
        reason=found["reason"] or "",
        changed=found["changed"] or 0.0,
        incomplete="" if found["state"] == "INCOMPLETE" else incomplete_reason(found["evidence"]),
    )


def incomplete_reason(evidence: Any) -> str:
    """Why a study version was decided to be incomplete, whatever became of it since; empty where it was not."""
    if not isinstance(evidence, Mapping) or evidence.get("state") != "INCOMPLETE":
        return ""
    return str(evidence.get("reason") or "Images are missing.")


def _add_images(connection: Connection, rows: dict[str, WorklistRow]) -> None:
    found = connection.execute(
        select(instance.c.study_uid, series.c.modality, func.count(), func.max(instance.c.received))
        .join(series, series.c.series_uid == instance.c.series_uid)
        .where(instance.c.study_uid.in_(rows), instance.c.origin == "received")
        .group_by(instance.c.study_uid, series.c.modality)
        .order_by(series.c.modality)
    )
    for uid, modality, count, last in found:
        rows[uid].images += count
        rows[uid].changed = max(rows[uid].changed, last)
        if modality:
            rows[uid].modalities.append(modality)


def _add_steps(connection: Connection, rows: dict[str, WorklistRow]) -> None:
    newest = select(func.max(step_log.c.id)).where(step_log.c.study_uid.in_(rows)).group_by(step_log.c.study_uid)
    for found in connection.execute(select(step_log).where(step_log.c.id.in_(newest))).mappings():
        row = rows[found["study_uid"]]
        row.step, row.step_state = found["step"], found["state"]
        row.changed = max(row.changed, found["ended"] or found["started"])
    running = connection.execute(
        select(job.c.study_uid, job.c.version, job.c.progress, job.c.reason)
        .where(job.c.study_uid.in_(rows))
        .order_by(job.c.created)
    )
    for uid, version, progress, reason in running:
        row = rows[uid]
        if version == row.version:
            row.progress = progress if row.step_state == "running" and progress is not None else row.progress
            row.reason = row.reason or reason or ""


def _add_results(connection: Connection, rows: dict[str, WorklistRow]) -> None:
    newest_results: dict[str, str] = {}
    for found in connection.execute(select(result).where(result.c.study_uid.in_(rows))).mappings():
        row = rows[found["study_uid"]]
        if found["version"] == row.version:
            row.result_states.append(found["status"])
            newest_results[found["id"]] = row.study_uid
            row.reason = row.reason or _reason_of(found["document"])
    if not newest_results:
        return
    outlets: dict[str, set[str]] = defaultdict(set)
    for result_id, outlet in connection.execute(
        select(encoded_object.c.result_id, encoded_object.c.outlet).where(
            encoded_object.c.result_id.in_(newest_results)
        )
    ):
        outlets[newest_results[result_id]].add(outlet)
    for uid, names in outlets.items():
        rows[uid].outlets = sorted(names)
    for result_id, state, count in connection.execute(
        select(delivery.c.result_id, delivery.c.state, func.count())
        .where(delivery.c.result_id.in_(newest_results), delivery.c.state != "CANCELLED")
        .group_by(delivery.c.result_id, delivery.c.state)
    ):
        row = rows[newest_results[result_id]]
        row.sends += count
        row.delivered += count if state in GOOD else 0
        row.failed += count if state in BAD else 0
    why = unreached(connection)
    for result_id, destination, count in connection.execute(
        select(delivery.c.result_id, delivery.c.destination, func.count())
        .where(delivery.c.result_id.in_(newest_results), *held_up())
        .group_by(delivery.c.result_id, delivery.c.destination)
        .order_by(delivery.c.destination)
    ):
        row = rows[newest_results[result_id]]
        row.unreached += count
        row.unreached_why[destination] = why.get(destination, "")


def _reason_of(document: Any) -> str:
    """Why runs of a result did not end well, from its JSON; empty where all did."""
    runs = document.get("runs") if isinstance(document, Mapping) else None
    bad = [r for r in runs or [] if isinstance(r, Mapping) and r.get("status", "ok") != "ok"]
    return " ".join(dict.fromkeys(str(r.get("reason") or "") for r in bad)).strip()


def _add_quarantine(connection: Connection, rows: dict[str, WorklistRow]) -> None:
    for uid, count in connection.execute(
        select(quarantine.c.study_uid, func.count())
        .where(quarantine.c.study_uid.in_(rows), quarantine.c.settled.is_(None))
        .group_by(quarantine.c.study_uid)
    ):
        rows[uid].quarantined = count


def known_states(states: Sequence[str]) -> list[str]:
    """States in the order of a study's path; unknown ones last."""
    order = (
        "RECEIVING",
        "COMPLETE",
        "INCOMPLETE",
        "UNROUTED",
        "ROUTED",
        "RUNNING",
        "DELIVERING",
        "DELIVERED",
        "PARTLY",
        "REFUSED",
        "FAILED",
        "HELD",
        "CANCELLED",
        "SUPERSEDED",
    )
    return sorted(states, key=lambda s: (order.index(s) if s in order else len(order), s))


def _add_doses(connection: Connection, by_uid: Mapping[str, WorklistRow]) -> None:
    found = connection.execute(
        select(dose_sum.c.study_uid, dose_sum.c.state)
        .where(dose_sum.c.study_uid.in_(by_uid), dose_sum.c.state.not_in(("ACCEPTED", "DISMISSED")))
        .order_by(dose_sum.c.changed)
    )
    for uid, state in found:
        if by_uid[uid].dose != "PROPOSED":
            by_uid[uid].dose = state
