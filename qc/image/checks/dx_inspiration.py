"""Inspiration in a chest radiograph: height of the lungs over their width."""

import numpy as np
from pydicom.dataset import Dataset

from qc.image.inputs import Inputs
from qc.image.picture import Picture
from qc.image.radiograph import chest_film, is_chest
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location
from qc.image.worst import worst_picture


@check(
    "dx.inspiration",
    version="1.0.0",
    title=("吸气程度", "Inspiration"),
    unit="1",
    direction="lower_worse",
    settles="early",
    uncertainty=0.03,
    modalities=("CR", "DX"),
    needs=("headers", "pictures"),
    source="Radgate: height of the lungs per width between their outer edges",
    causes={
        "shallow": Advice(
            "breathing",
            "肺野高宽比 {value:.2f}，吸气不足",
            "Lungs of height to width {value:.2f}: too little inspiration",
            "coach_breath",
            "technician",
            "请在深吸气后屏气重摄",
            "Repeat at deep inspiration",
            now=True,
        ),
    },
)
def inspiration(inputs: Inputs) -> Measured | NotEvaluable:
    """Height over width of both lungs; of the worst picture."""
    return worst_picture(inputs, _ratio, badness=lambda v: -v)


def _ratio(picture: Picture, header: Dataset) -> Measured | NotEvaluable:
    film = chest_film(picture) if is_chest(header) else None
    if film is None:
        return NotEvaluable("no_region")
    dy, dx = picture.coarse_mm or (1.0, 1.0)
    heights = [np.ptp(np.flatnonzero(lung.any(axis=1))) + 1 for lung in (film.left_lung, film.right_lung)]
    columns = np.flatnonzero(film.lungs.any(axis=0))
    width = (columns[-1] - columns[0] + 1) * dx
    value = float(np.mean(heights)) * dy / float(width)
    n = picture.coarse_step
    where = (Location("box_px", {"columns": [int(columns[0]) * n, int(columns[-1]) * n]}),)
    return Measured(
        value,
        where=where,
        evidence={"width": float(width), "left": float(heights[0] * dy), "right": float(heights[1] * dy)},
    )
