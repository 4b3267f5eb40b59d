"""The steps of a job, each a plain function of the job that leaves its outcome as files in the job's folder.

A step may be run twice: it writes the same files again. `radgate run` calls the steps one after the other, the service
wraps each in a durable step; neither adds anything to what happens here.
"""

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from io import BytesIO
from typing import Any

from pydicom import dcmread

import qc.image
from dicom_gateway.flow.gating import holding, stopped, word_for
from dicom_gateway.flow.job import Job
from dicom_gateway.flow.journal import Step, places
from dicom_gateway.flow.kept import keep_bytes, keep_json, keep_regions, kept_json, kept_regions
from dicom_gateway.flow.on_cines import graded_cine
from dicom_gateway.flow.on_pictures import graded_pictures, on_pictures, scores_of_pictures, volume_of
from dicom_gateway.flow.other_series import carried, on_other_series
from dicom_gateway.flow.passing import is_passing
from dicom_gateway.flow.shadow import run_shadow
from dicom_gateway.flow.site_names import under_tg263
from dicom_gateway.flow.study_inputs import (
    companions_of,
    in_its_unit,
    measured_findings,
    missing_channels,
    structure_name,
)
from imaging.cines import CineSeries
from imaging.errors import RadgateError, TruncatedFile
from imaging.pictures import PictureSeries
from imaging.planes import PlaneSeries
from imaging.provenance import Algorithm, digest
from imaging.quiet import quiet_pydicom
from imaging.series import Stack
from imaging.volume import Region
from monai_bundles import Bundle, misfits, verify
from qc.image import SeriesVerdict
from reports import (
    EncodedObject,
    RefusedPart,
    Result,
    Run,
    StackRef,
    Structure,
    encode_all,
    encode_rtstruct,
    input_version,
    key_images,
    measured_structure,
    outcome,
    pictured_structure,
    study_ref,
)
from reports.errors import InvalidObject
from reports.findings import ClassScore, Finding, finding_of, picture_scores
from reports.landmarks import Landmark, landmark_of
from reports.parts import ObjectRef
from reports.pictures import Picture
from reports.study import decoded_or_empty, undecodable_sentences
from reports.validate import dciodvfy_findings, require_valid

__all__ = ["STEPS", "algorithm_of", "encode", "grade", "measure", "segment", "validate"]

log = logging.getLogger(__name__)

OUT_OF_RANGE = "Send a series within this range, or route it to another bundle."


def grade(job: Job, step: Step) -> None:
    """Image quality: the verdict on the series; a refused geometry is judged by its headers."""
    verdict = _verdict(job)
    step.detail = verdict.to_json()
    step.message = verdict.grade
    keep_json(job.folder / "qc.json", step.detail)


def _verdict(job: Job) -> SeriesVerdict:
    if isinstance(job.stack, PictureSeries):
        return graded_pictures(job, job.stack)
    if isinstance(job.stack, CineSeries):
        return graded_cine(job, job.stack)
    return qc.image.check_series(
        job.stack.detached(),
        volume_of(job.image),
        profile=job.plan.profile,
        refusal=job.refusal,
        profile_folders=job.tools.profiles,
    )


def algorithm_of(kept: Mapping[str, Any], bundle_name: str) -> Algorithm:
    """The algorithm that a run was made with, as its record has it; also where the bundle is not installed."""
    recorded = kept.get("algorithm")
    if not recorded:
        return Algorithm(name=bundle_name.partition("@")[0], version="unknown")
    return Algorithm(**{**recorded, "weights_sha256": tuple(recorded["weights_sha256"])})


