"""How far a sum may be off: the least and the largest dose of the same organ within reach of each point (5.3).

A search that is not restricted to the organ pulls in dose from its neighbours, so it is made for information alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from contouring.dose.accumulate import MappedDose, StructureSum
from contouring.dose.assessment import Bounds
from contouring.dose.curve import NEAR_MAXIMUM_MM3, DoseCurve, curve_of
from contouring.dose.dvh import Dvh, dose_volume_histogram
from contouring.dose.inside import OrganMask
from contouring.dose.radiobiology import Course, eqd2, eqd2_slope
from contouring.dose.solid import Caps, Steps, steps_for, sub_voxels
from contouring.dose.structure import PlanarStructure
from contouring.dose.volume import SampledDose
from contouring.errors import ContouringError

__all__ = ["NOT_ALIGNED", "Reach", "bounds_of", "is_above"]

FloatArray = NDArray[np.float64]

MOST_POINTS = 8_000
"""Points of an organ at which the search is made: doses change little within the size of their sub-voxels."""

MOST_CELLS = 100_000
"""Sub-voxels of an organ's mask, which says how exactly its border is known to the search."""

NOT_ALIGNED = 0.01
"""Share of an organ without itself in reach above which it does not lie on itself."""

SHELLS = (0.5, 1.0)
ALONG_GRADIENT = np.linspace(1 / 12, 1, 12)
"""Places that are searched, as shares of the radius: shells of evenly spread directions, and finer steps up and down
the gradient, which make the search exact for a linear dose."""

ROUNDING_GY = 1e-4

ALIGNED_MM = 1.0
"""A registration that is off by this much is not at fault; the gradient says what that changes."""

HOT_SHARE = 0.95
"""Of the largest sum: where the gradient counts for that."""

DIRECTIONS = 32
CHUNK = 2_048


@dataclass(frozen=True)
class Reach:
    """Radius of the search around a mapped point, by how the dose came to the reference image.

    A dose in the frame of the image needs none: nothing was registered.

    Parameters
    ----------
    rigid_mm, deformable_mm
        Specification, 5.3: 2 to 3 mm and 3 to 5 mm.
    """

    rigid_mm: float = 3.0
    deformable_mm: float = 4.0


@dataclass(frozen=True)
class _Extremes:
    """Physical dose of one course around each point."""

    low: FloatArray
    high: FloatArray
    unrestricted: FloatArray
    is_aligned: NDArray[np.bool_]


@dataclass(frozen=True)
class _Given:
    """How a course was given, for its effect: EQD2, or the physical dose itself where there is no course."""

    course: Course | None
    alpha_beta_gy: float

    def effect(self, dose_gy: FloatArray | float) -> FloatArray:
        if self.course is None:
            return np.asarray(dose_gy, dtype=np.float64)
        return (1 - self.course.recovery) * eqd2(dose_gy, self.course.fractions, self.alpha_beta_gy)

    def slope(self, dose_gy: FloatArray) -> FloatArray:
        """Change of the effect with dose."""
        if self.course is None:
            return np.ones(len(dose_gy))
        return (1 - self.course.recovery) * eqd2_slope(dose_gy, self.course.fractions, self.alpha_beta_gy)


@dataclass(frozen=True)
class _Maximum:
    """Largest dose of a course in an organ: at the centres of its sub-voxels, and the most that finer ones can find.

    `is_of_all`: the whole organ has dose.
    """

    at_centres_gy: float
    ceiling_gy: float
    is_of_all: bool


