"""Signal to noise of an MR, with the noise taken from the air."""

import numpy as np

from qc.image.foreground import object_sections
from qc.image.inputs import Inputs
from qc.image.registry import Measured, NotEvaluable, check

RAYLEIGH = 0.6551
"""sqrt((4 - pi) / 2): standard deviation of a magnitude without signal, per sigma of the noise."""

FEWEST_PIXELS = 2000
MOST_ZEROS = 0.2
"""Air that the scanner has set to zero holds no noise."""


@check(
    "mr.snrd",
    version="1.0.0",
    title=("信噪比（空气法）", "Signal to noise (air)"),
    unit="1",
    direction="lower_worse",
    settles="early",
    modalities=("MR",),
    needs=("headers", "pixels"),
    source="Dietrich et al., J Magn Reson Imaging 26 (2007) 375: 0.6551 mean / sigma of the air",
    causes={},
)
def snrd(inputs: Inputs) -> Measured | NotEvaluable:
    """0.6551 times the object's median over the standard deviation of the air."""
    if inputs.volume is None:
        return NotEvaluable("no_volume")
    sections = object_sections(inputs.volume)
    array = inputs.volume.array
    air = [array[s.plane][s.air] for s in sections]
    values = np.concatenate(air).astype(np.float64) if air else np.empty(0)
    if len(values) < FEWEST_PIXELS:
        return NotEvaluable("no_region", {"pixels": float(len(values))})
    zeros = float(np.count_nonzero(values == 0)) / len(values)
    if zeros > MOST_ZEROS:
        return NotEvaluable("background_zeroed", {"zeros": zeros})
    signal = float(np.median(np.concatenate([array[s.plane][s.core] for s in sections])))
    sigma = float(values.std())
    evidence = {"signal": signal, "sigma_air": sigma, "pixels": float(len(values))}
    return Measured(RAYLEIGH * signal / sigma, evidence=evidence, uncertainty=0.05 * RAYLEIGH * signal / sigma)
