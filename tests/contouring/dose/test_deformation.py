"""Deformations: known ones are found, written, read back, and never used for what they are not good enough for."""

import subprocess
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from scipy.ndimage import map_coordinates

from contouring import read_rtstruct
from contouring.dose.accumulate import map_dose
from contouring.dose.deformation import Deformation, read_deformable_registration
from contouring.dose.deformation_write import write_deformation
from contouring.dose.errors import RegistrationRefused
from contouring.dose.openkbp import export_case
from contouring.dose.register import body_points
from contouring.dose.register_deformable import register_deformable
from contouring.dose.registration_quality import least_jacobian, registration_picture, structure_dice
from contouring.dose.structure import structure_of_region
from contouring.dose.transform import RigidTransform
from contouring.shapes import ellipsoid, rotation
from imaging.geometry import Grid
from imaging.series import Stack, load_volume, scan
from imaging.volume import Region, Volume
from tests.conftest import data_folder, require_program
from tests.contouring.dose.making import CENTRE, FRAME, dose_of, grid_around, linear, points_of_grid, structure
from tests.synthetic.series import write_series

OTHER = "1.2.3.4.5"
MADE_AT = datetime(2026, 3, 4)


def rigid(source: str = FRAME, target: str = OTHER) -> RigidTransform:
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(5, -3, 4)
    matrix[:3, 3] = CENTRE - matrix[:3, :3] @ CENTRE + (4.5, -3.0, 6.5)
    return RigidTransform(matrix, source, target)


def affine(change: np.ndarray, grid: Grid, after: RigidTransform | None = None) -> Deformation:
    """Displacement `change @ (x - centre)`: linear, so trilinear interpolation is exact."""
    vectors = ((points_of_grid(grid) - CENTRE) @ change.T).reshape(*grid.shape, 3)
    after = after or rigid()
    return Deformation(vectors.astype(np.float32), grid, RigidTransform.identity(after.source), after)


CHANGE = np.array([[0.04, 0.02, 0.0], [-0.03, 0.05, 0.01], [0.0, 0.02, -0.06]])


def test_an_affine_deformation_is_exact_with_its_jacobian() -> None:
    deformation = affine(CHANGE, grid_around((4.0, 3.5, 3.0), (34, 37, 31)))
    points = CENTRE + np.random.default_rng(1).uniform(-25, 25, (200, 3))

    assert deformation.covers(points).all() and not deformation.covers(points + 300).any()
    expected = rigid().apply(points + (points - CENTRE) @ CHANGE.T)
    assert np.abs(deformation.apply(points) - expected).max() < 1e-4
    determinant = np.linalg.det(np.eye(3) + CHANGE)
    assert np.abs(deformation.determinants(points) - determinant).max() < 1e-4
    assert np.abs(deformation.source_points(expected) - points).max() < 1e-3


def test_a_deformed_linear_dose_is_the_linear_dose_of_the_deformed_points() -> None:
    deformation = affine(CHANGE, grid_around((4.0, 3.5, 3.0), (34, 37, 31)))
    field = linear((0.5, -0.3, 0.8))
    dose = dose_of(field, grid_around((2.5, 2.0, 1.5), (45, 45, 45), frame=OTHER, centre=CENTRE + 4))
    points = CENTRE + np.random.default_rng(3).uniform(-15, 15, (300, 3))

    sampled = map_dose(dose, FRAME, deformation).sample(points)

    assert sampled.is_known.all()
    assert np.abs(sampled.dose_gy - field(deformation.apply(points))).max() < 1e-3
    whole = rigid().matrix[:3, :3] @ (np.eye(3) + CHANGE)
    assert np.allclose(sampled.gradient_gy_per_mm, np.array([0.5, -0.3, 0.8]) @ whole, atol=1e-3)