def bounds_of(
    structure: PlanarStructure,
    found: StructureSum,
    doses: Sequence[MappedDose],
    radius_mm: Sequence[float],
    organs: Sequence[PlanarStructure | None],
    *,
    caps: Caps = "half",
) -> Bounds:
    """The bounds of one structure's sum.

    Parameters
    ----------
    structure
        The organ on the reference image.
    found
        Its sums.
    doses
        The courses, mapped.
    radius_mm
        Radius of the search for each course; 0 for none.
    organs
        The same organ in the frame of each course; not needed where the radius is 0.
    caps
        How structures end.
    """
    is_eqd2 = bool(found.course_eqd2)
    parts = found.course_eqd2 or found.courses
    reason = ""
    if not any(radius_mm):
        reason = "all doses lie in the frame of the image, so nothing was registered"
    elif any(r and organ is None for r, organ in zip(radius_mm, organs, strict=True)):
        reason = "the organ is not contoured on every image"
    maxima = [
        _maximum(dose, organ, found.alpha_beta_gy if is_eqd2 else None, caps) if r and organ is not None else None
        for dose, r, organ in zip(doses, radius_mm, organs, strict=True)
    ]
    known_maxima = [
        _Maximum(part.curve.max_gy, part.curve.ceiling_gy, organ is None or not r) if m is None else m
        for part, m, r, organ in zip(parts, maxima, radius_mm, organs, strict=True)
    ]
    nothing = Bounds(
        kind="EQD2" if is_eqd2 else "physical",
        radius_mm=tuple(radius_mm),
        low=None,
        high=None,
        not_aligned_share=None,
        sum_of_maxima_gy=sum(m.at_centres_gy for m in known_maxima),
        unrestricted_high_gy=None,
        sum_of_ceilings_gy=sum(m.ceiling_gy for m in known_maxima),
        maxima_are_known=all(m.is_of_all for m in known_maxima) and not any(p.curve.outside_share for p in parts),
        reason=reason,
    )
    if not any(radius_mm):
        return nothing
    steps = _coarse(structure, doses)
    voxels = sub_voxels(structure, steps, caps=caps)
    core = voxels.coverage >= min(0.5, float(voxels.coverage.max()))
    total = {
        name: np.zeros(len(voxels)) for name in ("nominal", "low", "high", "unrestricted", "band_low", "band_high")
    }
    ends = dict.fromkeys(total, (0.0, 0.0))
    known = np.ones(len(voxels), dtype=np.bool_)
    aligned = np.ones(len(voxels), dtype=np.bool_)
    half, moved = np.zeros(len(voxels)), np.zeros(len(voxels))
    for dose, radius, organ in zip(doses, radius_mm, organs, strict=True):
        sampled = dose.sample(voxels.places)
        known &= sampled.is_known
        given = _Given(dose.course if is_eqd2 else None, found.alpha_beta_gy)
        half += given.slope(sampled.dose_gy) * voxels.half_ranges_gy(sampled.gradient_gy_per_mm)
        steepness = np.linalg.norm(sampled.gradient_gy_per_mm, axis=1)
        reach = radius * steepness
        if radius:
            moved += given.slope(sampled.dose_gy) * steepness * ALIGNED_MM
        mask = None if organ is None or not radius else OrganMask(organ, _coarse(organ, doses, MOST_CELLS), caps)
        around = _searched(dose, voxels.points_lps, sampled.dose_gy, sampled.gradient_gy_per_mm, radius, mask)
        aligned &= around.is_aligned
        values = {
            "nominal": sampled.dose_gy,
            "low": around.low,
            "high": around.high,
            "unrestricted": around.unrestricted,
            "band_low": np.maximum(sampled.dose_gy - reach, 0),
            "band_high": sampled.dose_gy + reach,
        }
        for name, value in values.items():
            total[name] += given.effect(value)
            low, high = _ends(value, sampled)
            ends[name] = (ends[name][0] + float(given.effect(low)), ends[name][1] + float(given.effect(high)))
    if not known.any():
        return nothing
    away = float(voxels.volumes_mm3[core & ~aligned].sum() / voxels.volumes_mm3[core].sum())
    if not reason and away > NOT_ALIGNED:
        reason = f"{100 * away:.0f} % of the organ has no part of the same organ within reach: it is not aligned"

    def curve(name: str) -> DoseCurve:
        outside = float(voxels.volumes_mm3[~known].sum())
        parts = (total[name][known], half[known], voxels.volumes_mm3[known], voxels.coverage[known])
        return curve_of(*parts, outside, reach_gy=ends[name])

    nominal, coarse = found.eqd2 or found.physical, curve("nominal")

    def histogram(name: str) -> Dvh:
        most_gy = nothing.sum_of_ceilings_gy if name == "high" else np.inf
        moved_curve = _moved(nominal.curve, coarse, curve(name), most_gy, up="high" in name)
        return replace(nominal, curve=moved_curve, steps=steps, sub_voxels=len(voxels), converged=False)

    sums = total["nominal"]
    hot = known & core & (sums >= HOT_SHARE * sums[known & core].max(initial=0.0))
    return Bounds(
        kind=nothing.kind,
        radius_mm=nothing.radius_mm,
        low=None if reason else histogram("low"),
        high=None if reason else histogram("high"),
        not_aligned_share=away if all(o is not None or not r for r, o in zip(radius_mm, organs, strict=True)) else None,
        sum_of_maxima_gy=nothing.sum_of_maxima_gy,
        # What is not known may hold more.
        unrestricted_high_gy=float(total["unrestricted"][core].max(initial=0.0)) if known[core].all() else None,
        sum_of_ceilings_gy=nothing.sum_of_ceilings_gy,
        maxima_are_known=nothing.maxima_are_known,
        misalignment_gy=float(moved[hot].max(initial=0.0)),
        band_low=histogram("band_low"),
        band_high=histogram("band_high"),
        reason=reason,
    )


