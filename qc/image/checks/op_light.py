"""Brightness of a photograph."""

import numpy as np
from pydicom.dataset import Dataset

from qc.image.fundus import brightness, lit_field
from qc.image.inputs import Inputs
from qc.image.picture import Picture
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location
from qc.image.worst import worst_picture

USUAL = 50.0


@check(
    "op.light",
    version="1.0.0",
    title=("亮度", "Brightness"),
    unit="%",
    direction="two_sided",
    settles="early",
    uncertainty=0.5,
    modalities=("OP", "XC"),
    needs=("headers", "pictures"),
    source="Specification of image quality, 3.5: mean value (HSV) of the lit field",
    causes={
        "dark": Advice(
            "exposure_low",
            "图像过暗（亮度 {value:.0f}%）",
            "The photograph is too dark ({value:.0f} %)",
            "raise_flash",
            "technician",
            "请提高闪光强度或曝光后重拍",
            "Raise flash or exposure and repeat",
            now=True,
        ),
        "bright": Advice(
            "exposure_high",
            "图像过亮（亮度 {value:.0f}%）",
            "The photograph is too bright ({value:.0f} %)",
            "lower_flash",
            "technician",
            "请降低闪光强度或曝光后重拍",
            "Lower flash or exposure and repeat",
            now=True,
        ),
    },
)
def light(inputs: Inputs) -> Measured | NotEvaluable:
    """Per cent of the range; of the picture farthest from the usual."""
    return worst_picture(inputs, _mean, badness=lambda v: abs(v - USUAL))


def _mean(picture: Picture, header: Dataset) -> Measured | NotEvaluable:
    field = lit_field(picture)
    if np.count_nonzero(field) < 1000:
        return NotEvaluable("no_region")
    values = brightness(picture)[field]
    value = 100 * float(values.mean())
    rows = np.flatnonzero(field.any(axis=1))
    where = (Location("box_px", {"rows": [int(rows[0]), int(rows[-1])]}),)
    return Measured(value, "dark" if value < USUAL else "bright", where, evidence={"sigma": 100 * float(values.std())})
