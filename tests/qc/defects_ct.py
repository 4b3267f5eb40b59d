"""CT images with blur, rings, burned-in text and skin markers of known severity."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from qc.image.inputs import Inputs
from tests.qc.bodies import TRUNK, Body, edited, volume_inputs
from tests.qc.chest import CHEST, chest_inputs
from tests.synthetic.series import SeriesDescription

__all__ = ["CAPITALS", "blurred", "drawn_text", "head_ct", "ringed", "with_markers", "with_text"]

CAPITALS = "ABCDEFHKLMNPRSTUVXYZ"
FINER = 5


def blurred(blur_mm: float, seed: int = 1) -> Inputs:
    """A trunk whose pixels average what they cover, blurred by a Gaussian in the plane, with noise of 8 HU."""
    dy, dx = TRUNK.pixel_spacing_mm
    fine = replace(
        TRUNK,
        rows=TRUNK.rows * FINER,
        columns=TRUNK.columns * FINER,
        pixel_spacing_mm=(dy / FINER, dx / FINER),
        planes=1,
    )
    plane = Body(sigma_hu=0.0).values(fine.grid())[0].astype(np.float64)
    plane = plane.reshape(TRUNK.rows, FINER, TRUNK.columns, FINER).mean(axis=(1, 3))
    plane = ndimage.gaussian_filter(plane, (blur_mm / dy, blur_mm / dx))
    noise = np.random.default_rng(seed).normal(0, 8, TRUNK.grid().shape)
    return volume_inputs(np.round(plane + noise).astype(np.int16), replace(TRUNK, intercept=0.0))


def ringed(percent: float, seed: int = 1) -> Inputs:
    """Round tissue with one detector channel off by a share: a ring of 1.1 mm about the picture's centre."""
    y = (np.arange(TRUNK.rows) - (TRUNK.rows - 1) / 2)[:, None] * 1.1
    x = (np.arange(TRUNK.columns) - (TRUNK.columns - 1) / 2)[None, :] * 0.9
    plane = np.where(((x - 7) / 92) ** 2 + ((y + 5) / 84) ** 2 < 1, 45.0, -1000.0)
    ring = np.abs(np.hypot(y, x) - 34.0 - seed % 5) < 0.55
    plane[ring] += (plane[ring] + 1000) * percent / 100
    noise = np.random.default_rng(seed).normal(0, 8, TRUNK.grid().shape)
    return volume_inputs(np.round(plane + noise).astype(np.int16), replace(TRUNK, intercept=0.0))


def drawn_text(shape: tuple[int, int], text: str, size: int = 11, at: tuple[int, int] = (3, 2)) -> NDArray[np.float64]:
    """White text on black, 0 to 1; `at` is (column, row) of its upper left corner."""
    picture = Image.new("L", (shape[1], shape[0]))
    ImageDraw.Draw(picture).text(at, text, fill=255, font=ImageFont.load_default(size), spacing=3)
    return np.asarray(picture, dtype=np.float64) / 255


TEXT = replace(TRUNK, rows=300, columns=380, planes=3, intercept=0.0)


def with_text(characters: float, seed: int = 1) -> Inputs:
    """A trunk with so many capitals burned into the upper left corner of all slices."""
    letters = np.random.default_rng(seed).permutation(list(CAPITALS))[: round(characters)]
    lines = [" ".join(letters[k : k + 8]) for k in range(0, len(letters), 8)]
    stroke = drawn_text((TEXT.rows, TEXT.columns), "\n".join(lines))
    values = Body(seed=seed).values(TEXT.grid()) + np.round(1800 * stroke[None]).astype(np.int16)
    return volume_inputs(values, TEXT)


def with_markers(found: int, ordered: int = 3, seed: int = 1) -> Inputs:
    """A chest with lead beads on the skin; three were ordered."""
    inputs = chest_inputs(seed=seed)
    assert inputs.volume is not None
    values = inputs.volume.array.copy()
    body = np.stack([s.mask for s in inputs.body])
    for number in range(found):
        plane, column = 18 + number // 3, (42, 65, 88, 52, 77)[number % 5] + seed % 3
        row = int(body[plane, :, column].argmax())
        values[plane, row - 2 : row, column : column + 2] = 1600
    return replace(edited(volume_inputs(values, CHEST), PatientPosition="HFS"), order={"SkinMarkers": str(ordered)})


HEAD_CT = SeriesDescription(
    rows=120, columns=104, pixel_spacing_mm=(2.0, 2.2), planes=37, plane_spacing_mm=6.0, signed=True, intercept=0.0
)


def head_ct(cut_mm: float, seed: int = 1) -> Inputs:
    """A head of 200 mm height with its vertex so far above the last slice (below it where negative)."""
    grid = HEAD_CT.grid()
    y = ((np.arange(grid.rows) - 58) * 2.0)[None, :, None]
    x = ((np.arange(grid.columns) - 53) * 2.2)[None, None, :]
    z = (np.arange(grid.shape[0]) * 6.0)[:, None, None]
    top = float(z.max()) + cut_mm
    size = np.sqrt(np.clip(1 - (np.clip(z - (top - 100), 0, None) / 100) ** 2, 1e-9, None)) * (z < top)
    inside = (x / 74) ** 2 + (y / 92) ** 2
    values = np.where(inside < size**2, 38.0, -1000.0)
    values[(inside < size**2) & (inside > (size * 0.9) ** 2)] = 900
    values += np.random.default_rng(seed).normal(0, 4, values.shape)
    made = volume_inputs(np.round(values).astype(np.int16), HEAD_CT)
    return edited(made, BodyPartExamined="HEAD")
