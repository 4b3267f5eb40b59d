"""The states of studies and jobs, and results, in the database: written by the workflow, read by the pages."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, Table, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from dicom_gateway.flow.plan import Earlier, JobPlan
from dicom_gateway.store import tables
from dicom_gateway.store.quality_tables import hold

__all__ = [
    "advance",
    "delivering_studies",
    "earlier_result",
    "end_other_jobs",
    "has_result",
    "is_cancelled",
    "is_handed_over",
    "is_held",
    "is_superseded",
    "is_wholly_cancelled",
    "job_state",
    "keep_jobs",
    "keep_result",
    "note_event",
    "overall_state",
    "set_aside",
    "settle",
    "settle_study",
    "study_state",
    "supersede_before",
    "unfinished_studies",
]

OPEN_DELIVERIES = ("PENDING", "SENDING")
AT_WORK = ("ROUTED", "QC", "RUN", "MEASURED", "ENCODED", "VALIDATED", "STORING")
"""States of a job between its plan and its delivery."""

ENDS = ("DELIVERING", "FAILED", "HELD")
"""States of a job that nobody works on any more."""

REPLACED = "The routes have changed since this job began; the other jobs of the study replace it."
"""Why a job is superseded within its own version."""

GOOD_DELIVERIES = ("ACCEPTED", "WARNED", "COMMITTED", "VERIFIED")


def insert_once(connection: Connection, table: Table, values: Mapping[str, Any]) -> bool:
    """Insert a row unless its key is there already; whether it was new."""
    try:
        with connection.begin_nested():
            connection.execute(insert(table).values(**values))
    except IntegrityError:
        return False
    return True


def note_event(connection: Connection, kind: str, study_uid: str, detail: Mapping[str, Any]) -> None:
    """Append to the events; the detail holds counts, codes and UIDs, no patient data."""
    connection.execute(
        insert(tables.event).values(time=time.time(), kind=kind, study_uid=study_uid, detail=dict(detail))
    )


def study_state(engine: Engine, study_uid: str, version: int, state: str, reason: str | None = None) -> None:
    """Set the state of a study version."""
    version_ = tables.study_version
    with engine.begin() as connection:
        connection.execute(
            update(version_)
            .where(version_.c.study_uid == study_uid, version_.c.version == version)
            .values(state=state, reason=reason, changed=time.time())
        )
        note_event(connection, "study", study_uid, {"version": version, "state": state})


def keep_jobs(engine: Engine, plans: Sequence[JobPlan]) -> dict[str, float]:
    """Insert the jobs of a study version; those that are there stay as they are. When each was planned first, by id.

    One that other routes had replaced in the meantime is taken up again.
    """
    now = time.time()
    job = tables.job.c
    ids = [plan.id for plan in plans]
    with engine.begin() as connection:
        for plan in plans:
            insert_once(
                connection,
                tables.job,
                {
                    "id": plan.id,
                    "study_uid": plan.study_uid,
                    "version": plan.version,
                    "series_uid": plan.series_uid,
                    "stack": plan.stack,
                    "route": plan.route,
                    "bundle": ", ".join(plan.bundles),
                    "state": "ROUTED",
                    "created": plan.created_at,
                    "changed": now,
                },
            )
        connection.execute(
            update(tables.job)
            .where(job.id.in_(ids), job.state == "SUPERSEDED", job.reason == REPLACED)
            .values(state="ROUTED", reason=None, changed=now)
        )
        kept = select(job.id, job.created).where(job.id.in_(ids))
        return {row.id: float(row.created) for row in connection.execute(kept)}


def end_other_jobs(engine: Engine, study_uid: str, version: int, kept: Sequence[str]) -> list[str]:
    """End what an earlier beginning of a study version planned and the present routes do not, whether at work or held.

    Its new job does the work; were both let go, the study would be delivered twice.

    Returns
    -------
    list
        Ids of the jobs that were ended.
    """
    job = tables.job.c
    open_states = (*AT_WORK, "HELD")
    mine = (job.study_uid == study_uid, job.version == version, job.state.in_(open_states), job.id.not_in(kept))
    with engine.begin() as connection:
        ended = list(connection.execute(select(job.id).where(*mine)).scalars())
        connection.execute(
            update(tables.job)
            .where(*mine)
            .values(state="SUPERSEDED", reason=REPLACED, progress=None, changed=time.time())
        )
        connection.execute(update(hold).where(hold.c.job_id.in_(ended), hold.c.state == "open").values(state="ended"))
    return ended


def job_state(engine: Engine, job_id: str, state: str, reason: str | None = None) -> None:
    """Set the state of a job."""
    with engine.begin() as connection:
        connection.execute(
            update(tables.job)
            .where(tables.job.c.id == job_id)
            .values(state=state, reason=reason, progress=None, changed=time.time())
        )


def advance(engine: Engine, job_id: str, state: str, reason: str | None = None) -> bool:
    """Set the state of a job that is worked on, unless a person has cancelled it; whether it is still wanted.

    A job whose objects are being stored stays so, also where a crash lets its steps run once more: from then on it
    cannot be cancelled, and its end alone sets another state.
    """
    row = tables.job.c
    stays = ("CANCELLED",) if state in ENDS else ("CANCELLED", "STORING")
    with engine.begin() as connection:
        done = connection.execute(
            update(tables.job)
            .where(row.id == job_id, row.state.not_in(stays))
            .values(state=state, reason=reason, progress=None, changed=time.time())
        )
        if done.rowcount:
            return True
        return connection.execute(select(row.state).where(row.id == job_id)).scalar() != "CANCELLED"


def keep_result(
    engine: Engine,
    plan: JobPlan,
    document: Mapping[str, Any],
    pictures: Sequence[Mapping[str, Any]],
    objects: Sequence[Mapping[str, Any]],
) -> str:
    """Write result, pictures and objects; the id is the job's, so that a repeated step writes the same rows."""
    now = time.time()
    with engine.begin() as connection:
        if not insert_once(
            connection,
            tables.result,
            {
                "id": plan.id,
                "job_id": plan.id,
                "study_uid": plan.study_uid,
                "version": plan.version,
                "status": document["status"],
                "supersedes": plan.supersedes or None,
                "document": dict(document),
                "pictures": list(pictures),
                "created": plan.created_at,
            },
        ):
            connection.execute(
                update(tables.result)
                .where(tables.result.c.id == plan.id)
                .values(status=document["status"], document=dict(document), pictures=list(pictures))
            )
        for position, item in enumerate(objects):
            insert_once(
                connection,
                tables.encoded_object,
                {**item, "result_id": plan.id, "position": position, "created": now},
            )
    return plan.id


