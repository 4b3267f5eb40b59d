"""The rows of `dose_sum`: what was proposed, asked for, made and delivered. Every change is a small transaction."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, select, update

from dicom_gateway.dose.choice import DoseChoice
from dicom_gateway.flow.record import insert_once, note_event
from dicom_gateway.store.tables import delivery, dose_sum

__all__ = ["DoseRow", "ask", "keep_proposal", "row_of", "rows_of_studies", "set_state", "settle", "unfinished"]

OPEN = ("PENDING", "SENDING")
GOOD = ("ACCEPTED", "WARNED", "COMMITTED", "VERIFIED")
WORKING = ("QUEUED", "RUNNING")


@dataclass(frozen=True)
class DoseRow:
    """One sum, from proposal to delivery."""

    id: str
    study_uid: str
    state: str
    reason: str
    progress: str
    choice: DoseChoice
    created: float
    changed: float

    @property
    def is_finished(self) -> bool:
        """Whether there is a result to look at."""
        return self.state in {"DELIVERING", "DELIVERED", "PARTLY"}


def keep_proposal(engine: Engine, choice: DoseChoice) -> bool:
    """Note a proposal; False where it was made before, whatever became of it.

    One that nobody has answered yet changes with what has come since, such as another registration.
    """
    now = time.time()
    values = _values(choice.proposal_id, choice, "PROPOSED", now) | {"reason": choice.waits_for or None}
    with engine.begin() as connection:
        is_new = insert_once(connection, dose_sum, values)
        if is_new:
            note_event(connection, "dose_proposed", choice.study_uid, {"doses": len(choice.doses)})
        else:
            waiting = (dose_sum.c.id == choice.proposal_id, dose_sum.c.state == "PROPOSED")
            kept = connection.execute(select(dose_sum.c.choice).where(*waiting)).scalar()
            if kept is not None and DoseChoice.from_json(kept) != choice:
                changed = {k: values[k] for k in ("study_uid", "choice", "reason", "changed")}
                connection.execute(update(dose_sum).where(*waiting).values(**changed))
    return is_new


def ask(engine: Engine, choice: DoseChoice) -> str:
    """Note that a person wants this sum; its id. What was refused or failed before is tried again."""
    now = float(int(time.time()))
    with engine.begin() as connection:
        if not insert_once(connection, dose_sum, _values(choice.id, choice, "QUEUED", now)):
            connection.execute(
                update(dose_sum)
                .where(dose_sum.c.id == choice.id, dose_sum.c.state.in_(("FAILED", "REFUSED")))
                .values(state="QUEUED", reason=None, changed=now)
            )
        connection.execute(
            update(dose_sum)
            .where(dose_sum.c.id == choice.proposal_id, dose_sum.c.state == "PROPOSED")
            .values(state="ACCEPTED", changed=now)
        )
        note_event(connection, "dose_asked", choice.study_uid, {"sum": choice.id, "doses": len(choice.doses)})
    return choice.id


def row_of(engine: Engine, sum_id: str) -> DoseRow | None:
    """The row with this id."""
    with engine.connect() as connection:
        found = connection.execute(select(dose_sum).where(dose_sum.c.id == sum_id)).mappings().first()
    return None if found is None else _row(found)


def rows_of_studies(engine: Engine, study_uids: Sequence[str] | None = None, most: int = 200) -> list[DoseRow]:
    """Rows of these studies (of all where None), the last changed first."""
    query = select(dose_sum).order_by(dose_sum.c.changed.desc(), dose_sum.c.id).limit(most)
    if study_uids is not None:
        query = query.where(dose_sum.c.study_uid.in_(study_uids))
    with engine.connect() as connection:
        return [_row(r) for r in connection.execute(query).mappings()]


def set_state(engine: Engine, sum_id: str, state: str, reason: str = "", progress: str = "") -> None:
    """Change the state; the reason is a sentence without patient data."""
    with engine.begin() as connection:
        connection.execute(
            update(dose_sum)
            .where(dose_sum.c.id == sum_id)
            .values(state=state, reason=reason or None, progress=progress or None, changed=time.time())
        )


def settle(engine: Engine, study_uid: str | None = None) -> None:
    """Derive the states of sums in delivery from the ledger."""
    query = select(dose_sum.c.id, dose_sum.c.state).where(dose_sum.c.state.in_(("DELIVERING", "DELIVERED", "PARTLY")))
    if study_uid is not None:
        query = query.where(dose_sum.c.study_uid == study_uid)
    with engine.begin() as connection:
        for found in connection.execute(query).all():
            states = [
                r.state for r in connection.execute(select(delivery.c.state).where(delivery.c.result_id == found.id))
            ]
            bad = sum(s not in GOOD and s not in OPEN for s in states)
            if any(s in OPEN for s in states):
                new, reason = "DELIVERING", None
            elif not bad:
                new, reason = "DELIVERED", None
            else:
                new, reason = "PARTLY", f"{bad} of {len(states)} deliveries failed; see the destinations below."
            if new != found.state:
                connection.execute(
                    update(dose_sum)
                    .where(dose_sum.c.id == found.id)
                    .values(state=new, reason=reason, changed=time.time())
                )


def unfinished(engine: Engine) -> list[str]:
    """Sums that were asked for and whose work has not ended, oldest first."""
    with engine.connect() as connection:
        query = select(dose_sum.c.id).where(dose_sum.c.state.in_(WORKING)).order_by(dose_sum.c.created)
        return [r.id for r in connection.execute(query)]


def _values(row_id: str, choice: DoseChoice, state: str, now: float) -> dict[str, Any]:
    return {
        "id": row_id,
        "study_uid": choice.study_uid,
        "state": state,
        "choice": choice.to_json(),
        "created": now,
        "changed": now,
    }


def _row(found: Any) -> DoseRow:
    return DoseRow(
        found["id"], found["study_uid"], found["state"], found["reason"] or "", found["progress"] or "",
        DoseChoice.from_json(found["choice"]), found["created"], found["changed"],
    )  # fmt: skip
