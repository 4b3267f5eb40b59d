"""Health and metrics: whether the service works and how much of what, in counts without any patient data."""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, func, select, text
from sqlalchemy.exc import SQLAlchemyError

from dicom_gateway.store.tables import delivery, instance, job, quarantine, step_log, study_version

__all__ = ["disk_state", "metrics_text", "readiness"]

OPEN = ("PENDING", "SENDING")


def disk_state(root: Path) -> dict[str, float]:
    """Free and total bytes of the store's file system, and the share that is free."""
    usage = shutil.disk_usage(root)
    return {"free": usage.free, "total": usage.total, "free_share": usage.free / max(1, usage.total)}


def readiness(engine: Engine, root: Path, floor_free: float) -> dict[str, bool]:
    """What has to hold before work can be taken: each condition by name."""
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
        database = True
    except SQLAlchemyError:
        database = False
    try:
        writable, space = os.access(root, os.W_OK), disk_state(root)["free_share"] >= floor_free
    except OSError:
        writable = space = False
    return {"database": database, "store_writable": writable, "disk_above_floor": space}


def metrics_text(connection: Connection, root: Path) -> str:
    """The metrics in Prometheus' text format."""
    return "\n".join(_lines(connection, root)) + "\n"


def _lines(connection: Connection, root: Path) -> Iterator[str]:
    newest = (
        select(study_version.c.study_uid, func.max(study_version.c.version).label("version"))
        .group_by(study_version.c.study_uid)
        .subquery()
    )
    same = (study_version.c.study_uid == newest.c.study_uid) & (study_version.c.version == newest.c.version)
    states = select(study_version.c.state, func.count()).join(newest, same).group_by(study_version.c.state)
    yield from _counted(connection, states, "radgate_studies", "Studies by state of their newest version.", "state")
    jobs = select(job.c.state, func.count()).group_by(job.c.state)
    yield from _counted(connection, jobs, "radgate_jobs", "Jobs by state.", "state")
    objects = select(instance.c.origin, func.count()).group_by(instance.c.origin)
    yield from _counted(connection, objects, "radgate_instances", "Objects in the store by origin.", "origin")
    sends = select(delivery.c.destination, delivery.c.state, func.count())
    sends = sends.group_by(delivery.c.destination, delivery.c.state)
    yield from _counted(
        connection, sends, "radgate_deliveries", "Deliveries by destination and state.", "destination", "state"
    )
    steps = select(step_log.c.step, step_log.c.state, func.count()).group_by(step_log.c.step, step_log.c.state)
    yield from _counted(connection, steps, "radgate_steps", "Steps that were run, by state.", "step", "state")
    took = func.sum(step_log.c.ended - step_log.c.started)
    seconds = select(step_log.c.step, took).where(step_log.c.ended.is_not(None)).group_by(step_log.c.step)
    yield from _counted(connection, seconds, "radgate_step_seconds", "Seconds spent in each step.", "step")
    waiting = connection.execute(select(func.min(delivery.c.created)).where(delivery.c.state.in_(OPEN))).scalar()
    set_aside = connection.execute(select(func.count()).where(quarantine.c.settled.is_(None))).scalar_one()
    unsent = max(0.0, time.time() - waiting) if waiting else 0.0
    yield from _gauge("radgate_oldest_unsent_seconds", "Age of the oldest object that waits for a destination.", unsent)
    yield from _gauge("radgate_quarantine_open", "Objects in quarantine that wait for a person.", set_aside)
    share = disk_state(root)["free_share"]
    yield from _gauge("radgate_disk_free_ratio", "Free share of the store's file system.", share)


def _counted(connection: Connection, query: Any, name: str, about: str, *labels: str) -> Iterator[str]:
    yield f"# HELP {name} {about}"
    yield f"# TYPE {name} gauge"
    for *values, count in connection.execute(query):
        pairs = ",".join(f'{label}="{_escaped(value)}"' for label, value in zip(labels, values, strict=True))
        yield f"{name}{{{pairs}}} {count or 0:g}"


def _gauge(name: str, about: str, value: float) -> Iterator[str]:
    yield f"# HELP {name} {about}"
    yield f"# TYPE {name} gauge"
    yield f"{name} {value:.6g}"


def _escaped(value: Any) -> str:
    return str(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
