"""Speckle of an ultrasound: mean over standard deviation where it is fully developed."""

import numpy as np
from pydicom.dataset import Dataset

from qc.image.inputs import Inputs
from qc.image.picture import Picture
from qc.image.registry import Measured, NotEvaluable, check
from qc.image.scanned import find_scanned
from qc.image.worst import worst_picture

WINDOW_PX = 25
FEWEST_WINDOWS = 10


@check(
    "us.speckle",
    version="1.0.0",
    title=("散斑", "Speckle"),
    unit="1",
    direction="two_sided",
    settles="early",
    uncertainty=0.05,
    modalities=("US",),
    needs=("headers", "pictures"),
    source="Theory: sqrt(pi / (4 - pi)) = 1.91 for an amplitude without compression. A measurement",
    causes={},
)
def speckle(inputs: Inputs) -> Measured | NotEvaluable:
    """Median over even windows; of the picture with the smallest value."""
    return worst_picture(inputs, _ratio, badness=lambda v: -v)


def _ratio(picture: Picture, header: Dataset) -> Measured | NotEvaluable:
    if picture.lossy:
        return NotEvaluable("lossy")
    scanned = find_scanned(picture)
    if scanned is None:
        return NotEvaluable("no_region")
    size = WINDOW_PX
    ratios = []
    for top in range(0, scanned.grey.shape[0] - size, size):
        for left in range(0, scanned.grey.shape[1] - size, size):
            box = (slice(top, top + size), slice(left, left + size))
            window = scanned.grey[box].astype(np.float64)
            if not scanned.mask[box].all() or window.max() >= 0.985 or window.std() <= 0:
                continue
            ratios.append(float(window.mean() / window.std()))
    if len(ratios) < FEWEST_WINDOWS:
        return NotEvaluable("too_few_pixels", {"windows": float(len(ratios))})
    return Measured(float(np.median(ratios)), evidence={"windows": float(len(ratios))})
