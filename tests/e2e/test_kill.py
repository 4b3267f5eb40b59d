"""kill -9 of the service, during inference and during delivery: the study completes, nothing is missing or twice."""

import hashlib
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pynetdicom import AE, AllStoragePresentationContexts, evt
from sqlalchemy import Engine, create_engine, select

from dicom_gateway.demo.send import send_files
from dicom_gateway.store import tables
from imaging.testing.phantom import make_phantom, write_phantom
from tests.e2e.peers import Radgate, free_port, wait_for

CONFIG = """
[store]
root = "store"
low_free = 0.01
floor_free = 0.005
[listen]
port = 0
[[peer]]
aet = "SCANNER"
[complete]
quiet_s = 5.0
[web]
port = 0
[[destination]]
name = "pacs"
aet = "ARCHIVE"
host = "127.0.0.1"
port = {port}
"""


class Archive:
    """A PACS that counts what it is sent, and takes its time over each object."""

    def __init__(self, delay_s: float = 0.0) -> None:
        self.port = free_port()
        self.delay_s = delay_s
        self.received: Counter[str] = Counter()
        self.contents: dict[str, set[str]] = {}
        self.outlets: dict[str, str] = {}
        self._lock = threading.Lock()
        ae = AE(ae_title="ARCHIVE")
        for context in AllStoragePresentationContexts:
            ae.add_supported_context(context.abstract_syntax, ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"])
        ae.add_supported_context("1.2.840.10008.1.1")
        self._server: Any = ae.start_server(
            ("127.0.0.1", self.port), block=False, evt_handlers=[(evt.EVT_C_STORE, self._store)]
        )

    def _store(self, event: Any) -> int:
        time.sleep(self.delay_s)
        data = event.request.DataSet.getvalue()
        uid = str(event.request.AffectedSOPInstanceUID)
        with self._lock:
            self.received[uid] += 1
            self.contents.setdefault(uid, set()).add(hashlib.sha256(data).hexdigest())
            self.outlets[uid] = str(event.request.AffectedSOPClassUID)
        return 0x0000

    def stop(self) -> None:
        """Close the port."""
        self._server.shutdown()


def engine_of(radgate: Radgate) -> Engine:
    """The service's database."""
    return create_engine(f"sqlite:///{radgate.folder / 'store' / 'radgate.sqlite'}", connect_args={"timeout": 30})


def running_step(engine: Engine, step: str) -> bool:
    """Whether a step is marked as running."""
    log = tables.step_log
    with engine.connect() as connection:
        return (
            connection.execute(select(log.c.id).where(log.c.step == step, log.c.state == "running")).first() is not None
        )


def states(engine: Engine) -> list[str]:
    """States of the study versions."""
    with engine.connect() as connection:
        return [row.state for row in connection.execute(select(tables.study_version.c.state))]


def object_uids(engine: Engine) -> set[str]:
    """UIDs of the objects that were made."""
    with engine.connect() as connection:
        return {row.sop_uid for row in connection.execute(select(tables.encoded_object.c.sop_uid))}


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["inference", "delivery"])
def test_after_kill_9_the_study_completes_with_nothing_missing_or_twice(tmp_path: Path, moment: str) -> None:
    files = write_phantom(tmp_path / "study", make_phantom(shape=(96, 128, 120)))
    archive = Archive(delay_s=1.0 if moment == "delivery" else 0.0)
    radgate = Radgate(tmp_path / "radgate", CONFIG.format(port=archive.port))
    try:
        radgate.start()
        engine = engine_of(radgate)
        sent = send_files(files, "127.0.0.1", radgate.dicom_port, lambda: None)
        assert sent.accepted == len(files)
        if moment == "inference":
            wait_for("inference", lambda: running_step(engine, "run"), 120)
        else:
            wait_for("the first object delivered", lambda: len(archive.received) >= 1, 240)
        radgate.kill()
        before = dict(archive.received)
        radgate.start()
        wait_for("the study to be delivered", lambda: states(engine) == ["DELIVERED"], 240)

        assert moment == "inference" or 1 <= len(before) < 4, "the kill came too late to prove anything"
        assert set(archive.received) == object_uids(engine)
        assert len(archive.received) == 4
        assert all(len(versions) == 1 for versions in archive.contents.values()), "the same UID with other bytes"
        assert len(set(archive.outlets.values())) == 4, "one of each kind"
        with engine.connect() as connection:
            kept = connection.execute(
                select(tables.instance.c.sop_uid).where(tables.instance.c.origin == "received")
            ).all()
        assert {row.sop_uid for row in kept} == {str(dcmread(f, stop_before_pixels=True).SOPInstanceUID) for f in files}
    finally:
        radgate.stop()
        archive.stop()
