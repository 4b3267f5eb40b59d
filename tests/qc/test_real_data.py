"""Real images: what passes, and that every WARN and FAIL has a reason one can see in the picture or the header."""

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from imaging.errors import RadgateError
from imaging.series import Stack, load_volume, scan
from qc.image import SeriesVerdict, check_series
from qc.image.inputs import Inputs
from qc.image.registry import Measured, discover
from qc.image.result import Grade
from tests.conftest import data_folder

pytestmark = pytest.mark.data


def judged(folder: Path) -> list[tuple[Stack, SeriesVerdict]]:
    with warnings.catch_warnings():
        # The headers of these files break rules of style; what they mean is judged by the checks.
        warnings.simplefilter("ignore")
        found = []
        for stack in scan([folder]).stacks:
            refusal = None
            try:
                volume = load_volume(stack)
            except RadgateError as reason:
                volume, refusal = None, reason
            found.append((stack, check_series(stack, volume, refusal=refusal)))
    return found


def test_head_and_neck_ct_passes_with_notes_for_dental_metal_and_the_missing_position() -> None:
    ((_, verdict),) = judged(data_folder("ct_head_neck") / "series")

    assert verdict.grade is Grade.PASS
    assert verdict.profile_id == "ct_base"
    assert {r.check_id for r in verdict.findings()} == {"ct.metal", "gen.tag.position"}
    unjudged = {r.check_id: r.reason for r in verdict.results if r.grade is Grade.NOT_EVALUABLE}
    assert unjudged == {
        "ct.centring": "missing_tag",  # no DataCollectionCenterPatient
        "ct.coverage.organs": "needs_mask",
        "ct.hu.blood": "needs_mask",
        "ct.hu.fluid": "needs_mask",
        "ct.phase": "needs_mask",
        "gen.instance.holes": "missing_tag",  # InstanceNumber is 1 in all slices
        "gen.tag.anatomy": "no_region",  # no PatientPosition to hold the couch against, and no lungs in the picture
        "gen.tag.plausible": "missing_tag",  # nothing but empty values
    }


@pytest.mark.parametrize(("blur_px", "allowed"), [(0.0, 0.05), (1.0, 0.07)])
def test_noise_planted_into_a_real_ct_adds_in_quadrature(blur_px: float, allowed: float) -> None:
    (stack,) = scan([data_folder("ct_head_neck") / "series"]).stacks
    volume = load_volume(stack)
    check = discover()["ct.noise.gni"]
    clean = check.run(Inputs(stack.headers, volume))
    assert isinstance(clean, Measured)
    own = float(clean.value)
    values = []
    for sigma in (10.0, 20.0, 40.0):
        noise = np.random.default_rng(7).normal(0, 1, volume.array.shape)
        noise = ndimage.gaussian_filter(noise, (0, blur_px, blur_px))
        noise *= sigma / noise.std()
        noisy = replace(volume, array=np.round(volume.array + noise).astype(np.int16))
        found = check.run(Inputs(stack.headers, noisy))
        assert isinstance(found, Measured)
        values.append(float(found.value) / float(np.hypot(own, sigma)))

    assert values == pytest.approx([1, 1, 1], abs=allowed)


def test_crops_of_a_ct_fail_only_for_their_cut_skin() -> None:
    folders = [data_folder("lung_crop") / "image", *sorted(data_folder("sts_petct").glob("STS_*/CT/image"))]
    for folder in folders:
        ((_, verdict),) = judged(folder)

        failed = {r.check_id for r in verdict.results if r.grade is Grade.FAIL}
        # One of them is tumour and fat, and reads air as -881 and fat as -57 HU.
        assert failed - {"ct.hu.tissue"} == {"ct.truncation"}


def test_pet_and_mr_of_the_sarcoma_patients_have_no_failure() -> None:
    for folder in sorted(data_folder("sts_petct").glob("STS_*/[MP]*/image")):
        ((stack, verdict),) = judged(folder)

        assert verdict.grade in {Grade.PASS, Grade.WARN}, (stack.modality, verdict.findings())


def test_tilt_of_the_phantom_is_found_as_its_header_states_it() -> None:
    ((_, verdict),) = judged(data_folder("dicom_zoo") / "series_tilt_phantom")

    tilt = verdict.result("gen.geometry.tilt")
    assert tilt is not None
    assert tilt.value == pytest.approx(abs(float(tilt.evidence["stated_deg"])), abs=0.05)
    assert verdict.grade is Grade.FAIL


def test_variable_spacing_fails_as_jitter() -> None:
    ((_, verdict),) = judged(data_folder("dicom_zoo") / "series_variable_spacing")

    assert {"gen.geometry.jitter", "gen.geometry.tilt", "gen.geometry.usable"} <= {
        r.check_id for r in verdict.results if r.grade is Grade.FAIL
    }


def test_no_check_breaks_on_any_file_of_the_zoo() -> None:
    for _, verdict in judged(data_folder("dicom_zoo")):
        assert not [r.check_id for r in verdict.results if r.reason == "error"]
