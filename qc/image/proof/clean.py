"""Clean series of the development data, as inputs of the checks: DICOM folders, packed volumes, plain pictures."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset

from imaging.errors import RadgateError
from imaging.geometry import Grid
from imaging.provenance import deterministic_uid
from imaging.series import load_volume, scan
from imaging.volume import Volume
from qc.image.inputs import Inputs
from qc.image.picture import Picture

__all__ = ["CleanSeries", "clean_series"]

PACKED = range(201, 241)
"""Patients of the validation split; limits were set on none of them."""

CT_FOLDERS = ("ct_head_neck/series", "lung_crop/image", "sts_petct/STS_*/CT/image")
MR_FOLDERS = ("sts_petct/STS_*/MR_T1/image",)
PT_FOLDERS = ("sts_petct/STS_*/PET/image",)


@dataclass(frozen=True, eq=False)
class CleanSeries:
    """One series.

    Parameters
    ----------
    name
        Where it comes from; no patient.
    kind
        CT, MR, PT or DX.
    is_whole
        Whether the body is whole in the picture, and not a crop.
    """

    name: str
    kind: str
    inputs: Inputs
    profile: str
    is_whole: bool


def clean_series(
    data: Path, kinds: tuple[str, ...] = ("CT", "MR", "PT", "DX"), most: int = 1000
) -> Iterator[CleanSeries]:
    """Every series of the folder that is taken for clean, one after the other; at most so many pictures of each source.

    Raises
    ------
    FileNotFoundError
        The folder is not there.
    """
    if not data.is_dir():
        raise FileNotFoundError(f"no development data at {data.name}; name their folder")
    for kind, patterns in (("CT", CT_FOLDERS), ("MR", MR_FOLDERS), ("PT", PT_FOLDERS)):
        if kind not in kinds:
            continue
        for number, folder in enumerate(sorted(f for p in patterns for f in data.glob(p))):
            inputs = _of_folder(folder, kind)
            if inputs is not None:
                whole = folder.parts[-2] == "ct_head_neck"
                yield CleanSeries(f"{kind} {number + 1}", kind, inputs, f"{kind.lower()}_base", whole)
    if "CT" in kinds:
        for number in PACKED[:most]:
            file = data / "openkbp" / "ctlab" / f"pt_{number}.npz"
            if file.is_file():
                yield CleanSeries(f"packed CT {number}", "CT", _of_packed(file), "ct_base", False)
    if "DX" in kinds:
        for file in sorted((data / "fracture_xray" / "images").glob("*.png"))[:most]:
            yield CleanSeries(f"limb {file.stem[:6]}", "DX", _of_picture(file), "dx_limb", True)


def _of_folder(folder: Path, kind: str) -> Inputs | None:
    with warnings.catch_warnings():
        # Headers of public data break rules of style.
        warnings.simplefilter("ignore")
        stacks = scan([folder]).stacks
        if len(stacks) != 1:
            return None
        try:
            volume = load_volume(stacks[0])
        except RadgateError:
            return None
        headers = tuple(Dataset(h) for h in stacks[0].headers)
    for header in headers:
        header.Modality = kind
        if kind == "MR" and "InPlanePhaseEncodingDirection" not in header:
            header.InPlanePhaseEncodingDirection = "COL"
    return Inputs(headers, volume)


def _of_packed(file: Path) -> Inputs:
    with np.load(file) as packed:
        spacing = tuple(float(v) for v in packed["spacing"])
        array = packed["ct"][packed["zvalid"].astype(bool)]
    return volume_inputs(array, (spacing[0], spacing[1], spacing[2]), file.stem)


def volume_inputs(array: NDArray[np.int16], spacing_mm: tuple[float, float, float], name: str) -> Inputs:
    """A CT with plain headers, its planes from foot to head, rows to the back, columns to the left."""
    positions = np.array([[0.5, 1.5, 2.5 + k * spacing_mm[0]] for k in range(len(array))])
    row, column = np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])
    frame = deterministic_uid("clean frame", name)
    rows, columns = array.shape[1:]
    grid = Grid(positions, row, column, spacing_mm[1:], rows, columns, frame, spacing_mm[0])
    headers = []
    for number, position in enumerate(positions):
        h = Dataset()
        h.Modality, h.PatientPosition, h.SeriesInstanceUID = "CT", "HFS", deterministic_uid("clean series", name)
        h.SOPInstanceUID = deterministic_uid("clean instance", [name, number])
        h.ImagePositionPatient = [f"{v:.6f}" for v in position]
        h.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
        h.PixelSpacing, h.SliceThickness = [f"{v:.8g}" for v in spacing_mm[1:]], f"{spacing_mm[0]:.8g}"
        h.Rows, h.Columns, h.InstanceNumber = *array.shape[1:], number + 1
        h.BitsStored, h.PixelRepresentation, h.RescaleSlope, h.RescaleIntercept = 16, 1, "1", "0"
        h.PhotometricInterpretation = "MONOCHROME2"
        headers.append(h)
    return Inputs(tuple(headers), Volume(array, grid, unit="[hnsf'U]"))


def _of_picture(file: Path) -> Inputs:
    header = Dataset()
    header.Modality, header.BodyPartExamined = "DX", "EXTREMITY"
    header.SOPInstanceUID = deterministic_uid("clean picture", file.stem)
    header.Laterality, header.PhotometricInterpretation = "U", "MONOCHROME2"
    with Image.open(file) as picture:
        array = np.asarray(picture.convert("L"))
    return Inputs((header,), pictures=(Picture(array, top=255.0, lossy=True),))
