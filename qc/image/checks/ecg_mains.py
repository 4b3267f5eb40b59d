"""Mains in an electrocardiogram."""

import numpy as np
from numpy.typing import NDArray

from qc.image.beats import band_power, worst_lead
from qc.image.inputs import Inputs
from qc.image.registry import Advice, Measured, NotEvaluable, check

MAINS_HZ = (50.0, 60.0)


@check(
    "ecg.mains",
    version="1.0.0",
    title=("工频干扰", "Mains interference"),
    unit="%",
    direction="higher_worse",
    settles="early",
    modalities=("ECG",),
    needs=("headers", "waveform"),
    source="Specification of image quality, 3.5: power at 50 and 60 Hz over that up to 100 Hz",
    causes={
        "mains": Advice(
            "detector",
            "{lead} 导联工频干扰占 {value:.0f}%",
            "Mains take {value:.0f} % of the power of lead {lead}",
            "check_ground",
            "technician",
            "请检查接地、远离电源设备后重做",
            "Check the ground, move away from mains devices, and repeat",
            now=True,
        ),
    },
)
def mains(inputs: Inputs) -> Measured | NotEvaluable:
    """Of the worst lead."""
    return worst_lead(inputs, _value, is_worst=max)


def _value(values: NDArray[np.float64], rate_hz: float) -> float:
    """Power within 1 Hz of the mains over that of 0.5 to 100 Hz, per cent."""
    whole = band_power(values, rate_hz, 0.5, min(100.0, 0.45 * rate_hz))
    hum = max(band_power(values, rate_hz, f - 1, f + 1) for f in MAINS_HZ if f < 0.45 * rate_hz or f == MAINS_HZ[0])
    return 100 * hum / whole if whole > 0 else 0.0