def test_beyond_the_nodes_a_dose_is_unknown_and_not_zero() -> None:
    deformation = affine(CHANGE, grid_around((4.0, 3.5, 3.0), (12, 13, 11)))
    dose = dose_of(linear((0, 0, 0), 40.0), grid_around((2.5, 2.0, 1.5), (60, 60, 60), frame=OTHER))

    known = map_dose(dose, FRAME, deformation).sample(CENTRE + np.array([[0, 0, 0], [40.0, 0, 0]])).is_known

    assert known.tolist() == [True, False]


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> list[Stack]:
    folder = tmp_path_factory.mktemp("stacks")
    for n in (1, 2):
        write_series(folder / str(n), study_seed=n)
    return [scan([folder / str(n)]).stacks[0] for n in (1, 2)]


def written(stacks: list[Stack]) -> tuple[Deformation, Dataset]:
    after = rigid(*(s.frame_of_reference_uid for s in stacks))
    grid = grid_around((4.0, 3.5, 3.0), (34, 37, 31), frame=stacks[0].frame_of_reference_uid)
    deformation = affine(CHANGE, grid, after)
    return deformation, write_deformation(deformation, *stacks, made_at=MADE_AT).dataset


def test_the_object_reads_back_as_the_deformation(stacks: list[Stack]) -> None:
    deformation, dataset = written(stacks)

    read = read_deformable_registration(dataset)

    again = read.between(deformation.source, deformation.target)
    points = CENTRE + np.random.default_rng(1).uniform(-25, 25, (200, 3))
    assert np.abs(again.apply(points) - deformation.apply(points)).max() < 1e-3
    assert dataset.PatientName == stacks[0].header.PatientName
    assert "QUALITATIVE" in dataset.SeriesDescription
    with pytest.raises(RegistrationRefused, match="does not lead"):
        read.between(deformation.target, deformation.source)


def test_another_reader_finds_the_same_vectors(stacks: list[Stack]) -> None:
    """By hand from the standard's words, with pydicom alone: x fastest, then y, then z; three 32-bit floats each."""
    deformation, dataset = written(stacks)
    (item,) = dataset.DeformableRegistrationSequence
    (nodes,) = item.DeformableRegistrationGridSequence
    flat = np.frombuffer(nodes.VectorGridData, "<f4")
    columns, rows, _ = nodes.GridDimensions
    i, j, k = 3, 5, 2

    n = 3 * (i + columns * (j + rows * k))
    position = np.array(nodes.ImagePositionPatient, dtype=float)
    across = np.array(nodes.ImageOrientationPatient, dtype=float).reshape(2, 3)
    node = position + i * nodes.GridResolution[0] * across[0] + j * nodes.GridResolution[1] * across[1]
    node = node + k * nodes.GridResolution[2] * np.cross(*across)

    assert np.allclose(flat[n : n + 3], CHANGE @ (node - CENTRE), atol=1e-3)
    post = np.array(item.PostDeformationMatrixRegistrationSequence[0].FrameOfReferenceTransformationMatrix, dtype=float)
    assert np.allclose(post.reshape(4, 4), deformation.after.matrix, atol=1e-9)


@pytest.mark.interop
def test_dciodvfy_finds_no_error(stacks: list[Stack], tmp_path: Path) -> None:
    program = require_program("dciodvfy")
    deformation, _ = written(stacks)
    (tmp_path / "d.dcm").write_bytes(write_deformation(deformation, *stacks, made_at=MADE_AT).encoded)

    outcome = subprocess.run([program, str(tmp_path / "d.dcm")], capture_output=True, text=True, check=False)

    assert [line for line in outcome.stderr.splitlines() if line.startswith("Error")] == []


def broken(dataset: Dataset, **changes: Any) -> Dataset:
    (item,) = dataset.DeformableRegistrationSequence
    (nodes,) = item.DeformableRegistrationGridSequence
    for keyword, value in changes.items():
        setattr(nodes if keyword in nodes else dataset, keyword, value)
    return dataset


