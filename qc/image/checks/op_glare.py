"""Glare in a photograph: saturated spots."""

import numpy as np
from pydicom.dataset import Dataset
from scipy import ndimage

from qc.image.fundus import lit_field
from qc.image.inputs import Inputs
from qc.image.picture import Picture
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location
from qc.image.worst import worst_picture

SATURATED = 0.98
SMALLEST_PX = 12


@check(
    "op.glare",
    version="1.0.0",
    title=("反光", "Glare"),
    unit="%",
    direction="higher_worse",
    settles="early",
    uncertainty=0.1,
    modalities=("OP", "XC"),
    needs=("headers", "pictures"),
    source="Specification of image quality, 3.5: saturated blobs per lit field",
    causes={
        "glare": Advice(
            "positioning",
            "反光占视野 {value:.1f}%",
            "Glare covers {value:.1f} % of the field",
            "change_angle",
            "technician",
            "请改变角度、擦净镜头后重拍",
            "Change the angle, clean the lens and repeat",
            now=True,
        ),
    },
)
def glare(inputs: Inputs) -> Measured | NotEvaluable:
    """Per cent of the field; of the worst picture."""
    return worst_picture(inputs, _share, badness=lambda v: v)


def _share(picture: Picture, header: Dataset) -> Measured | NotEvaluable:
    field = lit_field(picture)
    if np.count_nonzero(field) < 1000:
        return NotEvaluable("no_region")
    # White, not merely a full red channel: all channels are at the top.
    lowest = picture.array.min(axis=2) if picture.is_colour else picture.array
    labels, _ = ndimage.label((lowest >= SATURATED * picture.top) & field)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    total = int(sizes[sizes >= SMALLEST_PX].sum())
    where = tuple(
        Location("box_px", {"rows": [b[0].start, b[0].stop], "columns": [b[1].start, b[1].stop]})
        for n, b in enumerate(ndimage.find_objects(labels), start=1)
        if sizes[n] >= SMALLEST_PX
    )
    return Measured(100 * total / np.count_nonzero(field), where=where[:20], evidence={"spots": float(len(where))})
