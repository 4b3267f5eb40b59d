"""The fixed words of the report in Chinese and English, and the colours that go with them."""

from reports.document.sheets import Colour
from reports.model import Status

__all__ = ["BANNERS", "GRADES", "TITLE", "plain_date", "sex"]

TITLE = ("AI 影像分析报告", "AI image analysis report")

BANNERS: dict[Status, tuple[str, str, Colour, Colour]] = {
    "findings": ("分析完成，有结果", "Analysis complete, with findings", (0.88, 0.95, 0.91), (0.08, 0.42, 0.25)),
    "none_found": ("未检出", "Nothing found within the scope", (0.90, 0.94, 0.98), (0.10, 0.34, 0.58)),
    "partial": ("部分分析未完成", "Part of the analysis was not completed", (1.0, 0.95, 0.80), (0.55, 0.37, 0.0)),
    "failed": ("AI 未完成", "AI did not complete", (0.99, 0.90, 0.89), (0.70, 0.10, 0.08)),
    "refused": ("未进行 AI 分析", "AI analysis was not attempted", (1.0, 0.93, 0.84), (0.66, 0.27, 0.0)),
    "held": ("等待人工处理", "Waiting for a person", (0.93, 0.93, 0.93), (0.3, 0.3, 0.3)),
}
"""Chinese, English, ground and ink of the banner for each status."""

GRADES: dict[str, tuple[str, Colour]] = {
    "PASS": ("合格", (0.08, 0.42, 0.25)),
    "WARN": ("注意", (0.62, 0.42, 0.0)),
    "FAIL": ("不合格", (0.72, 0.10, 0.08)),
    "NOT_EVALUABLE": ("无法评估", (0.42, 0.46, 0.52)),
}


def sex(code: str) -> str:
    """PatientSex in both languages; other values as they are."""
    return {"M": "男 M", "F": "女 F", "O": "其他 O"}.get(code, code)


def plain_date(date: str) -> str:
    """A DICOM date as year-month-day, which reads the same everywhere; other text as it is."""
    return f"{date[:4]}-{date[4:6]}-{date[6:8]}" if len(date) == 8 and date.isdigit() else date
