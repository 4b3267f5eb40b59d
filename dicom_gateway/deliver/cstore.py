"""Sending by C-STORE: one association for a batch, bytes as they are on disk, one outcome for each object."""

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import AE, _config, evt
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind, Verification

from dicom_gateway.deliver.answered import send_c_store
from dicom_gateway.deliver.objects import OutgoingObject
from dicom_gateway.deliver.outcome import Outcome, classify_status
from dicom_gateway.settings import Destination
from dicom_gateway.store.elements import EXPLICIT_LITTLE, IMPLICIT_LITTLE

__all__ = ["CStoreSender"]

MAX_PDU_BYTES = 131072
PLAIN = (EXPLICIT_LITTLE, IMPLICIT_LITTLE)
PENDING = frozenset({0xFF00, 0xFF01})

REJECTED_PERMANENTLY = 1


class CStoreSender:
    """A C-STORE SCU for one destination."""

    def __init__(self, destination: Destination, calling_aet: str) -> None:
        self._destination = destination
        self._calling_aet = destination.calling_aet or calling_aet
        # Sends files piece by piece and byte by byte instead of decoding and encoding them again.
        _config.STORE_SEND_CHUNKED_DATASET = True

    def send(self, objects: Sequence[OutgoingObject]) -> Iterator[Outcome]:
        """One outcome for each object, in order; ends early where the destination stops answering."""
        contexts = _contexts(objects)
        with self._association(contexts) as (association, failure):
            if failure is not None:
                yield from [failure] * (len(objects) if failure.reached else 1)
                return
            accepted = {(str(c.abstract_syntax), str(c.transfer_syntax[0])) for c in association.accepted_contexts}
            for item in objects:
                outcome = _send_one(association, item, accepted)
                yield outcome
                if not outcome.reached:
                    return

    def probe(self) -> bool:
        """Whether the destination answers a C-ECHO."""
        with self._association([build_context(Verification)]) as (association, failure):
            if failure is not None:
                return False
            return bool(getattr(association.send_c_echo(), "Status", None) == 0)

    def find(self, objects: Sequence[OutgoingObject]) -> Iterator[bool | None]:
        """Whether each object is listed by C-FIND; None where there is no answer."""
        with self._association([build_context(StudyRootQueryRetrieveInformationModelFind)]) as (association, failure):
            for item in objects:
                yield None if failure is not None else _find_one(association, item)

    @contextmanager
    def _association(self, contexts: list[PresentationContext]) -> Iterator[tuple[Any, Outcome | None]]:
        """An open association, or why there is none."""
        destination = self._destination
        ae = AE(ae_title=self._calling_aet)
        ae.connection_timeout = destination.connect_timeout_s
        ae.acse_timeout = destination.response_timeout_s
        ae.dimse_timeout = destination.response_timeout_s
        ae.network_timeout = destination.response_timeout_s
        try:
            association = ae.associate(
                destination.host,
                destination.port,
                contexts=contexts,
                ae_title=destination.aet,
                max_pdu=MAX_PDU_BYTES,
                evt_handlers=[(evt.EVT_CONN_OPEN, _no_delay)],
            )
        except OSError:
            yield (
                None,
                Outcome(
                    "retry", "no_address", "The destination's host name is not known; check its address.", reached=False
                ),
            )
            return
        try:
            yield association, None if association.is_established else _refusal(association)
        finally:
            if association.is_established:
                association.release()
            elif not association.is_rejected:
                association.abort()
            _close(association)


def _no_delay(event: Event) -> None:
    # Without this every object waits about 45 ms for an acknowledgement (Nagle, measured against DCMTK and Orthanc).
    event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _close(association: Association) -> None:
    # pynetdicom 3.0.4 leaves the socket open where a connection broke.
    transport: Any = association.dul.socket
    if transport is not None and transport.socket is not None:
        transport.socket.close()


def _contexts(objects: Sequence[OutgoingObject]) -> list[PresentationContext]:
    """One context for each class and syntax, so that each can be accepted; plain objects in both plain syntaxes."""
    pairs: dict[tuple[str, str], None] = {}
    for item in objects:
        pairs[item.sop_class_uid, item.transfer_syntax_uid] = None
        if item.transfer_syntax_uid in PLAIN:
            for syntax in PLAIN:
                pairs[item.sop_class_uid, syntax] = None
    return [build_context(sop_class, [syntax]) for sop_class, syntax in pairs][:128]


def _refusal(association: Association) -> Outcome:
    if not association.is_rejected:
        if association.is_aborted and association.acceptor.primitive is not None:
            return Outcome(
                "permanent", "no_context", "The destination takes none of these classes; choose other outlets for it."
            )
        return Outcome(
            "retry", "no_connection", "The destination cannot be reached; check that it runs.", reached=False
        )
    answer: Any = association.acceptor.primitive
    code = f"rejected_{answer.result}_{answer.result_source}_{answer.diagnostic}"
    if answer.result == REJECTED_PERMANENTLY:
        return Outcome(
            "misconfigured",
            code,
            "The destination rejects our AE title or its own; compare the titles on both sides.",
            reached=False,
        )
    return Outcome("retry", code, "The destination takes no more connections now.", reached=False)


def _send_one(association: Association, item: OutgoingObject, accepted: set[tuple[str, str]]) -> Outcome:
    if (item.sop_class_uid, item.transfer_syntax_uid) in accepted:
        dataset: Any = item.path
    elif item.transfer_syntax_uid in PLAIN and any((item.sop_class_uid, syntax) in accepted for syntax in PLAIN):
        dataset = dcmread(item.path)  # pynetdicom encodes it in the plain syntax that was accepted
    else:
        return Outcome(
            "permanent",
            "no_context",
            "The destination does not take this class in this syntax; choose other outlets for it.",
        )
    try:
        answer = send_c_store(association, dataset)
    except (RuntimeError, ValueError, AttributeError) as error:
        return Outcome(
            "retry",
            type(error).__name__,
            "The connection to the destination was lost; check the network.",
            reached=False,
        )
    return classify_status(getattr(answer, "Status", None))


def _find_one(association: Association, item: OutgoingObject) -> bool | None:
    query = Dataset()
    query.QueryRetrieveLevel = "IMAGE"
    query.StudyInstanceUID = item.study_uid
    query.SeriesInstanceUID = item.series_uid
    query.SOPInstanceUID = item.sop_uid
    found = False
    try:
        for status, identifier in association.send_c_find(query, StudyRootQueryRetrieveInformationModelFind):
            code = getattr(status, "Status", None)
            if code in PENDING:
                found = found or getattr(identifier, "SOPInstanceUID", None) == item.sop_uid
            elif code != 0:
                return None
    except (RuntimeError, ValueError):
        return None
    return found
