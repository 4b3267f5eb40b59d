"""The result of one version of one study: everything that radgate found out, as one immutable value.

Encoders (`reports.encode`) only write down what stands here; `reports.json_form` is its JSON. Runs are kept sorted
by id and structures by number, so that equal content gives equal bytes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

import numpy as np

from contouring.names import StructureName
from imaging.geometry import Grid
from imaging.pictures import PictureSeries
from imaging.provenance import Algorithm, deterministic_uid
from imaging.volume import Region
from reports.errors import InvalidResult
from reports.findings import ClassScore, Finding
from reports.json_form import SCHEMA, form_of, parts_of
from reports.landmarks import Landmark
from reports.parts import InputVersion, ObjectRef, Run, Structure, StudyRef, geometry_digest, mask_digest, series_digest

__all__ = ["Result", "Status", "measured_structure", "outcome", "pictured_structure", "result_on"]

Status = Literal["findings", "none_found", "partial", "failed", "refused", "held"]


@dataclass(frozen=True, eq=False)
class Result:
    """Everything that radgate found out about one version of one study.

    Parameters
    ----------
    qc
        Verdicts of `qc` in their JSON form, as given.
    findings, scores, landmarks
        What was detected, with measurements, how the image was classified, and which points were found.
    review
        "unreviewed" until a person signs.
    supersedes
        Id of the result that this one replaces, as the caller knows it.
    predecessors
        The objects of that result: report and structure set name theirs.
    created_at
        From the durable record of the run, with its time zone; encoders never read a clock.

    Raises
    ------
    InvalidResult
        The parts contradict each other: see the sentence.
    """

    study: StudyRef
    input: InputVersion
    runs: tuple[Run, ...]
    status: Status
    created_at: datetime
    qc: tuple[Mapping[str, Any], ...] = ()
    structures: tuple[Structure, ...] = ()
    review: str = "unreviewed"
    supersedes: str | None = None
    predecessors: tuple[ObjectRef, ...] = ()
    findings: tuple[Finding, ...] = ()
    scores: tuple[ClassScore, ...] = ()
    landmarks: tuple[Landmark, ...] = ()
    schema: str = field(default=SCHEMA)

    def __post_init__(self) -> None:
        object.__setattr__(self, "runs", tuple(sorted(self.runs, key=lambda r: r.id)))
        object.__setattr__(self, "structures", tuple(sorted(self.structures, key=lambda s: s.number)))
        object.__setattr__(self, "qc", tuple(self.qc))
        object.__setattr__(self, "predecessors", tuple(sorted(self.predecessors)))
        _check_result(self)

    @property
    def uid_parts(self) -> list[Any]:
        """What the UIDs of this result's objects depend on: all that is written into them: one UID, one content.

        Input, algorithms, settings, how the runs ended and what they said, the masks, and the time that the result
        states; no clock is read. A failure has its reason among them: a later success never shares its UIDs.
        """
        runs = [
            [
                [r.id, list(r.targets), r.settings_digest, r.status, r.gate, r.reason, r.reason_zh, r.action],
                [r.device, list(r.warnings), *(t.isoformat() if t else "" for t in (r.started, r.ended))],
                [r.algorithm.name, r.algorithm.version, list(r.algorithm.weights_sha256), r.algorithm.bundle_digest],
            ]
            for r in self.runs
        ]
        replaced = [self.supersedes, [item.sop_instance_uid for item in self.predecessors]]
        masks = [[s.id, s.mask_sha256] for s in self.structures]
        stated = [self.study.study_uid, self.input.digest, self.status, self.created_at.isoformat()]
        told = [repr(item) for item in (*self.findings, *self.scores, *self.landmarks)]
        return [*stated, runs, masks, self.review, replaced, *([told] if told else [])]

    @property
    def found(self) -> tuple[Any, ...]:
        """Everything that was found: structures, findings, scores and landmarks."""
        return (*self.structures, *self.findings, *self.scores, *self.landmarks)

    def finding_on(self, structure: Structure) -> Finding | None:
        """The finding whose voxels a structure holds."""
        return next((f for f in self.findings if f.structure == structure.id), None)

    def run(self, run_id: str) -> Run:
        """The run with this id."""
        return next(r for r in self.runs if r.id == run_id)

    def algorithm_of(self, structure: Structure) -> Algorithm:
        """What made this structure."""
        return self.run(structure.run).algorithm

    def to_json(self) -> dict[str, Any]:
        """The JSON form: plain values only, masks by their hash."""
        return form_of(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any], regions: Mapping[str, Region] | None = None) -> "Result":
        """The result of a JSON form; `regions` brings the masks back, by structure id, checked by their hash.

        Raises
        ------
        InvalidResult
            Another schema, a missing or unknown field, or a mask that is not the one of the hash.
        """
        try:
            return cls(**parts_of(data, regions or {}))
        except (KeyError, TypeError, ValueError) as fault:
            raise InvalidResult("The JSON form of the result is damaged; take it from the store again.") from fault


def outcome(runs: Sequence[Run], found: Sequence[Any] = ()) -> Status:
    """What a result with these runs may say, which found structures, findings, scores or landmarks.

    "none_found" only where every run ended well, the gate let it pass without a warning, and its scope was covered
    completely; an empty output short of that is "partial". A refusal is not a failure: "failed" needs a run that tried.

    Raises
    ------
    InvalidResult
        There is no run.
    """
    if not runs:
        raise InvalidResult("A result needs at least one run; a refusal before the run is a run with that status.")
    states = {r.status for r in runs}
    if "held" in states:
        return "held"
    if states == {"ok"}:
        if found:
            return "findings"
        return "none_found" if all(r.scope_covered and r.gate == "RUN" for r in runs) else "partial"
    if "ok" in states:
        return "partial"
    return "failed" if "failed" in states else "refused"


def measured_structure(
    name: StructureName, region: Region, grid: Grid, *, run: Run, study_uid: str, number: int
) -> Structure:
    """The structure of a region: volume, hashes and a tracking UID from study, algorithm and name.

    Raises
    ------
    InvalidResult
        The region does not lie on the grid, or holds no voxel.
    """
    from contouring.volumes import volume_cc

    _check_region(region, grid.shape)
    return _structure(
        name, region, geometry_digest(grid), run, study_uid=study_uid, number=number, volume_cc=volume_cc(region, grid)
    )


def pictured_structure(
    name: StructureName, region: Region, series: PictureSeries, *, run: Run, study_uid: str, number: int
) -> Structure:
    """The structure of a region on pictures: its pixels on each of them, and no volume.

    Raises
    ------
    InvalidResult
        The region does not lie on the pictures, or holds no pixel.
    """
    _check_region(region, series.shape)
    areas = tuple(
        (region.start[0] + k + 1, int(n)) for k, n in enumerate(np.count_nonzero(region.crop, axis=(1, 2))) if n
    )
    return _structure(name, region, series_digest(series), run, study_uid=study_uid, number=number, areas_px=areas)


def _check_region(region: Region, shape: tuple[int, ...]) -> None:
    if region.shape != shape:
        raise InvalidResult("The structure's mask has another shape than the series; no resampling is hidden here.")
    if not region.voxel_count:
        raise InvalidResult("A structure without a voxel is no finding; leave it out.")


def _structure(
    name: StructureName,
    region: Region,
    digest: str,
    run: Run,
    *,
    study_uid: str,
    number: int,
    volume_cc: float | None = None,
    areas_px: tuple[tuple[int, int], ...] = (),
) -> Structure:
    return Structure(
        id=f"{run.id}.{name.tg263}",
        number=number,
        name=name,
        region=region,
        mask_sha256=mask_digest(region),
        geometry_digest=digest,
        volume_cc=volume_cc,
        run=run.id,
        tracking_uid=deterministic_uid("tracking", [study_uid, list(run.targets), run.algorithm.name, name.tg263]),
        areas_px=areas_px,
    )


def result_on(result: Result, grid: Grid, regions: Mapping[str, Region]) -> Result | None:
    """The result as it lies on another series of the study, for a structure set of that series.

    It has the structures of `regions` (by id), numbered anew, and names no predecessor: those lie on the first series.

    Returns
    -------
    Result or None
        None where none of the structures lies on that series.

    Raises
    ------
    InvalidResult
        A region does not lie on the grid, or holds no voxel.
    """
    structures: list[Structure] = []
    for structure in result.structures:
        region = regions.get(structure.id)
        if region is None:
            continue
        measured = measured_structure(
            structure.name,
            region,
            grid,
            run=result.run(structure.run),
            study_uid=result.study.study_uid,
            number=len(structures) + 1,
        )
        structures.append(replace(measured, tracking_uid=structure.tracking_uid, edited=structure.edited))
    if not structures:
        return None
    return replace(result, structures=tuple(structures), predecessors=(), findings=(), scores=(), landmarks=())


def _check_result(result: Result) -> None:
    """Compares the parts with each other.

    Raises
    ------
    InvalidResult
        At the first contradiction.
    """
    if result.schema != SCHEMA:
        raise InvalidResult(f"This is no '{SCHEMA}' result; convert it with the version that wrote it.")
    if result.created_at.tzinfo is None:
        raise InvalidResult("The time of a result needs its time zone.")
    expected = outcome(result.runs, result.found)
    if result.status != expected:
        raise InvalidResult(
            f"The runs and structures of this result mean '{expected}', not '{result.status}'; use reports.outcome.",
            expected=expected,
            got=result.status,
        )
    runs = {r.id: r for r in result.runs}
    if len(runs) != len(result.runs):
        raise InvalidResult("Two runs have the same id.")
    for what, values in (
        ("ids", [s.id for s in result.structures]),
        ("tracking UIDs", [s.tracking_uid for s in result.structures]),
    ):
        if len(set(values)) != len(values):
            raise InvalidResult(f"Two structures share one of their {what}; each needs its own.")
    if [s.number for s in result.structures] != list(range(1, len(result.structures) + 1)):
        raise InvalidResult("Structures are numbered 1, 2, 3... without gaps: the numbers are those of the segments.")
    for structure in result.structures:
        run = runs.get(structure.run)
        if run is None or run.status != "ok":
            raise InvalidResult("A structure has to come from a run that ended well.", structure=structure.id)
    known = {s.id for s in result.structures} | {""}
    named = [(f.run, f.structure) for f in result.findings] + [(s.run, "") for s in result.scores]
    named += [(item.run, "") for item in result.landmarks]
    for run_id, structure_id in named:
        if run_id not in runs or structure_id not in known:
            raise InvalidResult("A finding, score or landmark names a run or structure that the result does not have.")
    stacks = {s.id for s in result.input.stacks}
    for run in result.runs:
        if not set(run.targets) <= stacks:
            raise InvalidResult("A run names a stack that the input does not have.", run=run.id)