@pytest.mark.parametrize(
    "changes",
    [
        {"VectorGridData": b"\0" * 24},
        {"GridResolution": [1.0, 0.0, 1.0]},
        {"GridDimensions": [3, 3]},
        {"ImagePositionPatient": ["0", "0"]},
        {"FrameOfReferenceUID": ""},
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.66.1"},
    ],
    ids=lambda c: next(iter(c)),
)
def test_a_damaged_object_is_refused(stacks: list[Stack], changes: dict[str, Any]) -> None:
    _, dataset = written(stacks)

    with pytest.raises(RegistrationRefused):
        read_deformable_registration(broken(dataset, **changes))


def test_a_fold_within_a_structure_is_seen() -> None:
    grid = grid_around((3.0, 3.0, 3.0), (34, 37, 31), (1, 0, 0, 0, 1, 0))
    x = (points_of_grid(grid) - CENTRE)[:, 0]
    vectors = np.zeros((len(x), 3))
    # Steeper than one to the left in the middle: there the deformation folds.
    vectors[:, 0] = -6 * np.tanh(x / 3)
    deformation = Deformation(
        vectors.reshape(*grid.shape, 3).astype(np.float32), grid, RigidTransform.identity(FRAME), rigid()
    )
    far = structure(ellipsoid(5, 6, 7), centre=CENTRE + np.array([20.0, 0, 0]))

    middle, aside = (least_jacobian(deformation, s) for s in (structure(ellipsoid(9, 7, 8)), far))

    assert middle is not None and aside is not None
    assert middle < 0 < aside


def test_dice_of_an_organ_with_its_image_is_one_and_falls_with_a_shift() -> None:
    organ = structure(ellipsoid(9, 12, 10), 2.0)
    matrix = np.eye(4)
    still = RigidTransform(matrix, FRAME, OTHER)
    matrix = matrix.copy()
    matrix[2, 3] = 5.0
    shifted = RigidTransform(matrix, FRAME, OTHER)

    found = [structure_dice({"Liver": organ, "Heart": organ}, {"Liver": organ}, t) for t in (still, shifted)]

    # Two balls of radius 1 at a distance d have (2 + d/2) (1 - d/2)^2 / 2 in common; along z the radius is 10 mm.
    d = 0.5
    assert found[0] == {"Liver": 1.0}
    assert found[1]["Liver"] == pytest.approx((2 + d / 2) * (1 - d / 2) ** 2 / 2, abs=0.02)


def bodies(known: Deformation, fixed: Grid, moving: Grid) -> tuple[Volume, Volume]:
    """Soft-edged tissue with bones and air: as it is in the moving frame, seen through the deformation in the fixed."""

    def hu(points: np.ndarray) -> np.ndarray:
        x, y, z = (points - CENTRE).T

        def soft(a: float, b: float, c: float, u: float, v: float, w: float) -> np.ndarray:
            r = np.sqrt(((x - u) / a) ** 2 + ((y - v) / b) ** 2 + ((z - w) / c) ** 2)
            return 1 / (1 + np.exp((r - 1) * min(a, b, c) / 1.5))

        values = -1000 + 1030 * soft(44, 36, 40, 0, 0, 0)
        values += 600 * soft(7, 9, 16, 14, 9, -4) + 450 * soft(10, 6, 9, -17, -6, 11)
        values -= 700 * soft(8, 6, 12, -6, 15, 6) - 120 * soft(13, 10, 9, 6, -14, -12)
        return np.asarray(values + 60 * np.sin(x / 6) * np.cos(y / 7) * soft(40, 32, 36, 0, 0, 0))

    back = known.after.inverse()
    there = hu(back.apply(points_of_grid(moving))).reshape(moving.shape)
    here = hu(back.apply(known.apply(points_of_grid(fixed)))).reshape(fixed.shape)
    return Volume(here.astype(np.int16), fixed), Volume(there.astype(np.int16), moving)


def bumps(points: np.ndarray) -> np.ndarray:
    """Two places where tissue has moved by up to 6 mm."""
    found = np.zeros(points.shape)
    for centre, width, move in (((12, 6, -4), 13, (3.5, -3.0, 4.0)), ((-15, -8, 9), 12, (-2.5, 4.5, 2.0))):
        distance = ((points - CENTRE - np.array(centre)) ** 2).sum(axis=1)
        found += np.exp(-distance / (2 * width**2))[:, None] * np.array(move)
    return found


