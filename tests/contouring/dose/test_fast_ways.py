"""The quick ways of the histograms against the plain ones: distances by brute force, lattices point by point."""

import numpy as np
import pytest

from contouring.contours import Contours
from contouring.dose import DoseVolume, PlanarStructure, structure_of_contours
from contouring.dose.accumulate import map_dose
from contouring.dose.distance import Lattice, signed_distances_mm
from contouring.dose.places import turned
from contouring.dose.resample import sum_on_grid
from contouring.dose.solid import Steps, SubVoxelSource, sub_voxels
from contouring.dose.transform import RigidTransform
from contouring.shapes import ellipsoid, rotation, torus
from tests.contouring.dose.making import CENTRE, FFP, FRAME, HFS, TURNED, grid_around, points_of_grid, structure
from tests.synthetic.series import OBLIQUE

OTHER = "1.2.3.4.5"


def wavy(points: int, radius: float = 11.0) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False)
    r = radius * (1 + 0.25 * np.sin(5 * angle) + 0.1 * np.cos(2 * angle))
    return np.stack([r * np.cos(angle) + 3.3, 0.7 * r * np.sin(angle) - 1.2], axis=1)


@pytest.mark.parametrize("points", [7, 40, 900])
def test_distances_are_those_to_the_nearest_of_all_edges(points: int) -> None:
    outer, hole = wavy(points), 0.3 * wavy(points)
    planes = PlanarStructure(np.array([0.0]), ((outer, hole),), np.eye(3), thickness_mm=2.0)
    lattice = Lattice((-16.1, -14.3), 0.45, 61, 80)

    found = signed_distances_mm(planes, lattice, 9.0)[0]

    asked = np.stack([a.ravel() for a in np.meshgrid(lattice.x_mm, lattice.y_mm)], axis=1)
    plain = np.full(len(asked), 9.0)
    for ring in (outer, hole):
        for begin, end in zip(ring, np.roll(ring, -1, axis=0), strict=True):
            along = end - begin
            t = np.clip((asked - begin) @ along / (along @ along), 0, 1)
            plain = np.minimum(plain, np.linalg.norm(asked - begin - t[:, None] * along, axis=1))
    off = np.abs(np.abs(found).ravel() - plain)
    # Where two parts of the boundary are as near to within a step, the farther one may be taken.
    assert np.quantile(off, 0.98) < 1e-4
    assert off.max() < lattice.step_mm
    assert off[plain < 0.5 * lattice.step_mm].max() < 1e-4


@pytest.mark.parametrize("orientation", [HFS, FFP, OBLIQUE], ids=["HFS", "FFP", "oblique"])
@pytest.mark.parametrize("is_mapped", [False, True])
def test_a_lattice_is_sampled_as_its_points_are(orientation: tuple[float, ...], is_mapped: bool) -> None:
    rng = np.random.default_rng(8)
    turn = np.stack([orientation[:3], orientation[3:], np.cross(orientation[:3], orientation[3:])], axis=1)
    frame = OTHER if is_mapped else FRAME
    steps = (3.0, 2.0, 2.0, 5.0, 3.0, 3.5, 2.5, 3.0, 2.0)
    matrix = np.eye(4)
    matrix[:3, 3] = (2.5, -1.25, 0.75) if is_mapped else 0
    grid = grid_around((3.0, 2.5, 2.2), (12, 12, 10), orientation, frame=frame, steps_mm=steps)
    dose = DoseVolume(rng.uniform(0, 60, grid.shape).astype(np.float32), grid)
    mapped = map_dose(dose, FRAME, RigidTransform(matrix, FRAME, frame) if is_mapped else None)
    # Reaches beyond the dose on purpose.
    voxels = sub_voxels(structure(ellipsoid(9, 14, 12), 2.0, turn=turn), Steps(0.5, 0.25))

    quick = mapped.sample(voxels.places)

    plain = mapped.sample(voxels.points_lps)
    assert np.array_equal(quick.is_known, plain.is_known) and 0.3 < quick.is_known.mean() < 1
    assert np.abs(quick.dose_gy - plain.dose_gy).max() < 1e-9
    # On a plane of voxels the cell and the slope may be those of either side.
    for ends in ("cell_low_gy", "cell_high_gy"):
        same = np.isclose(getattr(quick, ends), getattr(plain, ends), atol=1e-9)[plain.is_known]
        assert same.mean() > 0.99
    same = np.abs(quick.gradient_gy_per_mm - plain.gradient_gy_per_mm).max(axis=1) < 1e-9
    assert same.mean() > 0.99


