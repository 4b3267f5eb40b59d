"""Radiographs: a chest projected at known angles, and a forearm, with defects of known severity."""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from imaging.volume import Region
from qc.image.inputs import Inputs
from qc.image.picture import Picture
from tests.qc.bodies import edited, header_inputs
from tests.qc.chest import CHEST, Chest
from tests.qc.defects_ct import drawn_text

__all__ = [
    "ATTENUATION", "FILM_MM", "as_film", "chest_film", "cut_film", "exposed", "forearm", "lateral_film", "masked_film",
    "picture_inputs", "project", "with_object", "with_saturation",
]  # fmt: skip

FILM_MM = (1.5, 1.35)
"""Pixel spacing of the projected chest: (rows, columns)."""

ATTENUATION = 0.02
"""Linear attenuation of water per mm."""

TOP = 4095.0


def project(
    hu: NDArray[Any], spacing_mm: tuple[float, float, float], degrees: float, lateral: bool = False
) -> NDArray[np.float64]:
    """Line integrals through a CT turned about its long axis: rows from head to foot, columns to the patient's left.

    Parameters
    ----------
    hu
        Planes from foot to head, rows to the back, columns to the left.
    spacing_mm
        (planes, rows, columns).
    degrees
        Turn of the patient about the long axis.
    lateral
        Look along the rows instead, from the side.
    """
    water = np.clip((hu.astype(np.float64) + 1000) / 1000, 0, 3) * ATTENUATION
    # Pixels as wide as they are high, so that a turn is a turn.
    same = ndimage.zoom(water, (1, spacing_mm[1] / spacing_mm[2], 1), order=1)
    turned = ndimage.rotate(same, degrees, axes=(1, 2), reshape=False, order=1) if degrees else same
    picture = turned.sum(axis=2 if lateral else 1) * spacing_mm[2]
    zoom = (spacing_mm[0] / FILM_MM[0], spacing_mm[2] / FILM_MM[1])
    return np.asarray(ndimage.zoom(picture[::-1], zoom, order=1))


@lru_cache(maxsize=24)
def _chest_integrals(degrees: float, inflation: float, lateral: bool) -> NDArray[np.float64]:
    chest = Chest(couch_half_mm=0, sigma_hu=0, inflation=inflation)
    return project(chest.values(CHEST.grid()), (7.0, 3.0, 2.7), degrees, lateral)


def as_film(integrals: NDArray[np.float64], seed: int = 1, gain: float = 0.75) -> NDArray[np.uint16]:
    """Stored values of 12 bits: bright is dense, with noise of 6."""
    noise = np.random.default_rng(seed).normal(0, 6, integrals.shape)
    return np.asarray(np.clip(np.round(120 + gain * 800 * integrals + noise), 0, TOP), dtype=np.uint16)


def picture_inputs(
    array: NDArray[Any], spacing_mm: tuple[float, float] | None = FILM_MM, top: float = TOP, /, **tags: Any
) -> Inputs:
    """Inputs for one picture; `tags` are attributes of its header."""
    tags = {
        "Modality": "DX",
        "BodyPartExamined": "CHEST",
        "ImagePositionPatient": None,
        "SliceThickness": None,
        "PatientPosition": None,
        **tags,
    }
    headers = edited(header_inputs(planes=1), **tags).headers
    return Inputs(headers, pictures=(Picture(array, spacing_mm=spacing_mm, top=top),))


def chest_film(
    degrees: float = 0.0,
    seed: int = 1,
    inflation: float = 1.0,
    tilt_deg: float = 0.0,
    gain: float = 0.75,
    /,
    **tags: Any,
) -> Inputs:
    """A frontal chest radiograph with a marker on the patient's left."""
    integrals = _chest_integrals(degrees, inflation, False)
    if tilt_deg:
        # Degrees of the patient are degrees of millimetres, and pixels are not square.
        square = ndimage.zoom(integrals, (FILM_MM[0] / FILM_MM[1], 1), order=1)
        square = ndimage.rotate(square, tilt_deg, reshape=False, order=1, mode="nearest")
        integrals = ndimage.zoom(square, (FILM_MM[1] / FILM_MM[0], 1), order=1)
    letter = drawn_text(integrals.shape, "L", 16, (integrals.shape[1] - 20, 2))
    array = np.clip(as_film(integrals, seed, gain) + 3800 * letter, 0, TOP).astype(np.uint16)
    tags = {"ViewPosition": "PA", "PatientOrientation": ["L", "F"], **tags}
    return picture_inputs(array, **tags)


