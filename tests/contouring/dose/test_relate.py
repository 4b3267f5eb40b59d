"""Sums over three frames: each foreign frame takes the object that relates it, and nothing is taken by guess."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from typer.testing import CliRunner

from contouring.dose.assess import AssessOptions, assess
from contouring.dose.assessment import DoseAssessment
from contouring.dose.errors import DoseError, NoRegistration, RegistrationRefused
from contouring.dose.registration_write import write_registration
from contouring.dose.transform import RigidTransform
from contouring.shapes import rotation
from dicom_gateway.cli.dose import app
from imaging.series import Stack, scan
from reports.dose.sentences import sentence_words
from tests.contouring.dose.making import dose_dataset, grid_around, linear, points_of_grid
from tests.reports.dose_case import CENTRE_LPS, MADE_AT, SERIES, body, two_courses
from tests.synthetic.series import write_series

GRADIENTS = ((0.11, -0.07, 0.05), (-0.06, 0.13, 0.09), (0.04, 0.08, -0.12))
SHIFTS = ((0.0, 0.0, 0.0), (7.3, -4.2, 5.5), (-12.5, 9.75, 3.25))
TURNS = (np.eye(3), rotation(3, -5, 7), rotation(-8, 2, 4))


@dataclass(frozen=True)
class ThreeCourses:
    """One image and its structures, doses of three frames, and the files of registrations by name."""

    folder: Path
    rtstruct: Path
    doses: tuple[Path, ...]
    stacks: tuple[Stack, ...]
    ways: tuple[RigidTransform, ...]

    def registration(self, number: int, wrong_mm: float = 0.0, *, backwards: bool = False) -> Dataset:
        """The object that relates the image and the frame of this number; backwards: registered to that frame."""
        matrix = self.ways[number].matrix.copy()
        matrix[1, 3] += wrong_mm
        way = RigidTransform(matrix, self.ways[number].source, self.ways[number].target)
        if backwards:
            return write_registration(way.inverse(), self.stacks[number], self.stacks[0], made_at=MADE_AT).dataset
        return write_registration(way, self.stacks[0], self.stacks[number], made_at=MADE_AT).dataset

    def summed(self, *registrations: Dataset, count: int = 3) -> DoseAssessment:
        """The sum of the first doses, without histograms of much."""
        options = AssessOptions(registrations=registrations)
        return assess(self.rtstruct, self.doses[:count], self.stacks[0], made_at=MADE_AT, options=options)


def affine(number: int) -> NDArray[np.float64]:
    """From the frame of the image to that of the dose, about the centre of the target."""
    matrix = np.eye(4)
    matrix[:3, :3] = TURNS[number]
    matrix[:3, 3] = CENTRE_LPS - TURNS[number] @ CENTRE_LPS + SHIFTS[number]
    return matrix


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> ThreeCourses:
    folder = tmp_path_factory.mktemp("three")
    case = two_courses(folder)
    stacks = [scan([case.images]).stacks[0]]
    for seed in (5, 6):
        for file in write_series(folder / f"other{seed}", study_seed=seed):
            image = dcmread(file)
            image.PatientID = stacks[0].header.PatientID
            image.save_as(file)
        stacks.append(scan([folder / f"other{seed}"]).stacks[0])
    frames = [s.frame_of_reference_uid for s in stacks]
    doses = []
    for n, frame in enumerate(frames):
        centre = CENTRE_LPS + SHIFTS[n]
        grid = grid_around((3.0 + n / 2, 2.6, 2.9 - n / 3), (75.0, 88.0, 81.0), centre=centre, frame=frame)
        values = linear(GRADIENTS[n], 41.0 - 7 * n, centre)(points_of_grid(grid)).reshape(grid.shape)
        ds = dose_dataset(values, grid, 30 + n, StudyInstanceUID=stacks[0].study_instance_uid)
        ds.save_as(folder / f"linear{n}.dcm", enforce_file_format=True)
        doses.append(folder / f"linear{n}.dcm")
    ways = tuple(RigidTransform(affine(n), frames[0], frame) for n, frame in enumerate(frames))
    return ThreeCourses(folder, case.rtstruct, tuple(doses), tuple(stacks), ways)


def truth(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sum in closed form, at points of the image's frame."""
    total = np.zeros(len(points))
    for n in range(3):
        there = points @ affine(n)[:3, :3].T + affine(n)[:3, 3]
        total += linear(GRADIENTS[n], 41.0 - 7 * n, CENTRE_LPS + SHIFTS[n])(there)
    return total