def test_a_lattice_across_the_axes_of_the_dose_is_sampled_point_by_point() -> None:
    grid = grid_around((3.0, 2.5, 2.2), (12, 12, 10), HFS)
    dose = DoseVolume(np.random.default_rng(8).uniform(0, 60, grid.shape), grid)
    voxels = sub_voxels(structure(ellipsoid(9, 7, 8), 2.0, turn=TURNED), Steps(0.5, 0.25))

    assert np.array_equal(dose.sample(voxels.places).dose_gy, dose.sample(voxels.points_lps).dose_gy)


@pytest.mark.parametrize("steps", [None, (3.0, 2.0, 2.0, 5.0, 3.0, 3.5, 2.5, 3.0, 2.0)], ids=["even", "uneven"])
@pytest.mark.parametrize("turn", [TURNED, np.diag([-1.0, -1.0, 1.0])], ids=["turned", "mirrored axes"])
def test_a_sum_on_voxels_is_that_at_their_centres(turn: np.ndarray, steps: tuple[float, ...] | None) -> None:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turn, CENTRE - turn @ CENTRE + (2.5, -1.25, 0.75)
    grid = grid_around((3.0, 2.5, 2.2), (12, 12, 10), OBLIQUE, frame=OTHER, steps_mm=steps)
    dose = DoseVolume(np.random.default_rng(8).uniform(0, 60, grid.shape).astype(np.float32), grid)
    mapped = map_dose(dose, FRAME, RigidTransform(matrix, FRAME, OTHER))
    # Reaches beyond the dose on purpose.
    voxels = grid_around((1.3, 1.9, 1.7), (14, 13, 12), HFS)

    found = sum_on_grid([mapped], voxels)

    plain = mapped.sample(points_of_grid(voxels))
    assert np.array_equal(found.is_known.ravel(), plain.is_known) and 0.2 < plain.is_known.mean() < 1
    assert np.abs(found.volume.dose_gy.ravel() - plain.dose_gy).max() < 1e-4


def test_sub_voxels_of_twice_the_size_follow_from_the_finer_ones() -> None:
    source = SubVoxelSource(structure(torus(14, 6), 2.0))
    fine, steps = source.of(Steps(0.4, 0.25)), Steps(0.4, 0.25)

    coarse = source.coarser_than(steps)

    assert coarse.sizes_mm[0] == pytest.approx(0.8)
    assert len(coarse) < len(fine) / 6
    assert coarse.volumes_mm3.sum() == pytest.approx(fine.volumes_mm3.sum(), rel=2e-3)


def test_a_channel_is_no_boundary() -> None:
    corner = np.array([1.3, 2.7])
    square = corner + np.array([[0, 0], [20, 0], [20, 10], [0, 10]])
    hole = corner + np.array([[8, 4], [8, 6], [12, 6], [12, 4]])
    # In through the left side to the hole and back the same way.
    keyhole = np.concatenate([square[:1], [[1.3, 6.7]], hole[[0, 3, 2, 1, 0]], [[1.3, 6.7]], square[:0:-1]])
    planes = [np.concatenate([keyhole, np.full((len(keyhole), 1), z)], axis=1) for z in (0.0, 2.0, 4.0)]
    solid = structure_of_contours(Contours.of(planes))

    lattice = Lattice((0.05, 0.2), 0.5, 32, 50)

    distances = signed_distances_mm(solid, lattice, 5.0, "union")[1]

    # Beside the channel, 2.7 mm from the left side and 4 mm from the others and the hole.
    row, column = (int(np.argmin(np.abs(axis - at))) for axis, at in ((lattice.y_mm, 6.7), (lattice.x_mm, 4.0)))
    assert distances[row, column] == pytest.approx(lattice.x_mm[column] - 1.3, abs=1e-4)


def test_turning_is_a_product_of_matrices() -> None:
    points, matrix = np.random.default_rng(1).normal(size=(50, 3)) + CENTRE, rotation(12, -33, 71)

    assert np.allclose(turned(points, matrix), points @ matrix, atol=1e-12)
    assert np.array_equal(turned(points, np.eye(3)), points)
