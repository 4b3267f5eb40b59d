"""Key images of colour pictures: the most certain one of a classification, and those that show most of a structure.

They have neither directions nor a scale, for pictures have no place and no size in the patient.
"""

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imaging.pictures import Pictures
from imaging.volume import Region
from reports.heat import blend_heat, heat_caption
from reports.model import Result
from reports.parts import Structure
from reports.pictures import FRAME_PX, Picture, draw_outline

__all__ = ["colour_heat", "colour_pictures"]

MOST = 4


def colour_pictures(pictures: Pictures, result: Result) -> tuple[Picture, ...]:
    """The pictures that say most about a result, with outlines; the first of the series where it found nothing."""
    structures = [s for s in result.structures if s.region is not None and s.region.shape == pictures.shape]
    numbers = [score.picture for score in result.scores[:1] if score.picture]
    numbers += [s.largest_area_px[0] for s in structures]
    chosen = list(dict.fromkeys(numbers))[:MOST] or [1]
    return tuple(_picture(pictures, number, structures, result) for number in chosen)


def colour_heat(pictures: Pictures, heat: Region, label: str, result: Result) -> tuple[Picture, ...]:
    """Where a class comes from, over the picture that it was found on."""
    if heat.probability is None or not heat.voxel_count:
        return ()
    values = np.zeros(pictures.shape[1:], dtype=np.float32)
    values[heat.box[1:]] = heat.probability[0]
    return (_picture(pictures, heat.start[0] + 1, [], result, (values, label)),)


def _picture(
    pictures: Pictures,
    number: int,
    structures: list[Structure],
    result: Result,
    heat: tuple[NDArray[np.float32], str] | None = None,
) -> Picture:
    """One picture, by its number from 1, with the outlines of what it shows and its scores in the caption.

    Or with a heat map: its values on the pixels, and the label of its class.
    """
    values = pictures.array[number - 1]
    rows, columns = values.shape[:2]
    scale = min(FRAME_PX[0] / columns, FRAME_PX[1] / rows)
    size = (max(round(columns * scale), 1), max(round(rows * scale), 1))
    large = Image.fromarray(np.ascontiguousarray(values)).resize(size, Image.Resampling.BICUBIC)
    canvas = np.array(large, dtype=np.float32)
    if heat is not None:
        blend_heat(canvas, heat[0])
    seen = [s for s in structures if number in dict(s.areas_px)]
    for structure in sorted(seen, key=lambda s: -dict(s.areas_px)[number]):
        if structure.region is not None:
            crop = structure.region.crop[number - 1 - structure.region.start[0]]
            place = (crop, structure.region.start[1], structure.region.start[2])
            draw_outline(canvas, place, (slice(0, rows), slice(0, columns)), structure.name.colour_rgb)
    buffer = BytesIO()
    Image.fromarray(np.asarray(np.round(canvas), dtype=np.uint8)).save(buffer, "PNG", compress_level=3)
    scores = [f"{s.label} {s.value:.3f}" for s in result.scores if s.picture == number]
    zh = "、".join([*scores, *(s.name.zh for s in seen)]) or "无发现"
    en = ", ".join([*scores, *(s.name.tg263 for s in seen)]) or "nothing found"
    if heat is not None:
        zh, en = heat_caption(heat[1])
    return Picture(
        name=f"{'heat_' if heat else ''}picture_{number:04d}",
        png=buffer.getvalue(),
        caption_zh=f"图像 {number}：{zh}",
        caption_en=f"Picture {number}: {en}",
    )
