"""CT number of the air around the patient: the scale's lower fixed point."""

import numpy as np
from scipy import ndimage

from qc.image.body import field_of_view_mask
from qc.image.inputs import Inputs
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location

MARGIN_MM = 15.0
"""Nearer to the body, streaks and the blur of the skin reach into the air."""

LOOKS_LIKE_AIR_HU = -800.0
FEWEST_PIXELS = 2000
MOST_PLANES = 12


@check(
    "ct.hu.air",
    version="1.0.0",
    title=("空气 CT 值", "CT number of air"),
    unit="[hnsf'U]",
    direction="two_sided",
    settles="early",
    by_plane="median",
    modalities=("CT",),
    needs=("headers", "pixels"),
    source="Definition of the CT scale: air is -1000 HU",
    causes={
        "scale": Advice(
            "detector",
            "空气 CT 值为 {value:.0f} HU，应接近 -1000",
            "Air reads {value:.0f} HU instead of about -1000",
            "air_calibration",
            "physicist",
            "请做空气校准和水模测试；放疗用图像暂停使用",
            "Do an air calibration and a water phantom test before the images are used for planning",
        )
    },
)
def air(inputs: Inputs) -> Measured | NotEvaluable:
    """Median of air at least 15 mm away from the body and inside the field, HU."""
    volume = inputs.volume
    if volume is None:
        return NotEvaluable("no_volume")
    field = field_of_view_mask(volume, inputs.body)
    sections = inputs.body[:: max(1, len(inputs.body) // MOST_PLANES)]
    found = []
    for section in sections:
        step, spacing = section.step, volume.grid.pixel_spacing_mm
        distance = ndimage.distance_transform_edt(~section.mask, sampling=[mm * step for mm in spacing])
        pixels = volume.array[section.plane, ::step, ::step]
        found.append(pixels[(distance > MARGIN_MM) & field[::step, ::step] & (pixels < LOOKS_LIKE_AIR_HU)])
    values = np.concatenate(found) if found else np.empty(0)
    if len(values) < FEWEST_PIXELS:
        return NotEvaluable("too_few_pixels", {"pixels": float(len(values))})
    value = float(np.median(values))
    lowest = float(values.min())
    # Where the scanner cuts off below its lowest number, half of the noise is gone and the median is the cut itself.
    if np.count_nonzero(values == lowest) > 0.4 * len(values):
        return NotEvaluable("background_zeroed", {"lowest": lowest, "pixels": float(len(values))})
    p_mm = volume.grid.plane_positions_mm
    return Measured(
        value,
        where=(Location("slices", {"p_mm": [float(p_mm[s.plane]) for s in sections]}),),
        evidence={"pixels": float(len(values)), "sigma": float(np.std(values))},
        uncertainty=1.0,
    )
