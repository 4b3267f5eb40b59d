"""Dose of a CT at the patient's size (size-specific dose estimate)."""

import math

import numpy as np

from qc.image.inputs import Inputs
from qc.image.registry import Advice, Measured, NotEvaluable, check

COEFFICIENTS = {"113691": (3.704369, 0.03671937), "113690": (1.874799, 0.03871313)}
"""a and b per cm of f = a exp(-b Dw), for the 32 cm body phantom and the 16 cm head phantom (AAPM report 204)."""


@check(
    "ct.dose.ssde",
    version="1.0.0",
    title=("体型特异性剂量", "Size-specific dose"),
    unit="mGy",
    direction="higher_worse",
    settles="final",
    modalities=("CT",),
    needs=("headers", "pixels"),
    source="AAPM reports 204 and 220; CTDIvol (0018,9345)",
    causes={
        "high": Advice(
            "exposure_high",
            "体型特异性剂量 {value:.1f} mGy 超过本院水平",
            "The size-specific dose of {value:.1f} mGy is above the site's level",
            "compare_drl",
            "physicist",
            "请与本院诊断参考水平比较并复核协议",
            "Compare with the site's reference level and review the protocol",
        )
    },
)
def ssde(inputs: Inputs) -> Measured | NotEvaluable:
    """Mean over the planes of CTDIvol times the factor for the water-equivalent diameter, mGy.

    Not evaluable where the phantom is not stated: the wrong one is a factor of about two.
    """
    volume = inputs.volume
    if volume is None or not inputs.body:
        return NotEvaluable("no_volume" if volume is None else "no_region")
    doses = inputs.numbers("CTDIvol")
    phantoms = {_phantom(inputs, n) for n in range(len(inputs.headers))}
    if not all(doses) or len(phantoms) != 1 or not phantoms <= set(COEFFICIENTS) or inputs.planes is None:
        return NotEvaluable("missing_tag")
    a, b = COEFFICIENTS[phantoms.pop()]
    dy, dx = volume.grid.pixel_spacing_mm
    estimates, diameters = [], []
    for section in inputs.body:
        pixels = volume.array[section.plane, :: section.step, :: section.step][section.mask]
        water_mm2 = float((pixels / 1000.0 + 1).sum()) * dy * dx * section.step**2
        diameter_cm = 2 * math.sqrt(max(water_mm2, 0) / math.pi) / 10
        diameters.append(diameter_cm)
        estimates.append(doses[int(inputs.planes.order[section.plane])][0] * a * math.exp(-b * diameter_cm))
    return Measured(
        float(np.mean(estimates)),
        evidence={
            "ctdivol_mgy": float(np.mean([d[0] for d in doses])),
            "water_diameter_cm": float(np.mean(diameters)),
            "planes_used": float(len(estimates)),
        },
        uncertainty=0.01 * float(np.mean(estimates)),
    )


def _phantom(inputs: Inputs, header: int) -> str:
    sequence = inputs.headers[header].get("CTDIPhantomTypeCodeSequence")
    return str(sequence[0].get("CodeValue", "")) if sequence else ""
