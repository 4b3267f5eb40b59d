"""The dose report for machines: TID 1500 as Comprehensive 3D SR, every number of the table in full precision."""

from typing import Any, Literal

from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    Comprehensive3DSR,
    DeviceObserverIdentifyingAttributes,
    LanguageOfContentItemAndDescendants,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    QualitativeEvaluation,
    RelationshipTypeValues,
    SourceImageForMeasurementGroup,
    TextContentItem,
    TrackingIdentifier,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from contouring.dose.assessment import CourseFacts
from reports.codes import code
from reports.dose.identity import identify
from reports.dose.registration import NOT_REVIEWED, RegistrationReport, registration_notes, registration_reports
from reports.dose.report import DoseReport
from reports.dose.table import Entry, LimitRow, TableRow
from reports.dose.wording import STATUS_WORDS, course_words
from reports.encode.encoded import EncodedObject, encoding, finished
from reports.encode.identity import MANUFACTURER, declare_private_scheme, mark_items, source_identity, source_warnings
from reports.wording import REVIEW_SENTENCE, radgate_version

__all__ = ["encode_dose_sr"]

METRICS = {"Dmean": "dose_mean", "D0.03cc": "dose_near_maximum", "D2%": "dose_hot", "D95%": "dose_cold"}
UNITS = {"Gy": "unit_gray", "%": "unit_percent", "cc": "cm3", "mm": "millimetre", "": "unit_one"}
EFFECTIVE = ("eqd2", "low", "high")
"""Columns of EQD2, by what their names begin with."""


@encoding("sr")
def encode_dose_sr(
    report: DoseReport, *, language: Literal["zh", "en"] = "zh", item_charset: bool = True, max_object_mb: float = 200.0
) -> EncodedObject:
    """The structured report: groups for courses, computed registrations, structures in each dose, and limits.

    Parameters
    ----------
    report
        What it says.
    language
        Of the content.
    item_charset, max_object_mb
        As in `reports.Capability`.

    Raises
    ------
    UndecodableText
        The header of the images does not decode.
    EncodingError
        Something else went wrong; its type is named.
    """
    identity = identify(report, "sr", "AI SR accumulated dose", language)
    ds = Comprehensive3DSR(
        evidence=_evidence(report),
        content=_content(report, language),
        series_instance_uid=identity.SeriesInstanceUID,
        series_number=int(identity.SeriesNumber),
        sop_instance_uid=identity.SOPInstanceUID,
        instance_number=1,
        manufacturer=MANUFACTURER,
        is_complete=True,
        is_final=False,
        is_verified=False,
    )
    ds.update(identity)
    declare_private_scheme(ds)
    if item_charset:
        mark_items(ds.ContentSequence, "ContentSequence")
    return finished("sr", ds, warnings=source_warnings(report.stack.header), max_object_mb=max_object_mb)


def _content(report: DoseReport, language: str) -> Dataset:
    observer = DeviceObserverIdentifyingAttributes(
        uid=report.uid("observer"),
        name="radgate",
        manufacturer_name=MANUFACTURER,
        model_name=f"radgate {radgate_version()}",
    )
    table = report.table
    groups = [_course_group(report, c) for c in report.assessment.courses]
    for registration in registration_reports(report.assessment):
        groups += _registration_groups(report, registration)
    names = dict.fromkeys(row.structure for row in table.rows)
    for name in names:
        groups += _structure_groups(report, [row for row in table.rows if row.structure == name])
    groups += [_limit_group(report, n, row) for n, row in enumerate(table.limits)]
    root = MeasurementReport(
        observation_context=ObservationContext(
            observer_device_context=ObserverContext(codes.DCM.Device, observer_identifying_attributes=observer)
        ),
        procedure_reported=code("dose_report"),
        imaging_measurements=groups,
        title=code("report"),
        language_of_content_item_and_descendants=LanguageOfContentItemAndDescendants(
            CodedConcept.from_code(code(f"language_{language}"))
        ),
    )[0]
    refused = [f"{name}: {reason.message}" for name, reason in report.assessment.refused.items()]
    for text in (REVIEW_SENTENCE, *report.assessment.warnings, *refused):
        root.ContentSequence.append(_comment(text))
    return root


def _course_group(report: DoseReport, course: CourseFacts) -> Any:
    """How one course was given."""
    measured = []
    if course.fractions is not None:
        measured.append(_measurement("dose_fractions", Entry(float(course.fractions), "")))
    if course.prescription_gy is not None:
        measured.append(_measurement("dose_prescription", Entry(course.prescription_gy)))
    zh, en = course_words(course)
    group = _group(report, f"plan {course.letter}", measured)
    group[0].ContentSequence.append(_comment(f"{course.label or course.letter}: {zh} / {en}"))
    return group


