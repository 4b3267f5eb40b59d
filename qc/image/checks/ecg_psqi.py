"""Share of the QRS in the power of an electrocardiogram: muscle noise lowers it."""

import numpy as np
from numpy.typing import NDArray

from qc.image.beats import band_power, usable_rows
from qc.image.inputs import Inputs
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location

SHORTEST_S = 4.0


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
    waveform = inputs.waveform
    if waveform is None:
        return NotEvaluable("no_volume")
    rows = usable_rows(waveform.values_mv)
    if not rows or waveform.seconds < SHORTEST_S:
        return NotEvaluable("too_few_pixels", {"seconds": waveform.seconds})
    each = {waveform.leads[n]: _value(waveform.values_mv[n], waveform.rate_hz) for n in rows}
    lead = min(sorted(each), key=each.__getitem__)
    where = (Location("time", {"leads": [lead]}),)
    return Measured(
        each[lead],
        where=where,
        params={"lead": lead},
        evidence={"lead": lead, "median": float(np.median(list(each.values())))},
    )


def _value(values: NDArray[np.float64], rate_hz: float) -> float:
    """Power of 5 to 15 Hz over that of 5 to 40 Hz."""
    whole = band_power(values, rate_hz, 5, 40)
    return band_power(values, rate_hz, 5, 15) / whole if whole > 0 else 0.0
