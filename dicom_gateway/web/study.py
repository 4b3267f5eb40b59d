"""One study as the page shows it: what was received, why it went where it went, what ran, what came out, who has it.

Everything is read robustly: the JSON of steps and results is written by other parts of radgate, of this version or an
older one, and a key that is missing leaves a gap on the page, never an error.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from dicom_gateway.flow.cancelling import CANCELLABLE
from dicom_gateway.store.tables import (
    cancellation,
    delivery,
    encoded_object,
    event,
    instance,
    job,
    quarantine,
    result,
    series,
    step_log,
    study,
    study_version,
)
from dicom_gateway.web.found import finding_rows, landmark_rows, score_rows
from dicom_gateway.web.worklist import incomplete_reason, unreached

__all__ = ["JOB_STEPS", "StudyView", "read_study"]

STUDY_STEPS = ("split", "route")
JOB_STEPS = ("qc", "run", "measure", "encode", "validate", "deliver")
MOST_EVENTS = 200

Row = Mapping[str, Any]


@dataclass(frozen=True)
class StudyView:
    """All that the page of one study version shows. Holds patient data."""

    study: Row
    version: Row
    versions: list[int]
    series: list[Row]
    path: list[tuple[str, str]]
    stacks: list[Row]
    leftovers: list[Row]
    is_split: bool
    explanations: list[Row]
    steps: list[Row]
    jobs: list[dict[str, Any]]
    results: list[dict[str, Any]]
    events: Sequence[Row]
    quarantined: int
    unreached: Mapping[str, str]
    """The last error of each destination that sends wait for, of this or another study."""

    @property
    def state(self) -> str:
        """State of this version."""
        return str(self.version.get("state") or "RECEIVING")

    @property
    def is_incomplete(self) -> bool:
        """Whether this version was decided although images were missing, whatever became of it since."""
        return bool(incomplete_reason(self.version.get("evidence")))


def read_study(connection: Connection, study_uid: str, version: int | None = None) -> StudyView | None:
    """The study with one of its versions (the newest by default), or None where there is none."""
    found = connection.execute(select(study).where(study.c.study_uid == study_uid)).mappings().first()
    if found is None:
        return None
    versions = _all(
        connection,
        select(study_version).where(study_version.c.study_uid == study_uid).order_by(study_version.c.version),
    )
    chosen = next((v for v in versions if v["version"] == version), versions[-1] if versions else {})
    number = chosen.get("version", 1)
    of_version = (step_log.c.study_uid == study_uid) & (step_log.c.version == number)
    steps = _all(connection, select(step_log).where(of_version).order_by(step_log.c.id))
    split, route = _detail(steps, "split"), _detail(steps, "route")
    jobs = _jobs(connection, study_uid, number, steps)
    results = _results(connection, study_uid, number)
    last_events = select(event).where(event.c.study_uid == study_uid).order_by(event.c.id.desc()).limit(MOST_EVENTS)
    return StudyView(
        study=dict(found),
        version=chosen,
        versions=[v["version"] for v in versions],
        series=_series(connection, study_uid),
        path=_path(chosen, steps, results),
        stacks=_list(split, "stacks"),
        leftovers=_list(split, "leftovers"),
        is_split=bool(split),
        explanations=_list(route, "explanations"),
        steps=[s for s in steps if not s["job_id"]],
        jobs=jobs,
        results=results,
        events=_all(connection, last_events),
        quarantined=connection.execute(
            select(func.count()).where(quarantine.c.study_uid == study_uid, quarantine.c.settled.is_(None))
        ).scalar_one(),
        unreached=unreached(connection),
    )


def _all(connection: Connection, query: Any) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(query).mappings()]


def _detail(steps: list[dict[str, Any]], name: str) -> Mapping[str, Any]:
    """Detail of the last run of a step."""
    for step in reversed(steps):
        if step["step"] == name and isinstance(step["detail"], Mapping):
            return step["detail"]
    return {}


def _list(detail: Mapping[str, Any], key: str) -> list[Row]:
    value = detail.get(key)
    return [v for v in value if isinstance(v, Mapping)] if isinstance(value, list) else []


def _series(connection: Connection, study_uid: str) -> list[Row]:
    counts: dict[str, dict[str, Any]] = {}
    for uid, origin, count, size in connection.execute(
        select(instance.c.series_uid, instance.c.origin, func.count(), func.sum(instance.c.size_bytes))
        .where(instance.c.study_uid == study_uid)
        .group_by(instance.c.series_uid, instance.c.origin)
    ):
        counts[uid] = {"origin": origin, "images": count, "size_bytes": size}
    rows = _all(
        connection,
        select(series).where(series.c.study_uid == study_uid).order_by(series.c.series_number, series.c.series_uid),
    )
    return [row | counts.get(row["series_uid"], {"origin": "received", "images": 0, "size_bytes": 0}) for row in rows]


def _jobs(connection: Connection, study_uid: str, version: int, steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    rows = _all(
        connection,
        select(job).where(job.c.study_uid == study_uid, job.c.version == version).order_by(job.c.created, job.c.id),
    )
    words = _all(
        connection,
        select(cancellation).where(cancellation.c.study_uid == study_uid, cancellation.c.version == version),
    )
    cancelled = {word["job_id"]: word for word in words}
    for row in rows:
        row["can_cancel"] = row["state"] in CANCELLABLE
        row["cancelled"] = cancelled.get(row["id"]) if row["state"] == "CANCELLED" else None
        row["steps"] = [s for s in steps if s["job_id"] == row["id"]]
        row["verdict"] = _detail(row["steps"], "qc")
        row["bundles"] = _list(_detail(row["steps"], "run"), "bundles")
    return rows


def _results(connection: Connection, study_uid: str, version: int) -> list[dict[str, Any]]:
    rows = _all(
        connection,
        select(result)
        .where(result.c.study_uid == study_uid, result.c.version == version)
        .order_by(result.c.created, result.c.id),
    )
    for row in rows:
        document = row["document"] if isinstance(row["document"], Mapping) else {}
        row["structures"] = _list(document, "structures")
        row["findings"] = finding_rows(document)
        row["scores"], row["scores_left_out"] = score_rows(document)
        row["landmarks"] = landmark_rows(document)
        row["runs"] = {r.get("id"): r for r in _list(document, "runs")}
        row["pictures"] = [p for p in row["pictures"] or [] if isinstance(p, Mapping) and p.get("sha256")]
        row["objects"] = _all(
            connection,
            select(encoded_object).where(encoded_object.c.result_id == row["id"]).order_by(encoded_object.c.position),
        )
        sends = _all(
            connection,
            select(delivery)
            .where(delivery.c.result_id == row["id"])
            .order_by(delivery.c.position, delivery.c.destination),
        )
        for item in row["objects"]:
            item["deliveries"] = [d for d in sends if d["sop_uid"] == item["sop_uid"]]
    return rows


def _path(version: Row, steps: list[dict[str, Any]], results: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """The path of the study as (step, state): the worst of all jobs, and what is still to come as waiting."""
    state = version.get("state", "RECEIVING")
    path = [("receive", "running" if state == "RECEIVING" else "done")]
    complete = {"RECEIVING": "waiting", "INCOMPLETE": "refused"}.get(state, "done")
    if incomplete_reason(version.get("evidence")):
        complete = "refused"
    path.append(("complete", complete))
    path += [(name, _worst([s for s in steps if s["step"] == name])) for name in (*STUDY_STEPS, *JOB_STEPS[:-1])]
    sends = [d["state"] for r in results for o in r["objects"] for d in o["deliveries"]]
    if any(s in {"REJECTED", "DEAD"} for s in sends):
        deliver = "failed"
    elif any(s in {"PENDING", "SENDING"} for s in sends):
        deliver = "running"
    else:
        deliver = _worst([s for s in steps if s["step"] == "deliver"])
    path.append(("deliver", deliver))
    return path


def _worst(steps: list[dict[str, Any]]) -> str:
    """State of one step over all jobs: of each job its last attempt, and of those the one that needs most attention."""
    last: dict[str, str] = {str(s["job_id"]): s["state"] for s in steps}
    order = ("failed", "refused", "running", "cancelled", "skipped", "done")
    return min(last.values(), key=lambda s: order.index(s) if s in order else len(order), default="waiting")
