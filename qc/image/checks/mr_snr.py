"""Signal to noise of an MR inside the brightest tissue."""

from qc.image.inputs import Inputs
from qc.image.registry import Measured, NotEvaluable, check
from qc.image.tissue import tissues


@check(
    "mr.snr",
    version="1.0.0",
    title=("信噪比", "Signal to noise"),
    unit="1",
    direction="lower_worse",
    settles="early",
    modalities=("MR",),
    needs=("headers", "pixels", "stack"),
    source="MRIQC's definition: mean / (sigma sqrt(n / (n - 1))) in white matter",
    causes={},
)
def snr(inputs: Inputs) -> Measured | NotEvaluable:
    """Mean over standard deviation of the brightest of three tissues."""
    found = tissues(inputs)
    if inputs.volume is None or found is None:
        return NotEvaluable("no_volume" if inputs.volume is None else "no_region")
    count, sigma = len(found.white), float(found.white.std())
    if sigma <= 0:
        return NotEvaluable("no_region", {"pixels": float(count)})
    value = float(found.white.mean()) / (sigma * (count / (count - 1)) ** 0.5)
    evidence = {"mean": float(found.white.mean()), "sigma": sigma, "pixels": float(count)}
    return Measured(value, evidence={**evidence, "approximate": float(found.is_approximate)}, uncertainty=0.05 * value)