def has_result(engine: Engine, job_id: str) -> bool:
    """Whether the result of a job is written: its objects are made and stored."""
    query = select(tables.result.c.id).where(tables.result.c.job_id == job_id)
    with engine.connect() as connection:
        return connection.execute(query).first() is not None


def is_held(engine: Engine, job_id: str) -> bool:
    """Whether a job waits for a person."""
    query = select(tables.job.c.state).where(tables.job.c.id == job_id)
    with engine.connect() as connection:
        return connection.execute(query).scalar() == "HELD"


def is_cancelled(engine: Engine, job_id: str) -> bool:
    """Whether a person has cancelled a job."""
    query = select(tables.job.c.state).where(tables.job.c.id == job_id)
    with engine.connect() as connection:
        return connection.execute(query).scalar() == "CANCELLED"


def is_wholly_cancelled(engine: Engine, study_uid: str, version: int) -> bool:
    """Whether every job of a study version was cancelled: then it replaces nothing that was delivered before."""
    job = tables.job.c
    query = select(job.state).where(job.study_uid == study_uid, job.version == version)
    with engine.connect() as connection:
        return set(connection.execute(query).scalars()) == {"CANCELLED"}


def is_superseded(engine: Engine, job_id: str) -> bool:
    """Whether a job was ended because another does its work."""
    query = select(tables.job.c.state).where(tables.job.c.id == job_id)
    with engine.connect() as connection:
        return connection.execute(query).scalar() == "SUPERSEDED"


def is_handed_over(engine: Engine, job_id: str) -> bool:
    """Whether all objects of a job stand in the delivery ledger."""
    query = select(tables.job.c.state).where(tables.job.c.id == job_id)
    with engine.connect() as connection:
        return connection.execute(query).scalar() in {"DELIVERING", "DELIVERED", "PARTLY", "SUPERSEDED"}


def settle_study(engine: Engine, study_uid: str) -> None:
    """Derive the states of a study's jobs and of its newest version from the delivery ledger."""
    with engine.begin() as connection:
        settle(connection, study_uid)


