"""The trachea with the main bronchi on the coarse grid: a chain of round air-filled sections in front of the spine.

The chain ends above where it narrows to the glottis; the subglottic part of the larynx therefore belongs to it. Below
it ends where the lumen widens into the carina; from there the main bronchi are grown through gas, and given up where
the growth leaks into lung.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monai_bundles.body.coarse import Coarse
from monai_bundles.body.morphology import dilate, label_parts, label_planes, touches_sides

__all__ = ["trachea"]

BoolArray = NDArray[np.bool_]

LUMEN_HU = -500.0
"""Half-way between air and the wall."""

SMALLEST_MM2, LARGEST_MM2 = 45.0, 750.0
"""Areas of a tracheal section from a child to a large man."""

LONGEST_AXIS_RATIO = 2.2
SHORTEST_MM = 24.0
"""A shorter chain is not called a trachea."""

COMPARABLE = 0.6

GLOTTIS_SHARE = 0.45
"""Section of the glottis as a share of the trachea's: narrower is no trachea any more."""

GAP_STEPS = 2

BRONCHI_BELOW_MM, BRONCHI_ASIDE_MM = 75.0, 65.0
"""How far below and beside the carina main bronchi are looked for."""

GAS_HU = (-915.0, -940.0, -960.0)
"""Block means of gas; the stricter ones are tried where the lung is as thin as the first."""

LARGEST_BRONCHI_CC = 30.0


@dataclass(frozen=True, eq=False)
class Sections:
    """Air-filled sections, one entry each: label, plane, area and centre (row, column) in mm."""

    labels: NDArray[np.int32]
    label: NDArray[np.int64]
    plane: NDArray[np.int64]
    area_mm2: NDArray[np.float64]
    centre_mm: NDArray[np.float64]


def trachea(coarse: Coarse, body: BoolArray, bone: BoolArray) -> BoolArray:
    """The lumen of the trachea; empty where no chain of sections is long enough."""
    sections = _round_sections(coarse, body, bone)
    chain = _longest_chain(sections, coarse.spacing_mm[0])
    if not chain:
        return np.zeros_like(body)
    chosen = np.zeros(int(sections.labels.max()) + 1, dtype=bool)
    chosen[sections.label[chain]] = True
    lumen = body & (coarse.hu < LUMEN_HU)
    tube = chosen[sections.labels]
    # Sections that were no round ones, between sections that were.
    planes = slice(int(sections.plane[chain[0]]), int(sections.plane[chain[-1]]) + 1)
    for _ in range(GAP_STEPS):
        tube[planes] |= dilate(tube, max(coarse.spacing_mm), coarse.spacing_mm)[planes] & lumen[planes]
    return tube | _main_bronchi(coarse, lumen, tube, planes.start)


def _main_bronchi(coarse: Coarse, lumen: BoolArray, tube: BoolArray, lowest: int) -> BoolArray:
    """What is connected to the trachea's lower end through gas, near it; nothing where that leaks into lung."""
    planes = slice(max(0, lowest - round(BRONCHI_BELOW_MM / coarse.spacing_mm[0])), lowest + 2)
    _, _, columns = np.nonzero(tube[lowest : lowest + 2])
    reach = round(BRONCHI_ASIDE_MM / coarse.spacing_mm[2])
    middle = int(columns.mean())
    box = (planes, slice(None), slice(max(0, middle - reach), middle + reach + 1))
    nothing = np.zeros_like(tube)
    for gas_hu in GAS_HU:
        labels, sizes = label_parts((lumen[box] & (coarse.hu[box] < gas_hu)) | tube[box])
        touched = np.unique(labels[tube[box]])
        grown = np.isin(labels, touched[touched > 0])
        added_cc = (np.count_nonzero(grown) - np.count_nonzero(tube[box])) * coarse.voxel_cc
        if sizes.size > 1 and added_cc <= LARGEST_BRONCHI_CC:
            nothing[box] = grown
            return nothing
    return nothing


