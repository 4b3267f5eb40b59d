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

from contouring.caps import areas_behind, cap_profile, capped, shrunk
from contouring.errors import EmptyStructure
from contouring.plane_field import half_pixel_mm, level_for_area, parts_of_pixel, plane_field, touching
from contouring.volumes import check_on_grid
from imaging.errors import MissingSlices
from imaging.geometry import Grid
from imaging.volume import Region

__all__ = ["Solid", "solid_of"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

PADDING_PX = 4
"""Rim around the region's box, wide enough for the smoothed distance to turn negative everywhere."""

LAYER_MM = 0.5
"""Largest distance of the layers between planes: the specification's 0.5 mm (section 12)."""

BULGE_STEPS = 0.3
"""How far, as a share of a step, the surface between planes may be moved until layers have the area due to them."""


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
    parts = parts_of_pixel(spacing)
    fields = [plane_field(mask, grid.pixel_spacing_mm) for mask in masks]
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


def _between(
    masks: BoolArray, fields: list[FloatArray], k: int, grid: Grid, along: FloatArray
) -> list[tuple[float, FloatArray]]:
    """Layers strictly between plane k and the next; `along` are the positions of all planes."""
    low, high = masks[k], masks[k + 1]
    goes_on, comes_from = touching(low, high), touching(high, low)
    step = float(along[k + 1] - along[k])
    count = max(2, int(np.ceil(step / LAYER_MM)))
    layers = {n: np.full(fields[k].shape, -1e3) for n in range(1, count)}
    if goes_on.any():
        joined_low = fields[k] if (goes_on == low).all() else plane_field(goes_on, grid.pixel_spacing_mm)
        joined_high = fields[k + 1] if (comes_from == high).all() else plane_field(comes_from, grid.pixel_spacing_mm)
        areas, places = _areas_around(masks, along, k, goes_on, comes_from)
        parts = parts_of_pixel(grid.pixel_spacing_mm)
        half = half_pixel_mm(grid.pixel_spacing_mm) / float(np.sqrt(parts[0] * parts[1]))
        for n in layers:
            line = joined_low * (1 - n / count) + joined_high * n / count
            layers[n] = line + level_for_area(
                line, _area_at(areas, places, n / count) * parts[0] * parts[1], half, BULGE_STEPS * step
            )
    caps = []
    if (ending := low & ~goes_on).any():
        profile = cap_profile(areas_behind(masks[: k + 1][::-1], ending), (along[k] - along[: k + 1][::-1]) / step)
        caps.append((profile, plane_field(ending, grid.pixel_spacing_mm), 0))
    if (starting := high & ~comes_from).any():
        profile = cap_profile(areas_behind(masks[k + 1 :], starting), (along[k + 1 :] - along[k + 1]) / step)
        caps.append((profile, plane_field(starting, grid.pixel_spacing_mm), count))
    for profile, field, origin in caps:
        for n in range(1, count):
            layers[n] = np.maximum(layers[n], capped(field, profile, abs(n - origin) / count, 1 / count))
    return [(float(along[k]) + step * n / count, field) for n, field in layers.items()]


def _areas_around(
    masks: BoolArray, along: FloatArray, k: int, low: BoolArray, high: BoolArray
) -> tuple[list[float], list[float]]:
    """Areas of what goes from plane k to the next, there and, where it goes on, a plane before and after; and where.

    Places are in steps from plane k, so that the two planes stand at 0 and 1.
    """
    areas = {k: float(low.sum()), k + 1: float(high.sum())}
    if k and (before := float(touching(masks[k - 1], low).sum())):
        areas[k - 1] = before
    if k + 2 < len(masks) and (after := float(touching(masks[k + 2], high).sum())):
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
    field = plane_field(masks[0], grid.pixel_spacing_mm)
    profile = cap_profile(areas_behind(masks, masks[0]), np.abs((along - along[0]) / step))
    # The last layer stands where the cap ends, so that a flat end is flat at half a slice and not at the next layer.
    ends = [n / count for n in range(1, count) if n / count < profile.length - 1e-9]
    layers = [(float(along[0]) + step * t, shrunk(field, profile, t)) for t in ends]
    layers.append((float(along[0]) + step * profile.length, shrunk(field, profile, profile.length - 1e-9)))
    return layers
