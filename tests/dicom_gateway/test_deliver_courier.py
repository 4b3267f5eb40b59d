"""The courier against scripted and real receivers: what the ledger says is what the receiver has."""

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pydicom
import pytest
from sqlalchemy import Engine, select, update

from dicom_gateway.deliver import Courier, DeliveryRow, Pace, Parcel, enqueue, rows
from dicom_gateway.settings import Destination, Settings
from dicom_gateway.store import Store
from dicom_gateway.store.part10 import open_frame
from dicom_gateway.store.tables import delivery, event, study_version
from tests.conftest import require_program
from tests.dicom_gateway.fake_pacs import IMPLICIT, FakePacs
from tests.dicom_gateway.making import STUDY, ct_slice, file_of, gateway_settings, uid
from tests.e2e.peers import free_port, start_orthanc, wait_for

# pynetdicom 3.0.4 drops the socket of a refused connection instead of closing it; nothing of ours stays open.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

PACE = Pace(first_s=0.1, cap_s=0.4, break_after=3, probe_s=0.3, idle_s=0.1, verify_s=0.05)


def site(folder: Path, port: int, extra: str = "") -> Settings:
    return gateway_settings(
        folder,
        f'[[destination]]\nname = "pacs"\naet = "FAKEPACS"\nhost = "127.0.0.1"\nport = {port}\n'
        f"connect_timeout_s = 1\nresponse_timeout_s = 2\n{extra}",
    )


def put(store: Store, engine: Engine, destinations: tuple[Destination, ...], count: int = 4, **tags: Any) -> list[str]:
    """Objects of a result in the store and in the ledger; their UIDs in the order of sending."""
    parcels = []
    for number in range(1, count + 1):
        receipt = store.receive(file_of(ct_slice(number, **tags)), peer="radgate", origin="result")
        parcels.append(Parcel(receipt.sop_uid, receipt.sha256, "seg", number))
    enqueue(engine, "r1", STUDY, parcels, destinations)
    return [p.sop_uid for p in parcels]


@contextmanager
def delivering(
    store: Store, engine: Engine, settings: Settings, on_settled: Callable[[str], None] = lambda _study: None
) -> Iterator[Courier]:
    courier = Courier(store, engine, settings, on_settled, pace=PACE)
    courier.start()
    try:
        yield courier
    finally:
        courier.stop()


def states(engine: Engine) -> list[str]:
    return [row.state for row in rows(engine)]


def settle(engine: Engine, *wanted: str, timeout_s: float = 20.0) -> list[DeliveryRow]:
    wait_for(f"states {wanted}", lambda: states(engine) == list(wanted), timeout_s)
    return rows(engine)


def test_objects_arrive_in_order_byte_by_byte_and_the_study_is_settled(
    store: Store, engine: Engine, tmp_path: Path
) -> None:
    settled: list[str] = []
    with FakePacs() as pacs:
        settings = site(tmp_path, pacs.port)
        sent = put(store, engine, settings.destinations)
        with delivering(store, engine, settings, settled.append):
            settle(engine, *["ACCEPTED"] * 4)
            wait_for("the news", lambda: settled)

    assert pacs.taken == sent
    assert pacs.associations == 1
    assert settled[-1] == STUDY
    for row in store.instances():
        data = store.path(row.sha256).read_bytes()
        assert pacs.bytes[row.sop_uid] == data[open_frame(memoryview(data)).data_set_at :]


def test_warnings_refusals_and_retries_are_told_apart(store: Store, engine: Engine, tmp_path: Path) -> None:
    script = {1: 0xB000, 2: 0xC000, 3: 0xA700}
    with FakePacs(lambda n: script.get(n, 0x0000)) as pacs:
        settings = site(tmp_path, pacs.port)
        sent = put(store, engine, settings.destinations)
        with delivering(store, engine, settings):
            found = settle(engine, "WARNED", "DEAD", "ACCEPTED", "ACCEPTED")

    assert [row.last_status for row in found] == ["0xB000", "0xC000", "0x0000", "0x0000"]
    assert [row.attempts for row in found] == [1, 1, 2, 1]
    assert pacs.taken == [sent[0], sent[2], sent[3]]
    assert found[1].last_error is not None and "resend" in found[1].last_error


