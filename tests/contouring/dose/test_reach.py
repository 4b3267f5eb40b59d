"""No number of a histogram lies beyond the doses that there can be in the structure."""

import numpy as np
import pytest

from contouring.dose import DoseVolume, dose_volume_histogram
from contouring.dose.accumulate import map_dose, sum_on_structure
from contouring.dose.curve import curve_of
from contouring.dose.radiobiology import Course, eqd2
from contouring.dose.structure import PlanarStructure
from contouring.dose.transform import RigidTransform
from contouring.shapes import ellipsoid, rotation
from tests.contouring.dose.making import CENTRE, FRAME, HFS, TURNED, grid_around, structure
from tests.synthetic.series import OBLIQUE

OTHER = "1.2.3.4.5"
LOW, HIGH = 20.0, 60.0


def rough(seed: int, orientation: tuple[float, ...] = HFS, frame: str = FRAME) -> DoseVolume:
    """A dose that changes from voxel to voxel, with voxels at the rim that are colder and hotter than all within."""
    grid = grid_around((5.0, 4.0, 4.5), (58, 60, 56), orientation, frame=frame)
    dose = np.random.default_rng(seed).uniform(LOW, HIGH, grid.shape)
    dose[0], dose[-1] = 0.0, 95.0
    return DoseVolume(dose, grid)


def organ(turn: np.ndarray | None = None) -> PlanarStructure:
    """So large that its sub-voxels are coarse beside the gradients."""
    return structure(ellipsoid(38, 33, 35), 4.0, turn=turn)


@pytest.mark.parametrize("turn", [None, TURNED], ids=["lattice along the dose", "across"])
def test_no_share_of_a_structure_gets_more_or_less_than_its_voxels_hold(turn: np.ndarray | None) -> None:
    found = dose_volume_histogram(organ(turn), rough(3))

    for number in (found.metric("D0.03cc"), *(found.curve.dose_to_share(x) for x in (0.0, 0.001, 50.0, 100.0))):
        assert LOW - 1e-6 <= number <= HIGH + 1e-6
    # The spread is not cut away altogether: the ends lie beyond the doses at centres.
    assert found.curve.dose_to_share(0) > found.curve.max_gy


def test_sums_and_eqd2_are_bounded_by_those_of_the_voxels() -> None:
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(6, -9, 4)
    matrix[:3, 3] = CENTRE - matrix[:3, :3] @ CENTRE
    course = Course(5)
    doses = [
        map_dose(rough(3), FRAME, course=course),
        map_dose(rough(4, OBLIQUE, OTHER), FRAME, RigidTransform(matrix, FRAME, OTHER), course),
    ]

    found = sum_on_structure(organ(), doses, 3.0)

    assert found.eqd2 is not None
    for curve, ends in (
        (found.physical.curve, (2 * LOW, 2 * HIGH)),
        (found.eqd2.curve, (2 * float(eqd2(LOW, 5, 3.0)), 2 * float(eqd2(HIGH, 5, 3.0)))),
    ):
        assert ends[0] - 1e-6 <= curve.dose_to_share(100) < curve.dose_to_share(0) <= ends[1] + 1e-6


def test_a_spread_that_is_cut_keeps_its_mean() -> None:
    values, ones = np.array([10.0, 19.0, 30.0]), np.ones(3)

    curve = curve_of(values, np.full(3, 4.0), ones, ones, reach_gy=(8.0, 30.5))

    assert (curve.dose_to_share(100), curve.dose_to_share(0)) == (8.0, 30.5)
    assert float(np.trapezoid(curve.volume_mm3, curve.dose_gy)) / 3 + 8 == pytest.approx(values.mean(), abs=1e-3)
    # What is far from both ends is spread as before.
    assert curve.dose_at(1.5) == pytest.approx(19, abs=5e-3)
    assert curve.volume_at(16) - curve.volume_at(22) == pytest.approx(6 / 8, abs=5e-3)
