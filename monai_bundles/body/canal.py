"""The spinal canal: what vertebrae enclose, followed from plane to plane.

On the coarse grid the canal is soft tissue from which bone is near in almost every direction of the plane; a path
through the middle of such places is found over all planes at once. Around the path the wall is felt on single voxels
along rays. Between two arches a ray finds no bone: there the wall is that of the neighbouring planes. Where the bone
of a whole vertebra's height is missing the canal ends.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from monai_bundles.body.bone import BONE_HU
from monai_bundles.body.coarse import Coarse

__all__ = ["spinal_canal"]

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]

REACH_MM = 17.0
"""From the middle of the widest canals to their wall; from the middle of a vertebral body the wall is farther aside."""

ASIDE_MM = 75.0
"""Of the spine's usual column, for a spine that bends."""

DIRECTIONS = 16
SOFT_HU = (-120.0, 170.0)
"""Block means of epidural fat, cord and nerve roots, with some bone in the block."""

ENCLOSED = 0.7
"""Share of the directions in which bone is near, from which a place can be within a canal."""

SLOPE = 0.7
"""Most that a canal moves within a plane for each mm along the patient."""

LARGEST_RADIUS_MM = 8.0
"""A place farther than this from bone is as good as one that is this far."""

IN_FRONT_MM, VERTEBRAL = 10.0, 0.5
"""So far before a canal's wall lies the bone of a vertebral body at this share of the places at least (a third of the
height may be discs): the wall of a long bone's marrow is thinner."""

LEAST_MEDIAN_HU = 0.0
"""Of a canal's voxels: cord, roots and fluid. The marrow of long bones holds more fat."""

RAYS, STEP_MM = 48, 0.5
NEIGHBOURS_MM = 14.0
"""To both sides: about the height of one vertebra with its disc lies within twice this."""

FELT = 0.55
"""Share of the rays that meet bone within NEIGHBOURS_MM, below which there is no canal."""

ROUGH_MM = 2.0
"""A ray that goes farther than its neighbours along the patient by more has gone out between two arches."""

LATTICE_MM, APART_MM = 1.5, 3.0
LEAST_OVERLAP, LEAPS = 0.45, 2.0
"""Two sections APART_MM from each other share at least this part of both, and none has this many times the area that is
usual beside it: so steep a canal (0.9 mm a mm) still does."""

SMOOTH_MM = 2.0
"""Along the patient, less than the height of an arch."""

SHORTEST_MM = 30.0
SMALLEST_MM2, LARGEST_MM2 = 90.0, 900.0
"""Areas of sections, from a child's thorax to the first cervical vertebra."""


@dataclass(frozen=True, eq=False)
class Wall:
    """Distances of the wall from a centre (row, column) by plane and direction, in mm; NaN where no bone was met."""

    centre_mm: FloatArray
    radius_mm: FloatArray


def spinal_canal(
    coarse: Coarse, body: BoolArray, bone: BoolArray, column: float
) -> tuple[BoolArray, tuple[int, int, int]]:
    """The canal on the CT's own voxels; empty where no vertebrae enclose one over SHORTEST_MM.

    Parameters
    ----------
    body, bone
        On the coarse grid.
    column
        Of the coarse grid where the spine is expected.

    Returns
    -------
    crop, start
        The mask within a box of the fine voxels (superior, posterior, left), and that box's first index.
    """
    nothing = np.zeros((0, 0, 0), dtype=bool), (0, 0, 0)
    reach = round(ASIDE_MM / coarse.spacing_mm[2])
    left, right = max(0, round(column) - reach), min(bone.shape[2], round(column) + reach + 1)
    part = (slice(None), slice(None), slice(left, right))
    merit = _merit(coarse.hu[part], body[part], bone[part], coarse.spacing_mm)
    if not merit.any():
        return nothing
    path = _path(merit, coarse.spacing_mm) + np.array([0, left])
    wall = _felt(coarse, path)
    smooth, planes = _closed(wall, coarse.spacing_mm[0] / coarse.factors[0])
    if planes.stop == planes.start:
        return nothing
    crop, start = _filled(coarse, smooth, planes)
    fine = coarse.fine[tuple(slice(first, first + size) for first, size in zip(start, crop.shape, strict=True))]
    if np.median(fine[crop]) < LEAST_MEDIAN_HU or _in_front(coarse, bone, smooth, planes) < VERTEBRAL:
        return nothing
    return crop, start


