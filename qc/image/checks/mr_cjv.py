"""Coefficient of joint variation of an MR: spread of white and grey matter over their distance."""

from qc.image.inputs import Inputs
from qc.image.registry import Measured, NotEvaluable, check
from qc.image.tissue import tissues


@check(
    "mr.cjv",
    version="1.0.0",
    title=("联合变异系数", "Coefficient of joint variation"),
    unit="1",
    direction="higher_worse",
    settles="early",
    modalities=("MR",),
    needs=("headers", "pixels", "stack"),
    source="Ganzetti et al., Front Neuroinform 10 (2016) 10: (s_white + s_grey) / abs(mean_white - mean_grey)",
    causes={},
)
def cjv(inputs: Inputs) -> Measured | NotEvaluable:
    """Sum of the standard deviations of two tissues over the difference of their means."""
    found = tissues(inputs)
    if inputs.volume is None or found is None:
        return NotEvaluable("no_volume" if inputs.volume is None else "no_region")
    distance = abs(float(found.white.mean() - found.grey.mean()))
    if distance <= 0:
        return NotEvaluable("no_region")
    value = float(found.white.std() + found.grey.std()) / distance
    evidence = {
        "white": float(found.white.mean()),
        "grey": float(found.grey.mean()),
        "approximate": float(found.is_approximate),
    }
    return Measured(value, evidence=evidence, uncertainty=0.05 * value)
