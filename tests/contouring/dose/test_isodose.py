"""Isodose lines against closed forms, and as objects that others read."""

import math
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from contouring.dose.accumulate import map_dose
from contouring.dose.errors import MetricRefused
from contouring.dose.isodose import IsodoseLevel, isodose_lines, percent_levels, step_levels, write_isodoses
from contouring.dose.radiobiology import Course
from contouring.rtstruct_parse import parse_structure_set
from imaging.series import Stack, scan
from tests.conftest import require_program
from tests.contouring.dose.making import dose_of, grid_around
from tests.synthetic.series import SeriesDescription, write_series

SIGMA, TOP = 9.0, 70.0
MADE_AT = datetime(2026, 3, 4)


def radius_of(level_gy: float) -> float:
    return SIGMA * math.sqrt(2 * math.log(TOP / level_gy))


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    folder = tmp_path_factory.mktemp("series")
    write_series(folder, SeriesDescription(rows=71, columns=83, planes=13))
    return scan([folder]).stacks[0]


def middle(stack: Stack) -> np.ndarray:
    """A point near the middle of the image and on no pixel."""
    grid = stack.grid
    return grid.points_lps(6, np.array([[41.3, 34.6]]))[0] + 0.4 * grid.normal


def test_lines_of_a_round_dose_are_circles_within_a_quarter_of_a_pixel(stack: Stack) -> None:
    centre, grid = middle(stack), stack.grid
    # A dose of its own orientation and spacing, finer than what is lost by linear interpolation.
    around = grid_around((1.1, 0.9, 1.0), (40, 42, 41), centre=centre, frame=grid.frame_of_reference_uid)
    dose = dose_of(lambda p: TOP * np.exp(-((p - centre) ** 2).sum(axis=1) / (2 * SIGMA**2)), around)
    levels = [IsodoseLevel(f"ISO_{g:g}Gy", g) for g in (60.0, 35.0, 14.0)]

    written = write_isodoses([map_dose(dose, grid.frame_of_reference_uid)], stack, levels, made_at=MADE_AT)

    assert written is not None
    rois = parse_structure_set(written.dataset).rois
    assert [r.name for r in rois] == ["ISO_60Gy", "ISO_35Gy", "ISO_14Gy"]
    pixel = min(grid.pixel_spacing_mm)
    for roi, level in zip(rois, levels, strict=True):
        away = np.linalg.norm(roi.contours.points_lps - centre, axis=1)
        heights = np.abs((roi.contours.points_lps - centre) @ grid.normal)
        # The line lies on the sphere; where a plane cuts it flat, the error in the plane is larger by the slope.
        steep = np.sqrt(np.maximum(radius_of(level.dose_gy) ** 2 - heights**2, 0)) > 0.5 * radius_of(level.dose_gy)
        assert steep.sum() > 20
        assert np.abs(away - radius_of(level.dose_gy))[steep].max() < 0.25 * pixel * 0.5
        assert np.abs(away - radius_of(level.dose_gy)).max() < 0.25 * pixel


def test_each_line_says_what_it_is(stack: Stack) -> None:
    centre, grid = middle(stack), stack.grid
    around = grid_around((2.5, 2.1, 2.3), (40, 42, 41), centre=centre, frame=grid.frame_of_reference_uid)
    dose = dose_of(lambda p: TOP * np.exp(-((p - centre) ** 2).sum(axis=1) / (2 * SIGMA**2)), around)
    mapped = [map_dose(dose, grid.frame_of_reference_uid, course=Course(35))]

    written = write_isodoses(mapped, stack, percent_levels(60.0, (95.0, 50.0, 200.0)), made_at=MADE_AT)
    eqd2 = write_isodoses(mapped, stack, [IsodoseLevel("ISO_30Gy", 30.0)], made_at=MADE_AT, alpha_beta_gy=3.0)

    assert written is not None and eqd2 is not None
    rois = parse_structure_set(written.dataset).rois
    # 120 Gy is reached nowhere.
    assert [r.name for r in rois] == ["ISO_95pct", "ISO_50pct"]
    assert {r.interpreted_type for r in rois} == {"DOSE_REGION"}
    assert {(r.code.value, r.code.scheme_designator) for r in rois if r.code} == {("130748", "DCM")}
    assert rois[0].colour_rgb != rois[1].colour_rgb
    assert "57.00 Gy" in rois[0].description
    assert parse_structure_set(eqd2.dataset).label == "EQD2 ab=3"
    again = write_isodoses(mapped, stack, percent_levels(60.0, (95.0, 50.0, 200.0)), made_at=datetime(2027, 1, 1))
    assert again is not None and again.dataset.SOPInstanceUID == written.dataset.SOPInstanceUID
    assert write_isodoses(mapped, stack, [IsodoseLevel("ISO_90Gy", 90.0)], made_at=MADE_AT) is None


