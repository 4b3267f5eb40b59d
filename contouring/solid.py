"""A region as a solid with a smooth surface: what margins grow from, since voxels are steps of up to several mm.

In each plane the signed distance is smoothed and levelled so that it encloses the area of the pixels. Between planes it
is interpolated where parts overlap. A part that ends is closed by a cap that follows how fast it was getting smaller,
half a slice at most: a cylinder ends flat, a sphere at its pole.
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

PADDING_PX = 4
"""Rim around the region's box, wide enough for the smoothed distance to turn negative everywhere."""

LAYER_MM = 0.5
"""Largest distance of the layers between planes: the specification's 0.5 mm (section 12)."""

BULGE_STEPS = 0.1
"""Largest distance of the interpolated surface from the straight line between planes, as a share of their distance."""

BISECTIONS = 18
"""Halvings of the level; from one pixel down to less than a hundred-thousandth."""


@dataclass(frozen=True, eq=False)
class Solid:
    """Layers of a field that is positive inside; between planes there are several.

    Parameters
    ----------
    field
        Shape (layers, rows, columns) of the padded box; about the distance to the surface in mm.
    origins_lps
        Centre of the first pixel of each layer, shape (layers, 3).
    along_mm
        Position of each layer along the grid's normal, ascending.
    grid
        The grid of the region.
    corner
        Index (row, column) of the box's first pixel in the grid; may be negative.
    """

    field: NDArray[np.float32]
    origins_lps: FloatArray
    along_mm: FloatArray
    grid: Grid
    corner: tuple[int, int]

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
            before, after = self.field[low][crossed], self.field[high][crossed]
            index = np.stack(crossed, axis=1).astype(np.float64)
            index[:, axis] += before / (before - after)
            indices.append(index)
        for end in (0, len(self.field) - 1):
            rows, columns = np.nonzero(inside[end])
            indices.append(np.stack([np.full(len(rows), float(end)), rows, columns], axis=1))
        return self._points_lps(np.concatenate(indices))

    def values_at(self, points_lps: FloatArray) -> FloatArray:
        """The field at any points, interpolated linearly; negative beyond the layers and the box."""
        along = points_lps @ self.grid.normal
        layer = np.interp(
            along, self.along_mm, np.arange(len(self.along_mm)), left=-2.0, right=len(self.along_mm) + 1.0
        )
        origins = np.stack([np.interp(along, self.along_mm, self.origins_lps[:, axis]) for axis in range(3)], axis=1)
        offset = points_lps - origins
        columns = offset @ self.grid.row_direction / self.grid.pixel_spacing_mm[1]
        rows = offset @ self.grid.column_direction / self.grid.pixel_spacing_mm[0]
        return np.asarray(
            ndimage.map_coordinates(self.field, [layer, rows, columns], order=1, mode="constant", cval=-1e3),
            dtype=np.float64,
        )

    def _points_lps(self, index: FloatArray) -> FloatArray:
        layers = np.arange(len(self.origins_lps))
        origins = np.stack([np.interp(index[:, 0], layers, self.origins_lps[:, axis]) for axis in range(3)], axis=1)
        dy, dx = self.grid.pixel_spacing_mm
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
    fields = [_field(mask, grid.pixel_spacing_mm) for mask in masks]
    along = grid.plane_positions_mm[planes]
    layers: list[tuple[float, FloatArray]] = []
    below, above = _steps_beyond(grid, planes)
    layers.extend(_cap(masks[0], masks[1] if len(masks) > 1 else None, grid, along[0], -below))
    for k in range(len(masks)):
        layers.append((float(along[k]), fields[k]))
        if k + 1 < len(masks):
            layers.extend(_between(masks, fields, k, grid, (float(along[k]), float(along[k + 1]))))
    layers.extend(_cap(masks[-1], masks[-2] if len(masks) > 1 else None, grid, along[-1], above))
    layers.sort(key=lambda layer: layer[0])
    positions = np.array([position for position, _ in layers])
    first = grid.points_lps(planes, np.tile([corner[1], corner[0]], (len(planes), 1)).astype(np.float64))
    return Solid(
        field=np.array([field for _, field in layers], dtype=np.float32),
        origins_lps=_origins(positions, along, first, grid),
        along_mm=positions,
        grid=grid,
        corner=corner,
    )


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


def _field(mask: BoolArray, pixel_spacing_mm: tuple[float, float]) -> FloatArray:
    """Smoothed signed distance of one plane, raised or lowered until it encloses the area of the pixels."""
    half = 0.5 * float(np.sqrt(pixel_spacing_mm[0] * pixel_spacing_mm[1]))
    if not mask.any():
        return np.full(mask.shape, -1e3)
    inside = ndimage.distance_transform_edt(mask, sampling=pixel_spacing_mm)
    outside = ndimage.distance_transform_edt(~mask, sampling=pixel_spacing_mm)
    field = ndimage.gaussian_filter(np.where(mask, inside - half, half - outside), SIGMA_PX)
    near = field[np.abs(field) < 6 * half]
    wanted = np.count_nonzero(mask) - np.count_nonzero(field >= 6 * half)
    low, high = -2 * half, 2 * half
    for _ in range(BISECTIONS):
        level = (low + high) / 2
        if np.clip((near + level) / (2 * half) + 0.5, 0, 1).sum() < wanted:
            low = level
        else:
            high = level
    return np.asarray(field + (low + high) / 2)


