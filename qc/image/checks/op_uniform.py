"""Evenness of the light of a photograph."""

import numpy as np
from pydicom.dataset import Dataset

from qc.image.fundus import brightness, lit_field
from qc.image.inputs import Inputs
from qc.image.picture import Picture
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location
from qc.image.worst import worst_picture


@check(
    "op.uniform",
    version="1.0.0",
    title=("照明均匀性", "Evenness of the light"),
    unit="%",
    direction="higher_worse",
    settles="early",
    uncertainty=0.5,
    modalities=("OP", "XC"),
    needs=("headers", "pictures"),
    source="Specification of image quality, 3.5: standard deviation over mean of the brightness of the four quadrants",
    causes={
        "uneven": Advice(
            "positioning",
            "照明不均（四象限变异 {value:.0f}%）",
            "Uneven light (quadrants vary by {value:.0f} %)",
            "realign",
            "technician",
            "请对准光轴、避免遮挡后重拍",
            "Align the light, avoid shadows, and repeat",
            now=True,
        ),
    },
)
def uniform(inputs: Inputs) -> Measured | NotEvaluable:
    """Per cent; of the worst picture."""
    return worst_picture(inputs, _variation, badness=lambda v: v)


def _variation(picture: Picture, header: Dataset) -> Measured | NotEvaluable:
    field = lit_field(picture)
    if np.count_nonzero(field) < 1000:
        return NotEvaluable("no_region")
    values = brightness(picture)
    rows, columns = (np.flatnonzero(field.any(axis=axis)) for axis in (1, 0))
    middle = (int(rows.mean()), int(columns.mean()))
    # Diagonal and upright quadrants: shade from one side falls into two of either kind.
    means = []
    for part in (
        (slice(None, middle[0]), slice(None, middle[1])),
        (slice(None, middle[0]), slice(middle[1], None)),
        (slice(middle[0], None), slice(None, middle[1])),
        (slice(middle[0], None), slice(middle[1], None)),
    ):
        inside = field[part]
        if not inside.any():
            return NotEvaluable("no_region")
        means.append(float(np.median(values[part][inside])))
    value = 100 * float(np.std(means)) / float(np.mean(means))
    darkest = ("upper left", "upper right", "lower left", "lower right")[int(np.argmin(means))]
    return Measured(
        value, where=(Location("side", {"side": darkest}),), evidence={"darkest": min(means), "brightest": max(means)}
    )
