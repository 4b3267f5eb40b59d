"""Ultrasound, photographs of an eye and of skin, and a level of a whole slide, with defects of known severity."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from qc.image.inputs import Inputs
from qc.image.picture import Picture
from tests.qc.bodies import edited, header_inputs

__all__ = ["fundus", "photo_inputs", "skin", "slide", "sonogram"]


def photo_inputs(array: NDArray[Any], modality: str, /, lossy: bool = False, **tags: Any) -> Inputs:
    """Inputs for one picture of 8 bits."""
    given = {"Modality": modality, "BodyPartExamined": "EYE" if modality == "OP" else "SKIN", **tags}
    removed = {"ImagePositionPatient": None, "SliceThickness": None, "PatientPosition": None}
    return Inputs(
        edited(header_inputs(planes=1), **given, **removed).headers, pictures=(Picture(array, top=255.0, lossy=lossy),)
    )


def sonogram(
    seed: int = 1,
    dead_percent: float = 0.0,
    reach_percent: float = 85.0,
    gain: float = 1.0,
    looks: int = 1,
    calipers: int = 0,
    sector: bool = False,
) -> Inputs:
    """A linear scan: speckle of an amplitude, falling into noise at a share of the depth."""
    rng = np.random.default_rng(seed)
    rows, columns = 330, 280
    total = np.zeros((rows, columns))
    for _ in range(looks):
        field = ndimage.gaussian_filter(rng.normal(0, 1, (2, rows, columns)), (0, 0.6, 0.9))
        total += np.hypot(*field)
    speckle = total / total.mean()
    depth = np.arange(rows)[:, None] / rows
    signal = 78 * np.exp(-1.2 * depth) / (1 + np.exp((depth - reach_percent / 100) / 0.02))
    picture = gain * (signal * speckle + 10 + rng.normal(0, 1.5, (rows, columns)))
    count = round(columns * dead_percent / 100)
    if count:
        dead = rng.permutation(np.arange(20, columns - 20))[:count]
        picture[: rows // 2, dead] *= 0.08
    if sector:
        y, x = np.ogrid[:rows, :columns]
        picture[np.abs(x - columns / 2) > 25 + 0.36 * y] = 0
        picture[np.hypot(y + 60, x - columns / 2) < 80] = 0
    picture = np.clip(picture, 6, 255) * (picture > 0)
    for number in range(calipers):
        row, column = 60 + 37 * number % 220, 50 + 61 * number % 190
        picture[row - 6 : row + 7, column - 1 : column + 1] = 255
        picture[row - 1 : row + 1, column - 6 : column + 7] = 255
    framed = np.zeros((rows + 50, columns + 90))
    framed[30 : 30 + rows, 40 : 40 + columns] = picture
    return photo_inputs(framed.astype(np.uint8), "US", BodyPartExamined="ABDOMEN")


def fundus(
    seed: int = 1,
    side: str = "R",
    blur_px: float = 0.0,
    shade_percent: float = 0.0,
    glare_percent: float = 0.0,
    gain: float = 1.0,
    radius: float = 205.0,
    has_disc: bool = True,
    has_macula: bool = True,
    **tags: Any,
) -> Inputs:
    """A right or left eye: disc on the nasal side, macula on the temporal, vessels from the disc."""
    rows, columns = 430, 480
    y, x = np.mgrid[:rows, :columns].astype(np.float64)
    picture = np.stack([np.full_like(y, v) for v in (150.0, 92.0, 48.0)], axis=-1)
    disc = (208.0, 318.0)
    away = np.hypot(y - disc[0], x - disc[1])
    for bend in (-0.0045, -0.0022, 0.0024, 0.005, 0.009, -0.009):
        for way in (-1, 1):
            path = disc[0] + way * 6 + bend * (x - disc[1]) ** 2
            vessel = (np.abs(y - path) < 2.2) & ((x - disc[1]) * way < 0) & (np.abs(x - disc[1]) < 230)
            picture[vessel] *= 0.62
    if has_macula:
        hollow = np.exp(-(((y - 214) / 24) ** 2 + ((x - 180) / 24) ** 2) / 2)
        picture *= (1 - 0.45 * hollow)[..., None]
    if has_disc:
        picture[away < 27] = (215.0, 185.0, 120.0)
    picture *= (1 - shade_percent / 100 * np.clip((x + y - 340) / 340, 0, 1))[..., None]
    if blur_px:
        picture = ndimage.gaussian_filter(picture, (blur_px, blur_px, 0))
    picture = picture * gain + np.random.default_rng(seed).normal(0, 2, picture.shape)
    if glare_percent:
        area = glare_percent / 100 * np.pi * radius**2
        picture[np.hypot(y - 330, x - 220) < np.sqrt(area / np.pi)] = 255
    picture[np.hypot(y - 214, x - 242) > radius] = 3
    picture = picture if side == "R" else picture[:, ::-1]
    return photo_inputs(np.clip(picture, 0, 255).astype(np.uint8), "OP", **{"ImageLaterality": side, **tags})


def skin(gain: float = 1.0, seed: int = 1) -> Inputs:
    """A photograph of skin with a mole and hair."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:300, :390].astype(np.float64)
    picture = np.stack([np.full_like(y, v) for v in (170.0, 128.0, 108.0)], axis=-1)
    picture *= (1 + 0.06 * ndimage.gaussian_filter(rng.normal(0, 1, y.shape), 1.5))[..., None]
    picture[((y - 140) / 40) ** 2 + ((x - 200) / 55) ** 2 < 1] *= 0.55
    for k in range(9):
        picture[np.abs(y - 20 - 30 * k - 0.25 * x) < 1.1] *= 0.5
    return photo_inputs(np.clip(picture * gain, 0, 255).astype(np.uint8), "XC")


