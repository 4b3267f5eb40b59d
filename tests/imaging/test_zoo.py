"""Real files of all kinds, odd and broken ones among them: nothing crashes, nothing is lost, nothing is misread."""

import csv
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from imaging.errors import FourDimensional, GantryTilt, Localiser, MissingSlices, RadgateError
from imaging.series import Scan, load_volume, scan
from tests.conftest import data_folder

pytestmark = pytest.mark.data

LOSSLESS = [
    *["implicit_le", "explicit_be", "deflated_le", "rle", "jpeg_lossless_p14", "jpeg_lossless_sv1"],
    *["jpegls_lossless", "jpeg2000_lossless"],
]


@pytest.fixture(name="zoo", scope="module")
def the_zoo() -> Path:
    return data_folder("dicom_zoo")


@pytest.fixture(name="found", scope="module")
def the_scan(zoo: Path) -> Scan:
    return scan([zoo])


def one(folder: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    found = scan([folder])
    assert not found.leftovers
    return load_volume(found.stacks[0]).array


def test_every_file_is_in_one_stack_or_leftover(zoo: Path, found: Scan) -> None:
    files = [file for stack in found.stacks for file in dict.fromkeys(stack.files)]
    files += [file for item in found.leftovers for file in item.files]

    assert sorted(files) == sorted(file for file in zoo.rglob("*") if file.is_file())


def test_every_stack_loads_or_is_refused_with_a_reason(found: Scan) -> None:
    for stack in found.stacks:
        try:
            volume = load_volume(stack)
        except RadgateError as refusal:
            assert "; " in refusal.message
        else:
            assert np.isfinite(volume.array.astype(np.float64)).all()


def test_each_file_alone_is_partitioned_and_broken_ones_are_not_read_as_whole(zoo: Path) -> None:
    for row in csv.DictReader((zoo / "index.csv").read_text(encoding="utf-8").splitlines()):
        found = scan([zoo / row["file"]])
        assert len(found.stacks) + len(found.leftovers) == 1
        if (row["note"] or "").startswith("BROKEN") and "truncated" in row["file"]:
            assert type(found.leftovers[0].reason).__name__ == "TruncatedFile"


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_syntaxes_decode_to_identical_values(zoo: Path, name: str) -> None:
    folder = zoo / "one_ct_many_syntaxes"

    np.testing.assert_array_equal(one(folder / f"{name}.dcm"), one(folder / "implicit_le.dcm"))


@pytest.mark.parametrize(("name", "tolerance"), [("jpegls_near", 1), ("jpeg2000_lossy", 5)])
def test_lossy_syntaxes_are_as_near_as_their_readme_says(zoo: Path, name: str, tolerance: int) -> None:
    folder = zoo / "one_ct_many_syntaxes"

    difference = one(folder / f"{name}.dcm").astype(int) - one(folder / "implicit_le.dcm")

    assert np.abs(difference).max() <= tolerance


@pytest.mark.parametrize("name", ["mr_small_explicit_be", "mr_small_implicit_le", "mr_small_jpeg2000", "mr_small_rle"])
def test_mr_in_other_syntaxes_is_the_same(zoo: Path, name: str) -> None:
    np.testing.assert_array_equal(one(zoo / "mr" / f"{name}.dcm"), one(zoo / "mr" / "mr_small_explicit_le.dcm"))


def test_tilted_phantom_is_refused_and_its_localiser_set_aside(zoo: Path) -> None:
    found = scan([zoo / "series_tilt_phantom"])

    assert [type(item.reason) for item in found.leftovers] == [Localiser]
    with pytest.raises(GantryTilt) as refusal:
        load_volume(found.stacks[0])
    assert refusal.value.fields["tilt_deg"] == pytest.approx(18.5, abs=0.01)


def test_variable_spacing_is_refused_and_its_planes_kept(zoo: Path) -> None:
    stack = scan([zoo / "series_variable_spacing"]).stacks[0]

    np.testing.assert_allclose(np.diff(stack.grid.positions_lps[:, 2]), [4.22, 1.14, 7.38, 7.38], atol=0.001)
    with pytest.raises(MissingSlices):
        load_volume(stack)


def test_oblique_files_are_three_studies_with_exact_planes(zoo: Path) -> None:
    # The three files share a SeriesInstanceUID but each names another study: they are never put together.
    found = scan([zoo / "series_oblique"])

    assert [stack.grid.shape for stack in found.stacks] == [(1, 50, 100)] * 3
    assert found.stacks[0].grid.pixel_spacing_mm == (3.5, 2.5)


def test_rows_are_not_columns(zoo: Path) -> None:
    stack = scan([zoo / "series_rows_not_columns"]).stacks[0]

    volume = load_volume(stack)

    assert volume.array.shape == (17, 128, 88)
    np.testing.assert_allclose(stack.grid.row_direction, [-1, 0, 0])
    assert [file.name for file in stack.files] == sorted(file.name for file in stack.files)


def test_two_echoes_are_named(zoo: Path) -> None:
    reason = scan([zoo / "series_multi_echo"]).leftovers[0].reason

    assert type(reason) is FourDimensional
    assert reason.fields["keyword"] == "EchoTime"


def test_head_and_neck_ct_equals_simpleitk() -> None:
    folder = data_folder("ct_head_neck") / "series"
    volume = load_volume(scan([folder]).stacks[0])
    names = sorted(folder.iterdir(), key=lambda f: int(f.stem[-5:]))
    by_position = sorted(names, key=lambda f: _position_z(str(f)))
    image = SimpleITK.ReadImage([str(f) for f in by_position])
    theirs = SimpleITK.GetArrayFromImage(image)

    corner = image.TransformIndexToPhysicalPoint((510, 7, 89))

    assert volume.array.shape == (90, 511, 511)
    assert volume.array.dtype == np.int16
    np.testing.assert_array_equal(volume.array, theirs)
    np.testing.assert_allclose((volume.affine_lps @ [89, 7, 510, 1])[:3], corner, atol=1e-6)
    # 29 voxels hold more than the 12 bits that BitsStored allows; all of them metal.
    assert int((volume.array > 4095 - 1024).sum()) == 29


def _position_z(file: str) -> float:
    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(file)
    reader.ReadImageInformation()
    return float(reader.GetOrigin()[2])