def segment(job: Job, step: Step) -> None:
    """Every bundle of the route on the volume; one that cannot or must not run leaves its reason, the others go on.

    Raises
    ------
    Exception
        One that passes by itself (`is_passing`): the step is tried again, instead of a result that lacks a bundle;
        or `JobCancelled`.
    """
    verdict = kept_json(job.folder / "qc.json")
    waiting = [] if job.refusal else holding(job.tools.bundles, job.plan.bundles, verdict, job.folder)
    if waiting:
        step.state, step.message = "skipped", " ".join(waiting)
        return
    unread = undecodable_sentences(study_ref(job.stack.header).undecodable)
    for number, name in enumerate(job.plan.bundles):
        job.require_wanted()
        bundle = job.tools.bundles.get(name.partition("@")[0])
        try:
            outcome = _one_bundle(job, number, name, bundle, verdict)
        except Exception as error:  # the boundary of a bundle
            job.require_wanted()
            if is_passing(error):
                raise
            outcome = _broken_off(name, error)
        outcome["bundle"] = name
        outcome["algorithm"] = asdict(bundle.algorithm) if bundle else None
        outcome["warnings"] = [*unread, *outcome.get("warnings", ())]
        step.detail.setdefault("bundles", []).append(outcome)
        keep_json(job.folder / f"run-{number}.json", outcome)
    states = {o["status"] for o in step.detail["bundles"]}
    if "ok" not in states:
        step.state = "failed" if "failed" in states else "refused"
    step.message = " ".join(f"{o['bundle']}: {o['reason']}" for o in step.detail["bundles"] if o["status"] != "ok")


def _broken_off(name: str, error: Exception) -> dict[str, Any]:
    """A failed run that people see."""
    if isinstance(error, RadgateError):
        return {"status": "failed", "reason": error.message, "code": error.code}
    log.error("bundle %s broke off: %s at %s", name, type(error).__name__, places(error))
    return {"status": "failed", "reason": f"The bundle broke off by an internal error ({type(error).__name__})."}


def _one_bundle(job: Job, number: int, name: str, bundle: Bundle | None, verdict: Mapping[str, Any]) -> dict[str, Any]:
    """Outcome of one bundle as plain values; its regions are kept beside."""
    if bundle is None or name not in {bundle.name, f"{bundle.name}@{bundle.version}"}:
        return {"status": "failed", "reason": f"The bundle {name} is not installed; add it or change the route."}
    if job.refusal is not None:
        return {"status": "refused", "reason": job.refusal.message, "code": job.refusal.code}
    image = job.files.image(job.plan.stack)
    volume = volume_of(image)
    if volume is not None and isinstance(job.stack, Stack):
        image = volume = in_its_unit(bundle.accepts.units, job.stack, volume)
    decision = word_for(bundle, verdict, job.folder)
    outcome = stopped(decision)
    if outcome is not None:
        return outcome
    reasons = misfits(bundle, job.stack.detached(), image)
    if reasons:
        return {"status": "refused", "reason": " ".join([*reasons, OUT_OF_RANGE])}
    verify(bundle)

    def progress(fraction: float, what: str) -> None:
        job.require_wanted()
        job.journal.progress(job.plan.id, (number + fraction) / len(job.plan.bundles), f"{bundle.name}: {what}")

    companions = {}
    if bundle.companions and isinstance(job.stack, Stack):
        companions = companions_of(bundle, job.files, job.stack)
    missing = missing_channels(bundle, companions)
    if missing:
        return {"status": "refused", "reason": missing}
    others = {"companions": {name: c.volume for name, c in companions.items()}} if companions else {}
    output = job.tools.run(bundle, image, progress, **others)
    shadow = run_shadow(bundle, output, lambda other: job.tools.run(other, image, progress, **others), image)
    output = under_tg263(output, job.tools.names)
    keep_regions(job.folder / f"regions-{number}.npz", [(s.name, s.region) for s in output.structures])
    if output.heat_map is not None:
        keep_regions(job.folder / f"heat-{number}.npz", [(output.scores[0].label, output.heat_map)])
    series: list[dict[str, Any]] = []
    cut, findings = on_pictures(output), []
    if volume is not None:
        series, cut = carried(job.folder, number, output, volume, companions)
        findings = measured_findings(output, volume, companions)
    return {
        "status": "ok",
        "gate": decision.word.name,
        "reason": "",
        "device": output.device,
        "elapsed_s": round(output.elapsed_s, 3),
        "forward_s": round(output.forward_s, 3),
        "warnings": [*decision.reasons_en, *_doubts(job), *output.warnings, *cut],
        "structures": [s.name for s in output.structures],
        **({"findings": findings} if findings else {}),
        **({"series": series} if series else {}),
        **({"scores": [[s.label, round(s.value, 4)] for s in output.scores]} if output.scores else {}),
        **scores_of_pictures(output),
        **({"landmarks": [asdict(item) for item in output.landmarks]} if output.landmarks else {}),
        **({"shadow": shadow} if shadow else {}),
    }


