"""Contrast phase: what vessels and organs show, against what the series is called."""

import re
from collections.abc import Mapping

from qc.image.inputs import Inputs
from qc.image.organs import inner_values
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location

NATIVE_HU, ARTERIAL_HU, PORTAL_HU = 80.0, 200.0, 150.0
LIVER_NATIVE_HU = 80.0

WORDS = {
    "native": re.compile(r"平扫|(?<![a-z])(native|plain|non.?contrast|unenhanced)(?![a-z])", re.IGNORECASE),
    "arterial": re.compile(r"动脉|(?<![a-z])(arterial|art)(?![a-z])", re.IGNORECASE),
    "portal": re.compile(r"门脉|静脉|(?<![a-z])(portal|venous|pv)(?![a-z])", re.IGNORECASE),
    "excretory": re.compile(r"延迟|排泄|(?<![a-z])(delayed|excretory|late)(?![a-z])", re.IGNORECASE),
}


@check(
    "ct.phase",
    version="1.0.0",
    title=("增强期相", "Contrast phase"),
    unit="1",
    direction="categorical",
    settles="final",
    modalities=("CT",),
    needs=("headers", "pixels", "stack", "masks:A_Aorta,V_Portal,Liver,Cortex_Kidney,Renal_Pelvis"),
    source="Specification of image quality, 3.2: aorta below 80 HU native, above 200 arterial; portal vein above 150",
    causes={
        "unstated": Advice(
            "labelling",
            "主动脉 {aorta_hu:.0f} HU，图像为增强，但标注为平扫",
            "The aorta reads {aorta_hu:.0f} HU, but the series is called native",
            "relabel",
            "technician",
            "请核对并更正序列名称和对比剂登记",
            "Verify and correct the name of the series and the contrast entry",
        ),
        "no_contrast": Advice(
            "protocol",
            "标注为增强，但主动脉仅 {aorta_hu:.0f} HU",
            "Called a contrast series, but the aorta reads only {aorta_hu:.0f} HU",
            "check_injection",
            "technician",
            "请检查注射和触发；必要时重扫",
            "Check injection and trigger; repeat if needed",
            now=True,
        ),
        "other_phase": Advice(
            "protocol",
            "主动脉 {aorta_hu:.0f} HU，期相与序列名称不符",
            "The aorta reads {aorta_hu:.0f} HU: not the phase that the name says",
            "check_timing",
            "technician",
            "请核对延迟时间，更正名称或重扫",
            "Check the delay; correct the name or repeat",
            now=True,
        ),
    },
    states={"agrees": "PASS", "unlabelled": "PASS", "unstated": "WARN", "no_contrast": "WARN", "other_phase": "WARN"},
)
def phase(inputs: Inputs) -> Measured | NotEvaluable:
    """State of the phase seen against the words of the series; without organ masks nothing is guessed."""
    aorta = inner_values(inputs, "A_Aorta")
    if inputs.volume is None or aorta is None:
        return NotEvaluable("no_volume" if inputs.volume is None else "needs_mask")
    means = {"aorta_hu": float(aorta.mean())}
    for key, name in (
        ("portal_hu", "V_Portal"),
        ("liver_hu", "Liver"),
        ("cortex_hu", "Cortex_Kidney"),
        ("pelvis_hu", "Renal_Pelvis"),
    ):
        values = inner_values(inputs, name)
        if values is not None:
            means[key] = float(values.mean())
    seen = _seen(means)
    words = " ".join(inputs.text(k) for k in ("SeriesDescription", "ProtocolName"))
    called = {name for name, pattern in WORDS.items() if pattern.search(words)}
    if inputs.text("ContrastBolusAgent"):
        called.discard("native")
    state = _state(seen, called)
    p_mm = inputs.volume.grid.plane_positions_mm
    return Measured(
        state,
        advice="" if state in {"agrees", "unlabelled"} else state,
        where=(Location("slices", {"p_mm": [float(p_mm[0]), float(p_mm[-1])]}),),
        params={"aorta_hu": means["aorta_hu"]},
        evidence={**means, "seen": seen, "called": ",".join(sorted(called))},
    )


def _seen(means: Mapping[str, float]) -> str:
    """The phase that the CT numbers show."""
    if means.get("pelvis_hu", -1000.0) > means.get("cortex_hu", 1000.0):
        return "excretory"
    if means["aorta_hu"] < NATIVE_HU:
        return "native"
    if means["aorta_hu"] > ARTERIAL_HU and means.get("liver_hu", 0.0) < LIVER_NATIVE_HU:
        return "arterial"
    if means.get("portal_hu", 0.0) > PORTAL_HU or means.get("liver_hu", 0.0) >= LIVER_NATIVE_HU:
        return "portal"
    return "contrast"


def _state(seen: str, called: set[str]) -> str:
    if not called:
        return "unlabelled"
    if seen in called or (seen == "contrast" and called != {"native"}):
        return "agrees"
    if called == {"native"}:
        return "unstated"
    return "no_contrast" if seen == "native" else "other_phase"