def _registration_groups(report: DoseReport, registration: RegistrationReport) -> list[Any]:
    """How good a computed registration is: over the body, and in each structure."""
    groups = []
    for row in registration.rows:
        measured = [
            _measurement(key, Entry(number.value, ""))
            for key, number in (("dose_overlap", row.dice), ("dose_least_jacobian", row.jacobian))
            if number.value is not None
        ]
        if not row.structure:
            measured.insert(0, _measurement("dose_there_and_back", Entry(registration.there_and_back.value, "mm")))
        groups.append(_group(report, f"registration {registration.letter} {row.structure}".strip()[:64], measured))
    sentences = [(f"{NOT_REVIEWED[0]}；{registration.kind[0]}", f"{NOT_REVIEWED[1]}; {registration.kind[1]}")]
    for zh, en in (*sentences, *registration_notes(registration)):
        groups[0][0].ContentSequence.append(_comment(f"{zh} / {en}"))
    return groups


def _structure_groups(report: DoseReport, rows: list[TableRow]) -> list[Any]:
    """One group for each dose of a structure: what it received from each course, in all, as EQD2, and the bounds."""
    groups = []
    for column in rows[0].entries():
        measured = []
        for row in rows:
            entry = row.entries()[column]
            if entry.value is not None:
                key = "dose_maxima" if column == "maxima" else METRICS[row.metric]
                is_eqd2 = report.assessment.has_eqd2 and column.startswith(EFFECTIVE)
                mean = "dose_mean_bed" if column == "bed" else "dose_mean_eqd2" if is_eqd2 else key
                measured.append(_measurement(mean if key == "dose_mean" else key, entry))
        if not measured:
            continue
        evaluations = []
        if report.assessment.has_eqd2 and column.startswith((*EFFECTIVE, "bed", "maxima")):
            measured.append(_measurement("dose_alpha_beta", Entry(rows[0].alpha_beta_gy)))
            kind = "dose_bed" if column == "bed" else "dose_eqd2"
            evaluations.append(QualitativeEvaluation(code("dose_kind"), code(kind)))
        groups.append(_group(report, f"{rows[0].structure} {column}"[:64], measured, evaluations))
    return groups


def _limit_group(report: DoseReport, number: int, row: LimitRow) -> Any:
    """A limit, the number found, and the verdict."""
    measured = [_measurement("dose_limit", Entry(row.bound, row.found.unit))]
    if row.found.value is not None:
        measured.append(_measurement("dose_metric", row.found))
    verdict = QualitativeEvaluation(code("dose_verdict"), code(f"dose_{row.status}"))
    group = _group(report, f"limit {number + 1} {row.structure} {row.text}"[:64], measured, [verdict])
    zh, en = STATUS_WORDS[row.status]
    verified = "" if row.is_verified else "; unverified"
    said = f"{row.structure} {row.text} ({row.judged_on}): {zh} / {en}; {row.limit_set}{verified}"
    group[0].ContentSequence.append(_comment(f"{said}; {row.reason}" if row.reason else said))
    return group


def _measurement(key: str, entry: Entry) -> Measurement:
    return Measurement(name=code(key), value=float(entry.value or 0.0), unit=code(UNITS[entry.unit]))


def _group(
    report: DoseReport,
    identifier: str,
    measured: list[Measurement],
    evaluations: list[QualitativeEvaluation] | None = None,
) -> Any:
    source = report.stack.sources[len(report.stack.sources) // 2]
    frames = None if source.frame_number is None else [source.frame_number]
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(report.uid("group", identifier), identifier),
        finding_type=code("dose_report"),
        algorithm_id=AlgorithmIdentification(name=report.algorithm.name, version=report.algorithm.version),
        measurements=measured or None,
        qualitative_evaluations=evaluations or None,
        source_images=[SourceImageForMeasurementGroup(source.sop_class_uid, source.sop_instance_uid, frames)],
    )


def _comment(text: str) -> TextContentItem:
    return TextContentItem(name=code("comment"), value=text, relationship_type=RelationshipTypeValues.CONTAINS)


def _evidence(report: DoseReport) -> list[Dataset]:
    """One small data set for each image that the report rests on."""
    shared = source_identity(Dataset())
    shared.StudyInstanceUID = report.stack.study_instance_uid
    found = []
    for source in report.stack.sources:
        item = Dataset()
        item.update(shared)
        item.SOPClassUID, item.SOPInstanceUID = source.sop_class_uid, source.sop_instance_uid
        item.SeriesInstanceUID = source.series_instance_uid
        found.append(item)
    return list({i.SOPInstanceUID: i for i in found}.values())