def test_an_abort_is_no_acceptance_and_is_tried_again(store: Store, engine: Engine, tmp_path: Path) -> None:
    with FakePacs(lambda n: None if n == 2 else 0x0000) as pacs:
        settings = site(tmp_path, pacs.port)
        sent = put(store, engine, settings.destinations)
        with delivering(store, engine, settings):
            settle(engine, *["ACCEPTED"] * 4)

    assert pacs.taken == sent


def test_what_a_destination_away_misses_is_sent_when_it_is_back(
    store: Store, engine: Engine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "dicom_gateway")
    pacs = FakePacs()
    settings = site(tmp_path, pacs.port)
    sent = put(store, engine, settings.destinations)

    with delivering(store, engine, settings):
        time.sleep(2.0)
        assert set(states(engine)) == {"PENDING"}
        with pacs:
            settle(engine, *["ACCEPTED"] * 4)

    assert pacs.taken == sent
    assert pacs.echoes >= 1, "the circuit breaker asks before it sends"
    assert sum(row.attempts for row in rows(engine)) <= 4 + PACE.break_after
    alarms = [r for r in caplog.records if "delivery alarm" in r.getMessage()]
    assert len(alarms) == 1


def test_a_destination_that_rejects_us_raises_one_alarm_and_no_storm(
    store: Store, engine: Engine, tmp_path: Path
) -> None:
    with FakePacs(callers=("SOMEONE",)) as pacs:
        settings = site(tmp_path, pacs.port)
        put(store, engine, settings.destinations, count=30)
        with delivering(store, engine, settings):
            time.sleep(2.0)

    with engine.connect() as connection:
        alarms = list(connection.execute(select(event.c.detail).where(event.c.kind == "delivery_alarm")).scalars())
    assert [a["cause"] for a in alarms] == ["misconfigured:rejected_1_1_3"]
    assert sum(row.attempts for row in rows(engine)) < 10


def test_an_object_is_encoded_anew_only_where_the_destination_takes_no_other_syntax(
    store: Store, engine: Engine, tmp_path: Path
) -> None:
    with FakePacs(syntaxes=(IMPLICIT,)) as pacs:
        settings = site(tmp_path, pacs.port)
        (sent,) = put(store, engine, settings.destinations, count=1)
        with delivering(store, engine, settings):
            settle(engine, "ACCEPTED")

    (row,) = store.instances()
    got = pydicom.dcmread(pydicom.filebase.DicomBytesIO(pacs.bytes[sent]), force=True)
    assert got.PixelData == pydicom.dcmread(store.path(row.sha256)).PixelData


def test_a_class_that_nobody_takes_is_dead_at_once_with_what_to_do(
    store: Store, engine: Engine, tmp_path: Path
) -> None:
    with FakePacs(classes=()) as pacs:
        settings = site(tmp_path, pacs.port)
        put(store, engine, settings.destinations, count=2)
        with delivering(store, engine, settings):
            found = settle(engine, "DEAD", "DEAD")

    assert {row.last_status for row in found} == {"no_context"}
    assert "outlets" in str(found[0].last_error)


def test_acceptance_is_verified_by_asking(store: Store, engine: Engine, tmp_path: Path) -> None:
    with FakePacs(hides=True) as pacs:
        settings = site(tmp_path, pacs.port, "verify = true\n")
        put(store, engine, settings.destinations, count=2)
        with delivering(store, engine, settings):
            wait_for("the doubt", lambda: all(row.last_error for row in settle(engine, "ACCEPTED", "ACCEPTED")))
            pacs.hides = False
            settle(engine, "VERIFIED", "VERIFIED")


def test_a_dead_object_is_sent_again_on_request(store: Store, engine: Engine, tmp_path: Path) -> None:
    with FakePacs(lambda n: 0xC000 if n == 1 else 0x0000) as pacs:
        settings = site(tmp_path, pacs.port)
        put(store, engine, settings.destinations, count=1)
        with delivering(store, engine, settings) as courier:
            (row,) = settle(engine, "DEAD")
            assert courier.resend(row.id)
            settle(engine, "ACCEPTED")


def test_a_study_settled_just_before_a_crash_is_told_at_the_start(store: Store, engine: Engine, tmp_path: Path) -> None:
    settings = site(tmp_path, free_port())
    put(store, engine, settings.destinations, count=1)
    with engine.begin() as connection:
        connection.execute(update(delivery).values(state="ACCEPTED", finished=1.0))
        connection.execute(
            study_version.insert().values(study_uid=STUDY, version=1, state="DELIVERING", opened=1.0, changed=1.0)
        )
    settled: list[str] = []

    with delivering(store, engine, settings, settled.append):
        pass

    assert settled == [STUDY]


