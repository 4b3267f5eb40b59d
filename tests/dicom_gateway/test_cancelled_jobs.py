"""A job that a person cancels: what runs stops within a second or two, nothing is delivered, nothing begins it anew."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, insert, select, text, update

from dicom_gateway.errors import JobRefused
from dicom_gateway.flow import durable, publish, record
from dicom_gateway.flow.cancelling import begun_again, cancel_job, job_named, job_rows, start_again
from dicom_gateway.flow.durable import StudyFlow, launch, shut_down
from dicom_gateway.flow.job import Job, Tools
from dicom_gateway.flow.journal import Step
from dicom_gateway.flow.plan import JobPlan
from dicom_gateway.flow.steps import STEPS
from dicom_gateway.quality.holds import decide_hold
from dicom_gateway.route.rules import default_routes
from dicom_gateway.settings import Destination, Settings
from dicom_gateway.settings import Store as StoreSettings
from dicom_gateway.store import Store, open_engine, tables
from dicom_gateway.store.quality_tables import hold
from imaging.testing.phantom import make_phantom, write_phantom
from imaging.volume import Volume
from monai_bundles import Bundle, BundleOutput, discover, run_bundle
from tests.dicom_gateway.gated import BODY, HOLDS, faulty_ct
from tests.e2e.peers import wait_for

WHO = "王医生"
JOB = tables.job.c


@dataclass
class Runner:
    """Runs bundles; a slow one speaks ten times a second, and goes on only when it is let go."""

    is_slow: bool = True
    let_go: threading.Event = field(default_factory=threading.Event)
    begun: list[float] = field(default_factory=list)
    broke_off: list[float] = field(default_factory=list)

    def __call__(
        self,
        bundle: Bundle,
        volume: Volume,
        progress: Callable[[float, str], None],
        companions: Mapping[str, Volume] | None = None,
    ) -> BundleOutput:
        self.begun.append(time.monotonic())
        try:
            while self.is_slow and not self.let_go.wait(0.1):
                progress(0.25, "planted")
        except Exception:
            self.broke_off.append(time.monotonic())
            raise
        return run_bundle(bundle, volume, progress)


@pytest.fixture
def runner() -> Iterator[Runner]:
    runner = Runner()
    yield runner
    runner.let_go.set()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    routes = tuple(r for r in default_routes() if r.bundle_name == BODY)
    store = StoreSettings(root=tmp_path / "store", low_free=0.0, floor_free=0.0)
    nowhere = Destination(name="pacs", aet="PACS", host="127.0.0.1", port=9)
    return replace(Settings(), store=store, routes=routes, destinations=(nowhere,))


@pytest.fixture
def engine(settings: Settings) -> Iterator[Engine]:
    engine = open_engine(settings)
    yield engine
    engine.dispose()


def launched(settings: Settings, engine: Engine, runner: Runner, version: str, **bundles: Bundle) -> StudyFlow:
    """The flow of a program of some version."""
    tools = Tools({b.name: b for b in discover()} | bundles, runner)
    store = Store.open(settings, engine)
    name = f"cancel {settings.store.root} {version}"
    return launch(
        engine,
        lambda: StudyFlow(settings, engine, store, tools, lambda: None, name=name),
        executor="test",
        version=version,
        at_once=1,
    )


@pytest.fixture
def flow(settings: Settings, engine: Engine, runner: Runner) -> Iterator[StudyFlow]:
    yield launched(settings, engine, runner, "test")
    runner.let_go.set()
    shut_down()


def received(settings: Settings, engine: Engine, files: list[Path]) -> str:
    """A received and complete study."""
    store = Store.open(settings, engine)
    receipts = [store.receive(file.read_bytes(), peer="SCANNER") for file in files]
    values = {"study_uid": receipts[0].study_uid, "version": 1, "state": "COMPLETE", "opened": 1.0, "changed": 1.0}
    with engine.begin() as connection:
        connection.execute(insert(tables.study_version).values(**values))
    return str(receipts[0].study_uid)


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_phantom(tmp_path_factory.mktemp("ct"), make_phantom(shape=(96, 90, 84)))


@pytest.fixture
def study_uid(settings: Settings, engine: Engine, phantom: list[Path]) -> str:
    return received(settings, engine, phantom)


def jobs_of(engine: Engine) -> dict[str, str]:
    with engine.connect() as connection:
        return {row.id: row.state for row in connection.execute(select(JOB.id, JOB.state))}


def study_states(engine: Engine) -> list[str]:
    version = tables.study_version.c
    with engine.connect() as connection:
        return list(connection.execute(select(version.state).order_by(version.version)).scalars())


def made(engine: Engine) -> list[int]:
    """Rows of results, of made objects, of deliveries, and of stored objects of radgate's own."""
    own = select(tables.instance.c.sop_uid).where(tables.instance.c.origin == "result")
    queries = [select(tables.result.c.id), select(tables.encoded_object.c.sop_uid), select(tables.delivery.c.id), own]
    with engine.connect() as connection:
        return [len(connection.execute(query).all()) for query in queries]


