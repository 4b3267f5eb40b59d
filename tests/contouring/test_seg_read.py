"""Segmentations of any maker on the image's grid: flipped, cropped, fractional, damaged."""

from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import RLELossless

from contouring import Roi, lookup, read_rtstruct, volume_cc, write_seg
from contouring.errors import (
    CorruptSegmentation,
    FrameOfReferenceMismatch,
    NotASegmentation,
    SegmentationOffGrid,
)
from contouring.seg_geometry import seg_grid
from contouring.seg_read import read_seg, rois_of
from contouring.seg_write import SegmentationKind
from imaging.series import scan
from tests.conftest import data_folder
from tests.contouring.segments import ALGORITHM, MADE_AT, Case, make_case


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return make_case(tmp_path_factory.mktemp("series"))


def reread(case: Case, kind: SegmentationKind = "binary", **options: object) -> Dataset:
    ds = write_seg(case.rois, case.stack, made_at=MADE_AT, algorithm=ALGORITHM, kind=kind, **options)  # type: ignore[arg-type]
    stream = BytesIO()
    ds.save_as(stream, enforce_file_format=True)
    return pydicom.dcmread(BytesIO(stream.getvalue()))


def masks_read(ds: Dataset, case: Case) -> list[NDArray[np.bool_]]:
    return [s.region.mask() for s in read_seg(ds, case.stack.grid).segments]


def equal_masks(found: Sequence[NDArray[np.bool_]], case: Case) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(found, case.masks.values(), strict=True))


@pytest.mark.parametrize("kind", ["binary", "labelmap", "fractional"])
def test_own_segmentations_come_back_bit_by_bit(case: Case, kind: SegmentationKind) -> None:
    assert equal_masks(masks_read(reread(case, kind), case), case)


def test_compressed_label_map_comes_back(case: Case) -> None:
    assert equal_masks(masks_read(reread(case, "labelmap", transfer_syntax_uid=RLELossless), case), case)


def test_uneven_and_tilted_stack_comes_back(tmp_path: Path) -> None:
    case = make_case(tmp_path, planes=6, steps_mm=(2.0, 3.0, 3.0, 5.0, 2.5), tilt_deg=9.0)

    assert equal_masks(masks_read(reread(case), case), case)


def test_names_codes_and_colours_come_back(case: Case) -> None:
    read = read_seg(reread(case), case.stack.grid)

    parotid = read.segments[0]
    assert parotid.modifier is not None
    assert parotid.modifier.value == "7771000"
    assert parotid.colour_rgb is not None
    assert np.abs(np.subtract(parotid.colour_rgb, case.rois[0].name.colour_rgb)).max() <= 2
    assert rois_of(read)[0].name == case.rois[0].name


def test_unknown_label_keeps_its_own_codes(case: Case) -> None:
    ds = reread(case)
    ds.SegmentSequence[1].SegmentLabel = "Rückenmark"

    roi = rois_of(read_seg(ds, case.stack.grid))[1]

    assert roi.name.tg263 == "Rückenmark"
    assert roi.name.type.value == "2748008"


def highdicom_seg(case: Case, frames: NDArray[np.bool_], planes: Sequence[int]) -> Dataset:
    """One segment as highdicom writes it, which puts the segment's number into the shared groups."""
    code = Code("91723000", "SCT", "Anatomical Structure")
    seg = highdicom.seg.Segmentation(
        [pydicom.dcmread(case.stack.files[k]) for k in planes],
        frames,
        "BINARY",
        [highdicom.seg.SegmentDescription(1, "Parotid_L", code, code, "MANUAL")],
        highdicom.UID(), 1, highdicom.UID(), 1, "maker", "model", "1", "1",
    )  # fmt: skip
    stream = BytesIO()
    seg.save_as(stream)
    return pydicom.dcmread(BytesIO(stream.getvalue()))


def test_shared_segment_identification_of_highdicom_is_read(case: Case) -> None:
    mask = case.masks["Parotid_L"]

    ds = highdicom_seg(case, mask, range(len(mask)))

    assert "SegmentIdentificationSequence" in ds.SharedFunctionalGroupsSequence[0]
    assert np.array_equal(masks_read(ds, case)[0], mask)


