"""The watcher: keeps the study versions, asks the engine when something came or a time is up, and tells the flow.

Waiting times run on a clock that no jump of the system's time can disturb. What it knows is in the database, so a
restart goes on where the last run stopped.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import Engine

from dicom_gateway.complete.engine import Came, Decision, decide
from dicom_gateway.complete.peek import came
from dicom_gateway.complete.versions import (
    Version,
    decide_version,
    forced_since,
    input_digest,
    is_decided,
    open_version,
    unfinished,
    unstarted,
)
from dicom_gateway.settings import Complete, Settings
from dicom_gateway.store.rows import InstanceRow, Receipt
from dicom_gateway.store.store import Store

__all__ = ["Watcher"]

logger = logging.getLogger(__name__)

FORCE_POLL_S = 2.0
"""How often to look whether a person forced a study, perhaps from another process."""

RETRY_S = 5.0
"""Wait after the database or the flow did not take something."""

STREAM_CHECK_S = 0.2
"""Shortest pause after an instance before a look."""

LONGEST_UNCHECKED_S = 30.0
"""Longest time between two looks at a study that keeps coming."""


@dataclass
class _Open:
    """A study that is receiving."""

    version: Version
    wake_at: float
    checked_at: float
    known: dict[str, Came] = field(default_factory=dict)
    arrivals: dict[str, float] = field(default_factory=dict)
    forced: str = ""


class Watcher:
    """Opens and decides study versions.

    Parameters
    ----------
    store, engine, settings
        What was received (every receipt of the store is noted), where versions are kept, and the waiting times.
    on_complete
        Called with study UID and version when one is decided, COMPLETE or INCOMPLETE. It may be called again for the
        same version after a restart, until the version has another state; what it raises is tried again.
    on_late
        Called with study UID and the new version when an instance came after a decision.
    """

    def __init__(
        self,
        store: Store,
        engine: Engine,
        settings: Settings,
        on_complete: Callable[[str, int], None],
        *,
        on_late: Callable[[str, int], None] = lambda _study, _version: None,
    ) -> None:
        self._store = store
        self._engine = engine
        self._complete: Complete = settings.complete
        self._on_complete = on_complete
        self._connected: dict[str, set[str]] = {}
        self._on_late = on_late
        self._wake = threading.Condition()
        self._inbox: list[tuple[str, str, float]] = []
        self._studies: dict[str, _Open] = {}
        self._to_tell: list[tuple[str, int]] = []
        self._last_event = 0
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._clock_base = time.time() - time.monotonic()

    def start(self) -> None:
        """Take up what an earlier run left, and begin to watch in a thread."""
        receiving, self._to_tell = unfinished(self._engine)
        now = self._now()
        for version in receiving:
            self._studies[version.study_uid] = _Open(version, now, now)
        for study_uid in unstarted(self._engine):
            self._open(study_uid, now)
        self._store.subscribe(self.received)
        self._thread = threading.Thread(target=self._run, name="completeness", daemon=True)
        self._thread.start()
        logger.info("watcher started receiving=%d untold=%d", len(self._studies), len(self._to_tell))

    def stop(self) -> None:
        """End the thread; what is open stays open in the database."""
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        if self._thread is not None:
            self._thread.join(timeout=30)

    def received(self, receipt: Receipt) -> None:
        """Note an instance. Quick: the work is done in the watcher's thread. Twice the same is once."""
        if receipt.origin != "received" or receipt.kind not in {"stored", "duplicate"}:
            return
        with self._wake:
            if receipt.association:
                self._connected.setdefault(receipt.association, set()).add(receipt.study_uid)
            if receipt.kind == "stored":
                self._inbox.append((receipt.study_uid, receipt.sop_uid, self._now()))
                self._wake.notify_all()

    def closed(self, association: str) -> None:
        """Note that an association has ended: its studies wait for it no longer."""
        with self._wake:
            self._connected.pop(association, None)

    def _now(self) -> float:
        return self._clock_base + time.monotonic()

    def _run(self) -> None:
        next_poll = 0.0
        while True:
            with self._wake:
                due = min([next_poll, *(s.wake_at for s in self._studies.values())])
                if not self._inbox and not self._stopping:
                    self._wake.wait(max(0.0, due - self._now()))
                if self._stopping:
                    return
                inbox, self._inbox = self._inbox, []
            try:
                self._note(inbox)
                if self._now() >= next_poll:
                    next_poll = self._now() + FORCE_POLL_S
                    self._poll_forced()
                self._tell()
                self._look()
            except Exception as error:  # noqa: BLE001 - service boundary: nothing may end this thread
                logger.error("watcher tries again kind=%s", type(error).__name__)
                with self._wake:
                    self._inbox = inbox + self._inbox
                    if not self._stopping:
                        self._wake.wait(RETRY_S)

    def _note(self, inbox: list[tuple[str, str, float]]) -> None:
        for study_uid, sop_uid, seen in inbox:
            if study_uid not in self._studies:
                rows = self._store.instances(study_uid=study_uid, origin="received")
                if is_decided(self._engine, study_uid, input_digest(rows)):
                    continue  # its row was in the decision, and only this note of it came after
                self._open(study_uid, seen)
            study = self._studies[study_uid]
            study.arrivals.setdefault(sop_uid, seen)
            # While a study streams in there is nothing to decide; look when it pauses, and now and then.
            pause = max(min(self._complete.known_s, self._complete.quiet_s), STREAM_CHECK_S)
            study.wake_at = min(seen + pause, study.checked_at + LONGEST_UNCHECKED_S)

    def _open(self, study_uid: str, now: float) -> None:
        version = open_version(self._engine, study_uid, now)
        self._studies[study_uid] = _Open(version, now, now)
        if version.late:
            logger.info("late instance opened version=%d", version.version)
            try:
                self._on_late(study_uid, version.version)
            except Exception as error:  # noqa: BLE001 - service boundary: the new version is there all the same
                logger.error("late instance not passed on kind=%s", type(error).__name__)

    def _poll_forced(self) -> None:
        for forced in forced_since(self._engine, self._last_event):
            self._last_event = forced.event_id
            study = self._studies.get(forced.study_uid)
            if study is not None and forced.version == study.version.version:
                study.forced = forced.reason
                study.wake_at = 0.0

    def _look(self) -> None:
        for study_uid, study in list(self._studies.items()):
            started = self._now()
            if study.wake_at > started:
                continue
            study.checked_at = started
            decision, rows = self._decide(study_uid, study)
            if decision.state == "RECEIVING":
                cost = self._now() - started
                study.wake_at = max(decision.wake_at or 0.0, started + 20 * cost)
                continue
            is_ours = decide_version(self._engine, study.version, decision, rows, self._now())
            del self._studies[study_uid]  # not before: a database that fails leaves the study to the next look
            if is_ours:
                by = decision.evidence["by"]
                count = decision.evidence["instances"]
                logger.info("study decided state=%s by=%s instances=%d", decision.state, by, count)
                self._to_tell.append((study_uid, study.version.version))
        self._tell()

    def _decide(self, study_uid: str, study: _Open) -> tuple[Decision, list[InstanceRow]]:
        with self._wake:  # asked first: what was sent before a connection ended is then in the index
            is_receiving = any(study_uid in studies for studies in self._connected.values())
        rows = self._store.instances(study_uid=study_uid, origin="received")
        now = self._now()
        for row in rows:
            if row.sop_uid not in study.known:
                seen = study.arrivals.get(row.sop_uid, min(row.received, now))
                study.known[row.sop_uid] = came(self._store, row, seen)
        decision = decide(
            study.known.values(),
            now,
            self._complete,
            opened=study.version.opened,
            receiving=is_receiving,
            forced=study.forced,
        )
        return decision, rows

    def _tell(self) -> None:
        """Hand decided versions to the flow; what it does not take is tried again."""
        for item in list(self._to_tell):
            try:
                self._on_complete(*item)
            except Exception as error:  # noqa: BLE001 - service boundary: the version stays decided and is told again
                logger.error("decision not taken kind=%s", type(error).__name__)
                return
            self._to_tell.remove(item)
