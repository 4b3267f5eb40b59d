"""Runs that image quality holds: kept with all that is needed to go on, and let go by a person with a reason."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Engine, insert, select, update

from dicom_gateway.quality.record import note_event
from dicom_gateway.store.quality_tables import hold
from dicom_gateway.store.tables import job, study_version

__all__ = ["DECISIONS", "decide_hold", "decided", "held", "keep_hold", "undone"]

DECISIONS = ("released", "refused")
"""States of a hold on which a person has decided."""

UNENDED = ("HELD", "QC", "RUN", "MEASURED", "ENCODED", "VALIDATED", "STORING")
"""States of a job between the decision and its delivery."""


def keep_hold(engine: Engine, plan: Mapping[str, Any], inputs: Sequence[Sequence[str]], reasons: Sequence[str]) -> None:
    """Write a held job; again for the same reasons changes nothing, so that what a person decided on them stands.

    For other reasons, or after other routes had ended it, a person is asked anew.
    """
    job_id = plan["id"]
    values = {
        "study_uid": plan["study_uid"],
        "version": plan["version"],
        "series_uid": plan["series_uid"],
        "bundles": ", ".join(plan["bundles"])[:256],
        "reasons": list(reasons),
        "plan": dict(plan),
        "inputs": [list(pair) for pair in inputs],
        "state": "open",
        "created": time.time(),
    }
    with engine.begin() as connection:
        kept = connection.execute(select(hold.c.state, hold.c.reasons).where(hold.c.job_id == job_id)).first()
        if kept is None:
            connection.execute(insert(hold).values(job_id=job_id, **values))
        elif kept.state == "ended" or set(reasons) - set(kept.reasons):
            nobody = dict.fromkeys(("decided", "decided_by", "role", "reason"))
            connection.execute(update(hold).where(hold.c.job_id == job_id).values(**values, **nobody))
        else:
            return
        note_event(connection, "quality_held", plan["study_uid"], {"job": plan["id"], "reasons": len(reasons)})


def decide_hold(engine: Engine, hold_id: int, decision: str, *, who: str, role: str, reason: str) -> str | None:
    """Note what a person decided on an open hold, with an audit record; its job, or None where none is open."""
    with engine.begin() as connection:
        done = connection.execute(
            update(hold)
            .where(hold.c.id == hold_id, hold.c.state == "open")
            .values(state=decision, decided=time.time(), decided_by=who[:64], role=role, reason=reason[:500])
        )
        if done.rowcount != 1:
            return None
        row = connection.execute(select(hold).where(hold.c.id == hold_id)).one()
        note_event(
            connection,
            f"quality_{decision}",
            row.study_uid,
            {"job": row.job_id, "by": who[:64], "role": role, "hold": hold_id},
        )
        return str(row.job_id)


def held(engine: Engine, job_id: str) -> dict[str, Any]:
    """The held job with its reasons and what was decided.

    Raises
    ------
    KeyError
        There is no such hold.
    """
    with engine.connect() as connection:
        row = connection.execute(select(hold).where(hold.c.job_id == job_id)).first()
    if row is None:
        raise KeyError(job_id)
    decision = {"decision": row.state, "role": row.role, "reason": row.reason, "of": row.reasons}
    return {"plan": row.plan, "inputs": row.inputs, "reasons": row.reasons, "decision": decision}


def decided(engine: Engine, job_id: str) -> dict[str, Any]:
    """What a person decided on a hold of this job; nothing where there was none, or nobody has."""
    try:
        decision = held(engine, job_id)["decision"]
    except KeyError:
        return {}
    return dict(decision) if decision["decision"] in DECISIONS else {}


def undone(engine: Engine) -> list[str]:
    """Jobs that a person has decided on and whose work, or whose study's state, has not been settled since."""
    its_version = (study_version.c.study_uid == hold.c.study_uid) & (study_version.c.version == hold.c.version)
    with engine.connect() as connection:
        return list(
            connection.execute(
                select(hold.c.job_id)
                .join(job, job.c.id == hold.c.job_id)
                .join(study_version, its_version)
                .where(
                    hold.c.state.in_(DECISIONS),
                    job.c.state.in_(UNENDED) | ((study_version.c.state == "HELD") & (job.c.state != "SUPERSEDED")),
                )
                .order_by(hold.c.id)
            ).scalars()
        )