def test_a_known_deformation_is_found_with_its_quality() -> None:
    fixed = grid_around((3.0, 2.6, 2.4), (50, 46, 54))
    known = Deformation(
        bumps(points_of_grid(fixed)).reshape(*fixed.shape, 3).astype(np.float32),
        fixed,
        RigidTransform.identity(FRAME),
        rigid(),
    )
    moving = grid_around((2.7, 2.5, 2.9), (54, 54, 52), (1, 0, 0, 0, 1, 0), CENTRE + np.array([4.5, -3, 6.5]), OTHER)
    volumes = bodies(known, fixed, moving)

    found, quality = register_deformable(*volumes)

    assert isinstance(found, Deformation)
    points = CENTRE + np.random.default_rng(2).uniform(-24, 24, (900, 3))
    points = points[np.linalg.norm(bumps(points), axis=1) > 2.0]
    before = np.linalg.norm(rigid().apply(points) - known.apply(points), axis=1)
    after = np.linalg.norm(found.apply(points) - known.apply(points), axis=1)
    # Demons see edges and guess within even tissue: hence QUALITATIVE.
    assert len(points) > 150 and np.median(before) > 2.5
    assert np.median(after) < 0.5 * np.median(before)
    assert np.quantile(after, 0.95) < 3.0
    assert quality.inverse_consistency_mm < 3.0 and quality.body_dice > 0.98
    assert 0.5 < (least_jacobian(found, structure(ellipsoid(20, 18, 19))) or 0) < 1
    again, _ = register_deformable(*volumes)
    assert isinstance(again, Deformation) and np.array_equal(again.vectors_mm, found.vectors_mm)
    picture = registration_picture(*volumes, found)
    assert picture.startswith(b"\x89PNG") and len(picture) > 20_000


def test_where_nothing_is_deformed_the_rigid_step_is_kept() -> None:
    fixed = grid_around((3.0, 2.6, 2.4), (50, 46, 54))
    still = Deformation(np.zeros((*fixed.shape, 3), dtype=np.float32), fixed, RigidTransform.identity(FRAME), rigid())
    moving = grid_around((2.7, 2.5, 2.9), (54, 54, 52), (1, 0, 0, 0, 1, 0), CENTRE + np.array([4.5, -3, 6.5]), OTHER)

    found, quality = register_deformable(*bodies(still, fixed, moving))

    points = CENTRE + np.random.default_rng(2).uniform(-24, 24, (900, 3))
    assert isinstance(found, RigidTransform) and quality.difference_hu is not None
    assert np.linalg.norm(found.apply(points) - rigid().apply(points), axis=1).max() < 1.0


def test_images_without_anything_in_common_are_not_deformed() -> None:
    grid = grid_around((5, 4, 6), (40, 30, 35))
    noise = [np.random.default_rng(n).integers(-1000, 1000, grid.shape).astype(np.int16) for n in (1, 2)]
    from dataclasses import replace

    other = replace(grid, frame_of_reference_uid=OTHER)

    with pytest.raises(RegistrationRefused):
        register_deformable(Volume(noise[0], grid), Volume(np.roll(noise[1], 5, axis=1), other))


def test_a_rewritten_file_is_the_same(stacks: list[Stack], tmp_path: Path) -> None:
    deformation, dataset = written(stacks)
    (tmp_path / "d.dcm").write_bytes(write_deformation(deformation, *stacks, made_at=datetime(2027, 1, 1)).encoded)

    assert dcmread(tmp_path / "d.dcm").SOPInstanceUID == dataset.SOPInstanceUID
    assert read_deformable_registration(tmp_path / "d.dcm").registered == deformation.source


