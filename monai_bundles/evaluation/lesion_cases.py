"""Patients with one lesion that physicians outlined on CT, PET and MR: as DICOM with reference masks, or packed."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imaging.series import Stack, load_volume, scan
from imaging.volume import Volume
from monai_bundles.errors import NothingToEvaluate
from monai_bundles.evaluation.cases import Case, ToSuv, axial_grid
from monai_bundles.restore import grid_map

__all__ = ["SUVBW", "off_centre", "packed_cases", "petct_cases"]

SUVBW = "g/ml{SUVbw}"
FOLDERS = {"CT": "CT", "PT": "PET", "MR": "MR_T1"}
"""Folder of each modality; its first part is the channel's name too."""

CHANNELS = {"CT": "CT", "PT": "PET", "MR": "MR"}
LESION = "GTV"
CUT_MM = 40.0
"""Taken away on one side of each axis: the data end 50 mm beside the lesion."""

BoolArray = NDArray[np.bool_]


def petct_cases(data: Path, to_suv: ToSuv | None, modality: str) -> Iterator[Case]:
    """The series of `modality` with the publishers' mask, and the others of the same frame of reference.

    Raises
    ------
    NothingToEvaluate
        SUV cannot be computed here.
    """
    import nibabel

    if to_suv is None:
        raise NothingToEvaluate("PET from DICOM needs its conversion to SUV; evaluate with radgate bundles evaluate.")
    for folder in sorted(p.parents[1] for p in data.glob("*/PET/image")):
        images = {}
        for kind, name in FOLDERS.items():
            if (folder / name / "image").is_dir():
                stack = _only_stack(folder / name / "image")
                volume = load_volume(stack)
                images[kind] = replace(to_suv(volume, list(stack.headers)), sources=()) if kind == "PT" else volume
        image = nibabel.load(folder / FOLDERS[modality] / "mask_reference.nii.gz")
        mask = np.asarray(image.dataobj).transpose(2, 1, 0) > 0
        yield _case(folder.name, images, modality, _on_grid(mask, image.affine, images[modality]))


def packed_cases(data: Path, modality: str) -> Iterator[Case]:
    """CT, PET, MR and the physicians' outline on one grid."""
    for path in sorted(data.glob("STS_*.npz")):
        with np.load(path, allow_pickle=False) as arrays:
            directions = np.asarray(arrays["direction"], dtype=np.float64).reshape(3, 3)
            origin = np.asarray(arrays["origin"], np.float64)
            grid = axial_grid(arrays["ct"].shape, arrays["spacing"], origin, directions)
            images = {
                "CT": Volume(arrays["ct"].copy(), grid, unit="[hnsf'U]"),
                "PT": Volume(arrays["pet"].astype(np.float32), grid, unit=SUVBW),
                "MR": Volume(arrays["mr"].copy(), grid),
            }
            yield _case(path.stem, images, modality, arrays["gtv"] > 0)


def off_centre(case: Case) -> Case:
    """The case with 40 mm cut off one side of each axis, another for every patient: its lesion is not in the middle."""
    sides = np.random.default_rng(list(case.name.encode())).integers(0, 2, 3)
    parts = []
    for size, step, side in zip(case.volume.array.shape, case.volume.spacing_mm, sides, strict=True):
        cut = min(round(CUT_MM / step), size - 1)
        parts.append(slice(cut, None) if side else slice(0, size - cut))
    box = (parts[0], parts[1], parts[2])
    j, i = (part.start or 0 for part in box[1:])
    grid = case.volume.grid
    dy, dx = grid.pixel_spacing_mm
    shift = j * dy * grid.column_direction + i * dx * grid.row_direction
    array = np.ascontiguousarray(case.volume.array[box])
    smaller = replace(
        grid, positions_lps=grid.positions_lps[box[0]] + shift, rows=array.shape[1], columns=array.shape[2]
    )
    sources = case.volume.sources[box[0]] if case.volume.sources else ()
    volume = replace(case.volume, array=array, grid=smaller, sources=sources)
    companions = {name: _cut_to(other, case.volume, volume, box) for name, other in case.companions.items()}
    counted = None if case.counted is None else case.counted[box]
    return replace(
        case,
        volume=volume,
        truth={name: np.ascontiguousarray(mask[box]) for name, mask in case.truth.items()},
        companions=companions,
        counted=counted,
    )


def _cut_to(image: Volume, whole: Volume, part: Volume, box: tuple[slice, slice, slice]) -> Volume:
    """A companion on the grid of the whole is cut too; one on a grid of its own stays."""
    if image.grid is not whole.grid:
        return image
    return replace(image, array=np.ascontiguousarray(image.array[box]), grid=part.grid)


def _case(name: str, images: Mapping[str, Volume], modality: str, mask: BoolArray) -> Case:
    """The case of a bundle that starts with `modality`."""
    companions = {CHANNELS[kind]: volume for kind, volume in images.items() if kind != modality}
    return Case(name, images[modality], {LESION: mask}, companions)


def _only_stack(folder: Path) -> Stack:
    return max(scan([folder]).stacks, key=lambda stack: len(stack.sources))


def _on_grid(mask: BoolArray, affine_ras: NDArray[Any], volume: Volume) -> BoolArray:
    """A NIfTI mask (Z, Y, X) on the volume's voxels, by nearest neighbour: its planes may run the other way."""
    flip = np.diag([-1.0, -1.0, 1.0, 1.0])
    affine = (flip @ np.asarray(affine_ras, dtype=np.float64))[:, [2, 1, 0, 3]]
    mapping = grid_map(volume.affine_lps, affine)
    indices = np.indices(volume.array.shape).reshape(3, -1)
    nearest = np.rint(mapping.matrix @ indices + mapping.offset[:, None]).astype(np.intp)
    there = np.all((nearest >= 0) & (nearest < np.array(mask.shape)[:, None]), axis=0)
    found = np.zeros(nearest.shape[1], dtype=bool)
    k, j, i = nearest[:, there]
    found[there] = mask[k, j, i]
    return found.reshape(volume.array.shape)
