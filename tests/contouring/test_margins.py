"""Margins against closed forms and brute force, on oblique, uneven and tilted grids."""

from dataclasses import astuple, replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

from contouring.coarse import drawn_on_few_voxels
from contouring.errors import EmptyStructure, GridMismatch
from contouring.margins import Margin, grow, margin_mm, shrink
from contouring.min_plus import SURFACE_OFFSET_MM, min_plus_passes
from contouring.shapes import Placed, Shape, ellipsoid, rotation, torus
from contouring.shapes import sphere as sphere_shape
from contouring.solid import solid_of
from contouring.volumes import volume_cc
from imaging.errors import MissingSlices
from imaging.geometry import Grid
from imaging.volume import Region

AXIAL = np.eye(3)
OBLIQUE, _ = np.linalg.qr(np.array([[0.94, -0.21, 0.2], [0.15, 0.95, 0.3], [0.29, 0.2, -0.9]]))
OBLIQUE = OBLIQUE * np.sign(np.linalg.det(OBLIQUE))


def grid_for(
    axes: NDArray[np.float64], spacing: tuple[float, float, float], extent_mm: float, shear: float = 0.0
) -> Grid:
    """A grid of about `extent_mm` on each side, its centre away from zero."""
    planes, rows, columns = (int(extent_mm / s) + n for s, n in zip(spacing, (1, 2, 5), strict=True))
    normal = np.cross(axes[:, 0], axes[:, 1])
    along = np.arange(planes)[:, None] * spacing[0]
    return Grid(
        np.array([-41.3, 17.7, -205.1]) + along * (normal + shear * axes[:, 1]),
        axes[:, 0], axes[:, 1], spacing[1:], rows, columns, "1.2.3", spacing[0],
    )  # fmt: skip


def centres(grid: Grid) -> NDArray[np.float64]:
    k, j, i = np.indices(grid.shape).reshape(3, -1)
    return grid.points_lps(k, np.stack([i, j], axis=1))


def sphere(grid: Grid, radius_mm: float) -> tuple[Region, NDArray[np.float64]]:
    """A sphere off the grid's centre, and the distance of each voxel from its centre."""
    points = centres(grid)
    middle = points.mean(axis=0) + np.array([0.37, -0.21, 0.83])
    distances = np.linalg.norm(points - middle, axis=1).reshape(grid.shape)
    return Region.from_mask(distances < radius_mm), distances


def ball_cc(radius_mm: float) -> float:
    return 4 / 3 * np.pi * radius_mm**3 / 1000


@pytest.mark.parametrize("axes", [AXIAL, OBLIQUE], ids=["axial", "oblique"])
@pytest.mark.parametrize(("radius_mm", "margin"), [(10, 5), (10, 10), (20, 3), (20, 7)])
def test_spheres_grow_to_their_volume(axes: NDArray[np.float64], radius_mm: float, margin: float) -> None:
    grid = grid_for(axes, (3.0, 1.0, 0.9), 2 * (radius_mm + margin) + 12)
    region, _ = sphere(grid, radius_mm)

    grown = grow(region, grid, Margin.uniform(margin))

    # The voxels of the small sphere themselves miss its volume by up to 1 %; the specification allows 1 % in all.
    assert volume_cc(grown, grid) == pytest.approx(ball_cc(radius_mm + margin), rel=0.01)


@pytest.mark.parametrize(
    ("spacing", "radius_mm", "margin", "worst"),
    [
        # Spheres of 10 mm are drawn by 7 or 8 slices, and their voxels alone miss their volume by up to 2.2 %.
        ((3.0, 1.0, 1.0), 10.0, 5.0, 0.011),
        ((2.5, 0.98, 0.98), 10.0, 5.0, 0.010),
        ((3.0, 1.0, 0.9), 15.0, 5.0, 0.005),
        ((2.5, 0.9, 1.1), 20.0, 3.0, 0.005),
        ((2.5, 0.6, 1.4), 15.0, 5.0, 0.010),
    ],
)
def test_every_single_sphere_grows_to_its_volume_wherever_it_lies(
    spacing: tuple[float, float, float], radius_mm: float, margin: float, worst: float
) -> None:
    grid = grid_for(AXIAL, spacing, 2 * (radius_mm + margin) + 12)

    errors = errors_of(sphere_shape(radius_mm), grid, margin, ball_cc(radius_mm + margin), places=10)

    assert np.abs(errors).max() <= worst
    assert abs(np.mean(errors)) <= 0.003


