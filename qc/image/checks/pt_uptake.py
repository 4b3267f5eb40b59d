"""Time from injection to scan of a PET."""

from qc.image.inputs import Inputs, item_of, seconds_of_day, text_of
from qc.image.registry import Advice, Measured, NotEvaluable, check


@check(
    "pt.uptake",
    version="1.0.0",
    title=("摄取时间", "Uptake time"),
    unit="min",
    direction="two_sided",
    settles="early",
    uncertainty=1.0,
    modalities=("PT",),
    source="DICOM (0018,1072) or (0018,1078) to the first AcquisitionTime (0008,0032)",
    causes={
        "uptake": Advice(
            "protocol",
            "注射后 {value:.0f} 分钟开始采集，不在协议范围内",
            "The scan began {value:.0f} minutes after the injection, outside the protocol",
            "note_uptake",
            "technician",
            "请核对注射时间；报告中注明，随访时保持一致",
            "Verify the time of injection, note it in the report and keep it equal at follow-up",
        )
    },
)
def uptake(inputs: Inputs) -> Measured | NotEvaluable:
    """Minutes from the injection to the first acquisition; over midnight where the clock runs back."""
    if not inputs.headers:
        return NotEvaluable("missing_tag")
    isotope = item_of(inputs.headers[0], "RadiopharmaceuticalInformationSequence")
    injected = seconds_of_day(
        text_of(isotope, "RadiopharmaceuticalStartDateTime")[8:] or text_of(isotope, "RadiopharmaceuticalStartTime")
    )
    started = [s for s in map(seconds_of_day, inputs.texts("AcquisitionTime")) if s is not None]
    if injected is None or not started:
        return NotEvaluable("missing_tag")
    return Measured(
        (min(started) - injected) % (24 * 3600.0) / 60, evidence={"first_s": min(started), "injected_s": injected}
    )
