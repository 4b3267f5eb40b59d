"""The analytic suite as a whole: every shape, two gradient axes, three plane distances, several sub-voxel phases.

`python -m tests.contouring.dose.suite` prints the table of the manual, which the test asserts.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from contouring.dose import dose_volume_histogram
from contouring.shapes import Shape, cone, cylinder, ellipsoid, hollow_sphere, sphere, straw, torus
from tests.contouring.dose import truth
from tests.contouring.dose.making import CENTRE, HFS, dose_of, grid_around, linear, structure

__all__ = ["SHAPES", "Statistic", "joined", "run_suite", "table"]

D0 = 30.0
SHARES = (99.0, 95.0, 50.0, 5.0, 1.0)
STEPS_MM = (1.0, 2.0, 3.0)
HEAD = """\
| shape | endpoints | > 3 % | > 1 % | median | volume, mean | volume, most | D95 and D5, most |
|---|---|---|---|---|---|---|---|"""
PHASES_MM = ((0.0, 0.0, 0.0), (0.13, 0.31, 0.07), (0.24, 0.11, 0.19))
"""How far everything is moved against the lattice of the sub-voxels and the grid of the dose."""

Volumes = tuple[truth.HeightVolume, truth.HeightVolume]


def _ellipsoid(a: float, b: float, c: float) -> Volumes:
    total = 4 / 3 * math.pi * a * b * c
    return truth.scaled_sphere(c, total), truth.scaled_sphere(a, total)


def _difference(outer: Volumes, inner: Volumes) -> Volumes:
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
    "torus": (torus(14, 6), (truth.torus_along(14, 6), truth.torus_across(14, 6))),
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

    def row(self, name: str) -> str:
        """The statistic as a row of the manual's table."""
        relative = self.relative_percent
        return (
            f"| {name} | {len(relative)} | {100 * np.mean(relative > 3):.2f} % | {100 * np.mean(relative > 1):.2f} % | "
            f"{np.median(relative):.3f} % | {self.volume_percent.mean():.3f} % | {self.volume_percent.max():.3f} % | "
            f"{self.d95_d5_gy.max():.3f} Gy |"
        )


def joined(statistics: Iterable[Statistic]) -> Statistic:
    """The statistic of several shapes together."""
    all_of = list(statistics)
    return Statistic(*(
        np.concatenate([getattr(s, name) for s in all_of])
        for name in ("relative_percent", "volume_percent", "d95_d5_gy")
    ))  # fmt: skip


def run_suite(name: str) -> Statistic:
    """All endpoints of a shape."""
    relative, volumes, doses = [], [], []
    shape, both = SHAPES[name]
    for direction, volume in zip(((0.0, 0.0, 1.0), (1.0, 0.0, 0.0)), both, strict=True):
        for step_mm in STEPS_MM:
            for phase in PHASES_MM:
                found, off = _errors(shape, volume, direction, step_mm, np.array(phase))
                volumes.append(100 * abs(found / shape.volume_mm3 - 1))
                doses += [abs(off[95.0][0]), abs(off[5.0][0])]
                relative += [volumes[-1], *(100 * abs(e) / max(t, 4.0) for e, t in off.values())]
    return Statistic(np.array(relative), np.array(volumes), np.array(doses))


def table(statistics: Mapping[str, Statistic]) -> str:
    """The table of the manual: a row for each shape, and one for all of them."""
    rows = [s.row(name) for name, s in statistics.items()]
    return "\n".join([HEAD, *rows, joined(statistics.values()).row("**all**")])


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
    print(table({name: run_suite(name) for name in SHAPES}))  # noqa: T201
