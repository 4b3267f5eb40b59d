"""The dose report: PDF, SR and JSON say the same numbers, objects are valid and read back, faults are caught."""

import hashlib
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pypdf import PdfReader

from contouring.dose.assessment import DoseAssessment
from contouring.dose.cautions import warnings_of
from contouring.dose.rtdose_read import read_rtdose
from reports.codes import code
from reports.dose import DoseReport, encode_dose, require_valid_dose, validate_dose
from reports.dose.sentences import sentence_words
from reports.dose.sr import METRICS
from reports.dose.table import Entry, colour_of, dose_table
from reports.dose.wording import FLAG_WORDS, STATUS_WORDS, flag_words, warning_words
from reports.encode.encoded import EncodedObject
from reports.errors import InvalidObject
from reports.numbers import format_number
from tests.conftest import require_program
from tests.reports.dose_case import made_report


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> DoseReport:
    return made_report(tmp_path_factory.mktemp("dose"))


@pytest.fixture(scope="module")
def objects(report: DoseReport) -> tuple[EncodedObject, ...]:
    return encode_dose(report)


def dataset(objects: tuple[EncodedObject, ...], outlet: str) -> Dataset:
    return dcmread(BytesIO(next(o.data for o in objects if o.outlet == outlet)))


def groups_of(sr: Dataset) -> Iterator[tuple[str, dict[str, float]]]:
    """Tracking identifier and numbers (by code value) of each measurement group."""
    measurements = next(i for i in sr.ContentSequence if i.ConceptNameCodeSequence[0].CodeValue == "126010")
    for group in measurements.ContentSequence:
        items = list(group.ContentSequence)
        name = next(i.TextValue for i in items if i.ConceptNameCodeSequence[0].CodeValue == "112039")
        numbers = {
            str(i.ConceptNameCodeSequence[0].CodeValue): float(i.MeasuredValueSequence[0].NumericValue)
            for i in items
            if i.ValueType == "NUM"
        }
        yield name, numbers


def test_the_table_holds_every_structure_with_its_numbers(report: DoseReport) -> None:
    rows = report.table.rows

    assert [(r.structure, r.metric) for r in rows] == [
        ("PTV_7000", "D95%"), ("PTV_7000", "Dmean"), ("PTV_7000", "D2%"),
        ("SpinalCord", "Dmean"), ("SpinalCord", "D0.03cc"), ("Parotid_L", "Dmean"), ("Parotid_L", "D0.03cc"),
    ]  # fmt: skip
    for row in rows:
        a, b = (e.value for e in row.courses)
        assert a is not None
        assert b is not None
        assert row.total.value is not None
        if row.metric == "Dmean":
            assert row.total.value == pytest.approx(a + b, abs=0.05)
        else:
            assert row.total.value <= a + b + 0.05 or row.metric == "D95%"
    assert rows[3].eqd2.value is not None
    assert rows[3].eqd2.value < (rows[3].total.value or 0), "fractions below 2 Gy weigh less on the cord"


def test_sr_and_json_hold_the_numbers_of_the_table(report: DoseReport, objects: tuple[EncodedObject, ...]) -> None:
    groups = dict(groups_of(dataset(objects, "sr")))
    document = report.table.to_json()

    compared = 0
    for row, plain in zip(report.table.rows, document["rows"], strict=True):
        for column, entry in row.entries().items():
            assert plain["entries"][column]["value"] == entry.value
            assert plain["entries"][column]["text"] == entry.text
            if entry.value is None:
                continue
            numbers = groups[f"{row.structure} {column}"]
            key = "dose_maxima" if column == "maxima" else METRICS[row.metric]
            is_eqd2 = column in {"eqd2", "eqd2_A", "eqd2_B", "low", "high"}
            mean = "dose_mean_bed" if column == "bed" else "dose_mean_eqd2" if is_eqd2 else key
            value = numbers[code(mean if key == "dose_mean" else key).value]
            assert value == pytest.approx(entry.value, rel=1e-10)
            assert format_number(value, 2) == entry.text
            compared += 1
    for number, limit in enumerate(report.table.limits):
        numbers = groups[f"limit {number + 1} {limit.structure} {limit.text}"[:64]]
        assert numbers[code("dose_limit").value] == limit.bound
        if limit.found.value is not None:
            assert numbers[code("dose_metric").value] == pytest.approx(limit.found.value, rel=1e-10)
            compared += 1
    assert compared > 40


