"""Bounds of a sum: exact for linear doses, clipped at the organ's border, silent where organs are not aligned."""

from dataclasses import replace

import numpy as np
import pytest

from contouring.dose import DoseVolume
from contouring.dose.accumulate import MappedDose, map_dose, sum_on_structure
from contouring.dose.assessment import Bounds
from contouring.dose.bounds import bounds_of, is_above
from contouring.dose.inside import OrganMask
from contouring.dose.radiobiology import Course, eqd2
from contouring.dose.solid import Steps
from contouring.dose.structure import PlanarStructure
from contouring.dose.transform import RigidTransform
from contouring.shapes import cylinder, rotation, sphere
from tests.contouring.dose.making import CENTRE, FRAME, TURNED, dose_of, grid_around, linear, structure

OTHER = "1.2.3.4.5"
HEIGHT = 24.0
SHIFT = np.array([5.5, -3.25, 7.0])


def moved(shift: np.ndarray = SHIFT) -> RigidTransform:
    """A turn about the centre and a shift, from the reference frame to the other one."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(6, -9, 4)
    matrix[:3, 3] = CENTRE - matrix[:3, :3] @ CENTRE + shift
    return RigidTransform(matrix, FRAME, OTHER)


def there(organ: PlanarStructure, transform: RigidTransform, by: float = 0.0) -> PlanarStructure:
    """The organ in the other frame, displaced along its own axis by some mm."""
    axes = organ.axes @ transform.matrix[:3, :3].T
    origin = axes @ transform.matrix[:3, 3] + (0, 0, by)
    return PlanarStructure(
        organ.positions_mm + origin[2],
        tuple(tuple(p + origin[:2] for p in plane) for plane in organ.polygons),
        axes,
    )


def courses(organ: PlanarStructure, gradient: float, fractions: int | None = None) -> list[MappedDose]:
    """An even dose in the frame of the image, and a linear one along the organ's axis in the other frame."""
    transform = moved()
    first = dose_of(linear((0, 0, 0), 20.0), grid_around())
    field = linear(organ.axes[2] * gradient, 30.0)
    second = dose_of(
        lambda p: field(transform.inverse().apply(p)),
        grid_around((2.4, 2.0, 1.5), (34, 36, 33), frame=OTHER, centre=CENTRE + SHIFT),
    )
    course = None if fractions is None else Course(fractions)
    return [map_dose(first, FRAME, course=course), map_dose(second, FRAME, transform, course)]


def found_bounds(
    organ: PlanarStructure, doses: list[MappedDose], other: PlanarStructure | None, radius: float = 3.0
) -> Bounds:
    return bounds_of(organ, sum_on_structure(organ, doses, 3.0), doses, [0.0, radius], [None, other])


def test_a_linear_dose_is_bounded_by_its_gradient_and_clipped_at_the_organs_ends() -> None:
    organ = structure(cylinder(9, HEIGHT), 2.0, turn=TURNED)
    doses = courses(organ, 0.8)

    bounds = found_bounds(organ, doses, there(organ, doses[1].transform))  # type: ignore[arg-type]

    assert bounds.low is not None and bounds.high is not None and bounds.kind == "physical"
    for share in (90.0, 50.0, 25.0):
        z = HEIGHT * (0.5 - share / 100)
        # Straight up the axis there is always organ, until its end.
        assert bounds.high.metric(f"D{share:g}%") == pytest.approx(50 + 0.8 * (z + 3), abs=0.2)
    for share in (75.0, 50.0, 10.0):
        z = HEIGHT * (0.5 - share / 100)
        assert bounds.low.metric(f"D{share:g}%") == pytest.approx(50 + 0.8 * (z - 3), abs=0.2)
    top = 50 + 0.8 * HEIGHT / 2
    assert bounds.high.metric("Dmax") == pytest.approx(top, abs=0.45)
    # A twelfth of the radius and half a sub-voxel may be missing up to the very end.
    assert bounds.low.metric("Dmin") == pytest.approx(100 - top, abs=0.45)
    assert bounds.unrestricted_high_gy == pytest.approx(top + 0.8 * 3, abs=0.25)
    assert bounds.band_high is not None
    assert bounds.band_high.metric("D50%") == pytest.approx(50 + 0.8 * 3, abs=0.1)
    assert (bounds.not_aligned_share, bounds.reason) == (0.0, "")


