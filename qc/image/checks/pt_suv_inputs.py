"""Whether a PET holds what the standardised uptake value is made from, and whether it can be true."""

from pydicom.dataset import Dataset

from qc.image.inputs import Inputs, item_of, number_of, seconds_of_day, text_of
from qc.image.registry import Advice, Measured, NotEvaluable, check

WEIGHT_KG = (2.0, 300.0)
DOSE_BQ = (5e5, 5e9)
"""Half a megabecquerel to five gigabecquerel: a dose written in MBq falls out at once."""

LONGEST_DELAY_S = 24 * 3600.0
SUV_UNITS = frozenset({"GML", "CM2ML"})


@check(
    "pt.suv_inputs",
    version="1.0.0",
    title=("SUV 计算参数", "Inputs of the SUV"),
    unit="1",
    direction="categorical",
    settles="early",
    modalities=("PT",),
    source="DICOM PS3.3 C.8.9.1, C.8.9.2; SUV = c W / (D 2^(-dt/T)), body weight",
    causes={
        "incomplete": Advice(
            "labelling",
            "SUV 缺少参数：{names}",
            "The SUV cannot be calculated without {names}",
            "complete_suv",
            "technician",
            "请在设备上补全后重新发送，再出报告",
            "Complete them at the scanner and send again before reporting",
        ),
        "implausible": Advice(
            "labelling",
            "SUV 参数不合理：{names}",
            "An input of the SUV cannot be true: {names}",
            "correct_suv",
            "technician",
            "请核对注射记录并更正后重新发送",
            "Compare with the injection record, correct and send again",
        ),
    },
    states={"complete": "PASS", "already_suv": "PASS", "incomplete": "FAIL", "implausible": "FAIL"},
)
def suv_inputs(inputs: Inputs) -> Measured | NotEvaluable:
    """State of the inputs; the factor from Bq/ml to SUV is evidence."""
    if not inputs.headers:
        return NotEvaluable("missing_tag")
    units = inputs.text("Units")
    if units in SUV_UNITS:
        return Measured("already_suv", evidence={"units": units})
    isotope = item_of(inputs.headers[0], "RadiopharmaceuticalInformationSequence")
    weight, dose = inputs.number("PatientWeight"), number_of(isotope, "RadionuclideTotalDose")
    half_life, delay = number_of(isotope, "RadionuclideHalfLife"), _delay_s(inputs, isotope)
    correction = inputs.text("DecayCorrection")
    lacking = {
        "PatientWeight": not weight,
        "RadionuclideTotalDose": not dose,
        "RadionuclideHalfLife": not half_life,
        "RadiopharmaceuticalStartTime": delay is None and correction != "ADMIN",
        "Units": units == "",
        "DecayCorrection": correction not in {"START", "ADMIN"},
    }
    names = [name for name, is_lacking in lacking.items() if is_lacking]
    if names:
        return Measured("incomplete", "incomplete", params={"names": ", ".join(names[:3])})
    if weight is None or dose is None or half_life is None:
        return NotEvaluable("missing_tag")
    wrong = {
        "PatientWeight": not WEIGHT_KG[0] <= weight <= WEIGHT_KG[1],
        "RadionuclideTotalDose": not DOSE_BQ[0] <= dose <= DOSE_BQ[1],
        "RadionuclideHalfLife": not half_life > 0,
        "RadiopharmaceuticalStartTime": delay is not None and not 0 <= delay <= LONGEST_DELAY_S,
        "Units": units != "BQML",
    }
    names = [name for name, is_wrong in wrong.items() if is_wrong]
    if names:
        return Measured("implausible", "implausible", params={"names": ", ".join(names[:3])})
    decay = 1.0 if correction == "ADMIN" or delay is None else 2.0 ** (-delay / half_life)
    evidence: dict[str, float | str] = {"factor_g_per_bq": weight * 1000 / (dose * decay), "decay": decay}
    return Measured("complete", evidence=evidence)


def _delay_s(inputs: Inputs, isotope: Dataset) -> float | None:
    """Seconds from injection to the start of the series; over midnight where the clock runs back."""
    injected = seconds_of_day(
        text_of(isotope, "RadiopharmaceuticalStartDateTime")[8:] or text_of(isotope, "RadiopharmaceuticalStartTime")
    )
    started = [s for s in map(seconds_of_day, inputs.texts("AcquisitionTime")) if s is not None]
    if injected is None or not started:
        return None
    return (min(started) - injected) % (24 * 3600.0)
