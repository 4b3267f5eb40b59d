"""Histograms of shapes in linear doses of 1 Gy/mm against closed forms, at the tolerances of the specification."""

import math
from dataclasses import dataclass

import numpy as np
import pytest

from contouring.dose import Dvh, dose_volume_histogram
from contouring.shapes import Shape, cone, cylinder, ellipsoid, hollow_sphere, rotation, sphere, straw, torus
from tests.contouring.dose import truth
from tests.contouring.dose.making import CENTRE, FFP, HFS, TURNED, dose_of, grid_around, linear, structure
from tests.synthetic.series import OBLIQUE

AXIAL, LATERAL = (0.0, 0.0, 1.0), (1.0, 0.0, 0.0)
D0 = 30.0
ENDPOINTS = (99.0, 95.0, 50.0, 5.0, 1.0)
ORIENTATIONS = {"HFS": HFS, "FFP": FFP, "oblique": OBLIQUE}


@dataclass(frozen=True)
class Case:
    shape: Shape
    along: truth.HeightVolume
    across: truth.HeightVolume


def straws(height: float, outer: float, inner: float) -> Case:
    return Case(
        straw(outer, inner, height),
        truth.difference(truth.cylinder_along(outer, height), truth.cylinder_along(inner, height)),
        truth.difference(truth.cylinder_across(outer, height), truth.cylinder_across(inner, height)),
    )


def ellipsoids(a: float, b: float, c: float) -> Case:
    total = 4 / 3 * math.pi * a * b * c
    return Case(ellipsoid(a, b, c), truth.scaled_sphere(c, total), truth.scaled_sphere(a, total))


SHAPES = {
    "sphere": Case(sphere(12), truth.sphere_cap(12), truth.sphere_cap(12)),
    "cylinder": Case(cylinder(12, 24), truth.cylinder_along(12, 24), truth.cylinder_across(12, 24)),
    "cone": Case(cone(12, 24), truth.cone_along(12, 24), truth.cone_across(12, 24)),
    "ellipsoid": ellipsoids(14, 9, 12),
    "hollow": Case(
        hollow_sphere(12, 6),
        truth.difference(truth.sphere_cap(12), truth.sphere_cap(6)),
        truth.difference(truth.sphere_cap(12), truth.sphere_cap(6)),
    ),
    "straw": straws(24, 12, 6),
}
TORUS = Case(torus(14, 6), truth.torus_along(14, 6), truth.torus_across(14, 6))

POLE_TOLERANCE_GY = {1.0: 0.02, 2.0: 0.15, 3.0: 0.35}
"""D99 and D1 along the axis, by plane distance (specification, 4): planes do not say how a pole closes."""

POLE_FACTOR = {"hollow": 1.25}
"""The hollow sphere has an eighth less volume, so its outermost percent lies nearer to the pole; 0.178 Gy at 2 mm."""


def histogram(
    case: Case, step_mm: float, direction: tuple[float, float, float], grid_mm: float, orientation: str
) -> Dvh:
    turn = np.eye(3) if orientation == "HFS" else TURNED
    spacing = (1.1 * grid_mm, 0.9 * grid_mm, grid_mm)
    grid = grid_around(spacing, half_mm=(27, 29, 25), orientation=ORIENTATIONS[orientation])
    return dose_volume_histogram(
        structure(case.shape, step_mm, turn=turn), dose_of(linear(turn @ np.array(direction), D0), grid)
    )


def errors(found: Dvh, volume: truth.HeightVolume) -> dict[float, float]:
    return {x: found.metric(f"D{x:g}%") - (D0 + truth.height_of(volume, x / 100, 30.0)) for x in ENDPOINTS}


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize(("step_mm", "grid_mm", "orientation"), [(2.0, 2.0, "oblique"), (3.0, 3.0, "FFP")])
def test_gradient_across_the_axis(name: str, step_mm: float, grid_mm: float, orientation: str) -> None:
    case = SHAPES[name]

    found = histogram(case, step_mm, LATERAL, grid_mm, orientation)

    assert abs(found.curve.total_mm3 / case.shape.volume_mm3 - 1) <= 0.005
    assert max(map(abs, errors(found, case.across).values())) <= 0.05
    assert found.converged


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize(("step_mm", "grid_mm", "orientation"), [(2.0, 3.0, "HFS"), (3.0, 2.0, "oblique")])
def test_gradient_along_the_axis(name: str, step_mm: float, grid_mm: float, orientation: str) -> None:
    case = SHAPES[name]

    found = histogram(case, step_mm, AXIAL, grid_mm, orientation)

    off = errors(found, case.along)
    assert max(abs(off[x]) for x in (95.0, 50.0, 5.0)) <= 0.1
    assert max(abs(off[x]) for x in (99.0, 1.0)) <= POLE_TOLERANCE_GY[step_mm] * POLE_FACTOR.get(name, 1.0)


def test_endpoints_of_the_whole_suite_are_as_good_as_promised() -> None:
    relative = []
    for name in ("sphere", "cylinder", "cone"):
        for step_mm in (1.0, 2.0, 3.0):
            for direction, volume in ((AXIAL, SHAPES[name].along), (LATERAL, SHAPES[name].across)):
                found = histogram(SHAPES[name], step_mm, direction, step_mm, "HFS")
                relative += [
                    100 * abs(e) / (found.metric(f"D{x:g}%") - D0 + 16) for x, e in errors(found, volume).items()
                ]
                relative.append(100 * abs(found.curve.total_mm3 / SHAPES[name].shape.volume_mm3 - 1))

    # Doses count from 4 Gy at the cold end, as in the published test: an error of 0.1 Gy is 2.5 % there.
    assert len(relative) == 108
    assert np.mean(np.array(relative) > 3) <= 0.01
    assert np.mean(np.array(relative) > 1) <= 0.05
    assert np.median(relative) <= 0.1


