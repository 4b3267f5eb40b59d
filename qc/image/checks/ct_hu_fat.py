"""CT number of fat under the skin: a check of the scale in the patient, without a phantom."""

import numpy as np
from scipy import ndimage

from qc.image.inputs import Inputs
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location

RIM_MM = (4.0, 20.0)
"""Below the skin and above the muscles of most people."""

FAT_HU = (-200.0, -30.0)
WIDEST_MEAN_MM = 8.0
"""A mean over three pixels that is wider mixes the fat with skin and muscle."""

FEWEST_PIXELS = 2000
MOST_PLANES = 24


@check(
    "ct.hu.fat",
    version="1.1.0",
    title=("脂肪 CT 值", "CT number of fat"),
    unit="[hnsf'U]",
    direction="two_sided",
    settles="early",
    by_plane="median",
    modalities=("CT",),
    needs=("headers", "pixels"),
    source="Specification of image quality, 2.1: fat is -110 HU at 120 kV",
    causes={
        "scale": Advice(
            "detector",
            "皮下脂肪 CT 值为 {value:.0f} HU，应约为 -110",
            "Fat under the skin reads {value:.0f} HU instead of about -110",
            "water_phantom",
            "physicist",
            "请做水模测试；放疗用图像请核对 CT 值-密度曲线",
            "Do a water phantom test; for planning, verify the density curve",
        )
    },
)
def fat(inputs: Inputs) -> Measured | NotEvaluable:
    """Most frequent value between -200 and -30 HU, 4 to 20 mm below the skin."""
    volume = inputs.volume
    if volume is None:
        return NotEvaluable("no_volume")
    if inputs.body and 3 * max(volume.grid.pixel_spacing_mm) * inputs.body[0].step > WIDEST_MEAN_MM:
        return NotEvaluable("too_few_pixels", {"pixel_mm": max(volume.grid.pixel_spacing_mm)})
    sections = inputs.body[:: max(1, len(inputs.body) // MOST_PLANES)]
    found = []
    for section in sections:
        step, spacing = section.step, volume.grid.pixel_spacing_mm
        depth = ndimage.distance_transform_edt(section.mask, sampling=[mm * step for mm in spacing])
        pixels = ndimage.uniform_filter(volume.array[section.plane, ::step, ::step].astype(np.float32), 3)
        rim = (depth >= RIM_MM[0]) & (depth <= RIM_MM[1])
        found.append(pixels[rim & (pixels > FAT_HU[0]) & (pixels < FAT_HU[1])])
    values = np.concatenate(found) if found else np.empty(0)
    if len(values) < FEWEST_PIXELS:
        return NotEvaluable("no_region", {"pixels": float(len(values))})
    counts, edges = np.histogram(values, bins=round(FAT_HU[1] - FAT_HU[0]), range=FAT_HU)
    smooth = ndimage.gaussian_filter1d(counts.astype(np.float64), 4.0)
    peak = int(smooth.argmax())
    # A real peak stands out; the foot of muscle's distribution has its maximum at the end of the range.
    if peak in {0, len(smooth) - 1} or smooth[peak] < 1.5 * float(np.median(smooth)):
        return NotEvaluable("no_region", {"pixels": float(len(values)), "peak": float(edges[peak])})
    p_mm = volume.grid.plane_positions_mm
    return Measured(
        float((edges[peak] + edges[peak + 1]) / 2),
        where=(Location("slices", {"p_mm": [float(p_mm[s.plane]) for s in sections]}),),
        evidence={"pixels": float(len(values)), "planes_used": float(len(sections))},
        uncertainty=4.0,
    )
