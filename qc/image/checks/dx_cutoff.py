"""Lungs of a chest radiograph that are cut off by the edge of the field."""

import numpy as np
from pydicom.dataset import Dataset
from scipy import ndimage

from qc.image.inputs import Inputs
from qc.image.picture import Picture
from qc.image.radiograph import chest_film, is_chest
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location
from qc.image.worst import worst_picture

NEAR_MM = 5.0
SIDES = {"top": "上", "bottom": "下", "left": "图左", "right": "图右"}


@check(
    "dx.cutoff",
    version="1.0.0",
    title=("肺野截断", "Lungs cut off"),
    unit="%",
    direction="higher_worse",
    settles="early",
    uncertainty=0.5,
    modalities=("CR", "DX"),
    needs=("headers", "pictures"),
    source="Radgate: share of the lungs' outline nearer than 5 mm to the edge of the field",
    causes={
        "cut": Advice(
            "positioning",
            "肺野（{side_zh}）被截断，约为轮廓的 {value:.0f}%",
            "The lungs are cut off ({side_en}): {value:.0f} % of their outline",
            "recentre",
            "technician",
            "请重新对中并包全肺野后重摄",
            "Centre again, include the whole lungs and repeat",
            now=True,
        ),
    },
)
def cutoff(inputs: Inputs) -> Measured | NotEvaluable:
    """Per cent of the lungs' outline at the edge; of the worst picture."""
    return worst_picture(inputs, _cut, badness=lambda v: v)


def _cut(picture: Picture, header: Dataset) -> Measured | NotEvaluable:
    if picture.coarse_mm is None:
        return NotEvaluable("missing_tag")
    film = chest_film(picture) if is_chest(header) else None
    if film is None:
        return NotEvaluable("no_region")
    outline = film.lungs & ~ndimage.binary_erosion(film.lungs, border_value=0)
    rows, columns = np.nonzero(outline)
    dy, dx = picture.coarse_mm
    field = film.field
    away = {
        "top": (rows - field.top) * dy,
        "bottom": (field.bottom - 1 - rows) * dy,
        "left": (columns - field.left) * dx,
        "right": (field.right - 1 - columns) * dx,
    }
    near = {side: float(np.count_nonzero(mm < NEAR_MM)) / len(rows) for side, mm in away.items()}
    side = max(near, key=near.__getitem__)
    value = 100 * float(np.count_nonzero(np.min(list(away.values()), axis=0) < NEAR_MM)) / len(rows)
    return Measured(
        value,
        where=(Location("side", {"side": side}),),
        params={"side_zh": SIDES[side], "side_en": side},
        evidence={f"nearest_{name}_mm": float(mm.min()) for name, mm in away.items()},
    )
