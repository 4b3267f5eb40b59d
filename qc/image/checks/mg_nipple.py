"""The nipple of a mammogram in profile: it stands out from the line of the skin."""

import numpy as np
from pydicom.dataset import Dataset
from scipy import ndimage

from qc.image.breast import find_breast
from qc.image.inputs import Inputs
from qc.image.picture import Picture
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location
from qc.image.worst import worst_picture

SKIN_MM = 45.0
SEARCH_MM = 40.0


@check(
    "mg.nipple",
    version="1.0.0",
    title=("乳头切线位", "Nipple in profile"),
    unit="mm",
    direction="lower_worse",
    settles="early",
    uncertainty=0.8,
    modalities=("MG",),
    needs=("headers", "pictures"),
    source="Radgate: height of the outline above the smooth skin near the point farthest from the chest wall",
    causes={
        "turned": Advice(
            "positioning",
            "乳头未呈切线位（突出 {value:.1f} mm）",
            "The nipple is not in profile (it stands out by {value:.1f} mm)",
            "reposition",
            "technician",
            "请转动乳房使乳头呈切线位后重摄",
            "Turn the breast so that the nipple is in profile, and repeat",
            now=True,
        ),
    },
)
def nipple(inputs: Inputs) -> Measured | NotEvaluable:
    """Millimetres beyond the skin; of the worst picture."""
    return worst_picture(inputs, _height, badness=lambda v: -v)


def _height(picture: Picture, header: Dataset) -> Measured | NotEvaluable:
    breast = find_breast(picture)
    if breast is None:
        return NotEvaluable("missing_tag" if picture.spacing_mm is None else "no_region")
    dy, dx = breast.spacing_mm
    rows = np.arange(len(breast.widths))
    near = np.abs(rows - breast.nipple_row) * dy < SEARCH_MM
    held = near & (breast.widths > 0)
    if np.count_nonzero(held) < 12:
        return NotEvaluable("no_region")
    # The skin without the nipple: a parabola through the outline, fitted again without what stands out.
    fit = np.polyfit(rows[held], breast.widths[held], 2)
    for _ in range(6):
        rest = breast.widths[held] - np.polyval(fit, rows[held])
        below = rest < max(0.5, 0.8 * float(rest.std()))
        fit = np.polyfit(rows[held][below], breast.widths[held][below], 2)
    rest = (breast.widths - np.polyval(fit, rows))[held]
    value = float(np.max(ndimage.uniform_filter1d(rest, 3))) * dx
    n = picture.coarse_step
    where = (Location("box_px", {"rows": [int(rows[held][0]) * n, int(rows[held][-1]) * n]}),)
    return Measured(max(0.0, value), where=where, evidence={"row": float(breast.nipple_row * n)})
