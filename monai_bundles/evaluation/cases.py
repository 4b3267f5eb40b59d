"""Patients with a reference, from the folders of data that the bundles' cards were written with."""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imaging.geometry import Grid
from imaging.volume import Volume
from monai_bundles.errors import NothingToEvaluate

__all__ = ["Case", "ToSuv", "axial_grid", "cases_of"]

BoolArray = NDArray[np.bool_]

ToSuv = Callable[[Volume, Sequence[Any]], Volume]
"""From a PET and the headers of its planes to SUV by body weight; radgate's is in `contouring.suv`."""


@dataclass(frozen=True, eq=False)
class Case:
    """One patient.

    Parameters
    ----------
    name
        As the data call it.
    volume, companions
        What a bundle is given: the series it starts with, and the others by the names of their channels.
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


def cases_of(data: Path, split: str, to_suv: ToSuv | None = None, modality: str = "PT") -> Iterator[Case]:
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
    modality
        Of the series that the bundle starts with, where the data have several: "PT", "CT".

    Raises
    ------
    NothingToEvaluate
        The folder holds none of these, or no patient of the split.
    """
    if (data / "index.csv").is_file() and (data / "ctlab").is_dir():
        return _openkbp(data, split)
    from monai_bundles.evaluation.lesion_cases import packed_cases, petct_cases

    if any(data.glob("*/PET/image")):
        return petct_cases(data, to_suv, modality)
    if any(data.glob("STS_*.npz")):
        return packed_cases(data, modality)
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
        volume = Volume(array, axial_grid(array.shape, patient.spacing_mm, np.zeros(3), np.eye(3)), unit="[hnsf'U]")
        yield Case(patient.name, volume, truth, counted=counted)


def axial_grid(
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
