"""Filling: the half-open rule, the independent definition, exact coverage, closed-form volumes."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from contouring import read_rtstruct
from contouring.contours import Contours
from contouring.decimal_parse import parse_decimals
from contouring.errors import NonPlanarContour, OffGridContours
from contouring.outline import outline_of
from contouring.raster import coverage, rasterise
from contouring.rings import Rings
from contouring.scanline import coverage_of, runs_of
from contouring.shapes import (
    Placed,
    Shape,
    box,
    cone,
    cylinder,
    ellipsoid,
    hollow_sphere,
    l_shape,
    rotation,
    sphere,
    straw,
    torus,
    two_lobes,
    wedge,
)
from imaging.geometry import Grid
from imaging.volume import Region
from tests.contouring.cases import plainly_read, stack_of
from tests.contouring.structure_sets import contour, structure_set


def plain_fill(polygons: list[NDArray[np.float64]], rows: int, columns: int) -> NDArray[np.bool_]:
    """Even-odd, half-open, pixel by pixel: the definition; crossings rounded against the noise of floats."""
    w, u = np.mgrid[0:rows, 0:columns].astype(float)
    mask = np.zeros((rows, columns), dtype=np.bool_)
    for polygon in polygons:
        for (u0, w0), (u1, w1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
            if w0 > w1:
                u0, w0, u1, w1 = u1, w1, u0, w0
            crosses = (w0 <= w) & (w < w1)
            if w0 != w1:
                at = np.round(u0 + (u1 - u0) * ((w - w0) / (w1 - w0)), 8)
                mask ^= crosses & (at <= u)
    return mask


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.booleans())
def test_any_polygons_are_filled_as_the_definition_says(seed: int, number: int, on_centres: bool) -> None:
    """Also self-crossing ones, beyond the image, and with vertices on pixel centres."""
    rng = np.random.default_rng(seed)
    polygons = [rng.uniform(-6, 24, (rng.integers(3, 12), 2)) for _ in range(number)]
    if on_centres:
        polygons = [np.round(p * 2) / 2 for p in polygons]

    runs = runs_of(Rings.of(polygons, [0] * number), (1, 19, 16))

    assert np.array_equal(runs.region().mask()[0], plain_fill(polygons, 19, 16))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_pieces_of_the_plane_neither_overlap_nor_leave_a_gap(seed: int) -> None:
    """A fan of triangles with shared edges through pixel centres: each pixel belongs to exactly one."""
    rng = np.random.default_rng(seed)
    centre = np.round(rng.uniform(5, 12, 2) * 2) / 2
    corners = np.array([[-1.0, -1], [8, -2], [21, -1], [22, 9], [21, 20], [9, 21], [-1, 20], [-2, 8]])
    fan = [np.array([centre, a, b]) for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True)]

    count = sum(runs_of(Rings.of([t], [0]), (1, 18, 19)).region().mask().astype(int) for t in fan)

    assert np.array_equal(count, np.ones_like(count))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_coverage_is_the_area_share_that_fine_sampling_finds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    polygons = [rng.uniform(-3, 15, (6, 2)) for _ in range(2)]

    crop, start = coverage_of(Rings.of(polygons, [0, 0]), (1, 11, 13))

    full = np.zeros((1, 11, 13))
    full[tuple(slice(s, s + n) for s, n in zip(start, crop.shape, strict=True))] = crop
    fine = [(p + 0.5) * 40 - 0.5 for p in polygons]
    sampled = plain_fill(fine, 11 * 40, 13 * 40).reshape(11, 40, 13, 40).mean(axis=(1, 3))
    assert np.abs(full[0] - sampled).max() < 0.06


@pytest.mark.parametrize(("radius_px", "worst"), [(1.5, 0.004), (3, 0.002), (6, 0.001), (12, 0.0005)])
def test_coverage_of_discs_has_the_area_of_discs(radius_px: float, worst: float) -> None:
    rng = np.random.default_rng(5)
    angle = np.linspace(0, 2 * np.pi, 3000, endpoint=False)
    for _ in range(20):
        disc = rng.uniform(15, 16, 2) + radius_px * np.stack([np.cos(angle), np.sin(angle)], axis=1)

        area = float(coverage_of(Rings.of([disc], [0]), (1, 33, 31))[0].sum())

        assert area == pytest.approx(np.pi * radius_px**2, rel=worst)


def fine_grid(half_size_mm: tuple[float, float, float], orientation: NDArray[np.float64]) -> Grid:
    """Around a shape: 0.47 x 0.58 mm pixels, 0.81 mm slices, off-centre by fractions of a voxel."""
    dz, dy, dx = 0.81, 0.58, 0.47
    reach = float(np.linalg.norm(half_size_mm))
    counts = [int(2 * reach / s) + 4 for s in (dz, dy, dx)]
    row, column, normal = orientation.T
    origin = -reach * (row + column + normal) - 0.31 * row - 0.17 * column - 0.23 * normal
    return Grid(
        positions_lps=origin + np.arange(counts[0])[:, None] * dz * normal,
        row_direction=row,
        column_direction=column,
        pixel_spacing_mm=(dy, dx),
        rows=counts[1],
        columns=counts[2],
        frame_of_reference_uid="1.2.3",
    )


SHAPES = [
    sphere(9.0), ellipsoid(6, 9, 8), cylinder(7, 13), cone(9, 14), torus(8, 3.5), hollow_sphere(9, 5.2),
    straw(8, 4.7, 12), box(11, 13, 9), wedge(15, 13, 9), l_shape(14, 17, 5, 9), two_lobes(5, 12, 13),
]  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: s.name)
def test_shapes_agree_with_themselves(shape: Shape) -> None:
    """Volume, slice area, polygons and the inside test are four independent statements."""
    heights = np.linspace(-shape.half_size_mm[2], shape.half_size_mm[2], 4001)
    middles = (heights[1:] + heights[:-1]) / 2
    volume = sum(shape.slice_area_mm2(float(z)) for z in middles) * float(heights[1] - heights[0])
    assert volume == pytest.approx(shape.volume_mm3, rel=2e-3)

    placed = Placed(shape, np.array([1.3, -2.7, 0.4]))
    grid = fine_grid(shape.half_size_mm, np.eye(3))
    mask = placed.mask(grid)
    filled = rasterise(placed.contours(grid), grid)
    differing = int((mask != filled).sum())
    assert differing <= 0.002 * mask.sum(), "only where 720 corners stand for a circle"
    slices = sum(shape.slice_area_mm2(float(z)) for z in grid.plane_positions_mm - placed.centre_lps[2])
    assert mask.sum() * 0.58 * 0.47 == pytest.approx(slices, rel=0.06)


@pytest.mark.parametrize("mode", ["crack", "smooth"])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: s.name)
def test_contours_keep_the_volume_of_closed_form_shapes(shape: Shape, mode: str) -> None:
    """Oblique and turned; the contours' volume against the voxels' (crack 0.1 %, smooth 0.3 %) and the formula."""
    orientation = rotation(17, -31, 48)
    placed = Placed(shape, np.array([2.1, -0.7, 1.4]), rotation(17, -31, 48) @ rotation(11, 23, 5))
    grid = fine_grid(shape.half_size_mm, orientation)
    mask = placed.mask(grid)
    voxel_mm3 = 0.81 * 0.58 * 0.47

    outline = outline_of(Region.from_mask(mask), grid, mode=mode, holes="nested")  # type: ignore[arg-type]
    polygons = [parse_decimals(d.strip()).reshape(-1, 3) for d in outline.data]
    signed = [float(np.cross(p, np.roll(p, -1, axis=0)).sum(axis=0) @ grid.normal) / 2 for p in polygons]

    volume = sum(signed) * 0.81
    assert volume == pytest.approx(mask.sum() * voxel_mm3, rel=0.001 if mode == "crack" else 0.003)
    assert volume == pytest.approx(shape.volume_mm3, rel=0.01), "sampling of the shape itself"


@pytest.mark.parametrize("radius_mm", [5.0, 10.0, 20.0])
def test_spheres_drawn_as_contours_have_the_truths_voxels_and_volume(radius_mm: float) -> None:
    """Specification section 1: Dice 1 against pixel-centre truth, coverage mode within 0.05 % of the slab volume."""
    rng = np.random.default_rng(3)
    shape = sphere(radius_mm)
    for _ in range(4):
        grid = Grid(
            positions_lps=np.array([[-30.0, -28.0, z] for z in np.arange(-26, 27, 2.0)]) + rng.random(3),
            row_direction=np.array([1.0, 0, 0]),
            column_direction=np.array([0, 1.0, 0]),
            pixel_spacing_mm=(1.0, 1.1),
            rows=59,
            columns=53,
            frame_of_reference_uid="1.2.3",
        )
        placed = Placed(shape, np.zeros(3))

        filled = rasterise(placed.contours(grid), grid)
        share = coverage(placed.contours(grid), grid)

        truth = placed.mask(grid)
        assert 2 * (filled & truth).sum() / (filled.sum() + truth.sum()) > 0.9995
        slabs = sum(shape.slice_area_mm2(float(z)) for z in grid.plane_positions_mm)
        assert float(share.sum(dtype=float)) * 1.1 == pytest.approx(slabs, rel=5e-4)


def test_off_grid_and_tilted_contours_are_refused_and_nothing_gives_nothing() -> None:
    grid = stack_of().grid
    square = grid.points_lps(4, np.array([[3.0, 4], [12, 4], [12, 9]]))

    assert not rasterise([], grid).any()
    assert not coverage([], grid).any()
    assert rasterise(Contours.of([square]), grid)[4].any()
    for fill in (rasterise, coverage):
        with pytest.raises(OffGridContours):
            fill([square + 0.4 * 2.5 * grid.normal], grid)
        with pytest.raises(NonPlanarContour):
            fill([square + np.outer([0, 0, 2.0], grid.normal)], grid)


def distance_to_ring(point: NDArray[np.float64], ring: NDArray[np.float64]) -> float:
    """Distance of a point to the nearest edge of a closed ring, in pixels."""
    start, step = ring, np.roll(ring, -1, axis=0) - ring
    share = np.clip(((point - start) * step).sum(axis=1) / (step**2).sum(axis=1), 0.0, 1.0)
    return float(np.linalg.norm(start + share[:, None] * step - point, axis=1).min())


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
@example(2209)
def test_foreign_contours_are_read_as_the_independent_reader_reads_them(seed: int) -> None:
    rng = np.random.default_rng(seed)
    grid = stack_of(planes=5).grid
    items = []
    stars = []
    for plane in range(5):
        angle = np.sort(rng.uniform(0, 2 * np.pi, 40))
        reach = rng.uniform(4, 16, 40)
        star = np.stack([22 + reach * np.cos(angle), 26 + reach * np.sin(angle)], axis=1)
        stars.append(star)
        items.append(contour(grid.points_lps(plane, star)))
    ds = structure_set([(1, "star", items)], grid)

    (structure,) = read_rtstruct(ds, grid).structures

    # Within a millionth of a pixel an edge is snapped to a centre, which the plain reader does not do: such a one may
    # differ, any other may not.
    for plane, row, column in np.argwhere(structure.region.mask() != plainly_read(ds, 1, grid)):
        assert distance_to_ring(np.array([column, row]), stars[plane]) < 0.002
