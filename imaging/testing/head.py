"""Head and neck of the phantom: skull, brain, face, jaw, airway, glands. Chest and spine are elsewhere."""

import numpy as np

from imaging.testing.canvas import Canvas, mirrored
from imaging.testing.labels import Label

__all__ = ["AIRWAY", "paint_airway", "paint_head"]

BONE, OTHER = Label.BONE, Label.OTHER
SIDES = (-1, 1)

AIRWAY = ((0, -22, 58), (0, -10, 32), (0, -6, 2), (0, -8, -24), (0, -14, -44), (0, -15, -66), (0, -13, -76))
AIRWAY_RADII = (7.5, 9.5, 8.5, 9.5, 7.0, 7.5, 8.0)


def paint_head(canvas: Canvas) -> None:
    """Paint everything above the neck, deep structures last."""
    if canvas.z > -36:
        _paint_skull(canvas)
        _paint_brain(canvas)
        _paint_face(canvas)
        _paint_jaw(canvas)
    _paint_neck(canvas)


def _paint_skull(canvas: Canvas) -> None:
    for centre, radii in (((0, 1, 112), (65, 81, 62)), ((0, 38, 72), (50, 44, 34))):
        for grow, hu in ((7.5, 1150), (5.2, 560), (2.2, 1050)):
            canvas.ellipsoid(centre, (radii[0] + grow, radii[1] + grow, radii[2] + grow), hu, label=BONE)
    for side in SIDES:
        canvas.ellipsoid((side * 60, 26, 46), (13, 15, 20), 520, label=BONE)
        canvas.ellipsoid((side * 60, 26, 46), (9, 11, 16), -260 + 60 * side, label=BONE)


def _paint_brain(canvas: Canvas) -> None:
    for centre, radii in (((0, 1, 112), (65, 81, 62)), ((0, 38, 72), (50, 44, 34))):
        for shrink, hu in ((0.0, 14), (2.5, 39), (9.0, 29)):
            size = (radii[0] - shrink, radii[1] - shrink, radii[2] - shrink)
            canvas.ellipsoid(centre, size, hu, label=OTHER)
    z = canvas.z
    if 76 < z < 172:
        reach = 79 * max(0.0, 1 - ((z - 112) / 62) ** 2) ** 0.5
        canvas.ellipse((0, 0), (1.2, reach), 52)
    for side in SIDES:
        canvas.ellipsoid((side * 9, -18, 126), (5, 24, 12), 8, turn_deg=-8 * side)
        canvas.ellipsoid((side * 17, 26, 120), (6.5, 22, 13), 8, turn_deg=14 * side)
        canvas.ellipsoid((side * 13, 1, 112), (8, 14, 11), 37)
        canvas.ellipsoid((side * 30, 16, 64), (27, 8, 9), 980, label=BONE, turn_deg=35 * side)
        canvas.ellipsoid((side * 33, 17, 64), (10, 4, 4), -350, turn_deg=35 * side)
    canvas.ellipsoid((2, 6, 112), (3, 12, 8), 8)
    canvas.ellipsoid((0, -2, 58), (12, 6, 16), 760, label=BONE)
    # Cerebrospinal fluid around the brainstem, then medulla, pons and midbrain.
    canvas.ellipsoid((0, 22, 66), (19, 17, 32), 11, label=OTHER)
    canvas.tube([(0, 32, 38), (0, 24, 56), (0, 20, 72), (0, 16, 92)], [6, 9, 14, 10], 33, Label.BRAINSTEM)


