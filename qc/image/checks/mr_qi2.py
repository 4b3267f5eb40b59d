"""How far the air of an MR is from pure noise."""

import numpy as np

from qc.image.inputs import Inputs
from qc.image.registry import Measured, NotEvaluable, check
from qc.image.tissue import air_values

FEWEST_PIXELS = 2000
MOST_ZEROS = 0.2
PLACES = 64


@check(
    "mr.qi2",
    version="1.0.0",
    title=("空气噪声偏离 QI2", "Deviation of the air from noise (QI2)"),
    unit="1",
    direction="higher_worse",
    settles="early",
    modalities=("MR",),
    needs=("headers", "pixels", "stack"),
    source="After Mortamet et al., Magn Reson Med 62 (2009) 365: distance of the histogram from fitted noise",
    causes={},
)
def qi2(inputs: Inputs) -> Measured | NotEvaluable:
    """Largest difference of the distributions above the median, of the air and of pure noise (Rayleigh)."""
    air = air_values(inputs)
    if inputs.volume is None or len(air) < FEWEST_PIXELS:
        return NotEvaluable("no_volume" if inputs.volume is None else "no_region")
    if float(np.mean(air == 0)) > MOST_ZEROS:
        return NotEvaluable("background_zeroed", {"zeros": float(np.mean(air == 0))})
    # The lower quarter is noise in any case, so that it sets the width: Rayleigh's first quartile is 0.7585 sigma.
    sigma = float(np.percentile(air, 25)) / 0.7585
    places = np.linspace(1.177 * sigma, 6 * sigma, PLACES)
    seen = np.searchsorted(np.sort(air), places, side="right") / len(air)
    value = float(np.abs(seen - (1 - np.exp(-(places**2) / (2 * sigma**2)))).max())
    beyond = float(np.mean(air > places[-1]))
    return Measured(value, evidence={"sigma": sigma, "pixels": float(len(air)), "beyond": beyond}, uncertainty=0.02)
