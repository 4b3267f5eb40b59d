"""The pectoral muscle of an oblique mammogram: how far down it is shown."""

from pydicom.dataset import Dataset

from qc.image.breast import find_breast, find_muscle, is_oblique
from qc.image.inputs import Inputs
from qc.image.picture import Picture
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location
from qc.image.worst import worst_picture


@check(
    "mg.pectoral",
    version="1.0.0",
    title=("胸大肌", "Pectoral muscle"),
    unit="mm",
    direction="lower_worse",
    settles="early",
    uncertainty=4,
    modalities=("MG",),
    needs=("headers", "pictures"),
    source="Radgate: length of the straight edge of the bright triangle in the upper corner of the chest wall",
    causes={
        "short": Advice(
            "positioning",
            "MLO 位胸大肌仅显示 {value:.0f} mm",
            "Only {value:.0f} mm of the pectoral muscle are shown in the oblique view",
            "reposition",
            "technician",
            "请上提并前拉乳房，使胸大肌到达乳头水平后重摄",
            "Lift and pull the breast forward until the muscle reaches the level of the nipple, and repeat",
            now=True,
        ),
    },
)
def pectoral(inputs: Inputs) -> Measured | NotEvaluable:
    """Millimetres; of the worst oblique picture."""
    return worst_picture(inputs, _length, badness=lambda v: -v)


def _length(picture: Picture, header: Dataset) -> Measured | NotEvaluable:
    if not is_oblique(header):
        return NotEvaluable("missing_tag")
    breast = find_breast(picture)
    if breast is None:
        return NotEvaluable("missing_tag" if picture.spacing_mm is None else "no_region")
    muscle = find_muscle(breast)
    last = 0 if muscle is None else muscle.last_row
    n = picture.coarse_step
    where = (Location("box_px", {"rows": [0, last * n]}),)
    reaches = float(last - breast.nipple_row) * breast.spacing_mm[0]
    return Measured(0.0 if muscle is None else muscle.length_mm, where=where, evidence={"below_nipple_mm": reaches})
