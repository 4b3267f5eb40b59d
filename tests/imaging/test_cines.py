"""A plane in time is a cine with its place in the patient; what is none stays a leftover with its reason."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread

from imaging.cine_scan import first_phase, load_cine, with_cines
from imaging.cines import Cine
from imaging.errors import FourDimensional, MixedPatients, RadgateError
from imaging.series import load_volume, scan
from tests.synthetic.cines import CINE, beating, cine_datasets, write_cine
from tests.synthetic.series import series_datasets, write_datasets, write_series

KEYWORDS = ("TriggerTime", "TemporalPositionIdentifier", "NominalPercentageOfCardiacPhase")


@pytest.mark.parametrize("keyword", KEYWORDS)
def test_the_phases_of_one_plane_come_in_order_of_their_time(tmp_path: Path, keyword: str) -> None:
    files = write_cine(tmp_path, keyword=keyword)

    found = with_cines(scan([tmp_path]))

    assert (found.stacks, found.leftovers) == ((), ())
    [series] = found.cines
    assert [Path(f).name for f in series.files] == [f.name for f in files]
    assert series.shape == (5, 44, 37)
    assert series.frame_of_reference_uid == CINE.frame_of_reference_uid
    cine = load_cine(series)
    np.testing.assert_array_equal(cine.array, beating())
    assert [s.sop_instance_uid for s in cine.sources] == [str(dcmread(f).SOPInstanceUID) for f in files]


def test_a_cine_lies_where_its_plane_lies(tmp_path: Path) -> None:
    write_cine(tmp_path)

    [series] = with_cines(scan([tmp_path])).cines

    expected = replace(CINE, planes=1).grid()
    assert series.grid.is_same_as(expected)
    corner = series.grid.points_lps(0, [[36, 43]])[0]
    across, down = np.array(CINE.orientation[:3]) * 0.9 * 36, np.array(CINE.orientation[3:]) * 1.3 * 43
    np.testing.assert_allclose(corner, np.array(CINE.origin_lps) + across + down, atol=1e-3)


def test_the_first_phase_is_a_stack_of_one_plane(tmp_path: Path) -> None:
    write_cine(tmp_path)
    [series] = with_cines(scan([tmp_path])).cines

    volume = load_volume(first_phase(series))

    np.testing.assert_array_equal(volume.array, beating()[:1])


def changed(folder: Path, change: Any) -> list[Path]:
    """A cine whose data sets were changed."""
    datasets = cine_datasets()
    for number, ds in enumerate(datasets):
        change(number, ds)
    return write_datasets(folder, datasets)


def echoes(number: int, ds: Any) -> None:
    del ds.TriggerTime
    ds.EchoTime = f"{10 + number}"


def one_time_missing(number: int, ds: Any) -> None:
    if number == 2:
        del ds.TriggerTime


def one_time_twice(number: int, ds: Any) -> None:
    ds.TriggerTime = f"{min(number, 3)}"
    ds.TemporalPositionIdentifier = min(number, 3) + 1


def shifted_within_the_plane(number: int, ds: Any) -> None:
    along = np.array([float(v) for v in ds.ImagePositionPatient]) + number * np.array(CINE.orientation[:3])
    ds.ImagePositionPatient = [f"{v:.6f}" for v in along]


def another_patient(number: int, ds: Any) -> None:
    ds.PatientID = f"OTHER{number // 3}"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (echoes, FourDimensional),
        (one_time_missing, FourDimensional),
        (one_time_twice, RadgateError),
        (shifted_within_the_plane, FourDimensional),
        (another_patient, MixedPatients),
    ],
)
def test_what_is_no_cine_stays_what_it_was(tmp_path: Path, change: Any, reason: type[RadgateError]) -> None:
    files = changed(tmp_path, change)

    found = with_cines(scan([tmp_path]))

    assert found.cines == ()
    assert {f for item in found.leftovers for f in item.files} == set(files)
    assert all(isinstance(item.reason, reason) for item in found.leftovers)


def test_several_positions_in_time_are_no_cine(tmp_path: Path) -> None:
    phases = []
    for phase in range(2):
        for ds in series_datasets(modality="MR", planes=3, attributes=(("TriggerTime", f"{40 * phase}"),)):
            ds.SOPInstanceUID = f"{ds.SOPInstanceUID[:50]}.{phase + 1}"
            ds.file_meta.pop("MediaStorageSOPInstanceUID", None)
            phases.append(ds)
    write_datasets(tmp_path, phases)

    found = with_cines(scan([tmp_path]))

    assert found.cines == ()
    [left] = found.leftovers
    assert isinstance(left.reason, FourDimensional)


def test_stacks_and_pictures_are_left_alone(tmp_path: Path) -> None:
    write_series(tmp_path)

    found = scan([tmp_path])

    assert with_cines(found).stacks == found.stacks


def test_phases_need_the_size_of_their_grid() -> None:
    grid = replace(CINE, planes=1).grid()

    with pytest.raises(ValueError, match="phases of shape"):
        Cine(np.zeros((3, 37, 44), np.uint16), grid)
    with pytest.raises(ValueError, match="sources for"):
        Cine(np.zeros((3, 44, 37), np.uint16), grid, (None,))  # type: ignore[arg-type]