def test_bounds_are_of_eqd2_where_fractions_are_known() -> None:
    organ = structure(cylinder(9, HEIGHT), 2.0)
    doses = courses(organ, 0.8, fractions=5)

    bounds = found_bounds(organ, doses, there(organ, doses[1].transform))  # type: ignore[arg-type]

    assert bounds.kind == "EQD2" and bounds.high is not None
    expected = float(eqd2(20, 5, 3.0) + eqd2(30 + 0.8 * 3, 5, 3.0))
    assert bounds.high.metric("D50%") == pytest.approx(expected, abs=0.5)
    largest = float(eqd2(20, 5, 3.0) + eqd2(30 + 0.8 * HEIGHT / 2, 5, 3.0))
    assert bounds.sum_of_maxima_gy == pytest.approx(largest, abs=0.7)


@pytest.mark.parametrize(("by", "is_aligned"), [(2.0, True), (6.0, False)])
def test_an_organ_that_does_not_lie_on_itself_has_no_bounds(by: float, is_aligned: bool) -> None:
    organ = structure(cylinder(9, HEIGHT), 2.0)
    doses = courses(organ, 0.8)

    bounds = found_bounds(organ, doses, there(organ, doses[1].transform, by))  # type: ignore[arg-type]

    assert (bounds.low is not None) == is_aligned
    assert ("not aligned" in bounds.reason) == (not is_aligned)
    # The slab that is further than the radius from the other organ.
    assert bounds.not_aligned_share == pytest.approx(max(0.0, by - 3) / HEIGHT, abs=0.02)


