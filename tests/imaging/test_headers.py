"""Reading single files: what is no DICOM, what is cut, and that damage never does worse than a typed refusal."""

import random
from pathlib import Path

import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, RLELossless

from imaging.errors import NotDicom, RadgateError, TruncatedFile
from imaging.headers import FIRST_READ_BYTES, read_header
from imaging.series import load_volume, scan
from tests.synthetic.defects import compressed, in_transfer_syntax
from tests.synthetic.enhanced import enhanced_ct
from tests.synthetic.series import SeriesDescription, series_datasets, write_datasets

SMALL = SeriesDescription(rows=11, columns=7, planes=3)


@pytest.fixture(name="file")
def one_slice(tmp_path: Path) -> Path:
    return write_datasets(tmp_path, series_datasets(SMALL))[1]


def test_pixels_are_located_and_not_read(file: Path) -> None:
    header = read_header(file)

    assert header.pixels is not None
    assert header.pixels.length == 11 * 7 * 2
    assert "PixelData" not in header.dataset
    assert "Rows" in header.dataset


def test_header_longer_than_the_first_read_is_read_whole(tmp_path: Path) -> None:
    long = "x" * FIRST_READ_BYTES
    file = write_datasets(tmp_path, series_datasets(SMALL, attributes=(("TextValue", long), ("ImageComments", "y"))))[0]

    header = read_header(file)

    assert header.pixels is not None
    assert header.dataset.TextValue == long


@pytest.mark.parametrize("keeps_meta", [True, False])
def test_file_without_preamble_is_read_rightly(file: Path, keeps_meta: bool) -> None:
    content = file.read_bytes()
    meta_bytes = int.from_bytes(content[140:144], "little") + 12
    file.write_bytes(content[132:] if keeps_meta else content[132 + meta_bytes :])

    stack = scan([file]).stacks[0]

    assert (load_volume(stack).array == SMALL.values()[1]).all()


def test_word_dicm_within_a_text_is_no_preamble(tmp_path: Path) -> None:
    file = write_datasets(tmp_path, series_datasets(SMALL))[0]
    content = file.read_bytes()
    bare = content[132 + 12 + int.from_bytes(content[140:144], "little") :]
    # An element (0008,0001) of just the length that puts DICM at byte 128.
    file.write_bytes(b"\x08\x00\x01\x00LO" + (124).to_bytes(2, "little") + b" " * 120 + b"DICM" + bare)

    header = read_header(file)

    assert header.dataset.Rows == 11


@pytest.mark.parametrize("cut_bytes", [1, 2, 100, 154, 160, 300])
def test_cut_file_is_told_from_a_whole_one(file: Path, cut_bytes: int) -> None:
    file.write_bytes(file.read_bytes()[:-cut_bytes])

    with pytest.raises(TruncatedFile):
        read_header(file)


def test_cut_stream_of_fragments_is_told(tmp_path: Path) -> None:
    file = write_datasets(tmp_path, compressed(series_datasets(SMALL), RLELossless))[0]
    file.write_bytes(file.read_bytes()[:-8])

    with pytest.raises(TruncatedFile):
        read_header(file)


def test_deflated_file_that_would_fill_the_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = in_transfer_syntax(series_datasets(SMALL), DeflatedExplicitVRLittleEndian)
    file = write_datasets(tmp_path, datasets)[0]
    assert read_header(file).pixels is not None
    monkeypatch.setattr("imaging.headers.MAX_INFLATED_BYTES", 100)

    with pytest.raises(TruncatedFile, match="2 GiB"):
        read_header(file)


@pytest.mark.parametrize("content", [b"", b"DICM", b"\x08\x00", b"%PDF-1.7" * 50, bytes(2000), b"\xff" * 2000])
def test_junk_is_no_dicom(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "junk").write_bytes(content)

    with pytest.raises(NotDicom):
        read_header(tmp_path / "junk")


def test_damage_anywhere_ends_in_a_volume_or_a_typed_refusal(tmp_path: Path) -> None:
    chance = random.Random(20261122)
    plain = write_datasets(tmp_path / "plain", series_datasets(SMALL))
    packed = write_datasets(tmp_path / "packed", compressed(series_datasets(SMALL), RLELossless))
    multi = write_datasets(tmp_path / "multi", [enhanced_ct(SMALL)])
    originals = [file.read_bytes() for file in (plain[0], packed[0], multi[0])]
    damaged = tmp_path / "damaged.dcm"
    outcomes: set[str] = set()

    for _ in range(600):
        content = bytearray(chance.choice(originals))
        for _ in range(chance.choice((1, 1, 2, 8))):
            at = chance.randrange(len(content))
            content[at] = chance.randrange(256)
        if chance.random() < 0.3:
            del content[chance.randrange(len(content)) :]
        damaged.write_bytes(content)
        found = scan([damaged])
        assert len(found.stacks) + len(found.leftovers) == 1
        outcomes.update(type(item.reason).__name__ for item in found.leftovers)
        for stack in found.stacks:
            try:
                load_volume(stack)
                outcomes.add("read")
            except RadgateError as refusal:
                outcomes.add(type(refusal).__name__)

    assert {"read", "NotDicom", "TruncatedFile", "MissingAttribute", "NotAnImageStack"} <= outcomes
