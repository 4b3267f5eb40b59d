"""The listener: known peers only, visible refusals, bytes as they came, Success only when durable."""

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.uid import JPEG2000Lossless
from pynetdicom import AE
from pynetdicom.presentation import build_context

from dicom_gateway.errors import ListenError, StoreFull, StoreUnavailable
from dicom_gateway.listen import Caller, Listener, Verdict, admit
from dicom_gateway.listen.contexts import STORAGE_CLASSES, TRANSFER_SYNTAXES
from dicom_gateway.settings import Listen, Peer
from dicom_gateway.store import Receipt, Store, open_engine
from dicom_gateway.store.part10 import open_frame
from tests.conftest import data_folder
from tests.dicom_gateway.dimse import NO_DELAY, VERIFICATION, associated, dcmtk, listening
from tests.dicom_gateway.making import CT_CLASS, ct_slice, encoded, file_of, gateway_settings, uid

PEERS = """
[[peer]]
aet = "CT1"
[[peer]]
aet = "ECHOER"
may = ["echo"]
[[peer]]
aet = "FAR"
addresses = ["10.9.0.0/16"]
"""


@pytest.fixture
def settings(tmp_path: Path) -> Any:
    return gateway_settings(tmp_path, PEERS)


def sendable(number: int, **tags: Any) -> Any:
    ds = ct_slice(number, **tags)
    file_of(ds)
    return ds


PEER = Peer("CT1", (ip_network("10.1.2.0/24"),))


@pytest.mark.parametrize(
    ("caller", "verdict"),
    [
        (Caller("CT1", "RADGATE", "10.1.2.7"), Verdict.ADMITTED),
        (Caller("CT1", "RADGATE", "::ffff:10.1.2.7"), Verdict.ADMITTED),
        (Caller("CT1", "RADGATE", "10.1.3.7"), Verdict.UNKNOWN_CALLER),
        (Caller("ct1", "RADGATE", "10.1.2.7"), Verdict.UNKNOWN_CALLER),
        (Caller("CT1", "RADGATE", "no address"), Verdict.UNKNOWN_CALLER),
        (Caller("CT1", "OTHER", "10.1.2.7"), Verdict.WRONG_CALLED_TITLE),
        (Caller("CT1", "RADGATE", "10.1.2.7", open_in_all=40), Verdict.LIMIT),
        (Caller("CT1", "RADGATE", "10.1.2.7", open_from_peer=20), Verdict.LIMIT),
        (Caller("CT1", "RADGATE", "10.1.2.7", has_space=False), Verdict.LIMIT),
    ],
)
def test_a_caller_is_admitted_by_titles_address_and_load(caller: Caller, verdict: Verdict) -> None:
    assert admit(caller, Listen(), [PEER])[0] is verdict


def test_without_peers_only_this_machine_is_admitted() -> None:
    assert admit(Caller("ANY", "RADGATE", "127.0.0.1"), Listen(), [])[0] is Verdict.ADMITTED
    assert admit(Caller("ANY", "RADGATE", "10.1.2.7"), Listen(), [])[0] is Verdict.UNKNOWN_CALLER


def test_every_storage_class_is_accepted_and_no_syntax_that_leaves_pixels_behind() -> None:
    assert len(STORAGE_CLASSES) >= 170
    assert JPEG2000Lossless in TRANSFER_SYNTAXES and "1.2.840.10008.1.2.4.203" in TRANSFER_SYNTAXES
    assert "1.2.840.10008.1.2.4.94" not in TRANSFER_SYNTAXES


def test_an_object_arrives_byte_by_byte_and_is_announced_after_it_is_durable(settings: Any, store: Store) -> None:
    heard: list[Receipt] = []
    ds = sendable(1)

    with listening(settings, store, heard) as listener, associated(listener.port) as association:
        assert association.send_c_echo().Status == 0x0000
        assert association.send_c_store(ds).Status == 0x0000

    (receipt,) = heard
    data = store.path(receipt.sha256).read_bytes()
    assert data.endswith(
        encoded(ct_slice(1), implicit=association.accepted_contexts[0].transfer_syntax[0] == "1.2.840.10008.1.2")
    )
    assert (receipt.peer, receipt.sop_uid) == ("CT1", uid(1, 1, 1))
    assert listener.counts()["received.stored"] == 1


@pytest.mark.parametrize(
    ("calling", "called", "reason"),
    [("STRANGER", "RADGATE", (1, 1, 3)), ("FAR", "RADGATE", (1, 1, 3)), ("CT1", "WRONG", (1, 1, 7))],
)
def test_an_unknown_peer_sees_a_rejection_with_its_reason(
    settings: Any, store: Store, calling: str, called: str, reason: tuple[int, int, int]
) -> None:
    with listening(settings, store) as listener:
        for _ in range(5):
            with associated(listener.port, calling=calling, called=called) as association:
                assert association.refusals == [reason]
                assert not association.is_established
        assert listener.counts()["open"] == 0


