"""Dead elements of an ultrasound probe: columns that are dark right below the skin."""

import numpy as np
from pydicom.dataset import Dataset
from scipy import ndimage

from qc.image.inputs import Inputs
from qc.image.picture import Picture
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location
from qc.image.scanned import find_scanned
from qc.image.worst import worst_picture

TOP_SHARE = 0.12
"""Part of the depth that counts as near the skin."""

NEIGHBOURS = 8
DARK = 0.5


@check(
    "us.dropout",
    version="1.0.0",
    title=("阵元失效", "Dead elements"),
    unit="%",
    direction="higher_worse",
    settles="early",
    uncertainty=0.5,
    modalities=("US",),
    needs=("headers", "pictures"),
    source="Specification of image quality, 3.5: uppermost part of a column below half of its neighbours",
    causes={
        "dead": Advice(
            "detector",
            "探头约 {value:.0f}% 阵元无信号",
            "About {value:.0f} % of the probe give no signal",
            "test_probe",
            "service",
            "请涂足耦合剂复查；仍有暗带时停用探头并报修",
            "Add gel and look again; take the probe out of use if dark stripes stay",
        ),
    },
)
def dropout(inputs: Inputs) -> Measured | NotEvaluable:
    """Per cent of the columns; of the worst picture. Only of linear probes, whose columns are beams."""
    return worst_picture(inputs, _share, badness=lambda v: v)


def _share(picture: Picture, header: Dataset) -> Measured | NotEvaluable:
    scanned = find_scanned(picture)
    if scanned is None:
        return NotEvaluable("no_region")
    if not scanned.is_linear:
        return NotEvaluable("unsupported")
    top = scanned.grey[: max(4, round(TOP_SHARE * len(scanned.grey)))].mean(axis=0)
    # A wide gap darkens its own neighbours: they are taken from a window several times as wide.
    wide = 2 * max(NEIGHBOURS, len(top) // 6) + 1
    usual = ndimage.percentile_filter(top, 70, wide, mode="nearest")
    dead = top < DARK * usual
    columns = np.flatnonzero(dead) + scanned.columns[0]
    where = (Location("box_px", {"columns": [int(c) for c in columns[:200]], "rows": list(scanned.rows)}),)
    return Measured(
        100 * float(dead.mean()), where=where if len(columns) else (), evidence={"columns": float(len(columns))}
    )
