"""Study versions in the database: opened by the first instance, decided once, followed by the next when one is late."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, func, insert, select, update

from dicom_gateway.complete.engine import Decision
from dicom_gateway.errors import NotReceiving
from dicom_gateway.store.rows import InstanceRow
from dicom_gateway.store.tables import event, instance, study_version, version_input

__all__ = [
    "FORCE_EVENT",
    "Forced",
    "Version",
    "decide_version",
    "decided_inputs",
    "force_complete",
    "forced_since",
    "input_digest",
    "is_decided",
    "open_version",
    "unfinished",
    "unstarted",
]

FORCE_EVENT = "study_forced"
"""Kind of the event by which a person, or the command line, tells the watcher to go on."""


@dataclass(frozen=True)
class Version:
    """One version of a study; `late` says that it was opened by an instance that came after a decision."""

    study_uid: str
    version: int
    opened: float
    late: bool = False


@dataclass(frozen=True)
class Forced:
    """A person's word that a study is complete."""

    event_id: int
    study_uid: str
    version: int
    reason: str


def input_digest(rows: Iterable[InstanceRow]) -> str:
    """SHA-256 over the sorted pairs of SOP Instance UID and content digest: what a study version consists of."""
    digest = hashlib.sha256()
    for pair in sorted((row.sop_uid, row.sha256) for row in rows):
        digest.update("\t".join(pair).encode() + b"\n")
    return digest.hexdigest()


def open_version(engine: Engine, study_uid: str, now: float) -> Version:
    """The version that is receiving; a new one where there is none, or where the last one is decided."""
    with engine.begin() as connection:
        last = _last(connection, study_uid)
        if last is not None and last["state"] == "RECEIVING":
            return Version(study_uid, last["version"], last["opened"])
        number = last["version"] + 1 if last is not None else 1
        connection.execute(
            insert(study_version).values(
                study_uid=study_uid, version=number, state="RECEIVING", opened=now, changed=now
            )
        )
        kind = "study_late" if last is not None else "study_opened"
        _note(connection, kind, study_uid, now, {"version": number})
    return Version(study_uid, number, now, late=last is not None)


def decide_version(
    engine: Engine, version: Version, decision: Decision, rows: Sequence[InstanceRow], now: float
) -> bool:
    """Write a decision and the instances it was made on; False where another process was first."""
    with engine.begin() as connection:
        done = connection.execute(
            update(study_version)
            .where(
                study_version.c.study_uid == version.study_uid,
                study_version.c.version == version.version,
                study_version.c.state == "RECEIVING",
            )
            .values(
                state=decision.state,
                reason=decision.reason or None,
                # State and reason change while the version is worked on; how it was decided stays in the evidence.
                evidence=decision.evidence | {"state": decision.state, "reason": decision.reason, "decided_at": now},
                input_digest=input_digest(rows),
                changed=now,
            )
        )
        if done.rowcount == 0:
            return False
        inputs = sorted([row.sop_uid, row.sha256] for row in rows)
        connection.execute(
            insert(version_input).values(study_uid=version.study_uid, version=version.version, inputs=inputs)
        )
        detail = {
            "version": version.version,
            "instances": decision.evidence["instances"],
            "by": decision.evidence["by"],
        }
        _note(connection, f"study_{decision.state.lower()}", version.study_uid, now, detail)
    return True


def decided_inputs(engine: Engine, study_uid: str, version: int) -> list[list[str]] | None:
    """Sorted [SOP Instance UID, sha256] pairs that a version was decided on; None where nobody wrote them down."""
    columns = version_input.c
    query = select(columns.inputs).where(columns.study_uid == study_uid, columns.version == version)
    with engine.connect() as connection:
        inputs: list[list[str]] | None = connection.execute(query).scalar()
    return inputs


def force_complete(engine: Engine, study_uid: str, reason: str, now: float) -> None:
    """Tell the watcher, in this or another process, to take a study as complete.

    Parameters
    ----------
    reason
        Why, in the words of the person. It is shown on the page: no patient data.

    Raises
    ------
    NotReceiving
        The study is unknown, or its last version is decided already.
    """
    with engine.begin() as connection:
        last = _last(connection, study_uid)
        if last is None:
            raise NotReceiving(f"No study {study_uid} has been received; check the Study Instance UID.")
        if last["state"] != "RECEIVING":
            raise NotReceiving(f"Study {study_uid} is decided already ({last['state']}); nothing has to be forced.")
        _note(connection, FORCE_EVENT, study_uid, now, {"version": last["version"], "reason": reason})


def forced_since(engine: Engine, event_id: int) -> list[Forced]:
    """What people forced after an event, oldest first."""
    with engine.connect() as connection:
        rows = connection.execute(
            select(event.c.id, event.c.study_uid, event.c.detail)
            .where(event.c.id > event_id, event.c.kind == FORCE_EVENT)
            .order_by(event.c.id)
        )
        return [Forced(row.id, row.study_uid, row.detail.get("version", 0), row.detail["reason"]) for row in rows]


def is_decided(engine: Engine, study_uid: str, digest: str) -> bool:
    """Whether the last version is decided and consists of just these instances."""
    with engine.connect() as connection:
        last = _last(connection, study_uid)
    return last is not None and last["state"] != "RECEIVING" and last["input_digest"] == digest


def unfinished(engine: Engine) -> tuple[list[Version], list[tuple[str, int]]]:
    """After a restart: versions still receiving, and decided ones that nothing has started to work on."""
    columns = (study_version.c.study_uid, study_version.c.version, study_version.c.opened, study_version.c.state)
    with engine.connect() as connection:
        rows = connection.execute(
            select(*columns)
            .where(study_version.c.state.in_(("RECEIVING", "COMPLETE", "INCOMPLETE")))
            .order_by(study_version.c.id)
        ).all()
    receiving = [Version(r.study_uid, r.version, r.opened) for r in rows if r.state == "RECEIVING"]
    decided = [(r.study_uid, r.version) for r in rows if r.state != "RECEIVING"]
    return receiving, decided


def unstarted(engine: Engine) -> list[str]:
    """After a restart: studies with received instances that no version has seen, because the crash came in between.

    They are counted, not dated: the times come from clocks that may have been set in the meantime.
    """
    received = (
        select(instance.c.study_uid, func.count().label("instances"))
        .where(instance.c.origin == "received")
        .group_by(instance.c.study_uid)
    )
    versions = (study_version.c.study_uid, study_version.c.state, study_version.c.evidence)
    with engine.connect() as connection:
        studies = connection.execute(received).all()
        newest = {
            row.study_uid: (row.state, row.evidence)
            for row in connection.execute(select(*versions).order_by(study_version.c.version))
        }
    return [row.study_uid for row in studies if _has_unseen(newest.get(row.study_uid), row.instances)]


def _has_unseen(version: tuple[str, Any] | None, received: int) -> bool:
    if version is None:
        return True
    state, evidence = version
    return state != "RECEIVING" and received > (evidence or {}).get("instances", received)


def _last(connection: Connection, study_uid: str) -> Any:
    return (
        connection
        .execute(
            select(study_version)
            .where(study_version.c.study_uid == study_uid)
            .order_by(study_version.c.version.desc())
            .limit(1)
        )
        .mappings()
        .first()
    )


def _note(connection: Connection, kind: str, study_uid: str, now: float, detail: dict[str, Any]) -> None:
    connection.execute(insert(event).values(time=now, kind=kind, study_uid=study_uid, detail=detail))
