"""Patient orientation: the couch, the heart and the lungs as the pixels show them, against the header."""

import numpy as np
from numpy.typing import NDArray

from imaging.volume import Volume
from qc.image.body import BodySection
from qc.image.couch import find_couch
from qc.image.inputs import Inputs
from qc.image.lungs import Lungs
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location

SUPINE, PRONE = frozenset({"HFS", "FFS"}), frozenset({"HFP", "FFP"})
CLEAR = 0.35
"""Cosine between couch and front-back axis above which the couch says how the patient lies."""

LEAST_SHIFT_MM = 4.0
"""The heart's half of the soft tissue between the lungs lies at least so far from the body's middle."""

WIDER = 1.25
"""At the foot end the lungs lie in the outer angles of the chest: by this factor farther out than at the apex."""


@check(
    "gen.tag.anatomy",
    version="1.0.0",
    title=("体位与解剖一致性", "Anatomy against the header"),
    unit="1",
    direction="categorical",
    settles="final",
    modalities=("CT",),
    needs=("headers", "pixels", "stack"),
    source="Radgate: side of the couch, smaller lung and heart on the left, domes of the diaphragm at the foot end",
    causes={
        "front_back": Advice(
            "labelling",
            "床面位于患者{side_zh}，与体位标签 {code} 不符",
            "The couch lies at the {side_en} of the patient, against the position {code}",
            "verify_side",
            "technician",
            "请核对仰卧/俯卧登记，更正后重新发送；更正前勿用于计划",
            "Verify supine or prone, correct and send again; do not plan on it before",
            now=True,
        ),
        "left_right": Advice(
            "labelling",
            "心脏位于右侧：左右可能颠倒（或镜面人）",
            "The heart lies on the right: left and right may be swapped (or situs inversus)",
            "verify_side",
            "technician",
            "请核对左右方向和入床方向后再使用",
            "Verify left and right and the direction of entry before use",
            now=True,
        ),
        "head_foot": Advice(
            "labelling",
            "膈顶位于头端：头足方向可能颠倒",
            "The diaphragm lies at the head end: head and foot may be swapped",
            "verify_side",
            "technician",
            "请核对头先进/足先进后再使用",
            "Verify head first or feet first before use",
            now=True,
        ),
    },
    states={"consistent": "PASS", "front_back": "FAIL", "left_right": "FAIL", "head_foot": "FAIL"},
)
def anatomy(inputs: Inputs) -> Measured | NotEvaluable:
    """State; what the picture does not show (no couch, no lungs) is not judged."""
    volume = inputs.volume
    if volume is None or not inputs.body:
        return NotEvaluable("no_volume" if volume is None else "no_region")
    code = inputs.text("PatientPosition").upper()
    evidence: dict[str, float | str] = {}
    couch = find_couch(volume, inputs.body)
    if couch is not None and code in SUPINE | PRONE:
        towards_back = couch.direction_lps[1]
        evidence["couch_posterior_cosine"] = towards_back
        if abs(towards_back) > CLEAR and (towards_back > 0) != (code in SUPINE):
            side = ("背侧", "back") if towards_back > 0 else ("腹侧", "front")
            params = {"code": code, "side_zh": side[0], "side_en": side[1]}
            return Measured("front_back", "front_back", _range(volume), params, evidence)
    lungs = inputs.lungs
    if lungs is not None and lungs.volume_cc > 800 and len(lungs.planes) >= 8:
        evidence["heart_left_mm"], evidence["lung_left_share"] = _left_right(volume, inputs.body, lungs)
        evidence["foot_to_head_width"] = _foot_to_head(volume, inputs.body, lungs)
        if float(evidence["heart_left_mm"]) < -LEAST_SHIFT_MM and float(evidence["lung_left_share"]) > 0.5:
            return Measured("left_right", "left_right", _range(volume), evidence=evidence)
        if float(evidence["foot_to_head_width"]) < 1 / WIDER:
            return Measured("head_foot", "head_foot", _range(volume), evidence=evidence)
    if not evidence:
        return NotEvaluable("no_region")
    return Measured("consistent", evidence=evidence)


def _range(volume: Volume) -> tuple[Location, ...]:
    p_mm = volume.grid.plane_positions_mm
    return (Location("slices", {"p_mm": [float(p_mm[0]), float(p_mm[-1])]}),)


def _left_mm(volume: Volume, step: int, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Distance of each coarse pixel towards the patient's left, mm."""
    dy, dx = (mm * step for mm in volume.grid.pixel_spacing_mm)
    rows, columns = np.arange(shape[0])[:, None] * dy, np.arange(shape[1])[None, :] * dx
    return np.asarray(rows * volume.grid.column_direction[0] + columns * volume.grid.row_direction[0])


def _left_right(volume: Volume, body: tuple[BodySection, ...], lungs: Lungs) -> tuple[float, float]:
    """How far the soft tissue between the lungs lies to the left of the body's middle, and the left lung's share."""
    left = _left_mm(volume, lungs.step, lungs.mask.shape[1:])
    thin = lungs.step // body[0].step
    left_share: float = 0.0
    shifts: list[float] = []
    weights: list[int] = []
    for index, section in enumerate(body):
        lung = lungs.mask[index]
        if lungs.areas_mm2[index] < 0.3 * lungs.areas_mm2.max():
            continue
        mask = section.mask[::thin, ::thin]
        middle = float(left[mask].mean())
        left_share += float(np.count_nonzero(lung & (left > middle)) / np.count_nonzero(lungs.mask))
        rows = np.flatnonzero(lung.any(axis=1))
        between = np.zeros_like(lung)
        for row in rows:
            columns = np.flatnonzero(lung[row])
            between[row, columns[0] : columns[-1] + 1] = ~lung[row, columns[0] : columns[-1] + 1]
        between &= lungs.values[index] > -200
        if between.any():
            # The heart is the wide part: what lies farthest from the middle on either side.
            low, high = np.percentile(left[between] - middle, [5, 95])
            shifts.append(float(low + high) / 2)
            weights.append(int(np.count_nonzero(between)))
    shift = float(np.average(shifts, weights=weights)) if shifts else 0.0
    return shift, left_share


def _foot_to_head(volume: Volume, body: tuple[BodySection, ...], lungs: Lungs) -> float:
    """Distance of the lungs from the middle at their foot end over that at the head; 1 where an end is cut off."""
    held = np.flatnonzero(lungs.areas_mm2 > 0)
    areas = lungs.areas_mm2
    if held[0] == 0 or held[-1] == len(areas) - 1 or len(held) < 8:
        return 1.0
    left = _left_mm(volume, lungs.step, lungs.mask.shape[1:])
    count = max(1, len(held) // 8)
    widths = []
    for part in (held[:count], held[-count:]):
        spread = [
            np.abs(
                left[lungs.mask[k]]
                - left[body[k].mask[:: lungs.step // body[0].step, :: lungs.step // body[0].step]].mean()
            ).mean()
            for k in part
        ]
        widths.append(float(np.mean(spread)))
    first_is_foot = volume.grid.normal[2] > 0
    foot, head = widths if first_is_foot else widths[::-1]
    return foot / head if head > 0 else 1.0
