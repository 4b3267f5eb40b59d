"""The lit field of a fundus photograph: how much of the picture it takes."""

import numpy as np
from pydicom.dataset import Dataset

from qc.image.fundus import lit_field
from qc.image.inputs import Inputs
from qc.image.picture import Picture
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location
from qc.image.worst import worst_picture


@check(
    "op.field",
    version="1.0.0",
    title=("照明视野", "Lit field"),
    unit="%",
    direction="lower_worse",
    settles="early",
    uncertainty=1,
    modalities=("OP",),
    needs=("headers", "pictures"),
    source="Specification of image quality, 3.5: area of the lit field per circle in the picture",
    causes={
        "small": Advice(
            "positioning",
            "照明视野仅 {value:.0f}%，瞳孔过小或未对准",
            "The lit field is {value:.0f} % only: small pupil, or off axis",
            "realign",
            "technician",
            "请对准瞳孔，必要时散瞳后重拍",
            "Align with the pupil, dilate if needed, and repeat",
            now=True,
        ),
    },
)
def field_area(inputs: Inputs) -> Measured | NotEvaluable:
    """Per cent of the circle that fits the picture; of the worst picture."""
    return worst_picture(inputs, _share, badness=lambda v: -v)


def _share(picture: Picture, header: Dataset) -> Measured | NotEvaluable:
    field = lit_field(picture)
    if np.count_nonzero(field) < 1000:
        return NotEvaluable("no_region")
    circle = np.pi / 4 * min(field.shape) ** 2
    rows, columns = np.flatnonzero(field.any(axis=1)), np.flatnonzero(field.any(axis=0))
    where = (
        Location("box_px", {"rows": [int(rows[0]), int(rows[-1])], "columns": [int(columns[0]), int(columns[-1])]}),
    )
    return Measured(
        100 * float(np.count_nonzero(field)) / circle, where=where, evidence={"pixels": float(np.count_nonzero(field))}
    )
