"""The verdict on one series as TID 1500: its grade, one group for each check, and what a person should do."""

from typing import Any

from imaging.volume import SourceInstance
from qc.image.result import Grade
from reports.codes import code
from reports.encode.encoded import EncodedObject, encoding, finished
from reports.encode.identity import MANUFACTURER, declare_private_scheme, source_warnings
from reports.quality.verdict import JudgedSeries, concept, described, evidence_of, identified, object_uid
from reports.wording import radgate_version

__all__ = ["encode_quality_sr"]

SERIES_NUMBER = 9107
"""From the range of series numbers reserved for results."""

OVERALL = {
    Grade.PASS: "quality_diagnostic",
    Grade.WARN: "quality_limited_radlex",
    Grade.FAIL: "quality_limited_radlex",
}
"""A grade of ours never says non-diagnostic: that is for a person (specification of image quality, section 9)."""

SHOWN_PLACES = 12


@encoding("quality report")
def encode_quality_sr(series: JudgedSeries) -> EncodedObject:
    """The structured report of a verdict, as Comprehensive 3D SR.

    Raises
    ------
    EncodingError
        It cannot be written; the kind of the fault is named.
    """
    from highdicom.sr import Comprehensive3DSR

    sources = series.sources()
    ds = Comprehensive3DSR(
        evidence=evidence_of(series, tuple(s.sop_instance_uid for s in sources)),
        content=_content(series, sources),
        series_instance_uid=object_uid(series, "series", "quality_sr"),
        series_number=SERIES_NUMBER,
        sop_instance_uid=object_uid(series, "instance", "quality_sr"),
        instance_number=1,
        manufacturer=MANUFACTURER,
        is_complete=True,
        is_final=False,
        is_verified=False,
    )
    identified(ds, series)
    declare_private_scheme(ds)
    described(ds, "影像质控", "Image quality", series)
    return finished("quality_sr", ds, warnings=source_warnings(series.headers[0]))


def _content(series: JudgedSeries, sources: tuple[SourceInstance, ...]) -> Any:
    from highdicom.sr import (
        DeviceObserverIdentifyingAttributes,
        LanguageOfContentItemAndDescendants,
        MeasurementReport,
        ObservationContext,
        ObserverContext,
    )
    from pydicom.sr.codedict import codes

    from reports.encode.sr_groups import quality_groups

    groups = quality_groups(series.verdict, sources)
    _add_overall(groups[0], series)
    for group, result in zip(groups[1:], series.verdict.results, strict=True):
        if result.where and result.grade in {Grade.WARN, Grade.FAIL}:
            _add_places(group, series, result)
    observer = DeviceObserverIdentifyingAttributes(
        uid=object_uid(series, "observer", "quality_sr"),
        name="radgate",
        manufacturer_name=MANUFACTURER,
        model_name=f"radgate {radgate_version()}",
    )
    modality = str(series.headers[0].get("Modality", ""))
    procedure = code(f"procedure_{modality}" if modality in {"CT", "MR", "PT"} else "diagnostic_report")
    return MeasurementReport(
        observation_context=ObservationContext(
            observer_device_context=ObserverContext(codes.DCM.Device, observer_identifying_attributes=observer)
        ),
        procedure_reported=procedure,
        imaging_measurements=groups,
        title=code("report"),
        language_of_content_item_and_descendants=LanguageOfContentItemAndDescendants(
            concept(f"language_{series.language}")
        ),
    )[0]


def _add_overall(group: Any, series: JudgedSeries) -> None:
    """Imaging Series Quality; what a person rejected is unusable, which no check may say."""
    from highdicom.sr import CodeContentItem, RelationshipTypeValues

    overall = "quality_non_diagnostic" if series.rejected else OVERALL.get(series.verdict.grade)
    if overall is not None:
        group[0].ContentSequence.append(
            CodeContentItem(concept("series_quality"), concept(overall), RelationshipTypeValues.CONTAINS)
        )
    if series.rejected:
        assessments = [
            item
            for item in group[0].ContentSequence
            if item.ConceptNameCodeSequence[0].CodeValue == code("quality_assessment").value
        ]
        unusable = CodeContentItem(
            concept("quality_assessment"), concept("quality_unusable"), RelationshipTypeValues.CONTAINS
        )
        for item in assessments:
            item.ConceptCodeSequence = unusable.ConceptCodeSequence
        if not assessments:
            group[0].ContentSequence.append(unusable)


def _add_places(group: Any, series: JudgedSeries, result: Any) -> None:
    """Where a finding is, in words."""
    from highdicom.sr import RelationshipTypeValues, TextContentItem

    positions = [float(p) for w in result.where if w.kind == "slices" for p in w.data.get("p_mm", ())]
    sides = [str(w.data.get("side")) for w in result.where if w.kind == "side" and w.data.get("side")]
    parts = []
    if positions:
        shown = ", ".join(f"{p:.1f}" for p in positions[:SHOWN_PLACES])
        more = f" (+{len(positions) - SHOWN_PLACES})" if len(positions) > SHOWN_PLACES else ""
        parts.append(f"层面 / slices p = {shown}{more} mm")
    if sides:
        parts.append(f"侧 / side {', '.join(sides)}")
    if not parts:
        parts.append(f"{len(series.instances_of(result))} 幅图像 / images")
    group[0].ContentSequence.append(
        TextContentItem(concept("comment"), "; ".join(parts), RelationshipTypeValues.CONTAINS)
    )
