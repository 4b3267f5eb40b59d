"""Shapes between the planes they were drawn on, by signed distance: only where they belong together, only on request.

Parts of neighbouring planes are joined when their projections overlap; the distance fields of joined parts are
interpolated linearly. Parts without a partner end half a slice further on. Nothing bridges parts that do not overlap.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["between_planes", "signed_distance_mm"]

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]

ON_PLANE_MM = 0.01
"""A plane this near to a drawn one takes its shape unchanged (specification of contouring, 4.3)."""

GAP_STEPS = 1.5
"""Planes further apart than this many usual distances have a gap between them."""


def between_planes(
    shapes: BoolArray,
    positions_mm: FloatArray,
    targets_mm: FloatArray,
    pixel_spacing_mm: tuple[float, float],
    *,
    fill_gaps: bool,
    slice_mm: float | None = None,
) -> tuple[BoolArray, tuple[int, ...]]:
    """Shapes at some positions along the normal from shapes at others.

    Parameters
    ----------
    shapes
        One mask per drawn plane, shape (n, rows, columns).
    positions_mm
        Position of each, ascending.
    targets_mm
        Positions wanted, ascending.
    pixel_spacing_mm
        (between rows, between columns).
    fill_gaps
        Whether to interpolate over gaps too: distances of more than 1.5 times the usual one.
    slice_mm
        Thickness of the drawn planes, half of which is added where a part ends; the usual distance where left out.

    Returns
    -------
    masks
        Shape (targets, rows, columns).
    made
        Targets that took no drawn shape unchanged and hold something.
    """
    masks = np.zeros((len(targets_mm), *shapes.shape[1:]), dtype=np.bool_)
    made: list[int] = []
    steps = np.diff(positions_mm)
    usual = (
        float(np.median(steps)) if len(steps) else float(np.median(np.diff(targets_mm))) if len(targets_mm) > 1 else 0.0
    )
    thickness = usual if slice_mm is None else min(usual, slice_mm)
    for n, target in enumerate(targets_mm.tolist()):
        nearest = int(np.abs(positions_mm - target).argmin())
        if abs(float(positions_mm[nearest]) - target) <= ON_PLANE_MM:
            masks[n] = shapes[nearest]
            continue
        above = int(np.searchsorted(positions_mm, target))
        if above in {0, len(positions_mm)}:
            end = min(above, len(positions_mm) - 1)
            if _is_capped(target - float(positions_mm[end]), thickness):
                masks[n] = shapes[end]
        else:
            low, high = float(positions_mm[above - 1]), float(positions_mm[above])
            gap = high - low > GAP_STEPS * usual
            masks[n] = _between(
                shapes[above - 1],
                shapes[above],
                (target - low, high - target),
                pixel_spacing_mm,
                cap_mm=min(thickness, high - low),
                join=fill_gaps or not gap,
            )
        if masks[n].any():
            made.append(n)
    return masks, tuple(made)


def _is_capped(offset_mm: float, step_mm: float) -> bool:
    """Whether a plane lies within half a step of an end; on exactly half, only at the lower side."""
    return -step_mm / 2 <= offset_mm < step_mm / 2


def _between(
    low: BoolArray,
    high: BoolArray,
    distances_mm: tuple[float, float],
    pixel_spacing_mm: tuple[float, float],
    *,
    cap_mm: float,
    join: bool,
) -> BoolArray:
    """Shape at some distance from the shapes below and above it."""
    from scipy import ndimage

    to_low, to_high = distances_mm
    parts_low, count_low = ndimage.label(low)
    parts_high, count_high = ndimage.label(high)
    both = low & high
    links = set(zip(parts_low[both].tolist(), parts_high[both].tolist(), strict=True)) if join else set()
    result = np.zeros_like(low)
    for lows, highs in _clusters(links):
        a = signed_distance_mm(np.isin(parts_low, lows), pixel_spacing_mm)
        b = signed_distance_mm(np.isin(parts_high, highs), pixel_spacing_mm)
        result |= (a * to_high + b * to_low) / (to_low + to_high) > 0
    if _is_capped(to_low, cap_mm):
        result |= np.isin(parts_low, [n for n in range(1, count_low + 1) if n not in {p for p, _ in links}])
    if _is_capped(-to_high, cap_mm):
        result |= np.isin(parts_high, [n for n in range(1, count_high + 1) if n not in {p for _, p in links}])
    return result


def _clusters(links: set[tuple[int, int]]) -> list[tuple[list[int], list[int]]]:
    """Linked parts, each cluster with its parts below and above."""
    clusters: list[tuple[set[int], set[int]]] = []
    for low, high in sorted(links):
        touched = [c for c in clusters if low in c[0] or high in c[1]]
        joined = ({low}.union(*(c[0] for c in touched)), {high}.union(*(c[1] for c in touched)))
        clusters = [c for c in clusters if not any(c is t for t in touched)] + [joined]
    return [(sorted(a), sorted(b)) for a, b in clusters]


def signed_distance_mm(mask: BoolArray, pixel_spacing_mm: tuple[float, float]) -> FloatArray:
    """In-plane distance to the nearest pixel of the other kind: positive inside, negative outside."""
    from scipy import ndimage

    padded = np.pad(mask, 1)
    inside = ndimage.distance_transform_edt(padded, sampling=pixel_spacing_mm)
    outside = ndimage.distance_transform_edt(~padded, sampling=pixel_spacing_mm)
    return np.asarray((inside - outside)[1:-1, 1:-1])
