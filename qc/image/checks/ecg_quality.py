"""An electrocardiogram as a whole: fit for reading or not."""

import numpy as np

from qc.image.beats import SHORTEST_S, band_power, beat_times, usable_rows
from qc.image.inputs import Inputs
from qc.image.registry import Advice, Measured, NotEvaluable, check

FAST_BPM = 130.0


@check(
    "ecg.quality",
    version="1.0.0",
    title=("心电质量", "Quality of the recording"),
    unit="1",
    direction="categorical",
    settles="early",
    modalities=("ECG",),
    needs=("headers", "waveform"),
    source="Zhao and Zhang, Front Physiol 9 (2018) 727: two bad indices, or one with two doubtful, are too many",
    causes={
        "barely": Advice(
            "patient_motion",
            "心电质量勉强可用（{bad:.0f} 项差，{doubtful:.0f} 项可疑）",
            "Barely fit for reading ({bad:.0f} indices bad, {doubtful:.0f} doubtful)",
            "repeat_still",
            "technician",
            "建议改善接触后重做",
            "Better repeat with better contact",
            now=True,
        ),
        "unacceptable": Advice(
            "patient_motion",
            "心电质量不合格（{bad:.0f} 项差，{doubtful:.0f} 项可疑）",
            "Not fit for reading ({bad:.0f} indices bad, {doubtful:.0f} doubtful)",
            "repeat_still",
            "technician",
            "请改善接触、嘱患者静止后重做",
            "Improve the contact and repeat with the patient still",
            now=True,
        ),
    },
    states={"excellent": "PASS", "barely": "WARN", "unacceptable": "FAIL"},
)
def quality(inputs: Inputs) -> Measured | NotEvaluable:
    """State by three indices (QRS power, kurtosis, baseline), each the median of the leads."""
    waveform = inputs.waveform
    if waveform is None:
        return NotEvaluable("no_volume")
    rows = usable_rows(waveform.values_mv)
    if not rows or waveform.seconds < SHORTEST_S:
        return NotEvaluable("too_few_pixels", {"seconds": waveform.seconds})
    power, kurtosis, baseline, rates = [], [], [], []
    for n in rows:
        values = waveform.values_mv[n] - waveform.values_mv[n].mean()
        middle, whole = (band_power(values, waveform.rate_hz, *band) for band in ((5, 40), (0, 40)))
        power.append(band_power(values, waveform.rate_hz, 5, 15) / middle if middle > 0 else 0.0)
        baseline.append(1 - band_power(values, waveform.rate_hz, 0, 1) / whole if whole > 0 else 0.0)
        kurtosis.append(float(np.mean(values**4) / np.mean(values**2) ** 2))
        rates.append(60 * len(beat_times(values, waveform.rate_hz)) / waveform.seconds)
    p, k, b = (float(np.median(v)) for v in (power, kurtosis, baseline))
    low, high = (0.5, 0.8) if float(np.median(rates)) < FAST_BPM else (0.4, 0.7)
    grades = [
        "good" if low <= p <= high else "doubtful" if low - 0.1 <= p <= high + 0.1 else "bad",
        "good" if k > 5 else "bad",
        "good" if b >= 0.95 else "doubtful" if b >= 0.9 else "bad",
    ]
    bad, doubtful = grades.count("bad"), grades.count("doubtful")
    is_bad = bad >= 2 or (bad == 1 and doubtful == 2)
    state = "unacceptable" if is_bad else "excellent" if bad == 0 and doubtful <= 1 else "barely"
    params = {"bad": float(bad), "doubtful": float(doubtful)}
    evidence = {"psqi": p, "ksqi": k, "bas": b, "beats_per_minute": float(np.median(rates))}
    return Measured(state, "" if state == "excellent" else state, params=params, evidence=evidence)
