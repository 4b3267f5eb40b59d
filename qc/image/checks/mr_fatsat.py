"""Fat suppression of an MR that failed: a bright rim under the skin."""

import re

import numpy as np
from scipy import ndimage

from qc.image.foreground import object_sections
from qc.image.inputs import Inputs
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location

WORDS = re.compile(r"压脂|脂肪抑制|(?<![a-z])(fs|fatsat|fat.?sat|spair|spir|stir|chess)(?![a-z])", re.IGNORECASE)
RIM_MM = (2.5, 7.0)
BRIGHT = 1.25


@check(
    "mr.fatsat",
    version="1.0.0",
    title=("脂肪抑制", "Fat suppression"),
    unit="%",
    direction="higher_worse",
    settles="early",
    uncertainty=2,
    modalities=("MR",),
    needs=("headers", "pixels", "stack"),
    source="Specification of image quality, 3.3: share of the rim brighter than the tissue inside",
    causes={
        "failed": Advice(
            "protocol",
            "压脂序列仍有 {value:.0f}% 的皮下脂肪高信号",
            "With fat suppression {value:.0f} % of the rim are still bright",
            "shim",
            "technician",
            "请重新匀场、去除金属物，或改用 STIR/Dixon 后重扫",
            "Shim again, remove metal, or use STIR or Dixon, and repeat",
            now=True,
        ),
    },
)
def fatsat(inputs: Inputs) -> Measured | NotEvaluable:
    """Per cent of the rim that is brighter than 1.25 times the median inside; only where the protocol says so."""
    if inputs.volume is None:
        return NotEvaluable("no_volume")
    words = " ".join(inputs.text(k) for k in ("SeriesDescription", "ProtocolName"))
    if "FS" not in inputs.text("ScanOptions").upper().split("\\") and not WORDS.search(words):
        return NotEvaluable("missing_tag")
    shares, planes = [], []
    for section in object_sections(inputs.volume):
        pixels = ndimage.uniform_filter(inputs.volume.array[section.plane].astype(np.float32), 3)
        depth = ndimage.distance_transform_edt(section.inside, sampling=inputs.volume.grid.pixel_spacing_mm)
        rim = (depth > RIM_MM[0]) & (depth < RIM_MM[1])
        level = BRIGHT * float(np.median(pixels[section.core]))
        shares.append(100 * float(np.mean(pixels[rim] > level)))
        planes.append(section.plane)
    if not shares:
        return NotEvaluable("no_region")
    p_mm = inputs.volume.grid.plane_positions_mm
    where = (Location("slices", {"p_mm": [float(p_mm[planes[int(np.argmax(shares))]])]}),)
    return Measured(
        float(np.median(shares)), where=where, evidence={"planes_used": float(len(shares)), "largest": max(shares)}
    )
