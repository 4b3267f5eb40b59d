"""Labels read as they were written, in whichever character set, and never as question marks."""

from io import BytesIO

import pytest
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import RTStructureSetStorage

from contouring.dose.rtplan import read_rtplan
from contouring.rtstruct_parse import parse_structure_set
from imaging.labels import label_of
from qc.image.inputs import text_of
from tests.contouring.dose.making import plan_dataset


def through_a_file(ds: Dataset, character_set: str | list[str], *, stated: str | None = None) -> Dataset:
    ds.SpecificCharacterSet = character_set
    ds.file_meta = FileMetaDataset()
    buffer = BytesIO()
    ds.save_as(buffer, implicit_vr=False, little_endian=True)
    read = dcmread(BytesIO(buffer.getvalue()), force=True)
    if stated is not None:
        read.SpecificCharacterSet = stated
    return read


def plan(label: str) -> Dataset:
    ds = plan_dataset(33, 1, 66.0)
    ds.RTPlanLabel = label
    return ds


@pytest.mark.parametrize("character_set", ["ISO_IR 192", "GB18030"])
def test_a_chinese_label_of_a_plan_is_itself(character_set: str) -> None:
    assert read_rtplan(through_a_file(plan("首程 调强"), character_set)).label == "首程 调强"


@pytest.mark.parametrize("character_set", ["ISO_IR 192", "GB18030"])
def test_a_chinese_label_of_a_structure_set_is_itself(character_set: str) -> None:
    ds = Dataset()
    ds.SOPClassUID, ds.StructureSetLabel = RTStructureSetStorage, "鼻咽癌 首程"

    assert parse_structure_set(through_a_file(ds, character_set)).label == "鼻咽癌 首程"


def test_a_series_in_escaped_seven_bits_is_chinese_to_the_checks_of_quality() -> None:
    """ISO 2022 IR 87 writes ideographs in pairs below 128, which are ASCII to who does not look."""
    ds = Dataset()
    ds.add_new("SeriesDescription", "LO", "山田 頭部")

    read = through_a_file(ds, ["", "ISO 2022 IR 87"])

    assert read.get_item("SeriesDescription").value.isascii()
    assert text_of(read, "SeriesDescription") == "山田 頭部"


def test_a_backslash_is_part_of_a_label() -> None:
    ds = Dataset()
    ds.SeriesDescription = "CT\\head"

    assert label_of(ds, "SeriesDescription") == "CT\\head"


def test_a_label_that_is_no_text_in_its_character_set_is_none() -> None:
    assert label_of(through_a_file(plan("首程"), "GB18030", stated="ISO_IR 192"), "RTPlanLabel") == ""
    assert label_of(Dataset(), "RTPlanLabel") == ""
