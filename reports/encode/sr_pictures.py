"""The groups of the structured report for pictures: scores of each one, and structures with their pixels."""

from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any

from highdicom.sr import (
    Measurement,
    MeasurementsAndQualitativeEvaluations,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    ReferencedSegmentationFrame,
    SourceImageForSegmentation,
)
from pydicom import dcmread

from imaging.provenance import Algorithm
from imaging.quiet import quiet_pydicom
from imaging.volume import SourceInstance
from reports.codes import code
from reports.encode.encoded import EncodedObject
from reports.encode.sr_groups import say, source_image, structure_entries
from reports.encode.sr_measurements import probability
from reports.errors import InvalidObject
from reports.findings import ClassScore
from reports.model import Result
from reports.parts import Structure

__all__ = ["MOST_PICTURES", "picture_groups", "pictured_group"]

MOST_PICTURES = 300
"""Pictures with a group of their own, the most certain first: a film has thousands, and no viewer shows those."""


def picture_groups(result: Result, sources: Sequence[SourceInstance], group: Callable[..., Any]) -> list[Any]:
    """TID 1501 of each picture that was classified: the score of its first class, all classes in words, the picture.

    Parameters
    ----------
    sources
        The instance and frame behind each picture of the series.
    group
        Makes an empty group of (result, run, identifier, source, measurements).
    """
    scored: dict[tuple[str, int], list[ClassScore]] = {}
    for score in result.scores:
        if score.picture:
            scored.setdefault((score.run, score.picture), []).append(score)
    groups = []
    for place, ((run, number), scores) in enumerate(list(scored.items())[:MOST_PICTURES]):
        source = sources[number - 1]
        item = group(result, run, f"picture {number} of {run}", source, [probability(scores[0].value)])
        classes = "; ".join(f"{s.label} {s.value:.3f}" for s in scores)
        certain = "" if place else " (最确定的图像 / the most certain picture)"
        say(item, f"图像 {number} 分类 / Picture {number}, class: {classes}{certain}")
        groups.append(item)
    if groups and len(scored) > MOST_PICTURES:
        rest = len(scored) - MOST_PICTURES
        say(groups[0], f"另有 {rest} 幅图像见 result.json / The scores of {rest} more pictures stand in result.json")
    return groups


def pictured_group(
    structure: Structure, algorithm: Algorithm, seg: EncodedObject | None, sources: Sequence[SourceInstance]
) -> Any:
    """TID 1410 of a structure on the picture that shows most of it.

    TID 1501 without a segmentation, and with a label map: a frame of one holds all structures, and is not one of them.

    Raises
    ------
    InvalidObject
        The segmentation has no such frame.
    """
    number, pixels = structure.largest_area_px
    source, name = sources[number - 1], structure.name
    area = Measurement(name=code("area"), value=pixels, unit=code("pixels"))
    shared = structure_entries(structure, algorithm, [area])
    frame_number = None if seg is None else _frame_of(seg, structure.number, source)
    if seg is None or frame_number is None:
        group = MeasurementsAndQualitativeEvaluations(source_images=[source_image(source)], **shared)
    else:
        frames = None if source.frame_number is None else [source.frame_number]
        group = PlanarROIMeasurementsAndQualitativeEvaluations(
            referenced_segment=ReferencedSegmentationFrame(
                sop_class_uid=seg.sop_class_uid,
                sop_instance_uid=seg.sop_instance_uid,
                frame_number=frame_number,
                segment_number=structure.number,
                source_image=SourceImageForSegmentation(source.sop_class_uid, source.sop_instance_uid, frames),
            ),
            **shared,
        )
        _name_frame_alone(group)
    say(
        group,
        f"{name.zh} / {name.en}: {pixels} px, 图像 / picture {number}; 可见于 / seen on {len(structure.areas_px)} 幅 / "
        "picture(s)" + (" (edited by a person)" if structure.edited else ""),
    )
    return group


def _name_frame_alone(group: Any) -> None:
    """Leave out the segment beside its frame, which highdicom 0.28 writes and PS3.3 table 10-3 does not allow."""
    for item in group[0].ContentSequence:
        if item.ValueType == "IMAGE" and "ReferencedFrameNumber" in item.ReferencedSOPSequence[0]:
            item.ReferencedSOPSequence[0].pop("ReferencedSegmentNumber", None)


def _frame_of(seg: EncodedObject, segment: int, source: SourceInstance) -> int | None:
    """The frame of a segmentation that holds a segment on a picture, from 1; None in a label map.

    Raises
    ------
    InvalidObject
        There is none.
    """
    with quiet_pydicom():
        ds = dcmread(BytesIO(seg.data), stop_before_pixels=True)
        if ds.SegmentationType == "LABELMAP":
            return None
        for number, frame in enumerate(ds.PerFrameFunctionalGroupsSequence, start=1):
            image = frame.DerivationImageSequence[0].SourceImageSequence[0]
            at = (str(image.ReferencedSOPInstanceUID), image.get("ReferencedFrameNumber"))
            own = int(frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
            if at == (source.sop_instance_uid, source.frame_number) and own == segment:
                return number
    raise InvalidObject("A structure has no frame in its segmentation; the objects are not sent.", segment=segment)
