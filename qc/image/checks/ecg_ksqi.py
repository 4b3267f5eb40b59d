"""Kurtosis of an electrocardiogram: beats are rare and high, noise is not."""

import numpy as np
from numpy.typing import NDArray

from qc.image.beats import worst_lead
from qc.image.inputs import Inputs
from qc.image.registry import Advice, Measured, NotEvaluable, check


@check(
    "ecg.ksqi",
    version="1.0.0",
    title=("峰度", "Kurtosis"),
    unit="1",
    direction="lower_worse",
    settles="early",
    modalities=("ECG",),
    needs=("headers", "waveform"),
    source="Zhao and Zhang, Front Physiol 9 (2018) 727: kurtosis above 5 is good",
    causes={
        "flat": Advice(
            "patient_motion",
            "{lead} 导联峰度 {value:.1f}，噪声掩盖心搏",
            "Kurtosis of {value:.1f} in lead {lead}: noise hides the beats",
            "relax",
            "technician",
            "请重新粘贴电极、嘱患者静止后重做",
            "Attach the electrodes again, ask the patient to lie still, and repeat",
            now=True,
        ),
    },
)
def ksqi(inputs: Inputs) -> Measured | NotEvaluable:
    """Of the worst lead."""
    return worst_lead(inputs, _value, is_worst=min)


def _value(values: NDArray[np.float64], rate_hz: float) -> float:
    """Fourth moment over the square of the second; 3 for noise."""
    centred = values - values.mean()
    second = float(np.mean(centred**2))
    return float(np.mean(centred**4)) / second**2 if second > 0 else 0.0
