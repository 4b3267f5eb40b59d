"""Spine, chest wall, lungs and mediastinum of the phantom."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from imaging.testing.body import outline_at, superellipse
from imaging.testing.canvas import Canvas, Point, mirrored
from imaging.testing.labels import Label

__all__ = ["Vessel", "grow_vessels", "paint_spine", "paint_thorax"]

BONE, OTHER = Label.BONE, Label.OTHER
SIDES = (-1, 1)

SPINE = np.array([
    # z, y of the vertebral body's centre, its half width, its half depth, height of a level
    [-300, 59, 17.5, 15, 25],
    [-220, 61, 16.5, 14, 24],
    [-150, 50, 15, 12, 21],
    [-100, 33, 13.5, 9.5, 18],
    [-50, 18, 12.5, 8.5, 17],
    [0, 14, 12, 8, 17],
    [40, 15, 11, 7.5, 18],
])
_spine = PchipInterpolator(SPINE[:, 0], SPINE[:, 1:])

CAVITY = np.array([
    # z, half width, front, back, centre y of the inside of the rib cage
    [-300, 131, 90, 92, 8],
    [-260, 129, 90, 92, 8],
    [-220, 123, 86, 90, 8],
    [-180, 111, 79, 82, 10],
    [-150, 97, 69, 72, 14],
    [-125, 79, 53, 56, 20],
    [-110, 64, 36, 40, 24],
    [-100, 49, 20, 24, 26],
    [-92, 30, 8, 10, 28],
])
_cavity = PchipInterpolator(CAVITY[:, 0], CAVITY[:, 1:])

CAVITY_EXPONENT = 2.3
RIB_PITCH_MM, FIRST_RIB_Z_MM, RIB_SLOPE = 25.0, -88.0, 0.52
FAN = (
    (0.6, 0, 1),
    (0.6, -0.7, 0.8),
    (0.5, 0.6, 0.7),
    (1, 0.1, 0.1),
    (0.8, -0.8, -0.3),
    (0.6, 0.6, -0.9),
    (0.9, 0, -0.8),
)
"""Directions of the first branches of a lung's vessels: outwards, forwards, upwards."""

TRACHEA = ((0, -13, -72), (1, -6, -96), (2, 12, -140), (3, 21, -196), (3, 22, -203))
CARINA = TRACHEA[-1]


@dataclass(frozen=True)
class Vessel:
    """A straight piece of a vessel in a lung."""

    start: Point
    end: Point
    radii_mm: tuple[float, float]


def grow_vessels(rng: np.random.Generator) -> tuple[Vessel, ...]:
    """Branching vessels from each hilum outwards."""
    vessels: list[Vessel] = []
    for side, hilum in ((1, (40.0, 27.0, -218.0)), (-1, (-40.0, 23.0, -224.0))):
        tips = [(np.array(hilum), np.array([side * a, b, c]), 5.2) for a, b, c in FAN]
        for generation in range(6):
            grown = []
            for tip, direction, radius in tips:
                for _ in range(1 if generation == 0 else 2):
                    ahead = direction / np.linalg.norm(direction) + rng.normal(0, 0.3 if generation == 0 else 0.42, 3)
                    ahead /= np.linalg.norm(ahead)
                    end = tip + ahead * rng.uniform(0.75, 1.25) * (34 - 3.5 * generation)
                    thin = radius * rng.uniform(0.7, 0.84)
                    vessels.append(Vessel(_point(tip), _point(end), (radius * 0.9, thin)))
                    grown.append((end, ahead, thin))
            tips = grown
    return tuple(vessels)


def _point(numbers: NDArray[np.float64]) -> Point:
    return (float(numbers[0]), float(numbers[1]), float(numbers[2]))


def paint_spine(canvas: Canvas) -> None:
    """Paint vertebrae, discs and the canal with the cord."""
    z = canvas.z
    if z > 44:
        return
    y, half_width, half_depth, _ = (float(v) for v in _spine(max(z, -300)))
    phase = _level_phase(z)
    canal_y = y + half_depth + 8.5
    is_disc = phase > 0.8 and z < 24
    waist = 1 - 0.1 * np.cos((phase - 0.4) * np.pi / 0.4) * -1 if not is_disc else 1.0
    if is_disc:
        canvas.ellipse((0, y), (half_width, half_depth), 92, label=OTHER)
    else:
        canvas.ellipse((0, y), (half_width * waist, half_depth * waist), 620, label=BONE)
        canvas.ellipse((0, y), (half_width * waist - 1.8, half_depth * waist - 1.8), 265, label=BONE)
    if 0.12 < phase < 0.55:
        canvas.ellipse((0, canal_y), (14.5, 11.5), 700, label=BONE)
        reach = 26 if z > -100 else 34
        for side in SIDES:
            line = mirrored([(10, canal_y - 3, z), (reach, canal_y + (0 if z > -100 else 7), z)], side)
            canvas.tube(line, [4.5, 3.5], 520, BONE)
    if phase < 0.5:
        canvas.tube([(0, canal_y + 9, z), (1, canal_y + 25 - 18 * phase, z)], [3.0, 2.4], 560, BONE)
    for side in SIDES:
        if phase >= 0.55:
            canvas.ellipse((side * 13, canal_y + 3), (5, 6), 640, label=BONE)
    canvas.ellipse((0, canal_y), (9.5, 8.2), 12, label=Label.CANAL)
    canvas.ellipse((0, canal_y), (6.4, 4.4) if z > -95 else (5.2, 4.3), 39, label=Label.CORD)


