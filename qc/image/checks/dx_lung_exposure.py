"""Exposure of the lungs: how bright they are in the picture."""

import numpy as np
from pydicom.dataset import Dataset

from qc.image.inputs import Inputs
from qc.image.picture import Picture
from qc.image.radiograph import chest_film, is_chest
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location
from qc.image.worst import worst_picture

USUAL = 35.0


@check(
    "dx.lung_exposure",
    version="1.0.0",
    title=("肺野灰度", "Brightness of the lungs"),
    unit="%",
    direction="two_sided",
    settles="early",
    uncertainty=1,
    modalities=("CR", "DX"),
    needs=("headers", "pictures"),
    source="Radgate: median grey of the lungs in the range from free air or the darkest pixels to the densest",
    causes={
        "high": Advice(
            "exposure_high",
            "肺野过黑（灰度 {value:.0f}%）",
            "The lungs are too dark ({value:.0f} %)",
            "lower_exposure",
            "technician",
            "请降低曝光，或检查后处理",
            "Lower the exposure, or check the processing",
        ),
        "low": Advice(
            "exposure_low",
            "肺野过白（灰度 {value:.0f}%）",
            "The lungs are too bright ({value:.0f} %)",
            "raise_exposure",
            "technician",
            "请提高曝光，或检查后处理",
            "Raise the exposure, or check the processing",
        ),
    },
)
def lung_exposure(inputs: Inputs) -> Measured | NotEvaluable:
    """Median of the lungs in per cent of the stored range; of the picture farthest from the usual."""
    return worst_picture(inputs, _grey, badness=lambda v: abs(v - USUAL))


def _grey(picture: Picture, header: Dataset) -> Measured | NotEvaluable:
    film = chest_film(picture) if is_chest(header) else None
    if film is None or picture.top <= picture.bottom:
        return NotEvaluable("no_region")
    value = 100 * (float(np.median(picture.coarse[film.lungs])) - picture.bottom) / (picture.top - picture.bottom)
    rows, columns = np.nonzero(film.lungs)
    n = picture.coarse_step
    box = Location(
        "box_px",
        {
            "rows": [int(rows.min()) * n, int(rows.max()) * n],
            "columns": [int(columns.min()) * n, int(columns.max()) * n],
        },
    )
    return Measured(value, "high" if value < USUAL else "low", (box,), evidence={"pixels": float(len(rows))})
