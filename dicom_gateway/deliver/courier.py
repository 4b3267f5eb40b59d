"""The courier: one thread for each destination that sends what the ledger lists, and keeps trying with patience."""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from sqlalchemy import Engine, insert

from dicom_gateway.deliver import ledger
from dicom_gateway.deliver.cstore import CStoreSender
from dicom_gateway.deliver.ledger import DeliveryRow
from dicom_gateway.deliver.objects import OutgoingObject, outgoing
from dicom_gateway.deliver.outcome import Outcome, Pace
from dicom_gateway.deliver.stow import StowSender
from dicom_gateway.errors import StoreError
from dicom_gateway.quiet import silence_libraries
from dicom_gateway.settings import Destination, Settings
from dicom_gateway.store import Store
from dicom_gateway.store.tables import event

__all__ = ["Courier", "Sender"]

logger = logging.getLogger(__name__)

ALARM_S = 3600.0
"""One alarm for each cause and destination in this time."""


class Sender(Protocol):
    """A way to a destination."""

    def send(self, objects: Sequence[OutgoingObject]) -> Iterator[Outcome]:
        """One outcome for each object, in order; ends early where the destination stops answering."""

    def probe(self) -> bool:
        """Whether the destination answers."""

    def find(self, objects: Sequence[OutgoingObject]) -> Iterator[bool | None]:
        """Whether each object is there."""


class Courier:
    """Delivers the rows of the ledger; one courier for a database.

    Parameters
    ----------
    store, engine
        Where objects and ledger are.
    settings
        Destinations, and our AE title; rows for unknown destinations stay as they are.
    on_settled
        Called with a study UID when no row of it is left to send. May be called again for the same study.
    pace
        How often to try.
    """

    def __init__(
        self,
        store: Store,
        engine: Engine,
        settings: Settings,
        on_settled: Callable[[str], None],
        *,
        pace: Pace = Pace(),  # noqa: B008 - a frozen value
    ) -> None:
        self._engine = engine
        self._on_settled = on_settled
        self._rounds = [
            _Round(store, engine, destination, _sender(destination, settings.listen.aet), pace, self._settled)
            for destination in settings.destinations
        ]

    def start(self) -> None:
        """Take up what an earlier run left, and begin to deliver in threads."""
        silence_libraries()
        released = ledger.release_claims(self._engine, [r.destination.name for r in self._rounds], time.time())
        for study_uid in ledger.settled_but_untold(self._engine):
            self._settled(study_uid)
        for turn in self._rounds:
            turn.start()
        logger.info("courier started destinations=%d released=%d", len(self._rounds), released)

    def stop(self) -> None:
        """End the threads; an object that is being sent is finished first."""
        for turn in self._rounds:
            turn.stop()
        for turn in self._rounds:
            turn.join()

    def wake(self) -> None:
        """Look into the ledger now."""
        for turn in self._rounds:
            turn.wake()

    def resend(self, row_id: int) -> bool:
        """Send a row again from the beginning; False where it is being sent or does not exist."""
        done = ledger.resend(self._engine, row_id, time.time())
        self.wake()
        return done

    def _settled(self, study_uid: str) -> None:
        try:
            if ledger.unsettled(self._engine, study_uid) == 0:
                self._on_settled(study_uid)
        except Exception as error:  # noqa: BLE001 - service boundary: rows are final, and are told again at a restart
            logger.error("settled study not taken kind=%s", type(error).__name__)


def _sender(destination: Destination, calling_aet: str) -> Sender:
    if destination.kind == "stow":
        return StowSender(destination, calling_aet)
    return CStoreSender(destination, calling_aet)


