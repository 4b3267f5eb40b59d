"""Durable workflows by name: begun once, begun anew where they broke off, and taken up again where they stand still."""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from dbos import DBOS, SetWorkflowID

__all__ = ["BROKEN_OFF", "QUEUE", "Attendance", "begin", "cancel_other_versions"]

log = logging.getLogger(__name__)

QUEUE = "studies"
BROKEN_OFF = ("ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")


def begin(
    name: str, work: Callable[..., Any], *arguments: Any, again: Callable[[str], bool] = BROKEN_OFF.__contains__
) -> None:
    """Enqueue a workflow under its name; a second call changes nothing, unless the last attempt broke off.

    Parameters
    ----------
    again
        Whether a workflow that ended, or runs, with this status is begun anew.
    """
    attempt = 1
    while (status := DBOS.get_workflow_status(_attempt(name, attempt))) is not None:
        if not again(str(status.status)):
            return
        attempt += 1
    with SetWorkflowID(_attempt(name, attempt)):
        DBOS.enqueue_workflow(QUEUE, work, *arguments)


def cancel_other_versions(version: str, executor: str) -> None:
    """Break off what another version of the program left waiting or at work under this executor's name.

    DBOS hands out the work of its own version only, since the steps of another may differ: after an upgrade nobody
    would go on with it. Broken off, it is begun anew by whoever begins or looks after it.
    """
    for found in DBOS.list_workflows(
        queue_name=QUEUE, status=["ENQUEUED", "PENDING"], load_input=False, load_output=False
    ):
        is_ours = found.status == "ENQUEUED" or found.executor_id == executor
        if found.app_version != version and is_ours:
            log.warning("work of another version of the program is begun anew")
            DBOS.cancel_workflow(found.workflow_id)


class Attendance:
    """Which workflows a thread of this process works on, and which therefore stand still.

    A disk that is full just while the outcome of a step is recorded leaves a workflow waiting in the database, with
    nobody working on it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[str] = set()
        self._stalled: set[str] = set()

    def __len__(self) -> int:
        return len(self._running)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Remember that a thread works on the present workflow."""
        workflow_id = str(DBOS.workflow_id)
        with self._lock:
            self._running.add(workflow_id)
        try:
            yield
        finally:
            with self._lock:
                self._running.discard(workflow_id)

    def resume_stalled(self, names: Iterable[str]) -> None:
        """Resume those of the named workflows that were found standing still at two calls in succession."""
        stalled = set()
        for name in names:
            waiting = DBOS.list_workflows(workflow_id_prefix=name, status="PENDING")
            with self._lock:
                stalled |= {w.workflow_id for w in waiting if w.workflow_id not in self._running}
        for workflow_id in stalled & self._stalled:
            log.warning("a workflow stood still and goes on")
            DBOS.resume_workflow(workflow_id, queue_name=QUEUE)
        self._stalled = stalled


def _attempt(name: str, attempt: int) -> str:
    return name if attempt == 1 else f"{name}:{attempt}"
