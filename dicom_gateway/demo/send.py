"""Sends files to the listener as a modality would: one association, C-STORE after C-STORE."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread
from pynetdicom import AE

from dicom_gateway.errors import GatewayError

__all__ = ["Sent", "send_files"]

MOST_CONTEXTS = 128
"""A DICOM association offers at most this many presentation contexts (PS3.8)."""


@dataclass(frozen=True)
class Sent:
    """What a sending came to."""

    accepted: int
    refused: int
    study_uids: set[str]
    elapsed_s: float


def send_files(files: Sequence[Path], host: str, port: int, advance: Callable[[], None]) -> Sent:
    """Send files; `advance` is called after each.

    Raises
    ------
    GatewayError
        The listener refuses the association.
    """
    began = time.monotonic()
    headers = [dcmread(file, stop_before_pixels=True) for file in files]
    kinds = sorted({(str(h.SOPClassUID), str(h.file_meta.TransferSyntaxUID)) for h in headers})[:MOST_CONTEXTS]
    ae = AE(ae_title="SCANNER")
    ae.maximum_pdu_size = 131072
    for sop_class, syntax in kinds:
        ae.add_requested_context(sop_class, syntax)
    association = ae.associate(host, port, ae_title="RADGATE", max_pdu=131072)
    if not association.is_established:
        raise GatewayError("The listener refused the association; see service.log in the demonstration's folder.")
    accepted = 0
    try:
        for file in files:
            status = association.send_c_store(dcmread(file))
            accepted += bool(status) and status.Status == 0
            advance()
    finally:
        association.release()
    studies = {str(h.StudyInstanceUID) for h in headers if "StudyInstanceUID" in h}
    return Sent(accepted, len(files) - accepted, studies, time.monotonic() - began)