def displaced(points: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """A smooth displacement of up to 6 mm."""
    x, y, z = ((points - centre) / (60.0, 55.0, 50.0)).T
    waves = [np.sin(y) * np.cos(z), np.sin(z + 0.7) * np.cos(0.8 * x), np.sin(x - 0.4) * np.cos(y)]
    return np.asarray(4.0 * np.stack(waves, axis=1))


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Volume:
    """A head and neck of 5.4 x 5.4 x 3 mm."""
    folder = tmp_path_factory.mktemp("real")
    export_case(data_folder("openkbp"), "pt_201", folder)
    return load_volume(scan([folder / "CT"]).stacks[0])


@pytest.mark.data
@pytest.mark.slow
def test_a_known_deformation_of_a_real_case_is_found_and_accepted(tmp_path: Path) -> None:
    """A case as first course; the same one, deformed by a known field, as second."""
    made = export_case(data_folder("openkbp"), "pt_201", tmp_path)
    volume = load_volume(scan([tmp_path / "CT"]).stacks[0])
    grid = volume.grid
    points = points_of_grid(grid)
    centre = points.mean(axis=0)
    origin = points.copy()
    for _ in range(30):
        origin = points - displaced(origin, centre)
    index = np.linalg.solve(volume.affine_lps[:3, :3], (origin - volume.affine_lps[:3, 3]).T)
    array = map_coordinates(volume.array.astype(np.float32), index, order=1, cval=-1000.0).reshape(grid.shape)
    moving = Volume(np.rint(array).astype(np.int16), replace(grid, frame_of_reference_uid=OTHER))

    found, quality = register_deformable(volume, moving)

    assert isinstance(found, Deformation)
    body = body_points(volume)
    missed = np.linalg.norm(found.apply(body) - body - displaced(body, centre), axis=1)
    assert np.median(missed) < 1.5
    assert quality.inverse_consistency_mm < 3.0
    assert found.determinants(body).min() > 0.5
    # The structures of the first image, and the same voxels carried along: overlap after, and without the registration.
    regions = [s for s in read_rtstruct(made.rtstruct, grid).structures if s.region.voxel_count > 300]
    own = {s.name: structure_of_region(s.region, grid) for s in regions}
    moved = {}
    for item in regions:
        carried = map_coordinates(item.region.mask().astype(np.float32), index, order=1).reshape(grid.shape) >= 0.5
        moved[item.name] = structure_of_region(Region.from_mask(carried), moving.grid)
    nothing = RigidTransform(np.eye(4), grid.frame_of_reference_uid, OTHER)
    after, before = (structure_dice(own, moved, t) for t in (found, nothing))
    # The targets are shells of one or two voxels, where half a voxel is half of the overlap.
    assert len(after) >= 5 and all(after[name] > before[name] for name in after)
    assert min(dice for name, dice in after.items() if not name.startswith("PTV")) > 0.8
    assert registration_picture(volume, moving, found).startswith(b"\x89PNG")


@pytest.mark.data
@pytest.mark.slow
def test_a_real_image_and_itself_moved_are_not_deformed(real: Volume) -> None:
    shift = np.array([7.3, -4.1, 5.2])
    there = replace(real.grid, frame_of_reference_uid=OTHER, positions_lps=real.grid.positions_lps + shift)

    found, _ = register_deformable(real, Volume(real.array, there))

    body = body_points(real)
    assert isinstance(found, RigidTransform)
    assert np.linalg.norm(found.apply(body) - body - shift, axis=1).max() < 0.5


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("planted", ["another patient", "a few slices"])
def test_a_real_image_that_does_not_fit_is_not_deformed(real: Volume, planted: str, tmp_path: Path) -> None:
    if planted == "another patient":
        export_case(data_folder("openkbp"), "pt_202", tmp_path)
        other = load_volume(scan([tmp_path / "CT"]).stacks[0])
        moving = Volume(other.array, replace(other.grid, frame_of_reference_uid=OTHER))
    else:
        # The lowest slices, laid upside down and a body's width away: a wrong series of the right patient.
        kept = replace(
            real.grid,
            positions_lps=real.grid.positions_lps[:14] + np.array([0, 0, 260.0]),
            frame_of_reference_uid=OTHER,
        )
        moving = Volume(np.ascontiguousarray(real.array[13::-1]), kept)

    with pytest.raises(RegistrationRefused):
        register_deformable(real, moving)