def _merit(
    hu: NDArray[np.float32], body: BoolArray, bone: BoolArray, spacing_mm: tuple[float, float, float]
) -> FloatArray:
    """How well each block may be the middle of a canal, 0 where it cannot be."""
    near = np.zeros(bone.shape, dtype=np.float32)
    pixel = min(spacing_mm[1:])
    for angle in np.arange(DIRECTIONS) * 2 * np.pi / DIRECTIONS:
        met = np.zeros_like(bone)
        seen = set()
        for distance in np.arange(pixel, REACH_MM + pixel / 2, pixel):
            move = (round(distance * np.sin(angle) / spacing_mm[1]), round(distance * np.cos(angle) / spacing_mm[2]))
            if move not in seen:
                seen.add(move)
                met |= _moved(bone, *move)
        near += met
    enclosed = near / DIRECTIONS
    possible = body & ~bone & (hu > SOFT_HU[0]) & (hu < SOFT_HU[1]) & (enclosed >= ENCLOSED)
    room_mm = ndimage.distance_transform_edt(~bone, sampling=(1e6, *spacing_mm[1:]))
    return np.where(possible, enclosed * np.minimum(room_mm, LARGEST_RADIUS_MM), 0.0)


def _moved(mask: BoolArray, rows: int, columns: int) -> BoolArray:
    """What lies `rows` and `columns` on, seen from each place."""
    out = np.zeros_like(mask)
    height, width = mask.shape[1:]
    here = tuple(slice(max(0, -m), n - max(0, m)) for m, n in zip((rows, columns), (height, width), strict=True))
    there = tuple(slice(max(0, m), n - max(0, -m)) for m, n in zip((rows, columns), (height, width), strict=True))
    out[:, here[0], here[1]] = mask[:, there[0], there[1]]
    return out


def _path(merit: FloatArray, spacing_mm: tuple[float, float, float]) -> FloatArray:
    """(planes, 2) row and column of the way from foot to head with the largest sum of merits."""
    reach = [max(1, int(np.ceil(SLOPE * spacing_mm[0] / s))) for s in spacing_mm[1:]]
    size = tuple(2 * r + 1 for r in reach)
    best = [merit[0]]
    for plane in merit[1:]:
        best.append(plane + ndimage.maximum_filter(best[-1], size=size))
    place = np.unravel_index(int(np.argmax(best[-1])), merit.shape[1:])
    way = [place]
    for total in best[-2::-1]:
        low = [max(0, int(p) - r) for p, r in zip(way[-1], reach, strict=True)]
        window = total[low[0] : int(way[-1][0]) + reach[0] + 1, low[1] : int(way[-1][1]) + reach[1] + 1]
        row, col = np.unravel_index(int(np.argmax(window)), window.shape)
        way.append((low[0] + row, low[1] + col))
    found = np.array(way[::-1], dtype=np.float64)
    sigma = NEIGHBOURS_MM / 2 / spacing_mm[0]
    return np.asarray(ndimage.gaussian_filter1d(found, sigma, axis=0, mode="nearest"))


def _felt(coarse: Coarse, path: FloatArray) -> Wall:
    """The wall around the path on the CT's own planes."""
    factors = np.array(coarse.factors[1:])
    fine_planes = len(coarse.fine)
    at = (np.arange(fine_planes) - (coarse.factors[0] - 1) / 2) / coarse.factors[0]
    known = np.arange(len(path))
    centre = np.stack([np.interp(at, known, path[:, axis]) for axis in (0, 1)], axis=1)
    centre = centre * factors + (factors - 1) / 2
    pixel_mm = np.array(coarse.spacing_mm[1:]) / factors
    angles = np.arange(RAYS) * 2 * np.pi / RAYS
    directions = np.stack([np.sin(angles), np.cos(angles)], axis=1) / pixel_mm
    distances = np.arange(0.0, REACH_MM + STEP_MM / 2, STEP_MM)
    radius = np.full((fine_planes, RAYS), np.nan)
    for plane, middle in enumerate(centre):
        places = middle[:, None, None] + directions.T[:, :, None] * distances
        hu = ndimage.map_coordinates(coarse.fine[plane], places, order=1, mode="nearest", output=np.float32)
        dense = hu > BONE_HU
        met = dense.any(axis=1)
        radius[plane, met] = distances[dense.argmax(axis=1)[met]]
    radius[radius == 0] = np.nan
    return Wall(centre * pixel_mm, radius)


