"""The end of the report: hashes in full, identifiers, times, intended use; what an engineer or an auditor looks up."""

from reports.document.palette import INK
from reports.document.sheets import SMALL_PT, Sheets
from reports.model import Result
from reports.wording import unique_algorithms

__all__ = ["record_section"]


def record_section(sheets: Sheets, result: Result) -> None:
    """Every hash and identifier without shortening."""
    sheets.heading("完整记录", "Full record")
    sheets.y -= 2
    for number, algorithm in enumerate(unique_algorithms(result), start=1):
        _line(sheets, f"A{number}  {algorithm.name} {algorithm.version}  ·  {algorithm.manufacturer}", bold=True)
        for language in ("zh", "en"):
            if algorithm.intended_use.get(language):
                _line(sheets, algorithm.intended_use[language])
        for weights in algorithm.weights_sha256:
            _line(sheets, f"权重 weights sha256 {weights}")
        if algorithm.bundle_digest:
            _line(sheets, f"程序包 bundle sha256 {algorithm.bundle_digest}")
    for run in result.runs:
        times = " – ".join(t.isoformat(timespec="seconds") for t in (run.started, run.ended) if t is not None)
        parts = (f"run {run.id}", run.status, run.device, f"gate {run.gate}", times)
        _line(sheets, "运行  " + "  ·  ".join(part for part in parts if part))
        if run.settings_digest:
            _line(sheets, f"设置 settings sha256 {run.settings_digest}")
    for stack in result.input.stacks:
        _line(sheets, f"序列 series {stack.id}: {stack.series_uid}  ({stack.n})")
    for part in result.input.refused:
        _line(sheets, f"未使用 not used: {part.series_uid}  ·  {part.code}  ·  {part.reason}")
    _line(sheets, f"输入 input sha256 {result.input.digest}")
    _line(sheets, f"检查 study {result.study.study_uid}")
    if result.supersedes:
        _line(sheets, f"取代 supersedes {result.supersedes}")


def _line(sheets: Sheets, text: str, *, bold: bool = False) -> None:
    sheets.paragraph(text, SMALL_PT + 0.5, INK, bold=bold)
