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
from dicom_gateway.flow.study_inputs import run_shadow, structure_name
from dicom_gateway.settings import load_settings
from imaging.volume import Region, Volume
from monai_bundles import Bundle, BundleOutput, SegmentedStructure, discover, run_bundle
from tests.conftest import data_folder

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
