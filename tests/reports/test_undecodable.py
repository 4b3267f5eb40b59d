"""Text that is none in its stated character set: identity goes through byte for byte, the rest is left empty."""

from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pypdf import PdfReader

from imaging.quiet import quiet_pydicom
from imaging.series import Stack, scan
from reports import EncodedObject, Result, encode_all, study_ref
from reports.study import raw_value, undecodable_sentences
from reports.validate import require_valid, validate
from tests.reports.making import Case, make_case, run_of, set_raw, without_output
from tests.reports.test_validate import found, spoiled

GBK_NAME = "Zhang^San=张^三".encode("gbk")
STATED = [b"ISO_IR 100", b"ISO_IR 192", b"", b"ISO_IR 999", b"\\ISO 2022 IR 87", b"latin1"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("undecodable")


@pytest.fixture(scope="module")
def sound(folder: Path) -> Case:
    return make_case(folder, planes=20)


def stated(sound: Case, folder: Path, character_set: bytes, **values: bytes) -> tuple[Result, Stack]:
    """The result on the same series with another stated character set and other bytes in each header."""
    stack = scan([folder]).stacks[0]
    for header in stack.headers:
        for keyword, value in ({"StudyDescription": b"head"} | values).items():
            set_raw(header, keyword, value)
        set_raw(header, "SpecificCharacterSet", character_set)
        with quiet_pydicom():
            header.get("SpecificCharacterSet")  # somebody has looked at it, and it is raw no more
    run = replace(sound.result.runs[0], warnings=undecodable_sentences(study_ref(stack.header).undecodable))
    return replace(sound.result, study=study_ref(stack.header), runs=(run,)), stack


def read(objects: tuple[EncodedObject, ...]) -> Iterator[tuple[EncodedObject, Dataset]]:
    with quiet_pydicom():
        yield from ((item, dcmread(BytesIO(item.data))) for item in objects)


@pytest.mark.parametrize("character_set", STATED)
@pytest.mark.parametrize("keyword", ["PatientName", "PatientID", "AccessionNumber"])
def test_undecodable_identity_reaches_every_object_byte_for_byte_with_its_character_set(
    sound: Case, folder: Path, character_set: bytes, keyword: str
) -> None:
    value = GBK_NAME if keyword == "PatientName" else "张三4711".encode("gbk")
    values = {"PatientName": b"Zhang^San", keyword: value}
    result, stack = stated(sound, folder, character_set, **values)

    objects = encode_all(result, stack, sound.volume, pictures=())

    assert result.study.undecodable == (keyword,)
    assert [o.outlet for o in objects] == ["seg", "rtstruct", "sr", "pdf"]
    for item, ds in read(objects):
        assert (raw_value(ds, keyword) or b"").rstrip() == value, item.outlet
        assert str(ds.get("SpecificCharacterSet") or "") in {
            character_set.decode(),
            str(["", character_set.decode().strip("\\")]),
        }
        assert any(keyword in warning for warning in item.warnings)
    assert validate(objects, result, stack, outside=True) == ()
    failure = without_output(result, run_of("failed"))
    require_valid(encode_all(failure, stack), failure, stack, outside=True)


def test_our_own_chinese_stays_readable_beside_an_undecodable_name(sound: Case, folder: Path) -> None:
    result, stack = stated(sound, folder, b"ISO_IR 100", PatientName=GBK_NAME)

    report, document = (ds for item, ds in read(encode_all(result, stack, pictures=())) if item.outlet in {"sr", "pdf"})

    texts = [item.TextValue for item in report.ContentSequence if item.ValueType == "TEXT"]
    assert any("供医师审核" in text for text in texts)
    page = PdfReader(BytesIO(document.EncapsulatedDocument)).pages[0].extract_text().replace("\n", " ")
    assert "not decodable, see the images" in page
    assert "PatientName does not decode" in page
    assert "ÕÅ" not in page


@pytest.mark.parametrize("character_set", STATED)
@pytest.mark.parametrize("keyword", ["StudyDescription", "ReferringPhysicianName", "InstitutionName", "StudyID"])
def test_undecodable_description_is_left_empty_in_the_reports_and_named(
    sound: Case, folder: Path, character_set: bytes, keyword: str
) -> None:
    values = {"PatientName": b"Zhang^San", keyword: "肿瘤医院".encode("gbk")}
    result, stack = stated(sound, folder, character_set, **values)

    objects = encode_all(result, stack, pictures=())

    for item, ds in read(objects):
        if item.outlet in {"sr", "pdf"}:
            assert not ds.get(keyword)
            assert ds.SpecificCharacterSet == "ISO_IR 192"
            assert ds.PatientName == "Zhang^San"
    assert validate(objects, result, stack, outside=True) == ()
    assert keyword == "StudyID" or result.study.undecodable == (keyword,)


@pytest.mark.parametrize("outlet", ["sr", "pdf", "seg", "rtstruct"])
def test_another_undecodable_name_than_that_of_the_images_is_a_violation(
    sound: Case, folder: Path, outlet: str
) -> None:
    result, stack = stated(sound, folder, b"ISO_IR 192", PatientName=GBK_NAME)
    objects: dict[str, EncodedObject] = {o.outlet: o for o in encode_all(result, stack, pictures=())}
    with quiet_pydicom():
        changed = spoiled(objects[outlet], lambda ds: set_raw(ds, "PatientName", "李^四".encode("gbk")))

    assert (outlet, "identity") in found(Case(stack, sound.volume, result), objects, changed)


def test_the_same_bytes_under_another_character_set_are_a_violation(sound: Case, folder: Path) -> None:
    result, stack = stated(sound, folder, b"ISO_IR 192", PatientName=GBK_NAME)
    objects: dict[str, EncodedObject] = {o.outlet: o for o in encode_all(result, stack, pictures=())}
    with quiet_pydicom():
        changed = spoiled(objects["sr"], lambda ds: set_raw(ds, "SpecificCharacterSet", b"ISO_IR 100"))

    assert ("sr", "identity") in found(Case(stack, sound.volume, result), objects, changed)


def test_what_does_not_decode_survives_the_json_form(sound: Case, folder: Path) -> None:
    result, _ = stated(sound, folder, b"ISO_IR 192", PatientName=GBK_NAME)

    again = Result.from_json(result.to_json(), {s.id: s.region for s in result.structures if s.region is not None})

    assert again.study == result.study
    assert again.study.raw_patient_name == GBK_NAME