def _closed(wall: Wall, step_mm: float) -> tuple[Wall, slice]:
    """The wall without holes, and the planes from the first to the last where it was felt."""
    reach = max(1, round(NEIGHBOURS_MM / step_mm))
    padded = np.pad(wall.radius_mm, ((reach, reach), (0, 0)), constant_values=np.nan)
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=0)
    felt = np.isfinite(around).any(axis=2).mean(axis=1) * np.isfinite(wall.radius_mm).any(axis=1)
    share = ndimage.uniform_filter1d(np.isfinite(wall.radius_mm).mean(axis=1), 2 * reach + 1, mode="nearest")
    usual = _median(around)
    radius = np.where(np.isfinite(wall.radius_mm), np.minimum(wall.radius_mm, usual + ROUGH_MM), usual)
    radius = np.minimum(_filled_along(_filled_round(radius)), _filled_along(_filled_round(usual)) + ROUGH_MM)
    radius = ndimage.median_filter(radius, size=(1, 5), mode="wrap")
    radius = ndimage.gaussian_filter1d(radius, SMOOTH_MM / step_mm, axis=0, mode="nearest")
    area = 0.5 * np.sin(2 * np.pi / RAYS) * (radius * np.roll(radius, 1, axis=1)).sum(axis=1)
    there = (share >= FELT) & (felt > FELT) & (area >= SMALLEST_MM2) & (area <= LARGEST_MM2)
    closed = Wall(wall.centre_mm, radius)
    return closed, _unbroken(there, _sections(closed), area, step_mm)


def _median(around: FloatArray) -> FloatArray:
    """Median along the last axis of what is finite; NaN where nothing is."""
    ordered = np.sort(around, axis=-1)
    count = np.isfinite(around).sum(axis=-1)
    middle = np.maximum(count - 1, 0) // 2
    return np.asarray(np.take_along_axis(ordered, middle[..., None], axis=-1)[..., 0])


def _filled_round(radius: FloatArray) -> FloatArray:
    """NaN of a plane from the neighbouring directions; a plane without any stays."""
    out = radius.copy()
    angles = np.arange(RAYS)
    for row in out:
        known = np.isfinite(row)
        if known.any() and not known.all():
            row[~known] = np.interp(angles[~known], angles[known], row[known], period=RAYS)
    return out


def _filled_along(radius: FloatArray) -> FloatArray:
    """Planes without any from the nearest ones that have."""
    known = np.flatnonzero(np.isfinite(radius).all(axis=1))
    if not len(known):
        return np.zeros_like(radius)
    planes = np.arange(len(radius))
    return radius[known[np.abs(planes[:, None] - known).argmin(axis=1)]]


def _sections(wall: Wall) -> BoolArray:
    """The inside of the wall on all planes, on a lattice of LATTICE_MM."""
    lattice = [
        np.arange(low - REACH_MM - ROUGH_MM, high + REACH_MM + ROUGH_MM + LATTICE_MM, LATTICE_MM)
        for low, high in zip(wall.centre_mm.min(axis=0), wall.centre_mm.max(axis=0), strict=True)
    ]
    return _inside(wall, range(len(wall.centre_mm)), lattice[0], lattice[1])


