"""LPS to RAS and back, at the one door."""

import nibabel
import numpy as np
from hypothesis import given

from imaging.geometry import Grid
from imaging.ras import affine_ras, flip_lps_ras
from imaging.testing.strategies import grids, volumes
from imaging.volume import Volume


@given(grids())
def test_ras_affine_sends_each_index_to_the_flipped_lps_point(grid: Grid) -> None:
    k, j, i = (n - 1 for n in grid.shape)

    ras = (affine_ras(grid) @ [i, j, k, 1])[:3]

    np.testing.assert_allclose(flip_lps_ras(ras), (grid.affine_lps @ [k, j, i, 1])[:3], atol=1e-9)


@given(volumes())
def test_nibabel_finds_each_voxel_where_the_volume_has_it(volume: Volume) -> None:
    image = nibabel.Nifti1Image(volume.array.transpose(2, 1, 0), affine_ras(volume.grid))
    k, j, i = (n // 2 for n in volume.array.shape)
    point = flip_lps_ras((volume.affine_lps @ [k, j, i, 1])[:3])

    found = np.rint(np.linalg.inv(image.affine) @ [*point, 1])[:3].astype(int)

    assert np.asanyarray(image.dataobj)[tuple(found)] == volume.array[k, j, i]
