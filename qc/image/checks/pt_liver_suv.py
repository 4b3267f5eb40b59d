"""Uptake of the liver in a PET: a check of weight, activity and times together."""

from qc.image.inputs import Inputs, item_of, number_of, seconds_of_day, text_of
from qc.image.organs import inner_values, organ
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location


@check(
    "pt.liver_suv",
    version="1.0.0",
    title=("肝脏 SUV", "Uptake of the liver"),
    unit="{SUVbw}g/mL",
    direction="two_sided",
    settles="final",
    uncertainty=0.02,
    modalities=("PT",),
    needs=("headers", "pixels", "stack", "masks:Liver"),
    source="Specification of image quality, 3.4: mean standardised uptake value of the liver",
    causes={
        "scale": Advice(
            "labelling",
            "肝脏平均 SUV {value:.1f}，超出通常范围",
            "The liver's mean SUV is {value:.1f}: outside of what is usual",
            "check_inputs",
            "technician",
            "请核对体重、注射活度和时间登记，检查注射外渗",
            "Check weight, activity and times as entered, and look for infiltration",
        ),
    },
)
def liver_suv(inputs: Inputs) -> Measured | NotEvaluable:
    """Mean of the liver's inner voxels, scaled to body weight."""
    values = inner_values(inputs, "Liver")
    if inputs.volume is None or values is None:
        return NotEvaluable("no_volume" if inputs.volume is None else "needs_mask")
    factor = _factor(inputs)
    if factor is None:
        return NotEvaluable("missing_tag")
    region = organ(inputs, "Liver")
    p_mm = inputs.volume.grid.plane_positions_mm
    planes = p_mm[region.box[0]] if region is not None else p_mm
    where = (Location("slices", {"p_mm": [float(planes[0]), float(planes[-1])]}),)
    return Measured(
        float(values.mean()) * factor, where=where, evidence={"factor": factor, "voxels": float(len(values))}
    )


def _factor(inputs: Inputs) -> float | None:
    """Grams of the body per becquerel at the time that the pixels are corrected to; 1 where they are SUV already."""
    units = inputs.text("Units")
    if units == "GML":
        return 1.0
    item = item_of(inputs.headers[0], "RadiopharmaceuticalInformationSequence") if inputs.headers else None
    weight = inputs.number("PatientWeight")
    if item is None or units != "BQML" or not weight:
        return None
    dose, half_life = number_of(item, "RadionuclideTotalDose"), number_of(item, "RadionuclideHalfLife")
    injected = seconds_of_day(text_of(item, "RadiopharmaceuticalStartTime"))
    began = seconds_of_day(inputs.text("SeriesTime") or inputs.text("AcquisitionTime"))
    if not dose or not half_life or injected is None or began is None:
        return None
    waited = (began - injected) % 86400 if inputs.text("DecayCorrection") == "START" else 0.0
    return weight * 1000 / (dose * 2 ** (-waited / half_life))
