"""Padding that cuts the body, where no circle touches the picture's sides and no border is near."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from qc.image.inputs import Inputs
from qc.image.registry import Measured, NotEvaluable, discover
from qc.image.result import Grade
from qc.image.run import check_inputs
from tests.conftest import data_folder
from tests.qc.bodies import body_inputs

PAD_HU = -1024


def padded(where: str, soft_air: bool = True) -> Inputs:
    """The trunk (96 x 72 mm) with skin of one pixel's blur, padded beyond a circle of 80 mm, or beyond a column."""
    inputs = body_inputs()
    assert inputs.volume is not None
    array = ndimage.gaussian_filter(inputs.volume.array.astype(np.float32), (0, 1.0, 1.0))
    if not soft_air:
        array[array < -900] = PAD_HU
    array[:, _outside(inputs, where)] = PAD_HU
    return replace(inputs, volume=replace(inputs.volume, array=np.round(array).astype(np.int16)))


def _outside(inputs: Inputs, where: str) -> NDArray[np.bool_]:
    assert inputs.volume is not None
    rows, columns = inputs.volume.array.shape[1:]
    dy, dx = inputs.volume.grid.pixel_spacing_mm
    y = ((np.arange(rows) - (rows - 1) / 2) * dy)[:, None]
    x = ((np.arange(columns) - (columns - 1) / 2) * dx)[None, :]
    if where == "circle":
        return np.asarray(np.hypot(x, y) > 80.0)
    return np.asarray(np.broadcast_to(x < -70.0 if where == "column" else x < -1000.0, (rows, columns)))


@pytest.mark.parametrize("soft_air", [True, False])
@pytest.mark.parametrize("where", ["circle", "column"])
def test_padding_that_cuts_the_body_is_no_silent_pass(where: str, soft_air: bool) -> None:
    verdict = check_inputs(padded(where, soft_air), "ct_rt_sim")

    cut = verdict.result("ct.truncation")

    assert cut is not None
    assert cut.grade is Grade.FAIL
    assert cut.where


@pytest.mark.parametrize("soft_air", [True, False])
def test_whole_skin_in_air_of_one_value_is_not_cut(soft_air: bool) -> None:
    found = discover()["ct.truncation"].run(padded("nowhere", soft_air))

    assert isinstance(found, Measured)
    assert found.value == 0


def test_a_body_cut_out_by_a_mask_tells_nothing_of_its_skin() -> None:
    inputs = body_inputs()
    assert inputs.volume is not None
    soft = np.round(ndimage.gaussian_filter(inputs.volume.array.astype(np.float32), (0, 1.0, 1.0))).astype(np.int16)
    masked = replace(inputs, volume=replace(inputs.volume, array=np.where(soft > -300, soft, PAD_HU).astype(np.int16)))

    assert discover()["ct.truncation"].run(masked) == NotEvaluable("background_zeroed")


@pytest.mark.data
def test_a_small_circle_in_a_real_head_and_neck_ct_is_found() -> None:
    from imaging.series import load_volume, scan

    (stack,) = scan([data_folder("ct_head_neck") / "series"]).stacks
    volume = load_volume(stack)
    inputs = Inputs(tuple(stack.headers), volume)
    array = volume.array.copy()
    rows, columns = array.shape[1:]
    dy, dx = volume.grid.pixel_spacing_mm
    y = ((np.arange(rows) - (rows - 1) / 2) * dy)[:, None]
    x = ((np.arange(columns) - (columns - 1) / 2) * dx)[None, :]
    array[:, np.hypot(x, y) > 110.0] = PAD_HU

    clean = discover()["ct.truncation"].run(inputs)
    cut = discover()["ct.truncation"].run(Inputs(inputs.headers, replace(volume, array=array)))

    assert isinstance(clean, Measured)
    assert isinstance(cut, Measured)
    assert clean.value == 0
    assert float(cut.value) > 20
