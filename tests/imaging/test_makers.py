"""The makers of synthetic series write what a validator accepts, and the same every time."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import require_program
from tests.synthetic.defects import compressed
from tests.synthetic.enhanced import enhanced_ct
from tests.synthetic.series import SeriesDescription, series_datasets, write_datasets, write_series

SMALL = SeriesDescription(rows=11, columns=7, planes=3)


@pytest.mark.interop
@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
@pytest.mark.parametrize("character_set", ["ISO_IR 192", "GB18030"])
def test_dciodvfy_finds_no_error(tmp_path: Path, modality: str, character_set: str) -> None:
    program = require_program("dciodvfy")
    files = write_series(tmp_path, replace(SMALL, modality=modality, character_set=character_set))

    said = subprocess.run([program, str(files[1])], capture_output=True, text=True, check=False).stderr

    assert "Error" not in said
    assert f"{'PET' if modality == 'PT' else modality}Image" in said


@pytest.mark.interop
def test_dciodvfy_finds_no_error_in_the_multi_frame_object(tmp_path: Path) -> None:
    program = require_program("dciodvfy")
    file = write_datasets(tmp_path, [enhanced_ct(SMALL)])[0]

    said = subprocess.run([program, str(file)], capture_output=True, text=True, check=False).stderr

    assert "Error" not in said
    assert "EnhancedCTImage" in said


@pytest.mark.interop
def test_dciodvfy_finds_a_planted_fault(tmp_path: Path) -> None:
    program = require_program("dciodvfy")
    ds = series_datasets(SMALL)[0]
    del ds.Modality

    said = subprocess.run(
        [program, str(write_datasets(tmp_path, [ds])[0])], capture_output=True, text=True, check=False
    )

    assert "Error" in said.stderr


def test_equal_descriptions_give_equal_bytes_and_seeds_differ(tmp_path: Path) -> None:
    first, again, other = (write_series(tmp_path / n, SMALL, seed=s) for n, s in (("a", 1), ("b", 1), ("c", 2)))

    assert [f.read_bytes() for f in first] == [f.read_bytes() for f in again]
    assert first[0].read_bytes() != other[0].read_bytes()


def test_compression_keeps_the_uids() -> None:
    datasets = series_datasets(SMALL)

    assert [d.SOPInstanceUID for d in compressed(datasets, "1.2.840.10008.1.2.5")] == [
        d.SOPInstanceUID for d in datasets
    ]
