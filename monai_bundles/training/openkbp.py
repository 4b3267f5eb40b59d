"""OpenKBP patients as arrays, and random training windows drawn from them; knows no network.

The arrays are (Z, Y, X) with z to superior, y to posterior and x to the patient's left. Four traps of the data are
handled here and nowhere else: slices whose CT was cut (`zvalid` 0) carry no loss, a structure that nobody contoured
(`have` 0) is unknown, not empty, and so is a mask that cannot be what it is called; a patient whose contours lie beside
the image's anatomy is left out.
"""

import csv
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["STRUCTURES", "Patient", "Window", "contours_fit_image", "draw_window", "is_possible", "load_patients"]

STRUCTURES = ("Brainstem", "SpinalCord", "Parotid_R", "Parotid_L", "Esophagus", "Larynx", "Bone_Mandible")
"""TG-263 names in the order of the bits of `oar`."""

MIRRORED = [0, 1, 3, 2, 4, 5, 6]
"""Which structure each becomes in a mirrored image."""

AIR_HU = -1000.0

SOFT_ORGANS = (0, 1, 2, 3)
"""Brainstem, cord and parotids: soft tissue, which neither lies in air nor is bone."""

MOST_CM2 = {"SpinalCord": 5.0, "Esophagus": 4.5}
"""Mean area of a structure's sections that it cannot have. Cords have 0.65 to 2.7 cm2, but for pt_215 and pt_216 (22
and 32 cm2: 478 and 543 cc), which hold another structure under this name; oesophagi 0.9 to 2.8, but for pt_55, pt_67
and pt_216 (5.2, 7.1 and 8.1)."""

LEAST_MEDIAN_HU = -150.0
"""Of an oesophagus: two (pt_59, pt_180) lie in the trachea or the lung, at -424 and -311 HU; so does pt_67."""


@dataclass(frozen=True)
class Patient:
    """One patient: CT in HU, one bit per structure, and what is known of both."""

    name: str
    ct_hu: NDArray[np.int16]
    structure_bits: NDArray[np.uint8]
    spacing_mm: tuple[float, float, float]
    contoured: NDArray[np.bool_]
    slice_is_complete: NDArray[np.bool_]


@dataclass(frozen=True)
class Window:
    """A training window: `ct_hu` (Z, Y, X), `targets` and `known`, both (structures, Z, Y, X)."""

    ct_hu: NDArray[np.float32]
    targets: NDArray[np.float32]
    known: NDArray[np.float32]


def load_patients(folder: Path, split: str) -> list[Patient]:
    """Patients of `split` ("train" or "validation"), in numerical order, without those that say nothing.

    Left out are those marked nearly empty and those whose contours do not fit the image (`contours_fit_image`).

    Raises
    ------
    FileNotFoundError
        `folder` holds no `index.csv` or a listed patient's file is missing.
    """
    with (folder / "index.csv").open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["split"] == split and row["nearly_empty"] != "1"]
    patients = []
    for row in rows:
        dz, dy, dx = (float(row[name]) for name in ("dz", "dy", "dx"))
        with np.load(folder / "ctlab" / f"{row['patient']}.npz") as arrays:
            patient = Patient(
                name=row["patient"],
                ct_hu=arrays["ct"],
                structure_bits=arrays["oar"],
                spacing_mm=(dz, dy, dx),
                contoured=arrays["have"][: len(STRUCTURES)].astype(bool),
                slice_is_complete=arrays["zvalid"].astype(bool),
            )
        if contours_fit_image(patient):
            possible = [is_possible(patient, name) for name in STRUCTURES]
            patients.append(replace(patient, contoured=patient.contoured & np.array(possible)))
    return patients


def is_possible(patient: Patient, name: str) -> bool:
    """Whether a mask can be what it is called: by its sections and, of an oesophagus, by what it lies in."""
    voxels = structure_voxels(patient)[STRUCTURES.index(name)]
    if not len(voxels):
        return True
    pixel_cm2 = patient.spacing_mm[1] * patient.spacing_mm[2] / 100
    area_cm2 = len(voxels) * pixel_cm2 / len(np.unique(voxels[:, 0]))
    in_tissue = name != "Esophagus" or float(np.median(patient.ct_hu[tuple(voxels.T)])) > LEAST_MEDIAN_HU
    return in_tissue and area_cm2 <= MOST_CM2.get(name, np.inf)


