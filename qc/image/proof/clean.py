"""Clean series of the development data, as inputs of the checks: DICOM folders, packed volumes, plain pictures."""

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
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

PACKED = range(1, 241)
"""Patients of OpenKBP. Limits were set on none from 201 on; that of motion was looked at on some of the others."""

NEARLY_EMPTY = (51, 89, 143, 170, 203)
"""Of these the published images hold next to nothing."""

CROPPED = "a crop, which ends within the body"
UNFIT: dict[str, dict[str, str]] = {
    "crop": {
        "ct.truncation": CROPPED,
        "ct.hu.air": CROPPED,
        "ct.hu.tissue": CROPPED,
        "ct.starvation": CROPPED,
        "gen.tag.plausible": "dates were shifted into the impossible",
        "pt.uptake": "two of the four began more than 90 minutes after the injection, as their headers say",
    },
    "head_neck": {"ct.metal": "dental metal", "gen.tag.position": "PatientPosition is absent"},
    "packed": {"ct.truncation": "cropped to the box of labels and dose", "ct.metal": "most have dental metal"},
    "limb": {"dx.side_marker": "most show none"},
}
"""By source, the checks for which its series are not clean, and why: their alarms are right, and no false ones."""

INVERTED = ("f_1p", "n_0p", "n_22p", "n_3p")
WIDE_FIELD = (
    *("f_96(1)", "f_99(1)", "f_IMG0002342", "f_IMG0002343", "f_IMG0002344", "f_IMG0002345", "f_IMG0002347"),
    *("f_IMG0002473", "f_IMG0002474", "n_42", "n_49", "n_IMG0000191", "n_IMG0000505", "n_IMG0000507"),
)
LOOKED_AT: dict[str, dict[str, str]] = {
    **{name: {"dx.inversion": "it is inverted"} for name in INVERTED},
    **{name: {"dx.collimation": "the field is far wider than the limb"} for name in WIDE_FIELD},
}
"""The same for single radiographs, of those that alarm, after a look at each. Not here are three on a black page
(`dx.collimation`) and two that are not inverted (`dx.inversion`): false alarms."""

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
    unfit
        Checks for which it is not clean, with the reason.
    """

    name: str
    kind: str
    inputs: Inputs
    profile: str
    unfit: Mapping[str, str] = field(default_factory=dict)


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
                source = "head_neck" if folder.parts[-2] == "ct_head_neck" else "crop"
                yield CleanSeries(f"{kind} {number + 1}", kind, inputs, f"{kind.lower()}_base", UNFIT[source])
    if "CT" in kinds:
        for number in reversed([n for n in PACKED if n not in NEARLY_EMPTY][-most:]):
            file = data / "openkbp" / "ctlab" / f"pt_{number}.npz"
            if file.is_file():
                yield CleanSeries(f"packed CT {number}", "CT", _of_packed(file), "ct_base", UNFIT["packed"])
    if "DX" in kinds:
        for file in sorted((data / "fracture_xray" / "images").glob("*.png"))[:most]:
            unfit = UNFIT["limb"] | LOOKED_AT.get(file.stem, {})
            yield CleanSeries(f"limb {file.stem}", "DX", _of_picture(file), "dx_limb", unfit)


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
