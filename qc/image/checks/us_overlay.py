"""Calipers and text drawn over the scanned region of an ultrasound."""

import numpy as np
from pydicom.dataset import Dataset
from scipy import ndimage

from qc.image.inputs import Inputs
from qc.image.picture import Picture
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location
from qc.image.scanned import find_scanned
from qc.image.worst import worst_picture

COLOUR = 0.25
WHITE = 0.97
THIN_PX = 7
CONTRAST = 0.4
FEWEST_PX = 5
FLOW = 0.03
"""A region with more colour than this shows flow, whose thin vessels and frame cannot be told from marks."""


@check(
    "us.overlay",
    version="1.1.0",
    title=("图像上的标注", "Marks over the image"),
    unit="%",
    direction="higher_worse",
    settles="early",
    uncertainty=0.05,
    modalities=("US",),
    needs=("headers", "pictures"),
    source="Specification of image quality, 3.5: coloured or saturated thin strokes inside the scanned region",
    causes={
        "marks": Advice(
            "labelling",
            "扫查区内有标注，占 {value:.1f}%",
            "Marks cover {value:.1f} % of the scanned region",
            "clean_copy",
            "technician",
            "请另存一幅无标注的图像",
            "Store a copy without marks as well",
        ),
    },
)
def overlay(inputs: Inputs) -> Measured | NotEvaluable:
    """Per cent of the scanned region; of the worst picture."""
    return worst_picture(inputs, _share, badness=lambda v: v)


def _share(picture: Picture, header: Dataset) -> Measured | NotEvaluable:
    scanned = find_scanned(picture)
    if scanned is None:
        return NotEvaluable("no_region")
    thin = scanned.grey - ndimage.grey_opening(scanned.grey, (THIN_PX, THIN_PX))
    strokes = (thin > CONTRAST) & (scanned.grey > WHITE) & scanned.mask
    if picture.is_colour:
        rgb = picture.array[scanned.rows[0] : scanned.rows[1], scanned.columns[0] : scanned.columns[1]] / picture.top
        coloured = (rgb.max(axis=2) - rgb.min(axis=2) > COLOUR) & scanned.mask
        share = np.count_nonzero(coloured) / np.count_nonzero(scanned.mask)
        if share > FLOW:
            return NotEvaluable("unsupported", {"coloured": float(100 * share)})
        # Flow is coloured in areas; a caliper is thin.
        strokes |= coloured & ~ndimage.binary_opening(coloured, np.ones((THIN_PX, THIN_PX)))
    labels, _ = ndimage.label(strokes, np.ones((3, 3)))
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    total = int(sizes[sizes >= FEWEST_PX].sum())
    where = tuple(
        Location("box_px", {"rows": [b[0].start + scanned.rows[0], b[0].stop + scanned.rows[0]]})
        for n, b in enumerate(ndimage.find_objects(labels), start=1)
        if sizes[n] >= FEWEST_PX
    )
    return Measured(
        100 * total / np.count_nonzero(scanned.mask), where=where[:20], evidence={"strokes": float(len(where))}
    )
