"""Shapes whose volume and slices are known in closed form: the truth that contours are measured against.

A shape is given in its own coordinates (mm, centre at the origin, axis z). `Placed` turns and moves it into patient
space. Slices are for planes across the shape's own axis.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from imaging.geometry import Grid

__all__ = [
    "Placed", "Shape", "box", "cone", "cylinder", "ellipsoid", "hollow_sphere", "l_shape", "rotation", "sphere",
    "straw", "torus", "two_lobes", "wedge",
]  # fmt: skip

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

VERTICES = 720
"""Corners of a polygon that stands for a circle: it loses 0.0013 % of the area."""


@dataclass(frozen=True)
class Shape:
    """A solid in its own coordinates.

    Parameters
    ----------
    name
        What it is.
    inside
        Whether points (x, y, z arrays, mm) lie inside.
    volume_mm3
        Exact volume.
    slice_area_mm2
        Exact area of the slice at height z.
    slice_polygons
        Polygons (N, 2) of the slice at height z, holes among them; circles as 720 corners.
    half_size_mm
        Half of the box around it, along x, y and z.
    """

    name: str
    inside: Callable[[FloatArray, FloatArray, FloatArray], BoolArray]
    volume_mm3: float
    slice_area_mm2: Callable[[float], float]
    slice_polygons: Callable[[float], list[FloatArray]]
    half_size_mm: tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class Placed:
    """A shape in patient space.

    Parameters
    ----------
    shape
        The shape.
    centre_lps
        Where its centre lies, mm.
    turn
        3 x 3 rotation from its own axes to patient axes.
    """

    shape: Shape
    centre_lps: FloatArray
    turn: FloatArray = field(default_factory=lambda: np.eye(3))

    def mask(self, grid: Grid) -> BoolArray:
        """Voxels of a grid whose centres lie inside."""
        w, u = np.mgrid[0 : grid.rows, 0 : grid.columns]
        pixels = np.stack([u.ravel(), w.ravel()], axis=1)
        mask = np.empty(grid.shape, dtype=np.bool_)
        for plane in range(grid.shape[0]):
            own = (grid.points_lps(plane, pixels) - self.centre_lps) @ self.turn
            mask[plane] = self.shape.inside(own[:, 0], own[:, 1], own[:, 2]).reshape(grid.rows, grid.columns)
        return mask

    def contours(self, grid: Grid) -> list[FloatArray]:
        """Polygons of the slices on the planes of a grid that lie across the shape's axis, in patient space."""
        across = self.turn[:, 2]
        polygons: list[FloatArray] = []
        for position in grid.plane_positions_mm.tolist():
            height = (position - float(grid.normal @ self.centre_lps)) / float(grid.normal @ across)
            for polygon in self.shape.slice_polygons(height):
                own = np.column_stack([polygon, np.full(len(polygon), height)])
                polygons.append(own @ self.turn.T + self.centre_lps)
        return polygons


def rotation(first_deg: float, second_deg: float, third_deg: float) -> FloatArray:
    """Rotation about x, then y, then z."""
    matrix = np.eye(3)
    for axis, angle in enumerate((first_deg, second_deg, third_deg)):
        c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        turn = np.eye(3)
        i, j = (axis + 1) % 3, (axis + 2) % 3
        turn[i, i], turn[i, j], turn[j, i], turn[j, j] = c, -s, s, c
        matrix = turn @ matrix
    return matrix


def _ellipse(a: float, b: float) -> list[FloatArray]:
    if a <= 0 or b <= 0:
        return []
    angle = np.arange(VERTICES) * (2 * np.pi / VERTICES)
    return [np.stack([a * np.cos(angle), b * np.sin(angle)], axis=1)]


def _circle(radius_squared: float) -> list[FloatArray]:
    radius = math.sqrt(max(radius_squared, 0.0))
    return _ellipse(radius, radius)


