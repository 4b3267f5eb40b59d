"""Labels read as they were written, in whichever character set, and never as question marks."""

from io import BytesIO

import pytest
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset

from contouring.dose.labels import label_of
from contouring.dose.rtplan import read_rtplan
from tests.contouring.dose.making import plan_dataset


def read_back(label: str, character_set: str, *, stated: str | None = None) -> Dataset:
    """A plan with a label, through a file."""
    ds = plan_dataset(33, 1, 66.0)
    ds.SpecificCharacterSet, ds.RTPlanLabel = character_set, label
    ds.file_meta = FileMetaDataset()
    buffer = BytesIO()
    ds.save_as(buffer, implicit_vr=False, little_endian=True)
    read = dcmread(BytesIO(buffer.getvalue()), force=True)
    if stated is not None:
        read.SpecificCharacterSet = stated
    return read


@pytest.mark.parametrize("character_set", ["ISO_IR 192", "GB18030"])
def test_a_chinese_label_of_a_plan_is_itself(character_set: str) -> None:
    assert read_rtplan(read_back("首程 调强", character_set)).label == "首程 调强"


def test_a_label_that_is_no_text_in_its_character_set_is_none() -> None:
    assert label_of(read_back("首程", "GB18030", stated="ISO_IR 192"), "RTPlanLabel") == ""
    assert label_of(Dataset(), "RTPlanLabel") == ""
