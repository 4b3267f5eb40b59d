"""Share of the QRS in the power of an electrocardiogram: muscle noise lowers it."""

import numpy as np
from numpy.typing import NDArray

from qc.image.beats import band_power, worst_lead
from qc.image.inputs import Inputs
from qc.image.registry import Advice, Measured, NotEvaluable, check


@check(
    "ecg.psqi",
    version="1.0.0",
    title=("QRS 功率占比", "Share of QRS power"),
    unit="1",
    direction="lower_worse",
    settles="early",
    modalities=("ECG",),
    needs=("headers", "waveform"),
    source="Zhao and Zhang, Front Physiol 9 (2018) 727: P(5-15 Hz) / P(5-40 Hz)",
    causes={
        "noisy": Advice(
            "patient_motion",
            "{lead} 导联肌电干扰（QRS 功率占比 {value:.2f}）",
            "Lead {lead} is noisy (share of QRS power {value:.2f})",
            "relax",
            "technician",
            "请嘱患者放松、保暖，重新粘贴电极后重做",
            "Ask the patient to relax, keep warm, attach the electrodes again and repeat",
            now=True,
        ),
    },
)
def psqi(inputs: Inputs) -> Measured | NotEvaluable:
    """Of the worst lead."""
    return worst_lead(inputs, _value, is_worst=min)


def _value(values: NDArray[np.float64], rate_hz: float) -> float:
    """Power of 5 to 15 Hz over that of 5 to 40 Hz."""
    whole = band_power(values, rate_hz, 5, 40)
    return band_power(values, rate_hz, 5, 15) / whole if whole > 0 else 0.0
