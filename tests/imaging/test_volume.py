"""Volume and Region: shapes that must agree, and crops that lose nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from imaging.errors import GantryTilt
from imaging.volume import Region, SourceInstance, Volume
from tests.synthetic.series import SeriesDescription

GRID = SeriesDescription(rows=11, columns=7, planes=5).grid()


@given(hnp.arrays(np.bool_, st.tuples(st.integers(1, 6), st.integers(1, 7), st.integers(1, 8))))
def test_region_gives_back_its_mask(mask: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> None:
    region = Region.from_mask(mask)

    np.testing.assert_array_equal(region.mask(), mask)
    assert region.voxel_count == mask.sum()


def test_region_keeps_the_probability_of_its_box() -> None:
    mask = np.zeros(GRID.shape, dtype=bool)
    mask[1:3, 4:9, 2:5] = True
    probability = np.arange(mask.size, dtype=np.float32).reshape(mask.shape) / mask.size

    region = Region.from_mask(mask, probability)

    assert region.probability is not None
    np.testing.assert_array_equal(region.probability, probability[region.box])
    assert region.start == (1, 4, 2)


def test_region_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        Region(np.ones((2, 2, 2), dtype=bool), (4, 0, 0), GRID.shape)
    with pytest.raises(ValueError, match="boolean"):
        Region(np.ones((2, 2, 2)), (0, 0, 0), GRID.shape)  # type: ignore[arg-type]


def test_volume_refuses_what_does_not_fit_its_grid() -> None:
    with pytest.raises(ValueError, match="on a grid"):
        Volume(np.zeros((5, 7, 11)), GRID)
    with pytest.raises(ValueError, match="sources"):
        Volume(np.zeros(GRID.shape), GRID, sources=(SourceInstance("1", "2", "3"),))


def test_volume_on_a_tilted_grid_is_refused() -> None:
    tilted = SeriesDescription(tilt_deg=5.0, rows=11, columns=7, planes=5).grid()

    with pytest.raises(GantryTilt):
        Volume(np.zeros(tilted.shape), tilted)


def test_volume_shares_the_geometry_of_its_grid() -> None:
    volume = Volume(np.zeros(GRID.shape), GRID)

    np.testing.assert_array_equal(volume.affine_lps, GRID.affine_lps)
    assert volume.spacing_mm == GRID.spacing_mm
    assert volume.frame_of_reference_uid == GRID.frame_of_reference_uid
