"""Leads of an electrocardiogram that are off: a flat line."""

import numpy as np
from numpy.typing import NDArray

from qc.image.beats import worst_lead
from qc.image.inputs import Inputs
from qc.image.registry import Advice, Measured, NotEvaluable, check

FLAT_SHARE = 0.002


@check(
    "ecg.lead_off",
    version="1.0.0",
    title=("导联脱落", "Lead off"),
    unit="s",
    direction="higher_worse",
    settles="early",
    modalities=("ECG",),
    needs=("headers", "waveform"),
    source="Specification of image quality, 3.5: flat for more than 1 s",
    causes={
        "off": Advice(
            "positioning",
            "{lead} 导联有 {value:.1f} s 直线，电极脱落",
            "Lead {lead} is flat for {value:.1f} s: the electrode is off",
            "attach",
            "technician",
            "请重新连接电极后重做",
            "Attach the electrode again and repeat",
            now=True,
        ),
    },
)
def lead_off(inputs: Inputs) -> Measured | NotEvaluable:
    """Of the worst lead."""
    return worst_lead(inputs, _value, is_worst=max)


def _value(values: NDArray[np.float64], rate_hz: float) -> float:
    """Longest flat stretch, seconds: no change beyond two thousandths of the usual range."""
    usual = float(np.percentile(values, 99) - np.percentile(values, 1))
    flat = np.abs(np.diff(values)) <= max(FLAT_SHARE * usual, 1e-9)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flat, [False]]).astype(np.int8)))
    # A stretch that creeps is a slow baseline, not a lead that is off.
    runs = [
        b - a
        for a, b in zip(edges[::2], edges[1::2], strict=True)
        if np.ptp(values[a : b + 1]) <= 10 * FLAT_SHARE * usual
    ]
    return max(runs, default=0) / rate_hz
