"""Structure sets of real systems against the masks that the data's publishers made of them."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray

from contouring import ReadRoi, read_rtstruct, write_rtstruct
from contouring.roi import Roi
from imaging.geometry import Grid
from imaging.series import Stack, scan
from tests.conftest import data_folder
from tests.contouring.cases import ALGORITHM, roi
from tests.contouring.test_rtstruct_write import MADE_AT

SARCOMAS = [
    (patient, series) for patient in ("STS_002", "STS_008", "STS_025", "STS_032") for series in ("CT", "PET", "MR_T1")
]


def only_stack(folder: Path) -> Stack:
    (stack,) = scan([folder]).stacks
    return stack


def only_structure(folder: Path, stack: Stack) -> ReadRoi:
    (file,) = folder.glob("*.dcm")
    read = read_rtstruct(file, stack.grid, images=stack.sources)
    assert read.refused == ()
    (structure,) = [s for s in read.structures if s.region.voxel_count]
    return structure


def reference(path: Path, grid: Grid) -> NDArray[np.bool_]:
    """The publishers' mask on our grid, through its own affine (RAS)."""
    image = nibabel.load(path)
    values = np.asarray(image.dataobj) > 0.5
    to_index = np.linalg.inv(image.affine @ np.diag([1, 1, 1, 1]))
    mask = np.zeros(grid.shape, dtype=np.bool_)
    w, u = np.mgrid[0 : grid.rows, 0 : grid.columns]
    pixels = np.stack([u.ravel(), w.ravel()], axis=1)
    for plane in range(grid.shape[0]):
        ras = grid.points_lps(plane, pixels) * (-1, -1, 1)
        index = np.rint(ras @ to_index[:3, :3].T + to_index[:3, 3]).astype(int)
        inside = ((index >= 0) & (index < values.shape)).all(axis=1)
        found = np.zeros(len(index), dtype=np.bool_)
        found[inside] = values[tuple(index[inside].T)]
        mask[plane] = found.reshape(grid.rows, grid.columns)
    return mask


@pytest.mark.data
@pytest.mark.parametrize(("patient", "series"), SARCOMAS)
def test_sarcoma_contours_agree_with_the_publishers_masks(patient: str, series: str) -> None:
    folder = data_folder("sts_petct") / patient / series
    stack = only_stack(folder / "image")

    structure = only_structure(folder / "mask", stack)

    mask = structure.region.mask()
    truth = reference(folder / "mask_reference.nii.gz", stack.grid)
    assert np.array_equal(mask, truth)
    assert structure.report.outside == 0
    assert structure.report.largest_shift_mm <= 0.05
    assert structure.report.wrong_references == structure.report.contours, "names images that are not there"


@pytest.mark.data
def test_lung_contours_agree_with_the_publishers_mask() -> None:
    folder = data_folder("lung_crop")
    stack = only_stack(folder / "image")

    structure = only_structure(folder / "mask", stack)

    mask = structure.region.mask()
    truth = reference(folder / "mask_reference.nii.gz", stack.grid)
    assert structure.report.contours == 26
    assert structure.report.wrong_references == 0
    assert np.array_equal(mask, truth)


@pytest.mark.data
@pytest.mark.parametrize("mode", ["crack", "smooth"])
def test_a_real_tumour_goes_out_and_comes_back(mode: str) -> None:
    folder = data_folder("lung_crop")
    stack = only_stack(folder / "image")
    tumour = only_structure(folder / "mask", stack).region
    rois = [Roi(1, roi(tumour.mask(), 1, "GTVp").name, tumour)]

    written = write_rtstruct(rois, stack, made_at=MADE_AT, algorithm=ALGORITHM, mode=mode)  # type: ignore[arg-type]

    (again,) = read_rtstruct(written.dataset, stack.grid, images=stack.sources).structures
    assert np.array_equal(again.region.mask(), tumour.mask())
    assert again.report.wrong_references == 0
    assert abs(written.report.rois[0].area_error) < 1e-3
