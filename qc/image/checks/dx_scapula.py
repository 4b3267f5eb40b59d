"""Shoulder blades over the lungs of a chest radiograph; needs masks of both."""

import numpy as np
from numpy.typing import NDArray

from qc.image.inputs import Inputs
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location


@check(
    "dx.scapula",
    version="1.0.0",
    title=("肩胛骨遮挡", "Shoulder blades over the lungs"),
    unit="%",
    direction="higher_worse",
    settles="early",
    uncertainty=0.5,
    modalities=("CR", "DX"),
    needs=("headers", "pictures", "masks:Scapula_L,Scapula_R,Lung_L,Lung_R"),
    source="Specification of image quality, 3.4: area of the shoulder blades over that of the lungs",
    causes={
        "over": Advice(
            "positioning",
            "肩胛骨遮挡肺野 {value:.0f}%",
            "Shoulder blades cover {value:.0f} % of the lungs",
            "roll_shoulders",
            "technician",
            "请双肩前旋、肘部向前后重摄",
            "Roll the shoulders forward and repeat",
            now=True,
        ),
    },
)
def scapula(inputs: Inputs) -> Measured | NotEvaluable:
    """Per cent of the lungs' area under a shoulder blade, from masks on the first picture."""
    if not inputs.pictures:
        return NotEvaluable("no_volume")
    blades, lungs = (_union(inputs, names) for names in (("Scapula_L", "Scapula_R"), ("Lung_L", "Lung_R")))
    if blades is None or lungs is None:
        return NotEvaluable("needs_mask")
    both = blades & lungs
    rows, columns = np.nonzero(both)
    box = (
        Location(
            "box_px", {"rows": [int(rows.min()), int(rows.max())], "columns": [int(columns.min()), int(columns.max())]}
        )
        if len(rows)
        else None
    )
    value = 100 * float(np.count_nonzero(both)) / np.count_nonzero(lungs)
    return Measured(value, where=() if box is None else (box,), evidence={"lung_px": float(np.count_nonzero(lungs))})


def _union(inputs: Inputs, names: tuple[str, str]) -> NDArray[np.bool_] | None:
    shape = (1, *inputs.pictures[0].array.shape[:2])
    found = [inputs.masks[n] for n in names if n in inputs.masks and inputs.masks[n].shape == shape]
    masks = [region.mask()[0] for region in found if region.voxel_count]
    return np.any(masks, axis=0) if masks else None