def slide(
    seed: int = 1,
    soft_percent: float = 0.0,
    pen_percent: float = 0.0,
    fold_percent: float = 0.0,
    cast_percent: float = 0.0,
    seam_percent: float = 0.0,
    tissue_percent: float = 45.0,
    has_glass: bool = True,
) -> Inputs:
    """Stained tissue on glass: pink ground with dark nuclei."""
    rng = np.random.default_rng(seed)
    rows, columns = 512, 576
    shape = ndimage.gaussian_filter(rng.normal(0, 1, (rows, columns)), 26)
    y, x = np.mgrid[:rows, :columns]
    # Room for the marks of a pen, with an edge that is no straight line.
    shape[x > 0.82 * columns + 14 * np.sin(y / 23)] = shape.min()
    tissue = shape > np.quantile(shape, 1 - tissue_percent / 100) if has_glass else np.ones(shape.shape, dtype=np.bool_)
    picture = np.empty((rows, columns, 3))
    picture[:] = (241.0, 240.0, 242.0)
    texture = ndimage.gaussian_filter(rng.normal(0, 1, (rows, columns)), 1.0)
    stained = np.array([214.0, 138.0, 182.0]) + 26 * texture[..., None] / texture.std() * np.array([0.5, 1.0, 0.6])
    nuclei = ndimage.gaussian_filter((rng.uniform(0, 1, (rows, columns)) < 0.012).astype(np.float64), 1.4) > 0.03
    stained[nuclei] = (112.0, 70.0, 150.0)
    picture[tissue] = stained[tissue]
    if soft_percent:
        soft = ndimage.gaussian_filter(picture, (5, 5, 0))
        # Whole tiles, from the left, until so much of the tissue is out of focus.
        held = np.cumsum(tissue.sum(axis=0)) / tissue.sum()
        last = int(np.searchsorted(held, soft_percent / 100))
        picture[:, :last] = soft[:, :last]
    if fold_percent:
        away = np.abs(x - 200 - 0.2 * y)
        band = tissue & (away < np.quantile(away[tissue], fold_percent / 100))
        picture[band] = 255 * (picture[band] / 255) ** 3.0
    if pen_percent:
        side = int(np.sqrt(pen_percent / 100 * rows * columns))
        picture[12 : 12 + side, columns - 14 - side : columns - 14] = (30.0, 140.0, 60.0)
    picture *= np.array([1.0, 1.0, 1 - cast_percent / 100])
    if seam_percent:
        lines = (np.arange(columns) // 96) % 2
        picture *= (1 - seam_percent / 100 * lines)[None, :, None]
    noisy = picture + rng.normal(0, 1.5, picture.shape)
    return photo_inputs(np.clip(noisy, 0, 255).astype(np.uint8), "SM")
