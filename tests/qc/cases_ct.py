"""Cases of the checks of CT that need a chest, a head, organs or phases (see `cases`)."""

from dataclasses import replace

import numpy as np

from qc.image.inputs import Expected, Inputs
from tests.qc.bodies import TISSUE_HU, TRUNK, body_inputs, edited, header_inputs, volume_inputs
from tests.qc.case import NumberCase, StateCase
from tests.qc.chest import chest_inputs, chest_with_organs, phases_inputs
from tests.qc.defects_ct import blurred, head_ct, ringed, with_markers, with_text

__all__ = ["CT_CASES"]


def air() -> Inputs:
    """A CT of nothing."""
    return volume_inputs(np.full(TRUNK.grid().shape, -1000, np.int16), TRUNK)


def half_frequency(blur_mm: float) -> float:
    """Frequency at which a Gaussian and a pixel of 1.0 mm together leave one half of the modulation."""
    f = np.linspace(0.01, 0.9, 20000)
    transfer = np.exp(-2 * np.pi**2 * blur_mm**2 * f**2) * np.sinc(f)
    return float(f[int(np.argmax(transfer < 0.5))])


def named(series: str, **organs_hu: float) -> Inputs:
    return chest_with_organs(1, {"SeriesDescription": series}, 0.0, **organs_hu)


def with_curves(kvp: str) -> Inputs:
    return replace(edited(header_inputs(), KVP=kvp), expect={"KVP": Expected(values=(100.0, 120.0))})


