"""A job that waits for a person: it goes on as decided, once, whatever comes in between."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dbos import DBOS, SetWorkflowID
from sqlalchemy import Engine, func, insert, select, update
from sqlalchemy.exc import OperationalError

from dicom_gateway.flow import durable, record
from dicom_gateway.flow.durable import StudyFlow, launch, shut_down
from dicom_gateway.flow.job import Job, Tools
from dicom_gateway.flow.journal import Step
from dicom_gateway.flow.steps import STEPS
from dicom_gateway.flow.workflows import begin
from dicom_gateway.quality.board import read_board, read_series
from dicom_gateway.quality.holds import decide_hold, undone
from dicom_gateway.settings import Destination, Peer, Settings
from dicom_gateway.settings import Store as StoreSettings
from dicom_gateway.store import Store, open_engine, tables
from dicom_gateway.store.quality_tables import hold, judged_series
from monai_bundles import run_bundle
from tests.dicom_gateway.gated import BODY, HOLDS, body_routes, faulty_ct, verdict
from tests.e2e.peers import wait_for


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    store = StoreSettings(root=tmp_path / "store", low_free=0.0, floor_free=0.0)
    return replace(Settings(), store=store, routes=body_routes(), peers=(Peer("CT1", qc_profiles=("mg", "ct_head")),))


@pytest.fixture
def engine(settings: Settings) -> Iterator[Engine]:
    engine = open_engine(settings)
    yield engine
    engine.dispose()


@pytest.fixture
def flow(settings: Settings, engine: Engine) -> Iterator[StudyFlow]:
    store = Store.open(settings, engine)
    tools = Tools({BODY: HOLDS}, run_bundle)
    yield launch(
        engine,
        lambda: StudyFlow(settings, engine, store, tools, lambda: None, name=f"gate {settings.store.root}"),
        executor="test",
        version="test",
        at_once=1,
    )
    shut_down()


@pytest.mark.parametrize(("decision", "status"), [("released", "findings"), ("refused", "refused")])
def test_a_held_job_goes_on_as_a_person_decides_and_the_record_says_who(
    flow: StudyFlow, settings: Settings, engine: Engine, tmp_path: Path, decision: str, status: str
) -> None:
    waiting = hold_one(flow, settings, engine, tmp_path)

    assert decide_hold(engine, waiting["id"], decision, who="王医生", role="radiologist", reason="急诊") is not None
    assert decide_hold(engine, waiting["id"], "released", who="x", role="radiologist", reason="y") is None
    assert undone(engine) == [waiting["job_id"]]
    flow.release(waiting["job_id"])
    flow.release(waiting["job_id"])
    wait_for("the end", lambda: state_of(engine) == "DELIVERED", 120)

    with engine.connect() as connection:
        document = connection.execute(select(tables.result.c.document)).scalar_one()
        events = {e.kind: e.detail for e in connection.execute(select(tables.event))}
        assert connection.execute(select(hold.c.state, hold.c.reason)).one() == (decision, "急诊")
    wait_for("the folder to go", lambda: not (settings.store.root / "work" / waiting["job_id"]).exists(), 10)
    assert document["status"] == status
    [run] = document["runs"]
    assert "radiologist" in (run["reason"] + " ".join(run["warnings"]))
    assert "王医生" not in str(document)
    assert events[f"quality_{decision}"]["by"] == "王医生" and "quality_held" in events
    assert undone(engine) == []


def test_a_released_job_that_is_held_again_goes_on_by_the_same_decision(
    flow: StudyFlow, settings: Settings, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It failed after its release, and an upgrade began its study anew."""

    def fails(job: Job, step: Step) -> None:
        raise ValueError("planted")

    waiting = hold_one(flow, settings, engine, tmp_path)
    decide_hold(engine, waiting["id"], "released", who="王医生", role="radiologist", reason="急诊")
    with monkeypatch.context() as patch:
        patch.setattr(durable, "STEPS", tuple((n, fails if n == "measure" else s) for n, s in STEPS))
        flow.release(waiting["job_id"])
        wait_for("its failure", lambda: state_of(engine) == "FAILED", 120)
    wait_for("the thread to end", lambda: flow.at_work == 0, 60)
    record.job_state(engine, waiting["job_id"], "HELD")
    with engine.connect() as connection:
        study_uid = connection.execute(select(tables.study_version.c.study_uid)).scalar_one()
    record.study_state(engine, study_uid, 1, "HELD")

    flow.care()

    wait_for("the end", lambda: state_of(engine) == "DELIVERED", 120)


