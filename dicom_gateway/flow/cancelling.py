"""A person's word that a job is not wanted, or is wanted after all: in the database, where every process reads it.

A job is cancelled at the moment at which its row says so; what works on it finds out within a second and ends. Nothing
of a cancelled job is kept or sent, and no restart or upgrade begins it anew: only a person does.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, select, update
from sqlalchemy.exc import InterfaceError, OperationalError

from dicom_gateway.errors import JobRefused
from dicom_gateway.flow.record import AT_WORK, insert_once, note_event, settle
from dicom_gateway.store.quality_tables import hold
from dicom_gateway.store.tables import cancellation, job, result, step_log, study_version

__all__ = [
    "CANCELLABLE",
    "JobRow",
    "begun_again",
    "cancel_job",
    "cancel_watch",
    "job_named",
    "job_rows",
    "keep_for_again",
    "kept_for_again",
    "start_again",
]

CANCELLABLE = ("ROUTED", "QC", "RUN", "HELD", "MEASURED", "ENCODED", "VALIDATED")
"""States of a job before its objects are stored; from then on it is delivered whole."""

LOOK_EVERY_S = 0.5
"""How often a run asks whether it is still wanted: a person who cancels sees it within about a second."""

SENTENCES = {
    "delivering": "The result of this job is already being delivered; there is nothing to cancel.",
    "ended": "This job has ended; there is nothing to cancel.",
    "already": "This job is cancelled already; `radgate job list` says by whom.",
    "unknown": "There is no such job; `radgate job list` shows those that there are.",
    "ambiguous": "More than one job begins like this; write more of its id.",
    "not_cancelled": "Only a job that was cancelled is started again; `radgate job list` shows the states.",
    "ending": "What worked on this job is still ending; try again in a few seconds.",
    "replaced": "A later version of the study has replaced this job; see the jobs of that version.",
}
"""Why a person's word on a job is refused."""


@dataclass(frozen=True)
class JobRow:
    """A job as a person asks about it; `by` and `why` where somebody cancelled it."""

    id: str
    study_uid: str
    version: int
    route: str
    bundle: str
    state: str
    progress: float | None
    reason: str
    by: str
    why: str
    cancelled: float | None


def job_rows(engine: Engine, *, study_uid: str = "", state: str = "") -> list[JobRow]:
    """The jobs, newest first; of one study or in one state where these are named."""
    query = select(
        job.c.id,
        job.c.study_uid,
        job.c.version,
        job.c.route,
        job.c.bundle,
        job.c.state,
        job.c.progress,
        job.c.reason,
        cancellation.c.by,
        cancellation.c.reason.label("why"),
        cancellation.c.requested.label("cancelled"),
    ).select_from(job.outerjoin(cancellation, (cancellation.c.job_id == job.c.id) & (job.c.state == "CANCELLED")))
    if study_uid:
        query = query.where(job.c.study_uid == study_uid)
    if state:
        query = query.where(job.c.state == state)
    with engine.connect() as connection:
        rows = connection.execute(query.order_by(job.c.created.desc(), job.c.id)).mappings().all()
    empty = ("reason", "by", "why")
    return [JobRow(**{**row, **{name: row[name] or "" for name in empty}}) for row in rows]


def job_named(engine: Engine, name: str) -> str:
    """The id of the one job whose id begins like this.

    Raises
    ------
    JobRefused
        There is none, or more than one.
    """
    with engine.connect() as connection:
        query = select(job.c.id).where(job.c.id.startswith(name, autoescape=True)).limit(2)
        found = list(connection.execute(query).scalars()) if name else []
    if len(found) > 1:
        raise JobRefused(SENTENCES["ambiguous"], why="ambiguous")
    if not found:
        raise JobRefused(SENTENCES["unknown"], why="unknown")
    return str(found[0])


def cancel_job(engine: Engine, job_id: str, *, who: str, reason: str = "") -> None:
    """Cancel a job that waits or is worked on, with an audit record.

    Raises
    ------
    JobRefused
        There is no such job, it has ended, or its result is being delivered.
    """
    who, reason, now = who.strip()[:64], reason.strip()[:500], time.time()
    said = f"Cancelled by {who}." if not reason else f"Cancelled by {who}: {reason}"
    with engine.begin() as connection:
        # The first statement takes the row: a step that goes on to the next state waits, or has gone on before.
        made = select(result.c.id).where(result.c.job_id == job.c.id).exists()
        done = connection.execute(
            update(job)
            .where(job.c.id == job_id, job.c.state.in_(CANCELLABLE), ~made)
            .values(state="CANCELLED", reason=said, progress=None, changed=now)
        )
        row = connection.execute(select(job).where(job.c.id == job_id)).mappings().first()
        if row is None:
            raise JobRefused(SENTENCES["unknown"], why="unknown")
        if done.rowcount != 1:
            why = _too_late(str(row["state"]))
            raise JobRefused(SENTENCES[why], why=why)
        waiting = connection.execute(select(hold).where(hold.c.job_id == job_id, hold.c.state == "open")).mappings()
        held = waiting.first()
        values = {
            "study_uid": row["study_uid"],
            "version": row["version"],
            "state": "cancelled",
            "by": who,
            "reason": reason,
            "requested": now,
            "plan": None if held is None else held["plan"],
            "inputs": None if held is None else held["inputs"],
            "begun_again": None,
            "begun_again_by": None,
        }
        if not insert_once(connection, cancellation, {"job_id": job_id, **values}):
            connection.execute(update(cancellation).where(cancellation.c.job_id == job_id).values(**values))
        note_event(connection, "job_cancelled", row["study_uid"], {"job": job_id, "by": who})
        if held is not None:  # nobody works on it who would bring its study to an end
            connection.execute(update(hold).where(hold.c.id == held["id"]).values(state="ended"))
            settle(connection, row["study_uid"])