def _between(
    masks: BoolArray, fields: list[FloatArray], k: int, grid: Grid, along: tuple[float, float]
) -> list[tuple[float, FloatArray]]:
    """Layers strictly between plane k and the next."""
    low, high = masks[k], masks[k + 1]
    goes_on, comes_from = _touching(low, high), _touching(high, low)
    joined_low = fields[k] if (goes_on == low).all() else _field(goes_on, grid.pixel_spacing_mm)
    joined_high = fields[k + 1] if (comes_from == high).all() else _field(comes_from, grid.pixel_spacing_mm)
    step = along[1] - along[0]
    count = max(2, int(np.ceil(step / LAYER_MM)))
    bends = _bends(masks, fields, k) if (goes_on == low).all() and (comes_from == high).all() else None
    layers = {
        n: _blend(joined_low, joined_high, bends, n / count, step) if goes_on.any() else np.full(low.shape, -1e3)
        for n in range(1, count)
    }
    caps = []
    if (ending := low & ~goes_on).any():
        before = _touching(masks[k - 1], ending) if k > 0 else None
        caps.append((_cap_profile(ending, before), _field(ending, grid.pixel_spacing_mm), 0))
    if (starting := high & ~comes_from).any():
        after = _touching(masks[k + 2], starting) if k + 2 < len(masks) else None
        caps.append((_cap_profile(starting, after), _field(starting, grid.pixel_spacing_mm), count))
    for profile, field, origin in caps:
        for n in layers:
            layers[n] = np.maximum(layers[n], _capped(field, profile, abs(n - origin) / count, 1 / count))
    return [(along[0] + step * n / count, field) for n, field in layers.items()]


def _bends(masks: BoolArray, fields: list[FloatArray], k: int) -> tuple[FloatArray, FloatArray] | None:
    """Second differences of the field at plane k and the next."""
    full = [n for n in (k, k + 1) if 0 < n < len(masks) - 1 and masks[n - 1].any() and masks[n + 1].any()]
    bends = [fields[n - 1] - 2 * fields[n] + fields[n + 1] for n in full]
    if not bends:
        return None
    return bends[0], bends[-1]


def _blend(
    low: FloatArray, high: FloatArray, bends: tuple[FloatArray, FloatArray] | None, t: float, step: float
) -> FloatArray:
    """The field at a share t of the step: the cubic through four planes, kept near the straight line.

    A straight line between planes 3 mm apart cuts 0.1 mm off a sphere of 10 mm; the bound keeps the cubic from
    overshooting where a structure changes abruptly.
    """
    line = low * (1 - t) + high * t
    if bends is None:
        return line
    bulge = -t * (1 - t) / 2 * ((1 - t) * bends[0] + t * bends[1])
    return line + np.clip(bulge, -BULGE_STEPS * step, BULGE_STEPS * step)


def _cap(
    mask: BoolArray, neighbour: BoolArray | None, grid: Grid, along: float, step: float
) -> list[tuple[float, FloatArray]]:
    """Layers that close an end towards `step` (signed, mm), from the nearest outwards."""
    count = max(2, int(np.ceil(abs(step) / LAYER_MM)))
    field = _field(mask, grid.pixel_spacing_mm)
    profile = _cap_profile(mask, _touching(neighbour, mask) if neighbour is not None else None)
    # The last layer stands where the cap ends, so that a flat end is flat at half a slice and not at the next layer.
    ends = [n / count for n in range(1, count) if n / count < profile.length - 1e-9]
    layers = [(along + step * t, _shrunk(field, profile, t)) for t in ends]
    layers.append((along + step * profile.length, _shrunk(field, profile, profile.length - 1e-9)))
    return layers


@dataclass(frozen=True)
class _Profile:
    """How the area of a cap falls: share lost per step, and where the cap ends (in steps)."""

    loss: float
    length: float


def _cap_profile(mask: BoolArray, before: BoolArray | None) -> _Profile:
    """The area goes on falling as it did; the cap holds half a slice of the end plane at most."""
    area = float(np.count_nonzero(mask))
    loss = max(0.0, (np.count_nonzero(before) - area) / area) if before is not None and before.any() else 0.0
    if loss >= 1.0:
        return _Profile(loss, 1 / loss)
    # Half a slice is full at t where t - loss * t^2 / 2 = 1 / 2.
    length = 0.5 if loss == 0 else (1 - float(np.sqrt(1 - loss))) / loss
    return _Profile(loss, length)


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
    if profile.loss == 0:
        return field
    inside = np.sort(field[field > 0])[::-1]
    kept = round(len(inside) * (1 - profile.loss * t))
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
