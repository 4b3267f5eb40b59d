"""The durable workflow: one for each study version; every arrow of its path is a step that a crash cannot lose.

DBOS records the outcome of each step in the database. After kill -9 the workflow goes on at the step that was running,
which then runs a second time: steps write the same files and rows again, and sends are keyed in the delivery ledger.
What passes between steps is small JSON; arrays lie in the job's folder.
"""

import json
import logging
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from dbos import DBOS, DBOSConfig, DBOSConfiguredInstance, Serializer, StepOptions
from sqlalchemy import Engine, select

from dicom_gateway.complete.versions import decided_inputs
from dicom_gateway.errors import JobCancelled
from dicom_gateway.flow import record
from dicom_gateway.flow.cancelling import begun_again, cancel_watch, keep_for_again, kept_for_again
from dicom_gateway.flow.gating import HELD, held_reasons, keep_release
from dicom_gateway.flow.job import Job, Tools
from dicom_gateway.flow.journal import DatabaseJournal, reason_of
from dicom_gateway.flow.passing import is_passing
from dicom_gateway.flow.plan import InputFile, JobPlan, input_digest
from dicom_gateway.flow.planning import decide, plan_jobs
from dicom_gateway.flow.publish import publish
from dicom_gateway.flow.steps import STEPS
from dicom_gateway.flow.study_files import StudyFiles, image_series
from dicom_gateway.flow.summary import scan_summary
from dicom_gateway.flow.workflows import BROKEN_OFF, QUEUE, Attendance, begin, cancel_other_versions
from dicom_gateway.quality.holds import DECISIONS, decided, held, keep_hold, undone
from dicom_gateway.route.facts import Facts
from dicom_gateway.settings import Destination, Settings
from dicom_gateway.store import tables
from dicom_gateway.store.store import Store
from imaging.series import Scan
from qc.image.match import profile_of_sender

__all__ = ["StudyFlow", "launch", "shut_down"]

log = logging.getLogger(__name__)

AGAIN = StepOptions(retries_allowed=True, interval_seconds=1.0, max_attempts=10, backoff_rate=2.0)
"""For errors that pass. Nine waits of 1, 2, 4 ... 256 s: about eight and a half minutes in all."""

CANCELLED = "cancelled"
"""What a step answers whose job a person has cancelled."""

JOB_STATES = {"qc": "QC", "run": "RUN", "measure": "MEASURED", "encode": "ENCODED", "validate": "VALIDATED"}


class JsonSerializer(Serializer):
    """Plain JSON in the database instead of DBOS's default, which is pickle."""

    def serialize(self, data: Any) -> str:
        """JSON text; an exception becomes its type and sentence."""
        return json.dumps(data, default=lambda o: {"error": type(o).__name__, "message": getattr(o, "message", "")})

    def deserialize(self, serialized_data: str) -> Any:
        """The JSON value; a workflow's positional arguments become the tuple that DBOS joins with the instance."""
        value = json.loads(serialized_data)
        if isinstance(value, dict) and set(value) == {"args", "kwargs"}:
            value["args"] = tuple(value["args"])
        return value

    def name(self) -> str:
        """Name under which the values are marked in the database."""
        return "radgate_json"


