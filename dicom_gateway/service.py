"""The running service: listener, store, completeness, workflow, delivery, DICOMweb and pages as one."""

import logging
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from importlib import metadata
from typing import TYPE_CHECKING

import uvicorn

from contouring.names import load_aliases
from dicom_gateway.cli.sources import bundle_folders, bundles_of
from dicom_gateway.complete import Watcher
from dicom_gateway.deliver import Courier
from dicom_gateway.dose import DoseFlow
from dicom_gateway.dose.record import settle as settle_doses
from dicom_gateway.errors import ListenError
from dicom_gateway.flow import cancelling, record
from dicom_gateway.flow.accepts import accepted_by, accepted_by_nobody
from dicom_gateway.flow.durable import StudyFlow, launch, shut_down
from dicom_gateway.flow.job import Tools
from dicom_gateway.flow.journal import places
from dicom_gateway.flow.live_bundles import LiveBundles
from dicom_gateway.flow.rehearsal import rehearse
from dicom_gateway.listen import Listener
from dicom_gateway.quality import QualityObserver
from dicom_gateway.quality.holds import decide_hold, undone
from dicom_gateway.quality.outputs import send_verdict, unsent
from dicom_gateway.quality.record import reject_series
from dicom_gateway.settings import Settings
from dicom_gateway.store.database import open_engine
from dicom_gateway.store.lock import database_lock, store_lock
from dicom_gateway.store.store import Store
from dicom_gateway.web import create_app
from imaging.errors import RadgateError
from imaging.volume import Volume
from monai_bundles import Bundle, BundleOutput, Worker
from reports.encode.loading import load_encoders

if TYPE_CHECKING:
    from fastapi import FastAPI
    from sqlalchemy import Engine

__all__ = ["Service"]

log = logging.getLogger(__name__)

WEB_BACKLOG = 256
"""Connections to the pages that wait while the service starts."""

UNSENT_S = 7 * 24 * 3600.0
"""How old a verdict may be that a crash kept from being sent and that the next start sends."""

CARE_EVERY_S = 60.0

EXECUTOR = "radgate"
"""Name of the one worker of an embedded installation: recovery after a crash looks for its own name."""


