"""Where the body is in a CT, and where the picture of it ends."""

import math
from dataclasses import replace

import numpy as np
import pytest

from qc.image.body import body_sections, field_of_view_radius_mm
from qc.image.registry import Measured, NotEvaluable, discover
from qc.image.run import check_inputs
from tests.qc.bodies import TRUNK, body_inputs, volume_inputs
from tests.qc.defects import rescaled

TRUNK_MM2 = math.pi * 96 * 72


def test_the_couch_and_the_air_are_left_out_and_the_lungs_are_filled() -> None:
    volume = body_inputs().volume
    assert volume is not None

    for section in body_sections(volume):
        area = np.count_nonzero(section.mask) * 1.1 * 0.9 * section.step**2
        assert area == pytest.approx(TRUNK_MM2, rel=0.02)


def test_the_reconstruction_circle_is_found() -> None:
    volume = body_inputs(circle_mm=112.0).volume
    assert volume is not None

    assert field_of_view_radius_mm(volume, body_sections(volume)) == pytest.approx(112, abs=1.0)


def test_noisy_air_up_to_the_corners_has_no_circle() -> None:
    volume = body_inputs().volume
    assert volume is not None

    assert math.isinf(field_of_view_radius_mm(volume, body_sections(volume)))


def test_a_round_phantom_in_air_of_one_value_is_not_taken_for_the_field() -> None:
    grid = TRUNK.grid()
    y = ((np.arange(grid.rows) - 104.5) * 1.1)[:, None]
    x = ((np.arange(grid.columns) - 127.5) * 0.9)[None, :]
    plane = np.where(np.hypot(x, y) < 90, 0, -1024).astype(np.int16)
    inputs = volume_inputs(np.repeat(plane[None], grid.shape[0], axis=0), replace(TRUNK, intercept=0.0))

    found = discover()["ct.truncation"].run(inputs)

    # Its edge is one pixel wide, as that of a body cut out by a mask: what was beyond is not known.
    assert found == NotEvaluable("background_zeroed")


@pytest.mark.parametrize(("shift_mm", "side"), [(30.0, "L"), (-26.0, "R")])
def test_skin_at_the_circle_is_cut_on_the_side_it_lies(shift_mm: float, side: str) -> None:
    found = discover()["ct.truncation"].run(body_inputs(circle_mm=112.0, shift_mm=shift_mm))

    assert isinstance(found, Measured)
    assert float(found.value) > 3
    assert found.where[1].data["side"] == side


@pytest.mark.parametrize(("factor", "offset", "state"), [(-1, 0, "inverted"), (1, 1000, "shifted"), (1, 0, "upright")])
def test_a_negated_or_shifted_ct_is_told_as_that_and_not_as_a_cut_body(factor: int, offset: int, state: str) -> None:
    verdict = check_inputs(rescaled(factor, offset), "ct_base")

    scale, cut = verdict.result("gen.pixel.inversion"), verdict.result("ct.truncation")
    assert scale is not None and cut is not None
    assert (scale.value, str(scale.grade)) == (state, "PASS" if state == "upright" else "FAIL")
    assert str(cut.grade) == ("PASS" if state == "upright" else "NOT_EVALUABLE")
