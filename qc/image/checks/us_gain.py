"""Gain of an ultrasound: pixels that are white or black for too much or too little of it."""

import numpy as np
from pydicom.dataset import Dataset

from qc.image.inputs import Inputs
from qc.image.picture import Picture
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location
from qc.image.scanned import find_scanned
from qc.image.worst import worst_picture

WHITE = 0.985
BLACK = 0.03
USUAL_BLACK = 0.35


@check(
    "us.gain",
    version="1.0.0",
    title=("增益", "Gain"),
    unit="%",
    direction="higher_worse",
    settles="early",
    uncertainty=0.5,
    modalities=("US",),
    needs=("headers", "pictures"),
    source="Specification of image quality, 3.5: saturated and black shares of the scanned region",
    causes={
        "high": Advice(
            "exposure_high",
            "{value:.0f}% 的像素过亮饱和，增益过高",
            "{value:.0f} % of the pixels are saturated: too much gain",
            "lower_gain",
            "technician",
            "请降低总增益或时间增益补偿",
            "Lower the gain or the time gain",
            now=True,
        ),
        "low": Advice(
            "exposure_low",
            "{value:.0f}% 的像素为黑，增益过低",
            "{value:.0f} % of the pixels are black: too little gain",
            "raise_gain",
            "technician",
            "请提高总增益或时间增益补偿",
            "Raise the gain or the time gain",
            now=True,
        ),
    },
)
def gain(inputs: Inputs) -> Measured | NotEvaluable:
    """Per cent saturated, or black beyond what vessels and cysts make; of the worst picture."""
    return worst_picture(inputs, _share, badness=lambda v: v)


def _share(picture: Picture, header: Dataset) -> Measured | NotEvaluable:
    scanned = find_scanned(picture)
    if scanned is None:
        return NotEvaluable("no_region")
    where = (Location("box_px", {"rows": list(scanned.rows), "columns": list(scanned.columns)}),)
    values = scanned.grey[scanned.mask]
    white, black = float(np.mean(values >= WHITE)), float(np.mean(values <= BLACK))
    excess = max(0.0, black - USUAL_BLACK)
    value = 100 * max(white, excess)
    return Measured(
        value, "high" if white >= excess else "low", where, evidence={"white": 100 * white, "black": 100 * black}
    )
