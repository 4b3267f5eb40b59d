"""The section of the report on landmarks: where each lies on the first picture that shows it."""

from reports.document.palette import MUTED
from reports.document.sheets import Cell, Sheets
from reports.landmarks import by_label
from reports.model import Result
from reports.numbers import format_number

__all__ = ["landmark_section", "landmarks_line"]


def landmark_section(sheets: Sheets, result: Result) -> None:
    """One row for each landmark; nothing where there is none."""
    if not result.landmarks:
        return
    sheets.heading("标志点", "Landmarks")
    heads = ["#", "名称 Name", "图像 Picture", "位置 Position LPS / mm", "可见于 Seen on", "算法 Algorithm"]
    rows = []
    for number, group in enumerate(by_label(result.landmarks), start=1):
        first, algorithm = group[0], result.run(group[0].run).algorithm
        rows.append([
            Cell(str(number), MUTED),
            Cell(first.label, bold=True),
            Cell(str(first.picture)),
            Cell(", ".join(format_number(v, 1) for v in first.position_lps)),
            Cell(f"{len(group)} 幅 picture(s)"),
            Cell(f"{algorithm.name} {algorithm.version}", MUTED),
        ])
    sheets.table([Cell(text) for text in heads], rows, (4, 24, 10, 22, 14, 26))
    if len(result.landmarks) > len(rows):
        sheets.paragraph(
            "各图像上的位置见结构化报告 / the positions on the other pictures stand in the structured report"
        )


def landmarks_line(result: Result) -> str:
    """How many landmarks were found, and on how many pictures."""
    count = len(by_label(result.landmarks))
    pictures = len({item.picture for item in result.landmarks})
    return f"标志点 {count} 个，图像 {pictures} 幅 / {count} landmark(s) on {pictures} picture(s)"
