"""Noise of a PET in the liver."""

import numpy as np
from scipy import ndimage

from qc.image.inputs import Inputs
from qc.image.organs import organ
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location

SPHERE_MM = 15.0
FEWEST_VOXELS = 60


@check(
    "pt.liver_cov",
    version="1.0.0",
    title=("肝脏噪声", "Noise in the liver"),
    unit="1",
    direction="higher_worse",
    settles="final",
    uncertainty=0.005,
    modalities=("PT",),
    needs=("headers", "pixels", "stack", "masks:Liver"),
    source="Specification of image quality, 3.4: standard deviation over mean in a sphere of 30 mm in the liver",
    causes={
        "noisy": Advice(
            "exposure_low",
            "肝脏变异系数 {value:.2f}，计数不足",
            "Coefficient of variation of {value:.2f} in the liver: too few counts",
            "longer_bed",
            "technician",
            "请延长床位时间或核对注射活度",
            "Scan longer per bed, or check the injected activity",
            now=True,
        ),
    },
)
def liver_cov(inputs: Inputs) -> Measured | NotEvaluable:
    """Coefficient of variation in the sphere about the liver's deepest point."""
    region = organ(inputs, "Liver")
    if inputs.volume is None or region is None:
        return NotEvaluable("no_volume" if inputs.volume is None else "needs_mask")
    spacing = inputs.volume.spacing_mm
    depth = ndimage.distance_transform_edt(np.pad(region.crop, 1), sampling=spacing)[1:-1, 1:-1, 1:-1]
    centre = np.unravel_index(int(depth.argmax()), depth.shape)
    axes = np.ogrid[tuple(slice(0, n) for n in depth.shape)]
    distance2 = sum(((axis - c) * mm) ** 2 for axis, c, mm in zip(axes, centre, spacing, strict=True))
    values = inputs.volume.array[region.box][(distance2 <= SPHERE_MM**2) & region.crop].astype(np.float64)
    if len(values) < FEWEST_VOXELS or values.mean() <= 0:
        return NotEvaluable("too_few_pixels", {"voxels": float(len(values))})
    plane = region.box[0].start + int(centre[0])
    where = (Location("slices", {"p_mm": [float(inputs.volume.grid.plane_positions_mm[plane])]}),)
    return Measured(
        float(values.std() / values.mean()),
        where=where,
        evidence={"voxels": float(len(values)), "mean": float(values.mean())},
    )
