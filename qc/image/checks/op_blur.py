"""Sharpness of a photograph: strength of its finest edges."""

import numpy as np
from pydicom.dataset import Dataset
from scipy import ndimage

from qc.image.fundus import lit_field
from qc.image.inputs import Inputs
from qc.image.picture import Picture
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location
from qc.image.worst import worst_picture

STRONGEST = 98
COARSE_PX = 2.5
"""Detail finer than this counts."""


@check(
    "op.blur",
    version="1.0.0",
    title=("清晰度", "Sharpness"),
    unit="1",
    direction="lower_worse",
    settles="early",
    uncertainty=0.3,
    modalities=("OP", "XC"),
    needs=("headers", "pictures"),
    source="Radgate: detail of the green channel finer than 2.5 pixels, strongest fiftieth, per mean brightness",
    causes={
        "soft": Advice(
            "patient_motion",
            "图像模糊（清晰度 {value:.1f}）",
            "The photograph is soft (sharpness {value:.1f})",
            "refocus",
            "technician",
            "请重新对焦、固定头部后重拍",
            "Focus again, steady the head and repeat",
            now=True,
        ),
    },
)
def blur(inputs: Inputs) -> Measured | NotEvaluable:
    """98th percentile of fine detail, per cent of the field's mean brightness; of the softest picture."""
    return worst_picture(inputs, _edges, badness=lambda v: -v)


def _edges(picture: Picture, header: Dataset) -> Measured | NotEvaluable:
    if picture.lossy and picture.array.shape[0] < 300:
        return NotEvaluable("lossy")
    field = lit_field(picture)
    if np.count_nonzero(field) < 1000:
        return NotEvaluable("no_region")
    green = picture.array[..., 1].astype(np.float32) if picture.is_colour else picture.grey()
    inner = ndimage.binary_erosion(field, iterations=max(3, field.shape[0] // 60))
    if np.count_nonzero(inner) < 1000:
        return NotEvaluable("no_region")
    # The median takes off single noisy pixels and leaves edges.
    smooth = ndimage.median_filter(green, 3)
    fine = np.abs(smooth - ndimage.gaussian_filter(smooth, COARSE_PX))
    value = 100 * float(np.percentile(fine[inner], STRONGEST)) / max(1.0, float(green[inner].mean()))
    rows = np.flatnonzero(inner.any(axis=1))
    return Measured(
        value,
        where=(Location("box_px", {"rows": [int(rows[0]), int(rows[-1])]}),),
        evidence={"pixels": float(np.count_nonzero(inner))},
    )
