"""The start of the service: one for each store, and a start that fails changes no study."""

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from pynetdicom import AE
from pynetdicom.sop_class import Verification
from sqlalchemy import insert, select

from dicom_gateway.errors import ListenError, StoreInUse, StoreUnavailable
from dicom_gateway.listen import Listener
from dicom_gateway.service import Service, listening_socket
from dicom_gateway.settings import Settings
from dicom_gateway.store import Store, open_engine, tables
from dicom_gateway.store.lock import LOCK_NAME, store_lock
from tests.dicom_gateway.making import STUDY, ct_slice, file_of, gateway_settings
from tests.e2e.peers import Radgate, wait_for

HOLDER = """
import sys, time
from pathlib import Path
from dicom_gateway.store.lock import store_lock
with store_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""

CONFIG = """
[store]
root = "store"
low_free = 0.0
floor_free = 0.0
[listen]
port = 0
[web]
port = 0
"""


def test_a_second_holder_is_refused_until_kill_9_of_the_first(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE) as first:
        assert first.stdout is not None
        first.stdout.readline()
        try:
            with pytest.raises(StoreInUse, match=f"process {first.pid}") as caught, store_lock(tmp_path):
                pass
        finally:
            first.send_signal(signal.SIGKILL)
    with store_lock(tmp_path):
        assert (tmp_path / LOCK_NAME).read_text() == f"{os.getpid()}\n"

    assert "stop it first" in caught.value.message


def test_the_lock_is_free_after_its_block_and_held_within_one_process_too(tmp_path: Path) -> None:
    with store_lock(tmp_path / "new"), pytest.raises(StoreInUse), store_lock(tmp_path / "new"):
        pass
    with store_lock(tmp_path / "new"):
        pass


def test_a_store_that_cannot_have_a_lock_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(StoreUnavailable, match="lock cannot be made"), store_lock(tmp_path / "file"):
        pass


def interrupted(settings: Settings) -> None:
    """A study that a crash left in the middle."""
    engine = open_engine(settings)
    Store(settings.store.root, engine).receive(file_of(ct_slice()), peer="CT1")
    with engine.begin() as connection:
        connection.execute(
            insert(tables.study_version).values(study_uid=STUDY, version=1, state="RUNNING", opened=1.0, changed=1.0)
        )
    engine.dispose()


def untouched(settings: Settings) -> bool:
    """Whether nothing has gone on: no state has changed, and the durable workflow has not even made its tables."""
    engine = open_engine(settings)
    with engine.connect() as connection:
        [row] = connection.execute(select(tables.study_version.c.state, tables.study_version.c.changed)).all()
        names = set(connection.exec_driver_sql("select name from sqlite_master").scalars())
    engine.dispose()
    return tuple(row) == ("RUNNING", 1.0) and not any("workflow" in name for name in names)


@pytest.mark.parametrize("section", ["listen", "web"])
def test_a_start_whose_port_is_taken_touches_nothing_and_frees_the_store(tmp_path: Path, section: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        rest = "[web]\nport = 0\n" if section == "listen" else ""
        settings = gateway_settings(tmp_path, f"[{section}]\nport = {port}\n{rest}")
        interrupted(settings)
        with pytest.raises(ListenError, match=f"Port {port} on 127.0.0.1 cannot be opened"):
            Service(settings).start()

    assert untouched(settings)
    with store_lock(settings.store.root):
        pass


def test_a_start_on_a_store_in_use_touches_nothing(tmp_path: Path) -> None:
    settings = gateway_settings(tmp_path, "[web]\nport = 0\n")
    interrupted(settings)

    with store_lock(settings.store.root), pytest.raises(StoreInUse):
        Service(settings).start()

    assert untouched(settings)


def test_a_listener_that_is_only_open_answers_nobody_yet(settings: Settings, store: Store) -> None:
    listener = Listener(settings, store, lambda _receipt: None)
    listener.open()
    try:
        with socket.create_connection(("127.0.0.1", listener.port), timeout=2) as early:
            early.settimeout(0.3)
            with pytest.raises(TimeoutError):
                early.recv(1)
            listener.start()
        ae = AE(ae_title="EARLY")
        ae.add_requested_context(Verification)
        association = ae.associate("127.0.0.1", listener.port, ae_title=settings.listen.aet)
        assert association.is_established
        association.release()
    finally:
        listener.stop()


def test_a_listener_that_was_only_opened_gives_its_port_back(settings: Settings, store: Store) -> None:
    listener = Listener(settings, store, lambda _receipt: None)
    listener.open()
    port = listener.port
    listener.stop()

    with listening_socket("127.0.0.1", port) as again:
        assert again.getsockname()[1] == port


@pytest.mark.slow
def test_two_services_on_one_store_the_second_is_refused_and_kill_9_frees_it(tmp_path: Path) -> None:
    first = Radgate(tmp_path / "radgate", CONFIG)
    try:
        first.start()
        second = subprocess.run(
            [sys.executable, "-m", "dicom_gateway.cli", "serve", "--config", str(first.config)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert second.returncode == 2
        assert "Another radgate service" in second.stderr and "[store]" in second.stderr
        assert "Traceback" not in second.stderr
        assert httpx.get(f"{first.web}/health/live", timeout=10).status_code < 500
        first.kill()
        first.start()
        assert first.dicom_port
    finally:
        first.stop()
    wait_for("the lock", lambda: lock_is_free(tmp_path / "radgate" / "store"), 10)


def lock_is_free(root: Path) -> bool:
    """Whether nobody holds the store."""
    with suppress(StoreInUse), store_lock(root):
        return True
    return False
