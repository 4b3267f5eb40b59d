"""Text burned into the pixels: thin bright or dark strokes that stand in a line near a corner."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from qc.image.inputs import Inputs
from qc.image.pixels import evenly_chosen
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location

BAND = (0.25, 0.42)
"""Shares of rows and columns that a corner takes."""

GLYPH_PX = (5, 64)
THICKEST_STROKE_PX = 4.0
CONTRAST = 0.25
"""A stroke stands out from its surroundings by this share of the picture's range."""

NOISE = 6.0
"""... and by so many times what pixels usually do."""

FEWEST_IN_LINE = 3
MOST_PLANES = 3
MOST_PX = 1000
SMALLEST_OPENING = 7
SAME_GREY = 0.15
"""The letters of one line differ in brightness by no more than this share of the range."""


@check(
    "gen.pixel.burned_text",
    version="1.0.0",
    title=("像素内文字", "Text in the pixels"),
    unit="1",
    direction="higher_worse",
    settles="early",
    needs=("headers", "image"),
    source="Radgate: components of glyph size and stroke width, at least three on one line, in the corner bands",
    causes={
        "text": Advice(
            "labelling",
            "图像角落疑似烧入文字（{value:.0f} 个字符）",
            "About {value:.0f} characters seem to be burned into the corners",
            "check_identity",
            "technician",
            "请核对是否含患者信息；对外发送前须去除",
            "Check for personal data; remove it before the image leaves the hospital",
        ),
    },
)
def burned_text(inputs: Inputs) -> Measured | NotEvaluable:
    """Glyph-like components on lines of at least three, in the picture that has most of them."""
    pictures = [p.grey() for p in inputs.pictures]
    if inputs.volume is not None:
        pictures = [
            inputs.volume.array[k].astype(np.float32) for k in evenly_chosen(len(inputs.volume.array), MOST_PLANES)
        ]
    if not pictures:
        return NotEvaluable("no_volume")
    # Letters that a person reads are still letters at half the size; more pixels only cost time.
    steps = [max(1, max(p.shape) // MOST_PX) for p in pictures]
    found = [_glyphs(p[::n, ::n] if n == 1 else _reduced(p, n)) for p, n in zip(pictures, steps, strict=True)]
    largest = max(range(len(found)), key=lambda k: len(found[k]))
    boxes = [
        (b[0] * steps[largest], b[1] * steps[largest], b[2] * steps[largest], b[3] * steps[largest])
        for b in found[largest]
    ]
    where = tuple(Location("box_px", {"rows": [b[0], b[1]], "columns": [b[2], b[3]]}) for b in _lines(boxes))
    return Measured(float(len(boxes)), where=where, evidence={"pictures": float(len(pictures))})


def _reduced(picture: NDArray[np.float32], n: int) -> NDArray[np.float32]:
    """Means of blocks."""
    rows, columns = (size // n * n for size in picture.shape)
    return np.asarray(picture[:rows, :columns].reshape(rows // n, n, columns // n, n).mean(axis=(1, 3)))


def _glyphs(picture: NDArray[np.float32]) -> list[tuple[int, int, int, int]]:
    """Boxes (top, bottom, left, right) of the components that look like letters on a line."""
    rows, columns = picture.shape
    low, high = (float(v) for v in np.percentile(picture[::4, ::4], [0.5, 99.5]))
    found: list[tuple[int, int, int, int]] = []
    if high <= low:
        return found
    height, width = int(rows * BAND[0]), int(columns * BAND[1])
    size = max(SMALLEST_OPENING, rows // 50)
    for top in (0, rows - height):
        for left in (0, columns - width):
            corner = picture[top : top + height, left : left + width]
            # What an opening or closing takes away is thinner than its window: strokes, and no organ.
            bright = corner - ndimage.grey_opening(corner, (size, size))
            dark = ndimage.grey_closing(corner, (size, size)) - corner
            best: list[tuple[int, int, int, int]] = []
            for contrast in (bright, dark):
                letters = _letters(corner, contrast, high - low)
                best = max(best, letters, key=len)
            found += [(top + b[0], top + b[1], left + b[2], left + b[3]) for b in best]
    return found


def _letters(
    corner: NDArray[np.float32], contrast: NDArray[np.float32], span: float
) -> list[tuple[int, int, int, int]]:
    """Boxes of the strokes of one polarity that stand on lines of at least three, alike in brightness."""
    usual = 1.4826 * float(np.median(contrast))
    labels, _ = ndimage.label(contrast > max(CONTRAST * span, NOISE * usual), np.ones((3, 3)))
    greys = {}
    for index, box in enumerate(ndimage.find_objects(labels), start=1):
        tall, wide = box[0].stop - box[0].start, box[1].stop - box[1].start
        if not (GLYPH_PX[0] <= tall <= GLYPH_PX[1] and wide <= GLYPH_PX[1] and wide <= 2 * tall):
            continue
        piece = np.pad(labels[box] == index, 1)
        thickness = 2 * float(ndimage.distance_transform_edt(piece).max())
        if thickness > THICKEST_STROKE_PX * max(1, tall / 16) + 1 or np.count_nonzero(piece) < tall:
            continue
        own = labels[box] == index
        ink = corner[box][own & (contrast[box] > 0.6 * contrast[box][own].max())]
        greys[box[0].start, box[0].stop, box[1].start, box[1].stop] = float(np.median(ink)) / span
    found = []
    for line in _rows_of(list(greys)):
        usual_grey = float(np.median([greys[b] for b in line]))
        alike = [b for b in line if abs(greys[b] - usual_grey) <= SAME_GREY]
        found += alike if len(alike) >= FEWEST_IN_LINE else []
    return found


def _rows_of(boxes: list[tuple[int, int, int, int]]) -> list[list[tuple[int, int, int, int]]]:
    """Boxes of like height and one base line, near each other."""
    lines: list[list[tuple[int, int, int, int]]] = []
    for box in sorted(boxes, key=lambda b: b[2]):
        tall = box[1] - box[0]
        for line in lines:
            last = line[-1]
            if (
                abs(last[1] - box[1]) <= 0.25 * tall
                and abs((last[1] - last[0]) - tall) <= 0.35 * tall
                and box[2] - last[3] < 2 * tall
            ):
                line.append(box)
                break
        else:
            lines.append([box])
    return lines


def _lines(boxes: list[tuple[int, int, int, int]]) -> list[tuple[int, int, int, int]]:
    return [(min(b[0] for b in line), max(b[1] for b in line), line[0][2], line[-1][3]) for line in _rows_of(boxes)]
