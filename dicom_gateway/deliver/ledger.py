"""The delivery ledger: one row for each object and destination, and what may be done to it."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import ColumnElement, Engine, insert, select, update
from sqlalchemy.exc import IntegrityError

from dicom_gateway.deliver.outcome import Outcome, Pace
from dicom_gateway.settings import Destination
from dicom_gateway.store.tables import delivery, event, study_version

__all__ = [
    "DeliveryRow",
    "Parcel",
    "cancel",
    "claim",
    "enqueue",
    "record",
    "record_verification",
    "release_claims",
    "resend",
    "rows",
    "settled_but_untold",
    "to_send",
    "to_verify",
    "unsettled",
]

BATCH = 50
"""Objects in one association: few enough that a lost connection costs little."""

_OPEN = ("PENDING", "SENDING")


@dataclass(frozen=True)
class Parcel:
    """An object to deliver; `position` is its place in the order of sending within its result."""

    sop_uid: str
    sha256: str
    outlet: str
    position: int


@dataclass(frozen=True)
class DeliveryRow:
    """One row of the ledger."""

    id: int
    sop_uid: str
    sha256: str
    destination: str
    study_uid: str
    result_id: str
    position: int
    state: str
    attempts: int
    last_status: str | None
    last_error: str | None
    created: float
    next_try: float
    finished: float | None


_COLUMNS = [delivery.c[f.name] for f in fields(DeliveryRow)]


def enqueue(
    engine: Engine,
    result_id: str,
    study_uid: str,
    objects: Iterable[Parcel],
    destinations: Iterable[Destination],
    *,
    now: float | None = None,
) -> int:
    """Write rows for objects that their destinations take and that are not in the ledger yet.

    Doing it again changes nothing.

    Returns
    -------
    int
        Number of rows that are new.
    """
    parcels = tuple(objects)
    now = time.time() if now is None else now
    wanted = [
        {
            "sop_uid": parcel.sop_uid,
            "sha256": parcel.sha256,
            "destination": destination.name,
            "study_uid": study_uid,
            "result_id": result_id,
            "position": parcel.position,
            "state": "PENDING",
            "attempts": 0,
            "created": now,
            "next_try": now,
        }
        for destination in destinations
        for parcel in parcels
        if parcel.outlet in destination.outlets
    ]
    while True:
        try:
            return _insert_missing(engine, study_uid, wanted)
        except IntegrityError:  # another process wrote some of them in between
            continue


def _insert_missing(engine: Engine, study_uid: str, wanted: list[dict[str, Any]]) -> int:
    key = ("sop_uid", "sha256", "destination")
    with engine.begin() as connection:
        found = connection.execute(select(*(delivery.c[k] for k in key)).where(delivery.c.study_uid == study_uid))
        known = {tuple(row) for row in found}
        new = [w for w in wanted if tuple(w[k] for k in key) not in known]
        if new:
            connection.execute(insert(delivery), new)
    return len(new)


def rows(
    engine: Engine, *, study_uid: str | None = None, result_id: str | None = None, destination: str | None = None
) -> list[DeliveryRow]:
    """Rows of the ledger that fit all that is given, in the order of sending."""
    conditions = [
        column == value
        for column, value in (
            (delivery.c.study_uid, study_uid),
            (delivery.c.result_id, result_id),
            (delivery.c.destination, destination),
        )
        if value is not None
    ]
    return _select(engine, *conditions)


def unsettled(engine: Engine, study_uid: str) -> int:
    """Number of rows of a study that still have to be sent."""
    return len(_select(engine, delivery.c.study_uid == study_uid, delivery.c.state.in_(_OPEN)))


def to_send(engine: Engine, destination: str, now: float) -> tuple[list[DeliveryRow], float | None]:
    """Rows that are due at a destination, in order, and when the next one is.

    Within a result nothing overtakes: while an object waits for its next try, those after it wait too, so that no
    reference arrives before what it refers to.
    """
    due: list[DeliveryRow] = []
    waiting: set[str] = set()
    next_at: float | None = None
    for row in _select(engine, delivery.c.destination == destination, delivery.c.state == "PENDING"):
        if row.result_id in waiting:
            continue
        if row.next_try > now:
            waiting.add(row.result_id)
            next_at = row.next_try if next_at is None else min(next_at, row.next_try)
        elif len(due) < BATCH:
            due.append(row)
    return due, next_at


def claim(engine: Engine, row: DeliveryRow) -> bool:
    """Take a row for sending; False where it is no longer waiting."""
    with engine.begin() as connection:
        done = connection.execute(
            update(delivery)
            .where(delivery.c.id == row.id, delivery.c.state == "PENDING")
            .values(state="SENDING", attempts=delivery.c.attempts + 1)
        )
    return bool(done.rowcount)


def release_claims(engine: Engine, destinations: Sequence[str], now: float) -> int:
    """After a crash: rows that were being sent wait again. The receiver recognises what it got by its UID."""
    with engine.begin() as connection:
        done = connection.execute(
            update(delivery)
            .where(delivery.c.state == "SENDING", delivery.c.destination.in_(destinations))
            .values(state="PENDING", next_try=now)
        )
    return int(done.rowcount)


def record(
    engine: Engine, row: DeliveryRow, outcome: Outcome, destination: Destination, pace: Pace, now: float, spread: float
) -> str:
    """Write the outcome of an attempt; the row's new state."""
    values: dict[str, Any] = {"last_status": outcome.status, "last_error": outcome.message or None}
    if outcome.kind in {"accepted", "warned"}:
        state = "ACCEPTED" if outcome.kind == "accepted" else "WARNED"
        values |= {"finished": now, "next_try": now + pace.verify_s}
    elif outcome.kind == "permanent" or now - row.created > destination.give_up_h * 3600:
        state = "DEAD"
        values |= {"finished": now}
    else:
        state = "PENDING"
        values |= {"next_try": now + pace.wait_s(row.attempts + 1, spread)}
    with engine.begin() as connection:
        connection.execute(
            update(delivery).where(delivery.c.id == row.id, delivery.c.state == "SENDING").values(state=state, **values)
        )
    return state


