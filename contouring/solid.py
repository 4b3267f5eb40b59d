"""A region as a solid with a smooth surface: what margins grow from, since voxels are steps of up to several mm.

In each plane the signed distance is smoothed and levelled so that it encloses the area of the pixels. Between planes it
is interpolated where parts overlap, and levelled so that areas follow the cubic through four planes: for spheres and
ellipsoids their true course. A part that ends is closed by a cap that follows how fast it was getting smaller: a
cylinder ends flat, half a slice beyond its last plane, a sphere at its pole.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from contouring.errors import EmptyStructure
from contouring.volumes import check_on_grid
from imaging.errors import MissingSlices
from imaging.geometry import Grid
from imaging.volume import Region

__all__ = ["Solid", "solid_of"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

SIGMA_PX = 1.0
"""Smoothing of the signed distance: less leaves steps that a nearest point finds, and margins come out too large."""

COARSE_SIGMA_PX = 1.5
"""The same on pixels that are divided: on them single pixels stand out by more, and what stands out is grown too."""

PADDING_PX = 4
"""Rim around the region's box, wide enough for the smoothed distance to turn negative everywhere."""

FINE_MM = 1.5
"""Pixels larger than this are divided, as those of PET are: a straight line across one cuts off too much of a bend."""

LAYER_MM = 0.5
"""Largest distance of the layers between planes: the specification's 0.5 mm (section 12)."""

BULGE_STEPS = 0.3
"""How far, as a share of a step, the surface between planes may be moved until layers have the area due to them."""

FITTED_PLANES = 4
"""Planes at an end that its cap follows: with three, single pixels of the last one weigh half as much again."""

BISECTIONS = 18
"""Halvings of the level; from one pixel down to less than a hundred-thousandth."""


@dataclass(frozen=True, eq=False)
class Solid:
    """Layers of a field that is positive inside; between planes there are several.

    Parameters
    ----------
    field
        Shape (layers, rows, columns) of the padded box, pixels divided; about the distance to the surface in mm.
    origins_lps
        Centre of the first pixel of each layer, shape (layers, 3).
    along_mm
        Position of each layer along the grid's normal, ascending.
    grid
        The grid of the region.
    pixel_spacing_mm
        (between rows, between columns) of the field.
    """

    field: NDArray[np.float32]
    origins_lps: FloatArray
    along_mm: FloatArray
    grid: Grid
    pixel_spacing_mm: tuple[float, float]

    def surface_points_lps(self) -> FloatArray:
        """Points on the surface, less than a pixel apart: where lines of the layers' lattice cross it, shape (N, 3)."""
        inside = self.field > 0
        indices = []
        for axis in range(3):
            low, high = (
                tuple(part if a == axis else slice(None) for a in range(3))
                for part in (slice(None, -1), slice(1, None))
            )
            crossed = np.nonzero(inside[low] != inside[high])
            index = np.stack(crossed, axis=1).astype(np.float64)
            index[:, axis] += _crossings(self.field, crossed, axis)
            indices.append(index)
        for end in (0, len(self.field) - 1):
            rows, columns = np.nonzero(inside[end])
            indices.append(np.stack([np.full(len(rows), float(end)), rows, columns], axis=1))
        return self._points_lps(np.concatenate(indices))

    @property
    def point_gap_mm2(self) -> float:
        """Mean square distance from a place on the surface to the nearest of its points, were they strewn at random.

        Lines of a lattice a x b x c cross a surface of any direction 1/2 (1/ab + 1/bc + 1/ca) times per mm2 on average.
        """
        dy, dx = self.pixel_spacing_mm
        dz = float(np.diff(self.along_mm).mean()) if len(self.along_mm) > 1 else dy
        return 2 / (np.pi * (1 / (dx * dy) + 1 / (dy * dz) + 1 / (dz * dx)))

    def values_at(self, points_lps: FloatArray) -> FloatArray:
        """The field at any points, interpolated linearly; negative beyond the layers and the box."""
        along = points_lps @ self.grid.normal
        layer = np.interp(
            along, self.along_mm, np.arange(len(self.along_mm)), left=-2.0, right=len(self.along_mm) + 1.0
        )
        origins = np.stack([np.interp(along, self.along_mm, self.origins_lps[:, axis]) for axis in range(3)], axis=1)
        offset = points_lps - origins
        columns = offset @ self.grid.row_direction / self.pixel_spacing_mm[1]
        rows = offset @ self.grid.column_direction / self.pixel_spacing_mm[0]
        return np.asarray(
            ndimage.map_coordinates(self.field, [layer, rows, columns], order=1, mode="constant", cval=-1e3),
            dtype=np.float64,
        )

    def _points_lps(self, index: FloatArray) -> FloatArray:
        layers = np.arange(len(self.origins_lps))
        origins = np.stack([np.interp(index[:, 0], layers, self.origins_lps[:, axis]) for axis in range(3)], axis=1)
        dy, dx = self.pixel_spacing_mm
        return np.asarray(
            origins + index[:, 1:2] * dy * self.grid.column_direction + index[:, 2:3] * dx * self.grid.row_direction
        )


