"""`radgate contour check` and `rename` as a person types them."""

import json
from pathlib import Path

import numpy as np
import pydicom

from contouring.errors import LateralityConflict
from tests.contouring.segments import Case
from tests.dicom_gateway.contour_commands.typed import run, series


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


def test_rename_sees_a_structure_on_the_wrong_side(case: Case, structures: Path) -> None:
    """The planted fault: the body's middle lies right of the structure that is called right."""
    centres = {r.name.tg263: np.argwhere(r.region.mask()).mean(axis=0) for r in case.rois}
    assert abs(centres["Parotid_L"][2] - centres["SpinalCord"][2]) * 0.9 > 10
    ds = pydicom.dcmread(structures)
    ds.StructureSetROISequence[0].ROIName = "Parotid_L"
    ds.StructureSetROISequence[1].ROIName = "Body"
    ds.save_as(structures)
    right_way = run("rename", structures, "--series", series(case), fails=True)
    ds.StructureSetROISequence[0].ROIName = "Parotid_R"
    ds.save_as(structures)
    other_way = run("rename", structures, "--series", series(case), fails=True)

    errors = [r.exception for r in (right_way, other_way)]
    assert sum(isinstance(e, LateralityConflict) for e in errors) == 1
