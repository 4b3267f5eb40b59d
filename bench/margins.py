"""Margins around spheres of known volume, 1 x 1 x 3 mm: radgate, and growing from voxel centres as many programs do.

The limit holds for the mean over spheres at random places between the voxels, and for the worst of 60 places. A single
sphere scatters around the mean, because the voxels that stand for it, in and out, do: the last columns show by how much
the voxels of the drawn sphere and of the true grown one miss their volumes before anything is computed. Shrinking and a
cylinder are printed without a limit.

On other grids the error is taken apart. Handed on is the error of a perfect margin around a sphere of the drawn voxels'
volume, added is the rest. What no program can tell is how far spheres of the very same voxels differ once they are
grown: half that range is the least that the worse of two of them is off, whatever is computed from the voxels.

Run with `python -m bench.margins`.
"""

import sys
import time
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, binary_erosion, distance_transform_edt
from scipy.optimize import linprog

from contouring.margins import Margin, grow, shrink
from contouring.volumes import volume_cc
from imaging.geometry import Grid
from imaging.volume import Region

__all__ = ["main"]

SPACING = (3.0, 1.0, 1.0)
SEEDS = 12
LIMIT_PERCENT = 1.0
LIMIT_FROM_RADIUS_MM = 10.0
MANY_SEEDS = 60
UNEVEN = "uneven slices"
GRIDS: dict[str, tuple[tuple[float, float, float], tuple[float, ...]]] = {
    UNEVEN: ((3.0, 1.0, 0.9), (0.7, 1.0, 1.4)),
    "PET 2 mm": ((3.0, 2.04, 2.04), (1.0,)),
    "PET 4 mm": ((3.27, 4.07, 4.0), (1.0,)),
    "PET 5.5 mm": ((3.27, 5.47, 5.47), (1.0,)),
}
"""Spacing, and distances of slices as shares of it; on those of PET the drawn voxels alone miss the limit."""

LINEAR_STEPS = 3

CYLINDER_MM = (12.0, 26.0)
"""Radius and height."""


def make_sphere(radius_mm: float, margin_mm: float, seed: int) -> tuple[Grid, NDArray[np.bool_]]:
    """A sphere at a random place between the voxels."""
    grid, (z, y, x) = _around(radius_mm + margin_mm, seed)
    return grid, np.asarray(z**2 + y**2 + x**2 < radius_mm**2)


def make_cylinder(margin_mm: float, seed: int) -> tuple[Grid, NDArray[np.bool_]]:
    """An upright cylinder at a random place between the voxels."""
    radius, height = CYLINDER_MM
    grid, (z, y, x) = _around(max(radius, height / 2) + margin_mm, seed)
    return grid, np.asarray((np.abs(z) < height / 2) & (y**2 + x**2 < radius**2))


def _around(half_mm: float, seed: int) -> tuple[Grid, list[NDArray[np.float64]]]:
    """A grid, and how far each of its voxels lies from a random place in its middle, along z, y and x."""
    reach = [int(np.ceil(half_mm / s)) + 3 for s in SPACING]
    planes, rows, columns = (2 * n + 1 for n in reach)
    centre = np.random.default_rng(seed).random(3) * SPACING
    z, y, x = np.meshgrid(*(np.arange(-n, n + 1) * s for n, s in zip(reach, SPACING, strict=True)), indexing="ij")
    grid = Grid(
        np.arange(planes)[:, None] * np.array([0, 0, SPACING[0]]) + [11.0, -7.0, 130.0],
        np.array([1.0, 0, 0]), np.array([0, 1.0, 0]), SPACING[1:], rows, columns, "1.2.3",
    )  # fmt: skip
    return grid, [z - centre[0], y - centre[1], x - centre[2]]


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


def many_places_percent() -> tuple[list[float], list[float]]:
    """Volume errors of spheres of 10 mm at many places, grown by 5 mm, and of their own voxels."""
    grown, drawn = [], []
    for seed in range(MANY_SEEDS):
        grid, mask = make_sphere(10.0, 5.0, seed)
        grown.append(excess_percent(grow(Region.from_mask(mask), grid, Margin.uniform(5.0)).voxel_count, 15.0))
        drawn.append(excess_percent(int(mask.sum()), 10.0))
    return grown, drawn


