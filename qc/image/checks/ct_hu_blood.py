"""CT number of blood in the aorta without contrast: a check of the scale in the patient."""

from qc.image.inputs import Inputs
from qc.image.organs import inner_values, organ
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location

NATIVE_HU = 80.0
"""Above this the aorta holds contrast, whatever the header says."""


@check(
    "ct.hu.blood",
    version="1.0.0",
    title=("主动脉血液 CT 值", "CT number of blood"),
    unit="[hnsf'U]",
    direction="two_sided",
    settles="final",
    uncertainty=2,
    modalities=("CT",),
    needs=("headers", "pixels", "stack", "masks:A_Aorta"),
    source="Specification of image quality, 3.2: native aortic blood reads 40 +- 15 HU",
    causes={
        "scale": Advice(
            "detector",
            "平扫主动脉血液 {value:.0f} HU，应约为 40",
            "Native blood reads {value:.0f} HU instead of about 40",
            "water_phantom",
            "physicist",
            "请做水模测试；严重贫血也会降低此值",
            "Do a water phantom test; severe anaemia lowers this value too",
        ),
    },
)
def blood(inputs: Inputs) -> Measured | NotEvaluable:
    """Mean of the aorta's inner voxels, where there is no contrast in it."""
    values = inner_values(inputs, "A_Aorta")
    region = organ(inputs, "A_Aorta")
    if inputs.volume is None or values is None or region is None:
        return NotEvaluable("no_volume" if inputs.volume is None else "needs_mask")
    value = float(values.mean())
    if value > NATIVE_HU or inputs.text("ContrastBolusAgent"):
        return NotEvaluable("no_region", {"mean_hu": value})
    p_mm = inputs.volume.grid.plane_positions_mm[region.box[0]]
    return Measured(
        value,
        where=(Location("slices", {"p_mm": [float(p_mm[0]), float(p_mm[-1])]}),),
        evidence={"voxels": float(len(values)), "sigma_hu": float(values.std())},
    )
