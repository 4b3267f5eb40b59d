"""Whether age, weight, height, sex and dates can be true."""

import re
from datetime import date, timedelta

from qc.image.inputs import Inputs
from qc.image.registry import Advice, Measured, NotEvaluable, check

AGE_YEARS = (0.0, 120.0)
WEIGHT_KG = (0.3, 350.0)
HEIGHT_M = (0.2, 2.5)
SEXES = frozenset({"M", "F", "O"})


@check(
    "gen.tag.plausible",
    version="1.0.0",
    title=("信息合理性", "Plausible header values"),
    unit="1",
    direction="higher_worse",
    settles="early",
    source="DICOM PS3.3 C.7.1.1, C.7.2.2; ranges of living persons",
    causes={
        "implausible": Advice(
            "labelling",
            "{value:.0f} 项信息不合理：{names}",
            "Header values that cannot be true ({value:.0f}): {names}",
            "correct_demographics",
            "technician",
            "请在设备或 RIS 中更正后重新发送",
            "Correct them at the scanner or in the RIS and send again",
        )
    },
)
def plausible(inputs: Inputs) -> Measured | NotEvaluable:
    """How many of the values present cannot be true; absent ones are not counted."""
    study, birth = _day(inputs.text("StudyDate")), _day(inputs.text("PatientBirthDate"))
    acquired = _day(inputs.text("AcquisitionDate") or inputs.text("AcquisitionDateTime"))
    age, weight, height = (
        _age_years(inputs.text("PatientAge")),
        inputs.number("PatientWeight"),
        inputs.number("PatientSize"),
    )
    sex = inputs.text("PatientSex").upper()
    tests = {
        "PatientAge": None if age is None else AGE_YEARS[0] <= age <= AGE_YEARS[1],
        "PatientBirthDate": None
        if not (birth and study)
        else timedelta(0) <= study - birth <= timedelta(days=AGE_YEARS[1] * 365.25),
        "PatientWeight": None if not weight else WEIGHT_KG[0] <= weight <= WEIGHT_KG[1],
        "PatientSize": None if not height else HEIGHT_M[0] <= height <= HEIGHT_M[1],
        "PatientSex": None if not sex else sex in SEXES,
        "AcquisitionDate": None if not (acquired and study) else acquired >= study - timedelta(days=1),
        "AcquisitionDate (future)": None if not (acquired and inputs.today) else acquired <= inputs.today,
    }
    present = {name: holds for name, holds in tests.items() if holds is not None}
    if not present:
        return NotEvaluable("missing_tag")
    wrong = [name for name, holds in present.items() if not holds]
    evidence: dict[str, float | str] = {"present": float(len(present)), "wrong": ", ".join(wrong)}
    return Measured(float(len(wrong)), params={"names": ", ".join(wrong[:3])}, evidence=evidence)


def _day(text: str) -> date | None:
    if not re.match(r"\d{8}", text):
        return None
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:8]))
    except ValueError:
        return None


def _age_years(text: str) -> float | None:
    found = re.fullmatch(r"(\d{1,3})([DWMY])", text)
    if not found:
        return None
    return int(found.group(1)) / {"D": 365.25, "W": 52.18, "M": 12, "Y": 1}[found.group(2)]
