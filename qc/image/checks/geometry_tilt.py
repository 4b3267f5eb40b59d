"""Gantry tilt: the angle between the slices' normal and the way from slice to slice."""

import numpy as np

from qc.image.inputs import Inputs
from qc.image.registry import Advice, Measured, NotEvaluable, check

ROUNDING_MM = 0.01
"""In-plane origins written with two decimals look tilted by this much over the length of the series."""


@check(
    "gen.geometry.tilt",
    version="1.0.0",
    title=("机架倾斜", "Gantry tilt"),
    unit="deg",
    direction="higher_worse",
    settles="early",
    needs=("headers", "stack"),
    source="DICOM PS3.3 C.7.6.2.1.1; angle between the normal and the step from the first to the last origin",
    causes={
        "tilt": Advice(
            "protocol",
            "切面相对扫描轴倾斜 {value:.1f}°",
            "The slices are tilted by {value:.1f} deg against the scan axis",
            "reconstruct_untilted",
            "technician",
            "请以零倾角重新扫描或重建后发送",
            "Scan or reconstruct without tilt and send again",
            now=True,
        )
    },
)
def tilt(inputs: Inputs) -> Measured | NotEvaluable:
    """Tilt in degrees from the geometry; the header's own angle is evidence."""
    planes = inputs.planes
    if planes is None:
        return NotEvaluable("missing_tag")
    keep = planes.distinct
    if len(keep) < 2:
        return NotEvaluable("too_few_slices", {"planes": float(len(keep))})
    way = planes.origins_lps[keep[-1]] - planes.origins_lps[keep[0]]
    along = float(way @ planes.normal)
    across = float(np.linalg.norm(way - along * planes.normal))
    evidence: dict[str, float | str] = {"way_along_mm": along, "way_across_mm": across}
    stated = inputs.number("GantryDetectorTilt")
    if stated is not None:
        evidence["stated_deg"] = stated
    return Measured(
        float(np.degrees(np.arctan2(across, along))),
        evidence=evidence,
        uncertainty=float(np.degrees(np.arctan2(ROUNDING_MM, along))),
    )
