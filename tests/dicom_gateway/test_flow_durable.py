"""The durable workflow waits for outages, ends faults as visible failures, and starts anew what broke off."""

import errno
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, insert, select, text, update
from sqlalchemy.exc import OperationalError

from dicom_gateway.complete import Decision
from dicom_gateway.complete.versions import decide_version, open_version
from dicom_gateway.flow import durable, record, steps
from dicom_gateway.flow.durable import StudyFlow, launch, shut_down
from dicom_gateway.flow.job import Job, Tools
from dicom_gateway.flow.journal import DatabaseJournal, Step
from dicom_gateway.flow.plan import JobPlan
from dicom_gateway.flow.steps import STEPS
from dicom_gateway.flow.workflows import BROKEN_OFF
from dicom_gateway.route.rules import default_routes
from dicom_gateway.settings import Settings
from dicom_gateway.settings import Store as StoreSettings
from dicom_gateway.store import Store, open_engine, tables
from imaging.testing.phantom import make_phantom, write_phantom
from monai_bundles import discover, run_bundle
from reports.encode import identity
from tests.e2e.peers import wait_for

STUDY_STATES = tables.study_version.c.state


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    routes = tuple(r for r in default_routes() if r.bundle_name == "ct_body_segmentation")
    store = StoreSettings(root=tmp_path / "store", low_free=0.0, floor_free=0.0)
    return replace(Settings(), store=store, routes=routes)


@pytest.fixture
def engine(settings: Settings) -> Iterator[Engine]:
    engine = open_engine(settings)
    yield engine
    engine.dispose()


@pytest.fixture
def study_uid(settings: Settings, engine: Engine, tmp_path: Path) -> str:
    """A received and complete study."""
    store = Store.open(settings, engine)
    files = write_phantom(tmp_path / "ct", make_phantom(shape=(96, 90, 84)))
    receipts = [store.receive(file.read_bytes(), peer="SCANNER") for file in files]
    with engine.begin() as connection:
        connection.execute(
            insert(tables.study_version).values(
                study_uid=receipts[0].study_uid, version=1, state="COMPLETE", opened=1.0, changed=1.0
            )
        )
    return str(receipts[0].study_uid)


def launched(settings: Settings, engine: Engine, version: str) -> StudyFlow:
    """The flow of a program of some version."""
    tools = Tools({b.name: b for b in discover()}, run_bundle)
    store = Store.open(settings, engine)
    return launch(
        engine,
        lambda: StudyFlow(
            settings, engine, store, tools, lambda: None, name=f"{settings.store.root.parent.name} {version}"
        ),
        executor="test",
        version=version,
        at_once=1,
    )


@pytest.fixture
def flow(settings: Settings, engine: Engine) -> Iterator[StudyFlow]:
    yield launched(settings, engine, "test")
    shut_down()


def steps_with(planted: Callable[[Job, Step], None]) -> tuple[tuple[str, Callable[[Job, Step], None]], ...]:
    """The steps, the first of them preceded by a fault."""
    (name, real), *rest = STEPS

    def first(job: Job, step: Step) -> None:
        planted(job, step)
        real(job, step)

    return ((name, first), *rest)


def outage() -> OperationalError:
    return OperationalError("select", {}, ConnectionError("the database restarts"))


def status_of(workflow_id: str) -> str:
    """What DBOS says of a workflow; nothing of one that it does not know."""
    from dbos import DBOS

    status = DBOS.get_workflow_status(workflow_id)
    return "" if status is None else str(status.status)


def state_of(engine: Engine) -> str:
    with engine.connect() as connection:
        return str(connection.execute(select(STUDY_STATES)).scalar_one())


def objects(engine: Engine) -> set[str]:
    with engine.connect() as connection:
        return set(connection.execute(select(tables.encoded_object.c.sop_uid)).scalars())


