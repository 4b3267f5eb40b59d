"""The section of the report on what was detected and classified: a table of measurements, a table of scores."""

from reports.document.palette import MUTED
from reports.document.sheets import Cell, Sheets
from reports.findings import MEASURED, ClassScore, Finding
from reports.model import Result
from reports.numbers import format_significant

__all__ = ["finding_section", "scores_line"]

MOST_PICTURES = 40
"""Pictures in the table; a film has thousands."""


def finding_section(sheets: Sheets, result: Result) -> None:
    """Findings with their size, density and uptake, and the scores of classes; nothing where there are none."""
    if result.findings:
        sheets.heading("发现与测量", "Findings and measurements")
        heads = ["#", "名称 Name", "置信度 Score", "大小 Size / mm", "密度 Density / HU", "摄取 Uptake, SUVbw"]
        rows = [_row(number, finding, result) for number, finding in enumerate(result.findings, start=1)]
        sheets.table([Cell(text) for text in heads], rows, (4, 18, 14, 27, 15, 30))
    whole = [score for score in result.scores if not score.picture]
    if whole:
        sheets.heading("分类评分", "Class scores")
        rows = [
            [
                Cell(score.label, bold=not place),
                Cell(f"{score.value:.3f}", right=True),
                Cell(_algorithm(result, score.run)),
            ]
            for place, score in enumerate(whole)
        ]
        sheets.table([Cell("类别 Class"), Cell("评分 Score", right=True), Cell("算法 Algorithm")], rows, (40, 14, 44))

    _picture_scores(sheets, result)


def scores_line(result: Result) -> str:
    """How many classes, or pictures, were scored, and the highest score."""
    count = len({(s.run, s.picture) for s in result.scores if s.picture})
    if not count:
        return f"分类评分 {len(result.scores)} 项 / {len(result.scores)} class scores"
    first = result.scores[0]
    return (
        f"分类图像 {count} 幅 / {count} picture(s) classified; 最确定 most certain: "
        f"{first.label} {first.value:.3f}, 图像 picture {first.picture}"
    )


def _picture_scores(sheets: Sheets, result: Result) -> None:
    """The classes of each picture, the most certain picture first, as many as a page holds."""
    pictures: dict[tuple[str, int], list[ClassScore]] = {}
    for score in result.scores:
        if score.picture:
            pictures.setdefault((score.run, score.picture), []).append(score)
    if not pictures:
        return
    sheets.heading("各图像分类评分", "Class scores of each picture")
    rows = [
        [
            Cell(f"{number}" if place else f"{number}  最确定 most certain", bold=not place),
            Cell(scores[0].label, bold=not place),
            Cell(f"{scores[0].value:.3f}", right=True),
            Cell("; ".join(f"{s.label} {s.value:.3f}" for s in scores[1:]), MUTED),
            Cell(_algorithm(result, run)),
        ]
        for place, ((run, number), scores) in enumerate(list(pictures.items())[:MOST_PICTURES])
    ]
    heads = [
        Cell("图像 Picture"),
        Cell("类别 Class"),
        Cell("评分 Score", right=True),
        Cell("其他类别 Other classes"),
        Cell("算法 Algorithm"),
    ]
    sheets.table(heads, rows, (24, 18, 10, 22, 26))
    if len(pictures) > MOST_PICTURES:
        rest = len(pictures) - MOST_PICTURES
        sheets.paragraph(f"另有 {rest} 幅图像见结构化报告 / {rest} more pictures stand in the structured report")


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
