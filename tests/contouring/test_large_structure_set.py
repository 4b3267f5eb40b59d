"""A structure set of more than 100 MB is read whole, with the right volume; one that is cut is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from pydicom.charset import default_encoding
from pydicom.dataset import Dataset
from typer.testing import CliRunner

from contouring.decimals import contour_data
from dicom_gateway.cli.contour import app
from imaging.errors import TruncatedFile
from imaging.geometry import Grid
from imaging.series import scan
from tests.contouring.structure_sets import contour, structure_set
from tests.synthetic.series import write_series

POINTS, RINGS = 120_000, 48
PLANES, ROWS, COLUMNS = RINGS + 3, 261, 287
SPACING_MM = (0.9, 1.1)
STEP_MM = 2.5
RADIUS_MM = 97.0
COVERED = range(2, RINGS + 2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An axial series and `large.dcm`: circles of which each point is written, as a system that samples finely does."""
    folder = tmp_path_factory.mktemp("large")
    write_series(
        folder / "ct", rows=ROWS, columns=COLUMNS, planes=PLANES, pixel_spacing_mm=SPACING_MM, plane_spacing_mm=STEP_MM,
        orientation=(1, 0, 0, 0, 1, 0), pixels=np.zeros((PLANES, ROWS, COLUMNS), dtype=np.int16),
    )  # fmt: skip
    grid = scan([folder / "ct"]).stacks[0].grid
    large(grid).save_as(folder / "large.dcm", enforce_file_format=True)
    return folder


def large(grid: Grid) -> Dataset:
    """One circle, spelled once; each plane puts its own position into it."""
    angle = np.arange(POINTS) * (2 * np.pi / POINTS)
    middle = np.array([139.3, 128.6])
    circle = middle + RADIUS_MM * np.stack([np.cos(angle), np.sin(angle)], axis=1) / SPACING_MM[::-1]
    (spelled,) = contour_data(grid.points_lps(0, circle), np.array([0, POINTS]), 5, [None, None, ["z"]])
    rings = [contour(spelled.replace(b"z", f"{grid.positions_lps[k, 2]:.4f}".encode())) for k in COVERED]
    for ring in rings:
        # Says that the values are encoded as they will be written: else pydicom takes each number apart.
        ring.set_original_encoding(is_implicit_vr=True, is_little_endian=True, character_encoding=default_encoding)
    return structure_set([(1, "Heart", rings)], grid)


@pytest.mark.slow
def test_a_structure_set_of_100_megabytes_becomes_a_mask_of_the_right_volume(folder: Path) -> None:
    assert (folder / "large.dcm").stat().st_size > 100e6
    out = folder / "mask.nii.gz"

    result = CliRunner().invoke(
        app, ["to-mask", str(folder / "large.dcm"), "--series", str(folder / "ct"), "--out", str(out), "--json"]
    )

    assert result.exit_code == 0, result.output
    (row,) = json.loads(result.stdout)["structures"]
    assert row["volume_cc"] == pytest.approx(RINGS * STEP_MM * np.pi * RADIUS_MM**2 / 1000, rel=0.001)
    assert out.exists()


@pytest.mark.slow
def test_a_structure_set_of_100_megabytes_that_is_cut_is_one_typed_error(folder: Path) -> None:
    whole = (folder / "large.dcm").read_bytes()
    (folder / "cut.dcm").write_bytes(whole[: len(whole) // 2])
    out = folder / "cut.nii.gz"

    result = CliRunner().invoke(
        app, ["to-mask", str(folder / "cut.dcm"), "--series", str(folder / "ct"), "--out", str(out)]
    )

    assert isinstance(result.exception, TruncatedFile)
    assert not out.exists()
