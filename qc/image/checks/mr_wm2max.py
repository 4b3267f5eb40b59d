"""White matter of an MR against the brightest voxels: fat or vessels that take the range."""

import numpy as np

from qc.image.inputs import Inputs
from qc.image.registry import Measured, NotEvaluable, check
from qc.image.tissue import tissues


@check(
    "mr.wm2max",
    version="1.0.0",
    title=("白质/最大值", "White matter over maximum"),
    unit="1",
    direction="two_sided",
    settles="early",
    modalities=("MR",),
    needs=("headers", "pixels", "stack"),
    source="MRIQC: median of white matter / 99.95th percentile. A measurement",
    causes={},
)
def wm2max(inputs: Inputs) -> Measured | NotEvaluable:
    """Median of the brightest tissue over the 99.95th percentile of the image."""
    found = tissues(inputs)
    if inputs.volume is None or found is None:
        return NotEvaluable("no_volume" if inputs.volume is None else "no_region")
    top = float(np.percentile(inputs.volume.array, 99.95))
    if top <= 0:
        return NotEvaluable("no_region")
    return Measured(float(np.median(found.white)) / top, evidence={"top": top}, uncertainty=0.01)
