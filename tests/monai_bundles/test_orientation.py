"""Anatomical axes: where they point for every grid, and the way back."""

import numpy as np
import pytest

from monai_bundles.orientation import TOWARDS_LPS, anatomical_axes
from tests.monai_bundles.making import GRIDS, planted_image


@pytest.mark.parametrize("name", GRIDS)
def test_the_view_points_to_superior_posterior_and_left(name: str) -> None:
    grid = GRIDS[name]()
    axes = anatomical_axes(grid)
    affine = grid.affine_lps

    for new, (old, flip) in enumerate(zip(axes.order, axes.flipped, strict=True)):
        step = affine[:3, old] * (-1 if flip else 1)
        assert step @ TOWARDS_LPS[new] / np.linalg.norm(step) > 0.9
        assert axes.spacing_mm[new] == pytest.approx(np.linalg.norm(step))


@pytest.mark.parametrize("name", GRIDS)
def test_back_undoes_view(name: str) -> None:
    grid = GRIDS[name]()
    axes = anatomical_axes(grid)
    image = planted_image(grid.shape)

    assert np.array_equal(axes.back(axes.view(image)), image)


@pytest.mark.parametrize("name", GRIDS)
def test_a_crop_on_anatomical_axes_becomes_the_same_voxels_of_the_source(name: str) -> None:
    grid = GRIDS[name]()
    axes = anatomical_axes(grid)
    mask = planted_image(grid.shape) > 600
    seen = axes.view(mask)
    part = (slice(2, seen.shape[0]), slice(1, seen.shape[1] - 3), slice(4, seen.shape[2] - 2))
    expected = np.zeros_like(seen)
    expected[part] = seen[part]

    region = axes.region(seen[part], (2, 1, 4), (seen.shape[0], seen.shape[1], seen.shape[2]))

    assert np.array_equal(region.mask(), axes.back(expected))
