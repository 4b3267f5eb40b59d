"""The bounded reading of headers: right on good objects, cheap and typed on hostile ones."""

import struct
import tracemalloc
import zlib
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian

from dicom_gateway.errors import Unreadable
from dicom_gateway.store.elements import MAX_INFLATED_BYTES, walk
from dicom_gateway.store.header import Header, read_header
from dicom_gateway.store.part10 import file_meta, with_frame
from tests.conftest import data_folder
from tests.dicom_gateway.making import CT_CLASS, STUDY, ct_slice, encoded, file_of, uid

EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"


def header_of(data: bytes) -> Header:
    return read_header(memoryview(data))[0]


def reason_of(data: bytes) -> str:
    with pytest.raises(Unreadable) as caught:
        read_header(memoryview(data))
    return str(caught.value.fields["reason"])


def framed(data_set: bytes, syntax: str = EXPLICIT) -> bytes:
    return file_meta(CT_CLASS, uid(1, 1, 1), syntax) + data_set


def element(group: int, number: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    size = len(value) if length is None else length
    if vr in {b"OB", b"OW", b"SQ", b"UN", b"UT"}:
        return struct.pack("<HH2sHI", group, number, vr, 0, size) + value
    return struct.pack("<HH2sH", group, number, vr, size) + value


@pytest.mark.parametrize("implicit", [False, True])
def test_the_header_is_read_in_both_plain_syntaxes(implicit: bool) -> None:
    header = header_of(file_of(ct_slice(7), implicit=implicit))

    assert (header.sop_uid, header.series_uid, header.study_uid) == (uid(1, 1, 7), uid(1, 1), STUDY)
    assert (header.rows, header.columns, header.instance_number) == (12, 20, 7)
    assert header.patient_name == "Wang^XiaoDong=王^小东"
    assert header.study_description == "定位 CT"
    assert header.modality == "CT" and header.body_part == "HEADNECK"


@pytest.mark.parametrize("syntax", [ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_big_endian_and_deflated_headers_are_read(syntax: Any) -> None:
    ds = ct_slice(3)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    buffer = BytesIO()
    if syntax == ExplicitVRBigEndian:
        ds["PixelData"].VR = "OW"
        ds.save_as(buffer, implicit_vr=False, little_endian=False)
    else:
        ds.save_as(buffer, enforce_file_format=True)

    header = header_of(buffer.getvalue())

    assert (header.sop_uid, header.rows, header.columns) == (uid(1, 1, 3), 12, 20)


@pytest.mark.parametrize(
    ("charset", "python", "name"),
    [
        ("GB18030", "gb18030", "王^小东"),
        ("ISO_IR 192", "utf-8", "王^小东"),
        ("ISO_IR 100", "latin-1", "Müller^Jörg"),
        ("", "ascii", "Plain^Name"),
    ],
)
def test_names_are_decoded_by_their_character_set(charset: str, python: str, name: str) -> None:
    data_set = (
        (element(8, 5, b"CS", charset.encode().ljust(len(charset) + len(charset) % 2)) if charset else b"")
        + element(8, 0x16, b"UI", CT_CLASS.encode() + b"\x00")
        + element(8, 0x18, b"UI", b"1.2.3\x00")
        + element(0x10, 0x10, b"PN", name.encode(python))
        + element(0x20, 0xD, b"UI", b"1.2.4\x00")
        + element(0x20, 0xE, b"UI", b"1.2.5\x00")
    )

    assert header_of(framed(data_set)).patient_name == name


def test_sequences_before_the_wanted_elements_are_skipped_at_any_depth() -> None:
    ds = ct_slice(2)
    inner = Dataset()
    inner.StudyInstanceUID = "9.9.9"  # of another study: must not be taken for this one
    outer = Dataset()
    outer.ReferencedStudySequence = Sequence([inner])
    ds.ReferencedStudySequence = Sequence([outer])
    ds["ReferencedStudySequence"].is_undefined_length = True

    assert header_of(file_of(ds)).study_uid == STUDY


@pytest.mark.data
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_the_walk_finds_is_what_pydicom_finds_on_files_of_all_kinds() -> None:
    import pydicom

    compared = 0
    for path in sorted(data_folder("dicom_zoo").rglob("*.dcm")):
        try:
            header = header_of(path.read_bytes())
        except Unreadable:
            continue
        ds = pydicom.dcmread(path, stop_before_pixels=True, force=True)
        assert header.sop_uid == ds.get("SOPInstanceUID"), path.name
        assert header.series_uid == ds.get("SeriesInstanceUID"), path.name
        assert header.rows == ds.get("Rows"), path.name
        compared += 1
    assert compared > 100


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_cut_object_is_never_taken_for_a_whole_one(data: st.DataObject) -> None:
    whole = file_of(ct_slice(1))
    ds = dcmread(BytesIO(whole))
    items: list[Any] = [ds.get_item(tag) for tag in tuple(ds.keys())]
    # Cut exactly between two elements, a data set is a whole one with fewer elements: nothing in its bytes tells.
    between = {item.value_tell + item.length for item in items if isinstance(item, RawDataElement)}
    cut = data.draw(st.integers(0, len(whole) - 1).filter(lambda n: n not in between))

    with pytest.raises(Unreadable):
        read_header(memoryview(whole[:cut]))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_bytes_give_a_header_or_a_typed_refusal(data: st.DataObject) -> None:
    damaged = bytearray(file_of(ct_slice(1)))
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(128, len(damaged) - 1))] = data.draw(st.integers(0, 255))

    try:
        header_of(bytes(damaged))
    except Unreadable as error:
        assert error.fields["reason"] in {"truncated", "not_dicom", "missing_uid", "bad_uid"}


def test_nesting_of_ten_thousand_levels_does_not_exhaust_the_stack() -> None:
    level = struct.pack("<HH2sHI", 0x0008, 0x1111, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
        "<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    assert reason_of(framed(level * 10_000)) == "truncated"


def test_millions_of_elements_are_given_up_early() -> None:
    found = walk(memoryview(element(0x0008, 0x0001, b"UN", b"") * 1_000_000), {0x00080018}, explicit=True, little=True)

    assert not found.reached_end


def test_a_deflate_bomb_is_inflated_no_further_than_the_bound() -> None:
    zeros = b"\x00" * (8 * MAX_INFLATED_BYTES)
    head = encoded(ct_slice(1, PixelData=None))
    deflater = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = deflater.compress(head + element(0x7FE0, 0x10, b"OW", b"", len(zeros)))
    bomb = framed(bomb + deflater.compress(zeros) + deflater.flush(), DEFLATED)
    tracemalloc.start()

    header = header_of(bomb)

    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert header.sop_uid == uid(1, 1, 1)
    assert peak_bytes < 3 * MAX_INFLATED_BYTES


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not_dicom"),
        (b"%PDF-1.7\n" * 40, "not_dicom"),
        (b"\x00" * 1000, "not_dicom"),
        (framed(element(0x7FE0, 0x10, b"OW", b"12", 0xFFFFFFF0)), "truncated"),
    ],
)
def test_what_is_no_whole_object_is_refused_with_a_reason(data: bytes, reason: str) -> None:
    assert reason_of(data) == reason


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({"SOPInstanceUID": "1." * 40 + "1"}, "bad_uid"),
        ({"StudyInstanceUID": "../../etc/passwd"}, "bad_uid"),
        ({"StudyInstanceUID": ""}, "missing_uid"),
        ({"SeriesInstanceUID": None}, "missing_uid"),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_an_object_without_usable_uids_is_refused_with_a_reason(tags: dict[str, Any], reason: str) -> None:
    assert reason_of(framed(encoded(ct_slice(**tags)))) == reason


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_texts_are_cut_to_what_the_index_holds_and_lose_control_characters() -> None:
    header = header_of(framed(encoded(ct_slice(PatientID="A\x00B" + "x" * 60, Modality="CT" + "X" * 14))))

    assert header.patient_id is not None and "\x00" not in header.patient_id
    assert header.modality is not None and len(header.modality) <= 16


def test_a_data_set_without_a_frame_gets_one_and_is_not_changed() -> None:
    bare = encoded(ct_slice(5))
    header, frame = read_header(memoryview(bare))

    whole = with_frame(bare, frame, header.sop_class_uid, header.sop_uid)

    again, frame_again = read_header(memoryview(whole))
    assert frame_again.complete
    assert again == header
    assert whole.endswith(bare)
