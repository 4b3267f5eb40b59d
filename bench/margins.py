"""Margins around spheres of known volume, 1 x 1 x 3 mm: radgate, and growing from voxel centres as many programs do.

The limit holds for the mean over spheres at random places between the voxels. A single sphere scatters around it,
because the voxels that stand for it, in and out, do: the last columns show by how much the voxels of the drawn sphere
and of the true grown one miss their volumes before anything is computed.

Run with `python -m bench.margins`.
"""

import sys
import time

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from contouring.margins import Margin, grow
from imaging.geometry import Grid
from imaging.volume import Region

__all__ = ["main"]

SPACING = (3.0, 1.0, 1.0)
SEEDS = 12
LIMIT_PERCENT = 1.0
LIMIT_FROM_RADIUS_MM = 10.0


def make_sphere(radius_mm: float, margin_mm: float, seed: int) -> tuple[Grid, NDArray[np.bool_]]:
    """A sphere at a random place between the voxels."""
    reach = [int(np.ceil((radius_mm + margin_mm) / s)) + 3 for s in SPACING]
    planes, rows, columns = (2 * n + 1 for n in reach)
    centre = np.random.default_rng(seed).random(3) * SPACING
    z, y, x = np.meshgrid(*(np.arange(-n, n + 1) * s for n, s in zip(reach, SPACING, strict=True)), indexing="ij")
    mask = (z - centre[0]) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2 < radius_mm**2
    grid = Grid(
        np.arange(planes)[:, None] * np.array([0, 0, SPACING[0]]) + [11.0, -7.0, 130.0],
        np.array([1.0, 0, 0]), np.array([0, 1.0, 0]), SPACING[1:], rows, columns, "1.2.3",
    )  # fmt: skip
    return grid, np.asarray(mask)


def errors_percent(radius_mm: float, margin_mm: float) -> tuple[list[float], list[float], float]:
    """Volume errors of radgate and of voxel centres, for each seed, and radgate's seconds for one."""
    own, centres, seconds = [], [], 0.0
    for seed in range(SEEDS):
        grid, mask = make_sphere(radius_mm, margin_mm, seed)
        region = Region.from_mask(mask)
        begin = time.perf_counter()
        grown = grow(region, grid, Margin.uniform(margin_mm))
        seconds += (time.perf_counter() - begin) / SEEDS
        own.append(excess_percent(grown.voxel_count, radius_mm + margin_mm))
        near = distance_transform_edt(~mask, sampling=SPACING) <= margin_mm
        centres.append(excess_percent(int(near.sum()), radius_mm + margin_mm))
    return own, centres, seconds


def sampling_percent(radius_mm: float, margin_mm: float) -> float:
    """Largest miss, over the seeds, of the volume of a true sphere by its own voxels."""
    masks = (make_sphere(radius_mm, margin_mm, seed)[1] for seed in range(SEEDS))
    return max(abs(excess_percent(int(mask.sum()), radius_mm)) for mask in masks)


def excess_percent(voxels: int, radius_mm: float) -> float:
    """By how much voxels exceed the volume of a sphere."""
    return 100 * (voxels * float(np.prod(SPACING)) / (4 / 3 * np.pi * radius_mm**3) - 1)


def main() -> int:
    """Print errors; 1 where the mean error for spheres of 10 mm and more is above 1 %."""
    is_good = True
    for radius in (5.0, 10.0, 20.0, 30.0):
        for margin in (3.0, 5.0, 10.0):
            own, centres, seconds = errors_percent(radius, margin)
            mean = float(np.mean(own))
            is_good &= abs(mean) <= LIMIT_PERCENT or radius < LIMIT_FROM_RADIUS_MM
            print(
                f"R {radius:4.0f} mm + {margin:4.0f} mm: radgate {mean:+.2f} % ({min(own):+.2f} to {max(own):+.2f})   "
                f"voxel centres {np.mean(centres):+.2f} %   {seconds:.3f} s   "
                f"sampling alone: in {sampling_percent(radius, 0.0):.2f} %, "
                f"out {sampling_percent(radius + margin, 0.0):.2f} %"
            )
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