def settle(connection: Connection, study_uid: str) -> None:
    """The same within a transaction."""
    delivery, job, version_ = tables.delivery, tables.job, tables.study_version
    rows = connection.execute(select(job).where(job.c.study_uid == study_uid)).mappings().all()
    for row in rows:
        if row["state"] not in {"DELIVERING", "DELIVERED", "PARTLY"}:
            continue
        states = [
            r.state for r in connection.execute(select(delivery.c.state).where(delivery.c.result_id == row["id"]))
        ]
        if any(s in OPEN_DELIVERIES for s in states):
            new, reason = "DELIVERING", None
        elif all(s in GOOD_DELIVERIES for s in states):
            new, reason = "DELIVERED", None
        else:
            bad = sum(s not in GOOD_DELIVERIES for s in states)
            new, reason = "PARTLY", f"{bad} of {len(states)} deliveries failed; see the destinations below."
        if new != row["state"]:
            connection.execute(
                update(job).where(job.c.id == row["id"]).values(state=new, reason=reason, changed=time.time())
            )
    versions = connection.execute(select(version_).where(version_.c.study_uid == study_uid)).mappings().all()
    for version in versions:
        if version["state"] not in {"RUNNING", "DELIVERING", "PARTLY", "FAILED", "REFUSED", "HELD", "CANCELLED"}:
            continue
        mine = connection.execute(
            select(job.c.state, job.c.reason).where(job.c.study_uid == study_uid, job.c.version == version["version"])
        ).all()
        # What changed routes have replaced is not missing; what a new version has, is.
        states = [row.state for row in mine if row.reason != REPLACED] or [row.state for row in mine]
        overall = overall_state(states)
        if overall and overall != version["state"]:
            connection.execute(
                update(version_).where(version_.c.id == version["id"]).values(state=overall, changed=time.time())
            )
            note_event(connection, "study", study_uid, {"version": version["version"], "state": overall})


def overall_state(job_states: Sequence[str]) -> str | None:
    """The state of a study version with jobs in these states; None while some are still worked on."""
    if not job_states or any(s in AT_WORK for s in job_states):
        return None
    for state in ("DELIVERING", "HELD"):
        if state in job_states:
            return state
    for state in ("DELIVERED", "SUPERSEDED", "CANCELLED", "REFUSED", "FAILED"):
        if set(job_states) <= {state}:
            return state
    if set(job_states) <= {"FAILED", "CANCELLED"}:
        return "FAILED"
    return "PARTLY"


def earlier_result(engine: Engine, study_uid: str, version: int, series_uid: str, route: str) -> Earlier:
    """The newest result of the same series and route in an earlier version of the study."""
    result, job, made, instance = tables.result, tables.job, tables.encoded_object, tables.instance
    with engine.connect() as connection:
        newest = connection.execute(
            select(result.c.id)
            .join(job, job.c.id == result.c.job_id)
            .where(
                result.c.study_uid == study_uid,
                result.c.version < version,
                job.c.series_uid == series_uid,
                job.c.route == route,
            )
            .order_by(result.c.version.desc())
        ).scalar()
        rows = connection.execute(
            select(made.c.outlet, made.c.sop_class_uid, made.c.sop_uid, instance.c.series_uid)
            .join(instance, instance.c.sop_uid == made.c.sop_uid)
            .where(made.c.result_id == newest)
            .order_by(made.c.position)
        )
        return Earlier(newest or "", tuple((r.outlet, r.sop_class_uid, r.sop_uid, r.series_uid) for r in rows))


def supersede_before(engine: Engine, study_uid: str, version: int) -> None:
    """Mark the earlier versions of a study, and their jobs, as superseded; what was delivered stays in the ledger."""
    version_, job, delivery = tables.study_version, tables.job, tables.delivery
    now = time.time()
    reason = f"Version {version} of the study replaces this one."
    with engine.begin() as connection:
        connection.execute(
            update(version_)
            .where(version_.c.study_uid == study_uid, version_.c.version < version, version_.c.state != "SUPERSEDED")
            .values(state="SUPERSEDED", reason=reason, changed=now)
        )
        connection.execute(
            update(job)
            .where(job.c.study_uid == study_uid, job.c.version < version, job.c.state != "SUPERSEDED")
            .values(state="SUPERSEDED", reason=reason, changed=now)
        )
        earlier = select(job.c.id).where(job.c.study_uid == study_uid, job.c.version < version)
        connection.execute(
            update(delivery)
            .where(delivery.c.result_id.in_(earlier), delivery.c.state == "PENDING")
            .values(state="CANCELLED", finished=now)
        )


def unfinished_studies(engine: Engine) -> list[tuple[str, int]]:
    """Study versions that were complete but whose work has not ended, oldest first."""
    version_ = tables.study_version
    with engine.connect() as connection:
        rows = connection.execute(
            select(version_.c.study_uid, version_.c.version)
            .where(version_.c.state.in_(("COMPLETE", "INCOMPLETE", "ROUTED", "RUNNING")))
            .order_by(version_.c.id)
        )
        return [(row.study_uid, row.version) for row in rows]


def set_aside(engine: Engine, study_uid: str) -> int:
    """How many objects of a study lie in quarantine and nobody has dealt with."""
    aside = tables.quarantine.c
    with engine.connect() as connection:
        query = select(func.count()).where(aside.study_uid == study_uid, aside.settled.is_(None))
        return int(connection.execute(query).scalar_one())


def delivering_studies(engine: Engine) -> list[str]:
    """Studies with a version whose objects are in the ledger and not settled."""
    version_ = tables.study_version
    with engine.connect() as connection:
        rows = connection.execute(select(version_.c.study_uid).where(version_.c.state == "DELIVERING").distinct())
        return [row.study_uid for row in rows]
