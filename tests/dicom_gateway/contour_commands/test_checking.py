"""`radgate contour check` and `rename` as a person types them."""

import json
from datetime import datetime
from pathlib import Path

import pydicom
import pytest

from contouring import write_rtstruct
from contouring.errors import LateralityConflict
from contouring.names import lookup
from contouring.roi import Roi
from imaging.provenance import Algorithm
from imaging.series import Stack, scan
from imaging.testing.phantom import Phantom, make_phantom, write_phantom
from tests.contouring.segments import Case
from tests.dicom_gateway.contour_commands.typed import run, series

BY_HAND = Algorithm("by hand", "1", deterministic=True)


def test_check_says_what_is_broken_and_exits_with_one(case: Case, structures: Path) -> None:
    good = run("check", structures, "--profile", "generic", "--json")
    ds = pydicom.dcmread(structures)
    ds.StructureSetROISequence[0].ROIName = "A name longer than sixteen"
    ds.save_as(structures)
    bad = run("check", structures, "--profile", "eclipse", "--series", series(case), "--json")

    assert (good.exit_code, json.loads(good.stdout)["findings"]) == (0, [])
    assert bad.exit_code == 1
    assert json.loads(bad.stdout)["findings"]


def test_rename_lists_what_has_no_match_and_exits_with_one(case: Case, structures: Path, tmp_path: Path) -> None:
    ds = pydicom.dcmread(structures)
    ds.StructureSetROISequence[0].ROIName = "Speicheldruese li"
    ds.StructureSetROISequence[1].ROIName = "spinal cord"
    ds.save_as(structures)
    aliases = tmp_path / "aliases.toml"
    aliases.write_text('"speicheldruese li" = "Parotid_L"\n')

    partly = run("rename", structures, "--json")
    wholly = run("rename", structures, "--aliases", aliases, "--out", tmp_path / "renamed.dcm")

    assert (partly.exit_code, json.loads(partly.stdout)["unmatched"]) == (1, 1)
    assert wholly.exit_code == 0
    names = [i.ROIName for i in pydicom.dcmread(tmp_path / "renamed.dcm").StructureSetROISequence]
    assert names == ["Parotid_L", "SpinalCord"]


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Stack, Phantom]:
    """The digital patient, whose right and left are known."""
    folder = tmp_path_factory.mktemp("patient")
    phantom = make_phantom(shape=(40, 90, 84))
    write_phantom(folder, phantom)
    return folder, scan([folder]).stacks[0], phantom


@pytest.mark.parametrize("drawn", [("Parotid_L", "Body"), ("Parotid_L",)], ids=["body drawn", "from the image"])
def test_rename_sees_a_structure_on_the_wrong_side(
    patient: tuple[Path, Stack, Phantom], tmp_path: Path, drawn: tuple[str, ...]
) -> None:
    folder, stack, phantom = patient
    rois = [Roi(n, lookup(name), phantom.regions[name]) for n, name in enumerate(drawn, start=1)]
    ds = write_rtstruct(rois, stack, made_at=datetime(2026, 3, 4), algorithm=BY_HAND).dataset
    ds.save_as(tmp_path / "right.dcm", enforce_file_format=True)
    ds.StructureSetROISequence[0].ROIName = "Parotid_R"
    ds.save_as(tmp_path / "wrong.dcm", enforce_file_format=True)

    right = run("rename", tmp_path / "right.dcm", "--series", folder, "--json")
    wrong = run("rename", tmp_path / "wrong.dcm", "--series", folder, fails=True)

    assert (right.exit_code, json.loads(right.stdout)["sides_unchecked"]) == (0, "")
    assert isinstance(wrong.exception, LateralityConflict)


def test_rename_says_that_sides_were_not_checked(case: Case, structures: Path) -> None:
    """The image of the case is narrower than a trunk: it might be a limb."""
    told = run("rename", structures, "--series", series(case))

    assert told.exit_code == 0
    assert "left and right were not checked" in told.stdout
