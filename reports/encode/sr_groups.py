"""The measurement groups of the structured report: one per structure, one per quality check, one for the status."""

from typing import TYPE_CHECKING, Any

from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    FindingSite,
    Measurement,
    MeasurementsAndQualitativeEvaluations,
    QualitativeEvaluation,
    ReferencedSegment,
    RelationshipTypeValues,
    SourceImageForMeasurementGroup,
    SourceSeriesForSegmentation,
    TextContentItem,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from pydicom.sr.coding import Code

from imaging.provenance import Algorithm, deterministic_uid
from imaging.volume import SourceInstance
from qc.image.result import CheckResult, Grade, SeriesVerdict
from reports.codes import code
from reports.encode.encoded import EncodedObject
from reports.encode.identity import algorithm_parameters
from reports.encode.sr_measurements import measurements_of
from reports.errors import InvalidObject
from reports.findings import Finding
from reports.model import Result
from reports.numbers import format_volume_cc
from reports.parts import Structure
from reports.wording import STATUS_WORDS, radgate_version, reason_words, run_sentences, scope

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "algorithm_identification",
    "quality_groups",
    "say",
    "source_image",
    "status_groups",
    "structure_entries",
    "structure_group",
]

QUALITY_CODES = {Grade.PASS: "quality_pass", Grade.WARN: "quality_limited", Grade.FAIL: "quality_limited"}
"""A grade of ours never says unusable: that is for a person (specification of image quality, section 9)."""


def structure_group(
    structure: Structure,
    algorithm: Algorithm,
    seg: EncodedObject | None,
    source: SourceInstance,
    finding: Finding | None = None,
) -> Any:
    """TID 1411 of a structure with its segment; TID 1501 where no segmentation goes to this destination.

    What was measured of it as a finding stands beside its volume.

    Raises
    ------
    InvalidObject
        It lies on pictures and has no volume.
    """
    if structure.volume_cc is None:
        raise InvalidObject("A structure without a volume is reported by its pixels.", structure=structure.id)
    name = structure.name
    volume = Measurement(name=code("volume"), value=structure.volume_cc, unit=code("cm3"))
    shared = structure_entries(structure, algorithm, [volume, *(measurements_of(finding) if finding else ())])
    if seg is None:
        group = MeasurementsAndQualitativeEvaluations(source_images=[source_image(source)], **shared)
    else:
        group = VolumetricROIMeasurementsAndQualitativeEvaluations(
            referenced_segment=ReferencedSegment(
                sop_class_uid=seg.sop_class_uid,
                sop_instance_uid=seg.sop_instance_uid,
                segment_number=structure.number,
                source_series=SourceSeriesForSegmentation(source.series_instance_uid),
            ),
            **shared,
        )
    text = f"{name.zh} / {name.en}: {format_volume_cc(structure.volume_cc)} cm3"
    say(group, text + (" (edited by a person)" if structure.edited else ""))
    return group


def structure_entries(
    structure: Structure, algorithm: Algorithm, measurements: "Sequence[Measurement]"
) -> dict[str, Any]:
    """What every group of a structure says: what it is, where, by what, and how much of it there is."""
    name = structure.name
    return {
        "tracking_identifier": TrackingIdentifier(uid=structure.tracking_uid, identifier=name.tg263),
        "finding_category": name.category,
        "finding_type": name.type,
        "finding_sites": [FindingSite(anatomic_location=name.type, laterality=name.modifier)],
        "algorithm_id": algorithm_identification(algorithm),
        "measurements": measurements,
    }


def status_groups(result: Result, source: SourceInstance) -> list[Any]:
    """One TID 1501 group for the whole result, and one for each run that has no output, with its reason and action."""
    groups = []
    if result.status == "refused":
        summary = ("summary_of_analyses", "not_attempted")
    elif result.status == "partial":
        summary = ("status", "status_partial_findings" if result.found else "status_partial_none")
    else:
        summary = ("status", f"status_{result.status}")
    whole = _group(result, "status", source, [QualitativeEvaluation(code(summary[0]), code(summary[1]))])
    zh, en = STATUS_WORDS[result.status]
    say(whole, f"{zh} / {en} / 范围 scope: {scope(result)}")
    groups.append(whole)
    for run in result.runs:
        if run.status == "ok":
            continue
        state = ("summary_of_analyses", "not_attempted") if run.status == "refused" else ("status", "status_failed")
        evaluations = [QualitativeEvaluation(code(state[0]), code(state[1]))]
        group = _group(result, f"run {run.id}", source, evaluations, algorithm_identification(run.algorithm))
        for line in run_sentences(run):
            say(group, line)
        groups.append(group)
    return groups