def test_an_error_in_the_decision_rejects(settings: Any, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> bool:
        raise RuntimeError("planted")

    monkeypatch.setattr(store, "accepts_more", fail)

    with listening(settings, store) as listener, associated(listener.port) as association:
        assert len(association.refusals) == 1
        assert listener.counts()["rejected.broken_request"] == 1


def test_a_peer_that_may_only_echo_gets_no_storage_context(settings: Any, store: Store) -> None:
    with listening(settings, store) as listener, associated(listener.port, calling="ECHOER") as association:
        assert [str(c.abstract_syntax) for c in association.accepted_contexts] == [VERIFICATION]


def test_associations_beyond_the_limit_of_a_peer_are_rejected(tmp_path: Path, store: Store) -> None:
    settings = gateway_settings(tmp_path, f"[listen]\nport = 0\nmax_associations_per_peer = 1\n{PEERS}")

    with listening(settings, store) as listener, associated(listener.port) as first:
        assert first.is_established
        with associated(listener.port) as second:
            assert [reason for _, _, reason in second.refusals] == [2]
        with associated(listener.port, calling="ECHOER") as other:
            assert other.is_established


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (StoreFull("Full.", errno="ENOSPC"), 0xA700),
        (StoreUnavailable("Away."), 0xA700),
        (RuntimeError("planted"), 0xC001),
    ],
)
def test_what_cannot_be_stored_is_never_answered_with_success(
    settings: Any, store: Store, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    def fail(*_args: Any, **_kwargs: Any) -> Receipt:
        raise error

    monkeypatch.setattr(store, "receive", fail)

    with listening(settings, store) as listener, associated(listener.port) as association:
        assert association.send_c_store(sendable(1)).Status == status


def test_an_object_that_is_not_the_announced_one_is_refused_and_kept(settings: Any, store: Store) -> None:
    ds = sendable(1)
    ds.StudyInstanceUID = ""

    with listening(settings, store) as listener, associated(listener.port) as association:
        status = association.send_c_store(ds).Status

    assert status == 0xC000
    assert [q.reason for q in store.quarantined()] == ["missing_uid"]


def test_a_subscriber_that_fails_does_not_reach_the_peer(settings: Any, store: Store) -> None:
    def fail(_receipt: Receipt) -> None:
        raise RuntimeError("planted")

    listener = Listener(settings, store, fail)
    listener.start()
    try:
        with associated(listener.port) as association:
            assert association.send_c_store(sendable(1)).Status == 0x0000
    finally:
        listener.stop()


def test_the_end_of_an_association_is_told_after_its_last_receipt(settings: Any, store: Store) -> None:
    news: list[str] = []
    listener = Listener(
        settings,
        store,
        lambda r: news.append(f"received {r.association}"),
        on_closed=lambda a: news.append(f"closed {a}"),
    )
    listener.start()
    with associated(listener.port) as association:
        association.send_c_store(sendable(1))
        association.send_c_store(sendable(2))
    deadline = time.monotonic() + 5
    while len(news) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    listener.stop()

    assert [n.split()[0] for n in news] == ["received", "received", "closed"]
    assert len({n.split()[1] for n in news}) == 1


def test_a_taken_port_is_a_typed_error(settings: Any, store: Store, tmp_path: Path) -> None:
    with listening(settings, store) as listener:
        taken = gateway_settings(tmp_path, f"[listen]\nport = {listener.port}\n")
        with pytest.raises(ListenError, match="cannot be opened"):
            Listener(taken, store, lambda _receipt: None).start()


def test_eight_associations_at_once_lose_nothing(settings: Any, store: Store) -> None:
    statuses: list[int] = []
    objects = [[sendable(worker * 100 + n) for n in range(50)] for worker in range(8)]

    def send(mine: list[Any]) -> None:
        with associated(port) as association:
            statuses.extend(association.send_c_store(ds).Status for ds in mine)

    with listening(settings, store) as listener:
        port = listener.port
        threads = [threading.Thread(target=send, args=(mine,)) for mine in objects]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert statuses == [0x0000] * 400
    assert len(store.instances()) == 400


def test_broken_connections_leave_no_thread_and_no_open_visit(tmp_path: Path, store: Store) -> None:
    settings = gateway_settings(tmp_path, f"[listen]\nport = 0\nacse_timeout_s = 1\n{PEERS}")
    with listening(settings, store) as listener:
        before = threading.active_count()
        for number in range(30):
            with socket.create_connection(("127.0.0.1", listener.port)) as connection:
                connection.sendall(b"GET / HTTP/1.1\r\n\r\n" if number % 2 else b"\x01\x00\x00\x00\x00\xff")
        deadline = time.monotonic() + 10
        while threading.active_count() > before and time.monotonic() < deadline:
            time.sleep(0.05)
        assert threading.active_count() <= before
        with associated(listener.port) as association:
            assert association.is_established


CANARY = "CANARY7H3QX"


def test_no_patient_data_in_logs_or_file_names(
    settings: Any, store: Store, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    canary = {"PatientName": f"{CANARY}^金丝雀", "PatientID": CANARY, "StudyDescription": CANARY}

    with listening(settings, store) as listener, associated(listener.port) as association:
        association.send_c_store(sendable(1, **canary))
        association.send_c_store(sendable(1, **canary, StudyID="other content"))
        broken = sendable(2, **canary)
        broken.StudyInstanceUID = ""
        association.send_c_store(broken)
    with listening(settings, store) as listener, associated(listener.port, calling=CANARY) as association:
        pass

    out = capfd.readouterr()
    ours = "\n".join(r.getMessage() for r in caplog.records if r.name.startswith("dicom_gateway"))
    library = "\n".join(r.getMessage() for r in caplog.records)
    names = "\n".join(str(p.relative_to(store.root)) for p in store.root.rglob("*"))
    messages = "\n".join(q.message for q in store.quarantined())
    for text in (ours, library, names, messages, out.out, out.err):
        assert CANARY not in text and "金丝雀" not in text
    assert "object set aside" in ours


@pytest.mark.interop
def test_dcmtk_sees_who_is_refused_and_why(settings: Any, store: Store) -> None:
    with listening(settings, store) as listener:
        known = dcmtk("echoscu", "-aet", "CT1", "-aec", "RADGATE", "127.0.0.1", str(listener.port))
        unknown = dcmtk("echoscu", "-aet", "STRANGER", "-aec", "RADGATE", "127.0.0.1", str(listener.port))
        far = dcmtk("echoscu", "-aet", "FAR", "-aec", "RADGATE", "127.0.0.1", str(listener.port))
        wrong = dcmtk("echoscu", "-aet", "CT1", "-aec", "OTHER", "127.0.0.1", str(listener.port))

    assert known.returncode == 0
    for refused, reason in ((unknown, "Calling"), (far, "Calling"), (wrong, "Called")):
        assert refused.returncode != 0
        assert f"{reason} AE Title Not Recognized" in refused.stderr


SYNTAX_OPTIONS = {
    "implicit_le": "-xi",
    "explicit_be": "-xb",
    "deflated_le": "-xd",
    "rle": "-xr",
    "jpeg_lossless_sv1": "-xs",
    "jpeg_extended_12bit": "-xx",
    "jpeg_baseline": "-xy",
    "jpegls_lossless": "-xt",
    "jpegls_near": "-xu",
    "jpeg2000_lossless": "-xv",
    "jpeg2000_lossy": "-xw",
}


@pytest.mark.interop
@pytest.mark.data
@pytest.mark.parametrize("name", SYNTAX_OPTIONS)
def test_each_transfer_syntax_is_kept_as_it_was_sent(settings: Any, store: Store, name: str) -> None:
    path = data_folder("dicom_zoo") / "one_ct_many_syntaxes" / f"{name}.dcm"

    with listening(settings, store) as listener:
        sent = dcmtk(
            "storescu", SYNTAX_OPTIONS[name], "-aet", "CT1", "-aec", "RADGATE", "127.0.0.1", str(listener.port), path
        )

    assert sent.returncode == 0, sent.stderr
    (row,) = store.instances()
    original, kept = path.read_bytes(), store.path(row.sha256).read_bytes()
    frames = open_frame(memoryview(original)), open_frame(memoryview(kept))
    assert frames[0].transfer_syntax_uid == frames[1].transfer_syntax_uid == row.transfer_syntax_uid
    # DCMTK writes lengths of sequences anew; the pixels it passes on as they are.
    assert pydicom.dcmread(path).PixelData == pydicom.dcmread(store.path(row.sha256)).PixelData


@pytest.mark.data
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_every_file_of_the_zoo_that_can_be_sent_is_answered_and_kept_byte_by_byte(settings: Any, store: Store) -> None:
    from pynetdicom import _config

    files = []
    for path in sorted(data_folder("dicom_zoo").rglob("*.dcm")):
        meta = getattr(pydicom.dcmread(path, force=True, stop_before_pixels=True), "file_meta", None)
        wanted = ("MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID", "TransferSyntaxUID")
        if meta and all(meta.get(k) for k in wanted) and len(meta.MediaStorageSOPInstanceUID) <= 64:
            files.append((path, str(meta.MediaStorageSOPClassUID), str(meta.TransferSyntaxUID)))
    pairs = sorted({(sop_class, syntax) for _, sop_class, syntax in files})
    statuses: dict[int, int] = {}
    chunked = _config.STORE_SEND_CHUNKED_DATASET
    _config.STORE_SEND_CHUNKED_DATASET = True
    try:
        with listening(settings, store) as listener:
            ae = AE(ae_title="CT1")
            contexts = [build_context(sop_class, [syntax]) for sop_class, syntax in pairs]
            association = ae.associate(
                "127.0.0.1", listener.port, contexts=contexts[:128], ae_title="RADGATE", evt_handlers=NO_DELAY
            )
            assert association.rejected_contexts == []
            for path, _, _ in files:
                status = association.send_c_store(path).Status
                statuses[status] = statuses.get(status, 0) + 1
            association.release()
    finally:
        _config.STORE_SEND_CHUNKED_DATASET = chunked

    assert len(files) >= 120
    assert set(statuses) <= {0x0000, 0xC000}
    assert statuses.get(0xC000, 0) < 12
    kept = {}
    for path in [store.path(row.sha256) for row in store.instances()] + [*(store.root / "quarantine").iterdir()]:
        data = path.read_bytes()
        kept[data[open_frame(memoryview(data)).data_set_at :]] = path
    for path, _, _ in files:
        data = path.read_bytes()
        assert data[open_frame(memoryview(data)).data_set_at :] in kept, path.name


SERVER = """
import sys, time
from pathlib import Path
from dicom_gateway.settings import read_settings
from dicom_gateway.store import Store, open_engine
from dicom_gateway.listen import Listener
folder = Path(sys.argv[1])
text = "[store]\\nlow_free = 0.0\\nfloor_free = 0.0\\n[listen]\\nport = 0\\n"
settings = read_settings(text, folder / "radgate.toml")
store = Store.open(settings, open_engine(settings))
listener = Listener(settings, store, lambda receipt: None)
listener.start()
print(listener.port, flush=True)
time.sleep(600)
"""


def test_kill_minus_nine_during_reception_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    acknowledged: set[str] = set()
    lock = threading.Lock()
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}

    def send(port: int, start: int) -> None:
        with associated(port) as association:
            for number in range(start, start + 400):
                if not association.is_established:
                    return
                try:
                    answer = association.send_c_store(sendable(number))
                except RuntimeError:
                    return
                if getattr(answer, "Status", None) == 0x0000:
                    with lock:
                        acknowledged.add(uid(1, 1, number))

    for turn in range(2):
        with subprocess.Popen(
            [sys.executable, "-c", SERVER, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=environment
        ) as server:
            assert server.stdout is not None
            port = int(server.stdout.readline())
            threads = [threading.Thread(target=send, args=(port, 10_000 * turn + 1000 * i)) for i in range(3)]
            for thread in threads:
                thread.start()
            goal = len(acknowledged) + 60
            deadline = time.monotonic() + 30
            while len(acknowledged) < goal and time.monotonic() < deadline:
                time.sleep(0.01)
            os.kill(server.pid, signal.SIGKILL)
            for thread in threads:
                thread.join()

    settings = gateway_settings(tmp_path)
    engine = open_engine(settings)
    store = Store.open(settings, engine)
    stored = {row.sop_uid: row for row in store.instances()}
    engine.dispose()
    assert len(acknowledged) >= 120
    assert acknowledged <= set(stored)
    for row in stored.values():
        assert store.path(row.sha256).stat().st_size == row.size_bytes
    assert list((store.root / "incoming").iterdir()) == []


def test_the_class_of_private_objects_is_accepted_when_it_is_listed(tmp_path: Path, store: Store) -> None:
    private = "1.2.826.0.1.3680043.10.1234.77"
    settings = gateway_settings(tmp_path, f'[listen]\nport = 0\nprivate_classes = ["{private}"]\n')
    ds = sendable(1, SOPClassUID=private)
    ds.file_meta.MediaStorageSOPClassUID = private

    with listening(settings, store) as listener:
        with associated(listener.port, classes=[private]) as association:
            assert association.send_c_store(ds).Status == 0x0000
        with associated(listener.port, classes=["1.2.826.0.1.3680043.10.1234.78", CT_CLASS]) as association:
            assert [str(c.abstract_syntax) for c in association.accepted_contexts] == [CT_CLASS]