def _doubts(job: Job) -> list[str]:
    """Sentences on what could not be made sure of before the run."""
    doubts: list[str] = []
    cut = sum(
        len(item.files)
        for item in job.files.leftovers_of(job.plan.study_uid)
        if isinstance(item.reason, TruncatedFile) and item.series_instance_uid == job.plan.series_uid
    )
    if cut:
        doubts.append(f"{cut} cut file(s) of this series were left out; send them again, it may be incomplete.")
    if job.set_aside:
        doubts.append(
            f"{job.set_aside} object(s) of this study lie in quarantine, cut or in contradiction; this series may be "
            "incomplete, see the page of the quarantine."
        )
    return doubts


def measure(job: Job, step: Step) -> None:
    """The result: runs, measured structures, status; and its pictures."""
    verdict = kept_json(job.folder / "qc.json")
    runs: list[Run] = []
    structures: list[Structure] = []
    scores: list[ClassScore] = []
    told: list[Finding] = []
    landmarks: list[Landmark] = []
    for number, name in enumerate(job.plan.bundles):
        kept = kept_json(job.folder / f"run-{number}.json")
        run = Run(
            id=f"r{number + 1}",
            algorithm=algorithm_of(kept, name),
            status=kept["status"],
            targets=(job.plan.stack,),
            settings_digest=digest({"profile": job.plan.profile, "bundles": list(job.plan.bundles)}),
            started=job.created_at,
            device=kept.get("device", "CPU"),
            reason=kept["reason"],
            reason_zh=kept.get("reason_zh", ""),
            action=kept.get("action", ""),
            warnings=tuple(kept.get("warnings", ())),
            gate=kept.get("gate", "RUN"),
        )
        runs.append(run)
        if "plane_scores" in kept:
            scores += picture_scores(run.id, kept["plane_scores"], kept["plane"])
        else:
            scores += [ClassScore(run.id, label, value) for label, value in kept.get("scores", ())]
        landmarks += [landmark_of(run.id, entry) for entry in kept.get("landmarks", ())]
        told += [finding_of(run.id, entry) for entry in kept.get("findings", ())]
        if run.status == "ok":
            taken = {s.name.tg263 for s in structures}
            for found, region in _new(kept_regions(job.folder / f"regions-{number}.npz"), taken):
                structures.append(_structure(job, run, found, region, len(structures) + 1))
    # A structure that an earlier bundle of the route has delivered too is left out, and so is what was said of it.
    findings = tuple(f for f in told if not f.structure or f.structure in {s.id for s in structures})
    result = Result(
        study=study_ref(job.stack.header),
        input=input_version(
            [(i.sop_uid, i.sha256) for i in job.files.inputs],
            [_stack_ref(stack) for stack in _stacks(job)],
            [
                RefusedPart(series_uid=item.series_instance_uid, code=item.reason.code, reason=item.reason.message)
                for item in job.files.leftovers_of(job.plan.study_uid)
            ],
        ),
        runs=tuple(runs),
        status=outcome(runs, (*structures, *findings, *scores, *landmarks)),
        created_at=job.created_at,
        qc=(verdict,),
        structures=tuple(structures),
        findings=findings,
        scores=tuple(scores),
        landmarks=tuple(landmarks),
        supersedes=job.plan.supersedes or None,
        predecessors=tuple(ObjectRef(*reference) for reference in job.plan.predecessors),
    )
    keep_json(job.folder / "result.json", result.to_json())
    image = job.image
    listed = []
    heats = [heat for path in sorted(job.folder.glob("heat-*.npz")) for heat in kept_regions(path)]
    for picture in () if image is None else key_images(image, result, heats):
        keep_bytes(job.folder / "pictures" / f"{picture.name}.png", picture.png)
        listed.append({"name": picture.name, "caption_zh": picture.caption_zh, "caption_en": picture.caption_en})
    keep_json(job.folder / "pictures.json", listed)
    step.detail = {"status": result.status, "structures": [[s.name.tg263, s.volume_cc] for s in result.structures]}
    step.message = result.status