class _Round:
    """The rounds of one destination."""

    def __init__(
        self,
        store: Store,
        engine: Engine,
        destination: Destination,
        sender: Sender,
        pace: Pace,
        settled: Callable[[str], None],
    ) -> None:
        self.destination = destination
        self._store = store
        self._engine = engine
        self._sender = sender
        self._pace = pace
        self._settled = settled
        self._condition = threading.Condition()
        self._woken = False
        self._stopping = False
        self._broken = False
        self._failures = 0
        self._closed_until = 0.0
        self._alarms: dict[str, float] = {}
        self._random = random.Random()
        self._thread = threading.Thread(target=self._run, name=f"deliver-{destination.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        with self._condition:
            self._stopping = True
            self._condition.notify_all()

    def join(self) -> None:
        self._thread.join(timeout=60)

    def wake(self) -> None:
        with self._condition:
            self._woken = True
            self._condition.notify_all()

    def _run(self) -> None:
        while True:
            try:
                wait_s = self._turn()
            except Exception as error:  # noqa: BLE001 - service boundary: nothing may end this thread
                logger.error("delivery tries again kind=%s", type(error).__name__)
                self._broken = True
                wait_s = self._pace.first_s
            with self._condition:
                if not self._woken and not self._stopping:
                    self._condition.wait(max(0.0, wait_s))
                self._woken = False
                if self._stopping:
                    return

    def _turn(self) -> float:
        """One look into the ledger; seconds until the next."""
        if self._broken:  # an error of ours may have left a row claimed
            ledger.release_claims(self._engine, [self.destination.name], time.time())
            self._broken = False
        closed_s = self._closed_until - time.monotonic()
        if closed_s > 0:
            return closed_s
        now = time.time()
        due, next_at = ledger.to_send(self._engine, self.destination.name, now)
        if due:
            if self._failures >= self._pace.break_after and not self._sender.probe():
                self._closed_until = time.monotonic() + self._pace.probe_s
                self._give_up_old(due, now)
            else:
                self._deliver(due)
        if self.destination.verify and self._failures == 0:
            self._verify(now)
        if due:
            return self._closed_until - time.monotonic()
        return min(self._pace.idle_s, next_at - now) if next_at is not None else self._pace.idle_s

    def _deliver(self, due: Sequence[DeliveryRow]) -> None:
        """Send rows in order until one has to wait: what follows it may refer to it."""
        claimed: list[tuple[DeliveryRow, OutgoingObject]] = []
        for row in due:
            try:
                claimed.append((row, outgoing(self._store, row.sha256)))
            except StoreError as error:
                if ledger.claim(self._engine, row):
                    self._record(row, Outcome("permanent", error.code, error.message))
        studies = {row.study_uid for row in due}
        outcomes = self._sender.send([item for _, item in claimed])
        blocked = False
        for row, _ in claimed:
            if blocked or self._stopping or not ledger.claim(self._engine, row):
                break
            outcome = next(outcomes, None) or Outcome("retry", "no_answer", "The connection was lost.", reached=False)
            state = self._record(row, outcome)
            blocked = state == "PENDING" or not outcome.reached
        getattr(outcomes, "close", lambda: None)()
        for study_uid in studies:
            self._settled(study_uid)

    def _record(self, row: DeliveryRow, outcome: Outcome) -> str:
        spread = self._random.uniform(-1.0, 1.0)
        state = ledger.record(self._engine, row, outcome, self.destination, self._pace, time.time(), spread)
        if outcome.kind in {"retry", "misconfigured"}:
            self._failures += 1
            exponent = min(self._failures, self._pace.break_after)
            wait_s = self._pace.wait_s(exponent, spread)
            if self._failures >= self._pace.break_after:
                wait_s = self._pace.probe_s
            if outcome.kind == "misconfigured":
                wait_s = max(wait_s, self._pace.cap_s)
            self._closed_until = time.monotonic() + wait_s
        else:
            self._failures = 0
        if outcome.kind not in {"accepted"}:
            self._alarm(outcome)
        logger.info(
            "delivery destination=%s state=%s status=%s attempt=%d",
            self.destination.name,
            state,
            outcome.status,
            row.attempts + 1,
        )
        return state

    def _give_up_old(self, due: Sequence[DeliveryRow], now: float) -> None:
        """While the destination is away, rows still grow too old."""
        limit = self.destination.give_up_h * 3600
        for row in due:
            if now - row.created > limit and ledger.claim(self._engine, row):
                self._record(
                    row, Outcome("retry", "away", "The destination has been away for too long; resend.", False)
                )
                self._settled(row.study_uid)

    def _verify(self, now: float) -> None:
        rows = ledger.to_verify(self._engine, self.destination.name, now, self._pace)
        if not rows:
            return
        items = []
        for row in rows:
            try:
                items.append((row, outgoing(self._store, row.sha256)))
            except StoreError:
                ledger.record_verification(self._engine, row, None, self._pace, now)
        for (row, _), found in zip(items, self._sender.find([item for _, item in items]), strict=False):
            ledger.record_verification(self._engine, row, found, self._pace, time.time())
        for study_uid in {row.study_uid for row in rows}:
            self._settled(study_uid)

    def _alarm(self, outcome: Outcome) -> None:
        """One line in the log and one event for each cause in an hour."""
        now = time.monotonic()
        cause = f"{outcome.kind}:{outcome.status}"
        if now - self._alarms.get(cause, float("-inf")) < ALARM_S:
            return
        self._alarms[cause] = now
        logger.warning("delivery alarm destination=%s cause=%s", self.destination.name, cause)
        detail = {"destination": self.destination.name, "cause": cause, "message": outcome.message}
        with self._engine.begin() as connection:
            connection.execute(insert(event).values(time=time.time(), kind="delivery_alarm", detail=detail))