def is_above(found: StructureSum, bounds: Bounds) -> bool:
    """Whether the sum exceeds what any alignment of the organ with itself can give: a fault of the registration."""
    # Other sub-voxels of the same organ may have found more, up to its ceiling, and no registration is exact.
    most_gy = bounds.sum_of_ceilings_gy + bounds.misalignment_gy
    return (found.eqd2 or found.physical).curve.max_gy > most_gy + ROUNDING_GY


def _maximum(dose: MappedDose, organ: PlanarStructure, alpha_beta_gy: float | None, caps: Caps) -> _Maximum | None:
    """Largest dose of a course in its own organ; None where the organ lies outside its grid."""
    try:
        curve = dose_volume_histogram(organ, dose.dose, caps=caps).curve
    except ContouringError:
        return None
    if alpha_beta_gy is None or dose.course is None:
        return _Maximum(curve.max_gy, curve.ceiling_gy, not curve.outside_share)
    found = (eqd2(d, dose.course.fractions, alpha_beta_gy) for d in (curve.max_gy, curve.ceiling_gy))
    at_centres, ceiling = (float((1 - dose.course.recovery) * d) for d in found)
    return _Maximum(at_centres, ceiling, not curve.outside_share)


def _coarse(structure: PlanarStructure, doses: Sequence[MappedDose], most: int = MOST_POINTS) -> Steps:
    """Sub-voxels of no more than about this number."""
    spacing = tuple(np.min([m.dose.spacing_mm for m in doses], axis=0).tolist())
    steps = steps_for(structure, spacing)
    count = structure.slab_volume_mm3 / (steps.in_plane_mm**2 * steps.across_mm)
    return steps.scaled(max(1.0, (count / most) ** (1 / 3)))


def _searched(
    dose: MappedDose, points: FloatArray, nominal: FloatArray, gradient: FloatArray, radius: float,
    mask: OrganMask | None,
) -> _Extremes:  # fmt: skip
    """Least and largest dose of a course within reach, in its organ and anywhere."""
    if not radius:
        return _Extremes(nominal, nominal, nominal, np.ones(len(points), dtype=np.bool_))
    low, high, anywhere = nominal.copy(), nominal.copy(), nominal.copy()
    is_aligned = np.zeros(len(points), dtype=np.bool_)
    for first in range(0, len(points), CHUNK):
        part = slice(first, first + CHUNK)
        # In the frame of the course, where its organ was drawn.
        places = dose.transform.apply(points[part])[:, None] + radius * _offsets(dose, points[part], gradient[part])
        flat = places.reshape(-1, 3)
        shape = places.shape[:2]
        values, known = dose.dose.values(flat)
        values, known = values.reshape(shape), known.reshape(shape)
        anywhere[part] = np.where(known, values, -np.inf).max(axis=1)
        if mask is None:
            continue
        organ = mask.contains(flat).reshape(shape)
        # Where the organ lies outside the dose grid it still lies on itself: its dose is unknown, and told as such.
        is_aligned[part] = organ.any(axis=1)
        own = known & organ
        found = own.any(axis=1)
        low[part] = np.where(found, np.where(own, values, np.inf).min(axis=1), nominal[part])
        high[part] = np.where(found, np.where(own, values, -np.inf).max(axis=1), nominal[part])
    return _Extremes(low, high, np.maximum(anywhere, nominal), is_aligned)


