"""The outside of the phantom: skin, fat and muscle from the vertex to the chest, and what the patient lies on."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from imaging.testing.canvas import Canvas, Floats
from imaging.testing.labels import Label

__all__ = ["BODY", "BOTTOM_MM", "TOP_MM", "Outline", "outline_at", "paint_body", "paint_surroundings", "superellipse"]

BODY = Label.OTHER
"""Label of everything inside the skin that is nothing else."""

TOP_MM, BOTTOM_MM = 190.0, -284.0
"""Range of z that the anatomy is made for."""

OUTLINE = np.array([
    # z, half width, front, back (distances from the centre), centre y, exponent, fat
    [-300, 164, 112, 119, 6, 2.5, 17],
    [-250, 168, 110, 118, 6, 2.5, 16],
    [-210, 180, 106, 115, 6, 2.5, 14],
    [-170, 208, 100, 109, 8, 2.5, 12],
    [-145, 221, 92, 102, 10, 2.4, 11],
    [-122, 200, 82, 94, 12, 2.3, 10],
    [-106, 148, 68, 86, 12, 2.2, 9],
    [-92, 92, 57, 77, 12, 2.1, 7],
    [-75, 63, 48, 70, 12, 2.0, 5],
    [-50, 58, 46, 67, 10, 2.0, 5],
    [-32, 58, 52, 67, 8, 2.1, 5],
    [-15, 60, 77, 68, 4, 2.2, 6],
    [0, 63, 86, 71, 2, 2.2, 6],
    [20, 67, 90, 76, 0, 2.2, 5],
    [40, 71, 92, 84, 0, 2.1, 5],
    [60, 75, 93, 91, 0, 2.0, 4],
    [80, 77, 94, 94, 0, 2.0, 4],
    [105, 78, 95, 95, 0, 2.0, 4],
])
_outline = PchipInterpolator(OUTLINE[:, 0], OUTLINE[:, 1:])

CRANIUM_Z_MM, CRANIUM_HEIGHT_MM = 105.0, 82.0
COUCH_Y_MM = 127.0


@dataclass(frozen=True)
class Outline:
    """Cross-section of the skin at one height: a superellipse with its own front and back."""

    half_width_mm: float
    front_mm: float
    back_mm: float
    centre_y_mm: float
    exponent: float
    fat_mm: float

    @property
    def front_y_mm(self) -> float:
        """Where the skin is in front."""
        return self.centre_y_mm - self.front_mm


def outline_at(z: float) -> Outline | None:
    """The skin at height z; None above the vertex."""
    width, front, back, centre, exponent, fat = (float(v) for v in _outline(min(z, CRANIUM_Z_MM)))
    if z > CRANIUM_Z_MM:
        rest = 1 - ((z - CRANIUM_Z_MM) / CRANIUM_HEIGHT_MM) ** 2
        if rest <= 0:
            return None
        width, front, back = (v * rest**0.5 for v in (width, front, back))
    return Outline(width, front, back, centre, exponent, fat)


def superellipse(
    x: Floats, y: Floats, half_width: float, front: float, back: float, centre_y: float, exponent: float
) -> tuple[Floats, Floats]:
    """(distance from the centre, distance of the outline in the same direction), in mm, of each pixel."""
    dy = y - centre_y
    depth = np.where(dy < 0, front, back).astype(np.float32)
    level = np.abs(x / half_width) ** exponent + np.abs(dy / depth) ** exponent
    radius = np.sqrt(x * x + dy * dy)
    return radius, radius * np.maximum(level, 1e-6) ** (-1 / exponent)


def paint_body(canvas: Canvas, phases: NDArray[np.float64]) -> Floats | None:
    """Paint skin, fat and muscle; the distance inside the skin in mm (negative outside), or None above the vertex."""
    outline = outline_at(canvas.z)
    if outline is None:
        return None
    x, y, z = canvas.x[None, :], canvas.y[:, None], canvas.z
    radius, edge = superellipse(
        x, y, outline.half_width_mm, outline.front_mm, outline.back_mm, outline.centre_y_mm, outline.exponent
    )
    depth = edge - radius
    if 32 < z < 80:
        fall = 80 - z
        tip = 1 - (max(0.0, 46 - z) / 14) ** 2
        nose = 1 - ((x / (6 + 0.22 * fall)) ** 2 + ((y + 88) / (6 + 0.52 * min(fall, 36) * tip)) ** 2)
        depth = np.maximum(depth, 10 * nose)
    for side in (-1, 1):
        ear = 1 - (((x - side * 79) / 6) ** 2 + ((y - 8) / 15) ** 2 + ((z - 66) / 29) ** 2)
        depth = np.maximum(depth, 4 * ear)
    texture = _texture(x, y, z, phases)
    fat_mm = outline.fat_mm * (1 + 0.25 * np.sin(np.arctan2(y - outline.centre_y_mm, x) * 2 + phases[0]))
    soft = np.where(np.abs(texture - 0.2) < (0.035 if z > -70 else 0.055), -72, 52 + 12 * texture)
    canvas.hu[...] = np.where(depth < 2, 15, np.where(depth < 2 + fat_mm, -104 + 8 * texture, soft))
    canvas.hu[depth <= 0] = -1000
    canvas.labels[depth > 0] = BODY
    return np.asarray(depth, dtype=np.float32)


def _texture(x: Floats, y: Floats, z: float, phases: NDArray[np.float64]) -> Floats:
    """Smooth values from -1 to 1 that look like muscles with planes of fat between them."""
    waves = np.zeros((y.shape[0], x.shape[1]), dtype=np.float32)
    for n, (kx, ky, kz) in enumerate(((0.11, 0.05, 0.03), (-0.06, 0.13, 0.05), (0.17, -0.11, 0.02))):
        waves += np.sin(np.float32(kx) * x + np.float32(ky) * y + np.float32(kz * z + phases[n + 1]))
    waves /= 3
    return waves


def paint_surroundings(canvas: Canvas, depth: Floats | None) -> None:
    """Add couch, head rest and mask outside the body."""
    x, y, z = canvas.x[None, :], canvas.y[:, None], canvas.z
    outside = canvas.labels == 0
    couch = np.abs(x) < 215
    bend = COUCH_Y_MM + 9 * (x / 215) ** 2
    below = y - bend
    _fill(canvas, outside & couch & (below > 0) & (below < 46), -935)
    shell = (
        ((below > 0) & (below < 2.6))
        | ((below > 43.4) & (below < 46))
        | ((np.abs(x) > 211) & (below > 0) & (below < 46))
    )
    _fill(canvas, outside & couch & shell, -240)
    if z < -62 or depth is None:
        return
    rest = (np.abs(x) < 92) & (y > 18 + 0.004 * x * x) & (below <= 0) & (depth < -1.5)
    _fill(canvas, outside & rest, -915)
    _fill(canvas, outside & rest & ((depth > -4.5) | (np.abs(x) > 89.5)), -560)
    _fill(canvas, outside & (y < 22) & (depth < -1.5) & (depth > -4.2), -130)


def _fill(canvas: Canvas, mask: NDArray[np.bool_], hu: float) -> None:
    canvas.hu[mask] = hu
