"""The groups of the structured report for landmarks: each a point on the image that it was found on."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from highdicom.sr import (
    GraphicTypeValues,
    ImageRegion,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    SourceImageForRegion,
    TrackingIdentifier,
)

from imaging.provenance import deterministic_uid
from imaging.volume import SourceInstance
from reports.codes import code
from reports.encode.sr_groups import algorithm_identification, say
from reports.landmarks import Landmark
from reports.model import Result

__all__ = ["MOST_LANDMARKS", "landmark_groups"]

MOST_LANDMARKS = 600
"""Points with a group of their own, in the order of the pictures."""

TO_CORNER = 0.5
"""Coordinates of a report begin at the corner of the first pixel (PS3.3 C.18.6.1.2), ours at its centre."""


def landmark_groups(result: Result, sources: Sequence[SourceInstance]) -> list[Any]:
    """TID 1410 of each landmark: a point on its image, and its position in the patient in words."""
    ordered = sorted(result.landmarks, key=lambda item: item.picture)
    groups = [_group(result, landmark, sources[landmark.picture - 1]) for landmark in ordered[:MOST_LANDMARKS]]
    if len(ordered) > MOST_LANDMARKS:
        rest = len(ordered) - MOST_LANDMARKS
        say(groups[0], f"另有 {rest} 个标志点见 result.json / {rest} more landmarks stand in result.json")
    return groups


def _group(result: Result, landmark: Landmark, source: SourceInstance) -> Any:
    """One point; the same landmark on several pictures has one tracking identifier, for it is one place of the body."""
    algorithm = result.run(landmark.run).algorithm
    tracked = deterministic_uid("landmark", [result.study.study_uid, source.series_instance_uid, landmark.label])
    frames = None if source.frame_number is None else [source.frame_number]
    group = PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(tracked, landmark.label),
        referenced_region=ImageRegion(
            graphic_type=GraphicTypeValues.POINT,
            graphic_data=np.array([[landmark.column + TO_CORNER, landmark.row + TO_CORNER]]),
            source_image=SourceImageForRegion(source.sop_class_uid, source.sop_instance_uid, frames),
        ),
        finding_type=code("finding"),
        algorithm_id=algorithm_identification(algorithm),
    )
    position = ", ".join(f"{v:.2f}" for v in landmark.position_lps)
    say(
        group,
        f"标志点 / Landmark: {landmark.label}; 图像 / picture {landmark.picture}; 位置 / position LPS: {position} mm",
    )
    return group