def _round_sections(coarse: Coarse, body: BoolArray, bone: BoolArray) -> Sections:
    """Sections of enclosed air whose size and shape a trachea can have, with the spine behind them."""
    labels, count = label_planes(body & (coarse.hu < LUMEN_HU))
    flat = labels.ravel()
    inside = np.flatnonzero(flat)
    of = flat[inside]
    plane, row, column = np.unravel_index(inside, labels.shape)
    y, x = row * coarse.spacing_mm[1], column * coarse.spacing_mm[2]
    size = np.maximum(np.bincount(of, minlength=count + 1), 1)

    def mean(values: NDArray[np.generic]) -> NDArray[np.float64]:
        return np.bincount(of, weights=values.astype(np.float64), minlength=count + 1) / size

    cy, cx = mean(y), mean(x)
    # The second moments of a pixel about itself keep one-pixel-wide sections from having no width.
    yy = mean(y * y) - cy**2 + coarse.spacing_mm[1] ** 2 / 12
    xx = mean(x * x) - cx**2 + coarse.spacing_mm[2] ** 2 / 12
    xy = mean(x * y) - cx * cy
    spread = np.sqrt(((yy - xx) / 2) ** 2 + xy**2)
    long, short = (yy + xx) / 2 + spread, np.maximum((yy + xx) / 2 - spread, 1e-6)
    area = size * coarse.pixel_mm2
    solidity = area / (4 * np.pi * np.sqrt(long * short))
    lowest = np.full(count + 1, np.inf)
    np.minimum.at(lowest, of, coarse.hu.ravel()[inside])
    good = (area >= SMALLEST_MM2) & (area <= LARGEST_MM2) & (np.sqrt(long / short) <= LONGEST_AXIS_RATIO)
    good &= (solidity >= 0.75) & (lowest < -800.0) & ~touches_sides(labels, count)
    good[0] = False
    chosen = np.flatnonzero(good)
    of_plane = np.round(mean(plane)).astype(np.int64)[chosen]
    centre = np.stack([cy, cx], axis=1)[chosen]
    in_front = [_spine_behind(coarse, bone, k, c) for k, c in zip(of_plane, centre, strict=True)]
    keep = np.array(in_front, dtype=bool)
    return Sections(labels, chosen[keep], of_plane[keep], area[chosen][keep], centre[keep])


def _spine_behind(coarse: Coarse, bone: BoolArray, plane: int, centre_mm: NDArray[np.float64]) -> bool:
    """Whether bone lies 5 to 75 mm behind the section, within 12 mm of its column."""
    row, column = centre_mm / coarse.spacing_mm[1:]
    behind = slice(int(row + 5 / coarse.spacing_mm[1]), int(row + 75 / coarse.spacing_mm[1]) + 1)
    reach = 12 / coarse.spacing_mm[2]
    across = slice(max(0, int(column - reach)), int(column + reach) + 1)
    return int(np.count_nonzero(bone[plane, behind, across])) * coarse.pixel_mm2 >= 60.0


def _longest_chain(sections: Sections, plane_mm: float) -> list[int]:
    """Indices of the sections of the longest chain, from inferior to superior; empty if it is too short."""
    order = np.argsort(sections.plane, kind="stable")
    length = np.zeros(len(order))
    before = np.full(len(order), -1)
    furthest = max(1, round(5.0 / plane_mm))
    for position, index in enumerate(order):
        for earlier in order[:position][::-1]:
            gap = sections.plane[index] - sections.plane[earlier]
            if gap == 0:
                continue
            if gap > furthest:
                break
            shift = float(np.hypot(*(sections.centre_mm[index] - sections.centre_mm[earlier])))
            ratio = sections.area_mm2[index] / sections.area_mm2[earlier]
            if shift > 3.0 + 0.8 * gap * plane_mm or not 0.55 <= ratio <= 1.8:
                continue
            if length[earlier] + gap * plane_mm > length[index]:
                length[index] = length[earlier] + gap * plane_mm
                before[index] = earlier
    if not len(order) or length.max() < SHORTEST_MM:
        return []
    # Chains in the pharynx can be longer than a trachea that the scan cuts: of comparable chains the lowest counts.
    ends = np.flatnonzero(length >= max(SHORTEST_MM, COMPARABLE * length.max()))
    chains = [_back_from(int(end), before) for end in ends]
    lowest = min(chains, key=lambda chain: (sections.plane[chain[0]], -len(chain)))
    return _up_to_glottis(sections, lowest, plane_mm)


def _back_from(end: int, before: NDArray[np.int64]) -> list[int]:
    """The chain that ends at a section, from its first."""
    chain = [end]
    while before[chain[-1]] >= 0:
        chain.append(int(before[chain[-1]]))
    return chain[::-1]


def _up_to_glottis(sections: Sections, chain: list[int], plane_mm: float) -> list[int]:
    """The chain up to where it narrows to a fraction of the trachea's section."""
    areas = sections.area_mm2[chain]
    usual = float(np.median(areas[: max(3, round(40.0 / plane_mm))]))
    narrow = np.flatnonzero(areas < GLOTTIS_SHARE * usual)
    kept = chain[: narrow[0]] if len(narrow) else chain
    return kept if len(kept) * plane_mm >= SHORTEST_MM else []
