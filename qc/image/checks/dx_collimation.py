"""Collimation: exposed area that holds no anatomy."""

import numpy as np
from pydicom.dataset import Dataset
from scipy import ndimage

from qc.image.inputs import Inputs
from qc.image.picture import Picture
from qc.image.radiograph import exposed_field, free_air
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location
from qc.image.worst import worst_picture

MARGIN = 0.05
"""Free rim that is left round the anatomy on every side, as a share of the anatomy's size."""


@check(
    "dx.collimation",
    version="1.0.0",
    title=("准直", "Collimation"),
    unit="%",
    direction="higher_worse",
    settles="early",
    uncertainty=1,
    modalities=("CR", "DX"),
    needs=("headers", "pictures"),
    source="Radgate: exposed field outside the box of the anatomy with a margin of 5 %",
    causes={
        "wide": Advice(
            "positioning",
            "约 {value:.0f}% 的照射野没有解剖结构",
            "About {value:.0f} % of the exposed field holds no anatomy",
            "collimate",
            "technician",
            "请将照射野收窄到检查部位",
            "Collimate to the part examined",
        ),
    },
)
def collimation(inputs: Inputs) -> Measured | NotEvaluable:
    """Share of the exposed field outside the box of the anatomy, per cent; of the worst picture."""
    return worst_picture(inputs, _wasted, badness=lambda v: v)


def _wasted(picture: Picture, header: Dataset) -> Measured | NotEvaluable:
    field = exposed_field(picture)
    if field is None:
        return NotEvaluable("no_region")
    inside = np.zeros(picture.coarse.shape, dtype=np.bool_)
    inside[field.box] = True
    body = ndimage.binary_opening(inside & ~free_air(picture, field), iterations=2)
    labels, count = ndimage.label(body)
    if not count:
        return NotEvaluable("no_region")
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    # Hand and wrist may be apart, a marker is small.
    body = np.isin(labels, np.flatnonzero(sizes > 0.05 * sizes.max()))
    rows, columns = np.flatnonzero(body.any(axis=1)), np.flatnonzero(body.any(axis=0))
    pad = [MARGIN * (line[-1] - line[0] + 1) for line in (rows, columns)]
    top, bottom = max(field.top, rows[0] - pad[0]), min(field.bottom, rows[-1] + 1 + pad[0])
    left, right = max(field.left, columns[0] - pad[1]), min(field.right, columns[-1] + 1 + pad[1])
    area = (field.bottom - field.top) * (field.right - field.left)
    wasted = 100 * (1 - float((bottom - top) * (right - left)) / area)
    n = picture.coarse_step
    box = Location(
        "box_px",
        {
            "rows": [int(rows[0]) * n, (int(rows[-1]) + 1) * n],
            "columns": [int(columns[0]) * n, (int(columns[-1]) + 1) * n],
        },
    )
    return Measured(max(0.0, wasted), where=(box,), evidence={"field_share": 100.0 * area / picture.coarse.size})