@pytest.mark.parametrize("backwards", [False, True])
def test_three_linear_doses_of_three_frames_are_summed_by_two_objects(three: ThreeCourses, *, backwards: bool) -> None:
    objects = [three.registration(2), three.registration(1, backwards=backwards)]

    found = three.summed(*objects)

    uids = [str(o.SOPInstanceUID) for o in objects]
    assert [(c.transform_source, c.registration_uid) for c in found.courses] == [
        ("same_frame", ""), ("object", uids[1]), ("object", uids[0]),
    ]  # fmt: skip
    total = found.grids.physical
    expected = truth(points_of_grid(total.volume.grid)).reshape(total.volume.dose_gy.shape)
    assert total.is_known.mean() > 0.3
    assert np.abs(total.volume.dose_gy - expected)[total.is_known].max() < 1e-4
    target = found.structure("PTV_7000")
    assert target is not None and target.physical.curve.outside_share == 0
    assert target.physical.metric("Dmean") == pytest.approx(truth(CENTRE_LPS[None])[0], abs=0.05)


def test_one_object_for_all_frames_and_the_same_one_twice_say_the_same(three: ThreeCourses) -> None:
    both = three.registration(1)
    both.RegistrationSequence.append(three.registration(2).RegistrationSequence[1])

    first, again = three.summed(both), three.summed(three.registration(1), both, three.registration(1))

    assert [c.transform_source for c in first.courses[1:]] == ["object", "object"]
    assert np.array_equal(first.grids.physical.volume.dose_gy, again.grids.physical.volume.dose_gy, equal_nan=True)


REFUSED: dict[str, tuple[Callable[[ThreeCourses], Sequence[Dataset]], int, type[DoseError], str]] = {
    "two that differ": (
        lambda c: [c.registration(1), c.registration(2), c.registration(2, 0.5)], 3, RegistrationRefused, "they differ",
    ),
    "one is missing": (lambda c: [c.registration(1)], 3, NoRegistration, "Dose C lies in .* give one for it too"),
    "one is not needed": (
        lambda c: [c.registration(1), c.registration(2)], 2, RegistrationRefused, "other frames of reference",
    ),
    "one is not of the image": (
        lambda c: [c.registration(1), elsewhere(c)], 3, RegistrationRefused, "other frames of reference",
    ),
    "none": (lambda _: [], 3, NoRegistration, "give --registration"),
}  # fmt: skip


def elsewhere(case: ThreeCourses) -> Dataset:
    """An object between the frames of the two other images."""
    way = RigidTransform(np.eye(4), case.ways[1].target, case.ways[2].target)
    return write_registration(way, case.stacks[1], case.stacks[2], made_at=MADE_AT).dataset


@pytest.mark.parametrize("name", REFUSED)
def test_what_leaves_open_how_a_dose_came_to_the_image_is_refused(three: ThreeCourses, name: str) -> None:
    given, count, kind, words = REFUSED[name]

    with pytest.raises(kind, match=words) as refused:
        three.summed(*given(three), count=count)

    assert refused.value.message.endswith(".") and len(refused.value.message.splitlines()) == 1
    assert sentence_words(refused.value.message)[0] != refused.value.message, "it has Chinese words"


def test_where_no_dose_needs_it_an_object_of_the_image_is_told_as_not_used(three: ThreeCourses) -> None:
    found = three.summed(three.registration(1), three.registration(2), count=1)

    assert any("No registration was used" in w for w in found.warnings)


@pytest.mark.slow
def test_a_frame_without_an_object_is_computed_beside_one_that_has_it(three: ThreeCourses, tmp_path: Path) -> None:
    for file in write_series(tmp_path / "again", replace(SERIES, study_seed=9), pixels=body):
        image = dcmread(file)
        image.PatientID = three.stacks[0].header.PatientID
        image.save_as(file)
    again = scan([tmp_path / "again"]).stacks[0]
    third = dcmread(three.doses[2])
    third.FrameOfReferenceUID = again.frame_of_reference_uid

    found = assess(
        three.rtstruct, [*three.doses[:2], third], three.stacks[0], made_at=MADE_AT, others=[*three.stacks, again],
        options=AssessOptions(registrations=(three.registration(1),), register="rigid"),
    )  # fmt: skip

    assert [c.transform_source for c in found.courses] == ["same_frame", "object", "computed_rigid"]
    assert set(found.registrations) == {found.courses[2].registration_uid}, "only what was computed is written"
    assert np.allclose(found.mapped[2].transform.apply(CENTRE_LPS[None]), CENTRE_LPS, atol=0.5)


@pytest.mark.slow
def test_the_command_takes_an_object_for_each_frame(three: ThreeCourses, tmp_path: Path) -> None:
    for n in (1, 2):
        three.registration(n).save_as(tmp_path / f"reg{n}.dcm", enforce_file_format=True)
    command = ["sum", *(str(f) for f in three.doses), "--rtstruct", str(three.rtstruct)]
    command += ["--series", str(three.folder / "images"), "--out", str(tmp_path / "out")]

    outcome = CliRunner().invoke(
        app, [*command, "--registration", str(tmp_path / "reg1.dcm"), "--registration", str(tmp_path / "reg2.dcm")]
    )

    assert outcome.exit_code == 0, outcome.output
    written = dcmread(tmp_path / "out" / "sum_physical.dcm")
    named = {str(r.ReferencedSOPInstanceUID) for r in written.ReferencedSpatialRegistrationSequence}
    assert named == {str(three.registration(n).SOPInstanceUID) for n in (1, 2)}
