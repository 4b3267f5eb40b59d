"""Peers for tests of the listener: pynetdicom and DCMTK as senders."""

import os
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pynetdicom import AE, evt
from pynetdicom.events import Event
from pynetdicom.pdu import A_ASSOCIATE_RJ
from pynetdicom.presentation import build_context

from dicom_gateway.listen import Listener
from dicom_gateway.settings import Settings
from dicom_gateway.store import Receipt, Store
from tests.conftest import require_program
from tests.dicom_gateway.making import CT_CLASS

__all__ = ["NO_DELAY", "associated", "close_socket", "dcmtk", "listening"]

VERIFICATION = "1.2.840.10008.1.1"


def _no_delay(event: Event) -> None:
    event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


NO_DELAY: Any = [(evt.EVT_CONN_OPEN, _no_delay)]
"""Handlers of a sender that does not wait for acknowledgements."""


@contextmanager
def listening(settings: Settings, store: Store, heard: list[Receipt] | None = None) -> Iterator[Listener]:
    """A running listener."""
    listener = Listener(settings, store, (heard if heard is not None else []).append)
    listener.start()
    try:
        yield listener
    finally:
        listener.stop()


@contextmanager
def associated(
    port: int, *, calling: str = "CT1", called: str = "RADGATE", classes: Sequence[str] = (CT_CLASS, VERIFICATION)
) -> Iterator[Any]:
    """A pynetdicom association, established or not; `refusals` holds (result, source, reason) as they came.

    Its own `is_rejected` is False where its thread wakes up only after the refusal has closed the socket (3.0.4).
    """
    refusals: list[tuple[int, int, int]] = []

    def heard(event: Event) -> None:
        if isinstance(event.pdu, A_ASSOCIATE_RJ):
            refusals.append((event.pdu.result, event.pdu.source, event.pdu.reason_diagnostic))

    ae = AE(ae_title=calling)
    ae.dimse_timeout = ae.network_timeout = 20  # a busy machine may take some seconds
    contexts = [build_context(c) for c in classes]
    handlers: Any = [*NO_DELAY, (evt.EVT_PDU_RECV, heard)]
    association = ae.associate("127.0.0.1", port, contexts=contexts, ae_title=called, evt_handlers=handlers)
    association.refusals = refusals
    try:
        yield association
    finally:
        if association.is_established:
            association.release()
        close_socket(association)


def close_socket(association: Any) -> None:
    """Close what pynetdicom leaves open when a connection breaks."""
    connection = association.dul.socket
    if connection is not None and connection.socket is not None:
        connection.socket.close()


def dcmtk(program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run one of DCMTK's tools with Nagle's algorithm off."""
    return subprocess.run(
        [require_program(program), *map(str, arguments)],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=120,
        check=False,
        env={**os.environ, "TCP_NODELAY": "1"},
    )