def _paint_face(canvas: Canvas) -> None:
    canvas.ellipsoid((0, -56, 36), (37, 31, 27), 620, label=BONE)
    canvas.ellipsoid((0, -52, 34), (33, 29, 24), 35, label=OTHER)
    for side in SIDES:
        canvas.tube(mirrored([(50, -62, 48), (64, -46, 53), (70, -14, 56)], side), [8, 4.5, 3.5], 880, BONE)
        canvas.shell((side * 34, -60, 84), (19, 26, 19), 2.2, (780, BONE), -88, OTHER)
        canvas.ellipsoid((side * 34, -74, 84), (12.5, 12.5, 12.5), 14)
        canvas.ellipsoid((side * 34, -84.5, 84), (4.5, 2, 4.5), 85)
        canvas.tube(mirrored([(34, -61, 84), (14, -34, 82)], side), [2.4, 2.2], 34)
        canvas.tube(mirrored([(49, -66, 84), (45, -42, 84)], side), [2.0, 2.6], 58)
        canvas.shell((side * 25 + 1, -58, 42), (13 + side, 17, 17), 1.6, (560, BONE), -990, OTHER)
        canvas.shell((side * 11 + 2, -83, 107), (9 + 2 * side, 3, 8), 1.5, (900, BONE), -985, OTHER)
    canvas.shell((0, -56, 78), (11, 21, 13), 1.4, (420, BONE), -560, OTHER)
    for n in range(-2, 3):
        canvas.ellipsoid((0, -56 + 8 * n, 78), (10, 0.9, 12), 160, label=BONE)
    canvas.shell((2, -25, 70), (14, 12, 10), 1.6, (640, BONE), -990, OTHER)
    canvas.ellipsoid((0, -57, 50), (10.5, 34, 19), -970, label=OTHER)
    canvas.ellipsoid((1, -57, 50), (1.3, 33, 19), 190, label=BONE)
    for side in SIDES:
        canvas.ellipsoid((side * 6.5, -52, 43), (3.2, 19, 5), 45)
        canvas.ellipsoid((side * 6, -50, 54), (2.4, 17, 4), 45)
    if 26 < canvas.z < 30.5:
        canvas.ellipse((0, -58), (25, 25), 480, label=BONE)
    canvas.ellipsoid((0, -46, 3), (25, 32, 21), 62, label=OTHER)
    canvas.ellipsoid((0, -52, 24), (19, 23, 3.5), -940)
    _paint_teeth(canvas)


def _paint_teeth(canvas: Canvas) -> None:
    if not 5 < canvas.z < 25:
        return
    box = canvas.window((-29, 29), (-84, -50))
    x, y = canvas.meshes(box)
    slope = 0.066 * x
    off = (y + 79 - 0.033 * x * x) / np.sqrt(1 + slope * slope)
    is_upper = canvas.z > 14.5
    gaps = np.cos(2 * np.pi * x * (1 + 0.011 * np.abs(x)) / 7.6)
    is_crown = 10 < canvas.z < 19.5
    inside = (np.abs(off) < (4.6 if is_crown else 3.4)) & (gaps > -0.85) & (y < -54)
    canvas.paint(box, inside, 2350 if is_crown else 1500, BONE if is_upper else Label.MANDIBLE)
    if 13.5 < canvas.z < 15.5:
        canvas.paint(box, inside, 40, OTHER)


def _paint_jaw(canvas: Canvas) -> None:
    z = canvas.z
    if -19 < z < 8:
        box = canvas.window((-54, 54), (-84, -20))
        x, y = canvas.meshes(box)
        slope = 0.036 * x
        lower = 0.35 * np.maximum(0.0, np.abs(x) - 18)
        off = (y + 74 - 0.018 * x * x) / np.sqrt(1 + slope * slope)
        half = 5.6 - 0.018 * np.abs(x)
        height = (z + 19 - 0.35 * lower > 0) & (np.abs(x) < 52)
        canvas.paint(box, (np.abs(off) < half) & height, 1180, Label.MANDIBLE)
        if z > -16:
            canvas.paint(box, (np.abs(off) < half - 2.6) & height, 260, Label.MANDIBLE)
    for side in SIDES:
        line = mirrored([(49, -27, -6), (52, -17, 18), (53, -12, 38), (54, -5, 51)], side)
        if -14 < z < 55:
            centre_y = float(np.interp(z, [p[2] for p in line], [p[1] for p in line]))
            depth = float(np.interp(z, [-14, -4, 20, 40, 55], [6, 15, 16, 13, 6]))
            canvas.ellipse((side * (50.5 + 0.05 * z), centre_y), (4.6, depth), 1050, label=Label.MANDIBLE)
            canvas.ellipse((side * (50.5 + 0.05 * z), centre_y), (2.0, depth - 3), 320, label=Label.MANDIBLE)
        # Masseter outside and pterygoids inside of the ramus, parotid behind it.
        canvas.ellipsoid((side * 61, -24, 14), (6.5, 17, 30), 66)
        canvas.ellipsoid((side * 40, -18, 24), (6, 15, 20), 64)
        name = Label.PAROTID_L if side > 0 else Label.PAROTID_R
        size = (10.5, 17.5, 27) if side > 0 else (9.5, 19, 24)
        canvas.ellipsoid((side * 58, 10, 12 - side), size, -4 - 9 * side, label=name, turn_deg=-14 * side)
        canvas.ellipsoid((side * 27, -34, -20), (10, 15, 12), 48)