def running_job(flow: StudyFlow, engine: Engine, runner: Runner, study_uid: str) -> str:
    """The one job of the study, while its bundle runs."""
    flow.start(study_uid, 1)
    wait_for("the run", lambda: len(runner.begun) == 1, 60)
    [(job_id, state)] = jobs_of(engine).items()
    assert state == "RUN"
    return job_id


def test_a_running_job_that_is_cancelled_stops_delivers_nothing_and_says_who_and_why(
    flow: StudyFlow, settings: Settings, engine: Engine, runner: Runner, study_uid: str
) -> None:
    job_id = running_job(flow, engine, runner, study_uid)
    asked = time.monotonic()

    cancel_job(engine, job_id, who=WHO, reason="wrong route")

    wait_for("the run to stop", lambda: bool(runner.broke_off), 10)
    assert runner.broke_off[0] - asked < 2.0
    wait_for("the study", lambda: study_states(engine) == ["CANCELLED"], 20)
    assert jobs_of(engine) == {job_id: "CANCELLED"}
    assert made(engine) == [0, 0, 0, 0]
    wait_for("the folder to go", lambda: not (settings.store.root / "work" / job_id).exists(), 10)
    [row] = job_rows(engine, study_uid=study_uid, state="CANCELLED")
    assert (row.by, row.why, row.reason) == (WHO, "wrong route", f"Cancelled by {WHO}: wrong route")
    assert row.cancelled is not None and abs(row.cancelled - time.time()) < 30
    with engine.connect() as connection:
        log = tables.step_log.c
        assert connection.execute(select(log.state).where(log.step == "run")).scalar() == "cancelled"
        assert connection.execute(select(log.id).where(log.step == "measure")).first() is None
        events = {e.kind: e.detail for e in connection.execute(select(tables.event))}
    assert events["job_cancelled"] == {"job": job_id, "by": WHO}


def test_other_jobs_of_the_study_go_on(engine: Engine, settings: Settings, runner: Runner, study_uid: str) -> None:
    """The job that waits behind the running one is cancelled before it began."""
    [first] = settings.routes
    second = replace(first, name="second", bundle="second", priority=first.priority + 1)
    body = next(b for b in discover() if b.name == BODY)
    two = replace(settings, routes=(first, second))
    flow = launched(two, engine, runner, "test", second=replace(body, name="second"))
    try:
        flow.start(study_uid, 1)
        wait_for("the run", lambda: len(runner.begun) == 1, 60)
        states = jobs_of(engine)
        assert sorted(states.values()) == ["ROUTED", "RUN"]
        [waiting] = [job_id for job_id, state in states.items() if state == "ROUTED"]

        cancel_job(engine, waiting, who=WHO)
        runner.let_go.set()

        wait_for("the other", lambda: sorted(jobs_of(engine).values()) == ["CANCELLED", "DELIVERING"], 120)
        wait_for("the study", lambda: study_states(engine) == ["DELIVERING"], 20)
    finally:
        shut_down()
    assert len(runner.begun) == 1
    assert jobs_of(engine)[waiting] == "CANCELLED"
    with engine.connect() as connection:
        assert waiting not in connection.execute(select(tables.result.c.job_id)).scalars().all()


