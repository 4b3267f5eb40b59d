"""What several series gave lies at one place on all of them, and a series that ends inside it is told."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contouring.overlap import dice
from contouring.rtstruct_read import read_rtstruct
from dicom_gateway.flow.job import Tools
from dicom_gateway.flow.journal import Journal
from dicom_gateway.flow.local import process_folder
from dicom_gateway.flow.other_series import carried
from dicom_gateway.flow.study_inputs import Companion, missing_channels
from dicom_gateway.settings import load_settings
from imaging.series import scan
from imaging.volume import Region, Volume
from monai_bundles import Bundle, BundleOutput, SegmentedStructure, find
from monai_bundles.evaluation.cases import cases_of
from tests.conftest import data_folder
from tests.monai_bundles.making import GRIDS, grid_of, make_volume

NAME = "soft_tissue_sarcoma_gtv_segmentation"
ROUTE = f'[[route]]\nname = "sarcoma"\nbundle = "{NAME}"\nwhen.all = [ {{ tag = "Modality", equals = "CT" }} ]\n'


def output_of(bundle: Bundle, mask: Any) -> BundleOutput:
    return BundleOutput((SegmentedStructure("GTV", Region.from_mask(mask)),), bundle.algorithm, "cpu", 0.5)


def test_a_series_that_ends_inside_a_structure_is_told(tmp_path: Path) -> None:
    bundle = find(NAME)
    volume = make_volume(grid_of((2, 1, 0), (1, 1, 1), turned=True, shape=(22, 31, 37)))
    mask = np.zeros(volume.array.shape, dtype=bool)
    mask[4:18, 9:20, 11:29] = True
    half = replace(volume, grid=replace(volume.grid, rows=14), array=volume.array[:, :14])
    companions: Any = {"PET": Companion(None, volume), "MR": Companion(None, half)}  # type: ignore[arg-type]
    for companion in companions.values():
        object.__setattr__(companion, "stack", type("Stack", (), {"id": "s"})())

    entries, sentences = carried(tmp_path, 0, output_of(bundle, mask), volume, companions)

    assert [e["channel"] for e in entries] == ["PET", "MR"]
    assert sentences == ["The series MR holds 45% of GTV; it is cut there."]


def test_a_needed_series_that_is_missing_is_named_and_an_optional_one_is_not() -> None:
    assert missing_channels(find(NAME), {}).startswith("The bundle needs PET beside this series")
    pet = Companion(None, make_volume(GRIDS["oblique"]()))  # type: ignore[arg-type]
    assert missing_channels(find(NAME), {"PET": pet}) == ""


def processed(source: Path, folder: Path, run: Any) -> Any:
    (folder / "radgate.toml").write_text(ROUTE, encoding="utf-8")
    tools = Tools({NAME: find(NAME)}, run)
    (job,) = process_folder(source, folder / "out", load_settings(folder / "radgate.toml"), tools, Journal()).jobs
    return job


@pytest.mark.data
def test_the_contours_on_every_series_are_where_the_publishers_masks_are(tmp_path: Path) -> None:
    data = data_folder("sts_petct")
    truth = {
        modality: next(c.truth["GTV"] for c in cases_of(data, "all", lambda v, _h: v, modality) if c.name == "STS_032")
        for modality in ("CT", "PT", "MR")
    }
    given: dict[str, Volume] = {}

    def run(bundle: Bundle, volume: Volume, progress: Any, companions: Mapping[str, Volume]) -> BundleOutput:
        given.update(companions)
        return output_of(bundle, truth["CT"])

    job = processed(data / "STS_032", tmp_path, run)

    assert job.status == "findings"
    assert {name: v.unit for name, v in given.items()} == {"PET": "g/ml{SUVbw}", "MR": "1"}
    for modality, file, least in (
        ("CT", "rtstruct.dcm", 0.999),
        ("PT", "rtstruct_on_pt.dcm", 0.93),
        ("MR", "rtstruct_on_mr.dcm", 0.93),
    ):
        folder = data / "STS_032" / {"CT": "CT", "PT": "PET", "MR": "MR_T1"}[modality] / "image"
        stack = max(scan([folder]).stacks, key=lambda s: len(s.sources))
        (found,) = read_rtstruct(tmp_path / "out" / file, stack.grid, images=stack.sources).structures
        assert dice(found.region, Region.from_mask(truth[modality])) > least, modality


@pytest.mark.data
def test_without_a_pet_the_run_is_refused_with_its_reason(tmp_path: Path) -> None:
    def never(*_arguments: Any, **_named: Any) -> BundleOutput:
        raise AssertionError("the bundle ran")

    job = processed(data_folder("sts_petct") / "STS_025" / "CT" / "image", tmp_path, never)

    assert job.status == "refused"
    assert "needs PET beside this series" in job.reason


@pytest.mark.data
def test_the_lesion_has_its_measurements_on_ct_and_pet(tmp_path: Path) -> None:
    from monai_bundles import run_bundle

    def run(bundle: Bundle, volume: Volume, progress: Any, companions: Mapping[str, Volume]) -> BundleOutput:
        return run_bundle(bundle, volume, progress, companions=companions)

    processed(data_folder("sts_petct") / "STS_008", tmp_path, run)

    document = json.loads((tmp_path / "out" / "result.json").read_text())["jobs"][0]["result"]
    (finding,) = document["findings"]
    measured = dict(finding["measured"])
    assert finding["structure"] == "r1.GTV"
    assert 5.0 < measured["suv_max"] < 8.0
    assert measured["suv_mean"] < measured["suv_peak"] < measured["suv_max"]
    assert 20 < measured["long_axis_mm"] < 70
    assert -50 < measured["mean_hu"] < 120
    assert [s["modality"] for s in document["input"]["stacks"]].count("PT") == 1