def test_the_pdf_prints_the_numbers_of_the_table_in_their_order(
    report: DoseReport, objects: tuple[EncodedObject, ...]
) -> None:
    ds = dataset(objects, "pdf")
    text = "\n".join(p.extract_text() for p in PdfReader(BytesIO(bytes(ds.EncapsulatedDocument))).pages)
    printed = re.findall(r"(?<![\dD.])-?\d+\.\d\d(?!\d|cc)|—", text)

    wanted = [
        e.text
        for row in report.table.rows
        for e in (*row.courses, row.total, row.eqd2, row.bed, row.low, row.high, row.maxima)
    ]
    limits = [row.found.text for row in report.table.limits]

    assert "张三" in text
    assert "NOT FOR PLANNING" in text
    assert contains(printed, wanted)
    assert contains(printed, limits)
    for row in report.table.limits:
        assert STATUS_WORDS[row.status][0] in text


def contains(sequence: list[str], wanted: list[str]) -> bool:
    """Whether one list stands in another without anything between."""
    return any(sequence[n : n + len(wanted)] == wanted for n in range(len(sequence) - len(wanted) + 1))


def test_one_changed_number_would_be_seen(report: DoseReport) -> None:
    row = report.table.rows[0]
    changed = replace(row, total=Entry((row.total.value or 0) + 0.01))

    assert [e.text for e in changed.entries().values()] != [e.text for e in row.entries().values()]


def test_limits_stand_with_the_broken_ones_first(report: DoseReport) -> None:
    states = [row.status for row in report.table.limits]

    assert states == sorted(states, key=["broken", "near", "not_evaluable", "met"].index)
    assert "broken" in states


def test_without_fractions_there_is_no_eqd2_and_the_reason_stands(report: DoseReport) -> None:
    found = report.assessment
    bare = tuple(replace(s, eqd2=None, course_eqd2=()) for s in found.structures)
    courses = tuple(replace(c, fractions=None, fractions_source="unknown") for c in found.courses)
    without: DoseAssessment = replace(found, structures=bare, courses=courses)

    row = dose_table(without).rows[0]

    assert row.eqd2.text == "—"
    assert "fractions" in row.eqd2.reason


def test_the_objects_are_complete_and_in_sending_order(objects: tuple[EncodedObject, ...]) -> None:
    outlets = [o.outlet for o in objects]

    assert outlets.index("rtdose") < outlets.index("sc") < outlets.index("sr") < outlets.index("pdf")
    assert outlets.count("rtdose") == outlets.count("sc")
    assert outlets.count("sr") == outlets.count("pdf") == 1


def test_equal_reports_give_equal_bytes(report: DoseReport, objects: tuple[EncodedObject, ...]) -> None:
    again = encode_dose(report)

    assert [o.sha256 for o in again] == [o.sha256 for o in objects]


def test_the_sum_reads_back_as_the_array(report: DoseReport, objects: tuple[EncodedObject, ...]) -> None:
    dose = read_rtdose(dataset(objects, "rtdose"))
    total = report.assessment.grids.physical.volume

    assert dose.grid.is_same_as(total.grid)
    assert np.abs(dose.dose_gy - total.dose_gy).max() <= 1e-5


def test_captures_are_named_counted_and_without_identity(objects: tuple[EncodedObject, ...]) -> None:
    for item in (o for o in objects if o.outlet == "sc"):
        ds = dcmread(BytesIO(item.data))

        assert ds.pixel_array.shape == (ds.NumberOfFrames, ds.Rows, ds.Columns, 3)
        assert len(ds.FrameLabelVector) == len(ds.PageNumberVector) == ds.NumberOfFrames >= 6
        assert {str(label).split()[0] for label in ds.FrameLabelVector} == {"axial", "coronal", "sagittal"}
        assert ds.BurnedInAnnotation == "NO"
        assert "NOT FOR PLANNING" in ds.SeriesDescription


def test_every_rule_of_the_gate_is_kept(report: DoseReport, objects: tuple[EncodedObject, ...]) -> None:
    require_valid_dose(objects, report)


@pytest.mark.interop
def test_dciodvfy_finds_no_error(report: DoseReport, objects: tuple[EncodedObject, ...]) -> None:
    require_program("dciodvfy")

    assert validate_dose(objects, report, outside=True) == ()


