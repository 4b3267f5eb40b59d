"""The groups of the structured report for what has no structure: findings by their box, and scores of classes."""

from collections.abc import Sequence
from typing import Any

from highdicom.sr import MeasurementsAndQualitativeEvaluations, TrackingIdentifier

from imaging.provenance import deterministic_uid
from imaging.volume import SourceInstance
from reports.codes import code
from reports.encode.sr_groups import algorithm_identification, say, source_image
from reports.encode.sr_measurements import measurements_of, probability
from reports.encode.sr_pictures import picture_groups
from reports.model import Result

__all__ = ["finding_groups"]


def finding_groups(result: Result, sources: Sequence[SourceInstance]) -> list[Any]:
    """TID 1501 of each finding that could not be outlined, of each class with its score, and of each picture."""
    groups, source = [], sources[0]
    loose = [f for f in result.findings if not f.structure]
    for number, finding in enumerate(loose, start=1):
        group = _group(result, finding.run, f"finding {number}", source, measurements_of(finding))
        say(group, f"发现 / Finding: {finding.label}")
        if finding.centre_lps:
            centre, size = (", ".join(f"{v:.1f}" for v in values) for values in (finding.centre_lps, finding.size_mm))
            say(group, f"中心 / centre LPS: {centre} mm; 大小 / size: {size} mm")
        groups.append(group)
    whole = [score for score in result.scores if not score.picture]
    for number, score in enumerate(whole, start=1):
        group = _group(result, score.run, f"class {number}", source, [probability(score.value)])
        say(group, f"分类 / Class: {score.label}, {score.value:.3f}")
        groups.append(group)
    return groups + picture_groups(result, sources, _group)


def _group(result: Result, run: str, identifier: str, source: SourceInstance, measurements: list[Any]) -> Any:
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            deterministic_uid("finding", [result.uid_parts, identifier]), identifier
        ),
        finding_type=code("finding"),
        algorithm_id=algorithm_identification(result.run(run).algorithm),
        measurements=measurements or None,
        source_images=[source_image(source)],
    )