@pytest.mark.parametrize("radius_mm", [10.0, 15.0])
def test_spheres_on_uneven_slices_grow_to_their_volume(radius_mm: float) -> None:
    """Areas between planes and caps follow their true positions; taken for even, single ones were 3 % too large."""
    steps = np.random.default_rng(5).choice([2.1, 3.0, 4.2], 20)
    even = grid_for(OBLIQUE, (3.0, 1.0, 0.9), 2 * radius_mm + 22)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    grid = replace(even, positions_lps=even.positions_lps[0] + along[:, None] * even.normal)

    errors = errors_of(sphere_shape(radius_mm), grid, 5.0, ball_cc(radius_mm + 5), places=8)

    assert np.abs(errors).max() <= 0.005  # with the halves of the slices exchanged, 0.6 %
    assert abs(np.mean(errors)) <= 0.005


def test_spheres_on_the_pixels_of_pet_grow_to_about_their_volume() -> None:
    grid = grid_for(AXIAL, (3.27, 4.07, 4.0), 72)

    errors = errors_of(sphere_shape(20), grid, 5.0, ball_cc(25), places=8)

    # Their own voxels miss their volume by up to 2.3 %.
    assert abs(np.mean(errors)) <= 0.01
    assert np.abs(errors).max() <= 0.03


def test_spheres_on_the_pixels_of_pet_grow_around_their_middle() -> None:
    """Large pixels are divided before the surface is found; half of one beside it is 2 mm."""
    grid = grid_for(AXIAL, (3.27, 4.07, 4.0), 62)
    points = centres(grid)
    rng = np.random.default_rng(5)
    misses = []
    for _ in range(4):
        middle = points.mean(axis=0) + (rng.random(3) - 0.5) * 4
        region = Region.from_mask(Placed(sphere_shape(14.0), middle, np.eye(3)).mask(grid))
        grown = grow(region, grid, Margin.uniform(5)).mask().ravel()
        misses.append(points[grown].mean(axis=0) - middle)

    assert np.abs(np.mean(misses, axis=0)).max() <= 0.3


def test_sides_without_a_margin_keep_the_rest_true() -> None:
    """An ellipsoid grown on three sides only, against the sum of support functions; it was 1.5 % too small."""
    grid = grid_for(AXIAL, (3.0, 1.0, 0.9), 52)
    half_axes = (15.0, 12.0, 14.0)
    region = Region.from_mask(
        Placed(ellipsoid(*half_axes), centres(grid).mean(axis=0) + np.array([0.4, -0.3, 0.7]), np.eye(3)).mask(grid)
    )

    grown = grow(region, grid, Margin(5, 0, 7, 0, 10, 0))

    directions = np.random.default_rng(2).normal(size=(30_000, 3))
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    own = directions * np.square(half_axes) / np.linalg.norm(directions * half_axes, axis=1)[:, None]
    sides = np.where(directions > 0, [5.0, 1e-9, 10.0], [1e-9, 7.0, 1e-9])
    added = directions * sides**2 / np.linalg.norm(directions * sides, axis=1)[:, None]
    assert volume_cc(grown, grid) == pytest.approx(ConvexHull(own + added).volume / 1000, rel=0.01)


@pytest.mark.parametrize(
    ("axes", "margin"),
    [
        (AXIAL, Margin(0, 0, 0, 0, 6, 0)),
        (AXIAL, Margin(6, 0, 0, 0, 0, 0)),
        (OBLIQUE, Margin(0, 0, 0, 0, 10, 0)),
        (AXIAL, Margin(6, 6, 0, 0, 0, 0)),
        (AXIAL, Margin(0, 0, 0, 0, 6, 6)),
    ],
    ids=["superior", "left", "oblique superior", "left and right", "superior and inferior"],
)
@pytest.mark.parametrize("radius_mm", [10.0, 15.0])
def test_spheres_grown_along_one_axis_gain_the_disc_times_the_margin(
    axes: NDArray[np.float64], margin: Margin, radius_mm: float
) -> None:
    """They were up to 2.8 % too large towards one side: what the drawn voxels held on the others was given out again.

    Towards two they were 2 % too small: distances ended at the last point of the lattice within the margin.
    """
    grid = grid_for(axes, (3.0, 1.0, 0.9), 2 * radius_mm + 32)
    towards_mm = sum(astuple(margin))
    truth_cc = ball_cc(radius_mm) + np.pi * radius_mm**2 * towards_mm / 1000

    errors = errors_of(sphere_shape(radius_mm), grid, margin, truth_cc, places=5)

    assert abs(np.mean(errors)) <= 0.01


