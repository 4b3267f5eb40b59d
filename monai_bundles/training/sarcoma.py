"""Sarcoma patients as arrays, and random training windows drawn from them; knows no network.

Every volume is cropped to 5 cm around the tumour, and the MR's field of view was often planned around it. Neither may
be learnt: windows lie anywhere, the image goes on mirrored beyond its edge so that no cut is seen, and the MR is cut to
a box of its own or left out at random.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["CHANNELS", "SarcomaPatient", "SarcomaWindow", "draw_window", "folds", "load_patients", "normalised"]

CHANNELS = ("CT", "PET to SUV 6", "PET to SUV 20", "T1 MR")

CT_HU = (-150.0, 250.0)
SUV_LIMITS = (6.0, 20.0)
"""Both limits and the two above must be those of the bundle's `inference.json`; a test compares them."""

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class SarcomaPatient:
    """One patient on one grid (Z, Y, X), z to superior, y to posterior, x to the left.

    Parameters
    ----------
    name
        As the data call it.
    images
        The network's channels as `normalised` gives them, (4, Z, Y, X).
    gtv
        The physicians' outline.
    spacing_mm
        Along z, y and x.
    """

    name: str
    images: FloatArray
    gtv: NDArray[np.bool_]
    spacing_mm: tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class SarcomaWindow:
    """A training window: `images` (4, Z, Y, X), and `target` (1, Z, Y, X)."""

    images: FloatArray
    target: FloatArray


def normalised(
    ct_hu: NDArray[np.generic], suv: NDArray[np.generic], mr: NDArray[np.generic] | None = None
) -> FloatArray:
    """CT and PET between fixed limits in 0..1; the MR with mean 0 and deviation 1 where it has values, else zeros."""
    low, high = CT_HU
    ct = np.clip((np.asarray(ct_hu, np.float32) - low) / (high - low), 0, 1)
    pet = np.asarray(suv, np.float32)
    t1 = np.zeros_like(ct) if mr is None else np.asarray(mr, np.float32).copy()
    has_value = t1 != 0
    if has_value.any():
        t1[has_value] = (t1[has_value] - t1[has_value].mean()) / max(float(t1[has_value].std()), 1e-6)
    return np.stack([ct, *(np.clip(pet / limit, 0, 1) for limit in SUV_LIMITS), t1])


def load_patients(folder: Path) -> list[SarcomaPatient]:
    """All patients of a folder of `STS_*.npz`, in the order of their names.

    Raises
    ------
    FileNotFoundError
        There is none.
    """
    paths = sorted(folder.glob("STS_*.npz"))
    if not paths:
        raise FileNotFoundError(f"{folder} holds no STS_*.npz")
    patients = []
    for path in paths:
        with np.load(path, allow_pickle=False) as arrays:
            dz, dy, dx = (float(v) for v in arrays["spacing"])
            images = normalised(arrays["ct"], arrays["pet"], arrays["mr"])
            patients.append(SarcomaPatient(path.stem, images, arrays["gtv"] > 0, (dz, dy, dx)))
    return patients


def folds(names: Sequence[str], count: int, seed: int) -> list[tuple[str, ...]]:
    """The patients left out in each fold; every patient is left out once, whatever the order of `names`."""
    order = np.random.default_rng(seed).permutation(sorted(names))
    return [tuple(sorted(str(name) for name in order[n::count])) for n in range(count)]


def draw_window(
    patient: SarcomaPatient,
    shape: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
    rng: np.random.Generator,
    tumour_share: float = 0.7,
) -> SarcomaWindow:
    """A window anywhere in the patient, turned, scaled, mirrored; the series vary in values, place and field of view.

    Parameters
    ----------
    tumour_share
        How often a voxel of the tumour is in the window, at any place within it; otherwise the centre is anywhere.
    """
    size = np.asarray(shape)
    voxels = np.argwhere(patient.gtv)
    if rng.random() < tumour_share:
        place = (rng.uniform(0.05, 0.95, 3) - 0.5) * size * np.asarray(spacing_mm) / np.asarray(patient.spacing_mm)
        centre = voxels[rng.integers(len(voxels))] + place
    else:
        centre = rng.uniform(0.0, 1.0, 3) * np.asarray(patient.gtv.shape)
    matrix = _random_turn(rng) @ np.diag(np.exp(rng.normal(0.0, 0.12)) * np.exp(rng.normal(0.0, 0.04, 3)))
    matrix = matrix @ np.diag(rng.choice([-1.0, 1.0], 3)) @ np.diag(np.asarray(spacing_mm))
    matrix = np.diag(1 / np.asarray(patient.spacing_mm)) @ matrix
    offset = centre - matrix @ ((size - 1) / 2)

    def resampled(array: FloatArray, moved_mm: float = 0.0) -> FloatArray:
        shift = rng.normal(0.0, moved_mm, 3) / np.asarray(patient.spacing_mm) if moved_mm else 0.0
        return ndimage.affine_transform(
            array, matrix, offset + shift, output_shape=shape, order=1, mode="mirror", output=np.float32
        )

    ct = resampled(patient.images[0])
    pet_shift = rng.normal(0.0, 1.0, 3) / np.asarray(patient.spacing_mm)
    low, high = (
        ndimage.affine_transform(
            channel, matrix, offset + pet_shift, output_shape=shape, order=1, mode="mirror", output=np.float32
        )
        for channel in patient.images[1:3]
    )
    target = (resampled(patient.gtv.astype(np.float32)) >= 0.5).astype(np.float32)
    uptake = float(np.exp(rng.normal(0.0, 0.15)))
    suv = np.where(low < 0.999, low * SUV_LIMITS[0], high * SUV_LIMITS[1]) * uptake
    ct = ct + np.float32(rng.normal(0.0, 0.03))
    if rng.random() < 0.5:
        ct = ct + rng.normal(0.0, rng.uniform(0.0, 0.08), shape).astype(np.float32)
    mr = np.zeros(shape, np.float32) if rng.random() < 0.4 else _cut(resampled(patient.images[3], 1.5), rng)
    images = np.stack([
        np.clip(ct, 0, 1),
        np.clip(suv / SUV_LIMITS[0], 0, 1),
        np.clip(suv / SUV_LIMITS[1], 0, 1),
        mr * np.float32(np.exp(rng.normal(0.0, 0.15))),
    ])
    return SarcomaWindow(images.astype(np.float32), target[None])


def _random_turn(rng: np.random.Generator) -> NDArray[np.float64]:
    """A rotation by any small angle about two axes and up to half a right angle about the patient's long axis."""
    turn = np.eye(3)
    for axes, sd_degrees in (((1, 2), 25.0), ((0, 1), 8.0), ((0, 2), 8.0)):
        angle = np.deg2rad(rng.normal(0.0, sd_degrees))
        step = np.eye(3)
        a, b = axes
        step[a, a] = step[b, b] = np.cos(angle)
        step[a, b], step[b, a] = -np.sin(angle), np.sin(angle)
        turn = turn @ step
    return turn


def _cut(mr: FloatArray, rng: np.random.Generator) -> FloatArray:
    """The MR within a random box, every other time: how far it reaches says nothing of where the tumour lies."""
    if rng.random() < 0.5:
        return mr
    cut = np.zeros_like(mr)
    lengths = (rng.uniform(0.4, 1.0, 3) * mr.shape).astype(int)
    starts = [int(rng.integers(0, n - length + 1)) for n, length in zip(mr.shape, lengths, strict=True)]
    box = tuple(slice(s, s + int(length)) for s, length in zip(starts, lengths, strict=True))
    cut[box] = mr[box]
    return cut
