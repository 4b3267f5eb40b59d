"""Key images of landmarks: planes of a volume, or phases of a cine, as they were acquired, with numbered points."""

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from imaging.cines import Cine
from imaging.geometry import Grid
from imaging.volume import Volume
from reports.landmarks import Landmark, by_label
from reports.numbers import format_number
from reports.pictures import CAPTION_PX, FONT_FILE, FRAME_PX, LETTER_PX, Picture
from reports.planes import Window, direction_letters, window_of

__all__ = ["landmark_pictures"]

MOST = 4
CROSS_PX = 9
COLOURS = ((255, 214, 10), (90, 200, 250), (255, 105, 97), (120, 220, 120), (255, 159, 243), (255, 149, 0))


def landmark_pictures(image: Volume | Cine, landmarks: Sequence[Landmark]) -> tuple[Picture, ...]:
    """Pictures with most landmarks, spread over the series; the first of a cine where nothing was found.

    Each landmark has one number and one colour on all of them.
    """
    numbers = {group[0].label: number for number, group in enumerate(by_label(landmarks), start=1)}
    return tuple(_picture(image, picture, landmarks, numbers) for picture in _chosen(landmarks))


def _chosen(landmarks: Sequence[Landmark]) -> list[int]:
    """At most four pictures of those that show most landmarks, evenly over the series."""
    counts: dict[int, int] = {}
    for landmark in landmarks:
        counts[landmark.picture] = counts.get(landmark.picture, 0) + 1
    fullest = sorted(p for p, n in counts.items() if n == max(counts.values()))
    if not fullest:
        return [1]
    places = np.linspace(0, len(fullest) - 1, min(MOST, len(fullest)))
    return [fullest[round(place)] for place in places]


def _picture(image: Volume | Cine, number: int, landmarks: Sequence[Landmark], numbers: dict[str, int]) -> Picture:
    """One picture of the series, by its number from 1."""
    grid, values = image.grid, np.asarray(image.array[number - 1])
    row_mm, column_mm = grid.pixel_spacing_mm
    rows, columns = values.shape
    scale = min(FRAME_PX[0] / (columns * column_mm), FRAME_PX[1] / (rows * row_mm))
    size = (max(round(columns * column_mm * scale), 1), max(round(rows * row_mm * scale), 1))
    grey = Image.fromarray(_window(image).grey(values)).resize(size, Image.Resampling.BICUBIC)
    picture = grey.convert("RGB")
    draw: Any = ImageDraw.Draw(picture)
    _letters(draw, grid, picture.size)
    shown = [item for item in landmarks if item.picture == number]
    for item in shown:
        # The centre of the first pixel lies half a pixel from the picture's corner.
        place = ((item.column + 0.5) * size[0] / columns, (item.row + 0.5) * size[1] / rows)
        _cross(draw, place, numbers[item.label], picture.size)
    _scale_bar(draw, picture.size, scale)
    buffer = BytesIO()
    picture.save(buffer, "PNG", compress_level=3)
    listed = ", ".join(str(n) for n in sorted(numbers[item.label] for item in shown))
    return Picture(
        name=f"landmarks_{number:04d}",
        png=buffer.getvalue(),
        caption_zh=f"图像 {number}：" + (f"标志点 {listed}，编号见表" if shown else "无标志点"),
        caption_en=f"Picture {number}: " + (f"landmarks {listed} of the table" if shown else "no landmark"),
    )


def _window(image: Volume | Cine) -> Window:
    """One window for all pictures, so that phases can be compared."""
    if isinstance(image, Volume):
        return window_of(image)
    values: NDArray[Any] = image.array[:, ::2, ::2]
    low, high = (float(v) for v in np.percentile(values, (1, 99)))
    return Window(low, max(high, low + 1e-6), low)


def _letters(draw: Any, grid: Grid, size: tuple[int, int]) -> None:
    """Directions of the patient at the four edges of the plane as it was acquired."""
    font = ImageFont.truetype(str(FONT_FILE), LETTER_PX)
    width, height = size
    for direction, place, anchor in (
        (-grid.row_direction, (10, height / 2), "lm"),
        (grid.row_direction, (width - 10, height / 2), "rm"),
        (-grid.column_direction, (width / 2, 8), "ma"),
        (grid.column_direction, (width / 2, height - 8), "md"),
    ):
        _write(draw, place, direction_letters(direction), font, anchor, (255, 236, 140))


def _cross(draw: Any, place: tuple[float, float], number: int, size: tuple[int, int]) -> None:
    """A cross with its number beside it, inside the picture."""
    x, y = place
    colour = COLOURS[(number - 1) % len(COLOURS)]
    for shade, width in (((0, 0, 0), 5), (colour, 2)):
        draw.line([(x - CROSS_PX, y), (x + CROSS_PX, y)], fill=shade, width=width)
        draw.line([(x, y - CROSS_PX), (x, y + CROSS_PX)], fill=shade, width=width)
    right, below = x > size[0] - 40, y < 30
    anchor = ("r" if right else "l") + ("a" if below else "d")
    beside = (x + (-5 if right else 5), y + (3 if below else -3))
    _write(draw, beside, f"{number}", ImageFont.truetype(str(FONT_FILE), CAPTION_PX), anchor, colour)


def _scale_bar(draw: Any, size: tuple[int, int], pixels_per_mm: float) -> None:
    """Five centimetres, or one where the picture is narrower, at the lower left."""
    length_mm = 50 if 50 * pixels_per_mm < size[0] / 2 else 10
    x, y, length = 12, size[1] - 14, length_mm * pixels_per_mm
    for colour, width in (((0, 0, 0), 5), ((235, 238, 242), 2)):
        draw.line([(x, y), (x + length, y)], fill=colour, width=width)
    font = ImageFont.truetype(str(FONT_FILE), CAPTION_PX - 3)
    text = f"{format_number(length_mm / 10, 0)} cm"
    _write(draw, (x, y - 8), text, font, "ld", (235, 238, 242))


def _write(draw: Any, place: Any, text: str, font: Any, anchor: str, colour: tuple[int, int, int]) -> None:
    draw.text(place, text, font=font, anchor=anchor, fill=colour, stroke_width=2, stroke_fill=(0, 0, 0))
