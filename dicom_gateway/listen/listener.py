"""The DICOM listener: associations of known peers, C-ECHO, and C-STORE whose Success means durable."""

import itertools
import logging
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pynetdicom import AE, evt
from pynetdicom.events import Event
from pynetdicom.sop_class import Verification
from pynetdicom.transport import ThreadedAssociationServer

from dicom_gateway.errors import ListenError, StoreFull, StoreUnavailable
from dicom_gateway.listen.contexts import accepted_contexts, register_classes
from dicom_gateway.listen.doorkeeper import Caller, Verdict, admit
from dicom_gateway.quiet import silence_libraries
from dicom_gateway.settings import Settings
from dicom_gateway.store import Receipt, Store
from dicom_gateway.store.part10 import file_meta

__all__ = ["Listener"]

logger = logging.getLogger(__name__)

SUCCESS = 0x0000
OUT_OF_RESOURCES = 0xA700
CANNOT_UNDERSTAND = 0xC000
INTERNAL_ERROR = 0xC001

BACKLOG = 128
"""Connections that wait for the listener's thread; pynetdicom's 5 makes bursts of peers wait for a TCP retry."""

HALF_OPEN = 64
"""Connections that have not asked for an association yet, beyond which new ones are closed at once."""

STOP_S = 5.0
"""How long running associations may finish when the listener stops."""


@dataclass(frozen=True)
class _Visit:
    """One association: who, and its id."""

    peer: str
    id: str


