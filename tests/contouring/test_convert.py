"""Structures between RTSTRUCT, SEG and NIfTI: the same voxels everywhere, or a refusal."""

import subprocess
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK
from numpy.typing import NDArray

from contouring import write_rtstruct, write_seg
from contouring.convert import chosen, read_structures, referenced_series
from contouring.errors import OverlappingSegments, SegmentationOffGrid, SegmentationRefused, UnknownStructure
from contouring.names import NameTable
from contouring.nifti import labels_file, read_nifti, write_nifti
from contouring.rename_rtstruct import rename_rtstruct
from contouring.roi import Roi
from imaging.errors import MissingSlices, NotDicom
from imaging.ras import affine_ras
from imaging.volume import Region
from tests.conftest import require_program
from tests.contouring.segments import ALGORITHM, MADE_AT, Case, make_case


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return make_case(tmp_path_factory.mktemp("series"))


def written(case: Case, folder: Path, form: str) -> Path:
    path = folder / {"rtstruct": "rs.dcm", "seg": "seg.dcm", "nifti": "map.nii.gz"}[form]
    if form == "rtstruct":
        made = write_rtstruct(case.rois, case.stack, made_at=MADE_AT, algorithm=ALGORITHM, mode="crack")
        path.write_bytes(made.encoded)
    elif form == "seg":
        write_seg(case.rois, case.stack, made_at=MADE_AT, algorithm=ALGORITHM).save_as(path, enforce_file_format=True)
    else:
        write_nifti(case.rois, case.stack.grid, path)
    return path


@pytest.mark.parametrize("form", ["rtstruct", "seg", "nifti"])
def test_every_form_gives_the_same_voxels_and_names_back(case: Case, tmp_path: Path, form: str) -> None:
    read = read_structures(written(case, tmp_path, form), case.stack.grid)

    assert read.kind == form
    assert [r.name for r in read.rois] == [r.name for r in case.rois]
    assert all(np.array_equal(r.region.mask(), m) for r, m in zip(read.rois, case.masks.values(), strict=True))


def test_round_about_through_all_forms_changes_no_voxel(case: Case, tmp_path: Path) -> None:
    current = case
    for form in ("rtstruct", "nifti", "seg", "rtstruct"):
        rois = read_structures(written(current, tmp_path, form), case.stack.grid).rois
        current = Case(case.stack, case.masks, rois)

    assert all(np.array_equal(r.region.mask(), m) for r, m in zip(current.rois, case.masks.values(), strict=True))


def test_objects_name_the_series_they_belong_to(case: Case, tmp_path: Path) -> None:
    import pydicom

    for form in ("rtstruct", "seg"):
        ds = pydicom.dcmread(written(case, tmp_path, form))
        assert case.stack.series_instance_uid in referenced_series(ds)


def test_simpleitk_finds_the_nifti_where_the_patient_is(case: Case, tmp_path: Path) -> None:
    image = SimpleITK.ReadImage(str(written(case, tmp_path, "nifti")))
    labels = SimpleITK.GetArrayFromImage(image)

    for number, mask in enumerate(case.masks.values(), start=1):
        assert np.array_equal(labels == number, mask)
    corner = image.TransformIndexToPhysicalPoint((image.GetWidth() - 1, 3, 2))
    expected = case.stack.grid.points_lps(2, np.array([[case.stack.grid.columns - 1, 3]]))[0]
    assert corner == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 0, 2), (2, 0, 1)])
@pytest.mark.parametrize("flips", [(), (0,), (1, 2), (0, 1, 2)])
def test_nifti_with_turned_axes_is_put_where_it_belongs(
    case: Case, tmp_path: Path, axes: tuple[int, int, int], flips: tuple[int, ...]
) -> None:
    labels = case.masks["Parotid_L"].transpose(2, 1, 0).astype(np.uint8)
    image = nibabel.Nifti1Image(labels, affine_ras(case.stack.grid))
    orientation = np.array([[a, -1.0 if n in flips else 1.0] for n, a in enumerate(axes)])
    path = tmp_path / "turned.nii.gz"
    nibabel.save(image.as_reoriented(orientation), path)

    assert np.array_equal(read_nifti(path, case.stack.grid)[1].mask(), case.masks["Parotid_L"])


