"""Tilt of the patient in the plane of a chest radiograph: the axis of symmetry against the picture's columns."""

import math

import numpy as np
from pydicom.dataset import Dataset
from scipy import spatial

from qc.image.inputs import Inputs
from qc.image.picture import Picture
from qc.image.radiograph import chest_film, is_chest
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location
from qc.image.worst import worst_picture

ANGLES_DEG = np.arange(-24.0, 24.5, 1.0)
MOST_POINTS = 4000
POINTS_ACROSS = 40


@check(
    "dx.tilt",
    version="1.0.0",
    title=("倾斜", "Tilt"),
    unit="deg",
    direction="higher_worse",
    settles="early",
    uncertainty=1,
    modalities=("CR", "DX"),
    needs=("headers", "pictures"),
    source="Radgate: axis at which the convex hull of the lungs is most like its mirror image",
    causes={
        "tilted": Advice(
            "positioning",
            "体轴倾斜约 {value:.0f}°",
            "The body's axis is tilted by about {value:.0f} deg",
            "straighten",
            "technician",
            "请摆正体位后重摄",
            "Straighten the patient and repeat",
            now=True,
        ),
    },
)
def tilt(inputs: Inputs) -> Measured | NotEvaluable:
    """Degrees in the plane; of the worst picture."""
    return worst_picture(inputs, _degrees, badness=lambda v: v)


def _degrees(picture: Picture, header: Dataset) -> Measured | NotEvaluable:
    film = chest_film(picture) if is_chest(header) else None
    if film is None:
        return NotEvaluable("no_region")
    dy, dx = picture.coarse_mm or (1.0, 1.0)
    rows, columns = np.nonzero(film.lungs)
    hull = spatial.ConvexHull(np.stack([columns * dx, rows * dy], axis=1)[:: max(1, len(rows) // MOST_POINTS)])
    outline = spatial.Delaunay(hull.points[hull.vertices])
    scores = np.array([_overlap(outline, math.radians(a)) for a in ANGLES_DEG])
    best = int(scores.argmax())
    value = float(ANGLES_DEG[best])
    if 0 < best < len(scores) - 1:
        before, here, after = scores[best - 1 : best + 2]
        bend = float(before - 2 * here + after)
        value += 0.5 * float(before - after) / bend if bend < 0 else 0.0
    n = picture.coarse_step
    where = (Location("box_px", {"rows": [int(rows.min()) * n, int(rows.max()) * n]}),)
    return Measured(abs(value), where=where, evidence={"signed_deg": value, "overlap": float(scores[best])})


def _overlap(outline: spatial.Delaunay, angle: float) -> float:
    """Share of points of the outline's inside that a mirror at an axis of this angle maps into it again."""
    low, high = outline.points.min(axis=0), outline.points.max(axis=0)
    mesh = np.meshgrid(*(np.linspace(a, b, POINTS_ACROSS) for a, b in zip(low, high, strict=True)))
    points = np.stack([m.ravel() for m in mesh], axis=1)
    inside = points[outline.find_simplex(points) >= 0]
    centre = inside.mean(axis=0)
    across = np.array([math.cos(angle), math.sin(angle)])
    offset = inside - centre
    mirrored = inside - 2 * (offset @ across)[:, None] * across
    return float(np.mean(outline.find_simplex(mirrored) >= 0))
