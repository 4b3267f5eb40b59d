"""Marks of a pen on a whole slide."""

import numpy as np
from pydicom.dataset import Dataset

from qc.image.inputs import Inputs
from qc.image.picture import Picture
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location
from qc.image.slide import slide_level
from qc.image.worst import worst_picture


@check(
    "sm.pen",
    version="1.0.0",
    title=("笔迹", "Marks of a pen"),
    unit="%",
    direction="higher_worse",
    settles="early",
    uncertainty=0.3,
    modalities=("SM",),
    needs=("headers", "pictures"),
    source="Specification of image quality, 3.5: green, blue and black in flat areas",
    causes={
        "ink": Advice(
            "labelling",
            "笔迹占 {value:.1f}%",
            "Marks of a pen take {value:.1f} %",
            "clean_slide",
            "technician",
            "请擦净玻片后重新扫描",
            "Clean the slide and scan again",
        ),
    },
)
def pen(inputs: Inputs) -> Measured | NotEvaluable:
    """Per cent; of the worst picture."""
    return worst_picture(inputs, _share, badness=lambda v: v)


def _share(picture: Picture, header: Dataset) -> Measured | NotEvaluable:
    level = slide_level(picture)
    if level is None:
        return NotEvaluable("unsupported" if not picture.is_colour else "too_few_pixels")
    marked = level.pen
    rows, columns = np.nonzero(marked)
    box = (
        {"rows": [int(rows.min()), int(rows.max())], "columns": [int(columns.min()), int(columns.max())]}
        if len(rows)
        else {}
    )
    where = (Location("box_px", box),) if box else ()
    return Measured(100 * float(marked.mean()), where=where, evidence={"pixels": float(marked.size)})
