"""Leads of an electrocardiogram: twelve of them, and in agreement with Einthoven's law."""

import numpy as np

from qc.image.inputs import Inputs
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location
from qc.image.waveform import TWELVE_LEADS

LARGEST_ERROR = 0.1


@check(
    "ecg.leads",
    version="1.0.0",
    title=("导联完整性", "Leads"),
    unit="1",
    direction="categorical",
    settles="early",
    modalities=("ECG",),
    needs=("headers", "waveform"),
    source="Einthoven: I + III = II; Goldberger: aVR + aVL + aVF = 0",
    causes={
        "missing": Advice(
            "positioning",
            "缺少 {count:.0f} 个导联",
            "{count:.0f} leads are missing",
            "attach",
            "technician",
            "请补接电极后重做",
            "Attach the missing electrodes and repeat",
            now=True,
        ),
        "inconsistent": Advice(
            "labelling",
            "导联数据不符合 I + III = II（误差 {count:.0f}%）",
            "The leads do not obey I + III = II (off by {count:.0f} %)",
            "check_cable",
            "service",
            "请检查导联线和设备输出",
            "Check the cable and the device's export",
        ),
    },
    states={"complete": "PASS", "missing": "WARN", "inconsistent": "FAIL"},
)
def leads(inputs: Inputs) -> Measured | NotEvaluable:
    """State of the leads; what was recorded with fewer by design is told as missing."""
    waveform = inputs.waveform
    if waveform is None:
        return NotEvaluable("no_volume")
    one, two, three = (waveform.lead(name) for name in ("I", "II", "III"))
    error = 0.0
    if one is not None and two is not None and three is not None:
        size = float(np.sqrt(np.mean(two**2))) + 1e-9
        error = float(np.sqrt(np.mean((one + three - two) ** 2))) / size
    absent = [name for name in TWELVE_LEADS if waveform.lead(name) is None]
    evidence = {"error": error, "leads": float(len(waveform.leads))}
    if error > LARGEST_ERROR:
        return Measured("inconsistent", "inconsistent", params={"count": 100 * error}, evidence=evidence)
    if absent:
        return Measured(
            "missing", "missing", (Location("time", {"leads": absent}),), {"count": float(len(absent))}, evidence
        )
    return Measured("complete", evidence=evidence)
