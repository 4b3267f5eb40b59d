"""Limb leads of an electrocardiogram that are swapped."""

import numpy as np
from numpy.typing import NDArray

from qc.image.beats import beat_times
from qc.image.inputs import Inputs
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location

WINDOW_S = 0.08
FEWEST_BEATS = 3
DOMINANT = 1.5


@check(
    "ecg.reversal",
    version="1.0.0",
    title=("肢体导联反接", "Swapped limb leads"),
    unit="1",
    direction="categorical",
    settles="early",
    modalities=("ECG",),
    needs=("headers", "waveform"),
    source="Specification of image quality, 3.5: lead I with negative P and QRS, aVR upright",
    causes={
        "swapped": Advice(
            "positioning",
            "I 导联倒置且 aVR 直立，左右手电极可能反接",
            "Lead I is inverted and aVR upright: the arm electrodes may be swapped",
            "swap_back",
            "technician",
            "请核对左右手电极后重做；右位心除外",
            "Check the arm electrodes and repeat; dextrocardia looks alike",
            now=True,
        ),
    },
    states={"right": "PASS", "swapped": "WARN"},
)
def reversal(inputs: Inputs) -> Measured | NotEvaluable:
    """State of the limb leads."""
    waveform = inputs.waveform
    if waveform is None:
        return NotEvaluable("no_volume")
    one, right = waveform.lead("I"), waveform.lead("aVR")
    second = waveform.lead("II")
    if one is None or right is None:
        return NotEvaluable("missing_tag")
    beats = beat_times(one if second is None else second, waveform.rate_hz)
    if len(beats) < FEWEST_BEATS:
        return NotEvaluable("no_region", {"beats": float(len(beats))})
    reach = round(WINDOW_S * waveform.rate_hz)
    up_one, up_right = _upright(one, beats, reach), _upright(right, beats, reach)
    evidence = {"lead_i": up_one, "avr": up_right, "beats": float(len(beats))}
    is_swapped = up_one < 1 / DOMINANT and up_right > DOMINANT
    return Measured(
        "swapped" if is_swapped else "right",
        "swapped" if is_swapped else "",
        (Location("time", {"leads": ["I", "aVR"]}),),
        evidence=evidence,
    )


def _upright(values: NDArray[np.float64], beats: NDArray[np.intp], reach: int) -> float:
    """Height over depth of the mean beat."""
    held = [values[b - reach : b + reach] for b in beats if reach <= b < len(values) - reach]
    if not held:
        return 1.0
    beat = np.median(held, axis=0) - np.median(values)
    return float(max(beat.max(), 1e-6) / max(-beat.min(), 1e-6))