def to_verify(engine: Engine, destination: str, now: float, pace: Pace) -> list[DeliveryRow]:
    """Accepted rows of a destination whose presence should be asked for now."""
    return _select(
        engine,
        delivery.c.destination == destination,
        delivery.c.state == "ACCEPTED",
        delivery.c.next_try <= now,
        delivery.c.finished > now - pace.verify_for_s,
    )[:BATCH]


def record_verification(engine: Engine, row: DeliveryRow, found: bool | None, pace: Pace, now: float) -> None:
    """Write the answer to the question whether an object is there; None where the destination did not answer."""
    values: dict[str, Any] = {"state": "VERIFIED", "last_error": None}
    if not found:
        age = max(pace.verify_s, now - (row.finished or now))
        values = {"next_try": now + min(pace.cap_s, age)}
        if found is False:
            values["last_error"] = "Accepted, but the destination does not list it; look for it there."
    with engine.begin() as connection:
        connection.execute(
            update(delivery).where(delivery.c.id == row.id, delivery.c.state == "ACCEPTED").values(values)
        )


def resend(engine: Engine, row_id: int, now: float) -> bool:
    """Put a row back to the beginning, whatever became of it; False where it is being sent or does not exist."""
    values = {"state": "PENDING", "attempts": 0, "created": now, "next_try": now, "finished": None, "last_error": None}
    with engine.begin() as connection:
        done = connection.execute(
            update(delivery).where(delivery.c.id == row_id, delivery.c.state != "SENDING").values(values)
        )
        if done.rowcount:
            connection.execute(insert(event).values(time=now, kind="delivery_resent", detail={"delivery": row_id}))
    return bool(done.rowcount)


def cancel(engine: Engine, row_id: int, now: float) -> bool:
    """Give up a row that waits; False where there is nothing to give up."""
    with engine.begin() as connection:
        done = connection.execute(
            update(delivery)
            .where(delivery.c.id == row_id, delivery.c.state == "PENDING")
            .values(state="CANCELLED", finished=now)
        )
    return bool(done.rowcount)


def settled_but_untold(engine: Engine) -> list[str]:
    """After a restart: studies in delivery whose rows are all final."""
    with engine.connect() as connection:
        delivering = connection.execute(
            select(study_version.c.study_uid).where(study_version.c.state == "DELIVERING").distinct()
        ).scalars()
        return [uid for uid in delivering.all() if not unsettled(engine, uid)]


def _select(engine: Engine, *conditions: ColumnElement[bool]) -> list[DeliveryRow]:
    query = select(*_COLUMNS).order_by(delivery.c.created, delivery.c.result_id, delivery.c.position, delivery.c.id)
    with engine.connect() as connection:
        return [DeliveryRow(**row) for row in connection.execute(query.where(*conditions)).mappings()]
