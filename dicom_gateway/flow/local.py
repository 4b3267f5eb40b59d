"""The same job without a network: a folder of files through the same steps, the objects into another folder."""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from dicom_gateway.errors import NothingToDo, OutputRefused
from dicom_gateway.flow.gating import held_reasons
from dicom_gateway.flow.job import Job, Tools
from dicom_gateway.flow.journal import Journal, reason_of
from dicom_gateway.flow.kept import keep_bytes, keep_json, kept_json
from dicom_gateway.flow.plan import JobPlan, input_digest
from dicom_gateway.flow.planning import decide, plan_jobs
from dicom_gateway.flow.stated_time import stated_time
from dicom_gateway.flow.steps import STEPS
from dicom_gateway.flow.study_files import StudyFiles, image_series
from dicom_gateway.flow.summary import leftover_groups, stack_summary
from dicom_gateway.route.explain import StackExplanation
from dicom_gateway.route.facts import Facts
from dicom_gateway.settings import Settings
from imaging.series import Scan

__all__ = ["FolderOutcome", "JobOutcome", "process_folder"]

SCHEMA = "radgate.run/1"

STOPPED = "Stopped by a person (Ctrl-C) before its end; nothing of it was written. Run the command again."


@dataclass
class JobOutcome:
    """What became of one job.

    Parameters
    ----------
    plan
        The job.
    status
        Status of the result, "failed" where a step broke, or "cancelled" where a person stopped the run.
    reason
        Why it is no plain finding.
    warnings
        What a person should know of a result all the same.
    steps
        Name, state and seconds of each step.
    objects, report
        Names of the written files.
    result
        The result as JSON; None where a step broke before it.
    shadows
        What versions in the shadow of its bundles found beside it; nothing of them is delivered.
    """

    plan: JobPlan
    status: str = "failed"
    reason: str = ""
    warnings: list[str] = field(default_factory=list)
    steps: list[dict[str, Any]] = field(default_factory=list)
    objects: list[str] = field(default_factory=list)
    report: str = ""
    result: dict[str, Any] | None = None
    shadows: list[dict[str, Any]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "job": self.plan.id,
            "created_at": self.plan.created_at,
            "route": self.plan.route,
            "bundles": list(self.plan.bundles),
            "stack": self.plan.stack,
            "series_uid": self.plan.series_uid,
            "status": self.status,
            "reason": self.reason,
            "warnings": self.warnings,
            "steps": self.steps,
            "objects": self.objects,
            "report": self.report,
            "result": self.result,
            **({"shadows": self.shadows} if self.shadows else {}),
        }


@dataclass
class FolderOutcome:
    """What became of every file of a folder."""

    stacks: list[dict[str, Any]]
    leftovers: list[dict[str, Any]]
    explanations: tuple[StackExplanation, ...]
    jobs: list[JobOutcome]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "schema": SCHEMA,
            "stacks": self.stacks,
            "leftovers": self.leftovers,
            "routing": [e.to_json() for e in self.explanations],
            "jobs": [j.to_json() for j in self.jobs],
        }


def process_folder(
    source: Path,
    out: Path,
    settings: Settings,
    tools: Tools,
    journal: Journal,
    *,
    reading: Callable[[int, int], None] | None = None,
    planned: Callable[[Sequence[JobPlan]], None] | None = None,
) -> FolderOutcome:
    """Take every study below `source` through the steps; objects, `result.json` and `report.pdf` go to `out`.

    Parameters
    ----------
    source
        Folder of DICOM files, nested, mixed, with anything else in between.
    reading
        Called with (files read, files in all).
    planned
        Called once with all jobs before the first starts.

    Stopped by Ctrl-C, the run ends with what is finished: `result.json` names the jobs that are not as cancelled, and
    nothing of them lies in the folder.

    There is no durable record here as in the service: the objects state the newest time that their images state,
    so that the same files give the same objects, byte for byte, whenever and wherever they are processed.

    Raises
    ------
    NothingToDo
        There is no file.
    OutputRefused
        The output folder cannot be made, or holds objects of something else.
    """
    _ready(out)
    found = StudyFiles(_inputs(source, out), progress=reading)
    scan = found.scan
    if not image_series(scan) and not scan.leftovers:
        raise NothingToDo("There is no file in this folder; name one that holds a study.")
    facts = Facts(complete=True, now=datetime.now().astimezone())
    explanations: list[StackExplanation] = []
    work: list[tuple[JobPlan, StudyFiles]] = []
    for study_uid, part in _by_study(scan).items():
        decision = decide(part, settings.routes, facts)
        explanations += decision.explanations
        of_study = _files_of(part)
        inputs = [i for i in found.inputs if i.path in of_study]
        files = StudyFiles([i.path for i in inputs], inputs)
        plans = plan_jobs(
            decision,
            {r.name: r for r in settings.routes},
            [],
            study_uid=study_uid,
            version=1,
            input_digest=input_digest(inputs),
            created_at=stated_time(part),
        )
        work += [(plan, files) for plan in plans]
    if planned is not None:
        planned([plan for plan, _ in work])
    outcome = FolderOutcome(
        stacks=[stack_summary(s) for s in image_series(scan)],
        leftovers=leftover_groups(scan.leftovers, source),
        explanations=tuple(explanations),
        jobs=[],
    )
    outcome.jobs = [JobOutcome(plan, "cancelled", STOPPED) for plan, _ in work]
    try:
        for number, (job, (_, files)) in enumerate(zip(outcome.jobs, work, strict=True), start=1):
            _one_job(job, files, out, tools, journal, "" if number == 1 else f"-{number}")
            keep_json(out / "result.json", outcome.to_json())
    finally:
        _drop_unfinished(out, outcome.jobs)
        keep_json(out / "result.json", outcome.to_json())
    return outcome


