"""A scripted PACS: answers each C-STORE as told, remembers what it took, and can go away and come back."""

import threading
from collections.abc import Callable
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.events import Event
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind, Verification

from tests.dicom_gateway.making import CT_CLASS
from tests.e2e.peers import free_port

__all__ = ["FakePacs"]

EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"


class FakePacs:
    """A C-STORE, C-ECHO and C-FIND SCP whose answers are a function of how often it was asked.

    Parameters
    ----------
    answer
        Status of the n-th C-STORE, n from 1; None aborts the association.
    syntaxes
        Transfer syntaxes it accepts.
    callers
        Calling AE titles it accepts; empty accepts all.
    """

    def __init__(
        self,
        answer: Callable[[int], int | None] = lambda _n: 0x0000,
        *,
        syntaxes: tuple[str, ...] = (EXPLICIT, IMPLICIT),
        callers: tuple[str, ...] = (),
        classes: tuple[str, ...] = (CT_CLASS,),
        hides: bool = False,
    ) -> None:
        self.answer = answer
        self.taken: list[str] = []
        self.bytes: dict[str, bytes] = {}
        self.asked = 0
        self.echoes = 0
        self.associations = 0
        self.hides = hides
        self.port = free_port()
        self._lock = threading.Lock()
        self._ae = AE(ae_title="FAKEPACS")
        self._ae.require_calling_aet = list(callers)
        for sop_class in classes:
            self._ae.supported_contexts = [*self._ae.supported_contexts, build_context(sop_class, list(syntaxes))]
        self._ae.add_supported_context(Verification)
        self._ae.add_supported_context(StudyRootQueryRetrieveInformationModelFind)

    def __enter__(self) -> "FakePacs":
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def start(self) -> None:
        handlers: Any = [
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_C_ECHO, self._echo),
            (evt.EVT_C_FIND, self._find),
            (evt.EVT_ACCEPTED, self._accepted),
        ]
        self._ae.start_server(("127.0.0.1", self.port), block=False, evt_handlers=handlers)

    def stop(self) -> None:
        self._ae.shutdown()

    def _accepted(self, _event: Event) -> None:
        self.associations += 1

    def _echo(self, _event: Event) -> int:
        self.echoes += 1
        return 0x0000

    def _store(self, event: Event) -> int:
        with self._lock:
            self.asked += 1
            status = self.answer(self.asked)
        if status is None:
            event.assoc.abort()
            return 0x0000
        if status == 0x0000 or status >> 12 == 0xB:
            uid = str(event.request.AffectedSOPInstanceUID)
            self.taken.append(uid)
            self.bytes[uid] = event.encoded_dataset(include_meta=False)
        return status

    def _find(self, event: Event) -> Any:
        wanted = str(event.identifier.SOPInstanceUID)
        if wanted in self.taken and not self.hides:
            answer = Dataset()
            answer.QueryRetrieveLevel = "IMAGE"
            answer.SOPInstanceUID = wanted
            yield 0xFF00, answer