def _too_late(state: str) -> str:
    """Why a job in this state is not cancelled."""
    if state == "CANCELLED":
        return "already"
    return "ended" if state in {"DELIVERED", "PARTLY", "FAILED", "REFUSED", "SUPERSEDED"} else "delivering"


def cancel_watch(engine: Engine, job_id: str) -> Callable[[], bool]:
    """A callable that says whether a job was cancelled; it may be called as often as one likes.

    A database that is away says nothing, and ends nothing.
    """
    looked, cancelled = 0.0, False

    def is_cancelled() -> bool:
        nonlocal looked, cancelled
        now = time.monotonic()
        if not cancelled and now - looked >= LOOK_EVERY_S:
            looked = now
            try:
                with engine.connect() as connection:
                    state = connection.execute(select(job.c.state).where(job.c.id == job_id)).scalar()
            except (OperationalError, InterfaceError):
                return False
            cancelled = state == "CANCELLED"
        return cancelled

    return is_cancelled


def keep_for_again(engine: Engine, plan: Mapping[str, Any], inputs: Sequence[Sequence[str]]) -> None:
    """The work on a cancelled job has ended: close what is open of it, and keep what starting it again needs."""
    with engine.begin() as connection:
        connection.execute(
            update(cancellation)
            .where(cancellation.c.job_id == plan["id"])
            .values(plan=dict(plan), inputs=[list(pair) for pair in inputs])
        )
        # A crash may have left a step as running.
        connection.execute(
            update(step_log)
            .where(step_log.c.job_id == plan["id"], step_log.c.state == "running")
            .values(state="cancelled", ended=time.time(), message="The job was cancelled.")
        )
        # It may have been about to be held when it was cancelled.
        connection.execute(
            update(hold).where(hold.c.job_id == plan["id"], hold.c.state == "open").values(state="ended")
        )


def start_again(engine: Engine, job_id: str, *, who: str) -> None:
    """Take a cancelled job up again, as it was planned; a running service begins it.

    Raises
    ------
    JobRefused
        It was not cancelled, its work is still ending, or a later version of the study has replaced it.
    """
    now = time.time()
    with engine.begin() as connection:
        done = connection.execute(
            update(job)
            .where(job.c.id == job_id, job.c.state == "CANCELLED")
            .values(state="ROUTED", reason=None, progress=None, changed=now)
        )
        row = connection.execute(select(cancellation).where(cancellation.c.job_id == job_id)).mappings().first()
        if done.rowcount != 1 or row is None:
            raise JobRefused(SENTENCES["not_cancelled"], why="not_cancelled")
        if row["plan"] is None:
            raise JobRefused(SENTENCES["ending"], why="ending")
        if _newer(connection, row["study_uid"], row["version"]):
            raise JobRefused(SENTENCES["replaced"], why="replaced")
        connection.execute(
            update(cancellation)
            .where(cancellation.c.job_id == job_id)
            .values(state="begun_again", begun_again=now, begun_again_by=who.strip()[:64])
        )
        mine = (study_version.c.study_uid == row["study_uid"]) & (study_version.c.version == row["version"])
        connection.execute(update(study_version).where(mine).values(state="RUNNING", reason=None, changed=now))
        note_event(connection, "job_begun_again", row["study_uid"], {"job": job_id, "by": who.strip()[:64]})


def _newer(connection: Connection, study_uid: str, version: int) -> bool:
    newer = select(study_version.c.id).where(
        study_version.c.study_uid == study_uid, study_version.c.version > version, study_version.c.state != "RECEIVING"
    )
    return connection.execute(newer).first() is not None


def begun_again(engine: Engine) -> list[str]:
    """Jobs that a person has started again and whose work has not ended since."""
    query = (
        select(cancellation.c.job_id)
        .join(job, job.c.id == cancellation.c.job_id)
        .where(cancellation.c.state == "begun_again", job.c.state.in_(AT_WORK))
        .order_by(cancellation.c.begun_again)
    )
    with engine.connect() as connection:
        return list(connection.execute(query).scalars())


def kept_for_again(engine: Engine, job_id: str) -> dict[str, Any]:
    """Plan and inputs of a job that was cancelled.

    Raises
    ------
    KeyError
        Nothing was kept of such a job.
    """
    with engine.connect() as connection:
        row = connection.execute(select(cancellation).where(cancellation.c.job_id == job_id)).first()
    if row is None or row.plan is None:
        raise KeyError(job_id)
    return {"plan": row.plan, "inputs": row.inputs}
