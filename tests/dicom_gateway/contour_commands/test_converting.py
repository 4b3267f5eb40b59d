"""`radgate contour to-mask` and `to-rtstruct` as a person types them."""

import json
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest

from contouring.convert import read_structures
from contouring.errors import SegmentationRefused, UnknownStructure
from imaging.errors import NotAnImageStack
from tests.contouring.segments import Case
from tests.contouring.structure_sets import contour, square, structure_set
from tests.dicom_gateway.contour_commands.typed import run, series, spoiled
from tests.synthetic.series import write_series


def test_masks_and_back_give_the_same_voxels(case: Case, structures: Path, tmp_path: Path) -> None:
    for name in ("map.nii.gz", "seg.dcm"):
        forth = run("to-mask", structures, "--series", series(case), "--out", tmp_path / name, "--json")
        back = run("to-rtstruct", tmp_path / name, "--series", series(case), "--out", tmp_path / "back.dcm",
                   "--profile", "eclipse", "--mode", "crack", "--json")  # fmt: skip

        assert json.loads(forth.stdout)["structures"] == json.loads(back.stdout)["structures"]
        read = read_structures(tmp_path / "back.dcm", case.stack.grid)
        assert all(np.array_equal(r.region.mask(), m) for r, m in zip(read.rois, case.masks.values(), strict=True))


def test_one_structure_is_taken_out(case: Case, structures: Path, tmp_path: Path) -> None:
    result = run("to-mask", structures, "--series", series(case), "--out", tmp_path / "one.dcm", "--roi", "SpinalCord")

    assert result.exit_code == 0
    assert "SpinalCord" in result.stdout
    assert "Parotid" not in result.stdout


def test_the_series_that_the_structures_name_is_taken(case: Case, structures: Path, tmp_path: Path) -> None:
    both = tmp_path / "both"
    write_series(both / "one", seed=1)
    write_series(both / "two", seed=2)

    result = run("to-mask", structures, "--series", both, "--out", tmp_path / "m.nii.gz", "--json")

    assert result.exit_code == 0
    ds = pydicom.dcmread(structures)
    del ds.ReferencedFrameOfReferenceSequence
    ds.save_as(structures)
    open_which = run("to-mask", structures, "--series", both, "--out", tmp_path / "m.nii.gz", fails=True)
    assert isinstance(open_which.exception, NotAnImageStack)


def test_probabilities_become_a_fractional_segmentation(case: Case, structures: Path, tmp_path: Path) -> None:
    run("to-mask", structures, "--series", series(case), "--roi", "SpinalCord", "--out", tmp_path / "a.nii.gz")
    labels = nibabel.load(tmp_path / "a.nii.gz")
    steps = np.random.default_rng(3).integers(0, 256, labels.shape) * (np.asarray(labels.dataobj) > 0)
    nibabel.save(nibabel.Nifti1Image((steps / 255).astype(np.float32), labels.affine), tmp_path / "p.nii.gz")
    arguments = ["--series", series(case), "--kind", "fractional", "--out"]

    run("to-mask", tmp_path / "p.nii.gz", "--label", "1=SpinalCord", *arguments, tmp_path / "p.dcm")
    run("to-mask", tmp_path / "p.dcm", *arguments, tmp_path / "again.dcm")

    for name in ("p.dcm", "again.dcm"):
        region = read_structures(tmp_path / name, case.stack.grid).rois[0].region
        probability = np.zeros(case.stack.grid.shape)
        probability[region.box] = region.probability
        assert np.array_equal(np.rint(probability * 255).transpose(2, 1, 0), steps)
    refused = run("to-mask", structures, *arguments, tmp_path / "x.dcm", fails=True).exception
    assert isinstance(refused, SegmentationRefused)


def test_small_parts_are_left_out_on_request_and_counted(case: Case, tmp_path: Path) -> None:
    grid = case.stack.grid
    rows = [contour(square(grid, 3)), contour(square(grid, 3, column=30, row=35, side=1))]
    foreign = spoiled(case, tmp_path / "a.dcm", *rows)
    arguments = ["to-rtstruct", foreign, "--series", series(case), "--out", tmp_path / "b.dcm", "--json"]

    whole = json.loads(run(*arguments).stdout)
    cleaned = json.loads(run(*arguments, "--drop-parts-below-cc", 0.1).stdout)

    assert ["SpinalCord", "1 parts below 0.1 cc were left out, as asked"] in cleaned["remarks"]
    assert cleaned["structures"][0]["volume_cc"] < whole["structures"][0]["volume_cc"]


def test_an_unmapped_name_is_told_with_the_nearest_and_refused_on_request(case: Case, tmp_path: Path) -> None:
    foreign = structure_set([(1, "Partid_L", [contour(square(case.stack.grid, 3))])], case.stack.grid)
    foreign.save_as(tmp_path / "f.dcm", enforce_file_format=True)
    arguments = ["to-mask", tmp_path / "f.dcm", "--series", series(case), "--out", tmp_path / "m.nii.gz"]

    assert "not a TG-263 name: Partid_L; the nearest are Parotid_L" in run(*arguments).stdout
    refused = run(*arguments, "--strict-names", fails=True).exception
    assert isinstance(refused, UnknownStructure)
    assert "Parotid_L" in str(refused)
    (tmp_path / "site.toml").write_text('"Partid_L" = "Parotid_L"\n', encoding="utf-8")
    assert "nearest" not in run(*arguments, "--strict-names", "--aliases", tmp_path / "site.toml").stdout
    (tmp_path / "radgate.toml").write_text('[contour]\naliases = "site.toml"\n', encoding="utf-8")
    assert "nearest" not in run("--config", tmp_path / "radgate.toml", *arguments, "--strict-names").stdout


@pytest.mark.parametrize(
    ("option", "value"), [("--profile", "knee"), ("--out", "no/such/folder/a.dcm"), ("--out", "a.txt")]
)
def test_wrong_options_are_named(case: Case, structures: Path, option: str, value: str) -> None:
    given = {"--series": series(case), "--out": "a.dcm", option: value}

    result = run("to-rtstruct", structures, *[part for pair in given.items() for part in pair])

    assert result.exit_code == 2
    assert option in result.output
