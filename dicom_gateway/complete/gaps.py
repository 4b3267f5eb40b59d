"""Are slices missing inside a series? A cheap answer from positions alone, for the decision to wait.

The geometry gate of `imaging` stays the judge of what may be computed on; this only tells a pause from an end.
"""

import itertools
import math
from collections.abc import Iterable
from statistics import median

__all__ = ["Slice", "missing_slices"]

Vector = tuple[float, float, float]
Slice = tuple[Vector, Vector, Vector]
"""ImagePositionPatient, row direction and column direction of one slice."""

SAME_PLANE_MM = 0.01
"""Positions nearer than this are one plane: repeated phases, echoes or times."""

SAME_DIRECTION = 0.01
"""Largest difference of a direction cosine between slices of one stack."""

FEWEST_PLANES = 4
"""Below this, one step cannot be told from the others."""

MULTIPLE_TOLERANCE = 0.1
"""How far a wide step may be from a whole number of usual steps and still count as missing slices: what lies beyond
is a second stack or a change of spacing."""

LARGEST_SHARE = 0.2
"""Where more steps than this share are wide, the spacing is irregular by design."""


def missing_slices(slices: Iterable[Slice]) -> int:
    """Number of slices that are missing between others, over all orientations of a series; 0 where none is."""
    stacks: list[tuple[tuple[float, ...], Vector, list[float]]] = []
    for position, row, column in slices:
        directions = (*row, *column)
        for known, normal, positions in stacks:
            if all(abs(a - b) <= SAME_DIRECTION for a, b in zip(known, directions, strict=True)):
                positions.append(_dot(position, normal))
                break
        else:
            unit = _unit(_cross(row, column))
            if unit is not None:
                stacks.append((directions, unit, [_dot(position, unit)]))
    return sum(_missing_in_stack(sorted(positions)) for _, _, positions in stacks)


def _missing_in_stack(positions: list[float]) -> int:
    planes = [p for i, p in enumerate(positions) if i == 0 or p - positions[i - 1] > SAME_PLANE_MM]
    if len(planes) < FEWEST_PLANES:
        return 0
    steps = [b - a for a, b in itertools.pairwise(planes)]
    usual = median(steps)
    multiples = [s / usual for s in steps if s > 1.5 * usual]
    if len(multiples) > max(1, LARGEST_SHARE * len(steps)):
        return 0
    whole = [round(m) for m in multiples if abs(m - round(m)) <= MULTIPLE_TOLERANCE]
    return sum(m - 1 for m in whole)


def _cross(a: Vector, b: Vector) -> Vector:
    return (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])


def _unit(vector: Vector) -> Vector | None:
    """The vector at length 1, or None where the directions span no plane."""
    length = math.sqrt(_dot(vector, vector))
    return (vector[0] / length, vector[1] / length, vector[2] / length) if length > 0.5 else None


def _dot(a: Vector, b: Vector) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