def _inside(wall: Wall, planes: range, rows_mm: FloatArray, columns_mm: FloatArray) -> BoolArray:
    """Which points (planes, rows, columns) lie within the wall."""
    out = np.zeros((len(planes), len(rows_mm), len(columns_mm)), dtype=bool)
    farthest = REACH_MM + ROUGH_MM
    for number, plane in enumerate(planes):
        middle, radius = wall.centre_mm[plane], wall.radius_mm[plane]
        near = [
            slice(*np.searchsorted(along, (centre - farthest, centre + farthest)))
            for along, centre in zip((rows_mm, columns_mm), middle, strict=True)
        ]
        down, left = rows_mm[near[0], None] - middle[0], columns_mm[None, near[1]] - middle[1]
        turn = np.mod(np.arctan2(down, left), 2 * np.pi) * RAYS / (2 * np.pi)
        limit = np.interp(turn, np.arange(RAYS + 1), np.append(radius, radius[0]))
        out[number, near[0], near[1]] = np.hypot(down, left) < limit
    return out


def _unbroken(there: BoolArray, sections: BoolArray, area_mm2: FloatArray, step_mm: float) -> slice:
    """The planes down and up from the surest one, for as long as each section lies over the last; empty where few.

    Above the foramen magnum and below the sacrum the path goes on through whatever bone is near, and leaps.
    """
    reach = max(1, round(NEIGHBOURS_MM / step_mm))
    sure = ndimage.uniform_filter1d(there.astype(float), 2 * reach + 1, mode="constant") * there
    if not sure.any():
        return slice(0, 0)
    best = int(np.argmax(sure))
    apart = max(1, round(APART_MM / step_mm))
    ends = []
    for way in (-1, 1):
        end, plane = best, best + way
        while 0 <= plane < len(there) and abs(plane - end) * step_mm < NEIGHBOURS_MM:
            back = plane - way * min(apart, abs(plane - best))
            beside = slice(max(0, end - 2 * reach), end + 1) if way > 0 else slice(end, end + 2 * reach + 1)
            usual = float(np.median(area_mm2[beside]))
            union = np.count_nonzero(sections[plane] | sections[back])
            shared = np.count_nonzero(sections[plane] & sections[back])
            if shared < LEAST_OVERLAP * union or not usual / LEAPS < area_mm2[plane] < usual * LEAPS:
                break
            end = plane if there[plane] else end
            plane += way
        ends.append(end)
    run = slice(ends[0], ends[1] + 1)
    return run if (run.stop - run.start) * step_mm >= SHORTEST_MM else slice(0, 0)


def _filled(coarse: Coarse, wall: Wall, planes: slice) -> tuple[BoolArray, tuple[int, int, int]]:
    """The inside of the wall as voxels."""
    pixel_mm = np.array(coarse.spacing_mm[1:]) / np.array(coarse.factors[1:])
    centre = wall.centre_mm[planes] / pixel_mm
    margin = np.ceil((REACH_MM + ROUGH_MM) / pixel_mm)
    low = np.maximum(np.floor(centre.min(axis=0) - margin), 0).astype(int)
    high = np.minimum(np.ceil(centre.max(axis=0) + margin) + 1, coarse.fine.shape[1:]).astype(int)
    rows, columns = (np.arange(a, b) * mm for a, b, mm in zip(low, high, pixel_mm, strict=True))
    return _inside(wall, range(planes.start, planes.stop), rows, columns), (planes.start, int(low[0]), int(low[1]))


def _in_front(coarse: Coarse, bone: BoolArray, wall: Wall, planes: slice) -> float:
    """Share of bone at the places IN_FRONT_MM before the wall's front."""
    angles = np.arange(RAYS) * 2 * np.pi / RAYS
    front = np.sin(angles) < -np.cos(np.deg2rad(30.0))
    reach = wall.radius_mm[planes][:, front] + IN_FRONT_MM
    rows = (wall.centre_mm[planes, :1] + reach * np.sin(angles[front])) / coarse.spacing_mm[1]
    columns = (wall.centre_mm[planes, 1:] + reach * np.cos(angles[front])) / coarse.spacing_mm[2]
    heights = np.broadcast_to(np.arange(planes.start, planes.stop)[:, None] // coarse.factors[0], rows.shape)
    places = [
        np.clip(np.round(a), 0, n - 1).astype(int) for a, n in zip((heights, rows, columns), bone.shape, strict=True)
    ]
    return float(bone[tuple(places)].mean())
