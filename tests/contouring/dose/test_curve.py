"""Numbers of a histogram: names, refusals, and what lies outside the dose grid."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contouring.contours import Contours
from contouring.dose import DoseCurve, dose_volume_histogram, structure_of_contours, structure_of_region
from contouring.dose.curve import curve_of
from contouring.dose.errors import MetricRefused, OutsideDoseGrid, StructureRefused
from contouring.dose.metrics import unit_of
from contouring.shapes import Placed, box, cylinder, sphere
from imaging.volume import Region
from tests.contouring.dose.making import CENTRE, HFS, dose_of, grid_around, linear, structure
from tests.contouring.dose.truth import sphere_cap


def ramp_curve(outside_mm3: float = 0.0) -> DoseCurve:
    """1000 sub-voxels of 1 mm3 with 0.5, 1.5, ... 999.5 hundredths of a gray, spread until they touch."""
    values = (np.arange(1000) + 0.5) / 100
    return curve_of(values, np.full(1000, 0.005), np.ones(1000), np.ones(1000), outside_mm3)


def test_a_ramp_of_dose_is_a_straight_line() -> None:
    curve = ramp_curve()

    for share in (0.0, 3.0, 37.123, 98.0, 100.0):
        assert curve.dose_to_share(share) == pytest.approx(10 * (1 - share / 100), abs=1e-6)
    assert curve.volume_at(2.345) == pytest.approx(765.5, abs=1e-6)
    assert curve.mean_gy == pytest.approx(5.0)


def test_an_even_dose_is_that_dose_everywhere() -> None:
    curve = curve_of(np.full(50, 12.0), np.zeros(50), np.ones(50), np.ones(50))

    assert curve.dose_to_share(50) == pytest.approx(12.0, abs=1e-6)
    assert (curve.volume_at(11.999), curve.volume_at(12.001)) == (50.0, 0.0)


def test_a_large_part_of_even_dose_costs_the_hot_end_nothing() -> None:
    """A body of 27 l of which most lies outside the beam: the near maximum is a thousandth of a thousandth of it."""
    hot = np.linspace(1.0, 60.0, 3000)
    values = np.concatenate([np.zeros(900_000), hot])
    half = np.concatenate([np.zeros(900_000), np.full(3000, 0.2)])
    weights = np.random.default_rng(1).uniform(9.0, 30.0, len(values))

    curve = curve_of(values, half, weights, weights / 30)

    for dose in (10.0, 30.0, 59.0, 60.1):
        exact = (weights[900_000:] * np.clip((hot + 0.2 - dose) / 0.4, 0, 1)).sum()
        assert curve.volume_at(dose) == pytest.approx(exact, abs=0.05)
    assert curve.volume_at(0.0) == pytest.approx(curve.known_mm3, rel=1e-3)


def test_names_of_numbers() -> None:
    found = dose_volume_histogram(structure(sphere(12)), dose_of(linear((0, 0, 1.0)), grid_around(orientation=HFS)))

    assert found.metric("V30Gy") == pytest.approx(50, abs=0.3)
    assert found.metric("V30Gy[cc]") == pytest.approx(found.volume_cc / 2, rel=0.01)
    assert found.metric("V50%", prescription_gy=60) == pytest.approx(50, abs=0.3)
    assert found.metric("D1cc") == pytest.approx(found.metric(f"D{100 / found.volume_cc:.10f}%"), abs=0.01)
    assert found.metric("D0.03cc") < found.metric("Dmax") + 0.3
    assert found.metric("HI") == pytest.approx((found.metric("D2%") - found.metric("D98%")) / 30, abs=0.01)
    assert [unit_of(n) for n in ("Dmean", "V20Gy", "V20Gy[cc]", "HI")] == ["Gy", "%", "cc", ""]
    for wrong in ("D", "V20", "D120%", "D50cc", "gEUD[0]", "V95%", "Dmedian"):
        with pytest.raises(MetricRefused):
            found.metric(wrong)


def test_the_part_outside_the_grid_is_told_and_never_zero() -> None:
    grid = grid_around((2.0, 1.7, 2.3), (30, 30, 30), HFS)
    cut = CENTRE[2] - 4.0
    lower = grid.positions_lps[:, 2] >= cut
    first = int(np.flatnonzero(lower)[0])
    part = type(grid)(grid.positions_lps[first:], grid.row_direction, grid.column_direction,
                      grid.pixel_spacing_mm, grid.rows, grid.columns, grid.frame_of_reference_uid)  # fmt: skip
    height = float(grid.positions_lps[first, 2] - CENTRE[2])

    found = dose_volume_histogram(structure(sphere(12), 1.0), dose_of(linear((0, 0, 1.0)), part))

    expected = 1 - sphere_cap(12)(height) / sphere(12).volume_mm3
    # Whole layers of sub-voxels are in or out: half a layer of 0.25 mm is 0.8 % of this sphere.
    assert found.curve.outside_share == pytest.approx(expected, abs=0.008)
    assert found.curve.min_gy >= 30 + height - 0.1
    for name in ("Dmean", "Dmin", "D98%", "V20Gy"):
        with pytest.raises(OutsideDoseGrid):
            found.metric(name)
    assert found.metric("D2%") > 39
    assert found.metric("Dmean", accept_outside=True) > 30
    report = found.report()
    assert report["metrics"]["Dmean"] is None and "outside" in report["refused"]["Dmean"]


def test_a_structure_elsewhere_has_no_histogram() -> None:
    away = structure(sphere(12), centre=CENTRE + 500)

    with pytest.raises(OutsideDoseGrid):
        dose_volume_histogram(away, dose_of(linear((0, 0, 1.0)), grid_around()))


def test_ends_are_an_option_that_is_stated() -> None:
    dose = dose_of(linear((0, 0, 1.0)), grid_around(orientation=HFS))
    solid = structure(cylinder(12, 24), 2.0)

    volumes = {caps: dose_volume_histogram(solid, dose, caps=caps) for caps in ("half", "flat", "none", "rounded")}

    area = np.pi * 144
    assert volumes["half"].curve.total_mm3 == pytest.approx(24 * area, rel=0.002)
    assert volumes["flat"].curve.total_mm3 == pytest.approx(24 * area, rel=0.002)
    assert volumes["none"].curve.total_mm3 == pytest.approx(22 * area, rel=0.002)
    assert volumes["rounded"].curve.total_mm3 == pytest.approx(26 * area, rel=0.002)
    assert {k: v.report()["rules"]["caps"] for k, v in volumes.items()} == {k: k for k in volumes}


def test_a_single_plane_needs_a_thickness() -> None:
    grid = grid_around((2.0, 1.7, 2.3))
    middle = type(grid)(CENTRE[None] + 0.0, grid.row_direction, grid.column_direction, (1, 1), 5, 7, "")
    turn = np.stack([grid.row_direction, grid.column_direction, grid.normal], axis=1)
    contours = Contours.of(Placed(box(14, 10, 8), CENTRE, turn).contours(middle))
    dose = dose_of(linear((0, 0, 1.0)), grid)

    with pytest.raises(StructureRefused, match="thick"):
        dose_volume_histogram(structure_of_contours(contours), dose)
    found = dose_volume_histogram(structure_of_contours(contours, thickness_mm=3.0), dose)

    assert found.curve.total_mm3 == pytest.approx(14 * 10 * 3, rel=0.005)


def test_a_gap_is_told_and_not_filled() -> None:
    solid = structure(cylinder(9, 40), 2.0)
    keep = np.abs(solid.positions_mm - solid.positions_mm.mean()) > 4.1
    holey = type(solid)(
        solid.positions_mm[keep], tuple(p for p, k in zip(solid.polygons, keep, strict=True) if k), solid.axes
    )

    found = dose_volume_histogram(holey, dose_of(linear((0, 0, 1.0)), grid_around(orientation=HFS)))

    assert len(found.gaps) == 1
    assert found.curve.total_mm3 == pytest.approx(np.pi * 81 * 2 * int(keep.sum()), rel=0.005)


def test_a_branch_without_a_partner_ends_half_a_slice_on() -> None:
    one = structure(cylinder(9, 40), 2.0)
    other = structure(cylinder(5, 12), 2.0, centre=CENTRE + np.array([22.0, 3.0, 0.0]))
    heights = {round(float(z), 3): p for z, p in zip(other.positions_mm, other.polygons, strict=True)}
    both = type(one)(
        one.positions_mm,
        tuple(p + heights.get(round(float(z), 3), ()) for z, p in zip(one.positions_mm, one.polygons, strict=True)),
        one.axes,
    )

    found = dose_volume_histogram(
        both, dose_of(linear((0, 0, 1.0)), grid_around(half_mm=(30, 35, 40), orientation=HFS))
    )

    assert found.curve.total_mm3 == pytest.approx(np.pi * (81 * 40 + 25 * 12), rel=0.005)


def test_the_channel_of_a_keyhole_is_no_boundary() -> None:
    angle = np.linspace(0, 2 * np.pi, 181)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    path = np.concatenate([12 * ring, 6 * ring[::-1]])
    heights = np.arange(-9, 10, 2.0)
    contours = Contours.of([CENTRE + np.column_stack([path, np.full(len(path), z)]) for z in heights])

    found = dose_volume_histogram(
        structure_of_contours(contours), dose_of(linear((0, 0, 1.0)), grid_around(orientation=HFS))
    )

    assert found.curve.total_mm3 == pytest.approx(np.pi * (144 - 36) * 20, rel=0.003)


def test_voxels_give_nearly_the_same_as_contours() -> None:
    grid = grid_around((2.0, 1.1, 0.9), (20, 20, 20))
    mask = Placed(sphere(12), CENTRE).mask(grid)

    solid = structure_of_region(Region.from_mask(mask), grid)
    found = dose_volume_histogram(solid, dose_of(linear((1.0, 0, 0)), grid))

    assert found.curve.total_mm3 == pytest.approx(mask.sum() * np.prod(grid.spacing_mm), rel=0.01)
    assert found.metric("D50%") == pytest.approx(30, abs=0.1)


def test_points_and_lines_enclose_nothing() -> None:
    with pytest.raises(StructureRefused):
        structure_of_contours(Contours.of([np.zeros((1, 3))], "POINT"))
    with pytest.raises(StructureRefused):
        structure_of_contours(Contours.of([np.array([[0, 0, 0], [1, 0, 0], [2, 0, 0.0]])]))


def test_twisted_contours_are_refused() -> None:
    twisted = np.array([[0, 0, 0], [10, 0, 2], [10, 10, 0], [0, 10, 2.0]])

    with pytest.raises(StructureRefused, match="parallel"):
        structure_of_contours(Contours.of([twisted]))


sub_voxel = st.tuples(st.floats(0, 90), st.floats(0, 12), st.floats(0.05, 40), st.sampled_from([0.1, 0.5, 1.0]))


@given(st.lists(sub_voxel, min_size=1, max_size=30))
def test_no_dose_of_a_part_lies_beyond_maximum_and_minimum(sub_voxels: list[tuple[float, float, float, float]]) -> None:
    values, halves, volumes, coverage = (np.array(column) for column in zip(*sub_voxels, strict=True))

    curve = curve_of(values, halves, volumes * coverage, coverage, reach_gy=(0.0, 95.0))

    part = min(30.0, curve.known_mm3)
    for found in (curve, curve.scaled(1.7)):
        assert found.max_gy >= found.dose_at(part) - 1e-9
        assert found.min_gy <= found.dose_at(curve.known_mm3 - part) + 1e-9
        assert found.dose_gy[0] - 1e-9 <= found.min_gy <= found.max_gy <= found.ceiling_gy + 1e-9
        if curve.known_mm3 >= 30:
            assert found.max_gy >= found.dose_to_cc(0.03) - 1e-9
        # a share of more than one sub-voxel
        assert curve.known_mm3 * 0.02 < part or found.max_gy >= found.dose_to_share(2) - 1e-9


def test_coarse_sub_voxels_do_not_put_the_near_maximum_above_the_maximum() -> None:
    # 20 mm3 each, 8 Gy from side to side: the hottest 0.03 cc are those between the centres
    values = np.linspace(40, 60, 40)
    curve = curve_of(values, np.full(40, 4.0), np.full(40, 20.0), np.ones(40), reach_gy=(35.0, 63.0))

    assert float(values.max()) < curve.dose_to_cc(0.03) <= curve.max_gy <= 63.0
    assert curve.min_gy <= curve.dose_at(curve.known_mm3 - 30) < float(values.min())