@pytest.mark.parametrize(("superior", "rest"), [(6.0, 1.0), (6.0, 0.5), (0.5, 0.5)])
def test_spheres_grown_more_towards_one_side_than_the_others_come_to_their_volume(superior: float, rest: float) -> None:
    """The truth is the sum of the sphere and the body of the margins, by their support functions."""
    grid = grid_for(AXIAL, (3.0, 1.0, 0.9), 40)
    margin = Margin(rest, rest, rest, rest, superior, rest)

    errors = errors_of(sphere_shape(10.0), grid, margin, grown_ball_cc(10.0, rest, superior), places=4)

    assert abs(np.mean(errors)) <= 0.01


def grown_ball_cc(radius_mm: float, rest_mm: float, superior_mm: float) -> float:
    """Volume of a ball with one margin upwards and another on all other sides: a body of revolution.

    Below, it is a ball of both radii. Above, its profile is that of the ball moved along a half ellipse: at the angle t
    the support is R + sqrt((rest cos t)^2 + (superior sin t)^2).
    """
    t = np.linspace(0, np.pi / 2, 20001)
    stretch = np.hypot(rest_mm * np.cos(t), superior_mm * np.sin(t))
    across = radius_mm * np.cos(t) + rest_mm**2 * np.cos(t) / stretch
    along = radius_mm * np.sin(t) + superior_mm**2 * np.sin(t) / stretch
    upper = np.trapezoid(np.pi * across**2, along)
    return float((upper + 2 / 3 * np.pi * (radius_mm + rest_mm) ** 3) / 1000)


def test_structures_on_few_voxels_are_told_and_others_are_not() -> None:
    mask = np.zeros((9, 30, 33), dtype=np.bool_)
    mask[2:7, 5:20, 6:22] = True

    assert drawn_on_few_voxels(Region.from_mask(mask)) == ""
    assert "5 pixels" in drawn_on_few_voxels(Region.from_mask(mask & (np.indices(mask.shape)[1:] < 10).all(axis=0)))
    mask[4:] = False
    assert "2 slices" in drawn_on_few_voxels(Region.from_mask(mask))


@pytest.mark.parametrize("margin", [5.0, -3.0])
def test_rings_and_ellipsoids_of_any_direction_change_by_their_margin(margin: float) -> None:
    """Shapes that nothing in the reconstruction was derived from, so that it is not fitted to spheres."""
    grid = grid_for(AXIAL, (3.0, 1.0, 0.9), 92)
    ring = torus(22, 10)

    errors = errors_of(ring, grid, margin, torus(22, 10 + margin).volume_mm3 / 1000, places=3)

    assert np.abs(errors).max() <= 0.01
    flat = grid_for(AXIAL, (3.0, 1.0, 0.9), 56)
    errors = errors_of(ellipsoid(15, 13, 10.5), flat, margin, parallel_ellipsoid_cc((15, 13, 10.5), margin), places=5)
    # What shrinking leaves is so small that its own voxels miss its volume by 2 %.
    assert np.abs(errors).max() <= (0.01 if margin > 0 else 0.02)


def errors_of(shape: Shape, grid: Grid, margin: float | Margin, truth_cc: float, places: int) -> list[float]:
    """Relative volume errors of a shape grown or shrunk, at random places between the voxels and turned at random."""
    rng = np.random.default_rng(11)
    middle = centres(grid).mean(axis=0)
    errors = []
    for _ in range(places):
        placed = Placed(shape, middle + (rng.random(3) - 0.5) * 2.5, rotation(*(rng.random(3) * 360)))
        region = Region.from_mask(placed.mask(grid))
        if isinstance(margin, Margin):
            changed = grow(region, grid, margin)
        elif margin > 0:
            changed = grow(region, grid, Margin.uniform(margin))
        else:
            changed = shrink(region, grid, Margin.uniform(-margin))
        errors.append(volume_cc(changed, grid) / truth_cc - 1)
    return errors