def test_a_job_that_is_held_again_for_another_reason_asks_a_person_anew(
    flow: StudyFlow, settings: Settings, engine: Engine, tmp_path: Path
) -> None:
    waiting = hold_one(flow, settings, engine, tmp_path)
    decide_hold(engine, waiting["id"], "released", who="王医生", role="radiologist", reason="急诊")
    with engine.begin() as connection:  # what the person saw was another sentence
        connection.execute(update(hold).values(reasons=["Something else."]))

    flow.release(waiting["job_id"])
    wait_for("the second hold", lambda: flow.at_work == 0 and hold_states(engine) == ["open"], 120)

    with engine.connect() as connection:
        [again] = read_board(connection).holds
    assert again["reasons"] == waiting["reasons"] and again["decided_by"] is None
    assert undone(engine) == []
    decide_hold(engine, again["id"], "released", who="王医生", role="radiologist", reason="急诊")
    flow.release(waiting["job_id"])
    wait_for("the end", lambda: state_of(engine) == "DELIVERED", 120)


def test_a_release_that_comes_to_its_turn_after_a_new_hold_for_other_reasons_decides_nothing(
    flow: StudyFlow, settings: Settings, engine: Engine, tmp_path: Path
) -> None:
    waiting = hold_one(flow, settings, engine, tmp_path)
    wait_for("the thread to end", lambda: flow.at_work == 0, 60)
    decide_hold(engine, waiting["id"], "released", who="王医生", role="radiologist", reason="急诊")
    with engine.begin() as connection:  # what the person saw was another sentence
        connection.execute(update(hold).values(reasons=["Something else."]))

    begin_anew(flow, engine, settings)
    flow.release(waiting["job_id"])
    wait_for("the second hold", lambda: hold_states(engine) == ["open"], 60)
    wait_for("both to end", lambda: begun(f"{waiting['job_id']}:decided") == "SUCCESS" and flow.at_work == 0, 60)

    assert state_of(engine) == "HELD" and job_states(engine) == {waiting["job_id"]: "HELD"}
    with engine.connect() as connection:
        assert connection.execute(select(tables.result.c.id)).all() == []


def test_what_another_workflow_delivered_is_not_called_failed(
    flow: StudyFlow, settings: Settings, engine: Engine, tmp_path: Path
) -> None:
    """After an upgrade two may have the same job; the second finds its folder gone."""
    waiting = hold_one(flow, settings, engine, tmp_path)
    record.job_state(engine, waiting["job_id"], "DELIVERING")

    flow._fail(waiting["plan"], waiting["inputs"], "Internal error (FileNotFoundError); see the log.")

    assert job_states(engine) == {waiting["job_id"]: "DELIVERING"}


def test_a_held_job_that_a_later_version_replaces_is_superseded_when_it_is_let_go(
    flow: StudyFlow, settings: Settings, engine: Engine, tmp_path: Path
) -> None:
    waiting = hold_one(flow, settings, engine, tmp_path)
    wait_for("the thread to end", lambda: flow.at_work == 0, 60)
    with engine.begin() as connection:
        connection.execute(
            insert(tables.study_version).values(
                study_uid=waiting["study_uid"], version=2, state="UNROUTED", opened=2.0, changed=2.0
            )
        )
    decide_hold(engine, waiting["id"], "released", who="王医生", role="radiologist", reason="急诊")

    flow.release(waiting["job_id"])

    wait_for("its end", lambda: job_states(engine) == {waiting["job_id"]: "SUPERSEDED"} and flow.at_work == 0, 60)
    assert undone(engine) == []
    assert not (settings.store.root / "work" / waiting["job_id"]).exists()


