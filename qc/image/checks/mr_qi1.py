"""Share of the air of an MR that holds structure instead of noise."""

import numpy as np
from scipy import ndimage

from qc.image.foreground import object_sections
from qc.image.inputs import Inputs
from qc.image.registry import Measured, NotEvaluable, check

FEWEST_PIXELS = 2000
MOST_ZEROS = 0.2
NOISE = 2.2
"""Times the noise: a magnitude without signal is beyond this in fewer than one of ten voxels after smoothing."""


@check(
    "mr.qi1",
    version="1.0.0",
    title=("空气伪影比例 QI1", "Artefact share of the air (QI1)"),
    unit="%",
    direction="higher_worse",
    settles="early",
    modalities=("MR",),
    needs=("headers", "pixels", "stack"),
    source="After Mortamet et al., Magn Reson Med 62 (2009) 365: voxels beyond the noise that hang together",
    causes={},
)
def qi1(inputs: Inputs) -> Measured | NotEvaluable:
    """Per cent of the air that stays after an opening of what is brighter than the noise."""
    if inputs.volume is None:
        return NotEvaluable("no_volume")
    total, hit, zeros = 0, 0, 0
    for section in object_sections(inputs.volume):
        pixels = inputs.volume.array[section.plane].astype(np.float32)
        values = pixels[section.air]
        if not len(values):
            continue
        # Half of a Rayleigh distribution lies below 1.177 sigma.
        sigma = float(np.percentile(values, 25)) / 0.7585
        bright = (ndimage.uniform_filter(pixels, 3) > NOISE * sigma) & section.air
        hit += int(np.count_nonzero(ndimage.binary_opening(bright)))
        total += len(values)
        zeros += int(np.count_nonzero(values == 0))
    if total < FEWEST_PIXELS:
        return NotEvaluable("no_region", {"pixels": float(total)})
    if zeros > MOST_ZEROS * total:
        return NotEvaluable("background_zeroed", {"zeros": zeros / total})
    return Measured(100 * hit / total, evidence={"pixels": float(total)}, uncertainty=0.2)
