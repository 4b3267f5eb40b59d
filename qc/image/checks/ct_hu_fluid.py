"""CT number of urine or cerebrospinal fluid: nearly water, so a check of the scale at zero."""

from qc.image.inputs import Inputs
from qc.image.organs import inner_values, organ
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location

CONTRAST_HU = 60.0
"""Above this there is contrast in the fluid."""


@check(
    "ct.hu.fluid",
    version="1.0.0",
    title=("体液 CT 值", "CT number of fluid"),
    unit="[hnsf'U]",
    direction="two_sided",
    settles="final",
    uncertainty=2,
    modalities=("CT",),
    needs=("headers", "pixels", "stack", "masks:Bladder,Ventricle"),
    source="Specification of image quality, 3.2: bladder or cerebrospinal fluid reads 0 to 15 HU",
    causes={
        "scale": Advice(
            "detector",
            "尿液或脑脊液 {value:.0f} HU，应为 0–15",
            "Urine or cerebrospinal fluid reads {value:.0f} HU instead of 0 to 15",
            "water_phantom",
            "physicist",
            "请做水模测试；核对有无对比剂",
            "Do a water phantom test; check for contrast",
        ),
    },
)
def fluid(inputs: Inputs) -> Measured | NotEvaluable:
    """Mean of the inner voxels of the bladder, else of the ventricles."""
    values = inner_values(inputs, "Bladder", "Ventricle")
    region = organ(inputs, "Bladder", "Ventricle")
    if inputs.volume is None or values is None or region is None:
        return NotEvaluable("no_volume" if inputs.volume is None else "needs_mask")
    value = float(values.mean())
    if value > CONTRAST_HU:
        return NotEvaluable("no_region", {"mean_hu": value})
    p_mm = inputs.volume.grid.plane_positions_mm[region.box[0]]
    return Measured(
        value,
        where=(Location("slices", {"p_mm": [float(p_mm[0]), float(p_mm[-1])]}),),
        evidence={"voxels": float(len(values)), "sigma_hu": float(values.std())},
    )
