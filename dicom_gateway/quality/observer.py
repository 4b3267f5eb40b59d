"""Image quality beside the path of a study: told of every instance, it looks when it can, and never holds anyone up.

The thread that stores an instance only appends to a list. All work is done by one thread here and a child process; when
either breaks, the images are stored and routed as ever, and the series is looked at again from its files.
"""

import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Engine, select

from dicom_gateway.errors import GatewayError, QualityWorkerFailed
from dicom_gateway.quality import record
from dicom_gateway.quality.messages import Messenger, Sender, send
from dicom_gateway.quality.worker import REQUEST_S, QualityWorker
from dicom_gateway.settings import Settings
from dicom_gateway.store import tables
from dicom_gateway.store.quality_tables import judged_series
from dicom_gateway.store.rows import Receipt
from dicom_gateway.store.store import Store
from qc.image.study import is_related

__all__ = ["QualityObserver"]

log = logging.getLogger(__name__)

PAUSE_S = 0.5
"""Shortest time between two looks at one series: the board is read once a second."""

AT_ONCE = 40
"""Most instances in one request, so that a fast sender's first fault is not told after its last image."""

REST_S = 2.0
"""Silence after which all that has come is judged as if it were all: the study is complete, or given up, much later."""

REST_CONNECTED_S = 3.0
"""The same while the sender keeps its connection: it may go on, but what it has sent must be told within 5 s."""

RHYTHM = 4.0
"""A pause is none where the sender has made one a quarter as long before, unless its only connection has ended."""

RETRY_S = 5.0
MESSAGES_EVERY_S = 1.0
MOST_TRIES = 3
"""A series at which the process ended so often is left to its final verdict, and then given up."""


@dataclass
class _Open:
    """A series with news."""

    study_uid: str
    files: list[Path] = field(default_factory=list)
    known: set[Path] = field(default_factory=set)
    sent: int = 0
    looked_at: float = 0.0
    closing: bool = False
    tries: int = 0
    peer: str = ""
    came: float = 0.0
    longest_gap_s: float = 0.0
    associations: set[str] = field(default_factory=set)
    rested: bool = False


