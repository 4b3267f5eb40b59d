"""A picture of a case in three planes: the reference's outline in green, what was found in magenta."""

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from imaging.volume import Volume

__all__ = ["case_picture"]

TRUTH_RGB, FOUND_RGB = (60, 220, 90), (240, 70, 220)
HEIGHT = 320
WINDOW = {"[hnsf'U]": (-160.0, 240.0), "g/ml{SUVbw}": (0.0, 8.0)}

BoolArray = NDArray[np.bool_]


def case_picture(volume: Volume, truth: BoolArray, found: BoolArray, caption: str) -> bytes:
    """PNG of the planes through the middle of the reference, or of what was found where there is none."""
    where = np.argwhere(truth if truth.any() else found)
    centre = np.round(where.mean(axis=0)).astype(int) if len(where) else np.array(volume.array.shape) // 2
    low, high = WINDOW.get(volume.unit, tuple(float(v) for v in np.percentile(volume.array, (1, 99))))
    spacing = volume.spacing_mm
    up = float(volume.affine_lps[2, 0]) >= 0
    panels = []
    for axis in range(3):
        plane = [np.take(a, int(centre[axis]), axis) for a in (volume.array, truth, found)]
        rest = [s for n, s in enumerate(spacing) if n != axis]
        flip = axis != 0 and up
        panels.append(_panel(plane, rest[0] / rest[1], (low, high), flip=flip))
    width = sum(p.width for p in panels) + 8 * (len(panels) - 1)
    sheet = Image.new("RGB", (width, HEIGHT + 22), (20, 20, 20))
    left = 0
    for panel in panels:
        sheet.paste(panel, (left, 22))
        left += panel.width + 8
    draw = ImageDraw.Draw(sheet)
    draw.text((6, 5), f"{caption}   green: reference, magenta: found", fill=(235, 235, 235))
    stream = BytesIO()
    sheet.save(stream, "PNG")
    return stream.getvalue()


def _panel(plane: list[NDArray[np.generic]], aspect: float, window: tuple[float, float], *, flip: bool) -> Image.Image:
    """One plane with both outlines, at the height of the sheet; the head is up."""
    low, high = window
    grey = np.clip((np.asarray(plane[0], dtype=np.float32) - low) / max(high - low, 1e-6), 0, 1) * 255
    arrays = [grey.astype(np.uint8), *(np.asarray(m, dtype=bool) for m in plane[1:])]
    if flip:
        arrays = [a[::-1] for a in arrays]
    rows, columns = arrays[0].shape
    size = (max(1, round(HEIGHT * columns / (rows * aspect))), HEIGHT)
    image = Image.fromarray(arrays[0]).resize(size, Image.Resampling.BILINEAR).convert("RGB")
    pixels = np.array(image)
    for mask, colour in zip(arrays[1:], (TRUTH_RGB, FOUND_RGB), strict=True):
        large = np.array(Image.fromarray(mask.astype(np.uint8) * 255).resize(size, Image.Resampling.NEAREST)) > 0
        inner = large.copy()
        for shift, along in ((1, 0), (-1, 0), (1, 1), (-1, 1)):
            inner &= np.roll(large, shift, axis=along)
        pixels[large & ~inner] = colour
    return Image.fromarray(pixels)
