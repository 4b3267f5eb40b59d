"""Breathing between PET and CT: how far the lungs of the CT lie from those of the PET."""

import numpy as np
from numpy.typing import NDArray

from qc.image.companion import pair_of
from qc.image.inputs import Inputs
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location

LARGEST_MM = 60.0
FEWEST_VOXELS = 300


@check(
    "pt.ct_align",
    version="1.0.0",
    title=("PET-CT 呼吸错位", "PET against CT along the body"),
    unit="mm",
    direction="higher_worse",
    settles="final",
    uncertainty=2,
    modalities=("PT",),
    needs=("headers", "pixels", "stack"),
    source="Radgate: displacement along the body at which the lungs of the CT fit the cold part of the PET best",
    causes={
        "dome": Advice(
            "breathing",
            "PET 与 CT 膈顶相差约 {value:.0f} mm",
            "The diaphragm of PET and CT differ by about {value:.0f} mm",
            "repeat_ct",
            "technician",
            "请在平静呼吸下补扫胸腹 CT 并重新衰减校正",
            "Repeat the CT of chest and abdomen at quiet breathing, and correct attenuation again",
            now=True,
        ),
    },
)
def ct_align(inputs: Inputs) -> Measured | NotEvaluable:
    """Displacement along the normal, mm."""
    if inputs.volume is None:
        return NotEvaluable("no_volume")
    pair = None if inputs.companion is None else pair_of(inputs.volume, inputs.companion)
    if pair is None:
        return NotEvaluable("series_incomplete")
    lungs = pair.ct_lungs().astype(np.float64)
    body = pair.pet_body()
    if np.count_nonzero(lungs) < FEWEST_VOXELS or np.count_nonzero(body) < FEWEST_VOXELS:
        return NotEvaluable("no_region")
    usual = float(np.median(pair.uptake[body & (lungs == 0)]))
    cold = np.where(body, np.clip(1 - pair.uptake / usual, -1, 1), 0.0)
    dz = pair.spacing_mm[0]
    reach = min(int(LARGEST_MM / dz), len(lungs) // 3)
    shifts = np.arange(-reach, reach + 1)
    fits = np.array([_fit(cold, lungs, int(n)) for n in shifts])
    best = int(fits.argmax())
    place = float(shifts[best])
    if 0 < best < len(fits) - 1:
        before, here, after = fits[best - 1 : best + 2]
        bend = float(before - 2 * here + after)
        place += 0.5 * float(before - after) / bend if bend < 0 else 0.0
    p_mm = inputs.volume.grid.plane_positions_mm
    held = np.flatnonzero(lungs.any(axis=(1, 2)))
    where = (Location("slices", {"p_mm": [float(p_mm[held[0]]), float(p_mm[held[-1]])]}),)
    return Measured(abs(place) * dz, where=where, evidence={"signed_mm": place * dz, "correlation": float(fits[best])})


def _fit(cold: NDArray[np.float64], lungs: NDArray[np.float64], planes: int) -> float:
    """Correlation of the PET's cold part with the lungs displaced by so many planes."""
    first, second = (cold[planes:], lungs[: len(lungs) - planes]) if planes >= 0 else (cold[:planes], lungs[-planes:])
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1]) if first.std() and second.std() else -1.0