def save(labels: NDArray[np.generic], affine: NDArray[np.float64], path: Path) -> Path:
    nibabel.save(nibabel.Nifti1Image(labels, affine), path)
    return path


def test_cropped_nifti_is_put_where_it_belongs(case: Case, tmp_path: Path) -> None:
    labels = case.masks["SpinalCord"].transpose(2, 1, 0).astype(np.uint8)
    affine = affine_ras(case.stack.grid)
    affine[:3, 3] += affine[:3, :3] @ np.array([10, 7, 2])

    found = read_nifti(save(labels[10:, 7:, 2:], affine, tmp_path / "cropped.nii.gz"), case.stack.grid)

    assert np.array_equal(found[1].mask(), case.masks["SpinalCord"])


@pytest.mark.parametrize("shift", [(0.5, 0, 0), (0, 0.5, 0), (0, 0, 0.5), (30, 0, 0)])
def test_shifted_nifti_is_refused(case: Case, tmp_path: Path, shift: tuple[float, float, float]) -> None:
    affine = affine_ras(case.stack.grid)
    affine[:3, 3] += affine[:3, :3] @ np.array(shift)
    labels = case.masks["SpinalCord"].transpose(2, 1, 0).astype(np.uint8)

    with pytest.raises(SegmentationOffGrid):
        read_nifti(save(labels, affine, tmp_path / "shifted.nii.gz"), case.stack.grid)


def test_nifti_of_another_spacing_fractions_or_four_dimensions_is_refused(case: Case, tmp_path: Path) -> None:
    affine, labels = affine_ras(case.stack.grid), case.masks["SpinalCord"].transpose(2, 1, 0).astype(np.uint8)
    coarse = affine.copy()
    coarse[:3, 0] *= 2

    with pytest.raises(SegmentationOffGrid):
        read_nifti(save(labels, coarse, tmp_path / "a.nii.gz"), case.stack.grid)
    with pytest.raises(SegmentationRefused, match="fractions"):
        read_nifti(save(labels * np.float32(1.5), affine, tmp_path / "b.nii.gz"), case.stack.grid)
    with pytest.raises(SegmentationRefused, match="4 dimensions"):
        read_nifti(save(np.stack([labels, labels], 3), affine, tmp_path / "c.nii.gz"), case.stack.grid)
    (tmp_path / "d.nii.gz").write_bytes(b"no nifti")
    with pytest.raises(SegmentationRefused, match="readable"):
        read_nifti(tmp_path / "d.nii.gz", case.stack.grid)


def test_a_nifti_that_lies_at_two_places_is_refused(case: Case, tmp_path: Path) -> None:
    affine = affine_ras(case.stack.grid)
    image = nibabel.Nifti1Image(case.masks["Parotid_L"].transpose(2, 1, 0).astype(np.uint8), affine)
    moved = affine.copy()
    moved[:3, 3] += 5 * affine[:3, 0]
    image.set_sform(affine, code=1)
    for name, code in (("both", 1), ("off", 0)):
        image.set_qform(moved, code=code)
        nibabel.save(image, tmp_path / f"{name}.nii.gz")

    with pytest.raises(SegmentationRefused, match="qform and sform place its voxels up to") as caught:
        read_nifti(tmp_path / "both.nii.gz", case.stack.grid)
    assert caught.value.fields["apart_mm"] == pytest.approx(5 * case.stack.grid.pixel_spacing_mm[1], abs=1e-3)
    assert np.array_equal(read_nifti(tmp_path / "off.nii.gz", case.stack.grid)[1].mask(), case.masks["Parotid_L"])


def test_labels_need_names(case: Case, tmp_path: Path) -> None:
    path = written(case, tmp_path, "nifti")
    labels_file(path).unlink()

    with pytest.raises(UnknownStructure, match="Label 1"):
        read_structures(path, case.stack.grid)
    named = read_structures(path, case.stack.grid, labels={1: "Parotid_L", 2: "Myelon"})
    assert named.unknown_names == ("Myelon",)
    labels_file(path).write_text("[1, 2]", encoding="utf-8")
    with pytest.raises(SegmentationRefused, match="JSON"):
        read_structures(path, case.stack.grid)


