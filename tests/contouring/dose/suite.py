"""The analytic suite as a whole: every shape, two gradient axes, three plane distances, several sub-voxel phases.

`python -m tests.contouring.dose.suite` prints the statistic that the test asserts.
"""

import math
from dataclasses import dataclass

import numpy as np

from contouring.dose import dose_volume_histogram
from contouring.shapes import Shape, cone, cylinder, ellipsoid, hollow_sphere, sphere, straw, torus
from tests.contouring.dose import truth
from tests.contouring.dose.making import CENTRE, HFS, dose_of, grid_around, linear, structure

__all__ = ["SHAPES", "Statistic", "run_suite"]

D0 = 30.0
SHARES = (99.0, 95.0, 50.0, 5.0, 1.0)
STEPS_MM = (1.0, 2.0, 3.0)
PHASES_MM = ((0.0, 0.0, 0.0), (0.13, 0.31, 0.07), (0.24, 0.11, 0.19))
"""How far everything is moved against the lattice of the sub-voxels and the grid of the dose."""

Volumes = tuple[truth.HeightVolume, truth.HeightVolume | None]


def _ellipsoid(a: float, b: float, c: float) -> Volumes:
    total = 4 / 3 * math.pi * a * b * c
    return truth.scaled_sphere(c, total), truth.scaled_sphere(a, total)


def _difference(outer: Volumes, inner: Volumes) -> Volumes:
    assert outer[1] is not None and inner[1] is not None
    return truth.difference(outer[0], inner[0]), truth.difference(outer[1], inner[1])


SHAPES: dict[str, tuple[Shape, Volumes]] = {
    "sphere": (sphere(12), (truth.sphere_cap(12), truth.sphere_cap(12))),
    "cylinder": (cylinder(12, 24), (truth.cylinder_along(12, 24), truth.cylinder_across(12, 24))),
    "cone": (cone(12, 24), (truth.cone_along(12, 24), truth.cone_across(12, 24))),
    "ellipsoid": (ellipsoid(14, 9, 12), _ellipsoid(14, 9, 12)),
    "hollow sphere": (
        hollow_sphere(12, 6),
        _difference((truth.sphere_cap(12), truth.sphere_cap(12)), (truth.sphere_cap(6), truth.sphere_cap(6))),
    ),
    "straw": (
        straw(12, 6, 24),
        _difference(
            (truth.cylinder_along(12, 24), truth.cylinder_across(12, 24)),
            (truth.cylinder_along(6, 24), truth.cylinder_across(6, 24)),
        ),
    ),
    # Closed form along the axis alone.
    "torus": (torus(14, 6), (truth.torus_along(14, 6), None)),
}


@dataclass(frozen=True)
class Statistic:
    """How far endpoints are off.

    Parameters
    ----------
    relative_percent
        Of every endpoint (V, D99, D95, D50, D5, D1), against its true value; doses count from 4 Gy at the cold end, as
        in the published test.
    volume_percent, d95_d5_gy
        Errors of the volumes, and of D95 and D5.
    """

    relative_percent: np.ndarray
    volume_percent: np.ndarray
    d95_d5_gy: np.ndarray

    def lines(self) -> str:
        """The statistic as people read it."""
        relative = self.relative_percent
        return (
            f"{len(relative)} endpoints: {100 * np.mean(relative > 3):.2f} % off by more than 3 %, "
            f"{100 * np.mean(relative > 1):.2f} % by more than 1 %, median {np.median(relative):.3f} %; "
            f"volume off by {self.volume_percent.mean():.3f} % in the mean and {self.volume_percent.max():.3f} % at "
            f"most; D95 and D5 off by {self.d95_d5_gy.max():.3f} Gy at most"
        )


def run_suite(names: tuple[str, ...] = tuple(SHAPES)) -> Statistic:
    """All endpoints of some shapes."""
    relative, volumes, doses = [], [], []
    for shape, both in (SHAPES[name] for name in names):
        for direction, volume in zip(((0.0, 0.0, 1.0), (1.0, 0.0, 0.0)), both, strict=True):
            if volume is None:
                continue
            for step_mm in STEPS_MM:
                for phase in PHASES_MM:
                    found, off = _errors(shape, volume, direction, step_mm, np.array(phase))
                    volumes.append(100 * abs(found / shape.volume_mm3 - 1))
                    doses += [abs(off[95.0][0]), abs(off[5.0][0])]
                    relative += [volumes[-1], *(100 * abs(e) / max(t, 4.0) for e, t in off.values())]
    return Statistic(np.array(relative), np.array(volumes), np.array(doses))


def _errors(
    shape: Shape, volume: truth.HeightVolume, direction: tuple[float, ...], step_mm: float, phase: np.ndarray
) -> tuple[float, dict[float, tuple[float, float]]]:
    """Volume found, and by share the error and the dose above the coldest point of a dose of 1 Gy/mm."""
    centre = CENTRE + phase
    grid = grid_around((1.1 * step_mm, 0.9 * step_mm, step_mm), half_mm=(27, 29, 27), orientation=HFS)
    dose = dose_of(linear(direction, D0, centre), grid)
    found = dose_volume_histogram(structure(shape, step_mm, centre=centre), dose)
    off = {}
    for share in SHARES:
        height = truth.height_of(volume, share / 100, 30.0)
        off[share] = (found.metric(f"D{share:g}%") - (D0 + height), 16 + height)
    return found.curve.total_mm3, off


if __name__ == "__main__":
    print(run_suite().lines())  # noqa: T201