SENDER = """
import sys, time
from pathlib import Path
from dicom_gateway.deliver import Courier
from dicom_gateway.settings import load_settings
from dicom_gateway.store import Store, open_engine
settings = load_settings(sys.argv[1])
engine = open_engine(settings)
Courier(Store.open(settings, engine), engine, settings, lambda study: None).start()
time.sleep(600)
"""


def test_kill_minus_nine_while_sending_duplicates_nothing_and_loses_nothing(
    store: Store, engine: Engine, tmp_path: Path
) -> None:
    def slowly(_n: int) -> int:
        time.sleep(0.15)
        return 0x0000

    with FakePacs(slowly) as pacs:
        settings = site(tmp_path, pacs.port)
        sent = put(store, engine, settings.destinations, count=12)
        config = tmp_path / "radgate.toml"
        config.write_text(
            '[store]\nlow_free = 0.0\nfloor_free = 0.0\n[[destination]]\nname = "pacs"\naet = "FAKEPACS"\n'
            f'host = "127.0.0.1"\nport = {pacs.port}\n'
        )
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        with subprocess.Popen([sys.executable, "-c", SENDER, str(config)], env=environment) as process:
            wait_for("some objects", lambda: len(pacs.taken) >= 4, 30)
            process.kill()
        assert 0 < len(set(pacs.taken)) < 12
        with delivering(store, engine, settings):
            settle(engine, *["ACCEPTED"] * 12)

    assert sorted(set(pacs.taken)) == sorted(sent)
    assert len(pacs.taken) <= 13, "at most the object that was in flight is sent twice, under its own UID"


CANARY = "CANARY7H3QX"


def test_no_patient_data_in_logs_or_the_ledger(
    store: Store, engine: Engine, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    script = {1: 0xB000, 2: 0xC000, 3: 0xA700}
    with FakePacs(lambda n: script.get(n, 0x0000), syntaxes=(IMPLICIT,)) as pacs:
        settings = site(tmp_path, pacs.port, "verify = true\n")
        put(store, engine, settings.destinations, PatientName=f"{CANARY}^金丝雀", PatientID=CANARY)
        with delivering(store, engine, settings):
            settle(engine, "WARNED", "DEAD", "VERIFIED", "VERIFIED")

    out = capfd.readouterr()
    log = "\n".join(record.getMessage() for record in caplog.records)
    for text in (log, out.out, out.err, repr(rows(engine))):
        assert CANARY not in text and "金丝雀" not in text
    assert uid(1, 1) not in log


@pytest.mark.interop
def test_storescp_takes_what_we_send(store: Store, engine: Engine, tmp_path: Path) -> None:
    port, folder = free_port(), tmp_path / "received"
    folder.mkdir()
    settings = site(tmp_path, port)
    sent = put(store, engine, settings.destinations)
    with subprocess.Popen([require_program("storescp"), "-od", str(folder), str(port)]) as server:
        try:
            with delivering(store, engine, settings):
                settle(engine, *["ACCEPTED"] * 4)
        finally:
            server.terminate()

    assert sorted(pydicom.dcmread(p).SOPInstanceUID for p in folder.iterdir()) == sorted(sent)


@pytest.mark.interop
def test_orthanc_takes_dicom_and_stow_and_lists_what_it_took(store: Store, engine: Engine, tmp_path: Path) -> None:
    orthanc = start_orthanc(tmp_path / "orthanc")
    try:
        settings = gateway_settings(
            tmp_path,
            f'[[destination]]\nname = "a_dicom"\naet = "ORTHANC"\nhost = "127.0.0.1"\nport = {orthanc.dicom_port}\n'
            f'[[destination]]\nname = "b_stow"\nkind = "stow"\nurl = "{orthanc.web}/dicom-web"\nverify = true\n',
        )
        sent = put(store, engine, settings.destinations)
        with delivering(store, engine, settings):
            wait_for("both", lambda: sorted(states(engine)) == ["ACCEPTED"] * 4 + ["VERIFIED"] * 4, 60)

        listed = orthanc.instances(STUDY)
        assert sorted(item["00080018"]["Value"][0] for item in listed) == sorted(sent)
    finally:
        orthanc.stop()