@pytest.mark.parametrize("moment", ["qc", "validate"])
def test_a_job_is_cancelled_in_every_step_before_its_objects_are_stored(
    flow: StudyFlow, engine: Engine, runner: Runner, study_uid: str, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    runner.let_go.set()

    def cancelling(real: Callable[[Job, Step], None]) -> Callable[[Job, Step], None]:
        def step(job: Job, step: Step) -> None:
            real(job, step)
            cancel_job(engine, job.plan.id, who=WHO)

        return step

    monkeypatch.setattr(durable, "STEPS", tuple((n, cancelling(s) if n == moment else s) for n, s in STEPS))

    flow.start(study_uid, 1)

    wait_for("the study", lambda: study_states(engine) == ["CANCELLED"], 60)
    assert made(engine) == [0, 0, 0, 0]


def test_a_step_that_fails_after_the_word_of_a_person_does_not_hide_it(
    flow: StudyFlow, engine: Engine, runner: Runner, study_uid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(job: Job, step: Step) -> None:
        cancel_job(engine, job.plan.id, who=WHO)
        raise ValueError("planted")

    monkeypatch.setattr(durable, "STEPS", tuple((n, fails if n == "qc" else s) for n, s in STEPS))

    flow.start(study_uid, 1)

    wait_for("the study", lambda: study_states(engine) == ["CANCELLED"], 60)


def test_once_its_objects_are_being_stored_a_job_is_delivered_whole(
    flow: StudyFlow, engine: Engine, runner: Runner, study_uid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner.let_go.set()
    refused: list[str] = []
    real = publish.publish

    def publishing(plan: Any, *arguments: Any) -> Any:
        with pytest.raises(JobRefused) as caught:
            cancel_job(engine, plan.id, who=WHO)
        refused.append(caught.value.message)
        rows = real(plan, *arguments)
        with pytest.raises(JobRefused, match="already being delivered"):
            cancel_job(engine, plan.id, who=WHO)
        return rows

    monkeypatch.setattr(durable, "publish", publishing)

    flow.start(study_uid, 1)

    wait_for("the study", lambda: study_states(engine) == ["DELIVERING"], 120)
    assert refused == ["The result of this job is already being delivered; there is nothing to cancel."]
    assert made(engine) == [1, 4, 4, 4]
    [job_id] = jobs_of(engine)
    with pytest.raises(JobRefused, match="already being delivered"):
        cancel_job(engine, job_id, who=WHO)
    record.job_state(engine, job_id, "DELIVERED")
    with pytest.raises(JobRefused, match="has ended"):
        cancel_job(engine, job_id, who=WHO)
    with pytest.raises(JobRefused, match="no such job"):
        cancel_job(engine, "unknown", who=WHO)


def test_what_a_crash_interrupted_while_it_was_stored_cannot_be_cancelled_when_it_runs_once_more(
    flow: StudyFlow, engine: Engine, runner: Runner, study_uid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an upgrade its steps begin anew; some of its objects may be in the store already."""
    job_id = running_job(flow, engine, runner, study_uid)
    with engine.begin() as connection:
        connection.execute(update(tables.job).values(state="STORING"))

    with pytest.raises(JobRefused, match="already being delivered"):
        cancel_job(engine, job_id, who=WHO)
    runner.let_go.set()

    wait_for("the study", lambda: study_states(engine) == ["DELIVERING"], 120)


def test_an_upgrade_between_the_word_and_its_effect_begins_nothing_anew(
    settings: Settings, engine: Engine, study_uid: str
) -> None:
    """The rows are those that kill -9 leaves; the same version of the program is killed in tests/e2e."""
    from dbos import DBOS

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DBOS, "register_queue", lambda *_, **__: None)
        flow = launched(settings, engine, Runner(), "0.1.0")
        flow.start(study_uid, 1)
        [job] = flow._route(study_uid, 1, flow._freeze(study_uid, 1))
    shut_down()
    record.job_state(engine, job["id"], "RUN")
    cancel_job(engine, job["id"], who=WHO)
    with engine.begin() as connection:
        connection.execute(text("UPDATE workflow_status SET status = 'PENDING', executor_id = 'test'"))
    runner = Runner(is_slow=False)

    flow = launched(settings, engine, runner, "0.2.0")
    try:
        flow.start(study_uid, 1)
        wait_for("the study", lambda: study_states(engine) == ["CANCELLED"], 60)
        wait_for("the thread to end", lambda: flow.at_work == 0, 30)
        flow.care()
        flow.start(study_uid, 1)
        time.sleep(0.5)
    finally:
        shut_down()
    assert not runner.begun, "no bundle is run"
    assert jobs_of(engine) == {job["id"]: "CANCELLED"}
    assert made(engine) == [0, 0, 0, 0]
    with engine.connect() as connection:
        plan = connection.execute(select(tables.cancellation.c.plan)).scalar_one()
    assert JobPlan.from_json(plan) == JobPlan.from_json(job), "it may be started again"


def test_a_cancelled_job_is_started_again_by_a_person_and_is_delivered(
    flow: StudyFlow, engine: Engine, runner: Runner, study_uid: str
) -> None:
    job_id = running_job(flow, engine, runner, study_uid)
    with pytest.raises(JobRefused, match="Only a job that was cancelled"):
        start_again(engine, job_id, who=WHO)
    cancel_job(engine, job_id, who=WHO)
    with pytest.raises(JobRefused, match="cancelled already"):
        cancel_job(engine, job_id, who="another")
    wait_for("the study", lambda: study_states(engine) == ["CANCELLED"], 30)
    runner.let_go.set()

    start_again(engine, job_id, who="李医生")
    assert begun_again(engine) == [job_id]
    flow.care()
    flow.care()

    wait_for("the study", lambda: study_states(engine) == ["DELIVERING"], 120)
    assert len(runner.begun) == 2
    assert made(engine) == [1, 4, 4, 4]
    assert begun_again(engine) == []
    assert [row.by for row in job_rows(engine)] == [""], "a job that is wanted again is not said to be cancelled"


def test_a_job_may_be_cancelled_and_started_again_more_than_once(
    flow: StudyFlow, engine: Engine, runner: Runner, study_uid: str
) -> None:
    job_id = running_job(flow, engine, runner, study_uid)
    for number in (1, 2):
        cancel_job(engine, job_id, who=WHO)
        wait_for("the end", lambda: study_states(engine) == ["CANCELLED"] and flow.at_work == 0, 30)
        start_again(engine, job_id, who=WHO)
        flow.begin_again(job_id)
        wait_for("the next run", lambda n=number: len(runner.begun) == n + 1, 60)

    runner.let_go.set()

    wait_for("the study", lambda: study_states(engine) == ["DELIVERING"], 120)
    assert made(engine) == [1, 4, 4, 4]


def test_a_cancelled_job_is_not_started_again_while_it_ends_or_after_a_later_version(
    flow: StudyFlow, engine: Engine, runner: Runner, study_uid: str
) -> None:
    job_id = running_job(flow, engine, runner, study_uid)
    cancel_job(engine, job_id, who=WHO)
    with pytest.raises(JobRefused, match="still ending"):
        start_again(engine, job_id, who=WHO)
    assert jobs_of(engine) == {job_id: "CANCELLED"}
    wait_for("the study", lambda: study_states(engine) == ["CANCELLED"], 30)
    values = {"study_uid": study_uid, "version": 2, "state": "UNROUTED", "opened": 2.0, "changed": 2.0}
    with engine.begin() as connection:
        connection.execute(insert(tables.study_version).values(**values))

    with pytest.raises(JobRefused, match="later version"):
        start_again(engine, job_id, who=WHO)

    assert jobs_of(engine) == {job_id: "CANCELLED"}


def test_a_version_that_is_wholly_cancelled_replaces_nothing(
    flow: StudyFlow, engine: Engine, runner: Runner, study_uid: str
) -> None:
    runner.let_go.set()
    flow.start(study_uid, 1)
    wait_for("the first version", lambda: study_states(engine) == ["DELIVERING"], 120)
    runner.let_go.clear()
    values = {"study_uid": study_uid, "version": 2, "state": "COMPLETE", "opened": 2.0, "changed": 2.0}
    with engine.begin() as connection:
        connection.execute(insert(tables.study_version).values(**values))
    flow.start(study_uid, 2)
    wait_for("the second run", lambda: len(runner.begun) == 2, 60)
    [job_id] = [job_id for job_id, state in jobs_of(engine).items() if state == "RUN"]

    cancel_job(engine, job_id, who=WHO)

    wait_for("the second version", lambda: study_states(engine) == ["DELIVERING", "CANCELLED"], 30)
    with engine.connect() as connection:
        assert set(connection.execute(select(tables.delivery.c.state)).scalars()) == {"PENDING"}


def test_a_held_job_is_cancelled_and_nobody_is_asked_about_it_any_more(
    settings: Settings, engine: Engine, runner: Runner, tmp_path: Path
) -> None:
    runner.let_go.set()
    uid = received(settings, engine, faulty_ct(tmp_path / "ct"))
    flow = launched(settings, engine, runner, "test", **{BODY: HOLDS})
    try:
        flow.start(uid, 1)
        wait_for("the hold", lambda: study_states(engine) == ["HELD"], 60)
        wait_for("the thread to end", lambda: flow.at_work == 0, 30)
        [job_id] = jobs_of(engine)

        cancel_job(engine, job_id, who=WHO)

        assert jobs_of(engine) == {job_id: "CANCELLED"} and study_states(engine) == ["CANCELLED"]
        with engine.connect() as connection:
            [row] = connection.execute(select(hold)).all()
        assert row.state == "ended"
        assert decide_hold(engine, row.id, "released", who=WHO, role="radiologist", reason="x") is None

        start_again(engine, job_id, who=WHO)
        flow.begin_again(job_id)

        wait_for("the hold", lambda: study_states(engine) == ["HELD"], 60)
        with engine.connect() as connection:
            assert connection.execute(select(hold.c.state)).scalar() == "open", "it is asked about anew"
    finally:
        shut_down()


def test_a_job_is_named_by_how_its_id_begins(flow: StudyFlow, engine: Engine, runner: Runner, study_uid: str) -> None:
    job_id = running_job(flow, engine, runner, study_uid)

    assert job_named(engine, job_id[:9]) == job_id
    for name in ("", "%", "xyz"):
        with pytest.raises(JobRefused, match="no such job"):
            job_named(engine, name)
    with engine.begin() as connection:
        values = connection.execute(select(tables.job)).mappings().one()
        connection.execute(insert(tables.job).values({**values, "id": f"{job_id[:9]}other"}))
    with pytest.raises(JobRefused, match="More than one"):
        job_named(engine, job_id[:9])