@dataclass
class Errors:
    """Volume errors in percent, one for each place.

    Parameters
    ----------
    drawn, grown
        Of the voxels of spheres, and of those grown.
    handed_on
        Of a perfect margin around spheres of the drawn volume.
    unknowable
        Half the range of perfect margins around the spheres that have the same voxels.
    """

    drawn: list[float] = field(default_factory=list)
    grown: list[float] = field(default_factory=list)
    handed_on: list[float] = field(default_factory=list)
    unknowable: list[float] = field(default_factory=list)

    @property
    def added(self) -> list[float]:
        """What the margin itself adds to the error that it was handed."""
        return [grown - handed for grown, handed in zip(self.grown, self.handed_on, strict=True)]


def other_grids() -> list[tuple[str, float, Errors]]:
    """Name of the grid, radius, and the errors of spheres and of those grown by 5 mm."""
    rows = []
    for name, (spacing, steps) in GRIDS.items():
        for radius in (10.0, 15.0, 20.0):
            errors, whole_mm3 = Errors(), 4 / 3 * np.pi * (radius + 5) ** 3
            for seed in range(SEEDS):
                grid, mask = make_sphere_on(spacing, steps, radius, 5.0, seed)
                region = Region.from_mask(mask)
                drawn_mm3 = 1000 * volume_cc(region, grid)
                grown_mm3 = 1000 * volume_cc(grow(region, grid, Margin.uniform(5.0)), grid)
                errors.drawn.append(100 * (drawn_mm3 / (4 / 3 * np.pi * radius**3) - 1))
                errors.grown.append(100 * (grown_mm3 / whole_mm3 - 1))
                equal_mm = np.cbrt(drawn_mm3 / (4 / 3 * np.pi))
                errors.handed_on.append(100 * (((equal_mm + 5) / (radius + 5)) ** 3 - 1))
                low_mm, high_mm = radii_of_the_same_voxels(grid, mask)
                errors.unknowable.append(50 * ((high_mm + 5) ** 3 - (low_mm + 5) ** 3) / (radius + 5) ** 3)
            rows.append((name, radius, errors))
    return rows


def radii_of_the_same_voxels(grid: Grid, mask: NDArray[np.bool_]) -> tuple[float, float]:
    """Radii (mm) of two spheres, a small and a large one, that have exactly the voxels of a mask.

    The square distance of a voxel p from a centre c is at most R^2 where |p|^2 <= 2 p.c + (R^2 - |c|^2): linear in c
    and in what stands in brackets, so that a linear programme finds the ends. |c|^2, a few hundredths of R^2, is
    approached by repeating it, so that there may be spheres beyond, and the range is the least there is.
    """
    near = binary_dilation(mask, iterations=2) & ~binary_erosion(mask, iterations=2)
    k, j, i = np.nonzero(near)
    points = grid.points_lps(k, np.stack([i, j], axis=1))
    points = points - points.mean(axis=0)
    sign = np.where(mask[near], 1.0, -1.0)
    sides = np.concatenate([-2 * points, -np.ones((len(points), 1))], axis=1) * sign[:, None]
    limits = -(points**2).sum(axis=1) * sign
    radii = []
    for way in (1.0, -1.0):
        centre = np.zeros(3)
        for _ in range(LINEAR_STEPS):
            found = linprog(way * np.append(2 * centre, 1.0), sides, limits, bounds=(None, None)).x
            centre = found[:3]
        radii.append(float(np.sqrt(found[3] + centre @ centre)))
    return radii[0], radii[1]