def lateral_film(seed: int = 1, **tags: Any) -> Inputs:
    """A lateral chest radiograph."""
    integrals = _chest_integrals(0.0, 1.0, True)
    letter = drawn_text(integrals.shape, "L", 16, (integrals.shape[1] - 20, 2))
    array = np.clip(as_film(integrals, seed, 0.45) + 3800 * letter, 0, TOP).astype(np.uint16)
    return picture_inputs(array, **tags)


def cut_film(mm: float, seed: int = 1) -> Inputs:
    """A chest radiograph whose left edge lies so far inside the outer edge of the lung."""
    film = chest_film(0.0, seed)
    array = film.pictures[0].array
    # Outer edge of the lung: 127 mm from the middle, which lies 3 mm beside the picture's middle.
    column = round((array.shape[1] - 1) / 2 + (-127 + 3 + mm) / FILM_MM[1])
    return picture_inputs(array[:, column:], PatientOrientation=["L", "F"], ViewPosition="PA")


def exposed(gain: float, seed: int = 1) -> Inputs:
    """A chest radiograph whose grey scale is stretched."""
    return chest_film(0.0, seed, 1.0, 0.0, gain)


def with_saturation(percent: float, seed: int = 1) -> Inputs:
    """A chest radiograph of which so much of the body is at the top of the range."""
    film = chest_film(0.0, seed)
    array = film.pictures[0].array.copy()
    body = np.flatnonzero(array > 700)
    hit = np.random.default_rng(seed).choice(body, round(len(body) * percent / 100), replace=False)
    array[array >= TOP] = TOP - 1
    array.flat[hit] = TOP
    return picture_inputs(array, PatientOrientation=["L", "F"], ViewPosition="PA")


def with_object(radius_mm: float, seed: int = 1) -> Inputs:
    """A chest radiograph with a coin of metal over the left lung."""
    film = chest_film(0.0, seed)
    array = film.pictures[0].array.astype(np.float64)
    y, x = (np.arange(n) * mm for n, mm in zip(array.shape, FILM_MM, strict=True))
    row, column = 105.0 + 3 * (seed % 4), 90.0
    coin = np.hypot(y[:, None] - row, x[None, :] - column) <= radius_mm
    array[coin] += 1900
    return picture_inputs(np.clip(array, 0, TOP).astype(np.uint16), PatientOrientation=["L", "F"], ViewPosition="PA")


def masked_film(percent: float, seed: int = 1) -> Inputs:
    """A film with masks: shoulder blades lie over so much of the lungs."""
    film = chest_film(0.0, seed)
    shape = (1, *film.pictures[0].array.shape)
    lung, blade = np.zeros(shape, dtype=np.bool_), np.zeros(shape, dtype=np.bool_)
    lung[0, 40:140, 30:110] = True
    blade[0, 40:140, 20 : 30 + round(80 * percent / 100)] = True
    masks = {"Lung_R": Region.from_mask(lung), "Scapula_R": Region.from_mask(blade)}
    return Inputs(film.headers, pictures=film.pictures, masks=masks)


def forearm(extra_mm: float = 8.0, letter: str = "R", seed: int = 1, inverted: bool = False, /, **tags: Any) -> Inputs:
    """A forearm on free air, the shutters so far from it on every side; flat black outside."""
    mm = (0.9, 0.7)
    y = ((np.arange(420) - 205) * mm[0])[:, None]
    x = ((np.arange(460) - 236) * mm[1])[None, :]
    soft = ((x / 34) ** 2 + (y / 128) ** 6) < 1
    thick = np.where(soft, 60 * np.sqrt(np.clip(1 - (x / 34) ** 2, 0, 1)), 0.0)
    for centre, half in ((-12.0, 8.0), (13.0, 6.5)):
        bone = (np.abs(x - centre) < half) & (np.abs(y) < 122)
        thick = thick + np.where(bone, 26 * np.sqrt(np.clip(1 - ((x - centre) / half) ** 2, 0, 1)), 0.0)
    array = 300 + 34 * thick + np.random.default_rng(seed).normal(0, 5, thick.shape)
    field = (np.abs(x) < 34 + extra_mm) & (np.abs(y) < 128 + extra_mm)
    if letter:
        inside = np.flatnonzero(field.any(axis=0))[0], np.flatnonzero(field.any(axis=1))[0]
        array = np.maximum(array, 3900 * drawn_text(array.shape, letter, 22, (int(inside[0]) + 2, int(inside[1]) + 2)))
    array = TOP - array if inverted else array
    tags = {"BodyPartExamined": "FOREARM", "ImageLaterality": "R", "ViewPosition": "AP", **tags}
    return picture_inputs(np.where(field, np.clip(array, 0, TOP), 0).astype(np.uint16), mm, **tags)
