"""A chest in a CT: lungs with apices and domes, a heart on the left, a trachea, a spine, a couch behind.

Defects of known severity are planted by its fields; equal seeds give equal arrays.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from imaging.geometry import Grid
from imaging.volume import Region, Volume
from qc.image.inputs import Inputs
from tests.qc.bodies import edited, volume_inputs
from tests.synthetic.series import SeriesDescription

__all__ = ["CHEST", "Chest", "chest_inputs", "chest_with_organs", "phases_inputs"]

CHEST = SeriesDescription(
    rows=98, columns=131, pixel_spacing_mm=(3.0, 2.7), planes=43, plane_spacing_mm=7.0, signed=True, intercept=0.0
)

DOME_PLANE = 12
"""Up to this plane a dome is displaced."""


@dataclass(frozen=True)
class Chest:
    """What is planted.

    Parameters
    ----------
    lung_hu
        CT number of the lungs.
    cut_mm
        How much of the lungs lies beyond the last slice.
    step_mm
        Displacement of the upper half of the slices along the rows.
    dome_mm
        Displacement of the lungs along z in the lowest slices, as of another breath.
    mirrored, upside_down, couch_in_front
        Left and right, head and foot, or the couch on the wrong side.
    couch_half_mm
        Half of the couch's width; 0 for none.
    inflation
        Height of the lungs below their apex, as a share of the usual.
    """

    lung_hu: float = -840.0
    sigma_hu: float = 9.0
    cut_mm: float = 0.0
    step_mm: float = 0.0
    dome_mm: float = 0.0
    mirrored: bool = False
    upside_down: bool = False
    couch_in_front: bool = False
    couch_half_mm: float = 155.0
    inflation: float = 1.0
    seed: int = 1

    def values(self, grid: Grid) -> NDArray[np.int16]:
        """HU on a grid; x runs with the columns, y with the rows, z with the planes."""
        dy, dx = grid.pixel_spacing_mm
        y = (np.arange(grid.rows) - (grid.rows - 1) / 2)[:, None] * dy + 11.0
        x = (np.arange(grid.columns) - (grid.columns - 1) / 2)[None, :] * dx - 3.0
        z_mm = (np.arange(grid.shape[0]) - (grid.shape[0] - 1) / 2) * grid.slice_spacing_mm
        planes = [
            self.plane(-x if self.mirrored else x, y, -z if self.upside_down else z, self._lungs_mm(n))
            for n, z in enumerate(z_mm)
        ]
        middle = len(planes) // 2
        moved = [
            ndimage.shift(p, (0, self.step_mm / dx), order=1, mode="nearest") if n > middle else p
            for n, p in enumerate(planes)
        ]
        noise = np.random.default_rng(self.seed).normal(0, self.sigma_hu, grid.shape)
        return np.asarray(np.round(np.stack(moved) + noise), dtype=np.int16)

    def _lungs_mm(self, number: int) -> float:
        """How far the lungs of a plane are displaced towards the feet."""
        return (46.0 + self.cut_mm if self.cut_mm else 0.0) + (self.dome_mm if number <= DOME_PLANE else 0.0)

    def plane(self, x: NDArray[Any], y: NDArray[Any], z: float, lungs_mm: float = 0.0) -> NDArray[np.float64]:
        """HU at points of one plane, the lungs displaced by so much towards the feet."""
        lung_z = 100 - (100 - z) / self.inflation + lungs_mm
        plane = np.full((len(y), x.shape[1]), -1000.0)
        scale = 1 - 0.12 * np.clip(z / 150, 0, 1)
        plane[(x / (158 * scale)) ** 2 + (y / (104 * scale)) ** 2 < 1] = -105
        plane[(x / (137 * scale)) ** 2 + (y / (83 * scale)) ** 2 < 1] = 45
        taper = np.clip((lung_z + 100) / 200, 0, None)
        if -100 < lung_z < 100:
            size = np.sqrt(1 - taper**2) if taper < 1 else 0.0
            for side in (-1, 1):
                centre = side * (72 - 22 * taper)
                lung = ((x - centre) / (55 * size)) ** 2 + (y / (72 * size)) ** 2 < 1
                dome = 1 - ((lung_z + 125) / 85) ** 2
                if dome > 0:
                    lung &= ((x - side * 66) / (53 * np.sqrt(dome))) ** 2 + ((y + 5) / (66 * np.sqrt(dome))) ** 2 >= 1
                plane[lung] = self.lung_hu
            heart = 1 - ((lung_z + 25) / 60) ** 2
            if heart > 0:
                plane[((x - 34) / (52 * np.sqrt(heart))) ** 2 + ((y + 30) / (40 * np.sqrt(heart))) ** 2 < 1] = 42
        if lung_z > 5:
            plane[np.hypot(x, y - 14) < 8] = -990
        plane[(x / 17) ** 2 + ((y - 62) / 16) ** 2 < 1] = 420
        if self.couch_half_mm:
            # Not quite flat, as a couch top is.
            behind = -y if self.couch_in_front else y
            top = 124 - 0.0006 * x**2
            plane[(np.abs(x) < self.couch_half_mm) & (behind > top) & (behind < top + 12)] = -100
        return np.asarray(ndimage.gaussian_filter(plane, 0.6))


def chest_inputs(chest: Chest | None = None, /, position: str = "HFS", **changes: Any) -> Inputs:
    """Inputs of the checks for a CT of a chest; `changes` are fields of the chest."""
    return _made(replace(chest or Chest(), **changes), position)


@lru_cache(maxsize=12)
def _made(chest: Chest, position: str) -> Inputs:
    return edited(volume_inputs(chest.values(CHEST.grid()), CHEST), PatientPosition=position, BodyPartExamined="CHEST")


def chest_with_organs(
    seed: int = 1, tags: dict[str, str] | None = None, cut_mm: float = 0.0, **organs_hu: float
) -> Inputs:
    """A chest with cylinders of given CT numbers, and their masks; `cut_mm` of each lies beyond the first slice."""
    inputs = chest_inputs(seed=seed)
    assert inputs.volume is not None
    values = inputs.volume.array.copy()
    rng = np.random.default_rng(seed + 77)
    masks = {}
    for number, (name, hu) in enumerate(organs_hu.items()):
        mask = np.zeros(values.shape, dtype=np.bool_)
        row, column = 46 + 2 * number, 32 + 15 * number
        y, x = np.ogrid[: values.shape[1], : values.shape[2]]
        for plane, z in enumerate(np.arange(values.shape[0]) * 7.0 - 10.5 + cut_mm):
            if 0 <= z < 96:
                half = 17 * np.sqrt(1 - ((z - 48) / 48) ** 2)
                mask[plane] = np.hypot((y - row) * 3.0, (x - column) * 2.7) < half
        values[mask] = np.round(hu + rng.normal(0, 9, int(mask.sum()))).astype(np.int16)
        masks[name] = Region.from_mask(mask)
    made = replace(volume_inputs(values, CHEST), masks=masks)
    return edited(made, PatientPosition="HFS", **{"SeriesDescription": "", "ProtocolName": "", **(tags or {})})


def phases_inputs(count: int = 10, step_mm: float = 0.0, unequal: bool = False, seed: int = 1) -> Inputs:
    """A four-dimensional CT; the upper half of phase 3 is displaced by a step, as of another breath."""
    grids = [CHEST.grid() for _ in range(count)]
    if unequal:
        grids[2] = replace(CHEST, origin_lps=(-31.5, 42.25, -110.5)).grid()
    frames = []
    for number, grid in enumerate(grids):
        chest = Chest(step_mm=step_mm if number == 3 else 0.0, seed=100 * seed + number)
        frames.append(Volume(chest.values(grid), grid, unit="[hnsf'U]"))
    inputs = volume_inputs(frames[0].array, CHEST) if frames else chest_inputs()
    return replace(inputs, frames=tuple(frames), order={"Phases": "10"})
