"""An openkbp case as a DICOM study: made-up arrays always, real ones where they are at hand."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from contouring import read_rtstruct
from contouring.dose import read_rtdose
from contouring.dose.accumulate import map_dose, sum_on_structure
from contouring.dose.errors import CaseRefused
from contouring.dose.openkbp import export_case
from contouring.dose.radiobiology import Course
from contouring.dose.resample import sum_on_grid
from contouring.dose.rtplan import read_rtplan
from contouring.dose.structure import structure_of_region
from contouring.dose.study import histograms
from contouring.dose.transform import RigidTransform
from imaging.series import load_volume, scan
from tests.conftest import data_folder, require_program
from tests.contouring.dose.making import errors_of_dciodvfy

SHAPE = (12, 21, 17)


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A case in the form of the collection, without its content."""
    folder = tmp_path_factory.mktemp("openkbp")
    rng = np.random.default_rng(5)
    k, j, i = np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij")
    ct = np.where((j - 10) ** 2 / 90 + (i - 8) ** 2 / 50 < 1, rng.integers(0, 80, SHAPE), -1000).astype(np.int16)
    oar = np.zeros(SHAPE, dtype=np.uint8)
    oar[2:9, 11:15, 7:10] |= 2
    oar[4:8, 5:10, 3:7] |= 4
    ptv = np.zeros(SHAPE, dtype=np.uint8)
    ptv[3:7, 6:12, 8:13] = 3
    have = np.array([0, 1, 1, 0, 0, 0, 0, 0, 0, 1], dtype=np.uint8)
    spacing = np.array([3.0, 4.5, 4.1], dtype=np.float32)
    (folder / "ctlab").mkdir()
    (folder / "dose").mkdir()
    np.savez(
        folder / "ctlab" / "pt_1.npz", ct=ct, oar=oar, ptv=ptv, spacing=spacing, have=have,
        offset=np.array([4, 38, 20], np.int16), zvalid=np.ones(SHAPE[0], np.uint8),
    )  # fmt: skip
    dose = (30 + 2.0 * k - 0.5 * j + 1.5 * i)[1:, :, 1:].astype(np.float16)
    np.savez(folder / "dose" / "pt_1.npz", dose=dose, spacing=spacing, offset=np.array([5, 38, 21], np.int16))
    return folder


def test_the_study_belongs_together_and_holds_the_arrays(collection: Path, tmp_path: Path) -> None:
    made = export_case(collection, "pt_1", tmp_path)

    volume = load_volume(scan([tmp_path / "CT"]).stacks[0])
    assert np.array_equal(volume.array, np.load(collection / "ctlab" / "pt_1.npz")["ct"])
    read = read_rtstruct(made.rtstruct, volume.grid)
    assert {s.name: s.region.voxel_count for s in read.structures} == {
        "SpinalCord": 84, "Parotid_R": 80, "PTV_7000": 120,
    }  # fmt: skip
    dose = read_rtdose(made.rtdose)
    assert np.abs(dose.dose_gy - np.load(collection / "dose" / "pt_1.npz")["dose"]).max() < 1e-5
    assert np.allclose(dose.grid.positions_lps[0] - volume.grid.positions_lps[0], (4.1, 0, 3.0))
    plan = read_rtplan(made.rtplan)
    assert (plan.fraction_count(), plan.prescription_gy) == (35, 70.0)
    assert dose.facts.plan_uids == (plan.sop_instance_uid,)
    table = histograms(made.rtstruct, made.rtdose)
    assert set(table.histograms) == {"SpinalCord", "Parotid_R", "PTV_7000"}


def test_two_courses_with_a_known_shift_add_up_to_the_arrays(collection: Path, tmp_path: Path) -> None:
    shift = (7.3, -4.2, 5.5)
    first = export_case(collection, "pt_1", tmp_path / "a")
    second = export_case(collection, "pt_1", tmp_path / "b", course=2, shift_mm=shift)
    doses = [read_rtdose(c.rtdose) for c in (first, second)]
    frames = [d.grid.frame_of_reference_uid for d in doses]
    matrix = np.eye(4)
    matrix[:3, 3] = shift
    assert frames[0] != frames[1]

    mapped = [
        map_dose(doses[0], frames[0], course=Course(35)),
        map_dose(doses[1], frames[0], RigidTransform(matrix, *frames), Course(35)),
    ]
    total = sum_on_grid(mapped, doses[0].grid)

    assert total.is_known.all()
    assert np.abs(total.volume.dose_gy - 2 * doses[0].dose_gy).max() < 0.01
    grid = scan([tmp_path / "a" / "CT"]).stacks[0].grid
    cord = next(s for s in read_rtstruct(first.rtstruct, grid).structures if s.name == "SpinalCord")
    found = sum_on_structure(structure_of_region(cord.region, grid), mapped, 2.0)
    assert found.physical.metric("D50%") == pytest.approx(2 * found.courses[0].metric("D50%"), abs=0.01)
    assert found.eqd2 is not None