def transformed(case: Case, flip_rows: bool, flip_columns: bool, transpose: bool) -> Dataset:
    """The same segmentation with its frames stored in another order of rows and columns."""
    ds = reread(case)
    pixels = ds.pixel_array
    shared = ds.SharedFunctionalGroupsSequence[0]
    cosines = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, dtype=float)
    right, down = cosines[:3], cosines[3:]
    dy, dx = (float(v) for v in shared.PixelMeasuresSequence[0].PixelSpacing)
    corner = np.zeros(3)
    if flip_rows:
        pixels, corner, down = pixels[:, ::-1], corner + down * dy * (ds.Rows - 1), -down
    if flip_columns:
        pixels, corner, right = pixels[:, :, ::-1], corner + right * dx * (ds.Columns - 1), -right
    if transpose:
        pixels, right, down, dx, dy = pixels.transpose(0, 2, 1), down, right, dy, dx
    ds.Rows, ds.Columns = pixels.shape[1:]
    ds.PixelData = np.packbits(pixels.ravel(), bitorder="little").tobytes()
    shared.PlaneOrientationSequence[0].ImageOrientationPatient = [f"{v:.10f}" for v in (*right, *down)]
    shared.PixelMeasuresSequence[0].PixelSpacing = [dy, dx]
    for frame in ds.PerFrameFunctionalGroupsSequence:
        position = frame.PlanePositionSequence[0]
        moved = np.array(position.ImagePositionPatient, dtype=float) + corner
        position.ImagePositionPatient = [f"{v:.6f}" for v in moved]
    return ds


@pytest.mark.parametrize("flip_rows", [False, True])
@pytest.mark.parametrize("flip_columns", [False, True])
@pytest.mark.parametrize("transpose", [False, True])
def test_flipped_and_transposed_frames_are_put_where_they_belong(
    case: Case, flip_rows: bool, flip_columns: bool, transpose: bool
) -> None:
    assert equal_masks(masks_read(transformed(case, flip_rows, flip_columns, transpose), case), case)


def shifted(case: Case, columns: float = 0, rows: float = 0, mm_along: float = 0) -> Dataset:
    ds = reread(case)
    grid = case.stack.grid
    move = (
        columns * grid.pixel_spacing_mm[1] * grid.row_direction
        + rows * grid.pixel_spacing_mm[0] * grid.column_direction
        + mm_along * grid.normal
    )
    for frame in ds.PerFrameFunctionalGroupsSequence:
        position = frame.PlanePositionSequence[0]
        moved = np.array(position.ImagePositionPatient, dtype=float) + move
        position.ImagePositionPatient = [f"{v:.6f}" for v in moved]
    return ds


@pytest.mark.parametrize("shift", [{"columns": 0.5}, {"rows": 0.5}, {"columns": 0.1}, {"mm_along": 1.25}])
def test_a_shift_off_the_voxels_is_refused(case: Case, shift: dict[str, float]) -> None:
    with pytest.raises(SegmentationOffGrid) as caught:
        read_seg(shifted(case, **shift), case.stack.grid)

    assert caught.value.fields["shift_mm"] > 0.05


def test_a_whole_voxel_shift_moves_the_mask_by_one_voxel(case: Case) -> None:
    found = masks_read(shifted(case, columns=1), case)

    assert np.array_equal(found[0], np.roll(case.masks["Parotid_L"], 1, axis=2))


def test_marked_voxels_outside_the_image_are_refused(case: Case) -> None:
    with pytest.raises(SegmentationOffGrid, match="beyond the rows or columns"):
        read_seg(shifted(case, columns=30), case.stack.grid)


def test_swapped_pixel_spacing_is_refused(case: Case) -> None:
    ds = reread(case)
    measures = ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    measures.PixelSpacing = list(reversed(measures.PixelSpacing))

    with pytest.raises(SegmentationOffGrid):
        read_seg(ds, case.stack.grid)


def test_another_slicing_orientation_is_refused(case: Case) -> None:
    ds = reread(case)
    cosines = ds.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0]
    values = np.array(cosines.ImageOrientationPatient, dtype=float)
    # Between the image's columns and its normal: half way to coronal frames.
    between = (values[3:] + np.cross(values[:3], values[3:])) / np.sqrt(2)
    cosines.ImageOrientationPatient = [f"{v:.10f}" for v in (*values[:3], *between)]

    with pytest.raises(SegmentationOffGrid, match="another orientation"):
        read_seg(ds, case.stack.grid)


