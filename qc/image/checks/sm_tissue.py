"""Tissue on a whole slide: how much of the picture it takes."""

import numpy as np
from pydicom.dataset import Dataset

from qc.image.inputs import Inputs
from qc.image.picture import Picture
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location
from qc.image.slide import slide_level
from qc.image.worst import worst_picture


@check(
    "sm.tissue",
    version="1.0.0",
    title=("组织面积", "Tissue"),
    unit="%",
    direction="lower_worse",
    settles="early",
    uncertainty=0.3,
    modalities=("SM",),
    needs=("headers", "pictures"),
    source="Specification of image quality, 3.5: Otsu's threshold on the saturation",
    causes={
        "little": Advice(
            "positioning",
            "组织仅占 {value:.1f}%",
            "Tissue takes {value:.1f} % only",
            "check_slide",
            "technician",
            "请核对玻片和扫描范围",
            "Check the slide and the area scanned",
        ),
    },
)
def tissue(inputs: Inputs) -> Measured | NotEvaluable:
    """Per cent; of the worst picture."""
    return worst_picture(inputs, _share, badness=lambda v: -v)


def _share(picture: Picture, header: Dataset) -> Measured | NotEvaluable:
    level = slide_level(picture)
    if level is None:
        return NotEvaluable("unsupported" if not picture.is_colour else "too_few_pixels")
    marked = level.tissue
    rows, columns = np.nonzero(marked)
    box = (
        {"rows": [int(rows.min()), int(rows.max())], "columns": [int(columns.min()), int(columns.max())]}
        if len(rows)
        else {}
    )
    where = (Location("box_px", box),) if box else ()
    return Measured(
        100 * float(marked.mean()),
        where=where or (Location("box_px", {"rows": [0, marked.shape[0]]}),),
        evidence={"pixels": float(marked.size)},
    )