def contours_fit_image(patient: Patient) -> bool:
    """Whether brainstem, cord and parotids lie in soft tissue, as all do but one patient's (pt_221).

    There they lie about 3 cm beside the anatomy: a third of each parotid in air, the brainstem in bone. In the 234
    others at most 9 % lie in air and the medians are -72 to 110 HU, well within the limits.
    """
    for voxels, index in zip(structure_voxels(patient), range(len(STRUCTURES)), strict=True):
        if index not in SOFT_ORGANS or not len(voxels):
            continue
        inside_hu = patient.ct_hu[tuple(voxels.T)]
        if (inside_hu < -300).mean() > 0.15 or not -150 < np.median(inside_hu) < 150:
            return False
    return True


def structure_voxels(patient: Patient) -> list[NDArray[np.intp]]:
    """For each structure the (N, 3) indices of its voxels on complete slices; empty where it was not contoured."""
    usable = patient.structure_bits * patient.slice_is_complete[:, None, None].astype(np.uint8)
    bits = [1 << bit if patient.contoured[bit] else 0 for bit in range(len(STRUCTURES))]
    return [np.argwhere(usable & bit) for bit in bits]


def draw_window(
    patient: Patient,
    centre_index: NDArray[np.float64],
    shape: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
    rng: np.random.Generator,
    *,
    augment: bool = True,
) -> Window:
    """A window of `shape` at `spacing_mm` about `centre_index`, turned, scaled, mirrored and shifted in HU at random.

    The geometry is resampled once, straight from the patient's own grid. Mirroring swaps the parotids. Without
    `augment` nothing is random.
    """
    strength = float(augment)
    turn = strength * np.deg2rad(rng.normal(0.0, 6.0))
    tilt = strength * np.deg2rad(rng.normal(0.0, 5.0))
    scale = np.exp(strength * (rng.normal(0.0, 0.10) + rng.normal(0.0, 0.03, 3)))
    mirrored = rng.random() < 0.5 * strength
    in_plane = np.array([[1, 0, 0], [0, np.cos(turn), -np.sin(turn)], [0, np.sin(turn), np.cos(turn)]])
    nod = np.array([[np.cos(tilt), -np.sin(tilt), 0], [np.sin(tilt), np.cos(tilt), 0], [0, 0, 1]])
    matrix = np.diag(1 / np.asarray(patient.spacing_mm)) @ nod @ in_plane @ np.diag(scale * np.asarray(spacing_mm))
    if mirrored:
        matrix[:, 2] *= -1
    offset = centre_index - matrix @ ((np.asarray(shape) - 1) / 2)

    corners = np.stack(np.meshgrid(*[(0, n - 1) for n in shape], indexing="ij"), -1).reshape(-1, 3) @ matrix.T + offset
    low = np.clip(np.floor(corners.min(0)).astype(int) - 1, 0, np.asarray(patient.ct_hu.shape) - 1)
    high = np.clip(np.ceil(corners.max(0)).astype(int) + 2, 1, patient.ct_hu.shape)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    offset = offset - low

    def resample(array: NDArray[np.float32], order: int, outside: float) -> NDArray[np.float32]:
        return ndimage.affine_transform(
            array, matrix, offset, output_shape=shape, order=order, mode="constant", cval=outside, output=np.float32
        )

    bits = patient.structure_bits[box]
    complete = np.broadcast_to(patient.slice_is_complete[box[0], None, None], bits.shape).astype(np.float32)
    complete = (resample(complete, 0, 0.0) > 0.5).astype(np.float32)
    targets = np.zeros((len(STRUCTURES), *shape), np.float32)
    known = np.zeros_like(targets)
    for index in range(len(STRUCTURES)):
        if not patient.contoured[index]:
            continue
        known[index] = complete
        mask = (bits >> index) & 1
        if mask.any():
            targets[index] = resample(mask.astype(np.float32), 1, 0.0) >= 0.5
    if mirrored:
        targets, known = targets[MIRRORED], known[MIRRORED]

    ct_hu = resample(patient.ct_hu[box].astype(np.float32), 1, AIR_HU)
    if not augment:
        return Window(ct_hu=ct_hu, targets=targets, known=known)
    ct_hu += rng.normal(0.0, 12.0)
    if rng.random() < 0.4:
        ct_hu += rng.normal(0.0, rng.uniform(0.0, 30.0), shape).astype(np.float32)
    if rng.random() < 0.2:
        ct_hu = ndimage.gaussian_filter(ct_hu, (0.0, *[rng.uniform(0.3, 0.9)] * 2))
    return Window(ct_hu=ct_hu, targets=targets, known=known)
