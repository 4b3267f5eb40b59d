"""Smooth outlines: the same voxels, the same area, shared edges."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from contouring.runs import runs_of_region
from contouring.scanline import runs_of
from contouring.smooth import smooth_rings
from imaging.volume import Region
from tests.contouring.test_trace import grids, masks, read_back


@settings(max_examples=80, deadline=None)
@given(st.data(), masks(), st.sampled_from(["nested", "keyhole"]))
def test_every_mask_comes_back_bit_by_bit_in_smooth_mode(
    data: st.DataObject, mask: NDArray[np.bool_], holes: str
) -> None:
    grid = data.draw(grids(mask.shape))

    again = read_back(mask, grid, "smooth", holes)

    assert np.array_equal(again, mask)


@settings(max_examples=40, deadline=None)
@given(masks(), st.booleans(), st.integers(0, 2**32 - 1))
def test_vertices_keep_away_from_pixel_centres(mask: NDArray[np.bool_], has_probability: bool, seed: int) -> None:
    probability = np.random.default_rng(seed).random(mask.shape) if has_probability else None
    region = Region.from_mask(mask, probability)

    rings = smooth_rings(region)

    away = np.linalg.norm(rings.columns_rows - np.rint(rings.columns_rows), axis=1)
    assert (away >= 0.02 - 1e-9).all()
    assert runs_of(rings, region.shape).is_same_as(runs_of_region(region))


def disc(radius_px: float, centre: NDArray[np.float64]) -> NDArray[np.bool_]:
    j, i = np.mgrid[0:101, 0:97]
    return np.asarray(((i - centre[0]) ** 2 + (j - centre[1]) ** 2 <= radius_px**2)[None])


def centres(number: int) -> NDArray[np.float64]:
    return 45.5 + np.random.default_rng(7).random((number, 2))


@pytest.mark.parametrize("radius_px", [1.5, 2.5, 5, 10, 20, 40])
def test_discs_keep_their_area(radius_px: float) -> None:
    for centre in centres(10):
        mask = disc(radius_px, centre)
        area = float(smooth_rings(Region.from_mask(mask)).areas.sum())

        assert area == pytest.approx(mask.sum(), rel=1e-4)


@pytest.mark.parametrize("radius_px", [5, 10, 20, 40])
def test_discs_become_round(radius_px: float) -> None:
    for centre in centres(5):
        rings = smooth_rings(Region.from_mask(disc(radius_px, centre)))
        distance = np.linalg.norm(rings.columns_rows - centre, axis=1)

        assert np.abs(distance - radius_px).max() < 0.75
        assert distance.std() < 0.25


def test_free_outlines_are_rounder_and_stay_near() -> None:
    centre = centres(1)[0]
    region = Region.from_mask(disc(40, centre))

    bound, free = smooth_rings(region, simplify=False), smooth_rings(region, free=True)

    bound_scatter, scatter = (np.linalg.norm(r.columns_rows - centre, axis=1).std() for r in (bound, free))
    assert scatter < 0.9 * bound_scatter
    assert free.areas.sum() == pytest.approx(region.voxel_count, rel=1e-3)
    assert abs(runs_of(free, region.shape).voxel_count / region.voxel_count - 1) < 0.005


def test_free_outlines_that_would_lose_the_mask_are_not_taken() -> None:
    """The planted fault: two pixels at a corner, of which a free outline would keep too little."""
    mask = np.zeros((1, 9, 7), dtype=np.bool_)
    mask[0, 3, 4] = mask[0, 4, 3] = mask[0, 5, 3] = mask[0, 5, 4] = mask[0, 2, 2] = True
    region = Region.from_mask(mask)

    rings = smooth_rings(region, free=True)

    assert runs_of(rings, region.shape).is_same_as(runs_of_region(region))


def test_specks_and_pinholes_stay_visible() -> None:
    mask = np.zeros((1, 23, 19), dtype=np.bool_)
    mask[0, 3:14, 2:16] = True
    mask[0, 7, 6] = mask[0, 9, 10] = mask[0, 9, 11] = False
    mask[0, 18, 4] = True

    areas = np.abs(smooth_rings(Region.from_mask(mask)).areas)

    assert areas.min() > 0.5


def test_without_keeping_the_area_small_discs_shrink() -> None:
    """The planted fault for the area: it must be visible without the level."""
    mask = disc(2.5, centres(1)[0])

    rings = smooth_rings(Region.from_mask(mask), keep_area=False)

    assert abs(rings.areas.sum() / mask.sum() - 1) > 0.001


def test_simplifying_drops_vertices_and_moves_the_outline_little() -> None:
    region = Region.from_mask(disc(30, centres(1)[0]))

    full = smooth_rings(region, simplify=False)
    short = smooth_rings(region)

    assert len(short.columns_rows) < 0.6 * len(full.columns_rows)
    gaps = np.linalg.norm(full.columns_rows[:, None] - short.columns_rows[None], axis=2).min(axis=0)
    assert gaps.max() < 0.02, "kept vertices stay"


def test_smoothing_makes_rings_shorter_than_the_stairs_they_follow() -> None:
    """An outline that keeps the stairs would be as long as the cracks: 4 / pi times too long."""
    region = Region.from_mask(disc(30, centres(1)[0]))
    rings = smooth_rings(region)

    length = np.linalg.norm(rings.columns_rows[rings.successors] - rings.columns_rows, axis=1).sum()

    assert length == pytest.approx(2 * np.pi * 30, rel=0.01)


def test_neighbours_share_one_edge_when_each_knows_its_rivals() -> None:
    rng = np.random.default_rng(4)
    scores = ndimage.gaussian_filter(rng.normal(size=(3, 2, 37, 29)), (0, 0, 3, 3)) * 30
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=0)
    winner = probabilities.argmax(axis=0)
    full = [Region(np.asarray(winner == c), (0, 0, 0), winner.shape, probabilities[c]) for c in range(3)]

    areas = [smooth_rings(full[c], rivals=[full[d] for d in range(3) if d != c]) for c in range(3)]

    own = {tuple(np.round(v, 9)) for v in areas[0].columns_rows}
    others = {tuple(np.round(v, 9)) for r in areas[1:] for v in r.columns_rows}
    interior = {(u, w) for u, w in own if 0.5 < u < 27.5 and 0.5 < w < 35.5}
    two_way = interior & others
    assert len(two_way) > 0.95 * len(interior), "vertices between two structures coincide"


def test_a_probability_moves_the_outline_towards_its_half_line() -> None:
    """A straight edge at column 10.8: the mask says 10.5, the probability knows better."""
    columns = np.mgrid[0:12, 0:20][1]
    probability = np.clip(0.5 + 0.25 * (10.8 - columns), 0, 1)[None]
    mask = probability > 0.5
    region = Region(mask, (0, 0, 0), mask.shape, probability)

    rings = smooth_rings(region, keep_area=False)

    right = rings.columns_rows[(rings.columns_rows[:, 0] > 10) & (np.abs(rings.columns_rows[:, 1] - 5.5) < 4)]
    assert right[:, 0] == pytest.approx(10.8)
