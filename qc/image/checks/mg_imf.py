"""The fold below the breast of an oblique mammogram."""

from pydicom.dataset import Dataset
from scipy import ndimage

from qc.image.breast import find_breast, is_oblique
from qc.image.inputs import Inputs
from qc.image.picture import Picture
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location
from qc.image.worst import worst_state

NARROW = 0.6
LEAST_RISE_MM = 2.0
SEVERITY = {"visible": 0.0, "absent": 1.0}


@check(
    "mg.imf",
    version="1.0.0",
    title=("乳房下皱襞", "Inframammary fold"),
    unit="1",
    direction="categorical",
    settles="early",
    modalities=("MG",),
    needs=("headers", "pictures"),
    source="Radgate: below the breast the outline comes back from the chest wall",
    causes={
        "absent": Advice(
            "positioning",
            "MLO 位未见乳房下皱襞",
            "The fold below the breast is not in the oblique view",
            "reposition",
            "technician",
            "请下移乳房、展开下皱襞后重摄",
            "Lower the breast, open the fold and repeat",
            now=True,
        ),
    },
    states={"visible": "PASS", "absent": "WARN"},
)
def fold(inputs: Inputs) -> Measured | NotEvaluable:
    """State of the worst oblique picture."""
    return worst_state(inputs, _state, SEVERITY)


def _state(picture: Picture, header: Dataset) -> Measured | NotEvaluable:
    if not is_oblique(header):
        return NotEvaluable("missing_tag")
    breast = find_breast(picture)
    if breast is None:
        return NotEvaluable("missing_tag" if picture.spacing_mm is None else "no_region")
    below = ndimage.uniform_filter1d(breast.widths[breast.nipple_row :], 3)
    turn = int(below.argmin())
    rise = float(below[turn:].max() - below[turn]) * breast.spacing_mm[1]
    # The breast ends, and then the skin of the belly begins: a waist with something below it.
    is_waist = below[turn] < NARROW * below[0] and 0 < turn < len(below) - 2 and rise >= LEAST_RISE_MM
    n = picture.coarse_step
    where = (Location("box_px", {"rows": [(breast.nipple_row + turn) * n, breast.mask.shape[0] * n]}),)
    state = "visible" if is_waist else "absent"
    return Measured(state, "" if is_waist else "absent", where, evidence={"rise_mm": rise})
