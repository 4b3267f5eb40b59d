"""Colours, level lines and sections of the dose report: closed-form truth on oblique grids."""

from dataclasses import replace

import numpy as np
import pytest

from contouring.dose.volume import DoseVolume
from imaging.geometry import Grid
from imaging.volume import Region, Volume
from reports.dose.choice import chosen_planes, hottest_index
from reports.dose.colours import DIFFERENCE, DOSE, ColourScale, nice_levels, table_of
from reports.dose.level_lines import level_segments
from reports.dose.picture import FRAME_PX, DoseLayer, Outline, paint
from reports.dose.section import overlay_of
from reports.errors import ForeignGeometry
from reports.planes import display_planes
from tests.contouring.dose.making import FFP, grid_around, points_of_grid
from tests.synthetic.series import OBLIQUE

DEUTERANOPIA = np.array([
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881],
])
"""Machado et al., IEEE TVCG 2009;15:1291, severity 1, on linear RGB."""

GRADIENT = np.array([0.31, -0.17, 0.23])


def lightness(rgb: np.ndarray) -> np.ndarray:
    """CIE L* of sRGB colours from 0 to 1."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    y = linear @ [0.2126, 0.7152, 0.0722]
    return np.where(y > 0.008856, 116 * np.cbrt(y) - 16, 903.3 * y)


def linear_dose(grid: Grid) -> DoseVolume:
    """A dose that trilinear interpolation gives back exactly."""
    points = points_of_grid(grid)
    return DoseVolume((40 + points @ GRADIENT).reshape(grid.shape), grid)


def test_lightness_rises_with_dose_and_evenly() -> None:
    steps = np.diff(lightness(table_of(DOSE) / 255.0))

    assert steps.min() > -0.15  # a colour is a whole number from 0 to 255
    assert np.convolve(steps, np.ones(16), "valid").min() > 2.0
    assert np.convolve(steps, np.ones(16), "valid").max() < 10.0


def test_a_colour_blind_reader_sees_the_same_order() -> None:
    seen = np.clip(((table_of(DOSE) / 255.0) ** 2.2) @ DEUTERANOPIA.T, 0, 1) ** (1 / 2.2)

    assert np.diff(lightness(seen)[::16]).min() > 1.5


def test_a_rainbow_would_be_found_out() -> None:
    at = np.linspace(0, 1, 256)
    rainbow = np.stack([np.clip(1.5 - abs(4 * at - c), 0, 1) for c in (3, 2, 1)], axis=1)

    assert np.convolve(np.diff(lightness(rainbow)), np.ones(16), "valid").min() < 0


def test_a_difference_is_white_where_there_is_none_and_turns_two_ways() -> None:
    scale = ColourScale(-12.0, 12.0, DIFFERENCE)

    assert min(scale.colour(0.0)) > 225
    red, _, blue = scale.colour(11.0)
    assert red > blue + 60
    red, _, blue = scale.colour(-11.0)
    assert blue > red + 60


@pytest.mark.parametrize(
    ("end", "levels"),
    [
        (101.0, (20, 40, 60, 80, 100)),
        (71.0, (10, 20, 30, 40, 50, 60, 70)),
        (8.4, (1, 2, 3, 4, 5, 6, 7, 8)),
        (1.0, (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)),
    ],
)
def test_levels_are_round_and_few(end: float, levels: tuple[float, ...]) -> None:
    assert nice_levels(end) == levels


def test_the_line_of_a_gaussian_is_a_circle_of_the_analytic_radius() -> None:
    rows, columns = np.mgrid[0:97, 0:83].astype(float)
    row, column, sigma = 46.3, 40.8, 17.0
    dose = 60 * np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * sigma**2))

    for level in (10.0, 30.0, 55.0):
        segments = level_segments(dose, level)
        radius = np.linalg.norm(segments.reshape(-1, 2) - [row, column], axis=1)
        assert len(segments) > 20
        assert np.abs(radius - sigma * np.sqrt(2 * np.log(60 / level))).max() < 0.25


def test_lines_leave_out_what_is_not_known_and_join_at_their_ends() -> None:
    values = np.add.outer(np.arange(9.0), np.arange(7.0))
    values[2, 3] = np.nan

    segments = level_segments(values, 7.5)

    ends, counts = np.unique(np.round(segments.reshape(-1, 2), 9), axis=0, return_counts=True)
    assert counts.max() == 2
    assert not ((np.abs(ends - [2, 3]) < 1).all(axis=1)).any()
    assert level_segments(values, 99.0).shape == (0, 2, 2)


@pytest.mark.parametrize("orientation", [OBLIQUE, FFP])
@pytest.mark.parametrize("plane_number", [0, 1, 2])
def test_a_section_and_its_interpolation_are_the_trilinear_dose(
    orientation: tuple[float, ...], plane_number: int
) -> None:
    image = grid_around((2.5, 1.3, 0.9), (19.0, 21.0, 17.0), orientation)
    dose = linear_dose(grid_around((3.1, 2.2, 1.9), (27.0, 31.0, 24.0), orientation))
    plane = display_planes(image)[plane_number]
    index = plane.count // 3
    size = [image.shape[plane.down], image.shape[plane.across]]
    rows, columns = np.mgrid[0 : size[0] : 3, 0 : size[1] : 4].astype(float)

    cut = overlay_of(image, dose.grid).cut(dose.dose_gy, plane, index, image.shape)

    assert cut is not None
    voxel = np.empty((rows.size, 3))
    voxel[:, plane.through] = index
    voxel[:, plane.down] = (size[0] - 1 - rows if plane.flip_down else rows).ravel()
    voxel[:, plane.across] = (size[1] - 1 - columns if plane.flip_across else columns).ravel()
    points = voxel @ image.affine_lps[:3, :3].T + image.affine_lps[:3, 3]
    assert np.abs(cut.at(rows, columns).ravel() - dose.sample(points).dose_gy).max() < 2e-4


def test_a_section_beyond_the_dose_is_none_and_a_turned_grid_is_refused() -> None:
    image = grid_around((2.5, 1.3, 0.9), (40.0, 21.0, 17.0))
    dose = linear_dose(grid_around((3.1, 2.2, 1.9), (12.0, 31.0, 24.0)))
    plane = next(p for p in display_planes(image) if p.through == 0)

    assert overlay_of(image, dose.grid).cut(dose.dose_gy, plane, 0, image.shape) is None
    with pytest.raises(ForeignGeometry, match="turned"):
        overlay_of(image, grid_around(orientation=FFP))
    with pytest.raises(ForeignGeometry, match="turned"):
        overlay_of(image, grid_around(frame="1.2.3"))


def case() -> tuple[Volume, DoseLayer, Outline]:
    """A dose with its maximum off the centre, and a structure away from it."""
    image = grid_around((4.0, 1.9, 1.6), (40.0, 41.0, 37.0))
    values = np.full(image.shape, 40, dtype=np.int16)
    values[:, :4] = values[:, :, -5:] = -1000
    points = points_of_grid(image)
    hot = points[np.ravel_multi_index((13, 20, 30), image.shape)]
    dose = 50 * np.exp(-((points - hot) ** 2).sum(axis=1) / 2 / 15.0**2).reshape(image.shape)
    layer = DoseLayer("sum", "物理剂量", "Physical", DoseVolume(dose, image), ColourScale(0, 50), (10.0, 30.0))
    mask = np.zeros(image.shape, dtype=bool)
    mask[3:6, 8:12, 9:15] = True
    return Volume(values, image), layer, Outline("Parotid_L", (255, 40, 220), Region.from_mask(mask))


def test_planes_go_through_the_hottest_point_and_the_critical_structure() -> None:
    volume, layer, outline = case()

    planes = chosen_planes(volume.grid, layer.dose, (outline,))

    hottest = (13, 20, 30)
    through = {p.name: [i for q, i in planes if q.name == p.name] for p, _ in planes}
    assert set(through) == {"axial", "coronal", "sagittal"}
    for plane, _ in planes:
        assert hottest[plane.through] in through[plane.name]
    inside = hottest_index(volume.grid, layer.dose, outline)
    assert inside is not None
    assert outline.region.mask()[tuple(int(n) for n in inside)]
    axial = next(p for p, _ in planes if p.name == "axial")
    assert inside[axial.through] in through["axial"]


def test_a_picture_shows_wash_lines_outline_and_warning_where_they_belong() -> None:
    volume, layer, outline = case()
    plane = next(p for p in display_planes(volume.grid) if p.through == 0)
    overlay = overlay_of(volume.grid, layer.dose.grid)

    hot = np.asarray(paint(volume, plane, 13, layer, overlay, (outline,)), dtype=int)
    cold = np.asarray(paint(volume, plane, 4, layer, overlay, (outline,)), dtype=int)

    assert hot.shape == (FRAME_PX[1], FRAME_PX[0], 3)
    yellow = (hot[:, :590, 0] - hot[:, :590, 2] > 50) & (hot[:, :590, 0] > 120)
    assert yellow[60:600].sum() > 500
    outlined = (np.abs(cold - [255, 40, 220]).sum(axis=2) < 60).sum()
    assert outlined > 60
    assert (np.abs(hot - [255, 40, 220]).sum(axis=2) < 60).sum() == 0
    assert (np.abs(hot[:30, 430:] - [255, 205, 110]).sum(axis=2) < 60).sum() > 100, "the warning"


def test_where_not_all_doses_are_known_lines_and_a_note_say_so() -> None:
    volume, layer, outline = case()
    plane = next(p for p in display_planes(volume.grid) if p.through == 0)
    overlay = overlay_of(volume.grid, layer.dose.grid)
    half = layer.dose.dose_gy.copy()
    half[:, :, half.shape[2] // 2 :] = np.nan

    def painted(dose_gy: np.ndarray) -> np.ndarray:
        dose = replace(layer.dose, dose_gy=dose_gy)
        return np.asarray(paint(volume, plane, 13, replace(layer, dose=dose), overlay, (outline,)), dtype=int)

    known, unknown = painted(np.nan_to_num(layer.dose.dose_gy)), painted(half)
    without = painted(np.nan_to_num(half))  # no dose at all there, which is known
    lines = np.abs(unknown - without).sum(axis=2)[60:600, 340:540] > 20  # beside the edge, where a line of dose runs
    assert 0.05 < lines.mean() < 0.2, "the anatomy stays visible"
    wider = grid_around((3.9, 1.8, 2.1), (60.0, 61.0, 57.0))
    everywhere = replace(layer, dose=DoseVolume(np.full(wider.shape, 2.0), wider))
    whole = paint(volume, plane, 13, everywhere, overlay_of(volume.grid, wider), (outline,))
    assert not (np.abs(np.asarray(whole, dtype=int)[-30:, 300:] - [255, 205, 110]).sum(axis=2) < 60).any()
    note = (np.abs(unknown[-30:, 300:] - [255, 205, 110]).sum(axis=2) < 60).sum()
    assert note > 100
    assert not np.array_equal(known, unknown)