@pytest.mark.parametrize("step_mm", [1.0, 2.0, 3.0])
def test_a_torus_of_a_few_planes_closes_as_it_does(step_mm: float) -> None:
    for direction, volume in ((AXIAL, TORUS.along), (LATERAL, TORUS.across)):
        found = histogram(TORUS, step_mm, direction, 2.0, "oblique")

        assert abs(found.curve.total_mm3 / TORUS.shape.volume_mm3 - 1) <= 0.005
        off = errors(found, volume)
        assert max(abs(off[x]) for x in (95.0, 50.0, 5.0)) <= 0.1


@pytest.mark.parametrize("phase", [0.0, 0.25, 0.75])
@pytest.mark.parametrize("step_mm", [1.0, 3.0])
def test_off_phase_planes_keep_to_the_bound_of_the_information(phase: float, step_mm: float) -> None:
    grid = grid_around((2.0, 1.7, 2.3))

    found = dose_volume_histogram(structure(sphere(12), step_mm, phase), dose_of(linear(LATERAL, D0), grid))

    assert abs(found.curve.total_mm3 / sphere(12).volume_mm3 - 1) <= step_mm**2 / 4.6 / 100 + 0.0005
    assert abs(errors(found, SHAPES["sphere"].across)[50.0]) <= 0.05


def test_a_diagonal_gradient_is_the_same_as_any_other_for_a_sphere() -> None:
    diagonal = np.array([1.0, 1.0, 1.0]) / np.sqrt(3)

    found = dose_volume_histogram(structure(sphere(12), 1.0), dose_of(linear(diagonal, D0), grid_around()))

    assert max(map(abs, errors(found, SHAPES["sphere"].across).values())) <= 0.05
    assert abs(found.metric("Dmean") - D0) <= 0.02


@pytest.mark.parametrize("diameter_mm", [3.0, 7.0])
@pytest.mark.parametrize("phase", [0.1, 0.5, 0.8])
def test_small_spheres_have_the_volume_that_their_planes_can_tell(diameter_mm: float, phase: float) -> None:
    low, high = {3.0: (-11.3, 4.1), 7.0: (-2.8, 0.9)}[diameter_mm]
    shape = sphere(diameter_mm / 2)

    found = dose_volume_histogram(structure(shape, 1.0, phase), dose_of(linear(LATERAL, D0), grid_around()))

    assert low <= 100 * (found.curve.total_mm3 / shape.volume_mm3 - 1) <= high
    assert found.sub_voxels > 10_000


def test_gaussian_dose_around_a_sphere() -> None:
    sigma, top, radius = 9.0, 20.0, 12.0
    grid = grid_around((1.0, 0.9, 1.1), half_mm=(16, 17, 15))
    dose = dose_of(lambda p: top * np.exp(-((p - CENTRE) ** 2).sum(axis=1) / (2 * sigma**2)), grid)

    found = dose_volume_histogram(structure(sphere(radius), 1.0), dose)

    mean = (
        3
        * top
        / radius**3
        * (
            sigma**3 * math.sqrt(math.pi / 2) * math.erf(radius / math.sqrt(2) / sigma)
            - sigma**2 * radius * math.exp(-(radius**2) / (2 * sigma**2))
        )
    )
    assert abs(found.metric("Dmean") - mean) <= 0.05
    level = 15.0
    volume = 4 / 3 * math.pi * (sigma * math.sqrt(2 * math.log(top / level))) ** 3
    # Trilinear interpolation flattens the peak by up to 0.09 Gy on this grid, 2 % of the volume at this level.
    assert abs(1000 * found.metric("V15Gy[cc]") / volume - 1) <= 0.02


def test_generalised_eud_of_a_flat_range_of_dose() -> None:
    found = histogram(SHAPES["cylinder"], 2.0, AXIAL, 2.0, "HFS")
    a, b = D0 - 12, D0 + 12

    for k in (1.0, 2.0, 8.0, -4.0):
        expected = ((b ** (k + 1) - a ** (k + 1)) / ((k + 1) * (b - a))) ** (1 / k)
        assert abs(found.metric(f"gEUD[{k:g}]") - expected) <= 0.02


def test_nearest_lookup_would_be_seen() -> None:
    """The planted fault: a dose moved by half a voxel."""
    grid = grid_around((2.0, 1.7, 2.3))
    moved = dose_of(linear(LATERAL, D0 + 1.15), grid)

    found = dose_volume_histogram(structure(sphere(12), 1.0), moved)

    assert max(map(abs, errors(found, SHAPES["sphere"].across).values())) > 0.05


def test_rotation_of_everything_changes_nothing() -> None:
    turn = rotation(11, 23, -37)
    grid = grid_around((2.0, 1.7, 2.3), orientation=(*turn[:, 0], *turn[:, 1]))
    still = dose_volume_histogram(
        structure(cone(12, 24), 2.0), dose_of(linear((0.3, 0.2, 0.9)), grid_around(orientation=HFS))
    )

    turned = dose_volume_histogram(
        structure(cone(12, 24), 2.0, turn=turn), dose_of(linear(turn @ np.array([0.3, 0.2, 0.9])), grid)
    )

    for name in ("Dmean", "D95%", "D50%", "D5%", "D0.03cc"):
        assert turned.metric(name) == pytest.approx(still.metric(name), abs=0.02)