def _ready(out: Path) -> None:
    """Make the folder, and empty it of what an earlier run wrote.

    Raises
    ------
    OutputRefused
        The folder cannot be made, or holds objects that no earlier run wrote.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        record = out / "result.json"
        document = kept_json(record) if record.exists() else {}
        if document and document.get("schema") != SCHEMA:
            raise OutputRefused("The output folder holds a result.json of another program; name another folder.")
        ours = {name for job in document.get("jobs", ()) for name in (*job["objects"], job.get("report", ""))}
        for name in ours - {""}:
            (out / Path(name).name).unlink(missing_ok=True)
        record.unlink(missing_ok=True)
        if any(out.glob("*.dcm")) or any(out.glob("report*.pdf")):
            raise OutputRefused("The output folder holds objects of something else; name an empty one.")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise OutputRefused(f"The output folder cannot be used ({reason}); name another one.") from error


def _inputs(source: Path, out: Path) -> list[Path]:
    """The folder, or its files where the output folder lies inside and must not be read."""
    if source.is_dir() and out.resolve().is_relative_to(source.resolve()):
        inside = out.resolve()
        return [f for f in sorted(source.rglob("*")) if f.is_file() and not f.resolve().is_relative_to(inside)]
    return [source]


def _one_job(outcome: JobOutcome, files: StudyFiles, out: Path, tools: Tools, journal: Journal, suffix: str) -> None:
    """Run the steps of one job and copy what they made; its status is the last that is set."""
    status, reason = "failed", ""
    with tempfile.TemporaryDirectory(prefix="radgate-") as folder:
        job = Job(outcome.plan, files, Path(folder), tools, journal)
        first = len(journal.steps)
        try:
            for name, function in STEPS:
                with journal.step(name, job.plan.id) as step:
                    function(job, step)
                waiting = held_reasons(job.folder)
                if waiting:
                    status, reason = "held", " ".join(waiting)
                    break
        except Exception as error:  # noqa: BLE001 - the boundary of a job: shown in the table, the next job goes on
            reason = reason_of(error)
        outcome.steps = [
            {"step": s.name, "state": s.state, "seconds": round(s.elapsed_s, 3), "message": s.message}
            for s in journal.steps[first:]
        ]
        if (job.folder / "result.json").exists():
            outcome.result = kept_json(job.folder / "result.json")
        records = [kept_json(path) for path in sorted(job.folder.glob("run-*.json"))]
        outcome.shadows = [record["shadow"] for record in records if record.get("shadow")]
        if not reason and outcome.result is not None:
            status = outcome.result["status"]
            reason = " ".join(dict.fromkeys(r["reason"] for r in outcome.result["runs"] if r.get("reason")))
            outcome.warnings = list(dict.fromkeys(w for r in outcome.result["runs"] for w in r["warnings"]))
        _copy_out(job, outcome, out, suffix)
    outcome.status, outcome.reason = status, reason


def _copy_out(job: Job, outcome: JobOutcome, out: Path, suffix: str) -> None:
    """Copy what a job made; each file is named in the outcome before it is there."""
    for item in kept_json(job.folder / "objects.json") if (job.folder / "objects.json").exists() else []:
        on = "" if item["stack"] == job.plan.stack else f"_on_{item['modality'].lower()}"
        name = f"{item['outlet']}{on}{suffix}.dcm"
        if name in outcome.objects:  # two series of one modality
            name = f"{item['outlet']}{on}_{len(outcome.objects)}{suffix}.dcm"
        outcome.objects.append(name)
        shutil.copyfile(job.folder / "objects" / item["file"], out / name)
    if (job.folder / "report.pdf").exists():
        outcome.report = f"report{suffix}.pdf"
        keep_bytes(out / outcome.report, (job.folder / "report.pdf").read_bytes())


def _drop_unfinished(out: Path, jobs: Sequence[JobOutcome]) -> None:
    """Take back what a job had begun to write when a person stopped it."""
    for job in jobs:
        if job.status == "cancelled":
            for name in filter(None, (*job.objects, job.report)):
                (out / name).unlink(missing_ok=True)
            job.objects, job.report, job.result, job.reason = [], "", None, STOPPED
            job.warnings, job.shadows = [], []


def _by_study(scan: Scan) -> dict[str, Scan]:
    """The scan of each study; files that name no study belong to none of them."""
    uids = sorted({item.study_instance_uid for item in (*image_series(scan), *scan.leftovers)} - {""})
    return {
        uid: Scan(
            tuple(s for s in scan.stacks if s.study_instance_uid == uid),
            tuple(i for i in scan.leftovers if i.study_instance_uid == uid),
            tuple(s for s in scan.pictures if s.study_instance_uid == uid),
            tuple(s for s in scan.cines if s.study_instance_uid == uid),
        )
        for uid in uids
    }


def _files_of(scan: Scan) -> set[Path]:
    """Every file of a scan."""
    return {f for item in (*image_series(scan), *scan.leftovers) for f in item.files}