@pytest.mark.interop
def test_dciodvfy_finds_no_error(collection: Path, tmp_path: Path) -> None:
    program = require_program("dciodvfy")
    made = export_case(collection, "pt_1", tmp_path)

    assert errors_of_dciodvfy(program, dcmread(made.rtdose), tmp_path) == []
    for file in (made.ct[0], made.rtstruct, made.rtplan):
        outcome = subprocess.run([program, str(file)], capture_output=True, text=True, check=False)
        assert [line for line in outcome.stderr.splitlines() if line.startswith("Error")] == [], file.name


def test_a_case_without_a_dose_is_refused(collection: Path, tmp_path: Path) -> None:
    with pytest.raises(CaseRefused):
        export_case(collection, "pt_2", tmp_path)


@pytest.mark.data
def test_a_real_case_keeps_its_dose(tmp_path: Path) -> None:
    folder = data_folder("openkbp")

    made = export_case(folder, "pt_201", tmp_path)

    dose = np.load(folder / "dose" / "pt_201.npz")["dose"]
    assert np.abs(read_rtdose(made.rtdose).dose_gy - dose).max() < 1e-5
    assert len(made.structures) == 10


def test_pydicom_alone_finds_the_same_dose_in_the_same_places(collection: Path, tmp_path: Path) -> None:
    """By hand from the standard's words: no line of radgate's reader is used."""
    made = export_case(collection, "pt_1", tmp_path)
    ds = dcmread(made.rtdose)
    ct = [dcmread(file) for file in made.ct]
    arrays = [np.load(collection / name / "pt_1.npz") for name in ("ctlab", "dose")]

    dose = ds.pixel_array * float(ds.DoseGridScaling)
    position = np.array(ds.ImagePositionPatient, dtype=float)
    first = np.array(min(ct, key=lambda s: float(s.ImagePositionPatient[2])).ImagePositionPatient, dtype=float)

    assert np.abs(dose - arrays[1]["dose"]).max() < 1e-5
    moved = (arrays[1]["offset"] - arrays[0]["offset"])[::-1] * arrays[0]["spacing"][::-1]
    assert np.allclose(position - first, moved, atol=1e-4)
    assert np.allclose(np.diff(np.array(ds.GridFrameOffsetVector, dtype=float)), arrays[0]["spacing"][0])
    assert np.allclose(np.array(ds.PixelSpacing, dtype=float), arrays[0]["spacing"][1:])
    assert ds.ReferencedRTPlanSequence[0].ReferencedSOPInstanceUID == dcmread(made.rtplan).SOPInstanceUID
    assert len({d.FrameOfReferenceUID for d in (*ct, ds)}) == 1


@pytest.mark.interop
def test_plastimatch_finds_the_same_dose_and_structures(collection: Path, tmp_path: Path) -> None:
    import SimpleITK

    program = require_program("plastimatch")
    made = export_case(collection, "pt_1", tmp_path / "study")
    arrays = {name: np.load(collection / name / "pt_1.npz") for name in ("ctlab", "dose")}
    for file in made.ct:
        # plastimatch does not look into folders below.
        file.rename(tmp_path / "study" / file.name)
    out = tmp_path / "out"
    command = [
        program, "convert", "--input", str(tmp_path / "study"), "--output-dose-img", str(out / "dose.mha"),
        "--output-img", str(out / "ct.mha"), "--output-prefix", str(out / "s"), "--prefix-format", "mha",
        "--xor-contours",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

    dose = SimpleITK.ReadImage(str(out / "dose.mha"))
    image = SimpleITK.ReadImage(str(out / "ct.mha"))
    cord = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(out / "s" / "SpinalCord.mha")))

    assert np.abs(SimpleITK.GetArrayFromImage(dose) - arrays["dose"]["dose"]).max() < 1e-3
    read = read_rtdose(made.rtdose)
    assert np.allclose(dose.GetOrigin(), read.grid.positions_lps[0], atol=1e-3)
    assert np.array_equal(SimpleITK.GetArrayFromImage(image).astype(int), arrays["ctlab"]["ct"])
    truth = (arrays["ctlab"]["oar"] & 2) > 0
    assert 2 * (cord.astype(bool) & truth).sum() / (cord.astype(bool).sum() + truth.sum()) > 0.97
