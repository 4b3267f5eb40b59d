"""Key images: planes of a volume with the outlines of structures, as PNG, in the reader's convention.

Axial pictures have the patient's right on their left; coronal and sagittal ones have the head up. An oblique volume
is shown in the planes it was acquired in: nothing is resampled across planes, and letters at the edges name directions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from imaging.volume import Region, Volume
from reports.heat import blend_heat, heat_caption
from reports.parts import Structure
from reports.planes import Plane, Window, body_rows_columns, display_planes, window_of

__all__ = ["FRAME_PX", "Picture", "draw_outline", "heat_pictures", "key_pictures"]

FRAME_PX = (760, 540)
"""Width and height that every picture fits into: about 220 dots per inch at half the width of a page."""

LINE_SIGMA_PX, LINE_GAIN = 0.9, 2.2
"""An edge of one to two pixels, blurred and amplified, is a smooth line of about three."""

LETTER_PX, CAPTION_PX = 24, 19
MOST_AXIAL = 4

FONT_FILE = Path(__file__).with_name("fonts") / "radgate-sans-sc.ttf"


@dataclass(frozen=True)
class Picture:
    """A picture with its captions; `name` is safe as a file name."""

    name: str
    png: bytes
    caption_zh: str
    caption_en: str


def key_pictures(volume: Volume, structures: Sequence[Structure]) -> tuple[Picture, ...]:
    """Axial, coronal and sagittal pictures; as far as four axial ones can, they show each structure at least once.

    Parameters
    ----------
    volume
        CT in HU is shown in the soft-tissue window (level 40, width 400), others from their 1st to 99th percentile.
    structures
        Those on this volume's grid; without one, the middle planes are shown.
    """
    shown = [s for s in structures if s.region is not None and s.region.shape == volume.array.shape]
    window = window_of(volume)
    axial, coronal, sagittal = display_planes(volume.grid)
    chosen = [(axial, index) for index in _axial_indices(shown, axial)]
    chosen += [(plane, _central_index(shown, plane)) for plane in (coronal, sagittal)]
    return tuple(_picture(volume, shown, plane, index, window) for plane, index in chosen)


def heat_pictures(volume: Volume, heat: Region, label: str) -> tuple[Picture, ...]:
    """Where a class comes from, through the strongest place: one plane of a map of one plane, else three.

    Parameters
    ----------
    heat
        On the volume's grid, with its values as `probability`.
    label
        Of the class.
    """
    if heat.probability is None or not heat.voxel_count:
        return ()
    values = np.zeros(volume.array.shape, dtype=np.float32)
    values[heat.box] = heat.probability
    strongest = np.unravel_index(int(values.argmax()), values.shape)
    planes = display_planes(volume.grid)
    chosen = [p for p in planes if p.through == 0] if heat.crop.shape[0] == 1 else planes
    window = window_of(volume)
    return tuple(
        _picture(volume, (), plane, int(strongest[plane.through]), window, (values, label)) for plane in chosen
    )


def _axial_indices(structures: Sequence[Structure], plane: Plane) -> list[int]:
    """Planes that show most structures, each new one for those not yet shown; from head to foot."""
    if not structures:
        return [plane.count // 2]
    areas = np.stack([plane.areas(s.region) for s in structures if s.region is not None])
    share = areas / areas.max(axis=1, keepdims=True)
    share[share < 0.25] = 0  # a sliver shows nothing of a structure
    chosen: list[int] = []
    missing = np.ones(len(areas), dtype=bool)
    while missing.any() and len(chosen) < MOST_AXIAL:
        index = int(share[missing].sum(axis=0).argmax())
        chosen.append(index)
        missing &= share[:, index] == 0
    return sorted(chosen, reverse=plane.ascends)


def _central_index(structures: Sequence[Structure], plane: Plane) -> int:
    """The plane that shows most structures, large ones and small ones alike."""
    if not structures:
        return plane.count // 2
    areas = np.stack([plane.areas(s.region) for s in structures if s.region is not None])
    return int((areas / areas.max(axis=1, keepdims=True)).sum(axis=0).argmax())


def _picture(
    volume: Volume,
    structures: Sequence[Structure],
    plane: Plane,
    index: int,
    window: Window,
    heat: tuple[NDArray[np.float32], str] | None = None,
) -> Picture:
    """One plane with outlines, letters and position; or with a heat map (values on the grid, label of its class)."""
    values = plane.image(volume.array, index)
    external = next((s.region for s in structures if s.name.interpreted_type == "EXTERNAL"), None)
    body = plane.mask(external, index) if external is not None else None
    rows, columns = body_rows_columns(values, window, body)
    height_mm = (rows.stop - rows.start) * plane.row_mm
    width_mm = (columns.stop - columns.start) * plane.column_mm
    scale = min(FRAME_PX[0] / width_mm, FRAME_PX[1] / height_mm)
    size = (max(round(width_mm * scale), 1), max(round(height_mm * scale), 1))
    grey = Image.fromarray(window.grey(values[rows, columns])).resize(size, Image.Resampling.BICUBIC)
    canvas = np.repeat(np.asarray(grey, dtype=np.float32)[:, :, None], 3, axis=2)
    if heat is not None:
        blend_heat(canvas, plane.image(heat[0], index)[rows, columns])
    seen = []
    # the largest first, so that a small structure's outline lies on top
    for structure in sorted(structures, key=lambda s: -s.voxel_count):
        if structure.region is None:
            continue
        mask = plane.mask(structure.region, index)
        if mask is not None:
            seen.append(structure)
            draw_outline(canvas, mask, (rows, columns), structure.name.colour_rgb)
    picture = Image.fromarray(np.asarray(np.round(canvas), dtype=np.uint8))
    position = plane.position(index)
    _letter(picture, plane, position)
    _scale_bar(picture, size[0] / width_mm)
    buffer = BytesIO()
    picture.save(buffer, "PNG", compress_level=3)
    names = [s.name for s in sorted(seen, key=lambda s: s.number)]
    zh = "、".join(n.zh for n in names) or "无勾画"
    en = ", ".join(n.tg263 for n in names) or "no structure"
    if heat is not None:
        zh, en = heat_caption(heat[1])
    return Picture(
        name=f"{'heat_' if heat else ''}{plane.name}_{index + 1:04d}",
        png=buffer.getvalue(),
        caption_zh=f"{plane.zh} {position}：{zh}",
        caption_en=f"{plane.en} {position}: {en}",
    )


def draw_outline(
    canvas: NDArray[np.float32],
    mask: tuple[NDArray[np.bool_], int, int],
    part: tuple[slice, slice],
    colour: tuple[int, int, int],
) -> None:
    """Blends a smooth line of constant width along the mask's edge into `canvas`.

    The mask is enlarged linearly; its half level is the edge, and the level divided by its slope is the distance to it.
    """
    crop, first_row, first_column = mask
    rows, columns = part
    high, wide = rows.stop - rows.start, columns.stop - columns.start
    padded = np.zeros((crop.shape[0] + 4, crop.shape[1] + 4), dtype=np.float32)
    padded[2:-2, 2:-2] = crop
    top, left = first_row - 2 - rows.start, first_column - 2 - columns.start
    per_row, per_column = canvas.shape[0] / high, canvas.shape[1] / wide
    # whole pixels of the canvas that the padded box touches
    y0, y1 = _clipped(top * per_row, (top + padded.shape[0]) * per_row, canvas.shape[0])
    x0, x1 = _clipped(left * per_column, (left + padded.shape[1]) * per_column, canvas.shape[1])
    if y1 <= y0 or x1 <= x0:
        return
    box = (x0 / per_column - left, y0 / per_row - top, x1 / per_column - left, y1 / per_row - top)
    level = np.asarray(
        Image.fromarray(padded).resize((x1 - x0, y1 - y0), Image.Resampling.BILINEAR, box=box), dtype=np.float32
    )
    if min(level.shape) < 2:
        return
    slope = np.hypot(*np.gradient(level))
    distance = np.abs(level - 0.5) / np.maximum(slope, 1e-6)
    edge = np.where(slope < 1e-4, 0, np.clip(1.25 - distance, 0, 1))
    alpha = np.clip(ndimage.gaussian_filter(edge, LINE_SIGMA_PX) * LINE_GAIN, 0, 1)
    field = canvas[y0:y1, x0:x1]
    field += alpha[:, :, None] * (np.array(colour, dtype=np.float32) - field)


def _clipped(first: float, last: float, size: int) -> tuple[int, int]:
    """The whole pixels inside both the interval and the canvas."""
    return max(int(np.ceil(first)), 0), min(int(np.floor(last)), size)


def _letter(picture: Image.Image, plane: Plane, position: str) -> None:
    """Letters of the patient's directions at the four edges, and the position in a corner."""
    draw: Any = ImageDraw.Draw(picture)
    big = ImageFont.truetype(str(FONT_FILE), LETTER_PX)
    small = ImageFont.truetype(str(FONT_FILE), CAPTION_PX)
    width, height = picture.size
    places = {
        "left": ((10, height / 2), "lm"),
        "right": ((width - 10, height / 2), "rm"),
        "top": ((width / 2, 8), "ma"),
        "bottom": ((width / 2, height - 8), "md"),
    }
    for side, (place, anchor) in places.items():
        _draw(draw, place, plane.letters[side], big, anchor, (255, 236, 140))
    _draw(draw, (10, 8), position, small, "la", (235, 238, 242))


def _scale_bar(picture: Image.Image, pixels_per_mm: float) -> None:
    """Five centimetres, or one where the picture is narrower, at the lower left."""
    draw: Any = ImageDraw.Draw(picture)
    length_mm = 50 if 50 * pixels_per_mm < picture.size[0] / 2 else 10
    x, y, length = 12, picture.size[1] - 14, length_mm * pixels_per_mm
    for colour, width in (((0, 0, 0), 5), ((235, 238, 242), 2)):
        draw.line([(x, y), (x + length, y)], fill=colour, width=width)
        for end in (x, x + length):
            draw.line([(end, y - 5), (end, y + 5)], fill=colour, width=width)
    font = ImageFont.truetype(str(FONT_FILE), CAPTION_PX - 3)
    _draw(draw, (x, y - 8), f"{length_mm // 10} cm", font, "ld", (235, 238, 242))


def _draw(draw: Any, place: Any, text: str, font: Any, anchor: str, colour: tuple[int, int, int]) -> None:
    draw.text(place, text, font=font, anchor=anchor, fill=colour, stroke_width=2, stroke_fill=(0, 0, 0))
