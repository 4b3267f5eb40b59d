"""Several series reach a bundle by frame of reference, PET as SUV; a shadow is recorded and delivers nothing."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dicom_gateway.flow.job import Tools
from dicom_gateway.flow.journal import Journal
from dicom_gateway.flow.local import process_folder
from dicom_gateway.flow.shadow import run_shadow
from dicom_gateway.flow.study_inputs import structure_name
from dicom_gateway.settings import load_settings
from imaging.volume import Region, Volume
from monai_bundles import Box, Bundle, BundleOutput, Finding, Score, SegmentedStructure, discover, run_bundle
from tests.conftest import data_folder
from tests.synthetic.series import write_series

PET = "pet_ct_lesion_segmentation"


def output_of(bundle: Bundle, mask: Any) -> BundleOutput:
    """An output with one structure."""
    return BundleOutput((SegmentedStructure("Body", Region.from_mask(mask)),), bundle.algorithm, "cpu", 0.5)


def shadowed() -> tuple[Bundle, Volume, Any]:
    """A bundle with a shadow, a volume and a mask."""
    from tests.monai_bundles.making import GRIDS, make_volume

    body = next(b for b in discover() if b.name == "ct_body_segmentation")
    volume = make_volume(GRIDS["oblique"]())
    mask = np.zeros(volume.array.shape, dtype=bool)
    mask[3:9, 4:12, 5:16] = True
    return replace(body, shadow=replace(body, version="9.9.9")), volume, mask


def test_a_shadow_is_compared_and_nothing_of_it_goes_on() -> None:
    bundle, volume, mask = shadowed()
    smaller = mask.copy()
    smaller[3] = False

    record = run_shadow(bundle, output_of(bundle, mask), lambda other: output_of(other, smaller), volume)

    assert record["version"] == "9.9.9"
    assert record["dice_with_delivered"] == {"Body": pytest.approx(2 * 5 / 11, abs=1e-4)}
    assert record["only_shadow"] == []


def test_boxes_and_scores_of_a_shadow_stand_beside_the_delivered_ones() -> None:
    """Boxes of 10 x 4 x 20 mm whose first axis is turned by 90 degrees: 9 mm along LPS y is inside, along x outside."""
    bundle, volume, mask = shadowed()
    turned = ((0.0, 1.0, 0.0), (-1.0, 0.0, 0.0), (0.0, 0.0, 1.0))
    given = replace(
        output_of(bundle, mask),
        findings=(Finding("", "nodule", 0.9, Box((50.0, -20.0, 7.0), (20.0, 4.0, 20.0), turned)),),
        scores=(Score("A", 0.75), Score("B", 0.25)),
    )
    inside = Finding("", "nodule", 0.8, Box((51.0, -11.0, 7.0), (3.0, 3.0, 3.0)))
    outside = Finding("", "nodule", 0.7, Box((59.0, -20.0, 7.0), (3.0, 3.0, 3.0)))
    other = replace(given, findings=(inside, outside), scores=(Score("C", 0.6), Score("A", 0.4)))

    record = run_shadow(bundle, given, lambda _: other, volume)

    assert (record["findings"]["delivered"], record["findings"]["shadow"]) == (1, 2)
    assert record["findings"]["shadow_in_delivered"] == 1
    assert record["findings"]["shadow_found"][0]["centre_lps"] == [51.0, -11.0, 7.0]
    assert record["scores"] == {"A": [0.75, 0.4], "B": [0.25, None], "C": [None, 0.6]}
    assert record["digest"] == bundle.algorithm.bundle_digest


def test_a_run_tells_its_shadow_in_result_json_and_delivers_the_same_without_it(tmp_path: Path) -> None:
    from imaging.testing.phantom import make_phantom, write_phantom

    write_phantom(tmp_path / "study", make_phantom(shape=(96, 100, 90)))
    (tmp_path / "radgate.toml").write_text(
        '[[route]]\nname = "ct"\nbundle = "ct_body_segmentation"\nwhen.all = [ { tag = "Modality", equals = "CT" } ]\n',
        encoding="utf-8",
    )
    settings = load_settings(tmp_path / "radgate.toml")
    body = next(b for b in discover() if b.name == "ct_body_segmentation")

    def objects(bundle: Bundle, out: Path) -> tuple[dict[str, bytes], dict[str, Any]]:
        process_folder(tmp_path / "study", out, settings, Tools({bundle.name: bundle}, run_bundle), Journal())
        (job,) = json.loads((out / "result.json").read_text(encoding="utf-8"))["jobs"]
        return {p.name: p.read_bytes() for p in out.glob("*.dcm")}, job

    alone, without = objects(body, tmp_path / "alone")
    beside, job = objects(replace(body, shadow=replace(body, version="9.9.9")), tmp_path / "beside")

    assert "shadows" not in without
    (shadow,) = job["shadows"]
    assert (shadow["version"], shadow["beside"]) == ("9.9.9", body.version)
    assert shadow["dice_with_delivered"]["Body"] == 1.0
    assert set(alone) == set(beside) >= {"seg.dcm", "rtstruct.dcm", "sr.dcm"}
    assert alone["seg.dcm"] == beside["seg.dcm"] and alone["rtstruct.dcm"] == beside["rtstruct.dcm"]


def test_a_broken_shadow_is_recorded() -> None:
    bundle, volume, mask = shadowed()
    broken = replace(bundle, shadow=None, broken_shadow=("9.9.9", "Its files changed."))

    record = run_shadow(broken, output_of(bundle, mask), lambda other: output_of(other, mask), volume)

    assert (record["version"], record["status"], record["reason"]) == ("9.9.9", "failed", "Its files changed.")


def test_a_shadow_that_breaks_stops_nothing() -> None:
    bundle, volume, mask = shadowed()

    def breaks(_bundle: Bundle) -> BundleOutput:
        raise RuntimeError("planted")

    record = run_shadow(bundle, output_of(bundle, mask), breaks, volume)

    assert record["status"] == "failed"
    assert record["reason"] == "RuntimeError"


def test_a_bundle_without_a_shadow_records_nothing() -> None:
    bundle, volume, mask = shadowed()

    assert run_shadow(replace(bundle, shadow=None), output_of(bundle, mask), lambda b: output_of(b, mask), volume) == {}


@pytest.mark.parametrize("seeds", [(1, 2, 3, 4), (4, 3, 2, 1), (2, 4, 1, 3)])
def test_each_channel_gets_its_own_series_and_one_job_alone_delivers(tmp_path: Path, seeds: tuple[int, ...]) -> None:
    """T1 with contrast, T1, T2 and FLAIR in any order: "T1 Gd" is not T1, and "T2 FLAIR" is not T2."""
    from tests.monai_bundles.test_zoo_series import four_channel_bundle

    bundle = four_channel_bundle(tmp_path)
    descriptions = {"T1c": "T1 Gd", "T1": "T1 SPACE", "T2": "T2 tra", "FLAIR": "T2 FLAIR"}
    arrays, rng = {}, np.random.default_rng(3)
    for seed, (channel, description) in zip(seeds, descriptions.items(), strict=True):
        arrays[channel] = (rng.random((7, 23, 19)) > 0.6).astype(np.int16)
        shared = (("SeriesDescription", description), ("FrameOfReferenceUID", "1.2.3.4"))
        write_series(
            tmp_path / "study" / channel,
            modality="MR",
            planes=7,
            rows=23,
            columns=19,
            seed=seed,
            study_seed=1,
            pixels=arrays[channel],
            intercept=0.0,
            attributes=shared,
        )
    given: list[dict[str, Any]] = []

    def run(bundle: Bundle, volume: Volume, progress: Any, companions: Any = None) -> BundleOutput:
        given.append({"T1c": volume.array} | {name: other.array for name, other in companions.items()})
        return run_bundle(bundle, volume, progress, device="cpu", companions=companions)

    (tmp_path / "radgate.toml").write_text(
        f'[[route]]\nname = "mr"\nbundle = "{bundle.name}"\nwhen.all = [ {{ tag = "Modality", equals = "MR" }} ]\n',
        encoding="utf-8",
    )
    settings, tools = load_settings(tmp_path / "radgate.toml"), Tools({bundle.name: bundle}, run)
    done = process_folder(tmp_path / "study", tmp_path / "out", settings, tools, Journal())

    assert sorted(job.status for job in done.jobs) == ["findings", "refused", "refused", "refused"]
    assert all("first of the images" in job.reason for job in done.jobs if job.status == "refused")
    (channels,) = given
    assert all(np.array_equal(channels[name], arrays[name]) for name in descriptions)


def test_a_name_that_tg263_does_not_know_is_kept() -> None:
    assert structure_name("Spleen").interpreted_type == "ORGAN"
    assert structure_name("3rd_ventricle").tg263 == "3rd_ventricle"
    assert structure_name("3rd_ventricle").en == "3rd ventricle"


@pytest.mark.data
def test_pet_and_ct_of_a_patient_become_lesions_in_dicom(tmp_path: Path) -> None:
    source = data_folder("sts_petct") / "STS_008"
    (tmp_path / "radgate.toml").write_text(
        f'[[route]]\nname = "pet"\nbundle = "{PET}"\nwhen.all = [ {{ tag = "Modality", equals = "PT" }} ]\n',
        encoding="utf-8",
    )
    given: dict[str, Any] = {}

    def run(bundle: Bundle, volume: Volume, progress: Any, companions: Any = None) -> BundleOutput:
        given.update(unit=volume.unit, companions=companions)
        return run_bundle(bundle, volume, progress, companions=companions)

    tools = Tools({b.name: b for b in discover()}, run)
    done = process_folder(source, tmp_path / "out", load_settings(tmp_path / "radgate.toml"), tools, Journal())

    (job,) = done.jobs
    assert job.status == "findings"
    assert given["unit"] == "g/ml{SUVbw}"
    assert set(given["companions"]) == {"CT"}
    assert {"rtstruct.dcm", "seg.dcm", "sr.dcm"} <= set(job.objects)
    names = [
        s["name"]["tg263"]
        for s in json.loads((tmp_path / "out" / "result.json").read_text())["jobs"][0]["result"]["structures"]
    ]
    assert names == ["GTV_1"]