def solid_of(region: Region, grid: Grid) -> Solid:
    """The smooth solid of a region; uneven and tilted stacks allowed.

    Raises
    ------
    EmptyStructure
        The region has no voxel.
    GridMismatch
        The region lies on another grid.
    MissingSlices
        The grid is a single plane without SliceThickness.
    """
    check_on_grid(region, grid)
    if not region.voxel_count:
        raise EmptyStructure("An empty structure has no surface; draw it or leave it out.")
    planes = np.arange(region.start[0], region.start[0] + len(region.crop))
    masks = np.pad(region.crop, ((0, 0), (PADDING_PX, PADDING_PX), (PADDING_PX, PADDING_PX)))
    corner = (region.start[1] - PADDING_PX, region.start[2] - PADDING_PX)
    spacing = grid.pixel_spacing_mm
    parts = _parts_of_pixel(spacing)
    fields = [_field(mask, grid.pixel_spacing_mm) for mask in masks]
    along = grid.plane_positions_mm[planes]
    layers: list[tuple[float, FloatArray]] = []
    below, above = _steps_beyond(grid, planes)
    layers.extend(_cap(masks, grid, along, -below))
    for k in range(len(masks)):
        layers.append((float(along[k]), fields[k]))
        if k + 1 < len(masks):
            layers.extend(_between(masks, fields, k, grid, along))
    layers.extend(_cap(masks[::-1], grid, along[::-1], above))
    layers.sort(key=lambda layer: layer[0])
    positions = np.array([position for position, _ in layers])
    first = grid.points_lps(planes, np.tile([corner[1], corner[0]], (len(planes), 1)).astype(np.float64))
    return Solid(
        field=np.array([field for _, field in layers], dtype=np.float32),
        origins_lps=_origins(positions, along, first, grid),
        along_mm=positions,
        grid=grid,
        pixel_spacing_mm=(spacing[0] / parts[0], spacing[1] / parts[1]),
    )


def _crossings(field: NDArray[np.float32], before: tuple[NDArray[np.intp], ...], axis: int) -> FloatArray:
    """How far from the lattice points `before` on the way to the next ones along an axis the field is zero.

    Within a plane by the parabola through four pixels: a straight line would cut 0.01 mm off a sphere of 10 mm all
    around. Layers are dense, and their distances uneven at caps, so that between them a straight line serves.
    """
    place = np.stack(before)
    values = []
    for n in (-1, 0, 1, 2):
        moved = place.copy()
        moved[axis] = np.clip(moved[axis] + n, 0, field.shape[axis] - 1)
        values.append(field[tuple(moved)].astype(np.float64))
    first, low, high, last = values
    slope = high - low
    share = -low / slope
    if axis:
        bend = (first - low - high + last) / 2
        share += np.clip(bend * share * (1 - share) / 2 / slope, -0.1, 0.1)
    return np.clip(share, 0.0, 1.0)