def test_two_that_have_the_same_job_work_on_it_one_after_the_other(
    flow: StudyFlow, settings: Settings, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an upgrade: its study, begun anew, and its release; the queue lets both go at once."""
    waiting = hold_one(flow, settings, engine, tmp_path)
    wait_for("the thread to end", lambda: flow.at_work == 0, 60)
    at_work: set[int] = set()
    most = 0
    work = StudyFlow._step

    def watched(self: StudyFlow, *arguments: Any) -> str:
        nonlocal most
        at_work.add(threading.get_ident())
        most = max(most, len(at_work))
        try:
            time.sleep(0.2)
            return work(self, *arguments)
        finally:
            at_work.discard(threading.get_ident())

    monkeypatch.setattr(StudyFlow, "_step", watched)
    decide_hold(engine, waiting["id"], "released", who="王医生", role="radiologist", reason="急诊")
    plan, inputs = waiting["plan"], waiting["inputs"]

    def go(name: str) -> None:
        with SetWorkflowID(name):
            (flow.go_on(waiting["job_id"]) if name == "b" else flow.process(plan["study_uid"], plan["version"]))

    assert inputs
    threads = [threading.Thread(target=go, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    flow.care()  # where its study came first it was held once more

    wait_for("the end", lambda: state_of(engine) == "DELIVERED" and flow.at_work == 0, 120)
    assert most == 1
    with engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(tables.encoded_object)).scalar_one() == 4


def test_a_destination_whose_form_has_changed_since_gets_what_was_made(
    flow: StudyFlow, settings: Settings, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pacs = Destination("PACS", aet="PACS", host="127.0.0.1", port=1, rt_profile="eclipse")
    flow._settings = replace(settings, destinations=(pacs,))
    waiting = hold_one(flow, settings, engine, tmp_path)
    decide_hold(engine, waiting["id"], "released", who="王医生", role="radiologist", reason="急诊")

    flow.release(waiting["job_id"])

    # The flow's tools know no destination: what everybody takes is made, and no form of a planning system.
    wait_for("the end", lambda: state_of(engine) == "DELIVERING" and flow.at_work == 0, 120)
    with engine.connect() as connection:
        sends = connection.execute(select(tables.delivery.c.destination, tables.delivery.c.state)).all()
    assert len(sends) == 4 and set(sends) == {("PACS", "PENDING")}


def test_a_destination_that_is_renamed_while_a_job_is_held_loses_nothing(
    flow: StudyFlow, settings: Settings, engine: Engine, tmp_path: Path
) -> None:
    flow._settings = replace(settings, destinations=(Destination("PACS", aet="PACS", host="127.0.0.1", port=1),))
    waiting = hold_one(flow, settings, engine, tmp_path)
    flow._settings = settings

    decide_hold(engine, waiting["id"], "released", who="王医生", role="radiologist", reason="急诊")
    flow.release(waiting["job_id"])

    wait_for("the end", lambda: state_of(engine) == "DELIVERING" and flow.at_work == 0, 120)
    with engine.connect() as connection:
        sends = connection.execute(select(tables.delivery.c.destination, tables.delivery.c.state)).all()
        said = connection.execute(select(tables.step_log.c.message).where(tables.step_log.c.step == "deliver"))
        assert "Not in the settings any more: PACS." in said.scalar_one()
    assert sends and set(sends) == {("PACS", "PENDING")}


@pytest.mark.parametrize("released", [True, False], ids=["let go before", "open"])
def test_a_held_job_whose_route_is_renamed_is_replaced_and_never_delivered_beside_its_new_one(
    flow: StudyFlow, settings: Settings, engine: Engine, tmp_path: Path, released: bool
) -> None:
    waiting = hold_one(flow, settings, engine, tmp_path)
    wait_for("the thread to end", lambda: flow.at_work == 0, 60)
    if released:  # a moment before the service stopped
        decide_hold(engine, waiting["id"], "released", who="王医生", role="radiologist", reason="急诊")
    begin_anew(flow, engine, replace(settings, routes=tuple(replace(r, name="其他") for r in settings.routes)))
    wait_for("the new hold", lambda: sorted(job_states(engine).values()) == ["HELD", "SUPERSEDED"], 60)
    wait_for("the thread to end", lambda: flow.at_work == 0, 60)

    with engine.connect() as connection:
        [new] = (
            read_board(connection).holds
            if not released
            else [h for h in read_board(connection).holds if not h["decided"]]
        )
    assert new["job_id"] != waiting["job_id"]
    assert undone(engine) == []
    assert sorted(hold_states(engine)) == sorted(["open", "released" if released else "ended"])
    flow.release(waiting["job_id"])  # as somebody who had the page open would
    wait_for("its end", lambda: flow.at_work == 0, 60)
    decide_hold(engine, new["id"], "released", who="王医生", role="radiologist", reason="急诊")
    flow.release(new["job_id"])
    wait_for("the end", lambda: state_of(engine) == "DELIVERED", 120)
    wait_for("the thread to end", lambda: flow.at_work == 0, 60)

    assert job_states(engine) == {waiting["job_id"]: "SUPERSEDED", new["job_id"]: "DELIVERED"}
    with engine.connect() as connection:
        assert set(connection.execute(select(tables.encoded_object.c.result_id)).scalars()) == {new["job_id"]}


def test_a_job_whose_route_is_there_again_goes_on(
    flow: StudyFlow, settings: Settings, engine: Engine, tmp_path: Path
) -> None:
    waiting = hold_one(flow, settings, engine, tmp_path)
    wait_for("the thread to end", lambda: flow.at_work == 0, 60)
    begin_anew(flow, engine, replace(settings, routes=tuple(replace(r, name="其他") for r in settings.routes)))
    wait_for("the new hold", lambda: job_states(engine)[waiting["job_id"]] == "SUPERSEDED", 60)
    wait_for("the thread to end", lambda: flow.at_work == 0 and state_of(engine) == "HELD", 60)

    begin_anew(flow, engine, settings)
    wait_for("the first again", lambda: job_states(engine)[waiting["job_id"]] == "HELD", 60)
    wait_for("the thread to end", lambda: flow.at_work == 0 and state_of(engine) == "HELD", 60)

    with engine.connect() as connection:
        [waits] = read_board(connection).holds
    assert waits["job_id"] == waiting["job_id"]
    decide_hold(engine, waits["id"], "released", who="王医生", role="radiologist", reason="急诊")
    flow.release(waiting["job_id"])
    wait_for("the end", lambda: state_of(engine) == "DELIVERED", 120)


@pytest.mark.parametrize("at", ["HELD", "DELIVERING"])
def test_a_released_job_that_a_full_disk_stopped_is_taken_up_again(
    flow: StudyFlow, settings: Settings, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    from dbos._sys_db import SystemDatabase

    waiting = hold_one(flow, settings, engine, tmp_path)
    decide_hold(engine, waiting["id"], "released", who="王医生", role="radiologist", reason="急诊")
    wait_for("the thread to end", lambda: flow.at_work == 0, 60)
    refused = threading.Event()
    outcome, close = SystemDatabase.record_operation_result, SystemDatabase.update_workflow_outcome

    def unless_full(real: Any) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            with engine.connect() as connection:
                state = connection.execute(select(tables.job.c.state)).scalar_one()
            if refused.is_set() or state == at:
                refused.set()
                raise OperationalError("insert", {}, sqlite3.OperationalError("database or disk is full"))
            return real(*arguments, **named)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(SystemDatabase, "record_operation_result", unless_full(outcome))
        patch.setattr(SystemDatabase, "update_workflow_outcome", unless_full(close))
        flow.release(waiting["job_id"])
        assert refused.wait(60)
        wait_for("the thread to end", lambda: flow.at_work == 0, 60)

    flow.care()
    flow.care()

    wait_for("the end", lambda: state_of(engine) == "DELIVERED", 120)
    assert undone(engine) == []


def test_the_gate_takes_the_profile_that_the_board_takes_for_this_sender_and_the_page_names_another(
    flow: StudyFlow, settings: Settings, engine: Engine, tmp_path: Path
) -> None:
    waiting = hold_one(flow, settings, engine, tmp_path)

    with engine.begin() as connection:
        keep_row(connection, waiting)
        view = read_series(connection, waiting["series_uid"])

    assert waiting["plan"]["profile"] == "ct_head"
    assert view is not None and view.row["profile"] == "ct_base"
    assert [(r["bundle"], r["profile_id"], r["grade"]) for r in view.runs] == [(BODY, "ct_head", "PASS")]


def keep_row(connection: Any, waiting: dict[str, Any]) -> None:
    """The series as the board has it, under another profile."""
    connection.execute(
        insert(judged_series).values(
            series_uid=waiting["series_uid"],
            study_uid=waiting["study_uid"],
            modality="CT",
            station="CT1",
            serial="",
            profile="ct_base",
            grade="PASS",
            provisional=0,
            planes=96,
            verdict=verdict(),
            pictures={},
            opened=1.0,
            changed=1.0,
        )
    )


def hold_one(flow: StudyFlow, settings: Settings, engine: Engine, tmp_path: Path) -> dict[str, Any]:
    """A study whose only job waits for a person; its row of the board."""
    store = Store.open(settings, engine)
    receipts = [store.receive(f.read_bytes(), peer="CT1") for f in faulty_ct(tmp_path / "ct")]
    study_uid = receipts[0].study_uid
    with engine.begin() as connection:
        connection.execute(
            insert(tables.study_version).values(
                study_uid=study_uid, version=1, state="COMPLETE", opened=1.0, changed=1.0
            )
        )
    flow.start(study_uid, 1)
    wait_for("the hold", lambda: state_of(engine) == "HELD", 120)
    with engine.connect() as connection:
        [waiting] = read_board(connection).holds
        assert connection.execute(select(tables.result.c.id)).all() == []
    assert not (settings.store.root / "work" / waiting["job_id"]).exists()  # it may wait for days
    return dict(waiting)


def begin_anew(flow: StudyFlow, engine: Engine, settings: Settings) -> None:
    """Work on the study a second time, as an upgrade that comes while it is at work does."""
    flow._settings = settings
    with engine.connect() as connection:
        study_uid = connection.execute(select(tables.study_version.c.study_uid)).scalar_one()
    record.study_state(engine, study_uid, 1, "RUNNING")
    begin(f"{study_uid}:1", flow.process, study_uid, 1, again=lambda status: status == "SUCCESS")


def begun(name: str) -> str:
    status = DBOS.get_workflow_status(name)
    return "" if status is None else str(status.status)


def job_states(engine: Engine) -> dict[str, str]:
    with engine.connect() as connection:
        return {row.id: row.state for row in connection.execute(select(tables.job.c.id, tables.job.c.state))}


def hold_states(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.execute(select(hold.c.state)).scalars())


def state_of(engine: Engine) -> str:
    with engine.connect() as connection:
        return str(connection.execute(select(tables.study_version.c.state)).scalar_one())
