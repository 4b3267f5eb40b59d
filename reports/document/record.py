"""The end of the report: hashes in full, identifiers, times, intended use; what an engineer or an auditor looks up."""

from reports.document.palette import INK, MUTED
from reports.document.sheets import MARGIN_PT, SMALL_PT, Sheets
from reports.document.typeset import lines_of
from reports.model import Result
from reports.wording import unique_algorithms

__all__ = ["record_section"]

SIZE_PT = SMALL_PT + 0.5
LEADING = 1.42
LABEL_PT = 112.0


def record_section(sheets: Sheets, result: Result) -> None:
    """Every hash and identifier without shortening."""
    sheets.heading("完整记录", "Full record")
    for number, algorithm in enumerate(unique_algorithms(result), start=1):
        _line(sheets, f"A{number}", f"{algorithm.name} {algorithm.version}", bold=True)
        _line(sheets, "责任方 Manufacturer", algorithm.manufacturer)
        for label, language in (("预期用途 Intended use", "zh"), ("", "en")):
            if algorithm.intended_use.get(language):
                _line(sheets, label, algorithm.intended_use[language])
        for weights in algorithm.weights_sha256:
            _line(sheets, "权重 Weights sha256", weights)
        if algorithm.bundle_digest:
            _line(sheets, "程序包 Bundle sha256", algorithm.bundle_digest)
    for run in result.runs:
        times = " – ".join(t.isoformat(timespec="seconds") for t in (run.started, run.ended) if t is not None)
        parts = (run.id, run.algorithm.name, run.status, run.device, f"gate {run.gate}", times)
        _line(sheets, "运行 Run", "  ·  ".join(part for part in parts if part))
        if run.settings_digest:
            _line(sheets, "设置 Settings sha256", run.settings_digest)
    for stack in result.input.stacks:
        _line(sheets, f"序列 Series {stack.id}", f"{stack.series_uid}  ({stack.n})")
    for part in result.input.refused:
        _line(sheets, "未使用 Not used", f"{part.series_uid}  ·  {part.code}  ·  {part.reason}")
    _line(sheets, "输入 Input sha256", result.input.digest)
    _line(sheets, "检查 Study UID", result.study.study_uid)
    for item in result.predecessors:
        _line(sheets, "取代 Supersedes", f"{item.outlet} {item.sop_instance_uid}")


def _line(sheets: Sheets, label: str, value: str, *, bold: bool = False) -> None:
    """A label and its value, broken into lines where it is long."""
    if bold:
        sheets.y -= 4
    for number, line in enumerate(lines_of(value, SIZE_PT, sheets.width - LABEL_PT)):
        sheets.need(SIZE_PT * LEADING)
        sheets.y -= SIZE_PT * LEADING
        if number == 0:
            sheets.text_at(MARGIN_PT, sheets.y, label, SMALL_PT, INK if bold else MUTED, bold=bold)
        sheets.text_at(MARGIN_PT + LABEL_PT, sheets.y, line, SIZE_PT, INK, bold=bold)