def _steps_beyond(grid: Grid, planes: NDArray[np.intp]) -> tuple[float, float]:
    """Distance to the plane before the first and after the last of a region.

    Raises
    ------
    MissingSlices
        A single plane without SliceThickness.
    """
    steps = grid.slice_steps_mm
    if not len(steps):
        if grid.slice_thickness_mm is None:
            raise MissingSlices("A single slice without SliceThickness has no extent; state the thickness.")
        return grid.slice_thickness_mm, grid.slice_thickness_mm
    return float(steps[max(0, planes[0] - 1)]), float(steps[min(len(steps) - 1, planes[-1])])


def _origins(positions: FloatArray, along: FloatArray, first: FloatArray, grid: Grid) -> FloatArray:
    """Origins of the layers: interpolated between planes (they follow a tilt), straight along the normal beyond."""
    inner = np.clip(positions, along[0], along[-1])
    origins = np.stack([np.interp(inner, along, first[:, axis]) for axis in range(3)], axis=1)
    return np.asarray(origins + (positions - inner)[:, None] * grid.normal)


def _parts_of_pixel(pixel_spacing_mm: tuple[float, float]) -> tuple[int, int]:
    """Into how many parts pixels are divided along rows and columns."""
    rows, columns = (int(np.ceil(mm / FINE_MM)) for mm in pixel_spacing_mm)
    return rows, columns


def _field(mask: BoolArray, pixel_spacing_mm: tuple[float, float]) -> FloatArray:
    """Smoothed signed distance of one plane on divided pixels, levelled so that it encloses the area of the pixels."""
    parts = _parts_of_pixel(pixel_spacing_mm)
    if not mask.any():
        return np.full([(n - 1) * p + 1 for n, p in zip(mask.shape, parts, strict=True)], -1e3)
    half = _half_pixel_mm(pixel_spacing_mm)
    inside = ndimage.distance_transform_edt(mask, sampling=pixel_spacing_mm)
    outside = ndimage.distance_transform_edt(~mask, sampling=pixel_spacing_mm)
    sharp = np.where(mask, inside - half, half - outside)
    sigma_px = SIGMA_PX if parts == (1, 1) else COARSE_SIGMA_PX
    field = _divided(ndimage.gaussian_filter(sharp, sigma_px), parts, order=3)
    fine_half = _half_pixel_mm((pixel_spacing_mm[0] / parts[0], pixel_spacing_mm[1] / parts[1]))
    field += _level(field, float(np.count_nonzero(mask)) * parts[0] * parts[1], fine_half, 2 * half)
    # A part of a pixel or two is smoothed away; it keeps the steps of its pixels instead.
    gone = mask & ~_touching(mask, field[:: parts[0], :: parts[1]] > 0)
    if not gone.any():
        return field
    steps = half - ndimage.distance_transform_edt(~gone, sampling=pixel_spacing_mm)
    return np.asarray(np.maximum(field, _divided(steps, parts, order=1)))


def _divided(field: FloatArray, parts: tuple[int, int], order: int) -> FloatArray:
    """A field on pixels of which each is divided, the first and the last in their places."""
    if parts == (1, 1):
        return field
    steps = [np.arange((n - 1) * p + 1) / p for n, p in zip(field.shape, parts, strict=True)]
    return np.asarray(ndimage.map_coordinates(field, np.meshgrid(*steps, indexing="ij"), order=order, mode="nearest"))


def _half_pixel_mm(pixel_spacing_mm: tuple[float, float]) -> float:
    return 0.5 * float(np.sqrt(pixel_spacing_mm[0] * pixel_spacing_mm[1]))


def _level(field: FloatArray, area_px: float, half_mm: float, largest_mm: float) -> float:
    """What to add to a field so that it encloses an area, pixels at its edge counted in part; bounded both ways."""
    band = largest_mm + half_mm
    near = field[np.abs(field) < band]
    wanted = area_px - np.count_nonzero(field >= band)
    low, high = -largest_mm, largest_mm
    for _ in range(BISECTIONS):
        level = (low + high) / 2
        if np.clip((near + level) / (2 * half_mm) + 0.5, 0, 1).sum() < wanted:
            low = level
        else:
            high = level
    return (low + high) / 2