def _level_phase(z: float) -> float:
    """Place within a vertebral level, 0 to 1 from bottom to top of body and disc."""
    knots, heights = SPINE[:, 0], SPINE[:, 4]
    fine = np.linspace(-300, 60, 361)
    levels = np.cumsum(1 / np.interp(fine, knots, heights))
    return float(np.interp(z, fine, levels) % 1)


def paint_thorax(canvas: Canvas, vessels: tuple[Vessel, ...], phases: NDArray[np.float64]) -> None:
    """Paint shoulders, ribs, lungs, heart, great vessels, oesophagus and trachea."""
    if canvas.z > -66:
        return
    _paint_shoulders(canvas)
    if canvas.z < -90:
        _paint_lungs(canvas, phases)
        for vessel in vessels:
            for label in (Label.LUNG_L, Label.LUNG_R):
                canvas.tube([vessel.start, vessel.end], vessel.radii_mm, 48, within=label)
    _paint_mediastinum(canvas)
    _paint_oesophagus(canvas)
    _paint_trachea(canvas)


def _paint_shoulders(canvas: Canvas) -> None:
    z = canvas.z
    for side in SIDES:
        clavicle = mirrored([(15, -50, -128), (58, -50, -119), (108, -30, -116), (152, -4, -122)], side)
        canvas.tube(clavicle, [7.5, 5.5, 5.5, 6], 780, BONE)
        canvas.tube(clavicle, [4.5, 2.8, 2.8, 3], 230, BONE)
        for grow, hu in ((0.0, 760), (-2.0, 240)):
            canvas.ellipsoid((side * 178, 10, -132), (23 + grow, 22 + grow, 24 + grow), hu, label=BONE)
        canvas.tube(mirrored([(152, 12, -124), (120, 66, -128), (96, 82, -140)], side), [6, 4.5, 3.5], 620, BONE)
        if -232 < z < -120:
            fall = (-120 - z) / 112
            blade = mirrored([(150 - 22 * fall, 22 + 30 * fall, z), (92 + 10 * fall, 88 - 2 * fall, z)], side)
            canvas.tube(blade, [4.2 - 2 * fall, 2.4], 540, BONE)
        canvas.ellipsoid((side * 92, -46, -160), (52, 13, 42), 60, turn_deg=24 * side)
    outline = outline_at(z)
    if outline is not None and -300 < z < -126:
        y = outline.front_y_mm + (13 if z < -150 else 15)
        width = 26 if z > -160 else 15
        canvas.ellipse((0, y), (width, 6), 560, label=BONE)
        canvas.ellipse((0, y), (width - 2, 3.8), 190, label=BONE)


def _paint_lungs(canvas: Canvas, phases: NDArray[np.float64]) -> None:
    z = canvas.z
    half_width, front, back, centre_y = (float(v) for v in _cavity(max(z, -300)))
    box = canvas.window((-half_width - 14, half_width + 14), (centre_y - front - 14, centre_y + back + 14))
    x, y = canvas.meshes(box)
    radius, edge = superellipse(x, y, half_width, front, back, centre_y, CAVITY_EXPONENT)
    out = radius - edge
    _paint_ribs(canvas, box, out)
    middle = 11 + 17 * np.exp(-(((y - 12) / 42) ** 2)) + 10 * np.exp(-(((y - 68) / 24) ** 2))
    inside = out < -1.5
    # Denser towards the back, where the patient lies on it.
    aerated = (-868 + 0.27 * (y - centre_y + front) + 14 * np.sin(0.05 * x + phases[4])).astype(np.float32)
    fat = (-78 + 16 * np.sin(0.09 * x + phases[5]) * np.sin(0.11 * y + phases[6])).astype(np.float32)
    canvas.paint(box, inside, np.where(y > 30 + 0 * x, 38, fat), OTHER)
    canvas.paint(box, inside & (x > middle + 3), aerated, Label.LUNG_L)
    canvas.paint(box, inside & (x < -middle), aerated, Label.LUNG_R)
    fissure = np.abs(z + 205 + 0.9 * (y - 10) - 0.05 * np.abs(x)) < 1.3
    canvas.paint(box, fissure & inside, -640, within=Label.LUNG_L)
    canvas.paint(box, fissure & inside, -640, within=Label.LUNG_R)
    canvas.ellipsoid((-72, 8, -352), (86, 84, 80), 108, label=OTHER)


