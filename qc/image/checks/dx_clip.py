"""Saturation of a radiograph: pixels of the exposed field at an end of the stored range.

Black anatomy that reaches the border of the field looks like direct exposure. So direct exposure may explain only so
much of a field: beyond its usual share the whole black area is the value, and its uncertainty is what may be direct
exposure.
"""

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from scipy import ndimage

from qc.image.inputs import Inputs, text_of
from qc.image.picture import Picture
from qc.image.radiograph import CHEST_PARTS, exposed_field, free_air
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location
from qc.image.worst import worst_found

USUAL_AIR = 40.0
"""Per cent of the exposed field that is black in 98 of 100 bone radiographs, at most."""

MOST_AIR = 80.0
"""Per cent that direct exposure takes at most: a finger in a wide field."""

CHEST_AIR = 25.0
"""Both for a chest, which fills its field but for the corners beside neck and arms."""

BREAST_AIR = 95.0
"""Both for a mammogram: a small breast in a field of which all the rest is black by processing."""

SHUTTER = 0.08
"""Share of the field that a shutter which is not quite straight reaches into it."""

LONG = 3.0
"""... along a piece of its border that is so many times longer than it is wide."""

SPECKS = 2.0
"""Per cent that is surely lost and still says less of a picture than a black area that may be."""


@check(
    "dx.clip",
    version="1.1.1",
    title=("饱和", "Saturation"),
    unit="%",
    direction="higher_worse",
    settles="early",
    uncertainty=0.05,
    modalities=("CR", "DX", "MG"),
    needs=("headers", "pictures"),
    source="Radgate: share of the exposed field at the lowest or highest storable value, free air left out",
    causes={
        "bright": Advice(
            "exposure_low",
            "{value:.1f}% 的照射野为最亮值，细节丢失",
            "{value:.1f} % of the field are at the brightest value: detail is lost",
            "check_processing",
            "technician",
            "请检查后处理或提高曝光",
            "Check the processing, or raise the exposure",
        ),
        "dark": Advice(
            "exposure_high",
            "{value:.1f}% 的照射野为最暗值，细节丢失",
            "{value:.1f} % of the field are at the darkest value: detail is lost",
            "check_processing",
            "technician",
            "请检查后处理或降低曝光",
            "Check the processing, or lower the exposure",
        ),
        "black": Advice(
            "exposure_high",
            "{value:.0f}% 的照射野为最暗值，超出直接曝光区的通常范围，解剖细节可能丢失",
            "{value:.0f} % of the field are at the darkest value, more than direct exposure usually takes: "
            "anatomy may be lost",
            "look_for_black_anatomy",
            "technician",
            "请查看解剖部位是否全黑；若是，请重新处理，或降低曝光后重摄",
            "Look whether anatomy is black; if so, process again, or repeat with less exposure",
        ),
    },
)
def clip(inputs: Inputs) -> Measured | NotEvaluable:
    """Per cent of the exposed field; of the worst picture."""
    return worst_found(inputs, _share, _badness)


def _badness(found: Measured) -> float:
    """What is surely lost counts before what may be."""
    value = float(found.value)
    sure = value - (found.uncertainty or 0.0)
    return value + 1000.0 * max(0.0, sure - SPECKS)


def _share(picture: Picture, header: Dataset) -> Measured | NotEvaluable:
    field = exposed_field(picture)
    if field is None or picture.is_colour:
        return NotEvaluable("unsupported" if picture.is_colour else "no_region")
    n = picture.coarse_step
    box = (slice(field.top * n, field.bottom * n), slice(field.left * n, field.right * n))
    pixels = picture.array[box]
    air = free_air(picture, field)[field.box].repeat(n, 0).repeat(n, 1)[: pixels.shape[0], : pixels.shape[1]]
    body = ~air
    total = max(1, int(np.count_nonzero(body)))
    brightest = _without_shutter((pixels >= picture.top) & body)
    bright = 100 * float(np.count_nonzero(brightest)) / total
    dark = 100 * float(np.count_nonzero((pixels <= picture.bottom) & body)) / total
    where = (Location("box_px", {"rows": [box[0].start, box[0].stop], "columns": [box[1].start, box[1].stop]}),)
    black = 100 * float(np.count_nonzero(pixels <= picture.bottom)) / max(1, pixels.size)
    evidence = {"bright": bright, "dark": dark, "black": black}
    usual, most = _air_of(header)
    if black > usual:
        value = bright + max(black, dark)
        sure = bright + max(dark, black - most)
        return Measured(value, "black", where, evidence=evidence, uncertainty=value - sure)
    return Measured(bright + dark, "bright" if bright >= dark else "dark", where, evidence=evidence)


def _without_shutter(bright: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What is at the brightest value without narrow pieces along the border: a shutter that is not quite straight."""
    labels, count = ndimage.label(bright)
    if not count:
        return bright
    keep = np.ones(count + 1, dtype=np.bool_)
    keep[0] = False
    rows, columns = bright.shape
    for index, (down, across) in enumerate(ndimage.find_objects(labels), start=1):
        height, width = down.stop - down.start, across.stop - across.start
        at_side = across.start == 0 or across.stop == columns
        at_end = down.start == 0 or down.stop == rows
        along_side = at_side and width <= SHUTTER * columns and height >= LONG * width
        along_end = at_end and height <= SHUTTER * rows and width >= LONG * height
        keep[index] = not (along_side or along_end)
    found: NDArray[np.bool_] = keep[labels]
    return found


def _air_of(header: Dataset) -> tuple[float, float]:
    """Per cent of the field that direct exposure takes usually, and at most."""
    if text_of(header, "Modality") == "MG":
        return BREAST_AIR, BREAST_AIR
    is_chest = text_of(header, "BodyPartExamined").upper().replace(" ", "") in CHEST_PARTS - {""}
    return (CHEST_AIR, CHEST_AIR) if is_chest else (USUAL_AIR, MOST_AIR)
