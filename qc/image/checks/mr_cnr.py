"""Contrast of white and grey matter against the noise of an MR."""

import math

from qc.image.inputs import Inputs
from qc.image.registry import Measured, NotEvaluable, check
from qc.image.tissue import air_values, tissues


@check(
    "mr.cnr",
    version="1.0.0",
    title=("对比噪声比", "Contrast to noise"),
    unit="1",
    direction="lower_worse",
    settles="early",
    modalities=("MR",),
    needs=("headers", "pixels", "stack"),
    source="Magnotta and Friedman 2006, as in MRIQC: difference of means / root of the summed variances",
    causes={},
)
def cnr(inputs: Inputs) -> Measured | NotEvaluable:
    """Difference of the means of two tissues over the root of the summed variances."""
    found = tissues(inputs)
    if inputs.volume is None or found is None:
        return NotEvaluable("no_volume" if inputs.volume is None else "no_region")
    air = air_values(inputs)
    s_air = float(air.std()) if len(air) else 0.0
    s_white, s_grey = float(found.white.std()), float(found.grey.std())
    spread = math.sqrt(s_air**2 + s_white**2 + s_grey**2)
    if spread <= 0:
        return NotEvaluable("no_region")
    value = abs(float(found.white.mean() - found.grey.mean())) / spread
    evidence = {"s_air": s_air, "s_white": s_white, "s_grey": s_grey, "approximate": float(found.is_approximate)}
    return Measured(value, evidence=evidence, uncertainty=0.05 * value)
