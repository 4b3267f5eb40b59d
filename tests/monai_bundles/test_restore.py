"""Probabilities of another grid on the source's voxels."""

import numpy as np
import pytest

from monai_bundles.restore import grid_map, restore
from tests.monai_bundles.making import GRIDS, planted_image


def turned(
    affine: np.ndarray[tuple[int, ...], np.dtype[np.float64]], order: tuple[int, int, int]
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return affine[:, [*order, 3]]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 0, 2)])
def test_the_same_grid_in_another_order_is_taken_as_it_is(order: tuple[int, int, int]) -> None:
    grid = GRIDS["oblique sagittal"]()
    probability = (planted_image(grid.shape).astype(np.float32) + 1000) / 2000

    region = restore(
        np.ascontiguousarray(probability.transpose(order)),
        grid_map(grid.affine_lps, turned(grid.affine_lps, order)),
        grid.shape,
        threshold=0.5,
    )

    assert region is not None
    assert np.array_equal(region.mask(), probability >= 0.5)
    assert region.probability is not None
    assert np.array_equal(region.probability, probability[region.box].astype(np.float16))


def test_a_coarser_turned_grid_gives_the_ball_where_it_was() -> None:
    grid = GRIDS["oblique"]()
    centre_lps = (grid.affine_lps @ [6.2, 9.4, 11.7, 1.0])[:3]
    network = np.eye(4)
    network[:3, :3] = np.diag([1.5, 1.5, 1.5])
    network[:3, 3] = centre_lps - 21.3
    k, j, i = np.meshgrid(*(np.arange(n) for n in (29, 30, 31)), indexing="ij")
    distance = np.linalg.norm(np.stack([k, j, i], -1) * 1.5 - 21.3, axis=-1)
    probability = (1 / (1 + np.exp((distance - 9) / 1.5))).astype(np.float32)

    region = restore(probability, grid_map(grid.affine_lps, network), grid.shape, threshold=0.5)

    indices = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), -1)
    points = indices @ grid.affine_lps[:3, :3].T + grid.affine_lps[:3, 3]
    from_centre = np.linalg.norm(points - centre_lps, axis=-1)
    assert region is not None
    assert region.mask()[from_centre < 8.9].all()
    assert not region.mask()[from_centre > 9.1].any()


def test_what_lies_outside_the_source_is_nothing() -> None:
    grid = GRIDS["coronal"]()
    far = grid.affine_lps.copy()
    far[:3, 3] += 500.0
    probability = np.ones((5, 6, 7), dtype=np.float32)

    assert restore(probability, grid_map(grid.affine_lps, far), grid.shape, threshold=0.5) is None


def test_nothing_above_the_threshold_is_nothing() -> None:
    grid = GRIDS["axial"]()
    probability = np.full(grid.shape, 0.3, dtype=np.float32)

    assert restore(probability, grid_map(grid.affine_lps, grid.affine_lps), grid.shape, threshold=0.5) is None