def ellipsoid(a_mm: float, b_mm: float, c_mm: float) -> Shape:
    """Ellipsoid with half axes a, b, c: 4/3 pi a b c."""

    def scale(z: float) -> float:
        return math.sqrt(max(0.0, 1 - (z / c_mm) ** 2))

    return Shape(
        "ellipsoid",
        lambda x, y, z: (x / a_mm) ** 2 + (y / b_mm) ** 2 + (z / c_mm) ** 2 <= 1,
        4 / 3 * math.pi * a_mm * b_mm * c_mm,
        lambda z: math.pi * a_mm * b_mm * scale(z) ** 2,
        lambda z: _ellipse(a_mm * scale(z), b_mm * scale(z)),
        (a_mm, b_mm, c_mm),
    )


def sphere(radius_mm: float) -> Shape:
    """Sphere: 4/3 pi R^3."""
    return ellipsoid(radius_mm, radius_mm, radius_mm)


def hollow_sphere(outer_mm: float, inner_mm: float) -> Shape:
    """Sphere with a spherical hole: 4/3 pi (R^3 - q^3)."""
    return Shape(
        "hollow sphere",
        lambda x, y, z: (x**2 + y**2 + z**2 <= outer_mm**2) & (x**2 + y**2 + z**2 > inner_mm**2),
        4 / 3 * math.pi * (outer_mm**3 - inner_mm**3),
        lambda z: math.pi * (max(0.0, outer_mm**2 - z**2) - max(0.0, inner_mm**2 - z**2)),
        lambda z: _circle(outer_mm**2 - z**2) + _circle(inner_mm**2 - z**2),
        (outer_mm, outer_mm, outer_mm),
    )


def straw(outer_mm: float, inner_mm: float, height_mm: float) -> Shape:
    """Tube: pi (R^2 - q^2) H; a cylinder where the inner radius is 0."""

    def within(z: float) -> bool:
        return abs(z) <= height_mm / 2

    return Shape(
        "straw",
        lambda x, y, z: (
            (np.abs(z) <= height_mm / 2)
            & (x**2 + y**2 <= outer_mm**2)
            & ((x**2 + y**2 > inner_mm**2) | (inner_mm == 0))
        ),
        math.pi * (outer_mm**2 - inner_mm**2) * height_mm,
        lambda z: math.pi * (outer_mm**2 - inner_mm**2) * within(z),
        lambda z: _circle(outer_mm**2) + _circle(inner_mm**2) if within(z) else [],
        (outer_mm, outer_mm, height_mm / 2),
    )


def cylinder(radius_mm: float, height_mm: float) -> Shape:
    """Cylinder along z: pi R^2 H."""
    return straw(radius_mm, 0.0, height_mm)


def cone(radius_mm: float, height_mm: float) -> Shape:
    """Cone with its base at -H/2: pi R^2 H / 3."""

    def radius(z: float) -> float:
        return radius_mm * (height_mm / 2 - z) / height_mm if abs(z) <= height_mm / 2 else 0.0

    return Shape(
        "cone",
        lambda x, y, z: (np.abs(z) <= height_mm / 2) & (np.hypot(x, y) <= radius_mm * (height_mm / 2 - z) / height_mm),
        math.pi * radius_mm**2 * height_mm / 3,
        lambda z: math.pi * radius(z) ** 2,
        lambda z: _circle(radius(z) ** 2),
        (radius_mm, radius_mm, height_mm / 2),
    )


def torus(ring_mm: float, tube_mm: float) -> Shape:
    """Torus around z: 2 pi^2 R r^2."""

    def half(z: float) -> float:
        return math.sqrt(max(0.0, tube_mm**2 - z**2))

    return Shape(
        "torus",
        lambda x, y, z: (np.hypot(x, y) - ring_mm) ** 2 + z**2 <= tube_mm**2,
        2 * math.pi**2 * ring_mm * tube_mm**2,
        lambda z: 4 * math.pi * ring_mm * half(z),
        lambda z: _circle((ring_mm + half(z)) ** 2) + _circle((ring_mm - half(z)) ** 2) if half(z) > 0 else [],
        (ring_mm + tube_mm, ring_mm + tube_mm, tube_mm),
    )


