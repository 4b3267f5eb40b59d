"""Entropy focus criterion of an MR: ghosts and blur spread the signal over the picture."""

import math

import numpy as np

from qc.image.inputs import Inputs
from qc.image.registry import Measured, NotEvaluable, check


@check(
    "mr.efc",
    version="1.0.0",
    title=("熵聚焦指标", "Entropy focus criterion"),
    unit="1",
    direction="higher_worse",
    settles="final",
    modalities=("MR",),
    needs=("headers", "pixels"),
    source="Atkinson et al., IEEE Trans Med Imaging 16 (1997) 903; scaled to 1 for a uniform picture",
    causes={},
)
def focus(inputs: Inputs) -> Measured | NotEvaluable:
    """Entropy of the values over the root of their power, per that of a uniform volume: 0 to 1."""
    if inputs.volume is None:
        return NotEvaluable("no_volume")
    array = inputs.volume.array
    power = math.sqrt(sum(float(np.square(p, dtype=np.float64).sum()) for p in array))
    if not power or array.size < 2:
        return NotEvaluable("no_region")
    total = 0.0
    for plane in array:
        share = np.abs(plane[plane != 0].astype(np.float64)) / power
        total += float((share * np.log(share)).sum())
    largest = math.sqrt(array.size) * math.log(1 / math.sqrt(array.size))
    return Measured(total / largest, evidence={"voxels": float(array.size)})
