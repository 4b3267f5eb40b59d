"""Pixels: rescaling, signs, bit depths, transfer syntaxes, and what is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from imaging.errors import ImagingError, MissingAttribute, TruncatedFile, UndecodablePixels
from imaging.series import load_volume, scan
from imaging.volume import Volume
from tests.synthetic.defects import changed, compressed, cut_frame, in_transfer_syntax
from tests.synthetic.series import SeriesDescription, series_datasets, write_datasets, write_series

SMALL = SeriesDescription(rows=11, columns=7, planes=4)


def loaded(folder: Path, datasets: list[Dataset]) -> Volume:
    write_datasets(folder, datasets)
    found = scan([folder])
    assert not found.leftovers
    return load_volume(found.stacks[0])


@pytest.mark.parametrize(
    ("uid", "signed"),
    # JPEG-LS has no sign of its own, and pydicom's encoder refuses signed pixels.
    [
        (JPEG2000Lossless, False),
        (JPEG2000Lossless, True),
        (RLELossless, False),
        (RLELossless, True),
        (JPEGLSLossless, False),
    ],
)
def test_compressed_series_equals_the_plain_one(tmp_path: Path, uid: str, signed: bool) -> None:
    description = replace(SMALL, rows=53, columns=47, signed=signed, intercept=0.0 if signed else -1024.0)

    volume = loaded(tmp_path, compressed(series_datasets(description), uid))

    np.testing.assert_array_equal(volume.array, description.values())
    assert volume.array.dtype == np.int16


@pytest.mark.parametrize("uid", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.filterwarnings("ignore:The value for the data element:UserWarning")
def test_other_uncompressed_syntaxes_equal_the_plain_one(tmp_path: Path, uid: str) -> None:
    volume = loaded(tmp_path, in_transfer_syntax(series_datasets(SMALL), uid))

    np.testing.assert_array_equal(volume.array, SMALL.values())


def test_rescale_is_that_of_each_slice(tmp_path: Path) -> None:
    description = replace(SMALL, slope=(1.0, 2.0, 1.0, 3.0), intercept=(-1024.0, -1030.0, -1100.0, -1024.0))
    datasets = series_datasets(description)

    volume = loaded(tmp_path, datasets)

    for k, ds in enumerate(datasets):
        stored = np.frombuffer(ds.PixelData, "<u2").reshape(11, 7).astype(int)
        np.testing.assert_array_equal(volume.array[k], stored * int(ds.RescaleSlope) + int(ds.RescaleIntercept))
    assert volume.array.dtype == np.int16


def test_fractional_slope_gives_float32(tmp_path: Path) -> None:
    description = replace(SMALL, modality="PT", slope=(0.37, 0.5, 0.25, 1.0), intercept=0.0)

    volume = loaded(tmp_path, series_datasets(description))

    assert volume.array.dtype == np.float32
    assert volume.unit == "Bq/mL"
    np.testing.assert_allclose(volume.array, description.values(), atol=0.26)


def test_whole_values_beyond_int16_give_float32(tmp_path: Path) -> None:
    values = np.full((4, 11, 7), 50000)
    values[1, 2, 3] = 65000

    volume = loaded(tmp_path, series_datasets(replace(SMALL, modality="MR", pixels=values)))

    assert volume.array.dtype == np.float32
    np.testing.assert_array_equal(volume.array, values)


def test_values_beyond_bits_stored_are_kept(tmp_path: Path) -> None:
    values = SMALL.values().copy()
    values[2, 5, 1] = 4868 - 1024

    volume = loaded(tmp_path, series_datasets(replace(SMALL, pixels=values, bits_stored=12)))

    assert volume.array[2, 5, 1] == 3844


def test_negative_values_without_upper_bits_get_their_sign(tmp_path: Path) -> None:
    description = replace(SMALL, signed=True, bits_stored=12, intercept=0.0)
    datasets = series_datasets(description)
    for ds in datasets:
        ds.PixelData = (np.frombuffer(ds.PixelData, "<u2") & 0x0FFF).tobytes()

    volume = loaded(tmp_path, datasets)

    np.testing.assert_array_equal(volume.array, description.values())


@pytest.mark.parametrize(("bits", "kind"), [(8, "u1"), (32, "<u4")])
def test_other_bit_depths_are_read(tmp_path: Path, bits: int, kind: str) -> None:
    datasets = series_datasets(replace(SMALL, modality="MR"))
    values = np.arange(4 * 77).reshape(4, 11, 7) % 251
    for ds, plane in zip(datasets, values, strict=True):
        ds.BitsAllocated, ds.BitsStored, ds.HighBit = bits, bits, bits - 1
        ds.PixelData = plane.astype(kind).tobytes() + b"\0" * (bits == 8)

    volume = loaded(tmp_path, datasets)

    np.testing.assert_array_equal(volume.array, values)
    assert volume.array.dtype == np.int16


def test_header_that_claims_a_huge_matrix_is_refused_before_memory_is_taken(tmp_path: Path) -> None:
    write_datasets(tmp_path, changed(series_datasets(SMALL), *range(4), Rows=65535, Columns=65534))

    with pytest.raises(TruncatedFile, match="154 bytes where 8589"):
        load_volume(scan([tmp_path]).stacks[0])


def test_monochrome1_is_not_inverted(tmp_path: Path) -> None:
    datasets = changed(series_datasets(SMALL), *range(4), PhotometricInterpretation="MONOCHROME1")

    np.testing.assert_array_equal(loaded(tmp_path, datasets).array, SMALL.values())


def test_padding_keeps_its_value(tmp_path: Path) -> None:
    values = SMALL.values().copy()
    values[:, :2] = -2000
    description = replace(SMALL, signed=True, intercept=0.0, pixels=values, attributes=(("PixelPaddingValue", -2000),))

    assert (loaded(tmp_path, series_datasets(description)).array[:, :2] == -2000).all()


@pytest.mark.parametrize(
    ("modality", "attributes", "unit"),
    [
        ("CT", {}, "[hnsf'U]"),
        ("CT", {"RescaleType": None}, "[hnsf'U]"),
        ("CT", {"RescaleType": "US"}, "1"),
        ("MR", {}, "1"),
        ("PT", {"Units": "GML"}, "g/mL"),
        ("PT", {"Units": "XYZ"}, "1"),
    ],
)
def test_unit_follows_the_header(tmp_path: Path, modality: str, attributes: dict[str, object], unit: str) -> None:
    datasets = changed(series_datasets(replace(SMALL, modality=modality)), *range(4), **attributes)

    assert loaded(tmp_path, datasets).unit == unit


@pytest.mark.parametrize(
    ("attributes", "kind"),
    [
        ({"RescaleSlope": None}, MissingAttribute),
        ({"RescaleIntercept": None}, MissingAttribute),
        ({"RescaleSlope": "0"}, MissingAttribute),
        ({"RescaleSlope": "1e300"}, MissingAttribute),
        ({"BitsAllocated": None}, MissingAttribute),
        ({"PixelRepresentation": None}, MissingAttribute),
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, UndecodablePixels),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, UndecodablePixels),
        ({"BitsAllocated": 12}, UndecodablePixels),
        ({"HighBit": 11}, UndecodablePixels),
        ({"PixelRepresentation": 1}, UndecodablePixels),
    ],
)
def test_pixels_that_cannot_be_trusted_are_refused(
    tmp_path: Path, attributes: dict[str, object], kind: type[ImagingError]
) -> None:
    write_datasets(tmp_path, changed(series_datasets(SMALL), 2, **attributes))

    with pytest.raises(kind) as refusal:
        load_volume(scan([tmp_path]).stacks[0])

    if kind is MissingAttribute:
        assert refusal.value.fields["keyword"] in attributes


def test_too_few_pixels_are_refused(tmp_path: Path) -> None:
    datasets = series_datasets(SMALL)
    datasets[1].PixelData = datasets[1].PixelData[:-2]
    write_datasets(tmp_path, datasets)

    with pytest.raises(TruncatedFile, match="152 bytes where 154"):
        load_volume(scan([tmp_path]).stacks[0])


def test_file_that_shrinks_or_goes_after_the_scan_is_refused(tmp_path: Path) -> None:
    files = write_series(tmp_path, SMALL)
    stack = scan([tmp_path]).stacks[0]

    files[2].write_bytes(files[2].read_bytes()[:-40])
    with pytest.raises(TruncatedFile):
        load_volume(stack)

    files[2].unlink()
    with pytest.raises(ImagingError):
        load_volume(stack)


@pytest.mark.parametrize("uid", [JPEG2000Lossless, JPEGLSLossless, RLELossless], ids=lambda uid: uid.name)
def test_damaged_stream_is_undecodable(tmp_path: Path, uid: str) -> None:
    larger = replace(SMALL, rows=53, columns=47)
    files = write_datasets(tmp_path, compressed(series_datasets(larger), uid))
    content = bytearray(files[1].read_bytes())
    start = content.rindex(b"\xfe\xff\x00\xe0") + 8
    content[start : start + 40] = bytes(40)
    files[1].write_bytes(content)

    with pytest.raises(UndecodablePixels, match="uncompressed") as refusal:
        load_volume(scan([tmp_path]).stacks[0])

    assert refusal.value.fields["transfer_syntax_uid"] == uid


@pytest.mark.parametrize("uid", [JPEG2000Lossless, JPEGLSLossless], ids=lambda uid: uid.name)
@pytest.mark.parametrize("share", [0.98, 0.5])
def test_a_stream_that_was_cut_is_refused_although_a_decoder_would_fill_it_up(
    tmp_path: Path, uid: str, share: float
) -> None:
    files = write_datasets(tmp_path, compressed(series_datasets(replace(SMALL, rows=53, columns=47)), uid))
    stack = scan([tmp_path]).stacks[0]
    load_volume(stack)
    cut_frame(files[1], 0, share)

    with pytest.raises(TruncatedFile, match="no end"):
        load_volume(scan([tmp_path]).stacks[0])


def test_unknown_transfer_syntax_is_undecodable(tmp_path: Path) -> None:
    files = write_datasets(tmp_path, compressed(series_datasets(SMALL), RLELossless))
    for file in files:
        file.write_bytes(file.read_bytes().replace(b"1.2.840.10008.1.2.5\0", b"1.2.840.10008.1.2.9\0"))

    with pytest.raises(UndecodablePixels):
        load_volume(scan([tmp_path]).stacks[0])