def cut_along(case: Case, axis: int, flip: int = 1, voxels_off: float = 0.0) -> Dataset:
    """Frames along the image's rows (axis 1) or columns (axis 2), by highdicom, from an oblique stack."""
    mask, grid = case.masks["Parotid_L"], case.stack.grid
    step = [grid.slice_spacing_mm * grid.normal, grid.pixel_spacing_mm[0] * grid.column_direction]
    step.append(grid.pixel_spacing_mm[1] * grid.row_direction)
    length = [float(np.linalg.norm(s)) for s in step]
    rest = [a for a in range(3) if a != axis]
    cut = np.moveaxis(mask, axis, 0)[:, ::flip]
    first = grid.positions_lps[0] + (step[rest[0]] * (mask.shape[rest[0]] - 1) if flip < 0 else 0)
    code = Code("91723000", "SCT", "Anatomical Structure")
    seg = highdicom.seg.Segmentation(
        [pydicom.dcmread(f) for f in case.stack.files],
        cut,
        "BINARY",
        [highdicom.seg.SegmentDescription(1, "Parotid_L", code, code, "MANUAL")],
        highdicom.UID(), 1, highdicom.UID(), 1, "maker", "model", "1", "1",
        plane_positions=[
            highdicom.PlanePositionSequence("PATIENT", first + (n + voxels_off) * step[axis]) for n in range(len(cut))
        ],
        plane_orientation=highdicom.PlaneOrientationSequence(
            "PATIENT", [*(step[rest[1]] / length[rest[1]]), *(flip * step[rest[0]] / length[rest[0]])]
        ),
        pixel_measures=highdicom.PixelMeasuresSequence(
            [length[rest[0]], length[rest[1]]], length[axis], length[axis]
        ),
    )  # fmt: skip
    stream = BytesIO()
    seg.save_as(stream)
    return pydicom.dcmread(BytesIO(stream.getvalue()))


@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("flip", [1, -1])
def test_sagittal_and_coronal_frames_of_the_same_voxels_are_read(case: Case, axis: int, flip: int) -> None:
    (segment,) = read_seg(cut_along(case, axis, flip), case.stack.grid).segments

    assert segment.region.shape == case.stack.grid.shape
    assert np.array_equal(segment.region.mask(), case.masks["Parotid_L"])


@pytest.mark.parametrize("axis", [1, 2])
def test_sagittal_and_coronal_frames_half_a_voxel_off_are_refused(case: Case, axis: int) -> None:
    with pytest.raises(SegmentationOffGrid):
        read_seg(cut_along(case, axis, voxels_off=0.5), case.stack.grid)


def test_sagittal_frames_of_an_uneven_stack_are_refused(case: Case) -> None:
    positions = case.stack.grid.positions_lps.copy()
    positions[2:] += 0.7 * case.stack.grid.normal

    with pytest.raises(SegmentationOffGrid, match="another orientation"):
        read_seg(cut_along(case, 2), replace(case.stack.grid, positions_lps=positions))


def test_another_frame_of_reference_is_refused(case: Case) -> None:
    ds = reread(case)
    ds.FrameOfReferenceUID = "1.2.3"

    with pytest.raises(FrameOfReferenceMismatch):
        read_seg(ds, case.stack.grid)


def test_empty_frames_beyond_the_image_are_counted_not_refused(case: Case) -> None:
    ds = reread(case, omit_empty=False)
    shorter = replace(case.stack.grid, positions_lps=case.stack.grid.positions_lps[:-1])

    read = read_seg(ds, shorter)

    assert read.ignored_frames == 2
    assert np.array_equal(read.segments[0].region.mask(), case.masks["Parotid_L"][:-1])


