"""Rotation of the patient in a frontal chest radiograph, in degrees."""

import math

import numpy as np
from pydicom.dataset import Dataset
from scipy import ndimage

from qc.image.inputs import Inputs, text_of
from qc.image.picture import Picture
from qc.image.radiograph import ChestFilm, chest_film, is_chest
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location
from qc.image.worst import worst_picture

DEPTH = 0.55
"""The spine lies behind the middle of the chest by this share of half the lungs' width at mid height."""

FINE_MM, BROAD_MM = 6.0, 22.0
"""A spine is a ridge between these widths."""

UNCERTAINTY_DEG = 2.0
MOST_DEG = 30.0
"""Tried up to 15 degrees; what reads more than twice that is no frontal chest, and no number to act on."""

FEWEST_ROWS = 10
CENTRAL = (0.3, 0.7)
"""Where the spine lies between the outer edges of the lungs."""

WIDTH_MM = 260.0
"""Width of the lungs of an adult, used only to scale the filters where the header has no spacing."""


@check(
    "dx.rotation",
    version="1.2.0",
    title=("旋转", "Rotation"),
    unit="deg",
    direction="higher_worse",
    settles="early",
    uncertainty=UNCERTAINTY_DEG,
    modalities=("CR", "DX"),
    needs=("headers", "pictures"),
    source="Radgate: distances from the spine to the outer edges of the lungs; tried on projected chests",
    causes={
        "rotated": Advice(
            "positioning",
            "患者旋转约 {value:.0f}°，请转正",
            "The patient is rotated by about {value:.0f} deg",
            "turn_back",
            "technician",
            "请将患者转正（{side_zh}侧过远）后重摄",
            "Turn the patient back (the {side_en} side is too far) and repeat",
            now=True,
        ),
    },
)
def rotation(inputs: Inputs) -> Measured | NotEvaluable:
    """Degrees about the long axis; of the worst picture."""
    return worst_picture(inputs, _degrees, badness=lambda v: v)


def _degrees(picture: Picture, header: Dataset) -> Measured | NotEvaluable:
    film = chest_film(picture) if is_chest(header) else None
    stated = text_of(header, "ViewPosition").upper()
    if film is None or stated in {"LL", "RL", "LLD", "RLD", "LAT", "LATERAL"}:
        return NotEvaluable("no_region")
    rows, left, right = film.outer_edges()
    if len(rows) < 10:
        return NotEvaluable("no_region")
    spine = _spine(picture, film)
    a, b = float(np.median(left)), float(np.median(right))
    index = (2 * spine - a - b) / (b - a)
    degrees = math.degrees(math.asin(min(1.0, abs(index) / DEPTH)))
    if degrees > MOST_DEG:
        return NotEvaluable("no_region", {"index": index})
    side = ("图左", "picture's left") if index < 0 else ("图右", "picture's right")
    return Measured(
        degrees,
        where=(Location("side", {"side": "left" if index < 0 else "right"}),),
        params={"side_zh": side[0], "side_en": side[1]},
        evidence={"index": index, "spine_column": spine * picture.coarse_step, "rows": float(len(rows))},
        # Two valleys of air may be something else: what no header calls frontal raises a warning and is never a FAIL.
        uncertainty=UNCERTAINTY_DEG if stated in {"AP", "PA"} else max(UNCERTAINTY_DEG, degrees),
    )


def _spine(picture: Picture, film: ChestFilm) -> float:
    """Column of the spine: the brightest ridge of all rows together, near the middle between the lungs."""
    dx = picture.coarse_mm[1] if picture.coarse_mm is not None else WIDTH_MM / film.lungs.any(axis=0).sum()
    grey = picture.coarse[film.field.box]
    lungs = film.lungs[film.field.box]
    columns = np.flatnonzero(lungs.any(axis=0))
    low, high = (round(columns[0] + share * (columns[-1] - columns[0])) for share in CENTRAL)
    # Below the domes nothing but the spine makes a ridge there; above the apices there is the trachea.
    clear = ~ndimage.binary_dilation(lungs, iterations=2)[:, low : high + 1].any(axis=1)
    clear[: int(np.flatnonzero(lungs.any(axis=1))[-1])] = False
    rows = clear if np.count_nonzero(clear) >= FEWEST_ROWS else np.ones_like(clear)
    fine, broad = (ndimage.gaussian_filter1d(grey[rows], mm / dx, axis=1) for mm in (FINE_MM, BROAD_MM))
    profile = np.median(fine - broad, axis=0)
    peak = low + int(profile[low : high + 1].argmax())
    if not 0 < peak < len(profile) - 1:
        return float(film.field.left + peak)
    before, here, after = profile[peak - 1 : peak + 2]
    bend = float(before - 2 * here + after)
    return film.field.left + peak + (0.5 * float(before - after) / bend if bend < 0 else 0.0)
