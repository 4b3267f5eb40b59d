"""Saturation of a radiograph: pixels of the exposed field at an end of the stored range."""

import numpy as np
from pydicom.dataset import Dataset

from qc.image.inputs import Inputs
from qc.image.picture import Picture
from qc.image.radiograph import exposed_field, free_air
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location
from qc.image.worst import worst_picture


@check(
    "dx.clip",
    version="1.0.0",
    title=("饱和", "Saturation"),
    unit="%",
    direction="higher_worse",
    settles="early",
    uncertainty=0.05,
    modalities=("CR", "DX", "MG"),
    needs=("headers", "pictures"),
    source="Radgate: share of the exposed field at the lowest or highest storable value, free air left out",
    causes={
        "bright": Advice(
            "exposure_low",
            "{value:.1f}% 的照射野为最亮值，细节丢失",
            "{value:.1f} % of the field are at the brightest value: detail is lost",
            "check_processing",
            "technician",
            "请检查后处理或提高曝光",
            "Check the processing, or raise the exposure",
        ),
        "dark": Advice(
            "exposure_high",
            "{value:.1f}% 的照射野为最暗值，细节丢失",
            "{value:.1f} % of the field are at the darkest value: detail is lost",
            "check_processing",
            "technician",
            "请检查后处理或降低曝光",
            "Check the processing, or lower the exposure",
        ),
    },
)
def clip(inputs: Inputs) -> Measured | NotEvaluable:
    """Per cent of the exposed field; of the worst picture."""
    return worst_picture(inputs, _share, badness=lambda v: v)


def _share(picture: Picture, header: Dataset) -> Measured | NotEvaluable:
    field = exposed_field(picture)
    if field is None or picture.is_colour:
        return NotEvaluable("unsupported" if picture.is_colour else "no_region")
    n = picture.coarse_step
    box = (slice(field.top * n, field.bottom * n), slice(field.left * n, field.right * n))
    pixels = picture.array[box]
    air = free_air(picture, field)[field.box].repeat(n, 0).repeat(n, 1)[: pixels.shape[0], : pixels.shape[1]]
    body = ~air
    total = max(1, int(np.count_nonzero(body)))
    bright = 100 * float(np.count_nonzero((pixels >= picture.top) & body)) / total
    dark = 100 * float(np.count_nonzero((pixels <= picture.bottom) & body)) / total
    where = (Location("box_px", {"rows": [box[0].start, box[0].stop], "columns": [box[1].start, box[1].stop]}),)
    return Measured(
        bright + dark, "bright" if bright >= dark else "dark", where, evidence={"bright": bright, "dark": dark}
    )
