"""The body segmentation against the digital patient's known truth, on its own grid and seen from other sides."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

import monai_bundles as mb
from imaging.geometry import Grid
from imaging.testing.phantom import Phantom, make_phantom
from imaging.volume import Region, Volume
from monai_bundles.body import BodySegmenter

LEAST_DICE = {"Body": 0.99, "Lung_L": 0.97, "Lung_R": 0.97, "Trachea": 0.85, "Bone": 0.85, "SpinalCanal": 0.9}
"""On a smooth phantom without disease; real patients are in the bundle's card."""


@cache
def patient() -> Phantom:
    return make_phantom()


@cache
def found() -> mb.BundleOutput:
    return mb.run_bundle(mb.find("ct_body_segmentation"), patient().volume)


def region(name: str) -> Region:
    return next(s.region for s in found().structures if s.name == name)


def dice(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return float(2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b)))


@pytest.mark.parametrize("name", LEAST_DICE)
def test_each_structure_agrees_with_the_known_truth(name: str) -> None:
    assert dice(region(name).mask(), patient().regions[name].mask()) >= LEAST_DICE[name]


def test_couch_and_head_rest_are_outside() -> None:
    body, truth = region("Body").mask(), patient().regions["Body"].mask()

    added = body & ~truth

    # The mask lies within a few millimetres of the skin; the couch begins 10 mm below the back.
    assert np.count_nonzero(added) < 0.015 * np.count_nonzero(truth)
    assert not added[:, 420:].any()


def test_the_body_has_no_holes() -> None:
    body = region("Body").mask()

    for name in ("Lung_L", "Lung_R", "Trachea"):
        assert not (patient().regions[name].mask() & ~body).any(), name


def test_left_is_the_patients_left() -> None:
    grid = patient().grid
    x_mm = {
        name: (grid.affine_lps[:3, :3] @ np.argwhere(region(name).mask()).mean(axis=0))[0]
        for name in ("Lung_L", "Lung_R")
    }

    assert x_mm["Lung_L"] - x_mm["Lung_R"] > 100, "x grows to the left in LPS"


def test_lungs_at_the_lowest_slice_are_said_to_be_cut() -> None:
    assert "Lung_L reaches the first or last slice: its volume is incomplete." in found().warnings
    assert not found().absent


def turned_round(volume: Volume) -> Volume:
    """The same patient with planes from superior to inferior, rows from posterior, columns from the left."""
    grid = volume.grid
    end = grid.affine_lps @ [0, grid.rows - 1, grid.columns - 1, 1]
    turned = replace(
        grid,
        positions_lps=grid.positions_lps + (end[:3] - grid.positions_lps[0]),
        row_direction=-grid.row_direction,
        column_direction=-grid.column_direction,
    )
    return Volume(array=volume.array[:, ::-1, ::-1], grid=turned, unit=volume.unit)


def as_coronal(volume: Volume) -> Volume:
    """The same voxels as coronal planes: plane axis along y, rows along -z, columns along x."""
    grid = volume.grid
    planes, rows, columns = grid.shape
    spacing = grid.spacing_mm
    first = grid.positions_lps[-1]
    coronal = Grid(
        positions_lps=first + np.arange(rows)[:, None] * spacing[1] * grid.column_direction,
        row_direction=grid.row_direction,
        column_direction=-grid.normal,
        pixel_spacing_mm=(spacing[0], spacing[2]),
        rows=planes,
        columns=columns,
        frame_of_reference_uid=grid.frame_of_reference_uid,
    )
    return Volume(array=np.ascontiguousarray(volume.array[::-1].transpose(1, 0, 2)), grid=coronal, unit=volume.unit)


@pytest.fixture(scope="module")
def small() -> tuple[Volume, dict[str, Region]]:
    volume = make_phantom(shape=(96, 180, 200), seed=3).volume
    return volume, BodySegmenter()(volume)


def test_a_scan_turned_round_gives_the_same_voxels(small: tuple[Volume, dict[str, Region]]) -> None:
    volume, expected = small

    turned = BodySegmenter()(turned_round(volume))

    assert turned.keys() == expected.keys()
    for name, part in turned.items():
        # Blocks are counted from the other corner, so borders may differ by a voxel here and there.
        assert dice(part.mask()[:, ::-1, ::-1], expected[name].mask()) > 0.97, name


def test_coronal_planes_give_the_same_voxels(small: tuple[Volume, dict[str, Region]]) -> None:
    volume, expected = small

    coronal = BodySegmenter()(as_coronal(volume))

    assert coronal.keys() == expected.keys()
    for name, part in coronal.items():
        assert dice(part.mask().transpose(1, 0, 2)[::-1], expected[name].mask()) > 0.97, name


def test_legs_have_no_lungs_and_both_are_body() -> None:
    array = np.full((40, 120, 150), -1000, dtype=np.int16)
    row, column = np.mgrid[:120, :150]
    for middle in (45, 105):
        leg = (row - 60) ** 2 + (column - middle) ** 2 * 1.2
        array[:, leg < 26**2] = 45
        array[:, leg < 8**2] = 900
    array[:, 100:102, 5:145] = 200
    grid = replace(
        patient().grid,
        positions_lps=np.array([[-133.0, 41.0, -903.0]]) + np.arange(40)[:, None] * [0, 0, 3.1],
        pixel_spacing_mm=(2.1, 1.8),
        rows=120,
        columns=150,
    )

    regions = BodySegmenter()(Volume(array=array, grid=grid, unit="[hnsf'U]"))

    assert set(regions) == {"Body", "Bone"}
    body = regions["Body"].mask()
    assert body[20, 60, 45]
    assert body[20, 60, 105]
    assert not body[:, 98:].any(), "the couch"


@pytest.mark.parametrize("hu", [200, 400, 1200])
def test_one_value_everywhere_is_no_vessel_without_a_rim(hu: int) -> None:
    grid = replace(patient().grid, positions_lps=patient().grid.positions_lps[:9], rows=90, columns=101)
    volume = Volume(np.full((9, 90, 101), hu, np.int16), grid, unit="[hnsf'U]")

    regions = BodySegmenter()(volume)

    assert "SpinalCanal" not in regions and "Trachea" not in regions


def test_nothing_but_air_gives_nothing() -> None:
    grid = replace(patient().grid, positions_lps=patient().grid.positions_lps[:9], rows=30, columns=41)

    assert BodySegmenter()(Volume(np.full((9, 30, 41), -1003, dtype=np.int16), grid, unit="[hnsf'U]")) == {}