CT_CASES: dict[str, NumberCase | StateCase] = {
    "gen.pixel.burned_text": NumberCase(
        clean=chest_inputs,
        planted=with_text,
        severities=(3, 5, 8, 12, 16),
        alarm=5,
        not_evaluable=header_inputs,
        reason="no_volume",
    ),
    "gen.tag.anatomy": StateCase(
        clean=chest_inputs,
        states={
            "consistent": chest_inputs,
            "front_back": lambda: chest_inputs(couch_in_front=True),
            "left_right": lambda: chest_inputs(mirrored=True),
            "head_foot": lambda: chest_inputs(upside_down=True),
        },
        not_evaluable=air,
        reason="no_region",
    ),
    "ct.hu.tissue": NumberCase(
        clean=body_inputs,
        planted=lambda offset, seed: body_inputs(scale_offset_hu=offset, seed=seed),
        severities=(15, 40, 70, 110, 160),
        truth=lambda offset: TISSUE_HU + offset,
        tolerance=6.0,
        alarm=110,
        not_evaluable=air,
        reason="too_few_pixels",
    ),
    "ct.sharpness.f50": NumberCase(
        clean=body_inputs,
        planted=lambda sharpness, seed: blurred(1 / sharpness, seed),
        severities=(0.4, 0.5, 0.67, 1.0, 1.5),
        truth=lambda sharpness: half_frequency(1 / sharpness),
        tolerance=0.05,  # of the value
        alarm=None,
        not_evaluable=air,
        reason="no_region",
    ),
    "ct.ring": NumberCase(
        clean=lambda: ringed(0),
        planted=ringed,
        severities=(0.5, 1, 2, 4, 8),
        alarm=2,
        not_evaluable=air,
        reason="too_few_pixels",
    ),
    "ct.motion": NumberCase(
        clean=chest_inputs,
        planted=lambda mm, seed: chest_inputs(step_mm=mm, seed=seed),
        severities=(1, 2, 4, 8, 12),
        alarm=4,
        not_evaluable=lambda: volume_inputs(np.full((3, 90, 100), 40, np.int16), replace(TRUNK, rows=90, columns=100)),
        reason="too_few_slices",
    ),
    "ct.breath": NumberCase(
        clean=chest_inputs,
        planted=lambda hu, seed: chest_inputs(lung_hu=hu, seed=seed),
        severities=(-860, -800, -740, -680, -620),
        truth=lambda hu: hu,
        tolerance=5.0,
        alarm=-680,
        not_evaluable=body_inputs,
        reason="no_region",
        profile="ct_chest_diag",
    ),
    "ct.phase": StateCase(
        clean=lambda: named("肝脏 动脉期", A_Aorta=290, Liver=62, V_Portal=60),
        states={
            "agrees": lambda: named("肝脏 动脉期", A_Aorta=290, Liver=62, V_Portal=60),
            "unlabelled": lambda: named("", A_Aorta=42),
            "unstated": lambda: named("胸部平扫", A_Aorta=160, Liver=105, V_Portal=165),
            "no_contrast": lambda: named("Liver portal venous", A_Aorta=43, Liver=58),
            "other_phase": lambda: named("动脉期", A_Aorta=150, Liver=110, V_Portal=170),
        },
        not_evaluable=chest_inputs,
        reason="needs_mask",
    ),
    "ct.hu.blood": NumberCase(
        clean=lambda: named("", A_Aorta=41),
        planted=lambda hu, seed: chest_with_organs(seed, A_Aorta=hu),
        severities=(43, 48, 54, 62, 75),
        truth=lambda hu: hu,
        tolerance=1.0,
        alarm=62,
        not_evaluable=lambda: named("", A_Aorta=280),
        reason="no_region",
    ),
    "ct.hu.fluid": NumberCase(
        clean=lambda: named("", Bladder=7),
        planted=lambda hu, seed: chest_with_organs(seed, Bladder=hu),
        severities=(2, 8, 14, 22, 40),
        truth=lambda hu: hu,
        tolerance=1.0,
        alarm=22,
        not_evaluable=chest_inputs,
        reason="needs_mask",
    ),
    "ct.coverage.lung": NumberCase(
        clean=chest_inputs,
        planted=lambda mm, seed: chest_inputs(cut_mm=mm, seed=seed),
        severities=(3, 6, 12, 24, 48),
        alarm=6,
        not_evaluable=body_inputs,
        reason="no_region",
        profile="ct_chest_diag",
    ),
    "ct.coverage.vertex": NumberCase(
        clean=lambda: head_ct(-9),
        planted=head_ct,
        severities=(3, 6, 12, 24, 48),
        alarm=12,
        not_evaluable=air,
        reason="no_region",
        profile="ct_head",
    ),
    "ct.coverage.organs": NumberCase(
        clean=lambda: named("", Kidney_L=35),
        planted=lambda mm, seed: chest_with_organs(seed, cut_mm=10.5 + mm, Kidney_L=35),
        severities=(3, 8, 15, 24, 36),
        alarm=15,
        not_evaluable=chest_inputs,
        reason="needs_mask",
    ),
    "ct.rt.couch": StateCase(
        clean=chest_inputs,
        states={
            "found": chest_inputs,
            "narrow": lambda: chest_inputs(couch_half_mm=80),
            "absent": lambda: chest_inputs(couch_half_mm=0),
        },
        not_evaluable=air,
        reason="no_region",
        profile="ct_rt_sim",
    ),
    "ct.rt.markers": NumberCase(
        clean=lambda: with_markers(3),
        planted=lambda missing, seed: with_markers(5 - round(missing), ordered=5, seed=seed),
        severities=(1, 2, 3, 4, 5),
        truth=lambda missing: missing,
        alarm=1,
        not_evaluable=lambda: replace(chest_inputs(), order={"PatientID": "TEST0001"}),
        reason="missing_tag",
        profile="ct_rt_sim",
    ),
    "ct.rt.curve": StateCase(
        clean=lambda: with_curves("120"),
        states={
            "listed": lambda: with_curves("120"),
            "not_listed": lambda: with_curves("80"),
            "several": lambda: edited(with_curves("120"), slice(2, 4), KVP="100"),
        },
        not_evaluable=lambda: replace(with_curves("120"), expect={"SliceThickness": Expected(range=(1, 3))}),
        reason="missing_tag",
        profile="ct_rt_sim",
    ),
    "ct.rt.4d": StateCase(
        clean=phases_inputs,
        states={
            "complete": phases_inputs,
            "incomplete": lambda: phases_inputs(8),
            "unequal": lambda: phases_inputs(unequal=True),
        },
        not_evaluable=chest_inputs,
        reason="series_incomplete",
        profile="ct_rt_sim",
    ),
    "ct.rt.junction": NumberCase(
        clean=phases_inputs,
        planted=lambda mm, seed: phases_inputs(step_mm=mm, seed=seed),
        severities=(1, 2, 4, 8, 12),
        alarm=4,
        not_evaluable=chest_inputs,
        reason="series_incomplete",
        profile="ct_rt_sim",
    ),
}