def _between(
    masks: BoolArray, fields: list[FloatArray], k: int, grid: Grid, along: FloatArray
) -> list[tuple[float, FloatArray]]:
    """Layers strictly between plane k and the next; `along` are the positions of all planes."""
    low, high = masks[k], masks[k + 1]
    goes_on, comes_from = _touching(low, high), _touching(high, low)
    step = float(along[k + 1] - along[k])
    count = max(2, int(np.ceil(step / LAYER_MM)))
    layers = {n: np.full(fields[k].shape, -1e3) for n in range(1, count)}
    if goes_on.any():
        joined_low = fields[k] if (goes_on == low).all() else _field(goes_on, grid.pixel_spacing_mm)
        joined_high = fields[k + 1] if (comes_from == high).all() else _field(comes_from, grid.pixel_spacing_mm)
        areas, places = _areas_around(masks, along, k, goes_on, comes_from)
        parts = _parts_of_pixel(grid.pixel_spacing_mm)
        half = _half_pixel_mm(grid.pixel_spacing_mm) / float(np.sqrt(parts[0] * parts[1]))
        for n in layers:
            line = joined_low * (1 - n / count) + joined_high * n / count
            layers[n] = line + _level(
                line, _area_at(areas, places, n / count) * parts[0] * parts[1], half, BULGE_STEPS * step
            )
    caps = []
    if (ending := low & ~goes_on).any():
        profile = _cap_profile(_areas_behind(masks[: k + 1][::-1], ending), (along[k] - along[: k + 1][::-1]) / step)
        caps.append((profile, _field(ending, grid.pixel_spacing_mm), 0))
    if (starting := high & ~comes_from).any():
        profile = _cap_profile(_areas_behind(masks[k + 1 :], starting), (along[k + 1 :] - along[k + 1]) / step)
        caps.append((profile, _field(starting, grid.pixel_spacing_mm), count))
    for profile, field, origin in caps:
        for n in range(1, count):
            layers[n] = np.maximum(layers[n], _capped(field, profile, abs(n - origin) / count, 1 / count))
    return [(float(along[k]) + step * n / count, field) for n, field in layers.items()]


def _areas_around(
    masks: BoolArray, along: FloatArray, k: int, low: BoolArray, high: BoolArray
) -> tuple[list[float], list[float]]:
    """Areas of what goes from plane k to the next, there and, where it goes on, a plane before and after; and where.

    Places are in steps from plane k, so that the two planes stand at 0 and 1.
    """
    areas = {k: float(low.sum()), k + 1: float(high.sum())}
    if k and (before := float(_touching(masks[k - 1], low).sum())):
        areas[k - 1] = before
    if k + 2 < len(masks) and (after := float(_touching(masks[k + 2], high).sum())):
        areas[k + 2] = after
    planes = sorted(areas)
    step = along[k + 1] - along[k]
    return [areas[n] for n in planes], [float((along[n] - along[k]) / step) for n in planes]


def _area_at(areas: list[float], places: list[float], t: float) -> float:
    """Area at a share t of the step: a parabola through three planes, the mean of two where there are four.

    The mean, weighted by t, is the cubic through four where they are evenly spaced.
    """
    low = places.index(0.0)
    line = areas[low] * (1 - t) + areas[low + 1] * t
    bends = []
    for n in range(max(0, low - 1), min(low, len(areas) - 3) + 1):
        (a, b, c), (x, y, z) = areas[n : n + 3], places[n : n + 3]
        bends.append(((c - b) / (z - y) - (b - a) / (y - x)) / (z - x))
    bend = (1 - t) * bends[0] + t * bends[-1] if bends else 0.0
    return line - t * (1 - t) * bend


