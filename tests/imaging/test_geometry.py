"""Grids: index to patient and back, spacing, tilt, and refusals."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given

from imaging.errors import DuplicatePlanes, GantryTilt, MissingSlices, MixedOrientation
from imaging.geometry import Grid
from imaging.testing.strategies import PATIENT_POSITIONS, PLANES, grids, oblique_orientation
from tests.synthetic.series import SeriesDescription

GRID = SeriesDescription().grid()


@given(grids())
def test_index_to_patient_to_index_is_identity(grid: Grid) -> None:
    j, i = (m.ravel() for m in np.mgrid[0 : grid.rows, 0 : grid.columns])
    indices = np.stack([i, j], axis=1).astype(float)

    for k in range(len(grid.positions_lps)):
        back = grid.columns_rows(k, grid.points_lps(k, indices))
        np.testing.assert_allclose(back, indices, atol=1e-9)


@given(grids(is_even=False, is_tilted=True))
def test_uneven_and_tilted_planes_keep_their_own_positions(grid: Grid) -> None:
    for k, position in enumerate(grid.positions_lps):
        np.testing.assert_allclose(grid.points_lps(k, [[0.0, 0.0]])[0], position, atol=1e-12)
    assert grid.tilt_deg > 1
    assert not grid.is_even


@given(grids())
def test_affine_and_planes_say_the_same(grid: Grid) -> None:
    k, j, i = len(grid.positions_lps) - 1, grid.rows - 1, grid.columns - 1

    by_affine = grid.affine_lps @ [k, j, i, 1]

    np.testing.assert_allclose(by_affine[:3], grid.points_lps(k, [[i, j]])[0], atol=1e-6)


@pytest.mark.parametrize(
    ("name", "sign"), [("HFS", 1), ("HFP", 1), ("FFS", -1), ("FFP", -1), ("HFDR", 1), ("FFDL", -1)]
)
def test_normal_of_patient_positions_points_as_tabulated(name: str, sign: int) -> None:
    grid = SeriesDescription(orientation=PATIENT_POSITIONS[name]).grid()

    np.testing.assert_allclose(grid.normal, [0, 0, sign], atol=1e-12)


@pytest.mark.parametrize("name", list(PLANES))
def test_sagittal_and_coronal_planes_run_along_x_and_y(name: str) -> None:
    grid = SeriesDescription(orientation=PLANES[name]).grid()

    assert abs(grid.normal[{"SAG": 0, "COR": 1}[name]]) == pytest.approx(1)
    assert grid.spacing_mm == pytest.approx((2.5, 1.1, 0.9), abs=1e-6)


def test_gap_is_refused_with_its_position() -> None:
    grid = SeriesDescription(steps_mm=(2.5,) * 6 + (5.0,) + (2.5,) * 11).grid()

    with pytest.raises(MissingSlices, match=r"5\.000 mm after slice 7 of 19") as refusal:
        _ = grid.affine_lps

    assert refusal.value.fields["plane"] == 6
    assert refusal.value.fields["position_mm"] == pytest.approx(grid.plane_positions_mm[6])
    assert "send the missing" in refusal.value.message


def test_tilt_is_refused_with_its_angle() -> None:
    grid = SeriesDescription(tilt_deg=10.0).grid()

    with pytest.raises(GantryTilt, match=r"10\.00 degrees") as refusal:
        _ = grid.affine_lps

    assert refusal.value.fields["tilt_deg"] == pytest.approx(10, abs=1e-4)


def test_single_plane_takes_its_extent_from_the_slice_thickness() -> None:
    grid = SeriesDescription(planes=1).grid()

    assert grid.spacing_mm == (2.5, 1.1, 0.9)
    with pytest.raises(MissingSlices, match="thickness"):
        _ = replace(grid, slice_thickness_mm=None).affine_lps


def test_planes_at_one_position_are_refused() -> None:
    positions = GRID.positions_lps.copy()
    positions[4] = positions[3]

    with pytest.raises(DuplicatePlanes):
        replace(GRID, positions_lps=positions)


@pytest.mark.parametrize("cosines", [(1, 0, 0, 0.01, 1, 0), (1.01, 0, 0, 0, 1, 0)])
def test_directions_that_are_no_right_angled_unit_vectors_are_refused(cosines: tuple[float, ...]) -> None:
    with pytest.raises(MixedOrientation):
        replace(GRID, row_direction=np.array(cosines[:3]), column_direction=np.array(cosines[3:]))


def test_same_grid_is_told_from_one_shifted_by_half_a_voxel() -> None:
    shifted = replace(GRID, positions_lps=GRID.positions_lps + 0.5 * 0.9 * GRID.row_direction)

    assert GRID.is_same_as(replace(GRID, positions_lps=GRID.positions_lps + 0.0001))
    assert not GRID.is_same_as(shifted)
    assert not GRID.is_same_as(replace(GRID, frame_of_reference_uid="2.25.9"))


@pytest.mark.parametrize("decimals", [4, 6])
def test_rounded_oblique_cosines_are_accepted(decimals: int) -> None:
    grid = SeriesDescription(orientation=oblique_orientation((31, -14, 77), decimals)).grid()

    points = grid.points_lps(3, [[17.25, 40.5]])

    np.testing.assert_allclose(grid.columns_rows(3, points), [[17.25, 40.5]], atol=1e-9)
