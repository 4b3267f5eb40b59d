"""A region carried to another series' voxels lies where it lay: closed-form balls on oblique, uneven grids."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from imaging.geometry import Grid
from imaging.volume import Region
from monai_bundles.errors import MissingSeries
from monai_bundles.resampling import region_on
from tests.monai_bundles.making import GRIDS, grid_of

RADIUS_MM = 8.0


def distances_mm(grid: Grid, centre_lps: NDArray[np.float64]) -> NDArray[np.float64]:
    """From each voxel centre to a point."""
    indices = np.stack([*np.indices(grid.shape), np.ones(grid.shape)], axis=-1)
    points = (indices @ grid.affine_lps.T)[..., :3]
    return np.asarray(np.linalg.norm(points - centre_lps, axis=-1))


def middle_lps(grid: Grid) -> NDArray[np.float64]:
    k, j, i = ((n - 1) / 2 for n in grid.shape)
    return np.asarray((grid.affine_lps @ [k, j + 1.3, i - 2.2, 1.0])[:3])


@pytest.mark.parametrize("name", GRIDS)
def test_a_ball_stays_a_ball_at_its_place(name: str) -> None:
    own = grid_of((2, 1, 0), (1, 1, 1), turned=True, shape=(22, 31, 37))
    other = GRIDS[name]()
    shift = middle_lps(own) - middle_lps(other)
    other = replace(other, positions_lps=other.positions_lps + shift)
    truth = distances_mm(own, middle_lps(own)) <= RADIUS_MM

    carried = region_on(Region.from_mask(truth), own, other)

    assert carried is not None
    there = distances_mm(other, middle_lps(own))
    mask = carried.mask()
    assert mask[there <= RADIUS_MM - 1.5].all()
    assert not mask[there >= RADIUS_MM + 1.5].any()


def test_the_same_grid_gives_the_same_voxels() -> None:
    grid = GRIDS["oblique, flipped"]()
    mask = np.zeros(grid.shape, dtype=bool)
    mask[4:9, 3:12, 8:19] = True
    mask[5, 4:7, 9] = False

    carried = region_on(Region.from_mask(mask), grid, grid)

    assert carried is not None
    assert np.array_equal(carried.mask(), mask)


def test_what_a_series_does_not_reach_is_nothing() -> None:
    grid = GRIDS["oblique"]()
    mask = np.zeros(grid.shape, dtype=bool)
    mask[4:9, 3:12, 8:19] = True
    far = replace(grid, positions_lps=grid.positions_lps + 500.0)

    assert region_on(Region.from_mask(mask), grid, far) is None


def test_another_frame_of_reference_is_refused() -> None:
    grid = GRIDS["axial"]()
    mask = np.ones(grid.shape, dtype=bool)

    with pytest.raises(MissingSeries, match="register it first"):
        region_on(Region.from_mask(mask), grid, replace(grid, frame_of_reference_uid="1.2.3"))