def parallel_ellipsoid_cc(half_axes: tuple[float, float, float], margin: float) -> float:
    """Steiner's formula; area and mean curvature from the support function over all directions."""
    height, weight = np.polynomial.legendre.leggauss(200)
    turn = (np.arange(400) + 0.5) * np.pi / 200
    flat = np.sqrt(1 - height**2)[:, None]
    directions = np.stack([flat * np.cos(turn), flat * np.sin(turn), np.repeat(height[:, None], 400, axis=1)], axis=-1)
    support = np.linalg.norm(directions * half_axes, axis=-1)
    each = weight[:, None] * np.pi / 200
    volume = 4 / 3 * np.pi * np.prod(half_axes)
    area = float((np.prod(half_axes) ** 2 / support**4 * each).sum())
    bend = float((support * each).sum())
    return float(volume + area * margin + bend * margin**2 + 4 / 3 * np.pi * margin**3) / 1000


def test_a_voxel_centre_prototype_would_fail_by_ten_percent() -> None:
    """The planted fault: growing from voxel centres, as many programs do, loses what the surface keeps."""
    grid = grid_for(AXIAL, (3.0, 1.0, 0.9), 42)
    region, _ = sphere(grid, 10)
    points, inside = centres(grid), region.mask().ravel()

    from scipy.spatial import cKDTree

    near = cKDTree(points[inside]).query(points)[0] <= 5

    assert near.sum() * 2.7 / 1000 < 0.95 * ball_cc(15)


def test_spheres_shrink_to_their_volume() -> None:
    grid = grid_for(OBLIQUE, (2.5, 0.9, 1.1), 54)
    region, _ = sphere(grid, 20)

    assert volume_cc(shrink(region, grid, Margin.uniform(5)), grid) == pytest.approx(ball_cc(15), rel=0.02)