def quality_groups(verdict: SeriesVerdict, sources: "Sequence[SourceInstance]") -> list[Any]:
    """TID 1501: one group for the series' grade, then one for each check."""
    source = next((s for s in sources if s.series_instance_uid == verdict.series_instance_uid), sources[0])
    parameters = [f"profile={verdict.profile_id}", f"profile_sha256={verdict.profile_sha256}"]
    whole = _quality_group("qc.series", verdict.series_instance_uid, verdict.grade, source, parameters)
    return [whole, *(_check_group(check, verdict, source, parameters) for check in verdict.results)]


def _check_group(check: CheckResult, verdict: SeriesVerdict, source: SourceInstance, parameters: list[str]) -> Any:
    measured = None
    if isinstance(check.value, int | float):
        unit = CodedConcept(check.unit or "1", "UCUM", check.unit or "no units")
        measured = [Measurement(name=code("check_value"), value=float(check.value), unit=unit)]
    uid = verdict.series_instance_uid
    group = _quality_group(check.check_id, uid, check.grade, source, parameters, check.check_version, measured)
    if check.grade is Grade.NOT_EVALUABLE:
        say(group, f"NOT_EVALUABLE ({check.reason}): " + " / ".join(reason_words(check.reason)))
    elif check.grade is not Grade.PASS:
        say(group, str(check.grade))
    for part in (check.cause, check.action):
        if part is not None and check.grade is not Grade.PASS:
            say(group, f"{part.zh} / {part.en}")
    return group


def _quality_group(
    identifier: str,
    series_uid: str,
    grade: Grade,
    source: SourceInstance,
    parameters: list[str],
    version: str = "",
    measured: list[Measurement] | None = None,
) -> Any:
    quality = QUALITY_CODES.get(grade)
    algorithm = AlgorithmIdentification(
        name=f"radgate {identifier}", version=version or radgate_version(), parameters=parameters
    )
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(deterministic_uid("qc", [series_uid, identifier]), identifier),
        finding_type=code("image_quality"),
        algorithm_id=algorithm,
        measurements=measured,
        qualitative_evaluations=[QualitativeEvaluation(code("quality_assessment"), code(quality))] if quality else None,
        source_images=[source_image(source)],
    )


def _group(
    result: Result,
    identifier: str,
    source: SourceInstance,
    evaluations: list[QualitativeEvaluation],
    algorithm: AlgorithmIdentification | None = None,
) -> Any:
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            deterministic_uid("status group", [result.uid_parts, identifier]), identifier
        ),
        algorithm_id=algorithm or AlgorithmIdentification(name="radgate", version=radgate_version()),
        qualitative_evaluations=evaluations,
        source_images=[source_image(source)],
    )


def algorithm_identification(algorithm: Algorithm) -> AlgorithmIdentification:
    """What made a group: name, version, weights, whether it is artificial intelligence."""
    family: Code | None = None if algorithm.deterministic else code("artificial_intelligence")
    return AlgorithmIdentification(
        name=algorithm.name,
        version=algorithm.version,
        parameters=list(algorithm_parameters(algorithm)) or None,
        family=family,
        manufacturer=algorithm.manufacturer,
    )


def source_image(source: SourceInstance) -> SourceImageForMeasurementGroup:
    """The image that a group refers to."""
    frames = None if source.frame_number is None else [source.frame_number]
    return SourceImageForMeasurementGroup(source.sop_class_uid, source.sop_instance_uid, frames)


def say(group: Any, text: str) -> None:
    """Adds a comment to a group: the template allows text as a qualitative item."""
    group[0].ContentSequence.append(
        TextContentItem(name=code("comment"), value=text, relationship_type=RelationshipTypeValues.CONTAINS)
    )
