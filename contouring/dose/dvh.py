"""Dose-volume histogram of a structure: sub-voxels refined until the numbers stand still."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contouring.combine import Overlap
from contouring.dose.curve import DoseCurve, curve_of
from contouring.dose.errors import OutsideDoseGrid
from contouring.dose.metrics import evaluate
from contouring.dose.places import LatticePlaces
from contouring.dose.solid import Caps, Steps, SubVoxels, SubVoxelSource, steps_for
from contouring.dose.structure import PlanarStructure
from contouring.dose.volume import DoseVolume, SampledDose
from contouring.errors import ContouringError

__all__ = ["USUAL_METRICS", "Dvh", "dose_volume_histogram", "histogram_of", "histograms_of"]

FloatArray = NDArray[np.float64]
Sampler = Callable[[LatticePlaces], SampledDose]

USUAL_METRICS = ("Dmean", "Dmax", "Dmin", "D98%", "D95%", "D50%", "D5%", "D2%", "D0.03cc")

VOLUME_TOLERANCE = 5e-4
DOSE_TOLERANCE_GY = 0.02
"""Change between two refinements below which a histogram has converged (specification, 2.2)."""

CHECKED_SHARES = (98.0, 95.0, 50.0, 5.0, 2.0)
ORDER_GAIN = 3.0
"""Antialiasing is of second order: what halving the size would still change is a third of what the last halving did,
or less (Richardson)."""

MOST_REFINEMENTS = 2
MOST_REFINED = 1_000_000
"""Sub-voxels above which nothing is refined any more: memory."""


@dataclass(frozen=True, eq=False)
class Dvh:
    """A dose-volume histogram and the rules it was made by.

    Parameters
    ----------
    curve
        The continuous curve and its numbers.
    caps
        How the structure ends beyond its first and last plane.
    steps
        Size of the sub-voxels.
    sub_voxels
        Their number.
    converged
        Whether halving their size changed volume and doses by less than 0.05 % and 0.02 Gy.
    slab_volume_mm3
        Volume by areas times plane distances, for comparison with the integrated one.
    end_uncertainty_mm3
        How far the volume may be off because of the ends.
    planes
        Number of planes with contours.
    gaps
        Missing planes, which were not filled: (position before, position after) along the normal.
    """

    curve: DoseCurve
    caps: Caps
    steps: Steps
    sub_voxels: int
    converged: bool
    slab_volume_mm3: float
    end_uncertainty_mm3: float
    planes: int
    gaps: tuple[tuple[float, float], ...] = ()

    @property
    def volume_cc(self) -> float:
        """Volume of the whole structure by the integrated field."""
        return self.curve.total_mm3 / 1000

    def metric(self, name: str, *, prescription_gy: float | None = None, accept_outside: bool = False) -> float:
        """A number by its usual name; see `contouring.dose.metrics.evaluate`.

        Raises
        ------
        MetricRefused
            The name is not known, or the number has no meaning for this structure.
        OutsideDoseGrid
            The number depends on the part of the structure outside the dose grid.
        """
        return evaluate(name, self.curve, prescription_gy=prescription_gy, accept_outside=accept_outside)

    def report(self, metrics: tuple[str, ...] = USUAL_METRICS, prescription_gy: float | None = None) -> dict[str, Any]:
        """Everything as JSON values; a number that is refused is null, with the reason beside it."""
        numbers: dict[str, float | None] = {}
        refused: dict[str, str] = {}
        for name in metrics:
            try:
                numbers[name] = round(self.metric(name, prescription_gy=prescription_gy), 6)
            except ContouringError as reason:
                numbers[name] = None
                refused[name] = reason.message
        return {
            "volume_cc": self.volume_cc,
            "slab_volume_cc": self.slab_volume_mm3 / 1000,
            "end_uncertainty_cc": self.end_uncertainty_mm3 / 1000,
            "outside_share": self.curve.outside_share,
            "metrics": numbers,
            "refused": refused,
            "rules": {
                "caps": self.caps,
                "volume": "sdf",
                "sub_voxel_mm": [self.steps.in_plane_mm, self.steps.across_mm],
                "sub_voxels": self.sub_voxels,
                "converged": self.converged,
                "planes": self.planes,
                "gaps_mm": [list(g) for g in self.gaps],
            },
        }


def dose_volume_histogram(
    structure: PlanarStructure, dose: DoseVolume, *, caps: Caps = "half", overlap: Overlap = "error"
) -> Dvh:
    """The histogram of a structure in a dose that share a frame of reference.

    Parameters
    ----------
    structure
        See `contouring.dose.structure`.
    dose
        The dose; any orientation and spacing.
    caps, overlap
        How the structure ends; what crossing contours mean.

    Raises
    ------
    OutsideDoseGrid
        The structure lies outside the dose grid altogether.
    OverlappingContours
        Boundaries of two contours cross, and `overlap` is "error".
    StructureRefused
        There is one plane, and nothing says how thick it is.
    """
    return histogram_of(structure, dose.sample, dose.spacing_mm, caps=caps, overlap=overlap)


def histogram_of(
    structure: PlanarStructure,
    sampler: Sampler,
    dose_spacing_mm: tuple[float, ...],
    *,
    caps: Caps = "half",
    overlap: Overlap = "error",
) -> Dvh:
    """The histogram of any dose that can be asked for at points, such as a sum; else as `dose_volume_histogram`.

    Raises
    ------
    OutsideDoseGrid
        The structure lies outside the dose grid altogether.
    OverlappingContours
        Boundaries of two contours cross, and `overlap` is "error".
    StructureRefused
        There is one plane, and nothing says how thick it is.
    """
    return histograms_of(structure, [sampler], dose_spacing_mm, caps=caps, overlap=overlap)[0]


def histograms_of(
    structure: PlanarStructure,
    samplers: Sequence[Sampler],
    dose_spacing_mm: tuple[float, ...],
    *,
    caps: Caps = "half",
    overlap: Overlap = "error",
) -> tuple[Dvh, ...]:
    """Histograms of one structure in several doses, or sums of them, on the same sub-voxels.

    All are refined as far as any of them needs, so that their numbers go with each other: the mean of a sum is the sum
    of the means, and the largest EQD2 is that of the largest dose.

    Parameters
    ----------
    structure
        See `contouring.dose.structure`.
    samplers
        Each tells its dose at places.
    dose_spacing_mm
        The finest spacing of the doses.
    caps, overlap
        As for `dose_volume_histogram`.

    Raises
    ------
    OutsideDoseGrid
        The structure lies outside one of the dose grids altogether.
    OverlappingContours
        Boundaries of two contours cross, and `overlap` is "error".
    StructureRefused
        There is one plane, and nothing says how thick it is.
    """
    steps = steps_for(structure, dose_spacing_mm)
    source = SubVoxelSource(structure, caps, overlap)
    # A structure thinner than the coarser sub-voxels may vanish in the first of the two: then it has not converged.
    coarser = [_coarse(source, sampler, steps) for sampler in samplers]
    for refinement in range(MOST_REFINEMENTS + 1):
        voxels = source.of(steps)
        curves = _curves(voxels, samplers)
        settled = [c is not None and _is_settled(c, f) for c, f in zip(coarser, curves, strict=True)]
        if all(settled) or refinement == MOST_REFINEMENTS or 8 * len(voxels) > MOST_REFINED:
            break
        coarser, steps = [*curves], steps.scaled(0.5)
    return tuple(
        Dvh(
            curve=curve,
            caps=caps,
            steps=steps,
            sub_voxels=len(voxels),
            converged=is_settled,
            slab_volume_mm3=structure.slab_volume_mm3,
            end_uncertainty_mm3=structure.end_uncertainty_mm3,
            planes=len(structure.positions_mm),
            gaps=voxels.gaps,
        )
        for curve, is_settled in zip(curves, settled, strict=True)
    )


def _curves(voxels: SubVoxels, samplers: Sequence[Sampler]) -> list[DoseCurve]:
    """The curve of each dose.

    Raises
    ------
    OutsideDoseGrid
        Some of the doses know no point of the structure: `samplers` of the error are their places.
    """
    found: list[DoseCurve] = []
    beyond: list[int] = []
    fault: OutsideDoseGrid | None = None
    for number, sampler in enumerate(samplers):
        try:
            found.append(_curve(voxels, sampler))
        except OutsideDoseGrid as reason:
            beyond.append(number)
            fault = reason
    if fault is not None:
        raise OutsideDoseGrid(fault.message, samplers=tuple(beyond))
    return found


def _coarse(source: SubVoxelSource, sampler: Sampler, steps: Steps) -> DoseCurve | None:
    try:
        return _curve(source.coarser_than(steps), sampler)
    except OutsideDoseGrid:
        return None


def _curve(voxels: SubVoxels, sampler: Sampler) -> DoseCurve:
    dose = sampler(voxels.places)
    known = dose.is_known
    half = voxels.half_ranges_gy(dose.gradient_gy_per_mm)
    if known.all():
        return curve_of(dose.dose_gy, half, voxels.volumes_mm3, voxels.coverage, reach_gy=dose.reach_gy)
    outside = float(voxels.volumes_mm3[~known].sum())
    return curve_of(
        dose.dose_gy[known], half[known], voxels.volumes_mm3[known], voxels.coverage[known], outside,
        reach_gy=dose.reach_gy,
    )  # fmt: skip


def _is_settled(coarser: DoseCurve, finer: DoseCurve) -> bool:
    if abs(coarser.total_mm3 / finer.total_mm3 - 1) > ORDER_GAIN * VOLUME_TOLERANCE:
        return False
    return all(
        abs(coarser.dose_to_share(x) - finer.dose_to_share(x)) <= ORDER_GAIN * DOSE_TOLERANCE_GY for x in CHECKED_SHARES
    )
