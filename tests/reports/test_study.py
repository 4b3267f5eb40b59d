"""The study of a header: Chinese character sets decode, damaged bytes are refused."""

from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from reports import encode_all, encode_sr, study_ref
from reports.encode.identity import source_identity
from reports.errors import UndecodableText
from reports.validate import validate
from tests.reports.making import make_case
from tests.synthetic.series import series_datasets


@pytest.mark.parametrize("character_set", ["GB18030", "GBK", "ISO_IR 192"])
def test_a_chinese_name_arrives_in_utf8_whatever_the_source_wrote(tmp_path: Path, character_set: str) -> None:
    case = make_case(tmp_path, character_set=character_set, planes=5)

    report = dcmread(BytesIO(encode_sr(case.result, case.stack).data))

    assert case.result.study.patient_name == "Zhang^San=张^三"
    assert case.result.study.character_set == character_set
    assert case.result.study.raw_patient_name == "Zhang^San=张^三".encode(
        {"ISO_IR 192": "utf-8"}.get(character_set, character_set.lower())
    )
    assert report.SpecificCharacterSet == "ISO_IR 192"
    assert report.PatientName == "Zhang^San=张^三"
    assert report.StudyDescription == "头颈部"


def test_a_gbk_source_passes_the_gate_although_dciodvfy_does_not_know_gbk(tmp_path: Path) -> None:
    case = make_case(tmp_path, character_set="GBK", planes=20)

    objects = encode_all(case.result, case.stack, case.volume)

    assert validate(objects, case.result, case.stack, outside=True) == ()


def test_a_name_in_iso_2022_ir_58_loses_its_escape_sequences() -> None:
    ds = series_datasets(planes=3, patient_name="Zhang^San=QQQQQQ^QQQQQQ")[0]
    ds.SpecificCharacterSet, ds.StudyDescription, ds.SeriesDescription = ["", "ISO 2022 IR 58"], "x", "x"
    buffer = BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    escaped = buffer.getvalue().replace(b"QQQQQQ^QQQQQQ", b"\x1b$)A\xd5\xc5^\x1b$)A\xc8\xfd")

    header = dcmread(BytesIO(escaped))

    assert study_ref(header).patient_name == "Zhang^San=张^三"
    assert source_identity(header).PatientName == "Zhang^San=张^三"


def test_missing_attributes_become_empty_ones() -> None:
    header = Dataset()
    header.StudyInstanceUID = "1.2.3"

    study = study_ref(header)
    identity = source_identity(header)

    assert (study.study_uid, study.patient_name, study.accession) == ("1.2.3", "", "")
    assert "PatientID" in identity
    assert "PatientWeight" not in identity


@pytest.mark.parametrize("name", ["Zhang^San=\ufffd^三", "Zhang^San=\x1b$)C^三"])
def test_a_name_that_lost_a_character_before_it_came_here_is_never_written(name: str) -> None:
    header = Dataset()
    header.StudyInstanceUID, header.PatientName = "1.2.3", name

    with pytest.raises(UndecodableText) as refusal:
        source_identity(header)

    assert "Zhang" not in str(refusal.value)
    assert study_ref(header).undecodable == ("PatientName",)
    assert not study_ref(header).patient_name