def test_a_database_that_restarts_in_a_step_is_waited_for(
    flow: StudyFlow, engine: Engine, study_uid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = [outage(), outage()]

    def planted(job: Job, step: Step) -> None:
        if left:
            raise left.pop()

    monkeypatch.setattr(durable, "STEPS", steps_with(planted))

    flow.start(study_uid, 1)

    wait_for("the study", lambda: state_of(engine) == "DELIVERED", 120)
    with engine.connect() as connection:
        attempts = connection.execute(select(tables.step_log.c.attempt).where(tables.step_log.c.step == "qc")).scalars()
        assert sorted(attempts) == [1, 2, 3]


def test_a_full_disk_in_a_step_is_waited_for(
    flow: StudyFlow, engine: Engine, study_uid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = [OSError(errno.ENOSPC, "No space left on device", "/patients/Zhang")]

    def planted(job: Job, step: Step) -> None:
        if left:
            raise left.pop()

    monkeypatch.setattr(durable, "STEPS", steps_with(planted))

    flow.start(study_uid, 1)

    wait_for("the study", lambda: state_of(engine) == "DELIVERED", 120)
    with engine.connect() as connection:
        log = tables.step_log.c
        messages = list(connection.execute(select(log.message).where(log.step == "qc").order_by(log.id)).scalars())
    assert messages[0] == "The disk is full; free some space on it."
    assert len(messages) == 2


def test_a_result_says_that_objects_of_its_study_lie_in_quarantine(
    flow: StudyFlow, engine: Engine, study_uid: str
) -> None:
    row = {
        "sha256": "0" * 64,
        "size_bytes": 1,
        "reason": "patient_conflict",
        "message": "Another patient.",
        "received": 1.0,
    }
    with engine.begin() as connection:
        connection.execute(insert(tables.quarantine).values(study_uid=study_uid, **row))

    flow.start(study_uid, 1)

    wait_for("the study", lambda: state_of(engine) == "DELIVERED", 120)
    with engine.connect() as connection:
        document = connection.execute(select(tables.result.c.document)).scalar_one()
    assert any("1 object(s) of this study" in w for run in document["runs"] for w in run["warnings"])


def test_a_database_that_is_locked_for_a_mark_of_progress_ends_nothing(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(*_: Any) -> None:
        raise outage()

    monkeypatch.setattr(engine, "begin", locked)

    DatabaseJournal(engine, "1.2.3", 1).progress("job", 0.5)


@pytest.mark.parametrize("place", ["keep_regions", "dciodvfy_findings"])
def test_a_disk_that_is_full_inside_a_bundle_or_beside_the_validator_costs_no_structure(
    flow: StudyFlow, engine: Engine, study_uid: str, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Where the step goes on by itself after an error: the bundles of a route, and the answers asked for early."""
    real = getattr(steps, place)
    left = [OSError(errno.ENOSPC, "No space left on device")]

    def full_at_first(*arguments: Any) -> Any:
        if left:
            raise left.pop()
        return real(*arguments)

    monkeypatch.setattr(steps, place, full_at_first)

    flow.start(study_uid, 1)

    wait_for("the study", lambda: state_of(engine) == "DELIVERED", 120)
    assert not left
    with engine.connect() as connection:
        assert list(connection.execute(select(tables.result.c.status)).scalars()) == ["findings"], "and not partial"


def test_a_disk_that_is_full_while_an_outcome_is_recorded_stops_a_study_only_until_someone_looks(
    flow: StudyFlow, engine: Engine, study_uid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread of the workflow ends, and its row stays PENDING: only `care` finds out."""
    from dbos._sys_db import SystemDatabase

    refused = threading.Event()

    def full(*_: Any, **__: Any) -> None:
        refused.set()
        raise OperationalError("insert", {}, sqlite3.OperationalError("database or disk is full"))

    with monkeypatch.context() as patch:
        patch.setattr(SystemDatabase, "record_operation_result", full)
        patch.setattr(SystemDatabase, "update_workflow_outcome", full)
        flow.start(study_uid, 1)
        assert refused.wait(60)
        wait_for("the thread to end", lambda: flow.at_work == 0, 60)
    assert status_of(f"{study_uid}:1") == "PENDING"

    flow.care()
    flow.care()

    wait_for("the study", lambda: state_of(engine) == "DELIVERED", 120)


def test_care_leaves_alone_what_a_thread_works_on(
    flow: StudyFlow, engine: Engine, study_uid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = threading.Event()
    begun: list[str] = []

    def planted(job: Job, step: Step) -> None:
        begun.append(job.plan.id)
        looked.wait(60)

    monkeypatch.setattr(durable, "STEPS", steps_with(planted))
    flow.start(study_uid, 1)
    wait_for("the first step", lambda: len(begun) == 1, 60)

    flow.care()
    flow.care()
    looked.set()

    wait_for("the study", lambda: state_of(engine) == "DELIVERED", 120)
    assert len(begun) == 1


def test_a_fault_of_the_program_ends_the_job_with_its_type_and_no_text(
    flow: StudyFlow, engine: Engine, study_uid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def planted(job: Job, step: Step) -> None:
        step.message = "PASS"
        raise ValueError("Zhang^San")

    monkeypatch.setattr(durable, "STEPS", steps_with(planted))

    flow.start(study_uid, 1)

    wait_for("the study", lambda: state_of(engine) == "FAILED", 120)
    with engine.connect() as connection:
        reason = str(connection.execute(select(tables.job.c.reason)).scalar_one())
    assert "ValueError" in reason
    assert "Zhang" not in reason


def test_a_workflow_that_broke_off_starts_anew(
    flow: StudyFlow, engine: Engine, study_uid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def planted(job: Job, step: Step) -> None:
        raise outage()

    once: Any = {**durable.AGAIN, "max_attempts": 1}
    monkeypatch.setattr(durable, "AGAIN", once)
    monkeypatch.setattr(durable, "STEPS", steps_with(planted))
    flow.start(study_uid, 1)
    wait_for("the outage to outlast the attempts", lambda: status_of(f"{study_uid}:1") in BROKEN_OFF, 120)
    monkeypatch.setattr(durable, "STEPS", STEPS)

    flow.start(study_uid, 1)
    flow.start(study_uid, 1)

    wait_for("the study", lambda: state_of(engine) == "DELIVERED", 120)


@pytest.mark.parametrize("left", ["ENQUEUED", "PENDING"])
def test_after_an_upgrade_what_was_waiting_or_at_work_is_begun_anew(
    settings: Settings, engine: Engine, study_uid: str, left: str
) -> None:
    """The first version has no queue at work, and its row is made what kill -9 leaves."""
    from dbos import DBOS

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DBOS, "register_queue", lambda *_, **__: None)
        launched(settings, engine, "0.1.0").start(study_uid, 1)
    shut_down()
    with engine.begin() as connection:
        connection.execute(text("UPDATE workflow_status SET status = :status, executor_id = 'test'"), {"status": left})

    flow = launched(settings, engine, "0.2.0")
    try:
        flow.start(study_uid, 1)

        wait_for("the study", lambda: state_of(engine) == "DELIVERED", 120)
    finally:
        shut_down()
    with engine.connect() as connection:
        assert len(connection.execute(select(tables.job.c.id)).all()) == 1


def test_after_an_upgrade_what_was_delivered_is_not_made_a_second_time(
    settings: Settings, engine: Engine, study_uid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where one series of a study was done and another was at work."""
    launched(settings, engine, "0.1.0").start(study_uid, 1)
    wait_for("the study", lambda: state_of(engine) == "DELIVERED", 120)
    shut_down()
    before = objects(engine)
    monkeypatch.setattr(identity, "radgate_version", lambda: "0.2.0")  # part of every UID
    record.study_state(engine, study_uid, 1, "RUNNING")
    with engine.begin() as connection:
        connection.execute(text("UPDATE workflow_status SET status = 'PENDING', executor_id = 'test'"))

    flow = launched(settings, engine, "0.2.0")
    try:
        flow.start(study_uid, 1)

        wait_for("the study", lambda: state_of(engine) == "DELIVERED", 120)
    finally:
        shut_down()
    assert before and objects(engine) == before


def test_jobs_of_routes_that_are_no_longer_there_hold_no_study_up(
    flow: StudyFlow, engine: Engine, study_uid: str, settings: Settings
) -> None:
    """As after an upgrade that renamed a route, while a job of it was at work."""
    old = JobPlan(
        id="old", study_uid=study_uid, version=1, stack="1", series_uid="1.2", route="renamed", bundles=("ct",),
        profile="auto", deliver=(), input_digest="0", created_at=1.0, supersedes="", predecessors=(),
    )  # fmt: skip
    record.keep_jobs(engine, [old])
    record.job_state(engine, "old", "RUN")
    (settings.store.root / "work" / "old").mkdir(parents=True)

    flow.start(study_uid, 1)

    wait_for("the study", lambda: state_of(engine) == "DELIVERED", 120)
    with engine.connect() as connection:
        state, reason = connection.execute(
            select(tables.job.c.state, tables.job.c.reason).where(tables.job.c.id == "old")
        ).one()
    assert state == "SUPERSEDED"
    assert reason.startswith("The routes have changed")
    assert not (settings.store.root / "work" / "old").exists()


def test_a_version_that_waits_while_late_images_come_leaves_them_to_the_next_version(
    flow: StudyFlow, engine: Engine, study_uid: str, settings: Settings
) -> None:
    rows = Store.open(settings, engine).instances(study_uid=study_uid, origin="received")
    early = sorted(rows, key=lambda row: row.instance_number or 0)[:-1]
    with engine.begin() as connection:
        connection.execute(update(tables.study_version).values(state="RECEIVING"))
    decision = Decision("COMPLETE", None, "", {"by": "silence", "instances": len(early)})
    for number, instances in ((1, early), (2, rows)):
        version = open_version(engine, study_uid, 2.0)
        assert version.version == number
        assert decide_version(engine, version, decision, instances, 3.0)

    assert [len(flow._freeze(study_uid, number)) for number in (1, 2)] == [len(rows) - 1, len(rows)]
    flow.start(study_uid, 1)
    flow.start(study_uid, 2)

    def states() -> list[str]:
        with engine.connect() as connection:
            return list(connection.execute(select(STUDY_STATES).order_by(tables.study_version.c.version)).scalars())

    wait_for("both versions", lambda: states() == ["SUPERSEDED", "DELIVERED"], 120)
    with engine.connect() as connection:
        jobs = connection.execute(select(tables.job.c.version, tables.job.c.state)).all()
    assert sorted((job.version, job.state) for job in jobs) == [(1, "SUPERSEDED"), (2, "DELIVERED")]


def test_a_version_delivers_while_the_next_is_still_coming(flow: StudyFlow, engine: Engine, study_uid: str) -> None:
    assert open_version(engine, study_uid, 2.0).version == 2

    flow.start(study_uid, 1)

    wait_for("the first version", lambda: status_of(f"{study_uid}:1") == "SUCCESS", 120)
    with engine.connect() as connection:
        assert connection.execute(select(tables.job.c.state)).scalar_one() == "DELIVERED"


def test_a_version_that_is_replaced_in_its_last_step_delivers_nothing(
    flow: StudyFlow, engine: Engine, study_uid: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = Store.open(settings, engine).instances(study_uid=study_uid, origin="received")
    decision = Decision("COMPLETE", None, "", {"by": "silence", "instances": len(rows)})
    (*before, (name, real)) = STEPS

    def replaced(job: Job, step: Step) -> None:
        real(job, step)
        if job.plan.version == 1:
            assert decide_version(engine, open_version(engine, study_uid, 4.0), decision, rows, 5.0)

    monkeypatch.setattr(durable, "STEPS", (*before, (name, replaced)))

    flow.start(study_uid, 1)

    wait_for("the first version", lambda: status_of(f"{study_uid}:1") == "SUCCESS", 120)
    assert not objects(engine)
    flow.start(study_uid, 2)
    wait_for("the second version", lambda: status_of(f"{study_uid}:2") == "SUCCESS", 120)
    with engine.connect() as connection:
        jobs = connection.execute(select(tables.job.c.version, tables.job.c.state)).all()
    assert sorted((job.version, job.state) for job in jobs) == [(1, "SUPERSEDED"), (2, "DELIVERED")]


def test_an_outage_in_the_last_step_leaves_a_study_that_is_looked_after(
    flow: StudyFlow, engine: Engine, study_uid: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise outage()

    once: Any = {**durable.AGAIN, "max_attempts": 1}
    monkeypatch.setattr(durable, "AGAIN", once)
    with monkeypatch.context() as patch:
        patch.setattr(record, "supersede_before", broken)
        flow.start(study_uid, 1)
        wait_for("the workflow to break off", lambda: status_of(f"{study_uid}:1") in BROKEN_OFF, 120)

    flow.care()

    wait_for("the study", lambda: state_of(engine) == "DELIVERED", 120)
    wait_for("the folder to go", lambda: not list((settings.store.root / "work").iterdir()), 10)