def _paint_ribs(canvas: Canvas, box: tuple[slice, slice], out: NDArray[np.float32]) -> None:
    x, y = canvas.meshes(box)
    # A rib's height falls from the spine to the front; height of its beginning at the spine, in levels.
    level = (canvas.z + RIB_SLOPE * (78 - y) - FIRST_RIB_Z_MM) / RIB_PITCH_MM
    off_mm = (level - np.round(level)) * RIB_PITCH_MM * 0.88
    is_there = (np.round(level) <= 0) & (np.abs(x) > 18)
    shape = (off_mm / 6.3) ** 2 + ((out - 4.5) / 4.2) ** 2
    is_cartilage = (y < -38) & (np.abs(x) < 62)
    canvas.paint(box, (shape < 1) & is_there & is_cartilage, 105, OTHER)
    canvas.paint(box, (shape < 1) & is_there & ~is_cartilage, 720, BONE)
    canvas.paint(box, (shape < 0.32) & is_there & ~is_cartilage, 210, BONE)


def _paint_mediastinum(canvas: Canvas) -> None:
    canvas.ellipsoid((26, -20, -288), (70, 56, 82), -92, label=OTHER)
    canvas.ellipsoid((26, -20, -288), (66, 52, 78), 92, label=OTHER)
    canvas.ellipsoid((46, -18, -296), (34, 30, 56), 158, turn_deg=30)
    canvas.ellipsoid((4, -38, -290), (34, 22, 52), 150, turn_deg=20)
    canvas.ellipsoid((0, 14, -268), (36, 17, 30), 155)
    for grow, hu in ((2.5, -70), (0.0, 168)):
        arch = [(6, -18, -246), (-10, -16, -205), (-8, -12, -182), (6, 6, -170), (20, 32, -176), (26, 46, -196)]
        canvas.tube(arch, [r + grow for r in (15, 14.5, 14, 13.5, 13, 12)], hu, OTHER)
        canvas.tube([(26, 46, -196), (25, 48, -240), (22, 47, -300)], [12 + grow, 11.5 + grow, 11 + grow], hu, OTHER)
        trunk = [(22, -28, -244), (20, -10, -222), (16, 4, -212)]
        canvas.tube(trunk, [13 + grow, 13 + grow, 12 + grow], hu - 8, OTHER)
        canvas.tube([(16, 4, -212), (44, 24, -212)], [10 + grow, 8 + grow], hu - 8, OTHER)
        canvas.tube([(16, 4, -214), (-16, 8, -218), (-44, 18, -222)], [10 + grow, 9.5 + grow, 8 + grow], hu - 8, OTHER)
        canvas.tube(
            [(-24, -16, -150), (-27, -12, -200), (-25, -12, -250)], [8 + grow, 9 + grow, 9 + grow], hu + 14, OTHER
        )
    canvas.tube([(24, -18, -152), (0, -24, -158), (-24, -16, -162)], [6, 6.5, 7], 160, OTHER)


def _paint_oesophagus(canvas: Canvas) -> None:
    z = canvas.z
    if z > -74:
        return
    y = float(np.interp(-z, [74, 100, 140, 200, 240, 300], [2, 14, 27, 38, 38, 34]))
    x = float(np.interp(-z, [74, 120, 200, 300], [2, 6, 5, 10]))
    canvas.ellipse((x, y), (8.5, 4.8), 38, label=Label.ESOPHAGUS)
    if np.sin(z / 17) > 0.45:
        canvas.ellipse((x + 1, y - 0.5), (3.0, 1.6), -700)


def _paint_trachea(canvas: Canvas) -> None:
    left = [CARINA, (26, 28, -222), (50, 32, -233)]
    right = [CARINA, (-18, 25, -219), (-40, 27, -231), (-46, 27, -248)]
    wall = 1.8
    for points, radii in ((TRACHEA, (8, 8.2, 8.6, 8.4, 8.0)), (left, (7, 6, 5)), (right, (7.4, 7, 6, 4.5))):
        canvas.tube(points, [r + wall for r in radii], 62, OTHER)
    for points, radii in ((TRACHEA, (8, 8.2, 8.6, 8.4, 8.0)), (left, (7, 6, 5)), (right, (7.4, 7, 6, 4.5))):
        canvas.tube(points, radii, -988, Label.TRACHEA)
