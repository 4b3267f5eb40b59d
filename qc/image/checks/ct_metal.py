"""Metal, and how much it spoils the tissue around it."""

import numpy as np
from scipy import ndimage

from qc.image.inputs import Inputs
from qc.image.pixels import evenly_chosen
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location

METAL_HU = 2500.0
SHELL_MM = (10.0, 30.0)
TISSUE_HU = (-300.0, 400.0)
MOST_PLANES = 8
"""Planes on which streaks are measured; the volume of metal comes from all planes."""


@check(
    "ct.metal",
    version="1.0.0",
    title=("金属", "Metal"),
    unit="cm3",
    direction="higher_worse",
    settles="early",
    by_plane="sum",
    modalities=("CT",),
    needs=("headers", "pixels"),
    source="Radgate: volume above 2500 HU; spread of tissue 10 to 30 mm around it",
    causes={
        "metal": Advice(
            "metal",
            "有金属约 {value:.1f} cm³，周围组织 CT 值波动 {streak_hu:.0f} HU",
            "About {value:.1f} cm3 of metal; the tissue around it varies by {streak_hu:.0f} HU",
            "metal_reduction",
            "technician",
            "请用去金属伪影算法重建；放疗计划须核对伪影区密度",
            "Reconstruct with metal reduction; for planning, check the density where the streaks are",
        )
    },
)
def metal(inputs: Inputs) -> Measured | NotEvaluable:
    """Volume above 2500 HU in cubic centimetres; the spread of tissue around it is evidence."""
    if inputs.volume is None:
        return NotEvaluable("no_volume")
    volume = inputs.volume
    voxel_mm3 = float(np.prod(volume.spacing_mm))
    counts = np.array([np.count_nonzero(plane > METAL_HU) for plane in volume.array])
    value = float(counts.sum()) * voxel_mm3 / 1000
    planes = np.flatnonzero(counts)
    p_mm = volume.grid.plane_positions_mm
    streaks = (
        [_streak_hu(inputs, int(k)) for k in planes[evenly_chosen(len(planes), MOST_PLANES)]] if len(planes) else []
    )
    streak = float(np.median(streaks)) if streaks else 0.0
    return Measured(
        value,
        where=(Location("slices", {"p_mm": [float(p) for p in p_mm[planes][:200]]}),) if len(planes) else (),
        params={"streak_hu": streak},
        evidence={"voxels": float(counts.sum()), "planes": float(len(planes)), "streak_hu": streak},
        # One voxel more or less at the surface of what is found.
        uncertainty=voxel_mm3 / 1000 * float(counts.sum()) ** 0.5,
    )


def _streak_hu(inputs: Inputs, plane: int) -> float:
    """Half the distance of the 16th and 84th percentile of tissue near the metal of one plane, HU."""
    if inputs.volume is None:
        return 0.0
    pixels = inputs.volume.array[plane]
    spacing = inputs.volume.grid.pixel_spacing_mm
    rows, columns = np.nonzero(pixels > METAL_HU)
    margin = [int(SHELL_MM[1] / mm) + 1 for mm in spacing]
    box = (
        slice(max(0, rows.min() - margin[0]), rows.max() + margin[0] + 1),
        slice(max(0, columns.min() - margin[1]), columns.max() + margin[1] + 1),
    )
    crop = pixels[box]
    distance = ndimage.distance_transform_edt(crop <= METAL_HU, sampling=spacing)
    shell = (distance >= SHELL_MM[0]) & (distance <= SHELL_MM[1]) & (crop > TISSUE_HU[0]) & (crop < TISSUE_HU[1])
    if np.count_nonzero(shell) < 100:
        return 0.0
    low, high = np.percentile(crop[shell], [16, 84])
    return float(high - low) / 2