class Listener:
    """A C-STORE and C-ECHO SCP over a store.

    Parameters
    ----------
    settings
        Sections `listen` and `peers`.
    store
        Takes what is received.
    on_received
        Called with each receipt after it is durable, from the association's thread. What it raises is logged and does
        not reach the peer: the object is stored.
    on_closed
        Called with the id of an association (`Receipt.association`) when it has ended, and after the last receipt.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        on_received: Callable[[Receipt], None],
        *,
        on_closed: Callable[[str], None] = lambda _association: None,
    ) -> None:
        self._listen = settings.listen
        self._peers = settings.peers
        self._store = store
        self._on_received = on_received
        self._on_closed = on_closed
        self._lock = threading.Lock()
        self._visits: dict[Any, _Visit] = {}
        self._unasked: set[Any] = set()
        self._counts: Counter[str] = Counter()
        self._numbers = itertools.count(1)
        self._server: Any = None
        self._ae: Any = None
        self._serving: threading.Thread | None = None

    @property
    def port(self) -> int:
        """TCP port that is listened on; that of the settings before the start."""
        return int(self._server.server_address[1]) if self._server is not None else self._listen.port

    def open(self) -> None:
        """Take the port. Who connects from now on waits in the kernel's queue, and is answered after `start`.

        Raises
        ------
        ListenError
            The address cannot be bound.
        """
        silence_libraries()
        listen = self._listen
        ae = AE(ae_title=listen.aet)
        ae.maximum_pdu_size = listen.max_pdu
        # The doorkeeper decides; these are a second lock behind it.
        ae.maximum_associations = listen.max_associations + HALF_OPEN
        ae.require_called_aet = True
        ae.require_calling_aet = [p.aet for p in self._peers]
        ae.acse_timeout = listen.acse_timeout_s
        ae.dimse_timeout = listen.dimse_timeout_s
        ae.network_timeout = listen.network_timeout_s
        ae.add_supported_context(Verification)
        register_classes(listen.private_classes)
        handlers = [
            (evt.EVT_CONN_OPEN, self._on_open),
            (evt.EVT_REQUESTED, self._on_requested),
            (evt.EVT_CONN_CLOSE, self._on_close),
            (evt.EVT_C_ECHO, self._on_echo),
            (evt.EVT_C_STORE, self._on_store),
        ]
        try:
            server: Any = ae.make_server(
                (listen.host, listen.port), evt_handlers=handlers, server_class=ThreadedAssociationServer
            )
        except OSError as error:
            raise ListenError(
                f"Port {listen.port} on {listen.host} cannot be opened ({error.strerror}); stop what uses it, or "
                "change [listen].",
                port=listen.port,
            ) from None
        server.socket.listen(BACKLOG)
        ae._servers.append(server)  # as AE.start_server does: the server's shutdown takes itself out of this list
        self._server, self._ae = server, ae

    def start(self) -> None:
        """Begin to answer, in threads; takes the port if `open` has not.

        Raises
        ------
        ListenError
            The address cannot be bound.
        """
        if self._server is None:
            self.open()
        self._serving = threading.Thread(target=self._server.serve_forever, name="listener", daemon=True)
        self._serving.start()
        logger.info("listener started port=%d peers=%d", self.port, len(self._peers))

    def stop(self) -> None:
        """Take no new connections, let running associations finish for a moment, then abort them."""
        if self._server is None:
            return
        server, self._server = self._server, None
        if self._serving is None:
            server.server_close()
            return
        self._serving = None
        server.shutdown()
        deadline = time.monotonic() + STOP_S
        while server.active_associations and time.monotonic() < deadline:
            time.sleep(0.02)
        for association in server.active_associations:
            association.abort()
        logger.info("listener stopped")

    def counts(self) -> dict[str, int]:
        """Counts since the start: ``received.<kind>``, ``bytes``, ``accepted``, ``rejected.<why>``, ``open``, ..."""
        with self._lock:
            return dict(self._counts) | {"open": len(self._visits)}

    def _on_open(self, event: Event) -> None:
        connection = event.assoc.dul.socket.socket
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            crowded = len(self._unasked) >= HALF_OPEN
            self._unasked.add(event.assoc)
            self._counts["crowded_out"] += crowded
        if crowded:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _on_requested(self, event: Event) -> None:
        """Admit or reject; anything unforeseen rejects, because pynetdicom would go on to accept."""
        verdict = Verdict.BROKEN_REQUEST
        try:
            verdict = self._admit(event.assoc)
        except Exception as error:  # noqa: BLE001 - service boundary: fail closed
            logger.error("association request failed kind=%s", type(error).__name__)
        with self._lock:
            self._unasked.discard(event.assoc)
            self._counts["accepted" if verdict is Verdict.ADMITTED else f"rejected.{verdict.code}"] += 1
            if verdict is not Verdict.ADMITTED:
                self._visits.pop(event.assoc, None)
        if verdict is not Verdict.ADMITTED:
            logger.warning("association rejected why=%s", verdict.code)
            try:
                event.assoc.acse.send_reject(*verdict.value)
            finally:
                # Without the kill, peers see a lost connection instead of the rejection (pynetdicom 3.0.4, measured).
                event.assoc.kill()

    def _admit(self, association: Any) -> Verdict:
        request = association.requestor.primitive
        calling = str(request.calling_ae_title).strip()
        called = str(request.called_ae_title).strip()
        has_space = self._store.accepts_more()
        with self._lock:
            caller = Caller(
                calling,
                called,
                association.requestor.address,
                open_in_all=len(self._visits),
                open_from_peer=sum(visit.peer == calling for visit in self._visits.values()),
                has_space=has_space,
            )
            verdict, peer = admit(caller, self._listen, self._peers)
            if peer is None:
                return verdict
            self._visits[association] = _Visit(peer.aet, f"{time.time_ns():x}-{next(self._numbers)}")
        association.acceptor.supported_contexts = accepted_contexts(
            request.presentation_context_definition_list, peer.may, self._listen.private_classes
        )
        return verdict

    def _on_close(self, event: Event) -> None:
        with self._lock:
            self._unasked.discard(event.assoc)
            visit = self._visits.pop(event.assoc, None)
        if visit is not None:
            self._tell(self._on_closed, visit.id)

    def _tell(self, listener: Callable[[Any], None], what: Receipt | str) -> None:
        try:
            listener(what)
        except Exception as error:  # noqa: BLE001 - the object is stored, whatever others do with the news
            logger.error("news not passed on kind=%s", type(error).__name__)

    def _on_echo(self, _event: Event) -> int:
        self._count("echo")
        return SUCCESS

    def _on_store(self, event: Event) -> int:
        """Status of one C-STORE; Success only when the object is durable."""
        try:
            with self._lock:
                visit = self._visits.get(event.assoc) or _Visit("", "")
            receipt = self._receive(event, visit)
        except (StoreFull, StoreUnavailable) as error:
            self._count(f"refused.{error.code}")
            logger.error("object refused why=%s detail=%s", error.code, error.fields.get("errno", ""))
            return OUT_OF_RESOURCES
        except Exception as error:  # noqa: BLE001 - service boundary: counted, and never Success
            self._count("refused.internal")
            logger.error("object refused why=internal kind=%s", type(error).__name__)
            return INTERNAL_ERROR
        self._count(f"received.{receipt.kind}")
        self._tell(self._on_received, receipt)
        with self._lock:
            is_gone = event.assoc not in self._visits
        if is_gone:  # the connection broke while the object was being stored
            self._tell(self._on_closed, visit.id)
        return CANNOT_UNDERSTAND if receipt.kind == "unreadable" else SUCCESS

    def _receive(self, event: Event, visit: _Visit) -> Receipt:
        request = event.request
        frame = file_meta(
            str(request.AffectedSOPClassUID),
            str(request.AffectedSOPInstanceUID),
            str(event.context.transfer_syntax),
            visit.peer,
        )
        data = b"".join((frame, request.DataSet.getvalue()))
        receipt = self._store.receive(data, peer=visit.peer, association=visit.id, strict=True)
        with self._lock:
            self._counts["bytes"] += len(data)
        return receipt

    def _count(self, name: str) -> None:
        with self._lock:
            self._counts[name] += 1
