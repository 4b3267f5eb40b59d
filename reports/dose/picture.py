"""One picture of a dose: CT in its window, colour wash, isodose lines, outlines of structures, scale and warning."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from contouring.dose.volume import DoseVolume
from imaging.volume import Region, Volume
from reports.dose.colours import ColourScale
from reports.dose.level_lines import level_segments
from reports.dose.section import Overlay
from reports.pictures import FONT_FILE
from reports.planes import Plane, body_rows_columns, window_of

__all__ = ["FRAME_PX", "WARNING", "DoseLayer", "Outline", "paint"]

FRAME_PX = (720, 640)
"""Width and height of a frame."""

HEAD_PX, FOOT_PX, SIDE_PX = 46, 30, 128
WASH = 0.42
"""Opacity of the colours: the anatomy stays visible."""

HATCH_PX, HATCH = 9, 0.55
"""Distance and opacity of the lines over what is not known."""

EDGE_SHARE = 0.01
"""Share of a picture without known dose that is not worth a word: dose grids end at the centres of their voxels."""

WASH_FROM = 0.1
"""Share of the scale below which nothing is coloured."""

WARNING = "不可用于计划 NOT FOR PLANNING"
UNKNOWN = "斜线处剂量不全 / hatched: not all dose known"
LIGHT, DIM, AMBER = (235, 238, 242), (150, 160, 168), (255, 205, 110)
FINE = 2
"""Lines are drawn at twice the size and brought down, which smooths them."""

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Outline:
    """A structure on the image's grid with its name and colour."""

    name: str
    rgb: tuple[int, int, int]
    region: Region


@dataclass(frozen=True, eq=False)
class DoseLayer:
    """A dose to be shown.

    Parameters
    ----------
    key
        Short name, safe in a file name, such as "sum" or "eqd2_ab3".
    title_zh, title_en
        Name of the dose; of an EQD2 with its alpha/beta.
    dose
        On a grid that is turned as the image.
    scale
        Colours.
    levels_gy
        Isodose lines, ascending.
    """

    key: str
    title_zh: str
    title_en: str
    dose: DoseVolume
    scale: ColourScale
    levels_gy: tuple[float, ...]


def paint(
    volume: Volume, plane: Plane, index: int, layer: DoseLayer, overlay: Overlay, outlines: Sequence[Outline]
) -> Image.Image:
    """The frame of one plane, always of `FRAME_PX`.

    Parameters
    ----------
    volume
        The image.
    plane, index
        Which of its planes.
    layer, overlay
        The dose, and how its grid lies on the image's.
    outlines
        Structures to draw.
    """
    values = plane.image(volume.array, index)
    window = window_of(volume)
    rows, columns = body_rows_columns(values, window)
    room = (FRAME_PX[0] - SIDE_PX, FRAME_PX[1] - HEAD_PX - FOOT_PX)
    height_mm, width_mm = (rows.stop - rows.start) * plane.row_mm, (columns.stop - columns.start) * plane.column_mm
    scale = min(room[0] / width_mm, room[1] / height_mm)
    size = max(round(width_mm * scale), 2), max(round(height_mm * scale), 2)
    grey = Image.fromarray(window.grey(values[rows, columns])).resize(size, Image.Resampling.BICUBIC)
    picture = np.repeat(np.asarray(grey, dtype=np.float32)[:, :, None], 3, axis=2)
    # centres of the picture's pixels, in pixels of the plane
    down = rows.start - 0.5 + (np.arange(size[1]) + 0.5) * (rows.stop - rows.start) / size[1]
    across = columns.start - 0.5 + (np.arange(size[0]) + 0.5) * (columns.stop - columns.start) / size[0]
    cut = overlay.cut(layer.dose.dose_gy, plane, index, volume.array.shape)
    here = np.meshgrid(down, across, indexing="ij")
    dose = np.full(here[0].shape, np.nan) if cut is None else cut.at(*here)
    is_unknown = ~np.isfinite(dose)
    _hatch(picture, is_unknown)
    _wash(picture, dose, layer.scale)
    for level in layer.levels_gy:
        _draw_lines(picture, level_segments(dose, level), layer.scale.colour(level), 1.2)
    for outline in outlines:
        segments = _outline_segments(outline.region, plane, index)
        per_pixel = np.array([(rows.stop - rows.start) / size[1], (columns.stop - columns.start) / size[0]])
        _draw_lines(picture, (segments - [down[0], across[0]]) / per_pixel, outline.rgb, 1.6)
    frame = Image.new("RGB", FRAME_PX)
    corner = (room[0] - size[0]) // 2, HEAD_PX + (room[1] - size[1]) // 2
    frame.paste(Image.fromarray(np.asarray(np.clip(np.round(picture), 0, 255), dtype=np.uint8)), corner)
    seen = [o for o in outlines if plane.mask(o.region, index) is not None]
    _write(frame, plane, index, layer, seen, is_partly_unknown=bool(is_unknown.mean() > EDGE_SHARE))
    return frame


