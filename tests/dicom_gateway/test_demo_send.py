"""The demonstration's sender: a listener that falls silent is one sentence, no traceback."""

import threading
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.uid import UID
from pynetdicom import AE, evt
from pynetdicom.sop_class import CTImageStorage

from dicom_gateway.demo import send
from dicom_gateway.errors import GatewayError
from tests.synthetic.series import write_series


@pytest.mark.parametrize("how", ["silent", "aborted"])
def test_a_listener_that_falls_silent_or_goes_ends_the_sending_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    files = write_series(tmp_path, rows=11, columns=7, planes=3)
    let_go = threading.Event()
    stored: list[str] = []

    def handle(event: evt.Event) -> int:
        stored.append(event.request.AffectedSOPInstanceUID)
        if len(stored) >= 2 and how == "silent":
            let_go.wait(30)
        if how == "aborted":
            event.assoc.abort()
        return 0x0000

    ae = AE(ae_title="RADGATE")
    ae.add_supported_context(CTImageStorage)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, handle)])
    sent: list[int] = []
    monkeypatch.setattr(send, "ANSWER_S", 0.5)
    try:
        with pytest.raises(GatewayError, match="did not answer an image"):
            send.send_files(files, "127.0.0.1", server.server_address[1], lambda: sent.append(1))
    finally:
        let_go.set()
        server.shutdown()

    assert len(sent) <= 1


def test_an_answer_that_gets_lost_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = write_series(tmp_path, rows=11, columns=7, planes=3)
    stored: list[str] = []

    def handle(event: evt.Event) -> int:
        stored.append(event.request.AffectedSOPInstanceUID)
        if len(stored) == 2:
            event.assoc.abort()
        return 0x0000

    ae = AE(ae_title="RADGATE")
    ae.add_supported_context(CTImageStorage)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, handle)])
    monkeypatch.setattr(send, "ANSWER_S", 2.0)
    try:
        sent = send.send_files(files, "127.0.0.1", server.server_address[1], lambda: None)
    finally:
        server.shutdown()

    assert (sent.accepted, sent.refused) == (3, 0)
    assert len(stored) == 4 and len(set(stored)) == 3


@pytest.mark.parametrize("what", ["class", "syntax"])
def test_an_object_of_a_kind_that_the_listener_does_not_take_is_refused_and_the_rest_goes_on(
    tmp_path: Path, what: str
) -> None:
    """As the private objects that a scanner puts into its studies."""
    files = write_series(tmp_path, rows=11, columns=7, planes=3)
    dataset = dcmread(files[1])
    if what == "class":
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = UID("1.3.12.2.1107.5.9.1")
        dataset.save_as(files[1])
    else:
        del dataset.PixelData  # JPIP: the pixels are elsewhere
        dataset.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.4.94")
        dataset.save_as(files[1])
    stored: list[str] = []

    def handle(event: evt.Event) -> int:
        stored.append(event.request.AffectedSOPInstanceUID)
        return 0x0000

    ae = AE(ae_title="RADGATE")
    ae.add_supported_context(CTImageStorage)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, handle)])
    try:
        sent = send.send_files(files, "127.0.0.1", server.server_address[1], lambda: None)
    finally:
        server.shutdown()

    assert (sent.accepted, sent.refused, len(stored)) == (2, 1, 2)


@pytest.mark.parametrize("is_implicit", [True, False])
def test_a_data_set_without_the_head_of_a_file_is_sent_too(tmp_path: Path, *, is_implicit: bool) -> None:
    (file,) = write_series(tmp_path, rows=11, columns=7, planes=1)
    dataset = dcmread(file)
    pixels = dataset.PixelData
    dcmwrite(file, Dataset(dict(dataset)), implicit_vr=is_implicit, little_endian=True)
    stored: list[Dataset] = []

    def handle(event: evt.Event) -> int:
        stored.append(event.dataset)
        return 0x0000

    ae = AE(ae_title="RADGATE")
    ae.add_supported_context(CTImageStorage)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, handle)])
    try:
        sent = send.send_files([file], "127.0.0.1", server.server_address[1], lambda: None)
    finally:
        server.shutdown()

    assert file.read_bytes()[128:132] != b"DICM"
    assert (sent.accepted, stored[0].PixelData) == (1, pixels)