def _prism(name: str, outline: FloatArray, height_mm: float) -> Shape:
    """A polygon of x and y drawn out along z."""
    x0, y0 = outline[:, 0], outline[:, 1]
    x1, y1 = np.roll(x0, -1), np.roll(y0, -1)
    area = abs(float((x0 * y1 - x1 * y0).sum())) / 2

    def inside(x: FloatArray, y: FloatArray, z: FloatArray) -> BoolArray:
        odd = np.zeros(np.shape(x), dtype=np.bool_)
        for a, b, c, d in zip(x0, y0, x1, y1, strict=True):
            if b != d:
                odd ^= ((b <= y) != (d <= y)) & (x >= a + (c - a) * (y - b) / (d - b))
        return odd & (np.abs(z) <= height_mm / 2)

    return Shape(
        name,
        inside,
        area * height_mm,
        lambda z: area * (abs(z) <= height_mm / 2),
        lambda z: [outline] if abs(z) <= height_mm / 2 else [],
        (float(np.abs(x0).max()), float(np.abs(y0).max()), height_mm / 2),
    )


def box(x_mm: float, y_mm: float, z_mm: float) -> Shape:
    """Box with the given sides."""
    x, y = x_mm / 2, y_mm / 2
    return _prism("box", np.array([[-x, -y], [x, -y], [x, y], [-x, y]]), z_mm)


def wedge(x_mm: float, y_mm: float, z_mm: float) -> Shape:
    """Half a box, cut along the diagonal of x and y."""
    x, y = x_mm / 2, y_mm / 2
    return _prism("wedge", np.array([[-x, -y], [x, -y], [-x, y]]), z_mm)


def l_shape(x_mm: float, y_mm: float, arm_mm: float, z_mm: float) -> Shape:
    """Two arms of the same width at right angles."""
    x, y = x_mm / 2, y_mm / 2
    outline = [[-x, -y], [x, -y], [x, -y + arm_mm], [-x + arm_mm, -y + arm_mm], [-x + arm_mm, y], [-x, y]]
    return _prism("L-shape", np.array(outline), z_mm)


def two_lobes(radius_mm: float, distance_mm: float, height_mm: float) -> Shape:
    """Two upright cylinders of one height at x = -d/2 and d/2 that stand on a box of half that height.

    A slice above has two circles, a slice below a rectangle that holds both.
    """
    half, reach = height_mm / 2, distance_mm / 2 + radius_mm
    base_area = 4 * reach * radius_mm

    def circles() -> list[FloatArray]:
        (circle,) = _circle(radius_mm**2)
        return [np.add(circle, (side * distance_mm / 2, 0.0)) for side in (-1, 1)]

    def polygons(z: float) -> list[FloatArray]:
        if abs(z) > half:
            return []
        if z > 0:
            return circles()
        return [np.array([[-reach, -radius_mm], [reach, -radius_mm], [reach, radius_mm], [-reach, radius_mm]])]

    def inside(x: FloatArray, y: FloatArray, z: FloatArray) -> BoolArray:
        lobes = (np.abs(x) - distance_mm / 2) ** 2 + y**2 <= radius_mm**2
        base = (np.abs(x) <= reach) & (np.abs(y) <= radius_mm)
        return (np.abs(z) <= half) & np.where(z > 0, lobes, base)

    lobe_area = 2 * math.pi * radius_mm**2
    return Shape(
        "two lobes",
        inside,
        half * (lobe_area + base_area),
        lambda z: (lobe_area if z > 0 else base_area) * (abs(z) <= half),
        polygons,
        (reach, radius_mm, half),
    )