def test_lines_close_at_the_border_and_around_what_is_not_known() -> None:
    dose = np.full((2, 5, 7), 10.0)
    dose[1] = np.nan
    dose[0, 2, 3] = np.nan

    region, lines = isodose_lines(dose, 8.0)

    assert region.voxel_count == 34
    assert sorted(lines.areas.tolist()) == pytest.approx([-0.5, 34.5], abs=0.01)
    assert lines.columns_rows.min() == pytest.approx(-0.5)
    assert lines.columns_rows.max() == pytest.approx(6.5)


def test_lines_lie_where_a_linear_dose_has_the_level() -> None:
    """Also where the dose is steep beside where it is flat."""
    j, i = np.mgrid[0:20, 0:31]
    steepness = np.where(j < 10, 30.0, 0.05)
    dose = (20 + steepness * (i - 14.3))[None]

    _, lines = isodose_lines(dose, 20.0)

    along = lines.columns_rows[(lines.columns_rows[:, 0] > 12) & (lines.columns_rows[:, 0] < 17)]
    # Without the border of the image, and the step between steep and flat.
    rows = along[(np.abs(along[:, 1] - 9.5) > 1) & (along[:, 1] > 0.5) & (along[:, 1] < 18.5)]
    assert len(rows) >= 14
    assert np.abs(rows[:, 0] - 14.3).max() < 1e-6


def test_levels_are_positive() -> None:
    assert [lv.name for lv in step_levels(34.0)] == ["ISO_30Gy", "ISO_20Gy", "ISO_10Gy"]
    assert [len(step_levels(top)) for top in (209.0, 210.0, 4567.0, 49_999.0)] == [20, 10, 9, 9]
    assert step_levels(4567.0)[0].name == "ISO_4500Gy"
    assert percent_levels(70.0, (95.0,))[0].dose_gy == pytest.approx(66.5)
    for wrong in ((0.0, (95.0,)), (70.0, (0.0,))):
        with pytest.raises(MetricRefused):
            percent_levels(*wrong)
    with pytest.raises(MetricRefused):
        step_levels(30.0, 0.0)


@pytest.mark.interop
def test_dciodvfy_finds_no_error(stack: Stack, tmp_path: Path) -> None:
    import subprocess

    program = require_program("dciodvfy")
    centre = middle(stack)
    around = grid_around((2.5, 2.1, 2.3), (40, 42, 41), centre=centre, frame=stack.frame_of_reference_uid)
    dose = dose_of(lambda p: TOP * np.exp(-((p - centre) ** 2).sum(axis=1) / (2 * SIGMA**2)), around)
    mapped = [map_dose(dose, stack.frame_of_reference_uid)]
    written = write_isodoses(mapped, stack, step_levels(TOP), made_at=MADE_AT)
    assert written is not None
    (tmp_path / "lines.dcm").write_bytes(written.encoded)

    outcome = subprocess.run([program, str(tmp_path / "lines.dcm")], capture_output=True, text=True, check=False)

    assert [line for line in outcome.stderr.splitlines() if line.startswith("Error")] == []