def _structure(job: Job, run: Run, name: str, region: Region, number: int) -> Structure:
    """What a bundle outlined, measured in the patient, or counted in pixels.

    Raises
    ------
    InvalidObject
        On a cine, where no structure can lie.
    """
    if isinstance(job.stack, CineSeries):
        raise InvalidObject("A structure cannot lie on the phases of a cine; report it.")
    told: dict[str, Any] = {"run": run, "study_uid": job.plan.study_uid, "number": number}
    if isinstance(job.stack, PictureSeries):
        return pictured_structure(structure_name(name), region, job.stack, **told)
    return measured_structure(structure_name(name), region, job.stack.grid, **told)


def _stacks(job: Job) -> list[Stack | PictureSeries | CineSeries]:
    """The series of the route, and those that its bundles were given beside it."""
    ids = {job.plan.stack}
    for number in range(len(job.plan.bundles)):
        ids |= {entry["stack"] for entry in kept_json(job.folder / f"run-{number}.json").get("series", ())}
    return [job.files.stack(stack_id) for stack_id in sorted(ids)]


def _stack_ref(stack: PlaneSeries) -> StackRef:
    return StackRef(
        id=stack.id,
        series_uid=stack.series_instance_uid,
        frame_of_reference=stack.frame_of_reference_uid,
        n=len(stack.sources),
        modality=stack.modality,
        description=decoded_or_empty(stack.header, "SeriesDescription"),
    )


def _new(regions: list[tuple[str, Region]], taken: set[str]) -> list[tuple[str, Region]]:
    """Regions with voxels whose structure no earlier bundle of the route has delivered."""
    return [(name, region) for name, region in regions if region.voxel_count and name not in taken]


def encode(job: Job, step: Step) -> None:
    """The objects of the result; where a result cannot be written, the failure is, so that people see it.

    Raises
    ------
    RadgateError
        Not even the failure can be written.
    """
    result = _result(job)
    try:
        _write_objects(job, result)
    except RadgateError as error:
        if not (result.structures or result.landmarks):
            raise
        _write_failure(job, result, f"The result could not be encoded: {error.message}")
        step.state, step.message = "failed", error.message
    listed = kept_json(job.folder / "objects.json")
    step.detail = {"objects": [[o["outlet"], o["size_bytes"], o["warnings"]] for o in listed]}
    step.message = step.message or f"{len(listed)} objects"


def validate(job: Job, step: Step) -> None:
    """The objects against our own rules, and dciodvfy where it is installed; nothing invalid goes on.

    Raises
    ------
    InvalidObject
        The objects that report the failure are invalid themselves.
    """
    result = _result(job)
    try:
        _check_objects(job, result)
    except InvalidObject as error:
        if not (result.structures or result.landmarks):
            raise
        failure = _write_failure(job, result, f"The result did not pass validation: {error.message}")
        _check_objects(job, failure)
        step.state, step.message = "failed", error.message
    finally:
        job.files.asked.clear()  # an answer that failed must not be the answer of the next attempt
    step.message = step.message or "no error"


