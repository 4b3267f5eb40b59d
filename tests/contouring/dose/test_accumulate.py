"""Sums of doses: linear fields on unequal grids are exact, orders commute, nothing is added by guess."""

from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import SpatialRegistrationStorage

from contouring.dose import DoseVolume, read_rtdose
from contouring.dose.accumulate import MappedDose, check_summable, map_dose, sum_on_structure, summed
from contouring.dose.course_grids import Eqd2Grids, sum_of_grids
from contouring.dose.errors import (
    DifferentPatients,
    DuplicateDose,
    FractionCountUnknown,
    FractionDoseAsPlan,
    MixedDoseType,
    NoRegistration,
    OutsideDoseGrid,
    RegistrationRefused,
)
from contouring.dose.radiobiology import Course, bed, eqd2, equivalent_in_fractions
from contouring.dose.resample import sum_on_grid, union_grid
from contouring.dose.rtplan import read_rtplan
from contouring.dose.transform import RigidTransform, move_alike, read_registration
from contouring.shapes import rotation, sphere
from reports.dose.sentences import sentence_words
from tests.contouring.dose import truth
from tests.contouring.dose.making import (
    CENTRE,
    FFP,
    FRAME,
    HFS,
    dose_dataset,
    dose_of,
    grid_around,
    linear,
    plan_dataset,
    points_of_grid,
    structure,
)
from tests.synthetic.series import OBLIQUE

OTHER = "1.2.3.4.5"


