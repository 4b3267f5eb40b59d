"""What is happening, step by step: written to the database by the service, shown on the terminal by the commands."""

import errno
import logging
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, func, insert, select, update
from sqlalchemy.exc import InterfaceError, OperationalError

from dicom_gateway.errors import JobCancelled
from dicom_gateway.store import tables
from imaging.errors import RadgateError

__all__ = ["DatabaseJournal", "Journal", "Step", "places", "reason_of"]

log = logging.getLogger(__name__)

PROGRESS_EVERY_S = 0.5
"""How often progress is written at most: often enough to be seen moving, seldom enough not to load the database."""


@dataclass
class Step:
    """One step while it runs; the body sets `message`, `detail` and, where it is not plainly done, `state`."""

    name: str
    job_id: str = ""
    state: str = "running"
    message: str = ""
    detail: dict[str, Any] = field(default_factory=dict)
    started: float = field(default_factory=time.time)
    ended: float | None = None

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start, or until the end."""
        return (self.ended or time.time()) - self.started


def places(error: BaseException) -> str:
    """Where an error came from, innermost last: modules and lines, without its text, which may hold patient data."""
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    return " > ".join(f"{Path(frame.filename).stem}:{frame.lineno}" for frame in frames)


def reason_of(error: Exception) -> str:
    """The sentence of one of our errors; of any other its type, because its text may hold patient data."""
    if isinstance(error, RadgateError):
        return error.message
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return "The disk is full; free some space on it."
    return f"Internal error ({type(error).__name__}); see the log."


class Journal:
    """Keeps the steps in memory; subclasses also write or show them."""

    def __init__(self) -> None:
        self.steps: list[Step] = []

    @contextmanager
    def step(self, name: str, job_id: str = "") -> Iterator[Step]:
        """Record a step: an error ends it as failed, with its sentence, and goes on upwards.

        Raises
        ------
        JobCancelled
            The job is not wanted any more: its step ends as cancelled.
        KeyboardInterrupt
            So it does where a person presses Ctrl-C.
        RadgateError
            And anything else that the body raises.
        """
        entry = Step(name=name, job_id=job_id)
        self.steps.append(entry)
        self.begun(entry)
        try:
            yield entry
        except JobCancelled as error:
            entry.state, entry.message = "cancelled", error.message
            raise
        except KeyboardInterrupt:
            entry.state, entry.message = "cancelled", "Stopped by a person (Ctrl-C)."
            raise
        except RadgateError as error:
            entry.state, entry.message = "failed", error.message
            entry.detail = {**entry.detail, "code": error.code}
            raise
        except Exception as error:
            # The text of a foreign exception may hold patient data; its type does not.
            entry.state, entry.message = "failed", reason_of(error)
            log.error("step %s: %s at %s", name, type(error).__name__, places(error))
            raise
        else:
            if entry.state == "running":
                entry.state = "done"
        finally:
            entry.ended = time.time()
            self.ended(entry)

    def progress(self, job_id: str, fraction: float, what: str = "") -> None:
        """Note how far the running step of a job is, 0 to 1."""

    def begun(self, step: Step) -> None:
        """Called when a step starts."""

    def ended(self, step: Step) -> None:
        """Called when a step has ended."""


class DatabaseJournal(Journal):
    """Steps of one study version as rows of `step_log`, and progress in the job's row."""

    def __init__(self, engine: Engine, study_uid: str, version: int) -> None:
        super().__init__()
        self._engine = engine
        self._study_uid = study_uid
        self._version = version
        self._rows: dict[int, int] = {}
        self._last_progress = 0.0

    def begun(self, step: Step) -> None:
        """Insert the row; an earlier attempt that a crash left running is closed as interrupted."""
        log_ = tables.step_log
        mine = (
            (log_.c.study_uid == self._study_uid)
            & (log_.c.version == self._version)
            & (log_.c.job_id == step.job_id)
            & (log_.c.step == step.name)
        )
        with self._engine.begin() as connection:
            connection.execute(
                update(log_)
                .where(mine, log_.c.state == "running")
                .values(state="failed", ended=step.started, message="Interrupted; started again.")
            )
            attempts = connection.execute(select(func.count()).where(mine)).scalar_one()
            row = connection.execute(
                insert(log_).values(
                    study_uid=self._study_uid,
                    version=self._version,
                    job_id=step.job_id,
                    step=step.name,
                    state="running",
                    attempt=attempts + 1,
                    started=step.started,
                )
            )
            key = row.inserted_primary_key
        if key is not None:
            self._rows[id(step)] = int(key[0])

    def ended(self, step: Step) -> None:
        """Close the row with its outcome."""
        with self._engine.begin() as connection:
            connection.execute(
                update(tables.step_log)
                .where(tables.step_log.c.id == self._rows.pop(id(step)))
                .values(state=step.state, ended=step.ended, message=step.message or None, detail=step.detail)
            )
        log.info("step %s %s in %.2f s", step.name, step.state, step.elapsed_s)

    def progress(self, job_id: str, fraction: float, what: str = "") -> None:
        """Write progress to the job's row, at most twice a second; a database that is away must not end the work."""
        now = time.monotonic()
        if now - self._last_progress < PROGRESS_EVERY_S and fraction < 1.0:
            return
        self._last_progress = now
        with suppress(OperationalError, InterfaceError), self._engine.begin() as connection:
            connection.execute(
                update(tables.job)
                .where(tables.job.c.id == job_id, tables.job.c.state != "CANCELLED")
                .values(progress=fraction, changed=time.time())
            )