class QualityObserver:
    """Judges series while they arrive, and again when their study is complete.

    Parameters
    ----------
    settings, engine, store
        As the service has opened them.
    on_final
        Called with the UID of a series when it has its final verdict.
    sender
        Sends the message of an alert by one way.
    """

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        store: Store,
        *,
        on_final: Callable[[str], None] = lambda _series_uid: None,
        sender: Sender = send,
    ) -> None:
        self._settings = settings.quality
        self._engine = engine
        self._store = store
        self._on_final = on_final
        self._messenger = Messenger(engine, settings.quality, sender)
        self._worker = QualityWorker(settings.quality.profiles, store.root / "pictures", settings.quality)
        self._profiles = {peer.aet: peer.qc_profiles for peer in settings.peers}
        self._inbox: deque[tuple[float, Receipt | str]] = deque()
        self._connected: set[str] = set()
        self._completed: deque[str] = deque()
        self._to_tell: deque[str] = deque()
        self._open: OrderedDict[str, _Open] = OrderedDict()
        self._wake = threading.Event()
        self._stopping = False
        self._threads: list[threading.Thread] = []

    @property
    def worker_pid(self) -> int | None:
        """Process id of the child while it lives."""
        return self._worker.pid

    def start(self, send_first: Sequence[str] = ()) -> None:
        """Take up what an earlier run left, and begin.

        Parameters
        ----------
        send_first
            Series whose final verdict is there and has not been passed on.
        """
        self._to_tell.extend(send_first)
        self._take_up()
        self._store.subscribe(self.received)
        self._wake.set()
        for name, work in (("quality", self._run), ("quality messages", self._run_messages)):
            thread = threading.Thread(target=work, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """End the threads and the child; what is open is taken up by the next start."""
        self._stopping = True
        self._wake.set()
        self._worker.stop()
        for thread in self._threads:
            thread.join(timeout=10)
        self._worker.close()

    def received(self, receipt: Receipt) -> None:
        """Note an instance: one append, from the thread that stored it."""
        if receipt.origin == "received" and receipt.kind == "stored":
            self._inbox.append((time.monotonic(), receipt))
            self._wake.set()

    def closed(self, association: str) -> None:
        """Note that a sender has ended its connection: what it sent may be all."""
        self._inbox.append((time.monotonic(), association))
        self._wake.set()

    def completed(self, study_uid: str) -> None:
        """Note that a study is complete: its series get their final verdicts."""
        self._completed.append(study_uid)
        self._wake.set()

    def _take_up(self) -> None:
        """Series that had not got their final verdict when the last run ended."""
        with self._engine.connect() as connection:
            rows = connection.execute(
                select(judged_series.c.study_uid).where(judged_series.c.closed.is_(None)).distinct()
            ).scalars()
            undecided = set(
                connection.execute(
                    select(tables.study_version.c.study_uid).where(tables.study_version.c.state == "RECEIVING")
                ).scalars()
            )
            for study_uid in rows:
                if study_uid not in undecided:
                    self._completed.append(study_uid)
        for study_uid in undecided:
            for row in self._store.instances(study_uid=study_uid, origin="received"):
                self._add(row.series_uid, study_uid, row.sha256, row.peer or "")

    def _run(self) -> None:
        try:
            self._worker.warm()
        except QualityWorkerFailed as error:
            log.error("quality worker failed: %s", error.code)
        while True:
            self._wake.wait(self._pause())
            if self._stopping:
                return
            self._wake.clear()
            try:
                self._take_in()
                self._look()
                while self._to_tell and not self._stopping:
                    self._tell(self._to_tell.popleft())
            except Exception as error:  # noqa: BLE001 - service boundary: nothing may end this thread
                log.error("quality tries again kind=%s", type(error).__name__)
                time.sleep(PAUSE_S)

    def _pause(self) -> float:
        """Seconds until the next series may be looked at."""
        news = [s.looked_at + PAUSE_S for s in self._open.values() if s.sent < len(s.files) or s.closing]
        waiting = [*news, *(due for s in self._open.values() if (due := self._rest_due(s)) is not None)]
        return max(0.0, min(waiting) - time.monotonic()) if waiting else RETRY_S

    def _take_in(self) -> None:
        while self._inbox:
            came, news = self._inbox.popleft()
            if isinstance(news, str):
                self._connected.discard(news)
                continue
            series = self._add(news.series_uid, news.study_uid, news.sha256, news.peer, came)
            if news.association:
                self._connected.add(news.association)
                series.associations.add(news.association)
        while self._completed:
            study_uid = self._completed.popleft()
            for row in self._store.instances(study_uid=study_uid, origin="received"):
                self._add(row.series_uid, study_uid, row.sha256, row.peer or "")
            for series in self._open.values():
                if series.study_uid == study_uid:
                    series.closing = True

    def _add(self, series_uid: str, study_uid: str, sha256: str, peer: str, came: float | None = None) -> _Open:
        series = self._open.setdefault(series_uid, _Open(study_uid, peer=peer))
        try:
            path = self._store.path(sha256)
        except GatewayError:
            return series
        if path not in series.known:
            came = time.monotonic() if came is None else came
            series.longest_gap_s = max(series.longest_gap_s, came - series.came if series.came else 0.0)
            series.came = came
            series.rested = False
            series.known.add(path)
            series.files.append(path)
        return series

    def _rest_due(self, series: _Open) -> float | None:
        """When a series that has come to rest is judged as a whole; None where that is done or not yet asked."""
        if series.rested or series.closing or not series.files or series.sent < len(series.files):
            return None
        is_connected = bool(series.associations & self._connected)
        if len(series.associations) == 1 and not is_connected:
            return series.came + REST_S  # all came by one connection, which has ended
        return series.came + max(REST_CONNECTED_S if is_connected else REST_S, RHYTHM * series.longest_gap_s)

    def _look(self) -> None:
        """One look at each series that has news, or has come to rest."""
        for uid, series in list(self._open.items()):
            if self._stopping:
                return
            # A sender that is done is served before one that goes on, but the first word on a new series comes first.
            if series.looked_at and time.monotonic() - series.looked_at < PAUSE_S and not series.closing:
                continue
            due = self._rest_due(series)
            if series.sent < len(series.files) or series.closing or (due is not None and due <= time.monotonic()):
                self._look_at(uid, series)

    def _look_at(self, uid: str, series: _Open) -> None:
        try:
            if self._worker.warm():
                for other in self._open.values():
                    other.sent = 0  # a new process knows nothing of any series
            part = series.files[series.sent : series.sent + AT_ONCE]
            is_all = series.sent + len(part) >= len(series.files)
            is_last = series.closing and is_all
            is_rest = not series.closing and not part
            is_whole = is_last or is_rest
            request = {
                "kind": "close" if is_last else "rest" if is_rest else "look",
                "series": uid,
                "files": [str(f) for f in part],
                "profiles": self._profiles.get(series.peer, ()),
                "context": [str(f) for f in self._context(uid, series.study_uid)] if is_whole else [],
            }
            answer = self._worker.ask(request, REQUEST_S + (self._settings.phantom_timeout_s if is_whole else 0.0))
        except QualityWorkerFailed as error:
            log.error("quality worker failed: %s", error.code)
            series.tries += 1
            series.looked_at = time.monotonic()
            if series.tries >= MOST_TRIES:
                log.error("a series is given up after %d tries", series.tries)
                self._open.pop(uid, None)
            return
        series.sent += len(part)
        series.rested = is_rest
        series.looked_at = time.monotonic()
        if answer["kind"] == "judged":
            record.keep_judgement(self._engine, answer)
            if is_last:
                self._to_tell.append(uid)
        elif answer["kind"] == "failed":
            log.error("a series was not judged: %s", answer["code"])
        if is_last:
            self._open.pop(uid, None)

    def _context(self, series_uid: str, study_uid: str) -> list[Path]:
        """Images of the other series without which this one cannot be judged: the CT of a PET, the other phases."""
        rows = {row.series_uid: row for row in self._store.series(study_uid)}
        own = rows.get(series_uid)
        if own is None:
            return []
        files: list[str] = []
        for uid, row in rows.items():
            if uid != series_uid and is_related(
                own.modality or "", own.series_description or "", row.modality or "", row.series_description or ""
            ):
                files += [i.sha256 for i in self._store.instances(series_uid=uid, origin="received")]
        try:
            return [self._store.path(sha256) for sha256 in files]
        except GatewayError:
            return []  # what helps is gone; the series is judged without

    def _tell(self, series_uid: str) -> None:
        try:
            self._on_final(series_uid)
        except Exception as error:  # noqa: BLE001 - the verdict is kept, whatever others do with it
            log.error("final verdict not passed on kind=%s", type(error).__name__)

    def _run_messages(self) -> None:
        """Send what nobody was told of; in a thread of its own, because a mail server may take its time."""
        while not self._stopping:
            time.sleep(MESSAGES_EVERY_S)
            try:
                self._messenger.round()
            except Exception as error:  # noqa: BLE001 - service boundary: the next round tries again
                log.error("messages not sent kind=%s", type(error).__name__)
