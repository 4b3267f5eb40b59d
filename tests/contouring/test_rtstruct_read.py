"""Foreign structure sets: read exactly, or refused in words; one bad ROI loses no other."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence

from contouring import read_rtstruct
from contouring.errors import (
    ContouringError,
    CorruptContourData,
    DuplicateRoiNumber,
    EmptyAfterClipping,
    FrameOfReferenceMismatch,
    NonPlanarContour,
    NotAStructureSet,
    OffGridContours,
    OverlappingContours,
    UnsupportedContourType,
)
from imaging.errors import NotDicom, TruncatedFile
from imaging.volume import SourceInstance
from tests.contouring.cases import ORIENTATIONS, stack_of
from tests.contouring.structure_sets import contour, square, structure_set

STACK = stack_of(tilt_deg=4.0)
GRID = STACK.grid


def one(contours: list[Dataset] | None, **options: Any) -> Any:
    """The only structure of a structure set, or its refusal raised."""
    read = read_rtstruct(structure_set([(7, "mine", contours)], GRID), GRID, **options)
    for _, _, error in read.refused:
        raise error
    return read.structures[0]


def test_a_rectangle_becomes_its_pixels() -> None:
    structure = one([contour(square(GRID, 3))])

    mask = structure.region.mask()
    assert mask[3, 12:23, 10:18].all()
    assert mask.sum() == 11 * 8
    assert structure.report.on_plane == 1
    assert not structure.report.through_voxel_centres


@pytest.mark.parametrize(("edge", "rows", "columns"), [("half-open", 11, 8), ("inclusive", 12, 9)])
def test_a_contour_through_pixel_centres_is_told_and_read_by_either_rule(edge: str, rows: int, columns: int) -> None:
    grid = stack_of(orientation=ORIENTATIONS["HFS"]).grid
    through = square(grid, 3, 10.5, 12.5)

    (structure,) = read_rtstruct(structure_set([(1, "a", [contour(through)])], grid), grid, edge=edge).structures  # type: ignore[arg-type]

    assert structure.report.through_voxel_centres, "told, not mended"
    assert structure.region.mask()[3, 12 : 12 + rows, 10 : 10 + columns].all()
    assert structure.region.voxel_count == rows * columns


def test_one_bad_structure_does_not_lose_the_others() -> None:
    ds = structure_set(
        [
            (1, "good", [contour(square(GRID, 2))]),
            (2, "bad", [contour(b"1\\2\\three")]),
            (3, "empty", None),
            (4, "good", [contour(square(GRID, 5))]),
        ],
        GRID,
    )

    read = read_rtstruct(ds, GRID)

    assert [s.number for s in read.structures] == [1, 3, 4], "two of the same name stay apart"
    assert [s.region.voxel_count for s in read.structures] == [88, 0, 88]
    assert [(n, name, e.code) for n, name, e in read.refused] == [(2, "bad", "corrupt_contour_data")]


@pytest.mark.parametrize(
    "data",
    [b"1\\2\\three", b"1\\2\\nan", b"1\\2\\inf", b"1\\2", b"1\\\\3", b"1_0\\2\\3", b"1--2\\3\\4", "1\\2\\三".encode()],
)
def test_text_nan_and_missing_values_are_refused(data: bytes) -> None:
    with pytest.raises(CorruptContourData, match="export the structure set again"):
        one([contour(data)])


def test_spaces_and_signs_in_numbers_are_read() -> None:
    points = square(GRID, 2)
    data = " \\ ".join(f"{v:+.3f}" for v in points.ravel()).encode() + b" "

    assert one([contour(data)]).region.voxel_count == 88


def test_a_wrong_number_of_points_is_reported_and_the_data_win() -> None:
    item = contour(square(GRID, 2))
    item.NumberOfContourPoints = 99

    structure = one([item])

    assert structure.report.miscounted == 1
    assert structure.region.voxel_count == 88


@pytest.mark.parametrize("kind", ["POINT", "OPEN_PLANAR", "OPEN_NONPLANAR"])
def test_points_and_lines_alone_are_refused(kind: str) -> None:
    with pytest.raises(UnsupportedContourType):
        one([contour(square(GRID, 2)[:2], kind)])


@pytest.mark.parametrize("points", [1, 2])
def test_contours_of_one_or_two_points_are_left_out_and_told(points: int) -> None:
    structure = one([contour(square(GRID, 2)), contour(square(GRID, 3)[:points])])

    assert structure.report.not_area == 1
    assert len(structure.not_area) == 1
    assert structure.region.voxel_count == 88


def test_three_points_of_which_two_are_the_same_enclose_nothing() -> None:
    points = square(GRID, 3)[[0, 1, 0]]

    assert one([contour(square(GRID, 2)), contour(points)]).report.not_area == 1


def test_another_frame_of_reference_is_refused_unless_told_otherwise() -> None:
    ds = structure_set([(1, "a", [contour(square(GRID, 2))])], GRID, frame="1.2.3.999")

    (refusal,) = read_rtstruct(ds, GRID).refused
    assert isinstance(refusal[2], FrameOfReferenceMismatch)
    assert read_rtstruct(ds, GRID, frame_check=False).structures[0].region.voxel_count == 88


def test_equal_numbers_are_refused() -> None:
    ds = structure_set([(4, "a", [contour(square(GRID, 2))]), (4, "b", None), (5, "c", None)], GRID)

    read = read_rtstruct(ds, GRID)

    assert [s.number for s in read.structures] == [5]
    assert all(isinstance(e, DuplicateRoiNumber) for _, _, e in read.refused)


def test_contours_without_a_definition_are_told() -> None:
    ds = structure_set([(1, "a", None)], GRID)
    stray = Dataset()
    stray.ReferencedROINumber = 12
    stray.ContourSequence = DicomSequence([contour(square(GRID, 2))])
    ds.ROIContourSequence.append(stray)

    assert read_rtstruct(ds, GRID).report.strays == (12,)


def test_a_missing_or_wrong_image_reference_loses_against_geometry() -> None:
    images = STACK.sources
    right, wrong = images[2].sop_instance_uid, images[9].sop_instance_uid
    items = [contour(square(GRID, 2), uid=right), contour(square(GRID, 4), uid=wrong), contour(square(GRID, 6))]

    structure = one(items, images=images)

    assert structure.report.wrong_references == 1
    assert structure.region.mask().any(axis=(1, 2)).nonzero()[0].tolist() == [2, 4, 6]
    assert structure.report.gaps == ((3, 3), (5, 5))


def test_a_structure_set_of_another_series_is_told() -> None:
    ds = structure_set([(1, "a", [contour(square(GRID, 2))])], GRID)
    series, study, frame = Dataset(), Dataset(), Dataset()
    series.SeriesInstanceUID = "1.2.3.5"
    study.RTReferencedSeriesSequence = DicomSequence([series])
    frame.RTReferencedStudySequence = DicomSequence([study])
    ds.ReferencedFrameOfReferenceSequence = DicomSequence([frame])

    assert read_rtstruct(ds, GRID, images=STACK.sources).report.names_another_series
    other = [SourceInstance("1.2", "1.2.3", "1.2.3.5")] * GRID.shape[0]
    assert not read_rtstruct(ds, GRID, images=other).report.names_another_series


def test_a_contour_across_the_planes_is_refused() -> None:
    tilted = square(GRID, 5)
    tilted[1:3] += 3.0 * GRID.normal

    with pytest.raises(NonPlanarContour):
        one([contour(tilted)])


def test_a_slightly_bent_contour_is_read_and_told() -> None:
    bent = square(GRID, 5)
    bent[1] += 0.08 * GRID.normal

    assert 0.01 < one([contour(bent)]).report.largest_deviation_mm < 0.1


@pytest.mark.parametrize(
    ("column", "row", "kept"), [(-4.0, 12.0, 4 * 11), (42.0, 12.0, 5 * 11), (10.0, -6.0, 8 * 5), (10.0, 50.0, 8 * 3)]
)
def test_what_the_image_cuts_is_clipped_and_its_share_told(column: float, row: float, kept: int) -> None:
    structure = one([contour(square(GRID, 3, column, row))])

    assert structure.region.voxel_count == kept
    assert 0 < structure.report.cut_share < 1


def test_contours_beyond_the_first_and_last_plane_are_left_out() -> None:
    above = square(GRID, GRID.shape[0] - 1) + 9.0 * GRID.normal
    below = square(GRID, 0) - 9.0 * GRID.normal

    structure = one([contour(above), contour(square(GRID, 3)), contour(below)])

    assert structure.report.outside == 2
    assert structure.region.voxel_count == 88
    with pytest.raises(EmptyAfterClipping):
        one([contour(above)])


def test_a_structure_beside_the_image_is_refused() -> None:
    with pytest.raises(EmptyAfterClipping):
        one([contour(square(GRID, 3, column=100.0))])


def test_the_same_contour_twice_counts_once() -> None:
    points = square(GRID, 3)
    turned = np.roll(points[::-1], 1, axis=0)

    structure = one([contour(points), contour(turned)])

    assert structure.report.duplicates == 1
    assert structure.region.voxel_count == 88


def test_nested_contours_cut_holes() -> None:
    structure = one([contour(square(GRID, 3, 10, 10, 16)), contour(square(GRID, 3, 13, 14, 5))])

    assert structure.region.voxel_count == 16 * 19 - 5 * 8


def crossing() -> list[Dataset]:
    return [contour(square(GRID, 3, 10, 10)), contour(square(GRID, 3, 14, 15))]


def test_contours_that_cross_are_refused_until_somebody_says_what_they_mean() -> None:
    shared = 4 * 6

    with pytest.raises(OverlappingContours):
        one(crossing())
    assert one(crossing(), overlap="union").region.voxel_count == 2 * 88 - shared
    assert one(crossing(), overlap="xor").region.voxel_count == 2 * 88 - 2 * shared


def test_crossing_is_what_xor_contours_mean() -> None:
    items = crossing()
    for item in items:
        item.ContourGeometricType = "CLOSEDPLANAR_XOR"

    assert one(items).region.voxel_count == 2 * 88 - 2 * 4 * 6


def test_contours_that_cross_by_less_than_a_pixel_are_united() -> None:
    a, b = square(GRID, 3, 10, 10), square(GRID, 3, 17.95, 10.5)

    structure = one([contour(a), contour(b)])

    assert structure.report.united == 2
    assert structure.region.voxel_count == one([contour(a)]).region.voxel_count + one([contour(b)]).region.voxel_count


def test_touching_contours_are_neither_crossing_nor_doubled() -> None:
    structure = one([contour(square(GRID, 3, 10, 10)), contour(square(GRID, 3, 18, 10))])

    assert structure.report.united == 0
    assert structure.region.voxel_count == 2 * 88


def test_a_file_that_is_no_structure_set(tmp_path: Path) -> None:
    junk = tmp_path / "junk.dcm"
    junk.write_bytes(b"no DICOM at all" * 20)

    with pytest.raises(NotDicom):
        read_rtstruct(junk, GRID)
    with pytest.raises(NotAStructureSet):
        read_rtstruct(structure_set([], GRID, SOPClassUID="1.2.840.10008.5.1.4.1.1.2"), GRID)


def test_a_cut_file_is_refused(tmp_path: Path) -> None:
    ds = structure_set([(1, "a", [contour(square(GRID, k)) for k in range(15)])], GRID)
    whole, cut = tmp_path / "whole.dcm", tmp_path / "cut.dcm"
    ds.save_as(whole, enforce_file_format=True)
    cut.write_bytes(whole.read_bytes()[:-200])

    assert read_rtstruct(whole, GRID).structures[0].region.voxel_count == 15 * 88
    with pytest.raises((TruncatedFile, NotAStructureSet)):
        read_rtstruct(cut, GRID)


def test_structure_sets_without_numbers_or_sequences_are_refused_or_empty() -> None:
    assert read_rtstruct(structure_set([], GRID), GRID).structures == ()
    nameless = structure_set([(1, "", [contour(square(GRID, 2))])], GRID)
    del nameless.StructureSetROISequence[0].ROINumber
    with pytest.raises(NotAStructureSet):
        read_rtstruct(nameless, GRID)


def test_a_contour_of_200000_points_is_read() -> None:
    angle = np.linspace(0, 2 * np.pi, 200_000, endpoint=False)
    circle = np.stack([20 + 15 * np.cos(angle), 25 + 15 * np.sin(angle)], axis=1)

    structure = one([contour(GRID.points_lps(4, circle))])

    assert structure.region.voxel_count == pytest.approx(np.pi * 15**2, rel=0.02)


def test_300_structures_are_read() -> None:
    rois = [(n, f"roi {n}", [contour(square(GRID, n % 19, side=3 + n % 5))]) for n in range(1, 301)]

    read = read_rtstruct(structure_set(rois, GRID), GRID)

    assert len(read.structures) == 300


def test_refusals_say_what_to_do_and_name_no_patient() -> None:
    ds = structure_set([(2, "Zhang^San", [contour(b"1\\2\\x")])], GRID)

    (_, _, error) = read_rtstruct(ds, GRID).refused[0]

    assert isinstance(error, ContouringError)
    assert "Zhang" not in error.message


# Contours between slices (section 4.3). Steps are 2.5 mm.


@pytest.mark.parametrize(("share", "kind"), [(0.0, "on_plane"), (0.04, "snapped"), (-0.09, "snapped")])
def test_rounding_of_positions_is_snapped_and_told(share: float, kind: str) -> None:
    structure = one([contour(square(GRID, 6) + share * 2.5 * GRID.normal)])

    assert getattr(structure.report, kind) == 1
    assert structure.report.largest_shift_mm == pytest.approx(abs(share) * 2.5, abs=1e-3)
    assert structure.region.start[0] == 6


@pytest.mark.parametrize("share", [0.3, -0.3, 0.5])
def test_contours_between_slices_are_refused_or_moved_on_request(share: float) -> None:
    items = [contour(square(GRID, 6) + share * 2.5 * GRID.normal)]

    with pytest.raises(OffGridContours, match="nearest"):
        one(items)
    moved = one(items, offgrid="nearest")
    assert moved.report.moved == 1
    assert moved.region.voxel_count == 88
    assert moved.region.start[0] in ({6, 7} if share == 0.5 else {6})


def test_contours_denser_than_slices_are_never_mixed_on_one_slice() -> None:
    items = [contour(square(GRID, k / 2, side=8 + k % 2)) for k in range(8, 16)]

    with pytest.raises(OffGridContours):
        one(items)
    nearest = one(items, offgrid="nearest")
    assert nearest.report.displaced >= 3
    assert nearest.region.mask()[4].sum() == 88


def test_an_outer_and_an_inner_contour_a_hair_apart_stay_together() -> None:
    outer, inner = square(GRID, 6, 10, 10, 16) + 0.05 * GRID.normal, square(GRID, 6, 13, 14, 5) - 0.03 * GRID.normal

    structure = one([contour(outer), contour(inner)])

    assert structure.region.voxel_count == 16 * 19 - 5 * 8


def test_resampling_shifted_contours_gives_the_shape_on_every_slice_between() -> None:
    items = [contour(square(GRID, k + 0.4)) for k in range(4, 10)]

    structure = one(items, offgrid="resample")

    assert (structure.report.moved, structure.report.resampled) == (0, 6)

    mask = structure.region.mask()
    assert mask[5:10, 12:23, 10:18].all()
    assert mask.any(axis=(1, 2)).nonzero()[0].tolist() == [4, 5, 6, 7, 8, 9]


def test_gaps_stay_empty_and_are_filled_on_request() -> None:
    items = [contour(square(GRID, k)) for k in (3, 4, 5, 6, 10, 11, 12)]

    plain = one(items)
    filled = one(items, interpolate="shape")

    assert plain.report.gaps == ((7, 9),)
    assert not plain.region.mask()[7:10].any()
    assert filled.report.filled_planes == (7, 8, 9)
    assert filled.region.mask()[3:13, 12:23, 10:18].all()
    assert filled.region.voxel_count == 10 * 88


@pytest.mark.parametrize("shift_mm", [0.2, -0.24])
def test_filling_gaps_leaves_slices_alone_whose_contours_were_only_rounded(shift_mm: float) -> None:
    """A plate of other sizes on each slice: any mixing of neighbours would change its voxels."""
    items = [contour(square(GRID, k, side=6 + 3 * (k % 2)) + shift_mm * GRID.normal) for k in (3, 4, 5, 6, 9, 10)]

    plain, filled = one(items), one(items, interpolate="shape")

    assert filled.report.filled_planes == (7, 8)
    drawn = [3, 4, 5, 6, 9, 10]
    assert np.array_equal(filled.region.mask()[drawn], plain.region.mask()[drawn])


def test_a_single_slice_takes_its_thickness_and_nothing_without_one() -> None:
    from dataclasses import replace

    single = stack_of(planes=1).grid
    bare = replace(single, slice_thickness_mm=None)
    near = structure_set([(1, "a", [contour(square(single, 0) + 0.2 * single.normal)])], single)

    assert read_rtstruct(near, single).structures[0].report.snapped == 1
    assert isinstance(read_rtstruct(near, bare).refused[0][2], EmptyAfterClipping)
