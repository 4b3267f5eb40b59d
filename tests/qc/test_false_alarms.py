"""What is in order in real pictures and looks like a defect: shutters, flow, banners."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from qc.image.inputs import Inputs
from qc.image.registry import Measured, NotEvaluable, discover
from tests.conftest import data_folder
from tests.qc.photographs import photo_inputs, sonogram
from tests.qc.radiographs import chest_film


def run(check_id: str, inputs: Inputs) -> Measured | NotEvaluable:
    return discover()[check_id].run(inputs)


def value(check_id: str, inputs: Inputs) -> float:
    found = run(check_id, inputs)
    assert isinstance(found, Measured)
    return float(found.value)


def with_array(inputs: Inputs, array: NDArray[np.generic]) -> Inputs:
    return replace(inputs, pictures=(replace(inputs.pictures[0], array=array),))


def test_a_shutter_that_is_not_straight_is_no_saturation_and_a_white_field_is() -> None:
    film = chest_film()
    picture = film.pictures[0]
    rows, columns = picture.array.shape
    slanted, white = picture.array.copy(), picture.array.copy()
    reach = (np.linspace(0, 0.05, rows) * columns).astype(int)
    for row, width in enumerate(reach):
        slanted[row, columns - width :] = picture.top
    white[: rows // 3, : columns // 2] = picture.top

    assert value("dx.clip", with_array(film, slanted)) == pytest.approx(value("dx.clip", film), abs=0.1)
    assert value("dx.clip", with_array(film, white)) > 3


def test_colour_flow_is_no_mark_over_the_image() -> None:
    grey = sonogram().pictures[0].array
    flow = np.repeat(grey[..., None], 3, axis=2) if grey.ndim == 2 else grey.copy()
    rows, columns = flow.shape[:2]
    speckle = np.random.default_rng(5).random((rows // 3, columns // 3)) < 0.5
    flow[rows // 3 : rows // 3 + rows // 3, columns // 3 : columns // 3 + columns // 3][speckle] = (230, 20, 10)

    found = run("us.overlay", photo_inputs(flow, "US"))

    assert isinstance(found, NotEvaluable)
    assert found.reason == "unsupported"


def test_a_banner_is_not_taken_for_the_scanned_region() -> None:
    plain = sonogram().pictures[0].array
    banner = np.full((plain.shape[0] * 2, *plain.shape[1:]), 70, dtype=plain.dtype)
    banner[::9, ::11] = 255
    with_banner = np.concatenate([banner, np.zeros((20, *plain.shape[1:]), dtype=plain.dtype), plain])

    assert value("us.overlay", photo_inputs(with_banner, "US")) == pytest.approx(0, abs=0.1)


@pytest.mark.data
def test_no_ultrasound_without_calipers_is_told_to_have_marks() -> None:
    from qc.image.planar import read_planar

    for file in sorted((data_folder("dicom_zoo") / "us").glob("*.dcm")):
        series = read_planar([file])
        found = run("us.overlay", Inputs(series.headers, pictures=series.pictures))
        assert isinstance(found, NotEvaluable) or float(found.value) <= 0.3, file.name
