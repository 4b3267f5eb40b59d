"""The same store, versions and ledger on a real PostgreSQL, which forgives less than SQLite."""

import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from dicom_gateway.complete import Watcher, force_complete
from dicom_gateway.deliver import Pace, Parcel, classify_status, enqueue, ledger, resend, rows
from dicom_gateway.errors import JobRefused, StoreInUse
from dicom_gateway.flow.cancelling import begun_again, cancel_job, job_rows, keep_for_again, start_again
from dicom_gateway.flow.plan import JobPlan
from dicom_gateway.flow.record import keep_jobs
from dicom_gateway.settings import Destination, Settings
from dicom_gateway.store import Store, open_engine
from dicom_gateway.store.lock import database_lock
from dicom_gateway.store.tables import study_version
from tests.conftest import require_program
from tests.dicom_gateway.making import STUDY, ct_slice, file_of, gateway_settings, uid
from tests.dicom_gateway.racing import plan, race
from tests.e2e.peers import free_port, wait_for

pytestmark = pytest.mark.interop


def run_as_postgres(*command: str) -> None:
    """Run a program of PostgreSQL, which refuses to be run by root."""
    prefix = [require_program("runuser"), "-u", "postgres", "--"] if os.getuid() == 0 else []
    subprocess.run([*prefix, *command], check=True, capture_output=True, timeout=60, cwd="/")


@pytest.fixture(scope="module")
def database_url() -> Iterator[str]:
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not programs:
        require_program("initdb")
    folder = Path(tempfile.mkdtemp())
    if os.getuid() == 0:
        shutil.chown(folder, "postgres")
    initdb, pg_ctl = str(programs[-1]), str(programs[-1].with_name("pg_ctl"))
    port = free_port()
    run_as_postgres(initdb, "-D", str(folder / "data"), "-U", "radgate", "-A", "trust", "-E", "UTF8", "--no-sync")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"
    run_as_postgres(pg_ctl, "-D", str(folder / "data"), "-o", options, "-l", str(folder / "log"), "-w", "start")
    try:
        yield f"postgresql+psycopg://radgate@127.0.0.1:{port}/postgres"
    finally:
        run_as_postgres(pg_ctl, "-D", str(folder / "data"), "-m", "immediate", "stop")
        shutil.rmtree(folder)


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return gateway_settings(tmp_path, f'[database]\nurl = "{database_url}"\n[complete]\nquiet_s = 0.3\nknown_s = 0.1\n')


@pytest.fixture
def engine(settings: Settings) -> Iterator[Engine]:
    from dicom_gateway.store.tables import metadata

    engine = open_engine(settings)
    yield engine
    metadata.drop_all(engine)
    engine.dispose()


def test_a_job_is_either_cancelled_or_stored(engine: Engine) -> None:
    assert {(True, False, "CANCELLED"), (False, True, "STORING")} >= set(race(engine, 60))


def test_a_cancelled_job_is_started_again_there_too(engine: Engine) -> None:
    job = plan("abc0" * 16, "1.2.3")
    keep_jobs(engine, [job])
    cancel_job(engine, job.id, who="王医生", reason="wrong route")
    with pytest.raises(JobRefused, match="still ending"):
        start_again(engine, job.id, who="王医生")
    keep_for_again(engine, job.to_json(), [["1.2", "00"]])

    start_again(engine, job.id, who="李医生")

    assert begun_again(engine) == [job.id]
    cancel_job(engine, job.id, who="王医生")
    assert [(row.state, row.by, row.why) for row in job_rows(engine)] == [("CANCELLED", "王医生", "")]


