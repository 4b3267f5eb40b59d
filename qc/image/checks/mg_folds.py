"""Folds of the skin in a mammogram: thin bright curves."""

import math

import numpy as np
from pydicom.dataset import Dataset
from scipy import ndimage

from qc.image.breast import find_breast
from qc.image.inputs import Inputs
from qc.image.picture import Picture
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location
from qc.image.worst import worst_picture

WIDTH_MM = 4.0
SHORTEST_MM = 8.0
LONG = 4.0
CONTRAST = 5.0
EDGE_MM = 6.0


@check(
    "mg.folds",
    version="1.0.0",
    title=("皮肤皱褶", "Folds of the skin"),
    unit="mm",
    direction="higher_worse",
    settles="early",
    uncertainty=2,
    modalities=("MG",),
    needs=("headers", "pictures"),
    source="Radgate: length of thin ridges in the breast that are much longer than wide",
    causes={
        "fold": Advice(
            "positioning",
            "皮肤皱褶约 {value:.0f} mm",
            "About {value:.0f} mm of skin folds",
            "smooth_skin",
            "technician",
            "请抚平皮肤后重摄",
            "Smooth the skin and repeat",
            now=True,
        ),
    },
)
def folds(inputs: Inputs) -> Measured | NotEvaluable:
    """Millimetres of ridges; of the worst picture."""
    return worst_picture(inputs, _length, badness=lambda v: v)


def _length(picture: Picture, header: Dataset) -> Measured | NotEvaluable:
    breast = find_breast(picture)
    if breast is None:
        return NotEvaluable("missing_tag" if picture.spacing_mm is None else "no_region")
    dy, dx = breast.spacing_mm
    size = [max(3, 2 * round(WIDTH_MM / mm / 2) + 1) for mm in (dy, dx)]
    ridge = breast.grey - ndimage.grey_opening(breast.grey, size)
    inner = ndimage.distance_transform_edt(np.pad(breast.mask, 1), sampling=(dy, dx))[1:-1, 1:-1] > EDGE_MM
    if np.count_nonzero(inner) < 500:
        return NotEvaluable("no_region")
    level = float(np.median(ridge[inner])) + CONTRAST * 1.4826 * float(
        np.median(np.abs(ridge[inner] - np.median(ridge[inner])))
    )
    labels, _ = ndimage.label((ridge > level) & inner, np.ones((3, 3)))
    total, places, n = 0.0, [], picture.coarse_step
    for index, box in enumerate(ndimage.find_objects(labels), start=1):
        part = labels[box] == index
        long_mm = math.hypot(part.shape[0] * dy, part.shape[1] * dx)
        wide_mm = np.count_nonzero(part) * dy * dx / long_mm
        if long_mm >= SHORTEST_MM and long_mm >= LONG * wide_mm:
            total += long_mm
            places.append(Location("box_px", {"rows": [box[0].start * n, box[0].stop * n]}))
    return Measured(total, where=tuple(places[:20]), evidence={"ridges": float(len(places))})
