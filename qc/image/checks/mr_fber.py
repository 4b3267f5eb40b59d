"""Energy of the object over that of the air in an MR."""

import math

import numpy as np

from qc.image.foreground import object_sections
from qc.image.inputs import Inputs
from qc.image.registry import Measured, NotEvaluable, check
from qc.image.tissue import air_values

FEWEST_PIXELS = 2000
MOST_ZEROS = 0.5


@check(
    "mr.fber",
    version="1.0.0",
    title=("前景背景能量比", "Foreground to background energy"),
    unit="dB",
    direction="lower_worse",
    settles="early",
    modalities=("MR",),
    needs=("headers", "pixels", "stack"),
    source="Shehzad et al. 2015 (QAP), as MRIQC uses it: median(F^2) / median(B^2), here as 10 log10",
    causes={},
)
def fber(inputs: Inputs) -> Measured | NotEvaluable:
    """Ratio of the median energies, in dB."""
    if inputs.volume is None:
        return NotEvaluable("no_volume")
    air = air_values(inputs)
    if len(air) < FEWEST_PIXELS:
        return NotEvaluable("no_region", {"pixels": float(len(air))})
    if float(np.mean(air == 0)) >= MOST_ZEROS:
        return NotEvaluable("background_zeroed", {"zeros": float(np.mean(air == 0))})
    inside = [inputs.volume.array[s.plane][s.core] for s in object_sections(inputs.volume)]
    front = float(np.median(np.square(np.concatenate(inside).astype(np.float64))))
    back = float(np.median(np.square(air)))
    return Measured(10 * math.log10(front / back), evidence={"foreground": front, "background": back}, uncertainty=0.2)
