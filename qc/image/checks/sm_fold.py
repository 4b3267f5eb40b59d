"""Folds of the tissue on a whole slide: doubled tissue is dark and strongly coloured."""

import numpy as np
from pydicom.dataset import Dataset
from scipy import ndimage

from qc.image.inputs import Inputs
from qc.image.picture import Picture
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location
from qc.image.slide import slide_level
from qc.image.worst import worst_picture

FEWEST_PX = 2000
FAR = 4.0
LEAST_SPREAD = 0.03


@check(
    "sm.fold",
    version="1.0.0",
    title=("组织折叠", "Folds of the tissue"),
    unit="%",
    direction="higher_worse",
    settles="early",
    uncertainty=0.3,
    modalities=("SM",),
    needs=("headers", "pictures"),
    source="Specification of image quality, 3.5: saturation less brightness, far above that of the tissue",
    causes={
        "fold": Advice(
            "positioning",
            "组织折叠占组织的 {value:.1f}%",
            "Folds take {value:.1f} % of the tissue",
            "recut",
            "technician",
            "请重新制片或避开折叠区读片",
            "Cut again, or read beside the folds",
        ),
    },
)
def fold(inputs: Inputs) -> Measured | NotEvaluable:
    """Per cent; of the worst picture."""
    return worst_picture(inputs, _share, badness=lambda v: v)


def _share(picture: Picture, header: Dataset) -> Measured | NotEvaluable:
    level = slide_level(picture)
    if level is None:
        return NotEvaluable("unsupported" if not picture.is_colour else "too_few_pixels")
    strength = ndimage.uniform_filter(level.saturation - level.value, 5)
    values = strength[level.tissue]
    if len(values) < FEWEST_PX:
        return NotEvaluable("too_few_pixels", {"tissue": float(len(values))})
    usual = float(np.median(values))
    spread = max(1.4826 * float(np.median(np.abs(values - usual))), LEAST_SPREAD)
    marked = ndimage.binary_opening((strength > usual + FAR * spread) & level.tissue, iterations=2)
    rows, columns = np.nonzero(marked)
    box = (
        {"rows": [int(rows.min()), int(rows.max())], "columns": [int(columns.min()), int(columns.max())]}
        if len(rows)
        else {}
    )
    where = (Location("box_px", box),) if box else ()
    return Measured(
        100 * float(np.count_nonzero(marked)) / len(values), where=where, evidence={"usual": usual, "spread": spread}
    )
