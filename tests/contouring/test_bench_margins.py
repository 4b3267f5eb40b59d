"""The benchmark of margins takes its errors apart truly."""

import numpy as np
import pytest

from bench.margins import make_sphere_on, radii_of_the_same_voxels


@pytest.mark.parametrize("seed", [3, 8])
def test_spheres_of_the_same_voxels_lie_on_both_sides_of_the_one_that_was_drawn(seed: int) -> None:
    coarse, fine = (
        radii_of_the_same_voxels(*make_sphere_on(spacing, (1.0,), 10.0, 5.0, seed))
        for spacing in ((3.27, 4.07, 4.0), (1.6, 1.0, 0.9))
    )

    for low_mm, high_mm in (coarse, fine):
        assert low_mm <= 10.0 <= high_mm
    assert np.diff(coarse)[0] > 5 * np.diff(fine)[0]
