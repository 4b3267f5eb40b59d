"""Sends files to the listener as a modality would: one association, C-STORE after C-STORE."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.association import Association

from dicom_gateway.deliver.answered import send_c_store
from dicom_gateway.errors import GatewayError

__all__ = ["Sent", "send_files"]

MOST_CONTEXTS = 128
"""A DICOM association offers at most this many presentation contexts (PS3.8)."""

NOT_SUPPORTED = 0x0122
"""Refused: SOP class not supported (PS3.7 annex C)."""

ANSWER_S = 60.0
"""A busy machine with a slow disk may take this long to make one image durable."""


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
        The listener refuses the association, or does not answer.
    """
    began = time.monotonic()
    headers = [_read(file, pixels=False) for file in files]
    kinds = sorted({(str(h.SOPClassUID), str(h.file_meta.TransferSyntaxUID)) for h in headers})[:MOST_CONTEXTS]
    ae = AE(ae_title="SCANNER")
    ae.maximum_pdu_size = 131072
    ae.dimse_timeout = ANSWER_S
    for sop_class, syntax in kinds:
        ae.add_requested_context(sop_class, syntax)

    def associate() -> Association:
        return ae.associate(host, port, ae_title="RADGATE", max_pdu=131072)

    association = associate()
    if not association.is_established:
        raise GatewayError("The listener refused the association; see service.log in the demonstration's folder.")
    accepted = 0
    try:
        for file in files:
            dataset = _read(file)
            status = _answer(association, dataset)
            if "Status" not in status:
                # The same image twice is one image.
                association.abort()
                association = associate()
                status = _answer(association, dataset)
            if "Status" not in status:
                raise GatewayError(
                    f"The listener did not answer an image within {ANSWER_S:g} s, or went away; see service.log "
                    "in the folder of the demonstration, and start it again."
                )
            accepted += status.Status == 0
            advance()
    finally:
        if association.is_established:
            association.release()
    studies = {str(h.StudyInstanceUID) for h in headers if "StudyInstanceUID" in h}
    return Sent(accepted, len(files) - accepted, studies, time.monotonic() - began)


def _read(file: Path, *, pixels: bool = True) -> Dataset:
    """The data set of a file; one without a file's head, as some archives export it, gets the syntax it is in."""
    dataset = dcmread(file, stop_before_pixels=not pixels, force=True)
    if "TransferSyntaxUID" not in dataset.file_meta:
        is_implicit, _ = dataset.original_encoding
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if is_implicit else ExplicitVRLittleEndian
    return dataset


def _answer(association: Association, dataset: Dataset) -> Dataset:
    """What the listener answers to an image; nothing where it does not, or where there is no association.

    An object of a class or a transfer syntax that the listener does not take (a vendor's own, as many studies hold)
    counts as refused.
    """
    if not association.is_established:
        return Dataset()
    kind = (dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)
    if kind not in {(c.abstract_syntax, c.transfer_syntax[0]) for c in association.accepted_contexts}:
        refusal = Dataset()
        refusal.Status = NOT_SUPPORTED
        return refusal
    return send_c_store(association, dataset)