@pytest.mark.interop
def test_dcmtk_reads_the_same_dose(report: DoseReport, objects: tuple[EncodedObject, ...], tmp_path: Path) -> None:
    program = require_program("dcmdump")
    file = tmp_path / "sum.dcm"
    file.write_bytes(next(o.data for o in objects if o.outlet == "rtdose"))

    subprocess.run([program, "+W", str(tmp_path), str(file)], check=True, capture_output=True)
    ds = dcmread(file, stop_before_pixels=True)
    raw = np.frombuffer(next(tmp_path.glob("*.raw")).read_bytes(), dtype="<u4")

    total = report.assessment.grids.physical.volume
    assert np.abs(raw.reshape(total.dose_gy.shape) * float(ds.DoseGridScaling) - total.dose_gy).max() < 1e-5


@pytest.mark.parametrize(
    ("outlet", "fault", "rule"),
    [
        ("rtdose", {"DoseSummationType": "PLAN"}, "content"),
        ("rtdose", {"FrameOfReferenceUID": "1.2.3"}, "geometry"),
        ("rtdose", {"DoseUnits": "RELATIVE"}, "content"),
        ("sc", {"SeriesDescription": "AI DOSE"}, "content"),
        ("sc", {"StudyInstanceUID": "1.2.3"}, "identity"),
        ("sr", {"VerificationFlag": "VERIFIED"}, "review"),
    ],
)
def test_a_planted_fault_is_caught(
    report: DoseReport, objects: tuple[EncodedObject, ...], outlet: str, fault: dict[str, Any], rule: str
) -> None:
    number = next(n for n, o in enumerate(objects) if o.outlet == outlet)
    ds = dcmread(BytesIO(objects[number].data))
    for keyword, value in fault.items():
        setattr(ds, keyword, value)
    buffer = BytesIO()
    ds.save_as(buffer)
    data = buffer.getvalue()
    broken = replace(objects[number], data=data, sha256=hashlib.sha256(data).hexdigest())

    with pytest.raises(InvalidObject) as caught:
        require_valid_dose((*objects[:number], broken, *objects[number + 1 :]), report)

    assert [outlet, rule] in caught.value.fields["broken"]


def test_a_reference_to_nothing_is_caught(report: DoseReport, objects: tuple[EncodedObject, ...]) -> None:
    stranger = replace(report, assessment=replace(report.assessment, courses=(report.assessment.courses[0],)))

    rules = {(v.outlet, v.rule) for v in validate_dose(objects, stranger)}

    assert ("rtdose", "reference") in rules


def test_an_organ_partly_without_dose_has_no_sum_of_maxima_and_its_flag_says_how_much(report: DoseReport) -> None:
    structure = next(s for s in report.assessment.structures if s.name == "SpinalCord")
    assert structure.bounds is not None and structure.bounds.maxima_are_known
    total = structure.physical
    curve = replace(total.curve, outside_mm3=total.curve.known_mm3 * 0.41 / 0.59)
    partly = replace(
        structure,
        physical=replace(total, curve=curve),
        bounds=replace(structure.bounds, maxima_are_known=False),
        flags=("outside_dose_grid",),
    )

    found = dose_table(replace(report.assessment, structures=(structure, partly)))

    whole, part = (row for row in found.rows if row.metric == "D0.03cc")
    assert whole.maxima.value is not None
    assert (part.maxima.value, part.maxima.text) == (None, "—")
    assert sentence_words(part.maxima.reason)[0].startswith("部分结构位于剂量网格外")
    assert flag_words("outside_dose_grid", partly) == (
        "部分位于剂量网格外（41 %）",
        "partly outside a dose grid (41 %)",
    )


def test_every_flag_has_words() -> None:
    from typing import get_args

    from contouring.dose.assessment import Flag

    assert set(get_args(Flag)) == set(FLAG_WORDS)


def test_every_warning_has_words(report: DoseReport) -> None:
    unknown = replace(
        report.assessment.courses[0], fractions=None, quality=None, transform_source="computed_deformable"
    )
    said = warnings_of([unknown], report.assessment.structures, report.assessment.limit_sets)

    assert len(said) >= 3
    for warning in said:
        zh, en = warning_words(warning)
        assert en == warning and zh != en


def test_a_dark_colour_is_replaced_and_a_bright_one_kept(report: DoseReport) -> None:
    structure = report.assessment.structures[0]

    assert colour_of(replace(structure, colour_rgb=(0, 0, 90)), 3) != (0, 0, 90)
    assert colour_of(replace(structure, colour_rgb=(200, 10, 10)), 3) == (200, 10, 10)