def test_an_organ_partly_outside_a_dose_still_lies_on_itself() -> None:
    organ = structure(cylinder(9, HEIGHT), 2.0)
    first, second = courses(organ, 0.8)
    grid = second.dose.grid
    part = replace(grid, positions_lps=grid.positions_lps[: grid.shape[0] // 2])
    cut = map_dose(DoseVolume(second.dose.dose_gy[: grid.shape[0] // 2], part), FRAME, moved())

    bounds = found_bounds(organ, [first, cut], there(organ, moved()))

    assert bounds.not_aligned_share == 0 and bounds.high is not None
    assert 0.2 < bounds.high.curve.outside_share < 0.8
    assert not bounds.maxima_are_known, "what has no dose may hold more"
    assert found_bounds(organ, [first, second], there(organ, moved())).maxima_are_known


def test_an_organ_on_one_image_alone_has_a_band_and_no_bounds() -> None:
    organ = structure(cylinder(9, HEIGHT), 2.0)

    bounds = found_bounds(organ, courses(organ, 0.8), None)

    assert bounds.low is None and "every image" in bounds.reason and bounds.not_aligned_share is None
    assert bounds.band_low is not None and bounds.unrestricted_high_gy is not None


def test_nothing_is_searched_where_nothing_was_registered() -> None:
    organ = structure(cylinder(9, HEIGHT), 2.0)
    doses = [courses(organ, 0.8)[0]] * 2

    bounds = bounds_of(organ, sum_on_structure(organ, doses, 3.0), doses, [0.0, 0.0], [None, None])

    assert bounds.low is None and "nothing was registered" in bounds.reason
    assert bounds.sum_of_maxima_gy == pytest.approx(40)


def test_a_sum_above_the_sum_of_maxima_is_a_fault_of_the_registration() -> None:
    """The cord of the second course lies beside a hot target; a wrong registration maps the first cord into it."""
    organ = structure(cylinder(5, HEIGHT), 2.0)
    shift = np.array([14.0, 0, 0])
    right = RigidTransform(np.eye(4), FRAME, OTHER)
    matrix = np.eye(4)
    matrix[:3, 3] = shift
    wrong = RigidTransform(matrix, FRAME, OTHER)
    grid = grid_around((1.5, 1.4, 1.6), (30, 40, 40), frame=OTHER)
    hot = dose_of(lambda p: 10 + 45 / (1 + np.exp(8 - (p - CENTRE)[:, 0])), grid)
    first = map_dose(dose_of(linear((0, 0, 0), 20.0), grid_around()), FRAME, course=Course(10))

    flagged = []
    for transform in (right, wrong):
        doses = [first, map_dose(hot, FRAME, transform, Course(10))]
        total = sum_on_structure(organ, doses, 2.0)
        bounds = bounds_of(organ, total, doses, [0.0, 3.0], [None, organ])
        flagged.append(is_above(total, bounds))

    assert flagged == [False, True]


@pytest.mark.parametrize("shift", [(3.3, -1.7, 2.4), (0.37, 0.21, -0.13), (7.9, 4.6, 1.1)])
def test_a_rough_dose_added_to_itself_under_the_exact_shift_is_no_fault(shift: tuple[float, float, float]) -> None:
    """The sub-voxels of the two organs lie at other phases, so that one finds more than the other."""
    organ = structure(cylinder(9, HEIGHT), 2.0, turn=TURNED)
    matrix = np.eye(4)
    matrix[:3, 3] = shift
    exact = RigidTransform(matrix, FRAME, OTHER)
    grid = grid_around((5.0, 4.0, 4.5), (40, 44, 42))
    rough = DoseVolume(np.random.default_rng(6).uniform(0, 60, grid.shape), grid)
    same = DoseVolume(
        rough.dose_gy,
        replace(grid, positions_lps=grid.positions_lps + np.array(shift), frame_of_reference_uid=OTHER),
    )
    doses = [map_dose(rough, FRAME, course=Course(10)), map_dose(same, FRAME, exact, Course(10))]
    total = sum_on_structure(organ, doses, 2.0)

    bounds = bounds_of(organ, total, doses, [0.0, 3.0], [None, there(organ, exact)])

    assert not is_above(total, bounds)
    # The bounds come from sub-voxels of their own, and must not contradict the sum beside them all the same.
    assert total.eqd2 is not None and bounds.low is not None and bounds.high is not None
    for metric in ("D98%", "D50%", "D2%", "D0.03cc", "Dmax", "Dmin", "Dmean", "V40Gy[%]"):
        low, nominal, high = (found.metric(metric) for found in (bounds.low, total.eqd2, bounds.high))
        assert low <= nominal + 1e-3 and nominal <= high + 1e-3, metric
    assert bounds.high.metric("Dmax") <= bounds.sum_of_ceilings_gy + 1e-6
    # What the flag allows is no more than the sampling leaves open.
    assert bounds.sum_of_maxima_gy < bounds.sum_of_ceilings_gy < 1.15 * bounds.sum_of_maxima_gy


def test_a_registration_that_is_right_to_half_a_millimetre_is_no_fault() -> None:
    """The organ ends in a steep slope of the second dose, so that the sum exceeds the sum of maxima by 1.2 Gy."""
    organ = structure(cylinder(5, HEIGHT), 2.0)
    matrix = np.eye(4)
    matrix[0, 3] = 0.4
    nearly = RigidTransform(matrix, FRAME, OTHER)
    steep = dose_of(linear((4.0, 0, 0), 25.0), grid_around((1.5, 1.4, 1.6), (30, 40, 40), frame=OTHER))
    doses = [
        map_dose(dose_of(linear((0, 0, 0), 20.0), grid_around()), FRAME, course=Course(10)),
        map_dose(steep, FRAME, nearly, Course(10)),
    ]
    total = sum_on_structure(organ, doses, 2.0)

    bounds = bounds_of(organ, total, doses, [0.0, 3.0], [None, organ])

    assert total.eqd2 is not None and total.eqd2.metric("Dmax") > bounds.sum_of_ceilings_gy
    assert not is_above(total, bounds)


def test_an_unrestricted_search_pulls_dose_in_from_the_neighbour() -> None:
    organ = structure(cylinder(5, HEIGHT), 2.0)
    grid = grid_around((1.5, 1.4, 1.6), (30, 40, 40), frame=OTHER)
    hot = dose_of(lambda p: 10 + 45 / (1 + np.exp(4 * (6 - (p - CENTRE)[:, 0]))), grid)
    first = map_dose(dose_of(linear((0, 0, 0), 20.0), grid_around()), FRAME)
    doses = [first, map_dose(hot, FRAME, RigidTransform(np.eye(4), FRAME, OTHER))]

    bounds = found_bounds(organ, doses, organ)

    assert bounds.high is not None and bounds.unrestricted_high_gy is not None
    assert bounds.unrestricted_high_gy > bounds.high.metric("Dmax") + 20


def test_a_mask_knows_what_lies_inside() -> None:
    organ = structure(sphere(10), 2.0, turn=TURNED)
    mask = OrganMask(organ, Steps(0.4, 0.25))
    rng = np.random.default_rng(4)
    directions = rng.normal(size=(500, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)

    assert mask.contains(CENTRE + directions * 9.3).all()
    assert not mask.contains(CENTRE + directions * 10.8).any()
    assert not mask.contains(np.full((1, 3), 1e4)).any()


def test_a_shorter_reach_gives_narrower_bounds() -> None:
    organ = structure(cylinder(9, HEIGHT), 2.0)
    doses = courses(organ, 0.8)

    bounds = found_bounds(organ, doses, there(organ, doses[1].transform), radius=0.5)  # type: ignore[arg-type]

    assert bounds.high is not None and bounds.low is not None
    assert bounds.high.metric("D50%") - bounds.low.metric("D50%") == pytest.approx(0.8, abs=0.1)


@pytest.mark.parametrize("fractions", [None, 5])
def test_no_searched_dose_lies_above_what_the_dose_grids_hold(fractions: int | None) -> None:
    # a peak within a large organ: the sub-voxels of the search are coarse, and steep beside the peak
    organ = structure(sphere(30), 3.0, turn=TURNED)
    transform = moved()
    course = None if fractions is None else Course(fractions)
    first = dose_of(linear((0, 0, 0), 20.0), grid_around(half_mm=(45, 48, 43)))
    grid = grid_around((2.4, 2.0, 1.5), (46, 49, 44), frame=OTHER, centre=CENTRE + SHIFT)
    second = dose_of(lambda p: 60 * np.exp(-((p - CENTRE - SHIFT - [5, 3, -4]) ** 2).sum(axis=1) / (2 * 7.0**2)), grid)
    doses = [map_dose(first, FRAME, course=course), map_dose(second, FRAME, transform, course)]

    bounds = found_bounds(organ, doses, there(organ, transform))

    hottest = float(second.dose_gy.max())
    largest = 20 + hottest if fractions is None else float(eqd2(20, 5, 3.0) + eqd2(hottest, 5, 3.0))
    least = 20.0 if fractions is None else float(eqd2(20, 5, 3.0))
    assert bounds.low is not None and bounds.high is not None and bounds.band_high is not None
    for found in (bounds.low, bounds.high):
        assert found.curve.ceiling_gy <= largest + 1e-6
        assert found.curve.dose_gy[0] >= least - 1e-6
        assert found.metric("D0.03cc") <= found.metric("Dmax")
    assert bounds.high.metric("Dmean") > bounds.low.metric("Dmean")
    assert bounds.band_high.metric("D0.03cc") <= bounds.band_high.metric("Dmax")