class Service:
    """Everything that `radgate serve` runs, in the order of the path of a study.

    A start that cannot succeed changes no study: the store is locked and both ports are taken before anything that was
    interrupted goes on. Who connects meanwhile waits in the kernel's queue, and is answered when all parts run.

    Parameters
    ----------
    settings
        Of the site, with its routes.

    Raises
    ------
    StoreInUse
        Another service works on the store or on the database.
    ListenError
        The DICOM port or the web port is taken.
    StoreUnavailable
        The database does not answer.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._closing = ExitStack()
        self.dicom_port = 0
        self.web_port = 0

    def start(self) -> None:
        """Start all parts; what a crash interrupted goes on."""
        with ExitStack() as guard:
            self._start(guard)
            self._closing = guard.pop_all()

    def stop(self) -> None:
        """Stop taking in, let running steps finish, close everything; what is unfinished goes on at the next start."""
        self._closing.close()

    def _start(self, closing: ExitStack) -> None:
        settings = self._settings
        closing.enter_context(store_lock(settings.store.root))
        web_socket = listening_socket(settings.web.host, settings.web.port)
        closing.callback(web_socket.close)
        load_encoders()
        engine = open_engine(settings)
        closing.callback(engine.dispose)
        closing.enter_context(database_lock(engine))
        store = Store.open(settings, engine)

        def judged(series_uid: str) -> None:
            if send_verdict(settings, engine, store, series_uid):
                courier.wake()

        def reject(series_uid: str, who: str, reason: str) -> bool:
            done = reject_series(engine, series_uid, who, reason)
            if done:
                judged(series_uid)
            return done

        def decide(hold_id: int, decision: str, who: str, role: str, reason: str) -> bool:
            job_id = decide_hold(engine, hold_id, decision, who=who, role=role, reason=reason)
            if job_id is not None:
                flow.release(job_id)
            return job_id is not None

        def begin_again(job_id: str, who: str) -> None:
            cancelling.start_again(engine, job_id, who=who)
            flow.begin_again(job_id)

        quality = QualityObserver(settings, engine, store, on_final=judged)

        def completed(study_uid: str, number: int) -> None:
            doses.consider(study_uid)
            flow.start(study_uid, number)
            if settings.quality.live:
                quality.completed(study_uid)

        watcher = Watcher(store, engine, settings, on_complete=completed)

        def disconnected(association: str) -> None:
            watcher.closed(association)
            if settings.quality.live:
                quality.closed(association)

        listener = Listener(settings, store, on_received=watcher.received, on_closed=disconnected)
        listener.open()
        closing.callback(listener.stop)
        worker = Worker()
        closing.callback(worker.close)
        courier = Courier(store, engine, settings, on_settled=lambda study_uid: settle(engine, study_uid))
        doses = DoseFlow(settings, engine, store, courier.wake)
        app = create_app(
            settings,
            engine,
            store,
            resend=courier.resend,
            reject=reject,
            decide=decide,
            start_dose=doses.start,
            begin_again=begin_again,
        )
        tools = Tools(
            LiveBundles(lambda: bundles_of(settings), lambda: bundle_folders(settings)),
            runner(worker),
            accepted_by(settings),
            load_aliases(settings.contour.aliases),
            accepted_by_nobody(settings),
            settings.quality.profiles,
        )
        threading.Thread(target=warm, args=(worker, settings, tools), name="warm worker", daemon=True).start()
        flow = launch(
            engine,
            lambda: StudyFlow(settings, engine, store, tools, courier.wake),
            executor=EXECUTOR,
            version=metadata.version("radgate"),
            at_once=settings.flow.at_once,
        )
        closing.callback(shut_down)
        courier.start()
        closing.callback(courier.stop)
        watcher.start()
        closing.callback(watcher.stop)
        if settings.quality.live:
            quality.start(send_first=unsent(settings, engine, since=time.time() - UNSENT_S))
            closing.callback(quality.stop)
        resume(engine, flow)
        doses.resume()
        closing.callback(caretaker(flow.care, doses.care))
        listener.start()
        closing.callback(listener.stop)  # before the parts that it tells; the call above is for a start that fails
        self.dicom_port = listener.port
        self.web_port = web_socket.getsockname()[1]
        serve_pages(app, web_socket, closing)
        log.info("service ready on ports %d (DICOM) and %d (web)", self.dicom_port, self.web_port)


def runner(worker: Worker) -> Callable[..., BundleOutput]:
    """The worker as the steps want it."""

    def run(
        bundle: Bundle,
        volume: Volume,
        progress: Callable[[float, str], None],
        companions: Mapping[str, Volume] | None = None,
    ) -> BundleOutput:
        return worker.run(bundle, volume, progress, companions=companions)

    return run


def warm(worker: Worker, settings: Settings, tools: Tools) -> None:
    """Load the networks of the routes and rehearse the steps, so that the first study need not wait."""
    named = {route.bundle_name for route in settings.routes}
    try:
        worker.warm(*(bundle for name, bundle in tools.bundles.items() if name in named and bundle.needs_network))
    except RadgateError as error:
        log.warning("the worker is not warm: %s", error.code)
    try:
        log.info("rehearsed in %.1f s", rehearse(settings, tools))
    except Exception as error:  # noqa: BLE001 - a rehearsal that fails must not stop the service; studies show the fault
        log.warning("the rehearsal failed: %s at %s", type(error).__name__, places(error))


def caretaker(*cares: Callable[[], None]) -> Callable[[], None]:
    """Look after studies and sums that stand still, every minute, in a thread; returns what ends it."""
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(CARE_EVERY_S):
            for care in cares:
                try:
                    care()
                except Exception as error:  # noqa: BLE001 - the next round may find the database again
                    log.warning("looking after the work failed: %s at %s", type(error).__name__, places(error))

    threading.Thread(target=look, name="caretaker", daemon=True).start()
    return ended.set


def settle(engine: "Engine", study_uid: str) -> None:
    """Derive the states of a study and of its sums of doses from the delivery ledger."""
    record.settle_study(engine, study_uid)
    settle_doses(engine, study_uid)


def resume(engine: "Engine", flow: StudyFlow) -> None:
    """Start what was complete and not started before a crash, and settle what was being delivered."""
    for study_uid, version in record.unfinished_studies(engine):
        flow.start(study_uid, version)
    for job_id in undone(engine):
        flow.release(job_id)
    for job_id in cancelling.begun_again(engine):
        flow.begin_again(job_id)
    for study_uid in record.delivering_studies(engine):
        record.settle_study(engine, study_uid)


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket that listens for the pages.

    Raises
    ------
    ListenError
        The address cannot be bound.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address[:2], family=family, backlog=WEB_BACKLOG)
    except OSError as error:
        raise ListenError(
            f"Port {port} on {host} cannot be opened for the pages ({error.strerror}); stop what uses it, or change "
            "[web].",
            port=port,
        ) from None


def serve_pages(app: "FastAPI", listening: socket.socket, closing: ExitStack) -> None:
    """Serve pages and DICOMweb in a thread.

    Raises
    ------
    ListenError
        The server ended before it had begun.
    """
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=2,  # a page with live updates never ends its stream by itself
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listening],), name="web", daemon=True)
    thread.start()

    def stop() -> None:
        server.should_exit = True
        thread.join(timeout=10)

    while not server.started:
        thread.join(timeout=0.05)
        if not thread.is_alive():
            raise ListenError("The server of the pages ended before it had begun; look into the log above.")
    closing.callback(stop)