def test_objects_are_stored_once_whoever_sends_them(store: Store) -> None:
    kinds: list[str] = []

    def send(_worker: int) -> None:
        kinds.extend(store.receive(file_of(ct_slice(n)), peer="CT1").kind for n in range(1, 11))

    threads = [threading.Thread(target=send, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    conflict = store.receive(file_of(ct_slice(3, StudyDate="20200101")), peer="CT1")

    assert (kinds.count("stored"), kinds.count("duplicate")) == (10, 30)
    assert conflict.reason == "other_bytes"
    assert len(store.quarantined()) == 1
    before = store.instances()
    store.rebuild()
    assert store.instances() == before


def test_two_processes_may_write_the_same_series(store: Store, settings: Settings) -> None:
    other_engine = open_engine(settings)
    other = Store(settings.store.root, other_engine)

    for number in range(1, 7):
        (store if number % 2 else other).receive(file_of(ct_slice(number)), peer="CT1")
    store.rebuild()
    receipt = other.receive(file_of(ct_slice(7)), peer="CT1")
    other_engine.dispose()

    assert receipt.kind == "stored"
    assert len(store.instances()) == 7


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_long_and_odd_texts_fit_the_columns(store: Store) -> None:
    odd: dict[str, Any] = {"PatientName": "名" * 300, "StudyDescription": "x\x00y" * 90, "AccessionNumber": "9" * 99}

    assert store.receive(file_of(ct_slice(1, **odd)), peer="P" * 80).kind == "stored"


def test_routes_with_long_names_make_one_job(store: Store, engine: Engine) -> None:
    store.receive(file_of(ct_slice(1)), peer="CT1")
    route = "+".join(f"{letter}{'_route' * 9}" for letter in "abc")
    bundles = tuple(f"{letter}{'_segmentation' * 9}" for letter in "abc")
    plan = JobPlan("j1", STUDY, 1, "s", uid(1, 1), route, bundles, "auto", ("pacs",), "d", 5.0)

    assert keep_jobs(engine, [plan]) == {"j1": 5.0}


def test_versions_are_decided_and_forced(store: Store, engine: Engine, settings: Settings) -> None:
    told: list[tuple[str, int]] = []
    watcher = Watcher(store, engine, settings, lambda study_uid, version: told.append((study_uid, version)))
    watcher.start()
    try:
        for number in range(1, 5):
            store.receive(file_of(ct_slice(number)), peer="CT1")
        wait_for("the first version", lambda: told, 10)
        store.receive(file_of(ct_slice(5, NumberOfSeriesRelatedInstances="50")), peer="CT1")
        wait_for("the second version", lambda: version_states(engine) == ["COMPLETE", "RECEIVING"], 10)
        force_complete(engine, STUDY, "ended by hand", time.time())
        wait_for("the force", lambda: len(told) == 2, 10)
    finally:
        watcher.stop()

    assert told == [(STUDY, 1), (STUDY, 2)]


def version_states(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.execute(select(study_version.c.state).order_by(study_version.c.version)).scalars())


def test_the_ledger_claims_records_and_resends(engine: Engine) -> None:
    pacs = Destination("pacs", aet="PACS", host="127.0.0.1", port=104)
    parcels = [Parcel(uid(7, 1), "a" * 64, "seg", 0)]
    assert (enqueue(engine, "r", STUDY, parcels, [pacs]), enqueue(engine, "r", STUDY, parcels, [pacs])) == (1, 0)
    (row,) = rows(engine)

    assert (ledger.claim(engine, row), ledger.claim(engine, row)) == (True, False)
    state = ledger.record(engine, row, classify_status(0xC000), pacs, Pace(), time.time(), 0.0)

    assert state == "DEAD"
    assert resend(engine, row.id, time.time())
    assert ledger.to_send(engine, "pacs", time.time() + 1)[0][0].id == row.id


def test_two_services_on_one_database_the_second_is_refused_until_the_first_is_gone(
    settings: Settings, engine: Engine
) -> None:
    other = open_engine(settings)
    refused = pytest.raises(StoreInUse, match="works on this database; stop it first")
    with database_lock(engine), refused as caught, database_lock(other):
        pass
    with database_lock(other):
        pass
    other.dispose()

    assert "[database] url" in caught.value.message