@DBOS.dbos_class()
class StudyFlow(DBOSConfiguredInstance):
    """The workflow with what it works on.

    Parameters
    ----------
    settings, engine, store, tools
        As the service has opened them.
    on_sendable
        Called when new rows stand in the delivery ledger.
    name
        Under which recovery finds this instance; one process holds each name once.
    """

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        store: Store,
        tools: Tools,
        on_sendable: Callable[[], None],
        *,
        name: str = "radgate",
    ) -> None:
        super().__init__(config_name=name)
        self._settings = settings
        self._engine = engine
        self._store = store
        self._tools = tools
        self._on_sendable = on_sendable
        self._lock = threading.Lock()
        self._turns: WeakValueDictionary[str, threading.Lock] = WeakValueDictionary()
        self._files: dict[str, StudyFiles] = {}
        self._attendance = Attendance()

    def start(self, study_uid: str, version: int) -> None:
        """Enqueue the workflow of a study version; a second call changes nothing, unless the first broke off."""
        begin(f"{study_uid}:{version}", self.process, study_uid, version)

    def release(self, job_id: str) -> None:
        """Enqueue a job that a person has decided on; a second call changes nothing, unless the first broke off.

        It is also taken up where its study was begun anew since, which has held it again.
        """

        def again(status: str) -> bool:
            return status in BROKEN_OFF or (status == "SUCCESS" and record.is_held(self._engine, job_id))

        begin(f"{job_id}:decided", self.go_on, job_id, again=again)

    def begin_again(self, job_id: str) -> None:
        """Enqueue a cancelled job that a person has started again; a second call changes nothing, as in `release`."""

        def again(status: str) -> bool:
            return status in BROKEN_OFF or (status == "SUCCESS" and job_id in begun_again(self._engine))

        begin(f"{job_id}:again", self.start_over, job_id, again=again)

    def care(self) -> None:
        """Take up again what ended or stands still without an outcome; called every minute or so.

        A disk that stays full for longer than a step is tried again ends a workflow.
        """
        studies, jobs = record.unfinished_studies(self._engine), undone(self._engine)
        again = begun_again(self._engine)
        names = [f"{uid}:{version}" for uid, version in studies]
        self._attendance.resume_stalled([*names, *(f"{j}:decided" for j in jobs), *(f"{j}:again" for j in again)])
        for study_uid, version in studies:
            self.start(study_uid, version)
        for job_id in jobs:
            self.release(job_id)
        for job_id in again:
            self.begin_again(job_id)

    @property
    def at_work(self) -> int:
        """Workflows that a thread of this process works on."""
        return len(self._attendance)

    @DBOS.workflow()
    def process(self, study_uid: str, version: int) -> str:
        """Take one study version from its files to the delivery ledger; returns its state."""
        with self._attendance.at_work():
            inputs = DBOS.run_step({"name": "freeze", **AGAIN}, self._freeze, study_uid, version)
            jobs = DBOS.run_step({"name": "route", **AGAIN}, self._route, study_uid, version, inputs)
            for job in jobs:
                with self._turn(job["id"]):
                    self._work(job, inputs)
            return DBOS.run_step({"name": "finish", **AGAIN}, self._finish, study_uid, version, bool(jobs), inputs)

    @DBOS.workflow()
    def go_on(self, job_id: str) -> str:
        """Take a job that was held to its end, as a person has decided; returns its state."""
        with self._attendance.at_work():
            with self._turn(job_id):
                kept = DBOS.run_step({"name": "decision", **AGAIN}, self._decision, job_id)
                if not kept:
                    return "undecided"  # it was held again, for other reasons, before this had its turn
                job, inputs = kept["plan"], kept["inputs"]
                self._work(job, inputs)
            return DBOS.run_step(
                {"name": "finish", **AGAIN}, self._finish, job["study_uid"], job["version"], True, inputs
            )

    @DBOS.workflow()
    def start_over(self, job_id: str) -> str:
        """Take a job that was cancelled and is wanted after all to its end; returns its state."""
        with self._attendance.at_work():
            with self._turn(job_id):
                kept = DBOS.run_step({"name": "again", **AGAIN}, self._again, job_id)
                job, inputs = kept["plan"], kept["inputs"]
                self._work(job, inputs)
            return DBOS.run_step(
                {"name": "finish", **AGAIN}, self._finish, job["study_uid"], job["version"], True, inputs
            )

    def _turn(self, job_id: str) -> threading.Lock:
        """Held by who works on a job: after an upgrade its study, begun anew, and its release may come at once."""
        with self._lock:
            return self._turns.setdefault(job_id, threading.Lock())

    def _work(self, job: dict[str, Any], inputs: list[list[str]]) -> None:
        """The durable steps of one job."""
        short = job["id"][:12]
        failure = ""
        for name, _ in STEPS:
            failure = DBOS.run_step({"name": f"{name}:{short}", **AGAIN}, self._step, name, job, inputs)
            if failure:
                break
        if failure == HELD:
            DBOS.run_step({"name": f"hold:{short}", **AGAIN}, self._hold, job, inputs)
            return
        failure = failure or DBOS.run_step({"name": f"deliver:{short}", **AGAIN}, self._deliver, job)
        if failure:
            DBOS.run_step({"name": f"fail:{short}", **AGAIN}, self._fail, job, inputs, failure)

    def _decision(self, job_id: str) -> dict[str, Any]:
        """The held job, the person's decision put where its steps find it; nothing where nobody has decided."""
        kept = held(self._engine, job_id)
        if kept["decision"]["decision"] not in DECISIONS:
            return {}
        keep_release(self._folder(JobPlan.from_json(kept["plan"])), kept["decision"])
        return {"plan": kept["plan"], "inputs": kept["inputs"]}

    def _again(self, job_id: str) -> dict[str, Any]:
        """The cancelled job; what a person decided before on image quality holds for it, too."""
        kept = kept_for_again(self._engine, job_id)
        if decision := decided(self._engine, job_id):
            keep_release(self._folder(JobPlan.from_json(kept["plan"])), decision)
        return kept

    def _hold(self, plan_json: dict[str, Any], inputs: list[list[str]]) -> None:
        """Let a job wait for a person."""
        plan = JobPlan.from_json(plan_json)
        if record.is_handed_over(self._engine, plan.id):
            self._clear(plan)
            return  # another workflow that had the same job has brought it to its end
        if record.is_cancelled(self._engine, plan.id):
            self._fail(plan_json, inputs, CANCELLED)
            return
        if reasons := held_reasons(self._folder(plan)):  # none where a crash repeats this step
            keep_hold(self._engine, plan_json, inputs, reasons)
        self._clear(plan)
        reason = " ".join(held(self._engine, plan.id)["reasons"])
        if not record.advance(self._engine, plan.id, "HELD", reason):
            keep_for_again(self._engine, plan_json, inputs)

    def _freeze(self, study_uid: str, version: int) -> list[list[str]]:
        """What this version was decided on, as (SOP UID, sha256) pairs.

        Others may have come while it waited for its turn; they are a later version's.
        """
        inputs = decided_inputs(self._engine, study_uid, version)
        if inputs is None:  # decided by a release that did not write them down
            rows = self._store.instances(study_uid=study_uid, origin="received")
            inputs = sorted([row.sop_uid, row.sha256] for row in rows)
        return inputs

    def _route(self, study_uid: str, version: int, inputs: list[list[str]]) -> list[dict[str, Any]]:
        """Scan the files, ask the routes, and write down the jobs."""
        record.study_state(self._engine, study_uid, version, "ROUTED")
        journal = DatabaseJournal(self._engine, study_uid, version)
        digest = input_digest(self._inputs(inputs))
        try:
            with journal.step("split") as step:
                scan = self._study_files(inputs).scan
                step.detail = scan_summary(scan)
            with journal.step("route") as step:
                routes = {route.name: route for route in self._settings.routes}
                decision = decide(scan, self._settings.routes, self._facts(study_uid, version))
                plans = plan_jobs(
                    decision,
                    routes,
                    [d.name for d in self._settings.destinations],
                    study_uid=study_uid,
                    version=version,
                    input_digest=digest,
                    created_at=float(int(time.time())),
                    earlier_result=lambda series, route: record.earlier_result(
                        self._engine, study_uid, version, series, route
                    ),
                    sender_profile=lambda stack_id: self._sender_profile(scan, stack_id),
                )
                step.detail = decision.to_json()
            # A workflow that starts anew keeps the time of the first start, and so the UIDs of what may be delivered.
            begun = record.keep_jobs(self._engine, plans)
            for job_id in record.end_other_jobs(self._engine, study_uid, version, [plan.id for plan in plans]):
                shutil.rmtree(self._settings.store.root / "work" / job_id, ignore_errors=True)
        except Exception as error:  # the boundary of the step: counted, logged by code, shown as a state
            if is_passing(error):
                raise
            log.error("routing failed: %s", type(error).__name__)
            record.study_state(self._engine, study_uid, version, "FAILED", reason_of(error))
            return []
        if not plans:
            reason = "No route matches; the study page shows for each route the first condition that does not hold."
            record.study_state(self._engine, study_uid, version, "UNROUTED", reason)
            return []
        record.study_state(self._engine, study_uid, version, "RUNNING")
        return [replace(plan, created_at=begun[plan.id]).to_json() for plan in plans]

    def _sender_profile(self, scan: Scan, stack_id: str) -> str:
        """The profile that the board of image quality has used for the same series."""
        stack = next(s for s in image_series(scan) if s.id == stack_id)
        rows = self._store.instances(series_uid=stack.series_instance_uid, origin="received")
        sender = min(rows, key=lambda row: (row.received, row.sop_uid)).peer if rows else None
        wanted = next((p.qc_profiles for p in self._settings.peers if p.aet == sender), ())
        return profile_of_sender(self._settings.quality.profiles, wanted, stack.modality)

    def _step(self, name: str, plan_json: dict[str, Any], inputs: list[list[str]]) -> str:
        """Run one step of a job; the sentence of its failure, or nothing."""
        plan = JobPlan.from_json(plan_json)
        if self._is_superseded(plan) or record.is_superseded(self._engine, plan.id):
            return "superseded"
        if record.has_result(self._engine, plan.id):
            return ""  # a workflow begun anew: what is published is not made a second time
        journal = DatabaseJournal(self._engine, plan.study_uid, plan.version)
        aside = record.set_aside(self._engine, plan.study_uid)
        watch = cancel_watch(self._engine, plan.id)
        job = Job(plan, self._study_files(inputs), self._folder(plan), self._tools, journal, aside, watch)
        if not record.advance(self._engine, plan.id, JOB_STATES[name]):
            return CANCELLED
        try:
            with journal.step(name, plan.id) as step:
                dict(STEPS)[name](job, step)
            if name == "run" and held_reasons(job.folder):
                return HELD
        except JobCancelled:
            return CANCELLED
        except Exception as error:  # the boundary of the step: counted, logged by code, shown as a state
            if is_passing(error):
                raise
            log.error("step %s failed: %s", name, type(error).__name__)
            return reason_of(error)
        return ""

    def _fail(self, plan_json: dict[str, Any], inputs: list[list[str]], reason: str) -> None:
        """End a job that could not be brought to its objects, or must not be."""
        plan = JobPlan.from_json(plan_json)
        self._clear(plan)
        if record.is_handed_over(self._engine, plan.id):
            return  # superseded with its own reason, or delivered by another workflow that had the same job
        if reason == "superseded":
            record.job_state(self._engine, plan.id, "SUPERSEDED", "A later version of the study replaces this one.")
        elif reason == CANCELLED or not record.advance(self._engine, plan.id, "FAILED", reason):
            keep_for_again(self._engine, plan_json, inputs)

    def _deliver(self, plan_json: dict[str, Any]) -> str:
        """Put the objects into the store and the ledger; the sentence of a failure, or nothing."""
        plan = JobPlan.from_json(plan_json)
        if record.is_handed_over(self._engine, plan.id):
            self._clear(plan)
            return ""
        if self._is_superseded(plan) and not record.has_result(self._engine, plan.id):
            return "superseded"
        if not record.advance(self._engine, plan.id, "STORING"):
            return CANCELLED
        journal = DatabaseJournal(self._engine, plan.study_uid, plan.version)
        try:
            with journal.step("deliver", plan.id) as step:
                known = {d.name: d for d in self._settings.destinations}
                # What is in the settings no longer, since the job was planned, waits in the ledger until it is again.
                wanted = [known.get(name, Destination(name)) for name in plan.deliver]
                rows = publish(plan, self._folder(plan), self._store, self._engine, wanted)
                step.detail = {"objects": rows}
                if gone := [name for name in plan.deliver if name not in known]:
                    step.message = f"Not in the settings any more: {', '.join(gone)}. What was to go there waits."
                record.job_state(self._engine, plan.id, "DELIVERING")
        except Exception as error:  # the boundary of the step: counted, logged by code, shown as a state
            if is_passing(error):
                raise
            log.error("delivery failed: %s", type(error).__name__)
            return reason_of(error)
        self._clear(plan)
        self._on_sendable()
        return ""

    def _finish(self, study_uid: str, version: int, has_jobs: bool, inputs: list[list[str]]) -> str:
        """Settle the state and forget the scanned files."""
        if has_jobs:
            if not record.is_wholly_cancelled(self._engine, study_uid, version):
                record.supersede_before(self._engine, study_uid, version)
            record.study_state(self._engine, study_uid, version, "DELIVERING")  # not before: then nobody looks after it
            record.settle_study(self._engine, study_uid)
        with self._lock:
            self._files.pop(input_digest(self._inputs(inputs)), None)
        return "done"

    def _folder(self, plan: JobPlan) -> Path:
        return self._settings.store.root / "work" / plan.id

    def _clear(self, plan: JobPlan) -> None:
        """Drop what was kept between the steps of a job that has ended, or waits."""
        shutil.rmtree(self._folder(plan), ignore_errors=True)

    def _inputs(self, inputs: list[list[str]]) -> list[InputFile]:
        return [InputFile(uid, sha256, self._store.path(sha256)) for uid, sha256 in inputs]

    def _study_files(self, inputs: list[list[str]]) -> StudyFiles:
        """The scanned files of this input, kept until its study is finished."""
        files = self._inputs(inputs)
        with self._lock:
            return self._files.setdefault(input_digest(files), StudyFiles([f.path for f in files], files))

    def _is_superseded(self, plan: JobPlan) -> bool:
        version_ = tables.study_version
        with self._engine.connect() as connection:
            newer = connection.execute(
                select(version_.c.id).where(
                    version_.c.study_uid == plan.study_uid,
                    version_.c.version > plan.version,
                    version_.c.state.not_in(("RECEIVING",)),
                )
            ).first()
        return newer is not None

    def _facts(self, study_uid: str, version: int) -> Facts:
        version_ = tables.study_version
        with self._engine.connect() as connection:
            evidence = connection.execute(
                select(version_.c.evidence).where(version_.c.study_uid == study_uid, version_.c.version == version)
            ).scalar()
        peers = {row.peer for row in self._store.instances(study_uid=study_uid, origin="received") if row.peer}
        complete = (evidence or {}).get("state", "COMPLETE") == "COMPLETE"
        return Facts(complete=complete, peers=tuple(sorted(peers)), now=datetime.now().astimezone())


def launch(engine: Engine, flow: Callable[[], StudyFlow], *, executor: str, version: str, at_once: int) -> StudyFlow:
    """Start DBOS on the engine, build the flow, recover what a crash interrupted, and open the queue.

    Parameters
    ----------
    engine
        The database of the index: durable steps live beside it.
    flow
        Makes the workflow's instance once DBOS is configured.
    executor
        Stable name of this worker; recovery looks for its own name only.
    version
        Version of the code; work of another version is broken off, to be begun anew.
    at_once
        Studies that are worked on at the same time.
    """
    DBOS(
        config=DBOSConfig(
            name="radgate",
            system_database_engine=engine,
            system_database_url=engine.url.render_as_string(hide_password=False),
            application_version=version,
            executor_id=executor,
            serializer=JsonSerializer(),
            log_level="WARNING",
            enable_otlp=False,
            use_listen_notify=False,
        )
    )
    built = flow()
    DBOS.launch()
    cancel_other_versions(version, executor)
    DBOS.register_queue(QUEUE, worker_concurrency=at_once, polling_interval_sec=0.2)
    return built


def shut_down() -> None:
    """Stop DBOS; running steps may finish."""
    DBOS.destroy(workflow_completion_timeout_sec=5)
