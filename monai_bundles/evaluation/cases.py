"""Patients with a reference, from the folders of data that the bundles' cards were written with."""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imaging.geometry import Grid
from imaging.series import Stack, load_volume, scan
from imaging.volume import Volume
from monai_bundles.errors import NothingToEvaluate
from monai_bundles.restore import grid_map

__all__ = ["Case", "ToSuv", "cases_of"]

BoolArray = NDArray[np.bool_]

ToSuv = Callable[[Volume, Sequence[Any]], Volume]
"""From a PET and the headers of its planes to SUV by body weight; radgate's is in `contouring.suv`."""

SUVBW = "g/ml{SUVbw}"
SPLITS = {"train": "train", "validation": "validation"}


@dataclass(frozen=True, eq=False)
class Case:
    """One patient.

    Parameters
    ----------
    name
        As the data call it.
    volume, companions
        What a bundle is given.
    truth
        Reference masks on the volume's grid, by the structure's name; what nobody drew is not there.
    counted
        Voxels that count; None for all.
    """

    name: str
    volume: Volume
    truth: Mapping[str, BoolArray]
    companions: Mapping[str, Volume] = field(default_factory=dict)
    counted: BoolArray | None = None


def cases_of(data: Path, split: str, to_suv: ToSuv | None = None) -> Iterator[Case]:
    """The patients of a folder, one after the other.

    Parameters
    ----------
    data
        OpenKBP as slices (`index.csv`, `ctlab/`), PET/CT as DICOM with reference masks (`STS_*/PET/image`), or packed
        PET/CT (`STS_*.npz`).
    split
        "train" or "validation", where the data have one.
    to_suv
        Needed for PET from DICOM.

    Raises
    ------
    NothingToEvaluate
        The folder holds none of these, or no patient of the split.
    """
    if (data / "index.csv").is_file() and (data / "ctlab").is_dir():
        return _openkbp(data, split)
    if any(data.glob("*/PET/image")):
        return _petct_dicom(data, to_suv)
    if any(data.glob("STS_*.npz")):
        return _packed(data)
    raise NothingToEvaluate(
        "The folder holds no data with a reference that is known here: OpenKBP (index.csv, ctlab/), PET/CT with masks "
        "(STS_*/PET/image) or packed PET/CT (STS_*.npz)."
    )


def _openkbp(data: Path, split: str) -> Iterator[Case]:
    """Head-and-neck patients on their complete slices.

    Raises
    ------
    NothingToEvaluate
        There is no such split.
    """
    from monai_bundles.training.openkbp import STRUCTURES, load_patients

    with (data / "index.csv").open(newline="", encoding="utf-8") as stream:
        known = {row["split"] for row in csv.DictReader(stream)}
    if split not in known:
        raise NothingToEvaluate(f"There is no split {split!r} in these data; there are {', '.join(sorted(known))}.")
    for patient in load_patients(data, split):
        complete = np.flatnonzero(patient.slice_is_complete)
        part = slice(int(complete[0]), int(complete[-1]) + 1)
        counted = np.broadcast_to(patient.slice_is_complete[part, None, None], patient.ct_hu[part].shape)
        truth = {}
        for index, name in enumerate(STRUCTURES):
            mask = ((patient.structure_bits[part] >> index) & 1).astype(bool)
            if patient.contoured[index] and (mask & counted).any():
                truth[name] = mask
        array = np.ascontiguousarray(patient.ct_hu[part])
        volume = Volume(array, _axial_grid(array.shape, patient.spacing_mm, np.zeros(3), np.eye(3)), unit="[hnsf'U]")
        yield Case(patient.name, volume, truth, counted=counted)


def _axial_grid(
    shape: tuple[int, ...], spacing_mm: Sequence[float], origin_lps: NDArray[Any], directions: NDArray[Any]
) -> Grid:
    """A grid of equal steps; columns of `directions` are those of x, y and z."""
    dz, dy, dx = (float(v) for v in spacing_mm)
    steps = np.arange(shape[0])[:, None] * dz * directions[:, 2]
    return Grid(
        positions_lps=origin_lps + steps,
        row_direction=directions[:, 0],
        column_direction=directions[:, 1],
        pixel_spacing_mm=(dy, dx),
        rows=shape[1],
        columns=shape[2],
        frame_of_reference_uid="2.25.1",
        slice_thickness_mm=dz,
    )


def _petct_dicom(data: Path, to_suv: ToSuv | None) -> Iterator[Case]:
    """PET with the publishers' mask, and the CT of the same frame of reference.

    Raises
    ------
    NothingToEvaluate
        SUV cannot be computed here.
    """
    import nibabel

    if to_suv is None:
        raise NothingToEvaluate("PET from DICOM needs its conversion to SUV; evaluate with radgate bundles evaluate.")
    for folder in sorted(p.parents[1] for p in data.glob("*/PET/image")):
        stack = _only_stack(folder / "PET" / "image")
        volume = replace(to_suv(load_volume(stack), list(stack.headers)), sources=())
        image = nibabel.load(folder / "PET" / "mask_reference.nii.gz")
        mask = np.asarray(image.dataobj).transpose(2, 1, 0) > 0
        companions = {"CT": load_volume(_only_stack(folder / "CT" / "image"))} if (folder / "CT").is_dir() else {}
        yield Case(folder.name, volume, {"GTV": _on_grid(mask, image.affine, volume)}, companions)


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


def _packed(data: Path) -> Iterator[Case]:
    """PET, CT and the physicians' outline on one grid."""
    for path in sorted(data.glob("STS_*.npz")):
        with np.load(path, allow_pickle=False) as arrays:
            suv = arrays["pet"].astype(np.float32)
            directions = np.asarray(arrays["direction"], dtype=np.float64).reshape(3, 3)
            grid = _axial_grid(suv.shape, arrays["spacing"], np.asarray(arrays["origin"], np.float64), directions)
            ct = Volume(arrays["ct"].copy(), grid, unit="[hnsf'U]")
            yield Case(path.stem, Volume(suv, grid, unit=SUVBW), {"GTV": arrays["gtv"] > 0}, {"CT": ct})