def rigid(degrees: float = 10.0, shift: tuple[float, float, float] = (3.7, -2.2, 5.1)) -> RigidTransform:
    """From the reference frame to the other one: about the centre, then along."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(degrees, -degrees / 2, degrees / 3)
    matrix[:3, 3] = CENTRE - matrix[:3, :3] @ CENTRE + shift
    return RigidTransform(matrix, FRAME, OTHER)


def registration_object(transform: RigidTransform, **changes: Any) -> Dataset:
    """A Spatial Registration of the other frame to the reference."""
    matrix = np.linalg.inv(transform.matrix)
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID, ds.PatientID = SpatialRegistrationStorage, "1.2.3", "TEST0001"
    ds.FrameOfReferenceUID = transform.source
    items = []
    for frame, values in ((transform.source, np.eye(4)), (transform.target, matrix)):
        part = Dataset()
        part.FrameOfReferenceTransformationMatrixType = changes.get("kind", "RIGID")
        part.FrameOfReferenceTransformationMatrix = [f"{v:.12g}" for v in (values * changes.get("scale", 1.0)).ravel()]
        step = Dataset()
        step.MatrixSequence = DicomSequence([part])
        item = Dataset()
        item.FrameOfReferenceUID = frame
        item.MatrixRegistrationSequence = DicomSequence([step])
        items.append(item)
    ds.RegistrationSequence = DicomSequence(items)
    return ds


def two_gradients(second_grid: Any = None) -> list[MappedDose]:
    first = dose_of(linear((1.0, 0, 0), 20.0), grid_around((2.0, 1.7, 2.3)))
    second = dose_of(linear((0, 0.7, 0.4), 15.0), second_grid or grid_around((3.1, 2.2, 1.9), (30, 28, 33), FFP))
    return [map_dose(first, FRAME, course=Course(35)), map_dose(second, FRAME, course=Course(20))]


def test_two_linear_gradients_are_a_linear_gradient() -> None:
    found = sum_on_structure(structure(sphere(12), 1.0), two_gradients(), 3.0)

    total = float(np.linalg.norm((1.0, 0.7, 0.4)))
    for share in (95.0, 50.0, 5.0):
        expected = 35 + total * truth.height_of(truth.sphere_cap(12), share / 100, 12)
        assert found.physical.metric(f"D{share:g}%") == pytest.approx(expected, abs=0.05)
    points = CENTRE + np.random.default_rng(3).uniform(-12, 12, (500, 3))
    assert summed(two_gradients())(points).dose_gy == pytest.approx(35 + (points - CENTRE) @ (1.0, 0.7, 0.4), abs=1e-9)


def test_the_written_sum_is_exact_for_linear_fields() -> None:
    doses = two_gradients()
    grid = union_grid(doses, (np.array(HFS[:3]), np.array(HFS[3:])), FRAME)

    found = sum_on_grid(doses, grid)

    expected = 35 + (points_of_grid(grid) - CENTRE) @ (1.0, 0.7, 0.4)
    there = found.is_known.ravel()
    assert there.mean() > 0.2
    assert np.abs(found.volume.dose_gy.ravel() - expected)[there].max() < 0.01


@pytest.mark.parametrize("orientation", [HFS, OBLIQUE], ids=["parallel", "turned"])
def test_the_fast_way_along_axes_is_the_plain_way(orientation: tuple[float, ...]) -> None:
    rng = np.random.default_rng(8)
    source = grid_around((3.0, 2.5, 2.2), (9, 12, 10), HFS, steps_mm=(3.0, 2.0, 2.0, 5.0, 3.0, 3.5, 2.5))
    mapped = map_dose(DoseVolume(rng.uniform(0, 60, source.shape), source), FRAME)
    grid = grid_around((2.1, 1.3, 1.7), (11, 13, 9), orientation)

    found = sum_on_grid([mapped], grid)

    plain = mapped.sample(points_of_grid(grid))
    assert np.array_equal(found.is_known.ravel(), plain.is_known)
    assert np.abs(found.volume.dose_gy.ravel() - plain.dose_gy).max() < 1e-4


def test_a_known_rigid_shift_leads_back_to_the_same_field() -> None:
    to_other = rigid()
    field = linear((0.5, -0.3, 0.8))
    there = dose_of(
        lambda p: field(to_other.inverse().apply(p)), grid_around((2.5, 2.0, 1.5), frame=OTHER, centre=CENTRE + 4)
    )
    read = read_registration(registration_object(to_other)).between(OTHER, FRAME)

    mapped = map_dose(there, FRAME, read)

    points = CENTRE + np.random.default_rng(3).uniform(-10, 10, (300, 3))
    sampled = mapped.sample(points)
    assert sampled.dose_gy == pytest.approx(field(points), abs=1e-6)
    assert np.allclose(sampled.gradient_gy_per_mm, (0.5, -0.3, 0.8), atol=1e-6)
    backwards = to_other.then(to_other.inverse())
    assert np.allclose(backwards.matrix, np.eye(4))


def test_values_alone_are_those_of_the_plain_way() -> None:
    rng = np.random.default_rng(8)
    grid = grid_around((3.0, 2.5, 2.2), (9, 12, 10), steps_mm=(3.0, 2.0, 2.0, 5.0, 3.0, 3.5, 2.5))
    dose = DoseVolume(rng.uniform(0, 60, grid.shape).astype(np.float32), grid)
    points = np.concatenate([CENTRE + rng.uniform(-20, 20, (3000, 3)), points_of_grid(grid)])

    values, known = dose.values(points)

    plain = dose.sample(points)
    assert np.array_equal(known, plain.is_known) and 0 < known.mean() < 1
    assert np.abs(values - plain.dose_gy).max() < 1e-4


def test_even_doses_give_the_closed_sum_of_eqd2() -> None:
    grid = grid_around((3.0, 2.5, 2.2))
    doses = [
        map_dose(dose_of(lambda p, d=d: np.full(len(p), d), grid), FRAME, course=Course(n))  # type: ignore[misc]
        for d, n in ((70.0, 35), (40.0, 20), (8.0, 1))
    ]
    points = CENTRE[None]

    for ratio in (2.0, 3.0, 10.0):
        expected = sum(d * (d / n + ratio) / (2 + ratio) for d, n in ((70.0, 35), (40.0, 20), (8.0, 1)))
        assert summed(doses, ratio)(points).dose_gy[0] == pytest.approx(expected, abs=1e-9)
        assert summed(doses[::-1], ratio)(points).dose_gy[0] == pytest.approx(expected, abs=1e-12 * expected)


def test_mean_eqd2_of_a_linear_field() -> None:
    dose = map_dose(dose_of(linear((1.0, 0, 0), 30.0), grid_around()), FRAME, course=Course(10))

    found = sum_on_structure(structure(sphere(12), 1.0), [dose], 3.0)

    variance = 144 / 5
    expected = ((900 + variance) / 10 + 3 * 30) / 5
    assert found.eqd2 is not None
    assert found.eqd2.metric("Dmean") == pytest.approx(expected, abs=0.02)


def test_converting_before_interpolating_would_be_seen() -> None:
    """The planted fault: EQD2 of voxels, interpolated, differs at mid-voxel by (dD)^2 / (4 n (2 + ab))."""
    grid = grid_around((5.0, 5.0, 5.0), orientation=HFS)
    field = linear((1.0, 0, 0), 30.0)
    mapped = map_dose(dose_of(field, grid), FRAME, course=Course(5))
    middle = grid.points_lps(4, np.array([[3.5, 4.0]]))

    right = summed([mapped], 3.0)(middle).dose_gy[0]
    wrong = dose_of(lambda p: eqd2(field(p), 5, 3.0), grid).sample(middle).dose_gy[0]

    assert right == pytest.approx(float(eqd2(field(middle), 5, 3.0)[0]), abs=1e-9)
    assert wrong - right == pytest.approx(25 / (4 * 5 * 5), abs=1e-6)


def test_recovery_takes_its_share_and_needs_a_reason() -> None:
    dose = dose_of(linear((0, 0, 0), 50.0), grid_around())
    half = map_dose(dose, FRAME, course=Course(25, recovery=0.25, recovery_reason="24 months"))

    assert summed([half], 2.0)(CENTRE[None]).dose_gy[0] == pytest.approx(0.75 * 50)
    with pytest.raises(ValueError, match="reason"):
        Course(25, recovery=0.25)


def test_closed_forms_of_the_model() -> None:
    assert float(bed(60, 30, 10)) == pytest.approx(72)
    same = equivalent_in_fractions(30, 10, 25, 3.0)
    assert float(bed(same, 25, 3.0)) == pytest.approx(float(bed(30, 10, 3.0)))


def test_no_eqd2_without_fractions() -> None:
    dose = map_dose(dose_of(linear((1.0, 0, 0)), grid_around()), FRAME)

    found = sum_on_structure(structure(sphere(12)), [dose], 3.0)

    assert found.eqd2 is None and found.course_eqd2 == ()
    with pytest.raises(FractionCountUnknown):
        summed([dose], 3.0)
    with pytest.raises(FractionCountUnknown):
        sum_on_grid([dose], dose.dose.grid, 3.0)
    with pytest.raises(FractionCountUnknown):
        Course(0)


def test_frames_are_related_or_refused() -> None:
    dose = dose_of(linear((1.0, 0, 0)), grid_around(frame=OTHER))

    with pytest.raises(NoRegistration):
        map_dose(dose, FRAME)
    with pytest.raises(NoRegistration):
        map_dose(dose_of(linear((1.0, 0, 0)), grid_around(frame="")), "")
    with pytest.raises(RegistrationRefused):
        map_dose(dose, FRAME, RigidTransform(np.eye(4), FRAME, "1.9.9"))
    with pytest.raises(RegistrationRefused):
        read_registration(registration_object(rigid())).between(OTHER, "1.9.9")


def test_a_small_turn_is_another_registration() -> None:
    way = rigid()
    matrix = way.matrix.copy()
    matrix[:3, :3] = rotation(0.04, 0, 0) @ matrix[:3, :3]

    assert np.abs(matrix - way.matrix).max() < 1e-3, "0.3 mm at the far side of a patient"
    assert not move_alike(way, RigidTransform(matrix, FRAME, OTHER))
    rounded = RigidTransform(np.round(way.matrix, 5), FRAME, OTHER)
    assert move_alike(way, rounded), "written with fewer digits"


@pytest.mark.parametrize("changes", [{"scale": 1.01}, {"kind": "AFFINE"}, {"scale": -1.0}])
def test_only_rigid_matrices_are_taken(changes: dict[str, Any]) -> None:
    with pytest.raises(RegistrationRefused):
        read_registration(registration_object(rigid(), **changes))


def read_pair(**second: Any) -> list[DoseVolume]:
    grid = grid_around((3.0, 2.5, 2.2), (9, 12, 10))
    dose = dose_of(linear((0.3, 0, 0)), grid).dose_gy
    return [read_rtdose(dose_dataset(dose, grid, 1)), read_rtdose(dose_dataset(dose, grid, 2, **second))]


@pytest.mark.parametrize(
    ("attributes", "refusal"),
    [
        ({"PatientID": "TEST0002"}, DifferentPatients),
        ({"PatientBirthDate": "19700101"}, DifferentPatients),
        ({"DoseType": "EFFECTIVE"}, MixedDoseType),
        ({"DoseType": None}, MixedDoseType),
        ({"DoseSummationType": "FRACTION"}, FractionDoseAsPlan),
        ({"DoseSummationType": "BEAM"}, FractionDoseAsPlan),
    ],
)
def test_what_makes_no_sum_is_refused(attributes: dict[str, Any], refusal: type[Exception]) -> None:
    check_summable(read_pair())
    with pytest.raises(refusal):
        check_summable(read_pair(**attributes))


def test_the_same_dose_twice_is_refused() -> None:
    first, _ = read_pair()

    with pytest.raises(DuplicateDose):
        check_summable([first, first])


def test_fractions_and_prescription_come_from_the_plan() -> None:
    plan = read_rtplan(plan_dataset(35, prescription_gy=70.0))

    assert (plan.fraction_count(), plan.prescription_gy, plan.needs_rbe) == (35, 70.0, False)
    with pytest.raises(FractionCountUnknown):
        read_rtplan(plan_dataset(None)).fraction_count()


def test_an_organ_half_in_one_grid_is_half_known() -> None:
    whole = map_dose(dose_of(linear((0, 0, 1.0)), grid_around(orientation=HFS)), FRAME, course=Course(30))
    part_grid = grid_around((2.0, 1.7, 2.3), (11, 30, 30), HFS, centre=CENTRE + np.array([0, 0, 11.0]))
    part = map_dose(dose_of(linear((0, 0, 1.0)), part_grid), FRAME, course=Course(5))
    height = float(part_grid.positions_lps[0, 2] - CENTRE[2])

    found = sum_on_structure(structure(sphere(12), 1.0), [whole, part], 3.0)

    unknown = 1 - truth.sphere_cap(12)(height) / sphere(12).volume_mm3
    assert found.physical.curve.outside_share == pytest.approx(unknown, abs=0.008)
    assert found.courses[0].curve.outside_share == 0


def test_a_structure_without_a_dose_says_which_dose_does_not_reach_it() -> None:
    def course(across: float, half: float = 30.0) -> MappedDose:
        centre = CENTRE + np.array([0, 0, across])
        return map_dose(dose_of(linear((0.2, 0, 0), 40.0), grid_around(half_mm=(half, 30, 30), centre=centre)), FRAME)

    organ = structure(sphere(9), 1.0)
    cases = {
        "grid of dose B;": [course(0), course(90)],
        "grid of dose A, C;": [course(-90), course(0), course(90)],
        "No point of the structure has all doses;": [course(-14, 9), course(14, 9)],
    }
    for words, doses in cases.items():
        with pytest.raises(OutsideDoseGrid, match=words) as refused:
            sum_on_structure(organ, doses, 3.0)
        assert sentence_words(refused.value.message)[0] != refused.value.message
    with pytest.raises(OutsideDoseGrid, match="outside the dose grid"):
        sum_on_structure(organ, [course(90)], 3.0)


def test_all_histograms_of_a_structure_lie_on_the_same_sub_voxels() -> None:
    steep = dose_of(linear((3.0, 1.0, -2.0), 60.0), grid_around((2.0, 1.7, 2.3)))
    even = dose_of(linear((0.0, 0.02, 0.01), 30.0), grid_around((3.1, 2.2, 1.9), (30, 28, 33), FFP))
    doses = [map_dose(steep, FRAME, course=Course(35)), map_dose(even, FRAME, course=Course(35))]

    found = sum_on_structure(structure(sphere(9.3)), doses, 2.0)

    assert found.eqd2 is not None
    every = [*found.courses, found.physical, *found.course_eqd2, found.eqd2]
    assert len({d.steps for d in every}) == len({d.sub_voxels for d in every}) == 1
    means = [d.curve.mean_gy for d in every]
    assert means[0] + means[1] == pytest.approx(means[2], rel=1e-12)
    assert means[3] + means[4] == pytest.approx(means[5], rel=1e-12)


# A dose on sagittal planes: rows run from front to back, columns from head to feet, planes from right to left.
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)


@pytest.mark.parametrize(
    ("orientation", "along_xyz"), [(SAGITTAL, (5.0, 1.2, 1.5)), (CORONAL, (1.2, 5.0, 1.5)), (HFS, (1.2, 1.5, 5.0))]
)
@pytest.mark.parametrize("is_turned", [False, True])
def test_the_grid_of_a_sum_has_the_spacings_of_its_doses_along_their_own_axes(
    orientation: tuple[float, ...], along_xyz: tuple[float, ...], is_turned: bool
) -> None:
    # Planes 5 mm apart, 1.5 mm between rows, 1.2 mm between columns, whichever way they are turned.
    grid = grid_around((5.0, 1.5, 1.2), (13, 41, 52), orientation, frame=OTHER if is_turned else FRAME)
    field = linear((0.8, -0.5, 0.3), 40.0)
    doses = [map_dose(dose_of(field, grid), FRAME, rigid(6.0) if is_turned else None)]

    made = union_grid(doses, (np.array(HFS[:3]), np.array(HFS[3:])), FRAME)

    assert (made.pixel_spacing_mm[1], made.pixel_spacing_mm[0], made.spacing_mm[0]) == pytest.approx(along_xyz)
    total = sum_on_grid(doses, made)
    at = points_of_grid(made)[total.is_known.ravel()]
    wanted = field(rigid(6.0).apply(at) if is_turned else at)
    assert np.abs(total.volume.dose_gy[total.is_known] - wanted).max() < 1e-3
    assert total.is_known.mean() > (0.3 if is_turned else 0.9)


def test_eqd2_on_the_grid_is_made_when_asked_for_and_converted_dose_by_dose() -> None:
    grid = grid_around()
    fields = linear((0.9, -0.4, 0.2), 40.0), linear((-0.3, 0.5, 0.6), 25.0)
    doses = [map_dose(dose_of(f, grid), FRAME, course=Course(n)) for f, n in zip(fields, (30, 5), strict=True)]
    courses = tuple(sum_on_grid([d], grid) for d in doses)
    found = Eqd2Grids(tuple(doses), courses, (2.0, 10.0))
    points = points_of_grid(grid)

    for ratio in found:
        total = found[ratio]
        wanted = sum(eqd2(np.asarray(f(points)), n, ratio) for f, n in zip(fields, (30, 5), strict=True))
        assert total.volume.facts.dose_type == "EFFECTIVE"
        assert np.abs(total.volume.dose_gy.ravel() / wanted - 1).max() < 3e-7
        assert np.array_equal(total.volume.dose_gy, sum_on_grid(doses, grid, ratio).volume.dose_gy)
    physical = sum_of_grids(doses, courses)
    assert np.array_equal(physical.volume.dose_gy, sum_on_grid(doses, grid).volume.dose_gy)
    assert (len(found), found.get(3.0)) == (2, None)
