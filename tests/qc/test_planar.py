"""Files that are no stack: read as pictures and signals, and judged; what cannot be read is said."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian

from imaging.provenance import deterministic_uid
from qc.image import check_pictures
from qc.image.folder import check_files
from qc.image.inputs import Inputs
from qc.image.planar import read_planar
from qc.image.registry import Measured, discover
from qc.image.result import Grade
from qc.image.run import check_inputs
from tests.conftest import data_folder
from tests.qc.chest import chest_inputs
from tests.qc.radiographs import FILM_MM, chest_film, forearm, picture_inputs, with_saturation
from tests.qc.recordings import recording


def film_dataset(photometric: str = "MONOCHROME2", keep_pixels: bool = True) -> FileDataset:
    """A chest radiograph; its stored values are those of the given photometric interpretation."""
    inputs = chest_film()
    array = inputs.pictures[0].array
    ds = FileDataset("", {}, preamble=b"\0" * 128, file_meta=FileMetaDataset())
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header: Dataset = inputs.headers[0]
    for keyword in ("Modality", "BodyPartExamined", "ViewPosition", "PatientName", "PatientID", "SpecificCharacterSet"):
        setattr(ds, keyword, getattr(header, keyword))
    ds.SOPClassUID, ds.SOPInstanceUID = ComputedRadiographyImageStorage, deterministic_uid("test film", photometric)
    ds.StudyInstanceUID, ds.SeriesInstanceUID = header.StudyInstanceUID, header.SeriesInstanceUID
    ds.Rows, ds.Columns = array.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, photometric
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.ImagerPixelSpacing, ds.PatientOrientation = [str(mm) for mm in FILM_MM], ["L", "F"]
    stored = 4095 - array if photometric == "MONOCHROME1" else array
    ds.PixelData = stored.astype("<u2").tobytes() if keep_pixels else b""
    return ds


def film_file(folder: Path, photometric: str = "MONOCHROME2", keep_pixels: bool = True) -> Path:
    """The same as a file."""
    path = folder / "film.dcm"
    film_dataset(photometric, keep_pixels).save_as(path, enforce_file_format=True)
    return path


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_film_reads_the_same_in_both_photometric_interpretations(tmp_path: Path, photometric: str) -> None:
    series = read_planar([film_file(tmp_path, photometric)])

    picture = series.pictures[0]
    assert np.array_equal(picture.array, chest_film().pictures[0].array)
    assert picture.spacing_mm == FILM_MM
    assert (picture.bottom, picture.top) == (0, 4095)


def test_folder_of_a_film_gets_the_profile_of_the_chest_and_passes(tmp_path: Path) -> None:
    film_file(tmp_path)

    (verdict,) = check_files([tmp_path])

    assert verdict.profile_id == "dx_chest"
    assert not verdict.findings()
    assert not [r for r in verdict.results if r.check_id.startswith("gen.geometry")]


def test_film_of_which_the_pixels_are_missing_is_not_evaluable_and_never_passes(tmp_path: Path) -> None:
    series = read_planar([film_file(tmp_path, keep_pixels=False)])

    verdict = check_pictures(series)

    assert {r.grade for r in verdict.results if r.check_id in {"dx.inversion", "dx.rotation"}} == {Grade.NOT_EVALUABLE}
    assert verdict.grade is not Grade.PASS


def test_step_of_the_diaphragm_is_told_as_breathing() -> None:
    found = discover()["ct.motion"].run(chest_inputs(dome_mm=24))

    assert getattr(found, "advice", "") == "breath"


@pytest.mark.parametrize(
    ("check_id", "faulty"), [("ecg.mains", recording(mains_percent=30)), ("ecg.clip", recording(rail_mv=0.3))]
)
def test_leads_without_a_name_do_not_hide_one_another(check_id: str, faulty: Inputs) -> None:
    """The worst channel comes first, so that a later one of the same name would take its place."""
    check = discover()[check_id]
    named = check.run(faulty)
    assert isinstance(named, Measured)
    assert faulty.waveform is not None
    worst = faulty.waveform.leads.index(named.evidence["lead"])
    order = [worst, *(n for n in range(len(faulty.waveform.leads)) if n != worst)]
    unnamed = replace(faulty.waveform, values_mv=faulty.waveform.values_mv[order], leads=("",) * len(order))

    found = check.run(replace(faulty, waveform=unnamed))

    assert isinstance(found, Measured)
    assert found.value == pytest.approx(named.value)


@pytest.mark.data
def test_twelve_lead_recording_of_the_zoo_is_read_in_millivolt() -> None:
    series = read_planar(sorted((data_folder("dicom_zoo") / "waveform").glob("*.dcm")))

    assert series.waveform is not None
    assert series.waveform.leads[:3] == ("I", "II", "III")
    assert 0.2 < float(np.ptp(series.waveform.values_mv[1])) < 10
    assert check_pictures(series).profile_id == "ecg"


def blackened(array: NDArray[np.uint16], percent: float) -> NDArray[np.uint16]:
    """So much of what is not direct exposure at the darkest value, the thinnest anatomy first."""
    lost = np.percentile(array[array > 400], percent) if percent else 0
    return np.clip(array.astype(np.float64) - lost, 0, 4095).astype(np.uint16)


@pytest.mark.parametrize(("percent", "grades"), [(0, "PASS"), (40, "WARN"), (60, "FAIL"), (80, "FAIL"), (97, "FAIL")])
def test_a_chest_that_is_black_up_to_the_border_does_not_pass_as_direct_exposure(percent: float, grades: str) -> None:
    film = blackened(chest_film().pictures[0].array, percent)

    result = check_inputs(picture_inputs(film), "dx_chest", only={"dx.clip"}).result("dx.clip")

    assert result is not None
    assert str(result.grade) == grades
    if percent:
        assert result.cause is not None and result.cause.code == "exposure_high"


@pytest.mark.parametrize(("percent", "grades"), [(0, {"PASS"}), (60, {"WARN", "FAIL"}), (97, {"FAIL"})])
def test_a_limb_that_is_black_does_not_pass_either(percent: float, grades: set[str]) -> None:
    clean = forearm()
    film = blackened(clean.pictures[0].array, percent)

    inputs = picture_inputs(film, BodyPartExamined="FOREARM", top=clean.pictures[0].top)
    result = check_inputs(inputs, "dx_limb", only={"dx.clip"}).result("dx.clip")

    assert result is not None
    assert str(result.grade) in grades


def test_surely_lost_detail_of_one_film_counts_before_a_black_area_of_another() -> None:
    limb = forearm()
    dark = replace(limb.pictures[0], array=blackened(limb.pictures[0].array, 60))
    bright = replace(with_saturation(30).pictures[0], header=0)

    result = check_inputs(replace(limb, pictures=(dark, bright)), "dx_limb", only={"dx.clip"}).result("dx.clip")

    assert result is not None
    assert str(result.grade) == "FAIL"
    assert float(result.evidence["bright"]) > 15