@pytest.mark.parametrize("margin", [3, 6])
def test_a_shrunk_box_keeps_its_corners(margin: int) -> None:
    grid = grid_for(AXIAL, (3.0, 1.0, 0.9), 76)
    mask = np.zeros(grid.shape, dtype=np.bool_)
    mask[7:17, 18:52, 20:60] = True

    shrunk = shrink(Region.from_mask(mask), grid, Margin.uniform(margin))

    assert shrunk.crop.all()
    assert shrunk.crop.shape[:2] == (10 - 2 * margin // 3, 34 - 2 * margin)


def test_shrinking_by_more_than_the_half_width_leaves_nothing() -> None:
    grid = grid_for(OBLIQUE, (2.5, 0.9, 1.1), 54)
    region, _ = sphere(grid, 20)

    assert shrink(region, grid, Margin.uniform(60)).voxel_count == 0


@pytest.mark.parametrize("axes", [AXIAL, OBLIQUE], ids=["axial", "oblique"])
@pytest.mark.parametrize("margin", [5, 10])
def test_one_voxel_grows_to_a_rounded_voxel(axes: NDArray[np.float64], margin: float) -> None:
    grid = grid_for(axes, (3.0, 1.0, 0.9), 2 * margin + 12)
    mask = np.zeros(grid.shape, dtype=np.bool_)
    mask[tuple(n // 2 for n in grid.shape)] = True
    a, b, c = 3.0, 1.0, 0.9
    rounded = a * b * c + 2 * margin * (a * b + b * c + c * a) + np.pi * margin**2 * (a + b + c)

    grown = grow(Region.from_mask(mask), grid, Margin.uniform(margin))

    assert volume_cc(grown, grid) == pytest.approx(rounded / 1000 + ball_cc(margin), rel=0.03)
    assert shrink(Region.from_mask(mask), grid, Margin.uniform(1)).voxel_count == 0
    assert shrink(Region.from_mask(mask), grid, Margin(1, 0, 0, 0, 0, 0)).voxel_count == 0


def test_a_speck_beside_a_large_part_gets_its_margin() -> None:
    grid = grid_for(AXIAL, (3.0, 1.0, 0.9), 60)
    large, speck = np.zeros((2, *grid.shape), dtype=np.bool_)
    large[5:14, 8:30, 6:33] = True
    speck[9, 45, 50] = True

    both = grow(Region.from_mask(large | speck), grid, Margin.uniform(5)).mask()
    apart = [grow(Region.from_mask(m), grid, Margin.uniform(5)).mask() for m in (large, speck)]

    assert np.count_nonzero(both ^ (apart[0] | apart[1])) < 0.01 * np.count_nonzero(both)
    # One threshold serves all of a structure, so that the speck's own voxels differ a little.
    assert np.count_nonzero(both[:, 38:]) == pytest.approx(np.count_nonzero(apart[1][:, 38:]), rel=0.2)


def test_a_region_at_the_border_grows_within_the_image() -> None:
    grid = grid_for(AXIAL, (3.0, 1.0, 0.9), 40)
    mask = np.zeros(grid.shape, dtype=np.bool_)
    mask[0, 0, 0] = True
    inner = np.zeros(grid.shape, dtype=np.bool_)
    inner[5, 15, 16] = True

    grown = grow(Region.from_mask(mask), grid, Margin.uniform(5)).mask()

    within = grow(Region.from_mask(inner), grid, Margin.uniform(5)).mask()[5:, 15:, 16:]
    assert np.count_nonzero(grown[:3, :9, :9] ^ within[:3, :9, :9]) < 0.1 * np.count_nonzero(within)
    full = Region.from_mask(np.ones(grid.shape, dtype=np.bool_))
    assert grow(full, grid, Margin.uniform(5)).voxel_count == full.voxel_count


def test_a_margin_on_one_side_takes_a_slice_from_half_of_it_on() -> None:
    grid = grid_for(AXIAL, (3.0, 1.0, 0.9), 60)
    mask = np.zeros(grid.shape, dtype=np.bool_)
    mask[4:11, 10:30, 12:33] = True
    region = Region.from_mask(mask)

    def on_top(mm: float) -> int:
        grown = grow(region, grid, Margin(0, 0, 0, 0, mm, 0)).mask()
        assert np.array_equal(grown[:11], mask[:11])
        assert not grown[12:].any()
        return int(np.count_nonzero(grown[11]))

    assert on_top(1.2) == 0
    # The rounded edges of a drawn box cost its corners.
    assert on_top(1.8) == pytest.approx(20 * 21, rel=0.1)
    assert on_top(3.0) == pytest.approx(20 * 21, rel=0.05)


def test_a_box_grows_to_its_rounded_volume() -> None:
    """Flat ends stay flat: the caps of a box end half a slice beyond it, not more."""
    grid = grid_for(AXIAL, (3.0, 1.0, 0.9), 70)
    mask = np.zeros(grid.shape, dtype=np.bool_)
    mask[7:14, 20:50, 22:52] = True
    a, b, c, m = 21.0, 30.0, 27.0, 6.0
    steiner = a * b * c + 2 * m * (a * b + b * c + c * a) + np.pi * m**2 * (a + b + c) + 4 / 3 * np.pi * m**3

    grown = grow(Region.from_mask(mask), grid, Margin.uniform(m))

    assert volume_cc(grown, grid) == pytest.approx(steiner / 1000, rel=0.015)


def test_anisotropic_margins_follow_the_patient_on_an_oblique_grid() -> None:
    grid = grid_for(OBLIQUE, (2.5, 0.9, 1.1), 62)
    region, _ = sphere(grid, 12)
    points = centres(grid)
    own = points[region.mask().ravel()]

    grown = grow(region, grid, Margin(4, 4, 8, 8, 14, 14))

    added = points[grown.mask().ravel()]
    reach = np.maximum(added.max(axis=0) - own.max(axis=0), own.min(axis=0) - added.min(axis=0))
    assert reach == pytest.approx([4, 8, 14], abs=1.3)


def test_each_side_has_its_own_margin() -> None:
    grid = grid_for(AXIAL, (2.5, 0.9, 1.1), 60)
    region, _ = sphere(grid, 10)
    points = centres(grid)
    own = points[region.mask().ravel()]

    grown = points[grow(region, grid, Margin(2, 9, 3, 7, 12, 0)).mask().ravel()]

    beyond, before = grown.max(axis=0) - own.max(axis=0), own.min(axis=0) - grown.min(axis=0)
    # The pole that rises by 12 mm lies between slices 2.5 mm apart.
    assert (np.abs(beyond - [2, 7, 12]) <= [1.3, 1.3, 2.5]).all()
    assert before == pytest.approx([9, 3, 0], abs=1.3)


def test_a_shrinking_margin_is_taken_off_its_own_side() -> None:
    grid = grid_for(AXIAL, (2.5, 0.9, 1.1), 60)
    region, _ = sphere(grid, 18)
    points = centres(grid)
    own = points[region.mask().ravel()]

    left = points[shrink(region, grid, Margin(9, 0, 0, 0, 0, 0)).mask().ravel()]

    assert own.max(axis=0)[0] - left.max(axis=0)[0] == pytest.approx(9, abs=1.3)
    assert own.min(axis=0)[0] == pytest.approx(left.min(axis=0)[0], abs=1.3)


def test_min_plus_passes_equal_brute_force() -> None:
    rng = np.random.default_rng(3)
    mask = np.zeros((15, 17, 19), dtype=np.bool_)
    mask[5:9, 6:10, 8:11] = rng.random((4, 4, 3)) > 0.5
    positive, negative, spacing = np.array([3.2, 1.6, 4.0]), np.array([1.1, 2.9, 0.7]), 1.0

    reached = min_plus_passes(np.where(mask, np.float32(0), np.float32(4)), positive, negative, spacing) <= 1

    seeds, voxels = np.argwhere(mask), np.indices(mask.shape).reshape(3, -1).T
    steps = voxels[:, None] - seeds[None]
    scale = np.where(steps > 0, positive, negative) + SURFACE_OFFSET_MM
    brute = (((steps / scale) ** 2).sum(axis=2) <= 1).any(axis=1).reshape(mask.shape)
    assert np.array_equal(reached, brute)
    assert reached.sum() > mask.sum()


def test_a_tilted_stack_grows_like_an_upright_one() -> None:
    grid = grid_for(AXIAL, (2.5, 0.9, 1.1), 54, shear=0.18)
    region, distances = sphere(grid, 12)

    grown = grow(region, grid, Margin.uniform(6))

    truth = distances < 18
    assert 2 * (grown.mask() & truth).sum() / (grown.voxel_count + truth.sum()) > 0.97


def test_two_parts_on_neighbouring_planes_are_not_bridged() -> None:
    """Parts that do not overlap end by caps; interpolation across would fill what lies between."""
    grid = grid_for(AXIAL, (3.0, 1.0, 0.9), 60)
    mask = np.zeros(grid.shape, dtype=np.bool_)
    mask[5:9, 5:15, 5:15] = mask[9:13, 40:50, 40:50] = True

    solid = solid_of(Region.from_mask(mask), grid)

    middle, above_first = grid.points_lps(np.array([8, 8]), np.array([[27.0, 27.0], [10.0, 10.0]]))
    points = np.array([middle, above_first, above_first])
    points[:, 2] += [1.5, 1.45, 1.55]
    assert (solid.values_at(points) > 0).tolist() == [False, True, False]


def test_growth_is_cut_at_the_border_of_the_image() -> None:
    grid = grid_for(AXIAL, (3.0, 1.0, 0.9), 30)
    mask = np.zeros(grid.shape, dtype=np.bool_)
    mask[0:3, 0:6, 0:5] = True

    grown = grow(Region.from_mask(mask), grid, Margin.uniform(4))

    assert grown.start == (0, 0, 0)
    assert grown.mask()[3, 3, 3]


def test_own_voxels_are_kept_and_no_margin_changes_nothing() -> None:
    grid = grid_for(AXIAL, (3.0, 1.0, 0.9), 30)
    mask = np.random.default_rng(1).random(grid.shape) > 0.9
    region = Region.from_mask(mask)

    assert (grow(region, grid, Margin.uniform(2)).mask() & mask).sum() == mask.sum()
    assert np.array_equal(grow(region, grid, Margin.uniform(0)).mask(), mask)
    assert np.array_equal(shrink(region, grid, Margin.uniform(0)).mask(), mask)


def test_empty_foreign_and_flat_structures_are_refused() -> None:
    grid = grid_for(AXIAL, (3.0, 1.0, 0.9), 20)
    one = Grid(
        np.array([[1.0, 2, 3]]), np.array([1.0, 0, 0]), np.array([0, 1.0, 0]), (0.9, 1.1), 8, 9, "1.2",
    )  # fmt: skip

    with pytest.raises(EmptyStructure):
        grow(Region.from_mask(np.zeros(grid.shape, dtype=np.bool_)), grid, Margin.uniform(3))
    with pytest.raises(GridMismatch):
        grow(Region.from_mask(np.ones((2, 3, 4), dtype=np.bool_)), grid, Margin.uniform(3))
    with pytest.raises(MissingSlices):
        grow(Region.from_mask(np.ones((1, 8, 9), dtype=np.bool_)), one, Margin.uniform(3))


@pytest.mark.parametrize("value", [-1.0, float("nan"), 101.0])
def test_impossible_margins_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="100 mm"):
        Margin.uniform(value)


def test_van_herk_margin() -> None:
    assert margin_mm(2.0, 3.0) == pytest.approx(7.1)
