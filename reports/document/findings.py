"""The section of the report on what was detected and classified: a table of measurements, a table of scores."""

from reports.document.palette import MUTED
from reports.document.sheets import Cell, Sheets
from reports.findings import MEASURED, Finding
from reports.model import Result
from reports.numbers import format_significant

__all__ = ["finding_section"]


def finding_section(sheets: Sheets, result: Result) -> None:
    """Findings with their size, density and uptake, and the scores of classes; nothing where there are none."""
    if result.findings:
        sheets.heading("发现与测量", "Findings and measurements")
        heads = ["#", "名称 Name", "置信度 Score", "大小 Size / mm", "密度 Density / HU", "摄取 Uptake, SUVbw"]
        rows = [_row(number, finding, result) for number, finding in enumerate(result.findings, start=1)]
        sheets.table([Cell(text) for text in heads], rows, (4, 18, 14, 27, 15, 30))
    if result.scores:
        sheets.heading("分类评分", "Class scores")
        rows = [
            [
                Cell(score.label, bold=not place),
                Cell(f"{score.value:.3f}", right=True),
                Cell(_algorithm(result, score.run)),
            ]
            for place, score in enumerate(result.scores)
        ]
        sheets.table([Cell("类别 Class"), Cell("评分 Score", right=True), Cell("算法 Algorithm")], rows, (40, 14, 44))


def _row(number: int, finding: Finding, result: Result) -> list[Cell]:
    values = dict(finding.measured)
    structure = next((s for s in result.structures if s.id == finding.structure), None)
    name = finding.label if structure is None else f"{structure.name.tg263}\n{finding.label}"
    size = _lines(values, ("long_axis_mm", "short_axis_mm", "largest_diameter_mm"), digits=3)
    if not size and finding.size_mm:
        size = "框 box " + " x ".join(format_significant(v, 3) for v in finding.size_mm)
    uptake = ("suv_max", "suv_mean", "suv_peak", "metabolic_volume_cc", "total_lesion_glycolysis_g")
    return [
        Cell(str(number), MUTED),
        Cell(name, bold=True),
        Cell("—" if finding.score is None else f"{finding.score:.2f}"),
        Cell(size or "—"),
        Cell(_number(values, "mean_hu")),
        Cell(_lines(values, uptake, digits=3) or "—"),
    ]


def _lines(values: dict[str, float], keys: tuple[str, ...], *, digits: int) -> str:
    """One line for each value that there is."""
    parts = []
    for key in keys:
        if key in values:
            quantity = MEASURED[key]
            unit = f" {quantity.shown_unit}" if quantity.shown_unit not in {"", "mm"} else ""
            parts.append(f"{quantity.zh} {quantity.en} {format_significant(values[key], digits)}{unit}")
    return "\n".join(parts)


def _number(values: dict[str, float], key: str) -> str:
    return format_significant(values[key], 3) if key in values else "—"


def _algorithm(result: Result, run: str) -> str:
    algorithm = result.run(run).algorithm
    return f"{algorithm.name} {algorithm.version}"