def make_sphere_on(
    spacing: tuple[float, float, float], steps: tuple[float, ...], radius_mm: float, margin_mm: float, seed: int
) -> tuple[Grid, NDArray[np.bool_]]:
    """A sphere at a random place on slices whose distances are drawn from `steps`, as shares of the spacing."""
    rng = np.random.default_rng(seed)
    half = radius_mm + margin_mm + 2 * max(spacing) * max(steps)
    along = np.concatenate([[0.0], np.cumsum(spacing[0] * rng.choice(steps, int(4 * half / spacing[0] / min(steps))))])
    along = along[along <= 2 * half + spacing[0]]
    rows, columns = (int(2 * half / s) + n for s, n in zip(spacing[1:], (1, 4), strict=True))
    grid = Grid(
        along[:, None] * np.array([0, 0, 1.0]) + [11.0, -7.0, 130.0],
        np.array([1.0, 0, 0]), np.array([0, 1.0, 0]), spacing[1:], rows, columns, "1.2.3",
    )  # fmt: skip
    centre = np.array([half, half, half]) + (rng.random(3) - 0.5) * spacing
    z, y, x = np.meshgrid(along, np.arange(rows) * spacing[1], np.arange(columns) * spacing[2], indexing="ij")
    return grid, np.asarray((z - centre[0]) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2 < radius_mm**2)


def shrunk_percent() -> tuple[list[float], list[float]]:
    """Volume errors of spheres of 10 mm shrunk by 3 mm, and of the voxels of the true ones of 7 mm."""
    own, true = [], []
    for seed in range(SEEDS):
        grid, mask = make_sphere(10.0, 0.0, seed)
        own.append(excess_percent(shrink(Region.from_mask(mask), grid, Margin.uniform(3.0)).voxel_count, 7.0))
        true.append(excess_percent(int(make_sphere(7.0, 0.0, seed)[1].sum()), 7.0))
    return own, true


def cylinder_percent() -> tuple[list[float], list[float]]:
    """Volume errors of a cylinder grown by 5 mm (Steiner's formula, with rounded edges), and of its own voxels."""
    (radius, height), m = CYLINDER_MM, 5.0
    surface = 2 * np.pi * radius * (radius + height)
    truth = np.pi * radius**2 * height + m * surface + m**2 * np.pi * (height + np.pi * radius) + 4 / 3 * np.pi * m**3
    grown, drawn, voxel = [], [], float(np.prod(SPACING))
    for seed in range(SEEDS):
        grid, mask = make_cylinder(m, seed)
        voxels = grow(Region.from_mask(mask), grid, Margin.uniform(m)).voxel_count
        grown.append(100 * (voxels * voxel / float(truth) - 1))
        drawn.append(100 * (int(mask.sum()) * voxel / (np.pi * radius**2 * height) - 1))
    return grown, drawn


def _range(errors: list[float]) -> str:
    return f"{np.mean(errors):+.2f} % ({min(errors):+.2f} to {max(errors):+.2f})"


def main() -> int:
    """Print errors; 1 where for spheres of 10 mm and more the mean error or that of a single place is above 1 %."""
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
    grown, drawn = many_places_percent()
    is_good &= max(map(abs, grown)) <= LIMIT_PERCENT
    print(f"R 10 mm + 5 mm at {MANY_SEEDS} places: {_range(grown)}   drawn voxels alone {_range(drawn)}")
    for name, radius, errors in other_grids():
        is_good &= name != UNEVEN or max(map(abs, errors.grown)) <= LIMIT_PERCENT
        print(
            f"{name}, R {radius:.0f} mm + 5 mm: {_range(errors.grown)}   drawn voxels alone {_range(errors.drawn)}, "
            f"handed on {_range(errors.handed_on)}, added {_range(errors.added)}   what the voxels leave open: "
            f"+-{np.mean(errors.unknowable):.2f} % (to {max(errors.unknowable):.2f})"
        )
    own, true = shrunk_percent()
    print(f"R 10 mm - 3 mm: {_range(own)}   voxels of the true sphere alone {_range(true)}")
    cylinders, cut = cylinder_percent()
    name = "cylinder {:.0f} x {:.0f} mm".format(*CYLINDER_MM)
    print(f"{name} + 5 mm: {_range(cylinders)}   drawn voxels alone {_range(cut)}")
    print(
        f"limit: {LIMIT_PERCENT:.0f} % for the means from {LIMIT_FROM_RADIUS_MM:.0f} mm on and for each of the places"
    )
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