def _cap(masks: BoolArray, grid: Grid, along: FloatArray, step: float) -> list[tuple[float, FloatArray]]:
    """Layers that close the end of planes, of which the first ends, towards `step` (signed, mm), from it outwards."""
    count = max(2, int(np.ceil(abs(step) / LAYER_MM)))
    field = _field(masks[0], grid.pixel_spacing_mm)
    profile = _cap_profile(_areas_behind(masks, masks[0]), np.abs((along - along[0]) / step))
    # The last layer stands where the cap ends, so that a flat end is flat at half a slice and not at the next layer.
    ends = [n / count for n in range(1, count) if n / count < profile.length - 1e-9]
    layers = [(float(along[0]) + step * t, _shrunk(field, profile, t)) for t in ends]
    layers.append((float(along[0]) + step * profile.length, _shrunk(field, profile, profile.length - 1e-9)))
    return layers


def _areas_behind(masks: BoolArray, end: BoolArray) -> list[float]:
    """Areas of a part that ends on the first plane, and of what it comes from on the planes behind, as far as any."""
    areas = [float(np.count_nonzero(end))]
    for mask in masks[1:FITTED_PLANES]:
        end = _touching(mask, end)
        if not end.any():
            break
        areas.append(float(np.count_nonzero(end)))
    return areas


@dataclass(frozen=True)
class _Profile:
    """How the area of a cap falls beyond its plane.

    Parameters
    ----------
    loss, bend
        The share of the area that is left t steps beyond is 1 - loss * t - bend * t^2.
    length
        Where the cap ends, in steps.
    """

    loss: float
    bend: float
    length: float

    def share(self, t: float) -> float:
        return 1 - self.loss * t - self.bend * t**2


def _cap_profile(areas: list[float], behind_steps: FloatArray) -> _Profile:
    """The area goes on falling along the parabola of the last planes: the true course for a sphere or an ellipsoid.

    The next plane is empty. Where the parabola is not at zero by then, the end is blunt, and where between the two
    planes it lies nobody knows: then the cap holds half a slice.
    """
    if len(areas) < 2 or areas[1] <= areas[0]:
        return _Profile(0.0, 0.0, 0.5)
    behind = behind_steps[1 : len(areas)]
    fallen = np.array(areas[1:]) / areas[0] - 1
    loss, bend = fallen[0] / behind[0], 0.0
    if len(areas) > 2:
        (loss, bend), *_ = np.linalg.lstsq(np.stack([behind, -(behind**2)], axis=1), fallen, rcond=None)
        if bend < 0 or loss <= 0:
            loss, bend = fallen[0] / behind[0], 0.0
    root = 2 / (loss + float(np.sqrt(loss**2 + 4 * bend)))
    if root <= 1:
        return _Profile(float(loss), float(bend), root)
    t = np.linspace(0, 1, 1001)
    held = t - loss * t**2 / 2 - bend * t**3 / 3
    return _Profile(loss, bend, float(t[min(int(np.searchsorted(held, 0.5)), 1000)]))


def _capped(field: FloatArray, profile: _Profile, t: float, spacing: float) -> FloatArray:
    """The field of a cap on layers `spacing` apart, so that a straight line between layers ends where the cap does."""
    if t < profile.length:
        return _shrunk(field, profile, t)
    if t - spacing >= profile.length:
        return np.full(field.shape, -1e3)
    before = _shrunk(field, profile, t - spacing)
    beyond = (t - profile.length) / (profile.length - t + spacing)
    return np.where(before > 0, -before * beyond - 1e-4, before)


def _shrunk(field: FloatArray, profile: _Profile, t: float) -> FloatArray:
    """The field lowered so that the area has fallen by the cap's profile at t, before its end."""
    inside = np.sort(field[field > 0])[::-1]
    kept = round(len(inside) * profile.share(t))
    return field - (float(inside[min(kept, len(inside) - 1)]) if kept < len(inside) else 0.0)


def _touching(mask: BoolArray, other: BoolArray) -> BoolArray:
    """The parts of a mask whose projection overlaps another."""
    parts, count = ndimage.label(mask, np.ones((3, 3)))
    if count <= 1:
        return mask if (mask & other).any() else np.zeros_like(mask)
    hits = np.zeros(count + 1, dtype=np.bool_)
    hits[parts[mask & other]] = True
    hits[0] = False
    return np.asarray(hits[parts])