def test_cut_pixels_are_refused(case: Case) -> None:
    ds = reread(case)
    ds.PixelData = ds.PixelData[: len(ds.PixelData) // 2]

    with pytest.raises(CorruptSegmentation, match="frames"):
        read_seg(ds, case.stack.grid)


def test_a_frame_of_an_undescribed_segment_is_refused(case: Case) -> None:
    ds = reread(case)
    ds.PerFrameFunctionalGroupsSequence[3].SegmentIdentificationSequence[0].ReferencedSegmentNumber = 7

    with pytest.raises(CorruptSegmentation, match="Frame 4"):
        read_seg(ds, case.stack.grid)


def test_a_frame_without_position_is_refused(case: Case) -> None:
    ds = reread(case)
    del ds.PerFrameFunctionalGroupsSequence[2].PlanePositionSequence

    with pytest.raises(CorruptSegmentation, match="Frame 3"):
        read_seg(ds, case.stack.grid)


def every_second(case: Case, **measures: float | None) -> Dataset:
    """A segmentation of every second plane, with what it says of its slices."""
    mask = case.masks["Parotid_L"]
    ds = highdicom_seg(case, mask[::2], range(0, len(mask), 2))
    stated = ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    for keyword in ("SpacingBetweenSlices", "SliceThickness"):
        if keyword in stated:
            del stated[keyword]
        if measures.get(keyword):
            setattr(stated, keyword, measures[keyword])
    return ds


@pytest.mark.parametrize("keyword", ["SpacingBetweenSlices", "SliceThickness"])
def test_slices_twice_as_far_apart_as_the_image_s_are_refused(case: Case, keyword: str) -> None:
    step = case.stack.grid.slice_spacing_mm

    with pytest.raises(SegmentationOffGrid, match=r"planes between would stay empty; resample it") as caught:
        read_seg(every_second(case, **{keyword: 2 * step}), case.stack.grid)

    assert caught.value.fields["spacing_mm"] == pytest.approx(2 * step)


def test_frames_left_out_on_purpose_and_overlapping_slices_are_read(case: Case) -> None:
    step = case.stack.grid.slice_spacing_mm
    overlapping = replace(case.stack.grid, slice_thickness_mm=2 * step)
    drawn = np.zeros_like(case.masks["Parotid_L"])
    drawn[::2] = case.masks["Parotid_L"][::2]

    assert np.array_equal(masks_read(every_second(case, SpacingBetweenSlices=step), case)[0], drawn)
    found = read_seg(every_second(case, SliceThickness=2 * step), overlapping)
    assert np.array_equal(found.segments[0].region.mask(), drawn)


def test_frames_on_neighbouring_planes_outweigh_a_wrong_spacing(case: Case) -> None:
    ds = reread(case)
    ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SpacingBetweenSlices = 5.9

    assert equal_masks(masks_read(ds, case), case)


def test_missing_functional_groups_are_refused(case: Case) -> None:
    ds = reread(case)
    ds.PerFrameFunctionalGroupsSequence = ds.PerFrameFunctionalGroupsSequence[:-1]

    with pytest.raises(CorruptSegmentation, match="functional groups"):
        read_seg(ds, case.stack.grid)


def test_two_frames_of_one_segment_on_one_plane_are_refused(case: Case) -> None:
    ds = reread(case)
    groups = ds.PerFrameFunctionalGroupsSequence
    groups[1].PlanePositionSequence = groups[0].PlanePositionSequence

    with pytest.raises(CorruptSegmentation, match="Two different frames"):
        read_seg(ds, case.stack.grid)


def test_an_image_is_no_segmentation(case: Case) -> None:
    with pytest.raises(NotASegmentation):
        read_seg(pydicom.dcmread(case.stack.files[0]), case.stack.grid)


def test_without_an_image_the_frames_make_their_own_grid(case: Case) -> None:
    ds = reread(case, omit_empty=False)

    assert seg_grid(ds).is_same_as(case.stack.grid)


@pytest.mark.data
@pytest.mark.parametrize("patient", ["STS_002", "STS_032"])
@pytest.mark.parametrize("modality", ["CT", "PET"])
def test_real_structures_survive_the_way_through_a_segmentation(patient: str, modality: str) -> None:
    """Real headers: text noise in the spacing, values longer than the standard allows."""
    folder = data_folder("sts_petct") / patient / modality
    stack = scan([folder / "image"]).stacks[0]
    tumour = read_rtstruct(next((folder / "mask").glob("*.dcm")), stack.grid).structures[0].region
    roi = Roi(1, lookup("GTV"), tumour)

    stream = BytesIO()
    write_seg((roi,), stack, made_at=MADE_AT, algorithm=ALGORITHM).save_as(stream, enforce_file_format=True)
    found = read_seg(pydicom.dcmread(BytesIO(stream.getvalue())), stack.grid).segments[0].region

    assert np.array_equal(found.mask(), tumour.mask())
    assert volume_cc(found, stack.grid) > 20
