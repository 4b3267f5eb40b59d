"""Crack outlines: the exact boundary of every mask."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from contouring.decimal_parse import parse_decimals
from contouring.outline import outline_of
from contouring.raster import rasterise
from contouring.runs import runs_of_region
from contouring.scanline import runs_of
from contouring.shapes import rotation
from contouring.trace import trace_cracks, unit_cracks
from imaging.geometry import Grid
from imaging.volume import Region

MASKS_PER_EXAMPLE = 60
IN_PLANE_CROSS = np.array([[[0, 0, 0]] * 3, [[0, 1, 0], [1, 1, 1], [0, 1, 0]], [[0, 0, 0]] * 3])


@st.composite
def masks(draw: st.DrawFn) -> NDArray[np.bool_]:
    """Noise, blobs, lines and checkerboards of any density, many planes at once."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows, columns = draw(st.integers(1, 17)), draw(st.integers(1, 13))
    noise = rng.random((MASKS_PER_EXAMPLE, rows, columns))
    smooth = draw(st.sampled_from([0.0, 0.6, 1.3]))
    if smooth:
        noise = ndimage.gaussian_filter(noise, (0, smooth, smooth))
    mask = noise > rng.uniform(noise.min(), noise.max(), (MASKS_PER_EXAMPLE, 1, 1))
    if draw(st.booleans()):
        mask ^= np.indices((rows, columns)).sum(axis=0) % 2 == 0
    return np.asarray(mask, dtype=np.bool_)


@st.composite
def grids(draw: st.DrawFn, shape: tuple[int, int, int]) -> Grid:
    """Oblique grids with rounded cosines, uneven planes and unequal spacings."""
    decimals = draw(st.sampled_from([4, 6, 10]))
    angles = [draw(st.floats(-180, 180)) for _ in range(3)]
    turn = np.round(rotation(*angles), decimals)
    row, column = turn[:, 0], turn[:, 1]
    normal = np.cross(row, column) / np.linalg.norm(np.cross(row, column))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    along = np.cumsum(rng.uniform(0.4, 4.0, shape[0])) - 200
    origin = rng.uniform(-400, 400, 3)
    return Grid(
        positions_lps=np.round(origin + along[:, None] * normal, 6),
        row_direction=row,
        column_direction=column,
        pixel_spacing_mm=(draw(st.floats(0.3, 3.0)), draw(st.floats(0.3, 3.0))),
        rows=shape[1],
        columns=shape[2],
        frame_of_reference_uid="1.2.3",
    )


def read_back(mask: NDArray[np.bool_], grid: Grid, mode: str, holes: str) -> NDArray[np.bool_]:
    """The mask after it has been through the decimal strings of ContourData."""
    outline = outline_of(Region.from_mask(mask), grid, mode=mode, holes=holes)  # type: ignore[arg-type]
    assert all(len(d) % 2 == 0 for d in outline.data)
    assert all(len(v) <= 16 for d in outline.data for v in d.strip().split(b"\\"))
    assert all(n >= 4 for n in outline.counts)
    polygons = [parse_decimals(d.strip()).reshape(-1, 3) for d in outline.data]
    return rasterise(polygons, grid, overlap="xor")


@settings(max_examples=200, deadline=None)
@given(st.data(), masks(), st.sampled_from(["nested", "keyhole"]))
def test_every_mask_comes_back_bit_by_bit_in_crack_mode(
    data: st.DataObject, mask: NDArray[np.bool_], holes: str
) -> None:
    """12 000 masks on 200 grids."""
    grid = data.draw(grids(mask.shape))

    again = read_back(mask, grid, "crack", holes)

    assert np.array_equal(again, mask)


@settings(max_examples=60, deadline=None)
@given(masks())
def test_cracks_enclose_as_many_pixels_as_the_mask_has_and_one_ring_goes_around_each_part(
    mask: NDArray[np.bool_],
) -> None:
    region = Region.from_mask(mask)

    rings = trace_cracks(region)

    assert rings.areas.sum() == mask.sum()
    assert (rings.areas > 0).sum() == ndimage.label(mask, structure=IN_PLANE_CROSS)[1]
    assert runs_of(rings, mask.shape).is_same_as(runs_of_region(region))
    moves = rings.columns_rows[rings.successors] - rings.columns_rows
    assert ((moves == 0).sum(axis=1) == 1).all()
    turns = moves[:, 0] * moves[rings.successors][:, 1] - moves[:, 1] * moves[rings.successors][:, 0]
    assert (turns != 0).all(), "a vertex lies on a straight side"


@settings(max_examples=30, deadline=None)
@given(masks())
def test_each_step_has_foreground_on_one_side_and_background_on_the_other(mask: NDArray[np.bool_]) -> None:
    padded = np.pad(mask, ((0, 0), (1, 1), (1, 1)))

    cracks = unit_cracks(trace_cracks(Region.from_mask(mask)))
    inside, outside = cracks.inside, cracks.outside

    assert padded[cracks.planes, inside[:, 1] + 1, inside[:, 0] + 1].all()
    assert not padded[cracks.planes, outside[:, 1] + 1, outside[:, 0] + 1].any()
    assert cracks.starts[-1] == len(inside)


def test_two_pixels_that_touch_at_a_corner_are_two_contours() -> None:
    mask = np.zeros((1, 5, 4), dtype=np.bool_)
    mask[0, 1, 2] = mask[0, 2, 1] = True

    rings = trace_cracks(Region.from_mask(mask))

    assert len(rings) == 2
    assert rings.areas.tolist() == [1, 1]


def test_a_hole_runs_the_other_way_round() -> None:
    mask = np.ones((1, 4, 5), dtype=np.bool_)
    mask[0, 1, 2] = False

    rings = trace_cracks(Region.from_mask(mask))

    assert sorted(rings.areas.tolist()) == [-1, 20]


def test_an_empty_mask_has_no_rings() -> None:
    assert len(trace_cracks(Region.from_mask(np.zeros((2, 3, 4), dtype=np.bool_)))) == 0
