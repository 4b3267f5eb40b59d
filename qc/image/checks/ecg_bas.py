"""Baseline of an electrocardiogram: drift by breathing or loose electrodes."""

import numpy as np
from numpy.typing import NDArray

from qc.image.beats import band_power, worst_lead
from qc.image.inputs import Inputs
from qc.image.registry import Advice, Measured, NotEvaluable, check


@check(
    "ecg.bas",
    version="1.0.0",
    title=("基线", "Baseline"),
    unit="1",
    direction="lower_worse",
    settles="early",
    modalities=("ECG",),
    needs=("headers", "waveform"),
    source="Zhao and Zhang, Front Physiol 9 (2018) 727: 1 - P(0-1 Hz) / P(0-40 Hz)",
    causes={
        "drift": Advice(
            "patient_motion",
            "{lead} 导联基线漂移（指标 {value:.2f}）",
            "The baseline of lead {lead} drifts (index {value:.2f})",
            "clean_skin",
            "technician",
            "请清洁皮肤、更换电极片后重做",
            "Clean the skin, replace the electrode and repeat",
            now=True,
        ),
    },
)
def bas(inputs: Inputs) -> Measured | NotEvaluable:
    """Of the worst lead."""
    return worst_lead(inputs, _value, is_worst=min)


def _value(values: NDArray[np.float64], rate_hz: float) -> float:
    """Share of the power above 1 Hz."""
    whole = band_power(values, rate_hz, 0, 40)
    return 1 - band_power(values, rate_hz, 0, 1) / whole if whole > 0 else 0.0
