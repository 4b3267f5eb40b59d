"""White balance of a whole slide: glass without tissue is neutral and bright."""

import numpy as np
from pydicom.dataset import Dataset
from scipy import ndimage

from qc.image.inputs import Inputs
from qc.image.picture import Picture
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location
from qc.image.slide import slide_level
from qc.image.worst import worst_picture

FEWEST_PX = 500
DARKEST = 0.5


@check(
    "sm.white",
    version="1.0.0",
    title=("白平衡", "White balance"),
    unit="%",
    direction="higher_worse",
    settles="early",
    uncertainty=0.3,
    modalities=("SM",),
    needs=("headers", "pictures"),
    source="Specification of image quality, 3.5: largest difference of the channels on glass",
    causes={
        "cast": Advice(
            "detector",
            "玻片背景偏色 {value:.0f}%",
            "The glass is tinted by {value:.0f} %",
            "calibrate_white",
            "service",
            "请重做白平衡和光源校准",
            "Calibrate white balance and lamp",
        ),
    },
)
def white(inputs: Inputs) -> Measured | NotEvaluable:
    """Per cent; of the worst picture."""
    return worst_picture(inputs, _share, badness=lambda v: v)


def _share(picture: Picture, header: Dataset) -> Measured | NotEvaluable:
    level = slide_level(picture)
    if level is None:
        return NotEvaluable("unsupported" if not picture.is_colour else "too_few_pixels")
    glass = ~ndimage.binary_dilation(level.tissue | level.pen, iterations=4) & (level.value > DARKEST)
    if np.count_nonzero(glass) < FEWEST_PX:
        return NotEvaluable("no_region", {"glass": float(np.count_nonzero(glass))})
    means = [float(np.median(level.rgb[..., c][glass])) for c in range(3)]
    value = 100 * (max(means) - min(means))
    where = (Location("box_px", {"rows": [0, glass.shape[0]]}),)
    return Measured(value, where=where, evidence=dict(zip(("red", "green", "blue"), means, strict=True)))