def _hatch(picture: NDArray[np.float32], is_unknown: NDArray[np.bool_]) -> None:
    """Thin slanted lines where not every dose is known: grey without them means little dose."""
    down, across = np.indices(is_unknown.shape)
    lines = is_unknown & ((down + across) % HATCH_PX < 1)
    picture[lines] = (1 - HATCH) * picture[lines] + HATCH * np.array(DIM, dtype=np.float32)


def _wash(picture: NDArray[np.float32], dose: FloatArray, scale: ColourScale) -> None:
    """Lays the colours over the picture."""
    threshold = scale.low_gy + WASH_FROM * (scale.high_gy - scale.low_gy)
    there = np.nan_to_num(dose, nan=-np.inf) >= threshold
    picture[there] = (1 - WASH) * picture[there] + WASH * scale.colours(dose[there])


def _outline_segments(region: Region, plane: Plane, index: int) -> FloatArray:
    """The boundary of a structure on a plane, in pixels of the plane."""
    found = plane.mask(region, index)
    if found is None:
        return np.empty((0, 2, 2))
    crop, row, column = found
    return level_segments(np.pad(crop, 1).astype(np.float64), 0.5) + np.array([row - 1, column - 1])


def _draw_lines(picture: NDArray[np.float32], segments: FloatArray, rgb: tuple[int, int, int], width: float) -> None:
    """Draws straight pieces, given as (row, column) of the picture."""
    if not len(segments):
        return
    rows, columns = picture.shape[:2]
    mask = Image.new("L", (columns * FINE, rows * FINE))
    draw: Any = ImageDraw.Draw(mask)
    for (r0, c0), (r1, c1) in ((segments + 0.5) * FINE).tolist():
        draw.line([(c0, r0), (c1, r1)], fill=255, width=round(width * FINE))
    alpha = np.asarray(mask.resize((columns, rows), Image.Resampling.BOX), dtype=np.float32)[:, :, None] / 255
    picture *= 1 - alpha
    picture += alpha * np.array(rgb, dtype=np.float32)


@cache
def _font(size: int) -> Any:
    return ImageFont.truetype(str(FONT_FILE), size)


def _write(
    frame: Image.Image, plane: Plane, index: int, layer: DoseLayer, seen: Sequence[Outline], *, is_partly_unknown: bool
) -> None:
    """Head, foot, directions, scale and names."""
    draw: Any = ImageDraw.Draw(frame)
    width, height = frame.size
    draw.text((10, 4), f"{layer.title_zh}  {layer.title_en}", font=_font(17), fill=LIGHT)
    where = f"{plane.zh} {plane.en}  {plane.position(index)}"
    draw.text((10, 26), where, font=_font(14), fill=DIM)
    draw.text((width - 10, 4), WARNING, font=_font(16), fill=AMBER, anchor="ra")
    note = "AI 计算，供医师审核 / Computed, for review by a physician"
    draw.text((10, height - 8), note, font=_font(13), fill=DIM, anchor="ld")
    if is_partly_unknown:
        draw.text((width - 10, height - 8), UNKNOWN, font=_font(13), fill=AMBER, anchor="rd")
    right, middle = width - SIDE_PX, HEAD_PX + (height - HEAD_PX - FOOT_PX) / 2
    places = {
        "left": ((8, middle), "lm"),
        "right": ((right - 8, middle), "rm"),
        "top": ((right / 2, HEAD_PX + 4), "ma"),
        "bottom": ((right / 2, height - FOOT_PX - 4), "md"),
    }
    for side, (place, anchor) in places.items():
        draw.text(place, plane.letters[side], font=_font(20), fill=AMBER, anchor=anchor, stroke_width=2, stroke_fill=0)
    _legend(draw, right + 12, HEAD_PX + 14, layer)
    for number, outline in enumerate(seen[:MOST_NAMES]):
        y = HEAD_PX + BAR_PX + 52 + 17 * number
        draw.line([(right + 12, y), (right + 28, y)], fill=outline.rgb, width=3)
        draw.text((right + 34, y), _shortened(outline.name), font=_font(12), fill=LIGHT, anchor="lm")


BAR_PX = 260
MOST_NAMES = 14
NAME_CHARACTERS = 13


def _legend(draw: Any, x: float, top: float, layer: DoseLayer) -> None:
    """The scale with its isodose levels in Gy."""
    scale = layer.scale
    for step in range(BAR_PX):
        dose = scale.high_gy - (scale.high_gy - scale.low_gy) * step / BAR_PX
        draw.line([(x, top + 18 + step), (x + 20, top + 18 + step)], fill=scale.colour(dose))
    draw.text((x, top - 6), "Gy", font=_font(14), fill=LIGHT)
    above = top
    for level in reversed(layer.levels_gy):
        y = top + 18 + BAR_PX * (scale.high_gy - level) / (scale.high_gy - scale.low_gy)
        if y - above >= 14 and top + 10 <= y <= top + 24 + BAR_PX:
            draw.line([(x + 20, y), (x + 26, y)], fill=LIGHT, width=1)
            draw.text((x + 31, y), f"{level:g}", font=_font(13), fill=LIGHT, anchor="lm")
            above = y


def _shortened(name: str) -> str:
    return name if len(name) <= NAME_CHARACTERS else name[: NAME_CHARACTERS - 1] + "…"
