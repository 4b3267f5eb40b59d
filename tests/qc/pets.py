"""A PET of the chest with its CT: displaced against each other, noisy, or with activity at the injection site."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imaging.volume import Region, Volume
from qc.image.inputs import Inputs
from tests.qc.bodies import volume_inputs
from tests.qc.chest import CHEST, Chest
from tests.synthetic.series import SeriesDescription

__all__ = ["PET_CHEST", "pet_ct", "pet_liver"]

PET_CHEST = SeriesDescription(
    modality="PT",
    rows=74,
    columns=92,
    pixel_spacing_mm=(3.9, 3.7),
    planes=43,
    plane_spacing_mm=7.0,
    slope=1.0,
    intercept=0.0,
)


def pet_ct(
    dome_mm: float = 0.0, side_mm: float = 0.0, focus_percent: float = 0.0, seed: int = 1, with_ct: bool = True
) -> Inputs:
    """A PET whose lungs or body are displaced against the CT; a focus at the side holds a share of the activity."""
    chest = Chest(sigma_hu=0, couch_half_mm=0)
    moved = _values(chest, dome_mm, side_mm)
    rng = np.random.default_rng(seed)
    uptake = np.where(moved > -300, 4000.0, np.where(moved > -950, 900.0, 0.0))
    uptake = np.clip(uptake * rng.normal(1, 0.08, uptake.shape), 0, None)
    if focus_percent:
        body = np.flatnonzero((uptake[20] > 1000).any(axis=0))
        spot = (slice(19, 21), slice(36, 39), slice(int(body[0]) + 1, int(body[0]) + 4))
        uptake[spot] = uptake.sum() * focus_percent / 100 / uptake[spot].size
    array = np.round(uptake).astype(np.float32)
    made = volume_inputs(np.minimum(array, 60000), PET_CHEST)
    made = replace(made, volume=Volume(array, PET_CHEST.grid()))
    ct_grid = CHEST.grid()
    ct = Volume(Chest(seed=seed).values(ct_grid), ct_grid, unit="[hnsf'U]")
    return replace(made, companion=ct if with_ct else None)


def _values(chest: Chest, dome_mm: float, side_mm: float) -> NDArray[Any]:
    """The chest on the PET's pixels, everything displaced along z or sideways."""
    grid = PET_CHEST.grid()
    dy, dx = grid.pixel_spacing_mm
    # Both grids begin at the same corner; the chest lies about the middle of the CT.
    ct = CHEST.grid()
    y = (np.arange(grid.rows) * dy - (ct.rows - 1) / 2 * ct.pixel_spacing_mm[0])[:, None] + 11.0
    x = (np.arange(grid.columns) * dx - (ct.columns - 1) / 2 * ct.pixel_spacing_mm[1])[None, :] - 3.0 - side_mm
    z = (np.arange(grid.shape[0]) - (grid.shape[0] - 1) / 2) * grid.slice_spacing_mm
    return np.stack([chest.plane(x, y, float(v), dome_mm) for v in z])


def pet_liver(cov: float = 0.08, suv: float = 2.2, seed: int = 1, with_mask: bool = True) -> Inputs:
    """A PET in becquerel with a liver of given uptake (SUV by body weight) and noise."""
    z, y, x = np.ogrid[:43, :74, :92]
    mask = (((z - 13) * 7 / 62) ** 2 + ((y - 40) * 3.9 / 72) ** 2 + ((x - 34) * 3.7 / 66) ** 2) < 1
    # Header: 61 kg, 350 MBq, half-life 6586.2 s, one hour from injection to the start of the series.
    factor = 61e3 / (350e6 * 2 ** (-3600 / 6586.2))
    rng = np.random.default_rng(seed)
    body = np.where(((y - 37) * 3.9 / 105) ** 2 + ((x - 46) * 3.7 / 150) ** 2 < 1, 0.8, 0.0) * np.ones((43, 1, 1))
    body[mask] = suv
    array = np.clip(body / factor * rng.normal(1, cov, body.shape), 0, None).astype(np.float32)
    made = volume_inputs(np.minimum(array, 60000), PET_CHEST)
    masks = {"Liver": Region.from_mask(mask)} if with_mask else {}
    return replace(made, volume=Volume(array, PET_CHEST.grid()), masks=masks)
