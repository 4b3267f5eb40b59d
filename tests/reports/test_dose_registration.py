"""A computed registration in the dose report: PDF and SR say how good it is in each structure, and show its picture."""

from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO

import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from pypdf import PdfReader

from contouring.dose.assessment import RegistrationNumbers
from contouring.dose.objects import dose_objects
from reports.codes import code
from reports.dose import DoseReport, encode_dose, require_valid_dose, validate_dose
from reports.dose.objects import encode_dose_pdf
from reports.dose.registration import registration_notes, registration_reports
from reports.dose.sr import encode_dose_sr
from reports.encode.encoded import EncodedObject
from tests.conftest import require_program
from tests.reports.dose_case import QUALITY, made_report, with_picture, with_quality


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> DoseReport:
    return made_report(tmp_path_factory.mktemp("dose"))


@pytest.fixture(scope="module")
def report(bare: DoseReport) -> DoseReport:
    return with_picture(bare)


@pytest.fixture(scope="module")
def objects(report: DoseReport) -> tuple[EncodedObject, ...]:
    return encode_dose(report)


def dataset(objects: tuple[EncodedObject, ...], outlet: str) -> Dataset:
    return dcmread(BytesIO(next(o.data for o in objects if o.outlet == outlet)))


def pages_of(ds: Dataset) -> list[str]:
    return [p.extract_text() for p in PdfReader(BytesIO(bytes(ds.EncapsulatedDocument))).pages]


def groups_of(sr: Dataset) -> Iterator[tuple[str, dict[str, tuple[float, str]], str]]:
    """Tracking identifier, numbers with units by code value, and comments of each group on a registration."""
    measurements = next(i for i in sr.ContentSequence if i.ConceptNameCodeSequence[0].CodeValue == "126010")
    for group in measurements.ContentSequence:
        items = list(group.ContentSequence)
        name = next(i.TextValue for i in items if i.ConceptNameCodeSequence[0].CodeValue == "112039")
        numbers = {
            str(i.ConceptNameCodeSequence[0].CodeValue): (
                float(i.MeasuredValueSequence[0].NumericValue),
                str(i.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue),
            )
            for i in items
            if i.ValueType == "NUM"
        }
        if name.startswith("registration"):
            yield name, numbers, " ".join(str(i.TextValue) for i in items if i.ValueType == "TEXT")


def test_the_pdf_has_a_page_with_picture_and_numbers(objects: tuple[EncodedObject, ...]) -> None:
    ds = dataset(objects, "pdf")
    shown = [n for n, text in enumerate(pages_of(ds)) if "Registration · B" in text]

    assert len(shown) == 1
    text = " ".join(pages_of(ds)[shown[0]].split())
    for said in ("computed, not reviewed", "未经审核", "there and back 0.23 mm", "配准"):
        assert said in text
    for row in ("whole body 0.999 -0.031 折叠 folds", "Parotid_L 0.877 -0.031 折叠 folds", "PTV_7000 — 0.707",
                "SpinalCord 0.912 0.811"):  # fmt: skip
        assert row in text
    pictures = PdfReader(BytesIO(bytes(ds.EncapsulatedDocument))).pages[shown[0]].images
    assert [p.image.size for p in pictures if p.image is not None] == [(1080, 720)]


def test_the_sr_says_the_same_numbers_with_units(objects: tuple[EncodedObject, ...]) -> None:
    found = {name: (numbers, text) for name, numbers, text in groups_of(dataset(objects, "sr"))}
    back, overlap, jacobian = (code(f"dose_{k}").value for k in ("there_and_back", "overlap", "least_jacobian"))

    assert {name: numbers for name, (numbers, _) in found.items()} == {
        "registration B": {back: (0.2345, "mm"), overlap: (0.99871, "1"), jacobian: (-0.0312, "1")},
        "registration B Parotid_L": {overlap: (0.87654, "1"), jacobian: (-0.0312, "1")},
        "registration B PTV_7000": {jacobian: (0.70707, "1")},
        "registration B SpinalCord": {overlap: (0.91234, "1"), jacobian: (0.81119, "1")},
    }
    assert "computed, not reviewed" in found["registration B"][1] and "未经审核" in found["registration B"][1]


def test_the_objects_keep_every_rule(report: DoseReport, objects: tuple[EncodedObject, ...]) -> None:
    require_valid_dose(objects, report)


@pytest.mark.interop
def test_dciodvfy_finds_no_error(report: DoseReport, objects: tuple[EncodedObject, ...]) -> None:
    require_program("dciodvfy")
    papers = tuple(o for o in objects if o.outlet in {"sr", "pdf"})

    assert validate_dose(papers, report, outside=True) == ()


def test_without_a_computed_registration_there_is_no_such_page(bare: DoseReport) -> None:
    made = (encode_dose_sr(bare), encode_dose_pdf(bare))

    assert registration_reports(bare.assessment) == ()
    assert not any("Registration · " in text for text in pages_of(dataset(made, "pdf")))
    assert not list(groups_of(dataset(made, "sr")))


def test_other_quality_is_another_object(bare: DoseReport, objects: tuple[EncodedObject, ...]) -> None:
    other = with_quality(bare, replace(QUALITY, structure_dice={"SpinalCord": 0.5}))

    made = {encode_dose_sr(other).sop_instance_uid, encode_dose_pdf(other).sop_instance_uid}
    assert len(made) == 2 and not made & {o.sop_instance_uid for o in objects}


def test_what_was_not_measured_is_a_dash_with_its_reason(bare: DoseReport) -> None:
    rigid = with_quality(bare, RegistrationNumbers(0.41, 0.98), deformed=False)
    (found,) = registration_reports(rigid.assessment)

    assert [(r.words[1], r.dice.text, r.jacobian.text) for r in found.rows] == [("whole body", "0.980", "—")]
    said = " ".join(en for _, en in registration_notes(found))
    assert "no overlap of structures" in said and "rigid motion changes no volume" in said and "the largest" in said
    assert all(zh != en for zh, en in registration_notes(found))


def test_a_picture_of_any_shape_stays_on_the_page(bare: DoseReport) -> None:
    for size in ((300, 1900), (2400, 130)):
        buffer = BytesIO()
        Image.new("RGB", size, (90, 20, 20)).save(buffer, "PNG")
        made = encode_dose_pdf(with_quality(bare, replace(QUALITY, picture_png=buffer.getvalue())))
        texts = pages_of(dataset((made,), "pdf"))

        assert sum("Registration · B" in t and "SpinalCord 0.912 0.811" in " ".join(t.split()) for t in texts) == 1


def test_the_sum_names_the_registrations_of_all_courses_once(bare: DoseReport) -> None:
    first, second = bare.assessment.courses
    for uids in (("1.2.3.1", "1.2.3.2"), ("1.2.3.1", "1.2.3.1"), ("", "1.2.3.2"), ("", "")):
        courses = (replace(first, registration_uid=uids[0]), replace(second, registration_uid=uids[1]))
        made = dose_objects(replace(bare.assessment, courses=courses), bare.stack, made_at=bare.created_at)

        for ds in (dcmread(BytesIO(o.encoded)) for o in made if o.kind == "RTDOSE"):
            named = [i.ReferencedSOPInstanceUID for i in ds.get("ReferencedSpatialRegistrationSequence", [])]
            assert named == [uid for uid in dict.fromkeys(uids) if uid]
