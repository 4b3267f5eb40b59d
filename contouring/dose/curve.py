"""The continuous dose-volume curve of sub-voxels, and every number that is read off it."""

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from contouring.dose.errors import MetricRefused, OutsideDoseGrid

__all__ = ["DoseCurve", "curve_of"]

FloatArray = NDArray[np.float64]

CURVE_POINTS = 1 << 14
"""Doses at which the exact cumulative volume is kept; between them it is a straight line, 0.005 Gy long at 80 Gy."""

NARROWEST_GY = 5e-7
"""Half range of a sub-voxel of even dose: the curve stays a function. Steeper ramps drown the rest in rounding."""

OUTSIDE_SHARE = 1e-3
"""Share of a structure without dose above which numbers that depend on its cold end are refused (2.3)."""

CORE_COVERAGE = 0.5

NEAR_MAXIMUM_MM3 = 30.0
"""Volume of D0.03cc: the ends of a structure are never told from a larger part of it."""


@dataclass(frozen=True, eq=False)
class DoseCurve:
    """Cumulative dose-volume curve of one structure.

    Parameters
    ----------
    dose_gy
        Ascending doses, shape (P,).
    volume_mm3
        Volume that receives at least that dose, shape (P,), exact at these doses.
    known_mm3, outside_mm3
        Volume with dose, and volume outside the dose grid, which counts nowhere.
    values_gy, weights_mm3
        Dose and volume of the sub-voxels with dose.
    max_gy, min_gy
        Largest and smallest dose at the centre of a sub-voxel that lies inside by half or more; where coarse sub-voxels
        hold more (or less) between their centres, the dose that the curve gives to the hottest (coldest) part of the
        size of one sub-voxel, at most 0.03 cc. So no D of 0.03 cc or more lies beyond them.
    """

    dose_gy: FloatArray
    volume_mm3: FloatArray
    known_mm3: float
    outside_mm3: float
    values_gy: FloatArray = field(repr=False)
    weights_mm3: FloatArray = field(repr=False)
    max_gy: float
    min_gy: float

    @property
    def total_mm3(self) -> float:
        """Volume of the whole structure."""
        return self.known_mm3 + self.outside_mm3

    @property
    def outside_share(self) -> float:
        """Share of the structure outside the dose grid."""
        return self.outside_mm3 / self.total_mm3 if self.total_mm3 else 0.0

    @property
    def ceiling_gy(self) -> float:
        """Hot end of the curve: the most that finer sub-voxels can find, where `max_gy` is at the centres of these."""
        return float(self.dose_gy[-1])

    @cached_property
    def mean_gy(self) -> float:
        """Mean dose of the part with dose."""
        return float((self.values_gy * self.weights_mm3).sum()) / self.known_mm3

    def scaled(self, factor: float) -> "DoseCurve":
        """The curve of the same voxels with every dose times a factor above 0."""
        return replace(
            self,
            dose_gy=self.dose_gy * factor,
            values_gy=self.values_gy * factor,
            max_gy=self.max_gy * factor,
            min_gy=self.min_gy * factor,
        )

    def volume_at(self, dose_gy: float) -> float:
        """Volume in mm3 that receives at least this dose."""
        return float(np.interp(dose_gy, self.dose_gy, self.volume_mm3, left=self.known_mm3, right=0.0))

    def dose_at(self, volume_mm3: float) -> float:
        """Least dose of the hottest part of this volume."""
        falling = self.volume_mm3[::-1]
        return float(np.interp(min(max(volume_mm3, 0.0), self.known_mm3), falling, self.dose_gy[::-1]))

    def dose_to_share(self, percent: float) -> float:
        """D_x%: dose to the hottest x percent of the part with dose.

        Raises
        ------
        MetricRefused
            The percentage is not between 0 and 100.
        """
        if not 0 <= percent <= 100:
            raise MetricRefused(f"D{percent:g}% has no meaning; ask for 0 to 100 percent.", percent=percent)
        return self.dose_at(self.known_mm3 * percent / 100)

    def dose_to_cc(self, volume_cc: float) -> float:
        """D_xcc: dose to the hottest x cm3.

        Raises
        ------
        MetricRefused
            The part with dose is smaller than that.
        """
        if volume_cc * 1000 > self.known_mm3:
            raise MetricRefused(
                f"D{volume_cc:g}cc has no meaning for a structure with dose in {self.known_mm3 / 1000:.3f} cc; "
                "ask for a smaller volume.",
                asked_cc=volume_cc,
                known_cc=self.known_mm3 / 1000,
            )
        return self.dose_at(volume_cc * 1000)

    def generalised_eud(self, a: float) -> float:
        """gEUD: (mean of D^a)^(1/a); a above 1 for organs at risk, negative for targets.

        Raises
        ------
        MetricRefused
            The exponent is 0, or negative while some of the structure has no dose at all.
        """
        if a == 0:
            raise MetricRefused("gEUD needs an exponent other than 0; give the a of the structure.", exponent=a)
        top = float(self.values_gy.max())
        if a < 0 and float(self.values_gy.min()) <= 0:
            raise MetricRefused("gEUD with a negative exponent has no value where the dose is 0.", exponent=a)
        if top <= 0:
            return 0.0
        # Scaled by the largest dose, so that large exponents do not overflow.
        mean = float(((self.values_gy / top) ** a * self.weights_mm3).sum()) / self.known_mm3
        return float(top * mean ** (1 / a))

    def check_cold_end(self, what: str) -> None:
        """Refuse a number that depends on the coldest part while part of the structure has no known dose.

        Raises
        ------
        OutsideDoseGrid
            More than 0.1 % of the structure lies outside the dose grid.
        """
        if self.outside_share > OUTSIDE_SHARE:
            raise OutsideDoseGrid(
                f"{what} is not known: {100 * self.outside_share:.2f} % of the structure lies outside the dose grid; "
                "calculate the dose on a larger grid, or accept the part that is known.",
                outside_share=self.outside_share,
            )