def _paint_neck(canvas: Canvas) -> None:
    if canvas.z > 46:
        return
    tall = [(62, 26, 38), (56, 22, 0), (45, 2, -50), (28, -26, -96), (16, -40, -122)]
    for side in SIDES:
        canvas.tube(mirrored(tall, side), [8, 9.5, 9.5, 7.5, 6], -85)
        canvas.tube(mirrored(tall, side), [7, 8.5, 8.5, 6.5, 5], 63)
        for x, y, size in ((19, 52, 13), (33, 46, 11), (20, 64, 8)):
            canvas.tube(mirrored([(x, y, 30), (x, y, -90)], side), [size, size + 2.0], -82)
            canvas.tube(mirrored([(x, y, 30), (x, y, -90)], side), [size - 1.5, size], 58)
        carotid = [(30, 4, 40), (28, 2, 0), (27, 0, -50), (24, 2, -100), (15 + 3 * side, -4, -158)]
        jugular = [(37, 12, 40), (36, 8, 0), (35, 4, -60), (31, -8, -110), (24, -16, -150)]
        canvas.tube(mirrored(carotid, side), [3.2, 3.6, 4.0, 4.2, 5.0], 172)
        canvas.tube(mirrored(jugular, side), [4.5, 5 - side, 6 - side, 6.5 - side, 7], 148)
        canvas.tube(mirrored([(17, -9, -72), (16, -6, -106)], side), [5.5 + side, 6.0], 118)
        canvas.tube(mirrored([(24, -20, -29), (15, -38, -31), (0, -42, -31)], side), [1.8, 2.6, 3.2], 520, BONE)
    canvas.tube([(-15, -12, -96), (14, -12, -98)], [5, 5], 118)


def paint_airway(canvas: Canvas) -> None:
    """Paint the larynx and the air from the nose to the trachea's beginning."""
    z = canvas.z
    if not -82 < z < 68:
        return
    if -72 < z < -36:
        size = float(np.interp(z, [-72, -60, -44, -36], [13, 19, 19, 15]))
        canvas.ellipse((0, -15), (size + 1.5, size), 50, label=Label.LARYNX)
        if -66 < z < -40:
            for side in SIDES:
                thyroid = mirrored([(0.5, -32.5, z), (17.5, -13, z), (18, -4, z)], side)
                canvas.tube(thyroid, [1.9, 1.8, 1.6], 160)
        elif z <= -66:
            canvas.ellipse((0, -14), (12.5, 12.5), 175)
    label = Label.LARYNX if -72 < z < -36 else Label.TRACHEA if z <= -72 else OTHER
    radius = float(np.interp(-z, [-p[2] for p in AIRWAY], AIRWAY_RADII))
    y = float(np.interp(-z, [-p[2] for p in AIRWAY], [p[1] for p in AIRWAY]))
    if z < 58:
        glottis = float(np.exp(-(((z + 56) / 4.5) ** 2)))
        wide = 1.5 if -20 < z < 50 else 1.0
        canvas.ellipse((0.5, y), (radius * wide * (1 - 0.72 * glottis), radius), -985, label=label)
    if -36 < z < -22:
        canvas.tube([(-8, y - 2, z), (8, y - 2, z)], [1.4, 1.4], 45)