def _write_objects(job: Job, result: Result) -> None:
    """Encode for every kind of destination, and list what was written in the order of sending."""
    pictures = _pictures(job)
    others = on_other_series(job.folder, job.files, result) if result.structures else []
    listed: list[dict[str, Any]] = []
    # The other program looks at an object on another core while the next one is written here.
    pool = ThreadPoolExecutor(max_workers=2)

    def ask(item: EncodedObject) -> None:
        job.files.asked[item.sha256] = pool.submit(dciodvfy_findings, item)

    try:
        for number, capability in enumerate(job.tools.capabilities(job.plan.deliver)):
            objects = encode_all(result, job.stack, job.image, capability=capability, pictures=pictures, made=ask)
            made: list[tuple[PlaneSeries, EncodedObject]] = [(job.stack, item) for item in objects]
            for another, other in others if "rtstruct" in capability.outlets else ():
                made.append((another, encode_rtstruct(other, another, capability=capability)))
                ask(made[-1][1])
            for stack, item in made:
                file = f"{number}-{len(listed):02d}-{item.outlet}.dcm"
                keep_bytes(job.folder / "objects" / file, item.data)
                listed.append({
                    "file": file,
                    "set": number,
                    "stack": stack.id,
                    "modality": stack.modality,
                    "outlet": item.outlet,
                    "sop_class_uid": item.sop_class_uid,
                    "sop_uid": item.sop_instance_uid,
                    "series_uid": item.series_instance_uid,
                    "sha256": item.sha256,
                    "size_bytes": len(item.data),
                    "warnings": list(item.warnings),
                    "profile": [capability.rt_profile, capability.seg],
                })
                if item.outlet == "pdf":
                    keep_bytes(job.folder / "report.pdf", plain_pdf(item.data))
    finally:
        pool.shutdown(wait=False)
    keep_json(job.folder / "objects.json", listed)


def plain_pdf(data: bytes) -> bytes:
    """The document inside an encapsulated PDF, without the byte that pads it."""
    with quiet_pydicom():
        ds = dcmread(BytesIO(data))
    return bytes(ds.EncapsulatedDocument[: ds.EncapsulatedDocumentLength])


def _write_failure(job: Job, result: Result, reason: str) -> Result:
    """Replace a result that cannot be delivered by one that says so."""
    runs = tuple(
        replace(run, status="failed", reason=reason, gate="RUN") if run.status == "ok" else run for run in result.runs
    )
    failure = replace(result, runs=runs, structures=(), findings=(), scores=(), landmarks=(), status=outcome(runs))
    keep_json(job.folder / "result.json", failure.to_json())
    keep_json(job.folder / "pictures.json", [])
    _write_objects(job, failure)
    return failure


def _check_objects(job: Job, result: Result) -> None:
    """Every set of written objects against the rules; a structure set on another series by itself, with that series."""
    listed = kept_json(job.folder / "objects.json")
    results: dict[str, tuple[PlaneSeries, Result]] = {job.stack.id: (job.stack, result)}
    if result.structures:
        results |= {stack.id: (stack, other) for stack, other in on_other_series(job.folder, job.files, result)}
    for number, stack_id in sorted({(item["set"], item.get("stack", job.stack.id)) for item in listed}):
        objects = [
            EncodedObject(
                outlet=item["outlet"],
                sop_class_uid=item["sop_class_uid"],
                sop_instance_uid=item["sop_uid"],
                series_instance_uid=item["series_uid"],
                data=(job.folder / "objects" / item["file"]).read_bytes(),
                sha256=item["sha256"],
                warnings=tuple(item["warnings"]),
            )
            for item in listed
            if (item["set"], item.get("stack", job.stack.id)) == (number, stack_id)
        ]
        stack, own = results[stack_id]
        require_valid(objects, own, stack, outside=True, asked=job.files.asked)


def _result(job: Job) -> Result:
    """The kept result, with the masks of the runs."""
    document = kept_json(job.folder / "result.json")
    regions = {}
    for number in range(len(job.plan.bundles)):
        path = job.folder / f"regions-{number}.npz"
        if path.exists():
            regions.update({f"r{number + 1}.{name}": region for name, region in kept_regions(path)})
    return Result.from_json(document, regions)


def _pictures(job: Job) -> tuple[Picture, ...]:
    """The kept pictures."""
    return tuple(
        Picture(
            name=entry["name"],
            png=(job.folder / "pictures" / f"{entry['name']}.png").read_bytes(),
            caption_zh=entry["caption_zh"],
            caption_en=entry["caption_en"],
        )
        for entry in kept_json(job.folder / "pictures.json")
    )


STEPS: tuple[tuple[str, Callable[[Job, Step], None]], ...] = (
    ("qc", grade),
    ("run", segment),
    ("measure", measure),
    ("encode", encode),
    ("validate", validate),
)
"""The steps of a job in their order."""
