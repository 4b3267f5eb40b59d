"""Penetration of an ultrasound: the depth at which the signal meets the noise."""

import numpy as np
from pydicom.dataset import Dataset
from scipy import ndimage

from qc.image.inputs import Inputs
from qc.image.picture import Picture
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location
from qc.image.scanned import find_scanned
from qc.image.worst import worst_picture

NOISE_SHARE = 0.04


@check(
    "us.depth",
    version="1.0.0",
    title=("穿透深度", "Penetration"),
    unit="%",
    direction="lower_worse",
    settles="early",
    uncertainty=3,
    modalities=("US",),
    needs=("headers", "pictures"),
    source="Specification of image quality, 3.5: depth where the signal meets noise + 2 sigma, here per depth shown",
    causes={
        "shallow": Advice(
            "protocol",
            "有效信号仅达深度的 {value:.0f}%",
            "The signal reaches {value:.0f} % of the depth only",
            "lower_frequency",
            "technician",
            "请降低频率、调整增益补偿或减小深度",
            "Lower the frequency, adjust the time gain, or show less depth",
            now=True,
        ),
    },
)
def depth(inputs: Inputs) -> Measured | NotEvaluable:
    """Per cent of the depth shown; of the worst picture."""
    return worst_picture(inputs, _reach, badness=lambda v: -v)


def _reach(picture: Picture, header: Dataset) -> Measured | NotEvaluable:
    scanned = find_scanned(picture)
    if scanned is None:
        return NotEvaluable("no_region")
    inside = np.where(scanned.mask, scanned.grey, np.nan)
    counts = scanned.mask.sum(axis=1)
    lines = np.array([float(np.nanmedian(row)) if n > 5 else 0.0 for row, n in zip(inside, counts, strict=True)])
    last = scanned.grey[-max(4, round(NOISE_SHARE * len(lines))) :]
    level = float(last.mean()) + 2 * float(last.std()) / max(1.0, last.shape[1] ** 0.5)
    smooth = ndimage.uniform_filter1d(lines, 5)
    above = np.flatnonzero(smooth > level + 0.01)
    reach = 100 * float(above[-1] + 1) / len(lines) if len(above) else 0.0
    where = (Location("box_px", {"rows": [scanned.rows[0] + int(above[-1]) if len(above) else 0, scanned.rows[1]]}),)
    spacing = picture.spacing_mm
    evidence = {"noise": float(last.mean()), **({} if spacing is None else {"shown_mm": len(lines) * spacing[0]})}
    return Measured(reach, where=where, evidence=evidence)
