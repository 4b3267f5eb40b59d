"""Label maps in NIfTI: written with the image's own affine, read only where every voxel is a voxel of the image.

Names do not fit into NIfTI; they go into a JSON file beside it.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from contouring.errors import OverlappingSegments, SegmentationOffGrid, SegmentationRefused
from contouring.roi import Roi
from contouring.seg_geometry import VOXEL_TOLERANCE
from contouring.seg_pixels import overlapping
from contouring.uneven_planes import check_even
from imaging.geometry import Grid
from imaging.ras import affine_ras
from imaging.volume import Region

__all__ = ["labels_file", "read_names", "read_nifti", "write_nifti"]

SAME_PLACE_VOXELS = 0.25
"""The quaternion of qform is of single precision, which moves far corners by hundredths of a voxel."""

Number = TypeVar("Number", np.int64, np.float32)
Corner = tuple[int, int, int]


def write_nifti(rois: Sequence[Roi], grid: Grid, path: Path) -> None:
    """A label map with the numbers of the structures, and their names in a JSON file beside it.

    Raises
    ------
    OverlappingSegments
        Two structures share a voxel; write each into a file of its own.
    MissingSlices
        The planes are not evenly spaced, which NIfTI cannot say.
    GantryTilt
        The planes are shifted against each other.
    """
    import nibabel

    check_even(grid, "A NIfTI", "write a DICOM segmentation (.dcm), which keeps the place of every slice")
    affine = affine_ras(grid)
    if overlapping([r.region for r in rois]):
        raise OverlappingSegments(
            "Structures overlap, and a label map has one number a voxel; write a DICOM segmentation, "
            "or each structure into a file of its own."
        )
    labels = np.zeros(grid.shape, dtype=np.uint8 if max(r.number for r in rois) < 256 else np.uint16)
    for roi in rois:
        labels[roi.region.box][roi.region.crop] = roi.number
    image = nibabel.Nifti1Image(labels.transpose(2, 1, 0), affine)
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)
    names = {str(r.number): r.name.tg263 for r in rois}
    labels_file(path).write_text(json.dumps(names, ensure_ascii=False, indent=1), encoding="utf-8")


def labels_file(path: Path) -> Path:
    """The JSON file of names that belongs to a label map."""
    return path.with_name(path.name.removesuffix(".gz").removesuffix(".nii") + ".labels.json")


def read_names(path: Path) -> dict[int, str]:
    """Names of the labels from the JSON file beside a label map; empty where there is none.

    Raises
    ------
    SegmentationRefused
        The file is no map of numbers to names.
    """
    beside = labels_file(path)
    if not beside.exists():
        return {}
    try:
        return {int(number): str(name) for number, name in json.loads(beside.read_text(encoding="utf-8")).items()}
    except (AttributeError, ValueError) as fault:
        raise SegmentationRefused("The file of label names is no JSON map of numbers to names; correct it.") from fault


def read_nifti(path: Path, grid: Grid) -> Mapping[int, Region]:
    """Regions of a label map by their number; axes may be flipped, exchanged or cropped.

    A map of fractions from 0 to 1 is the probability of one structure: it becomes region 1, the voxels of at least one
    half, with the fractions beside them.

    Raises
    ------
    SegmentationRefused
        The file is no three-dimensional NIfTI of whole numbers, or of fractions from 0 to 1, or its qform and sform
        place it differently.
    SegmentationOffGrid
        Its voxels are not voxels of the image.
    MissingSlices
        The image's planes are not evenly spaced.
    GantryTilt
        The image's planes are shifted against each other.
    """
    import nibabel
    from nibabel.filebasedimages import ImageFileError

    check_even(grid, "A NIfTI", "give the structures as RTSTRUCT or DICOM segmentation")
    try:
        image = nibabel.load(path)
        values = np.asanyarray(image.dataobj)
    except (ImageFileError, EOFError, OSError, ValueError) as fault:
        raise SegmentationRefused("The file is no readable NIfTI; export it again.") from fault
    if values.ndim == 4 and values.shape[3] == 1:
        values = values[..., 0]
    if values.ndim != 3:
        raise SegmentationRefused(f"The NIfTI has {values.ndim} dimensions; a label map has three.")
    _check_one_place(image)
    labels = np.rint(values).astype(np.int64)
    affine = np.asarray(image.affine, dtype=np.float64)
    if not np.array_equal(labels, values):
        if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
            raise SegmentationRefused(
                "The NIfTI holds fractions beyond 0 to 1; give labels in whole numbers, or probabilities."
            )
        return {1: _probable(*_onto_grid(values.astype(np.float32), affine, grid), grid)}
    placed, start = _onto_grid(labels, affine, grid)
    regions = {}
    for label in np.unique(placed):
        if label > 0:
            part = Region.from_mask(placed == label)
            k, j, i = (s + o for s, o in zip(part.start, start, strict=True))
            regions[int(label)] = Region(part.crop, (k, j, i), grid.shape)
    return regions


def _check_one_place(image: Any) -> None:
    """Refuse a NIfTI that lies at two places: some programs follow its qform (ITK), others its sform (nibabel).

    Raises
    ------
    SegmentationRefused
        Both are set and place a corner differently, or one cannot be read.
    """
    try:
        quaternion, has_quaternion = image.get_qform(coded=True)
        matrix, has_matrix = image.get_sform(coded=True)
    except ValueError as fault:
        raise SegmentationRefused("The NIfTI's qform is no rotation; export it again.") from fault
    if not (has_quaternion and has_matrix):
        return
    corners = np.stack(np.meshgrid(*([0, n - 1] for n in image.shape[:3]), [1]), axis=-1).reshape(-1, 4)
    apart_mm = float(np.linalg.norm(corners @ (quaternion - matrix).T, axis=1).max())
    if not apart_mm <= SAME_PLACE_VOXELS * float(np.linalg.norm(matrix[:3, :3], axis=0).min()):
        raise SegmentationRefused(
            f"The NIfTI's qform and sform place its voxels up to {apart_mm:.2f} mm apart, so programs disagree on "
            "where it lies; export it again with both equal, or with one of them switched off (code 0).",
            apart_mm=apart_mm,
        )


def _probable(values: NDArray[np.float32], start: tuple[int, int, int], grid: Grid) -> Region:
    """The region of at least one half, in a box that holds every probability above zero."""
    part = Region.from_mask(values > 0, values)
    k, j, i = (s + o for s, o in zip(part.start, start, strict=True))
    fractions = np.asarray(part.probability)
    return Region(fractions >= 0.5, (k, j, i), grid.shape, fractions)


def _onto_grid(labels: NDArray[Number], affine: NDArray[np.float64], grid: Grid) -> tuple[NDArray[Number], Corner]:
    """The labels in the order (planes, rows, columns) of the grid, cut to it, and the index of their first voxel.

    Raises
    ------
    SegmentationOffGrid
        Voxels miss those of the grid, or labels lie outside it.
    """
    # NIfTI's index to the grid's, in the grid's order (i, j, k).
    step = np.linalg.inv(affine_ras(grid)) @ affine
    turn = np.rint(step[:3, :3]).astype(int)
    reach = np.abs(step[:3, :3] - turn) @ (np.array(labels.shape) - 1)
    offset = np.rint(step[:3, 3]).astype(int)
    if (np.abs(turn).sum(axis=0) != 1).any() or (np.abs(turn).sum(axis=1) != 1).any():
        raise SegmentationOffGrid(
            "The NIfTI has another voxel size or orientation than the image; resample it onto the image."
        )
    if max(float(reach.max()), float(np.abs(step[:3, 3] - offset).max())) > VOXEL_TOLERANCE:
        raise SegmentationOffGrid(
            f"The NIfTI's voxels miss the image's by up to "
            f"{max(float(reach.max()), float(np.abs(step[:3, 3] - offset).max())):.2f} voxels; resample it.",
        )
    turned = labels.transpose([int(np.abs(turn[axis]).argmax()) for axis in range(3)])
    start = []
    for axis in range(3):
        if turn[axis].sum() < 0:
            turned = np.flip(turned, axis)
            start.append(int(offset[axis]) - turned.shape[axis] + 1)
        else:
            start.append(int(offset[axis]))
    turned, first = turned.transpose(2, 1, 0), start[::-1]
    cut = tuple(
        slice(max(0, -f), max(0, min(n, size - f))) for f, n, size in zip(first, turned.shape, grid.shape, strict=True)
    )
    if np.count_nonzero(turned[cut]) != np.count_nonzero(turned):
        raise SegmentationOffGrid("The label map reaches beyond the image; choose the image it was drawn on.")
    return turned[cut], (max(0, first[0]), max(0, first[1]), max(0, first[2]))