def _offsets(dose: MappedDose, points: FloatArray, gradient: FloatArray) -> FloatArray:
    """Places within the unit ball, shape (N, P, 3): the same ones for all points, and some along each gradient."""
    shells = np.concatenate([np.zeros((1, 3)), *(share * _directions() for share in SHELLS)])
    step = 1e-3
    length = np.linalg.norm(gradient, axis=1, keepdims=True)
    uphill = gradient / np.where(length > 0, length, 1)
    # The direction of the gradient in the frame of the course: how the transform moves a short step along it.
    moved = (dose.transform.apply(points + step * uphill) - dose.transform.apply(points)) / step
    norm = np.linalg.norm(moved, axis=1, keepdims=True)
    along = moved / np.where(norm > 0, norm, 1)
    steps = np.concatenate([ALONG_GRADIENT, -ALONG_GRADIENT])
    fixed = np.broadcast_to(shells, (len(points), *shells.shape))
    return np.concatenate([fixed, along[:, None] * steps[:, None]], axis=1)


def _directions() -> FloatArray:
    """Directions spread evenly over the sphere (a Fibonacci lattice)."""
    n = np.arange(DIRECTIONS) + 0.5
    z = 1 - 2 * n / DIRECTIONS
    angle = np.pi * (1 + np.sqrt(5)) * n
    across = np.sqrt(1 - z * z)
    return np.stack([across * np.cos(angle), across * np.sin(angle), z], axis=1)


def _ends(values: FloatArray, sampled: SampledDose) -> tuple[float, float]:
    """Least and largest dose of a course that any point of the organ can have: found, or within a cell of its points.

    The sub-voxels of a search are coarse, and spread by their gradient alone they reach doses that lie nowhere.
    """
    low, high = sampled.reach_gy
    known = sampled.is_known
    return min(low, float(values.min(initial=np.inf, where=known))), max(
        high, float(values.max(initial=-np.inf, where=known))
    )


def _moved(sum_: DoseCurve, coarse: DoseCurve, searched: DoseCurve, most_gy: float, *, up: bool) -> DoseCurve:
    """The curve of the sum, moved volume for volume by what the search has changed on its coarse sub-voxels.

    So a bound never contradicts the sum beside it, whose sub-voxels are others.
    """
    sign = 1.0 if up else -1.0

    def within(dose_gy: FloatArray, change: FloatArray) -> FloatArray:
        there = np.maximum(dose_gy + sign * np.maximum(sign * change, 0.0), 0.0)
        return np.where(there > most_gy, np.maximum(dose_gy, most_gy), there) if up else np.minimum(there, dose_gy)

    share = sum_.volume_mm3 / sum_.known_mm3
    change = _quantiles(searched, share) - _quantiles(coarse, share)
    dose = np.maximum.accumulate(within(sum_.dose_gy, change))
    largest = float(within(np.array(sum_.max_gy), np.array(searched.max_gy - coarse.max_gy)))
    least = float(within(np.array(sum_.min_gy), np.array(searched.min_gy - coarse.min_gy)))
    moved = replace(
        sum_,
        dose_gy=dose,
        values_gy=(dose[1:] + dose[:-1]) / 2,
        weights_mm3=-np.diff(sum_.volume_mm3),
        max_gy=largest,
        min_gy=least,
    )
    end = min(NEAR_MAXIMUM_MM3, sum_.known_mm3)
    return replace(
        moved, max_gy=max(largest, moved.dose_at(end)), min_gy=min(least, moved.dose_at(moved.known_mm3 - end))
    )


def _quantiles(curve: DoseCurve, share: FloatArray) -> FloatArray:
    """Dose of the hottest share of the part with dose."""
    return np.interp(share * curve.known_mm3, curve.volume_mm3[::-1], curve.dose_gy[::-1])
