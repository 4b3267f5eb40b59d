"""Ways to look at a volume: every orientation is shown in the reader's convention."""

import numpy as np
import pytest

from imaging.geometry import Grid
from imaging.volume import Region, Volume
from reports.planes import body_rows_columns, direction_letters, display_planes, window_of

ORIENTATIONS = {
    "HFS": (1, 0, 0, 0, 1, 0),
    "HFP": (-1, 0, 0, 0, -1, 0),
    "FFS": (-1, 0, 0, 0, 1, 0),
    "FFP": (1, 0, 0, 0, -1, 0),
    "HFDR": (0, 1, 0, -1, 0, 0),
    "HFDL": (0, -1, 0, 1, 0, 0),
    "FFDL": (0, 1, 0, 1, 0, 0),
    "SAG": (0, 1, 0, 0, 0, -1),
    "COR": (1, 0, 0, 0, 0, -1),
    "OBLIQUE": (0.944531, 0.149599, 0.292372, -0.213055, 0.956596, 0.198827),
}
SHAPE = (7, 11, 9)


def grid_of(orientation: tuple[float, ...]) -> Grid:
    row, column = np.array(orientation[:3], float), np.array(orientation[3:], float)
    normal = np.cross(row, column)
    positions = np.array([-12.5, 33.25, -117.5]) + np.outer(np.arange(SHAPE[0]) * 2.5, normal / np.linalg.norm(normal))
    return Grid(positions, row, column, (1.1, 0.9), SHAPE[1], SHAPE[2], "1.2.3")


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_pictures_run_from_right_to_left_front_to_back_and_head_to_foot(name: str) -> None:
    grid = grid_of(ORIENTATIONS[name])
    index = np.stack(np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij"), axis=-1)
    lps = index @ grid.affine_lps[:3, :3].T + grid.affine_lps[:3, 3]

    axial, coronal, sagittal = display_planes(grid)

    # (plane, patient axis across, sign, patient axis down, sign): L is +x, P is +y, H is +z
    for plane, across, down, down_sign in ((axial, 0, 1, 1), (coronal, 0, 2, -1), (sagittal, 1, 2, -1)):
        for k in (0, plane.count - 1):
            x = plane.image(lps[..., across], k)
            y = plane.image(lps[..., down], k)
            assert (np.diff(x.mean(axis=0)) > 0).all()
            assert (np.diff(y.mean(axis=1)) * down_sign > 0).all()
            assert np.abs(np.diff(x, axis=1)).mean() <= plane.column_mm + 1e-9


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_letters_and_spacings_follow_the_orientation(name: str) -> None:
    grid = grid_of(ORIENTATIONS[name])

    axial, coronal, sagittal = display_planes(grid)

    assert [axial.letters[s][0] for s in ("left", "right", "top", "bottom")] == ["R", "L", "A", "P"]
    assert [coronal.letters[s][0] for s in ("left", "right", "top", "bottom")] == ["R", "L", "H", "F"]
    assert [sagittal.letters[s][0] for s in ("left", "right", "top", "bottom")] == ["A", "P", "H", "F"]
    spacing = (2.5, 1.1, 0.9)
    for plane in (axial, coronal, sagittal):
        assert plane.row_mm == pytest.approx(spacing[plane.down], abs=1e-6)
        assert plane.column_mm == pytest.approx(spacing[plane.across], abs=1e-6)
        assert {plane.through, plane.down, plane.across} == {0, 1, 2}


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_a_mask_lies_where_its_voxels_are_shown(name: str) -> None:
    mask = np.zeros(SHAPE, dtype=bool)
    mask[1:4, 2:9, 3:5] = True
    mask[2, 3, 4] = False
    region = Region.from_mask(mask)

    for plane in display_planes(grid_of(ORIENTATIONS[name])):
        for k in range(plane.count):
            shown = plane.image(mask, k)
            found = plane.mask(region, k)
            rebuilt = np.zeros_like(shown)
            if found is not None:
                crop, row, column = found
                rebuilt[row : row + crop.shape[0], column : column + crop.shape[1]] = crop
            assert np.array_equal(rebuilt, shown)
            assert plane.areas(region)[k] == shown.sum()


def test_the_position_is_that_of_the_plane() -> None:
    axial, coronal, sagittal = display_planes(grid_of(ORIENTATIONS["HFS"]))

    assert axial.position(2) == "z = -112.5 mm"
    assert coronal.position(0) == "y = 33.2 mm"  # 33.25 rounds to even
    assert sagittal.position(3) == "x = -9.8 mm"


def test_a_direction_far_from_an_axis_has_two_letters() -> None:
    assert direction_letters(np.array([0.99, 0.1, 0.05])) == "L"
    assert direction_letters(np.array([-0.8, 0.6, 0.0])) == "RP"
    assert direction_letters(np.array([0.0, -0.5, 0.86])) == "HA"


def test_the_crop_keeps_the_body_and_leaves_a_couch_out() -> None:
    values = np.full((120, 90), -1000, dtype=np.int16)
    values[20:70, 30:75] = 30
    values[100:104, 5:85] = 100
    window = window_of(Volume(np.zeros(SHAPE, np.int16), grid_of(ORIENTATIONS["HFS"]), unit="[hnsf'U]"))

    rows, columns = body_rows_columns(values, window)

    assert rows.start <= 20 < 70 <= rows.stop < 100
    assert columns.start <= 30 < 75 <= columns.stop < 90


def test_without_a_body_everything_is_shown() -> None:
    window = window_of(Volume(np.zeros(SHAPE, np.int16), grid_of(ORIENTATIONS["HFS"]), unit="[hnsf'U]"))

    assert body_rows_columns(np.full((40, 30), -1000), window) == (slice(0, 40), slice(0, 30))


def test_the_window_of_ct_is_soft_tissue_and_of_others_follows_their_values() -> None:
    grid = grid_of(ORIENTATIONS["HFS"])
    values = np.arange(np.prod(SHAPE)).reshape(SHAPE).astype(np.float32)

    ct, mr = window_of(Volume(values, grid, unit="[hnsf'U]")), window_of(Volume(values, grid))

    assert ct.grey(np.array([-161.0, -160.0, 40.0, 240.0, 3000.0])).tolist() == [0, 0, 128, 255, 255]
    assert values.min() <= mr.low < mr.high <= values.max()