def curve_of(
    values_gy: FloatArray,
    half_ranges_gy: FloatArray,
    weights_mm3: FloatArray,
    coverage: FloatArray,
    outside_mm3: float = 0.0,
    *,
    reach_gy: tuple[float, float] | None = None,
) -> DoseCurve:
    """The curve of sub-voxels, each spread evenly over its range of dose.

    Parameters
    ----------
    values_gy, half_ranges_gy, weights_mm3
        Dose at the centre, half of the range within, volume.
    coverage
        Share of each sub-voxel that lies inside.
    outside_mm3
        Volume without dose.
    reach_gy
        Least and largest dose that there can be anywhere in the structure: no sub-voxel is spread beyond them.

    Raises
    ------
    OutsideDoseGrid
        No sub-voxel has a dose.
    """
    total = float(weights_mm3.sum())
    if not len(values_gy) or total <= 0:
        raise OutsideDoseGrid("The structure lies outside the dose grid; give the dose of the same region.")
    half = half_ranges_gy
    if reach_gy is not None:
        # On both sides alike, so that the mean of each sub-voxel stays.
        half = np.minimum(half, np.minimum(values_gy - reach_gy[0], reach_gy[1] - values_gy))
    half = np.maximum(half, NARROWEST_GY)
    low, high = values_gy - half, values_gy + half
    first, last = float(low.min()), float(high.max())
    dose = np.linspace(first, last, CURVE_POINTS)
    step = (last - first) / (CURVE_POINTS - 1)
    slope = weights_mm3 / (2 * half)
    # The curve is the sum of ramps. A ramp that begins between two doses is shared out among them, which leaves its
    # value at every later dose exact, so the curve is exact at each of its points without sorting the sub-voxels.
    bend = _deposited(high, slope, first, step) - _deposited(low, slope, first, step)
    # Summed from the hot end, where cubic millimetres count: the large volume without dose rounds at the cold one.
    falls = np.cumsum(bend[:0:-1])
    volume = np.concatenate([np.cumsum(falls)[::-1] * step, [0.0]])
    volume = np.minimum.accumulate(np.clip(volume, 0.0, total))
    volume[0] = total
    core = coverage >= min(CORE_COVERAGE, float(coverage.max()))
    curve = DoseCurve(
        dose_gy=dose,
        volume_mm3=volume,
        known_mm3=total,
        outside_mm3=outside_mm3,
        values_gy=values_gy,
        weights_mm3=weights_mm3,
        max_gy=float(values_gy[core].max()),
        min_gy=float(values_gy[core].min()),
    )
    end = min(float(weights_mm3.max()), NEAR_MAXIMUM_MM3)
    return replace(
        curve, max_gy=max(curve.max_gy, curve.dose_at(end)), min_gy=min(curve.min_gy, curve.dose_at(total - end))
    )


def _deposited(at_gy: FloatArray, slope: FloatArray, first: float, step: float) -> FloatArray:
    position = (at_gy - first) / step
    index = np.minimum(position.astype(np.intp), CURVE_POINTS - 2)
    share = position - index
    bins = np.bincount(index, slope * (1 - share), CURVE_POINTS)
    bins[1:] += np.bincount(index, slope * share, CURVE_POINTS)[:-1]
    return np.asarray(bins)
