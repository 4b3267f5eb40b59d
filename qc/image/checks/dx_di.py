"""Exposure of a radiograph: the deviation index, computed again from the exposure index and its target."""

import math

from qc.image.inputs import Inputs
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location


@check(
    "dx.di",
    version="1.0.0",
    title=("偏差指数", "Deviation index"),
    unit="dB",
    direction="two_sided",
    settles="early",
    uncertainty=0.05,
    modalities=("CR", "DX"),
    source="IEC 62494-1: DI = 10 log10(EI / EIT)",
    causes={
        "high": Advice(
            "exposure_high",
            "偏差指数 {value:.1f}，曝光约为目标的 {ratio:.1f} 倍",
            "Deviation index {value:.1f}: about {ratio:.1f} times the target exposure",
            "lower_exposure",
            "technician",
            "请降低 mAs 或检查自动曝光控制；仅在细节丢失时重摄",
            "Lower the mAs, or check the automatic exposure control; repeat only where detail is lost",
        ),
        "low": Advice(
            "exposure_low",
            "偏差指数 {value:.1f}，曝光仅为目标的 {ratio:.2f} 倍",
            "Deviation index {value:.1f}: only {ratio:.2f} times the target exposure",
            "raise_exposure",
            "technician",
            "请提高 mAs；噪声影响诊断时重摄",
            "Raise the mAs; repeat where noise hides detail",
            now=True,
        ),
    },
)
def deviation(inputs: Inputs) -> Measured | NotEvaluable:
    """The deviation index farthest from zero among the instances."""
    found = []
    for index in range(len(inputs.headers)):
        exposure, target = inputs.number("ExposureIndex", index), inputs.number("TargetExposureIndex", index)
        if exposure and target and exposure > 0 and target > 0:
            found.append((10 * math.log10(exposure / target), index, exposure / target))
    if not found:
        return NotEvaluable("missing_tag")
    value, index, ratio = max(found, key=lambda item: (abs(item[0]), item[0]))
    stated = inputs.number("DeviationIndex", index)
    evidence = {"ratio": ratio, "instances": float(len(found))}
    if stated is not None:
        evidence["stated"], evidence["difference"] = stated, value - stated
    where = (Location("instances", {"sop_instance_uid": [inputs.text("SOPInstanceUID", index)]}),)
    return Measured(value, "high" if value > 0 else "low", where, {"ratio": ratio}, evidence)
