"""Foreign objects in a radiograph: compact, denser than bone, with a sharp edge."""

import numpy as np
from pydicom.dataset import Dataset
from scipy import ndimage

from qc.image.inputs import Inputs
from qc.image.picture import Picture
from qc.image.radiograph import exposed_field, free_air
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location
from qc.image.worst import worst_picture

WINDOW_MM = 25.0
CONTRAST = 0.3
"""Above its surroundings, as a share of the picture's range."""

SIZE_MM2 = (8.0, 1500.0)
RING = 3
LEAST_BODY = 0.6
"""Share of body in the three pixels round an object."""

LEAST_ASPECT = 0.25
COMPACT = 0.35
"""Area over that of the box around it: wires and letters have less."""


@check(
    "dx.foreign",
    version="1.0.0",
    title=("异物", "Foreign objects"),
    unit="mm2",
    direction="higher_worse",
    settles="early",
    uncertainty=5,
    modalities=("CR", "DX"),
    needs=("headers", "pictures"),
    source="Radgate: compact pieces that stand out from everything within 25 mm",
    causes={
        "object": Advice(
            "positioning",
            "可能有异物，面积约 {value:.0f} mm²（电极、纽扣、项链或内植物）",
            "Probably a foreign object of {value:.0f} mm2 (electrode, button, necklace or implant)",
            "remove_objects",
            "technician",
            "请去除可移除的金属物后重摄；内植物请注明",
            "Remove what can be removed and repeat; note an implant",
        ),
    },
)
def foreign(inputs: Inputs) -> Measured | NotEvaluable:
    """Area of the objects together; of the worst picture."""
    return worst_picture(inputs, _area, badness=lambda v: v)


def _area(picture: Picture, header: Dataset) -> Measured | NotEvaluable:
    if picture.coarse_mm is None:
        return NotEvaluable("missing_tag")
    field = exposed_field(picture)
    if field is None:
        return NotEvaluable("no_region")
    dy, dx = picture.coarse_mm
    grey = picture.coarse[field.box]
    low, high = (float(v) for v in np.percentile(grey, [1, 99]))
    size = [max(3, round(WINDOW_MM / mm)) for mm in (dy, dx)]
    excess = grey - ndimage.grey_opening(grey, size)
    labels, _ = ndimage.label(excess > CONTRAST * (high - low))
    body = ~free_air(picture, field)[field.box]
    places, total = [], 0.0
    for index, box in enumerate(ndimage.find_objects(labels), start=1):
        part = labels[box] == index
        area = np.count_nonzero(part) * dy * dx
        sides_mm = sorted((part.shape[0] * dy, part.shape[1] * dx))
        is_compact = np.count_nonzero(part) >= COMPACT * part.size and sides_mm[0] >= LEAST_ASPECT * sides_mm[1]
        if not SIZE_MM2[0] <= area <= SIZE_MM2[1] or not is_compact:
            continue
        # A letter lies on air or shutter; an object that matters lies on the body.
        around = body[
            max(0, box[0].start - RING) : box[0].stop + RING, max(0, box[1].start - RING) : box[1].stop + RING
        ]
        if np.count_nonzero(around) - np.count_nonzero(part) < LEAST_BODY * (around.size - np.count_nonzero(part)):
            continue
        total += float(area)
        n = picture.coarse_step
        places.append(
            Location(
                "box_px",
                {
                    "rows": [(box[0].start + field.top) * n, (box[0].stop + field.top) * n],
                    "columns": [(box[1].start + field.left) * n, (box[1].stop + field.left) * n],
                },
            )
        )
    return Measured(total, where=tuple(places), evidence={"objects": float(len(places))})
