"""One axial plane of the phantom: closed-form shapes painted one over the other, each with its HU and its label.

Coordinates are mm in the phantom's own frame: x to the patient's left, y to the back, z to the head.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Canvas", "Point", "mirrored"]

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
Point = tuple[float, float, float]


def mirrored(points: Sequence[Point], side: int) -> list[Point]:
    """Points given for the left side, on the left (`side` 1) or the right (-1)."""
    return [(side * x, y, z) for x, y, z in points]


class Canvas:
    """A plane at height `z` with its HU and labels; 0 is outside the body, and only what is inside is painted over.

    Parameters
    ----------
    x, y
        Coordinates of columns and rows.
    z
        Height of the plane.
    """

    def __init__(self, x: Floats, y: Floats, z: float) -> None:
        self.x = x
        self.y = y
        self.z = z
        self.hu = np.full((len(y), len(x)), -1000, dtype=np.float32)
        self.labels = np.zeros((len(y), len(x)), dtype=np.uint8)

    def window(self, x_range: tuple[float, float], y_range: tuple[float, float]) -> tuple[slice, slice]:
        """Rows and columns that cover a rectangle."""
        columns = np.searchsorted(self.x, x_range)
        rows = np.searchsorted(self.y, y_range)
        return slice(int(rows[0]), int(rows[1])), slice(int(columns[0]), int(columns[1]))

    def meshes(self, box: tuple[slice, slice]) -> tuple[Floats, Floats]:
        """Coordinates (x as a row, y as a column) of a window."""
        return self.x[None, box[1]], self.y[box[0], None]

    def paint(
        self,
        box: tuple[slice, slice],
        inside: Bools,
        hu: float | Floats,
        label: int | None = None,
        within: int | None = None,
    ) -> None:
        """Give voxels of the body an HU, and a label where there is one; `within` limits it to one label."""
        labels = self.labels[box]
        mask = inside & (labels > 0 if within is None else labels == within)
        self.hu[box][mask] = hu[mask] if isinstance(hu, np.ndarray) else hu
        if label is not None:
            labels[mask] = label

    def ellipse(
        self,
        centre: tuple[float, float],
        radii: tuple[float, float],
        hu: float,
        label: int | None = None,
        turn_deg: float = 0.0,
        within: int | None = None,
    ) -> None:
        """Paint an ellipse, turned from the x axis towards the y axis."""
        reach = max(radii) if turn_deg else None
        rx, ry = (reach or radii[0]), (reach or radii[1])
        box = self.window((centre[0] - rx, centre[0] + rx), (centre[1] - ry, centre[1] + ry))
        x, y = self.meshes(box)
        x, y = x - centre[0], y - centre[1]
        if turn_deg:
            c, s = float(np.cos(np.radians(turn_deg))), float(np.sin(np.radians(turn_deg)))
            x, y = c * x + s * y, c * y - s * x
        self.paint(box, (x / radii[0]) ** 2 + (y / radii[1]) ** 2 < 1, hu, label, within)

    def ellipsoid(self, centre: Point, radii: Point, hu: float, **options: Any) -> None:
        """Paint the section of an ellipsoid."""
        rest = 1 - ((self.z - centre[2]) / radii[2]) ** 2
        if rest > 0:
            self.ellipse(centre[:2], (radii[0] * rest**0.5, radii[1] * rest**0.5), hu, **options)

    def shell(
        self, centre: Point, radii: Point, wall_mm: float, wall: tuple[float, int], hu: float, label: int
    ) -> None:
        """Paint an ellipsoid with a wall outside of it: (HU, label) of the wall, then those of the inside."""
        outer = (radii[0] + wall_mm, radii[1] + wall_mm, radii[2] + wall_mm)
        self.ellipsoid(centre, outer, wall[0], label=wall[1])
        self.ellipsoid(centre, radii, hu, label=label)

    def tube(
        self,
        points: Sequence[Point],
        radii: Sequence[float],
        hu: float,
        label: int | None = None,
        within: int | None = None,
    ) -> None:
        """Paint a bent tube with round ends, its radius changing linearly from point to point."""
        for start, end, r0, r1 in zip(points[:-1], points[1:], radii[:-1], radii[1:], strict=True):
            reach = max(r0, r1)
            if not min(start[2], end[2]) - reach < self.z < max(start[2], end[2]) + reach:
                continue
            xs, ys = sorted((start[0], end[0])), sorted((start[1], end[1]))
            box = self.window((xs[0] - reach, xs[1] + reach), (ys[0] - reach, ys[1] + reach))
            x, y = self.meshes(box)
            step = np.subtract(end, start)
            along = (x - start[0]) * step[0] + (y - start[1]) * step[1] + (self.z - start[2]) * step[2]
            t = np.clip(along / float(step @ step), 0, 1)
            squared = (
                (x - start[0] - t * step[0]) ** 2
                + (y - start[1] - t * step[1]) ** 2
                + (self.z - start[2] - t * step[2]) ** 2
            )
            self.paint(box, squared < (r0 + t * (r1 - r0)) ** 2, hu, label, within)