def test_what_nifti_cannot_say_is_refused(case: Case, tmp_path: Path) -> None:
    overlap = (case.rois[0], Roi(2, case.rois[1].name, case.rois[0].region))
    uneven = make_case(tmp_path / "uneven", planes=6, steps_mm=(2.0, 3.0, 3.0, 5.0, 2.5))

    with pytest.raises(OverlappingSegments):
        write_nifti(overlap, case.stack.grid, tmp_path / "x.nii.gz")
    with pytest.raises(MissingSlices):
        write_nifti(uneven.rois, uneven.stack.grid, tmp_path / "x.nii.gz")
    (tmp_path / "text.dcm").write_text("no DICOM", encoding="utf-8")
    with pytest.raises(NotDicom):
        read_structures(tmp_path / "text.dcm", case.stack.grid)


def test_structures_are_chosen_by_name(case: Case) -> None:
    assert [(r.number, r.name.tg263) for r in chosen(case.rois, ["SpinalCord"])] == [(1, "SpinalCord")]
    assert chosen(case.rois, []) == case.rois
    with pytest.raises(UnknownStructure, match="Parotid_L, SpinalCord"):
        chosen(case.rois, ["Heart"])


def test_renamed_structure_set_is_a_new_object_with_the_same_contours(case: Case, tmp_path: Path) -> None:
    import pydicom

    path = written(case, tmp_path, "rtstruct")
    original = pydicom.dcmread(path)
    original.StructureSetROISequence[0].ROIName = "parotid LEFT"
    original.StructureSetROISequence[1].ROIName = "whatever"
    original.save_as(path)

    renamed = rename_rtstruct(path, NameTable.default(), grid=case.stack.grid)

    names = [str(item.ROIName) for item in renamed.dataset.StructureSetROISequence]
    assert names == ["Parotid_L", "whatever"]
    assert [n.how for n in renamed.names] == ["rule", "unmatched"]
    assert renamed.dataset.SOPInstanceUID != original.SOPInstanceUID
    before, after = (
        [c.get_item("ContourData").value for r in ds.ROIContourSequence for c in r.ContourSequence]
        for ds in (original, renamed.dataset)
    )  # fmt: skip
    assert before == after


@pytest.mark.interop
def test_plastimatch_finds_the_same_voxels(case: Case, tmp_path: Path) -> None:
    """The structure set made from our SEG, read by another program on the same images."""
    program = require_program("plastimatch")
    rois = read_structures(written(case, tmp_path, "seg"), case.stack.grid).rois
    structures = written(Case(case.stack, case.masks, rois), tmp_path, "rtstruct")

    subprocess.run(
        [program, "convert", "--input", structures, "--referenced-ct", case.stack.files[0].parent, "--xor-contours",
         "--output-prefix", tmp_path / "masks", "--prefix-format", "nrrd"],
        check=True, capture_output=True,
    )  # fmt: skip

    image = SimpleITK.ReadImage(str(tmp_path / "masks" / "SpinalCord.nrrd"))
    found = np.argwhere(SimpleITK.GetArrayFromImage(image) > 0)
    points = np.array([image.TransformContinuousIndexToPhysicalPoint([float(v) for v in p[::-1]]) for p in found])
    k, j, i = np.nonzero(case.masks["SpinalCord"])
    expected = case.stack.grid.points_lps(k, np.stack([i, j], axis=1))
    assert len(points) == len(expected)
    assert points.mean(axis=0) == pytest.approx(expected.mean(axis=0), abs=0.1)


@pytest.mark.parametrize("form", ["seg", "nifti"])
def test_empty_planes_within_a_structure_are_told(case: Case, tmp_path: Path, form: str) -> None:
    mask = case.masks["SpinalCord"].copy()
    first, last = np.flatnonzero(mask.any(axis=(1, 2)))[[0, -1]].tolist()
    mask[[first + 2, last - 1]] = False
    holed = Case(case.stack, {}, (Roi(1, case.rois[1].name, Region.from_mask(mask)),))

    remarks = read_structures(written(holed, tmp_path, form), case.stack.grid).remarks

    assert remarks == (("SpinalCord", f"2 slices without a voxel lie between others: {first + 3}, {last}"),)
