"""The sections of the report that a reader looks at first: study, status, structures, quality, algorithms, pictures."""

from collections import Counter
from collections.abc import Sequence
from io import BytesIO

from PIL import Image

from qc.image.result import CheckResult, SeriesVerdict
from reports.document.findings import scores_line
from reports.document.landmarks import landmarks_line
from reports.document.palette import GRADE_INK, INK, MUTED, STATUS_COLOURS
from reports.document.sheets import BODY_PT, MARGIN_PT, SMALL_PT, Cell, Sheets
from reports.document.typeset import lines_of, width_pt
from reports.model import Result
from reports.numbers import format_significant, format_volume_cc
from reports.parts import StackRef, Structure, StudyRef
from reports.pictures import Picture
from reports.study import display_date, display_name, display_sex
from reports.wording import (
    GRADE_WORDS,
    RUN_WORDS,
    STATUS_WORDS,
    TITLE,
    reason_words,
    run_sentences,
    scope,
    unique_algorithms,
)

__all__ = [
    "algorithm_section",
    "picture_pages",
    "quality_section",
    "structure_section",
    "study_section",
]

FIELD_LINES = 12
"""A name of three groups of 64 characters, the longest that DICOM allows, is shown whole."""

NOT_DECODABLE = "字符集错误，见原图 not decodable, see the images"

PICTURE_GAP_PT = 13.0
LEGEND_PT = 12.5
PICTURE_MOST_PT = 150.0
"""Three rows with their captions fill a page."""


def study_section(sheets: Sheets, result: Result) -> None:
    """Title, who and what, and the banner with the status."""
    study = result.study
    sheets.y -= 14
    sheets.text_at(MARGIN_PT, sheets.y, TITLE[0], 18, bold=True)
    sheets.text_at(MARGIN_PT + width_pt(TITLE[0], 18) + 10, sheets.y, TITLE[1], 11, MUTED)
    sheets.y -= 10
    sheets.rectangle(MARGIN_PT, sheets.y, sheets.width, 1.4, INK)
    sheets.y -= 5
    born = display_date(study.birth_date)
    stacks = "; ".join(f"{_series_name(s)} ({s.n})" for s in result.input.stacks)
    _fields(
        sheets,
        [
            ("姓名 Name", _shown(study, "PatientName", display_name(study.patient_name))),
            ("检查号 Accession", _shown(study, "AccessionNumber", study.accession)),
            ("病历号 ID", _shown(study, "PatientID", study.patient_id)),
            ("检查日期 Study date", display_date(study.study_date)),
            ("性别 Sex / 出生 Born", " / ".join(part for part in (display_sex(study.sex), born) if part)),
            ("检查 Study", _shown(study, "StudyDescription", study.description)),
            ("机构 Institution", _shown(study, "InstitutionName", study.institution)),
            ("序列 Series (n)", stacks),
        ],
    )
    _banner(sheets, result)


def _shown(study: StudyRef, keyword: str, value: str) -> str:
    """A value, or that its bytes are no text in the character set that the images state."""
    return NOT_DECODABLE if keyword in study.undecodable else value


def structure_section(sheets: Sheets, result: Result) -> None:
    """The table of structures."""
    if not result.structures:
        return
    sheets.heading("勾画结构", "Contoured structures")
    algorithms = unique_algorithms(result)
    rows = [
        [
            Cell(str(s.number), MUTED),
            Cell(s.name.tg263, swatch=_unit_colour(s.name.colour_rgb), bold=True),
            Cell(s.name.zh),
            Cell(s.name.en, MUTED),
            Cell(_size(s), right=True),
            Cell(f"A{algorithms.index(result.algorithm_of(s)) + 1}" + ("，人工修改 edited" if s.edited else ""), MUTED),
        ]
        for s in result.structures
    ]
    size = "面积 Area / px" if any(s.areas_px for s in result.structures) else "体积 Volume / cm³"
    heads = ["#", "TG-263", "中文名", "Name", size, "算法 Algorithm"]
    cells = [Cell(text, right=text == size) for text in heads]
    sheets.table(cells, rows, (4, 25, 18, 27, 17, 14))


def _size(structure: Structure) -> str:
    """Its volume; on pictures its largest area, on which picture, and on how many it is seen."""
    if structure.volume_cc is not None:
        return format_volume_cc(structure.volume_cc)
    picture, pixels = structure.largest_area_px
    return f"{pixels}\n图像 picture {picture}"


def quality_section(sheets: Sheets, result: Result) -> None:
    """The grade of each series, and every check that a person should act on."""
    if not result.qc:
        return
    sheets.heading("图像质量", "Image quality")
    described = {s.series_uid: _series_name(s) for s in result.input.stacks}
    for verdict in map(SeriesVerdict.from_json, result.qc):
        counts = Counter(r.grade for r in verdict.results)
        zh, colour = GRADE_WORDS[verdict.grade], GRADE_INK[verdict.grade]
        line = "  ·  ".join(f"{word} {grade} {counts[grade]}" for grade, word in GRADE_WORDS.items() if counts[grade])
        sheets.y -= 15
        sheets.text_at(MARGIN_PT, sheets.y, f"{zh} {verdict.grade}", 10, colour, bold=True)
        x = MARGIN_PT + width_pt(f"{zh} {verdict.grade}", 10) + 12
        series = described.get(verdict.series_instance_uid, "")
        text = "  ·  ".join(part for part in (series, f"方案 profile {verdict.profile_id}", line) if part)
        sheets.text_at(
            x, sheets.y, lines_of(text, SMALL_PT + 0.5, sheets.width + MARGIN_PT - x, 1)[0], SMALL_PT + 0.5, MUTED
        )
        sheets.y -= 6
        rows = [_check_row(check) for check in (*verdict.findings(), *verdict.unjudged())]
        if rows:
            heads = [Cell(t) for t in ("检查项 Check", "结果 Value", "评级 Grade", "原因 Cause", "处理 Action")]
            sheets.table(heads, rows, (20, 11, 17, 27, 31))


def algorithm_section(sheets: Sheets, result: Result) -> None:
    """What ran, in which version, with which weights, and how it ended."""
    sheets.heading("算法", "Algorithms")
    rows = []
    for number, algorithm in enumerate(unique_algorithms(result), start=1):
        states = {r.status for r in result.runs if r.algorithm == algorithm}
        weights = ", ".join(w[:12] for w in algorithm.weights_sha256)
        kind = "无（图像处理） none (image processing)" if algorithm.deterministic else "—"
        rows.append([
            Cell(f"A{number}", bold=True),
            Cell(algorithm.name),
            Cell(algorithm.version),
            Cell(weights or kind, MUTED),
            Cell("\n".join(f"{RUN_WORDS[state]} {state}" for state in sorted(states))),
        ])
    heads = [Cell(t) for t in ("", "名称 Name", "版本 Version", "权重 Weights sha256", "运行 Run")]
    sheets.table(heads, rows, (5, 41, 14, 33, 12))
    for run in result.runs:
        for warning in run.warnings:
            number = unique_algorithms(result).index(run.algorithm) + 1
            sheets.paragraph(f"A{number}: {warning}", SMALL_PT + 0.5, MUTED)


def picture_pages(sheets: Sheets, pictures: Sequence[Picture], structures: Sequence[Structure]) -> None:
    """Key images, two in a row, each with its caption, under the colours of the structures."""
    if not pictures:
        return
    width = (sheets.width - PICTURE_GAP_PT) / 2
    for row in range(0, len(pictures), 2):
        pair = pictures[row : row + 2]
        sizes = [_fitted_size(p, width) for p in pair]
        height = max(h for _, h in sizes)
        captions = [
            (lines_of(p.caption_zh, BODY_PT, width, 2), lines_of(p.caption_en, SMALL_PT, width, 3)) for p in pair
        ]
        under = max(len(zh) * BODY_PT * 1.3 + len(en) * SMALL_PT * 1.3 for zh, en in captions) + 8
        sheets.need(height + under + (45 + 2 * LEGEND_PT if row == 0 else 8))
        if row == 0:
            sheets.heading("关键图像", "Key images")
            _legend(sheets, structures)
        sheets.y -= 8
        for column, (picture, (w, h), (zh, en)) in enumerate(zip(pair, sizes, captions, strict=True)):
            x = MARGIN_PT + column * (width + PICTURE_GAP_PT)
            sheets.rectangle(x, sheets.y - height, width, height, (0, 0, 0))
            sheets.picture(x + (width - w) / 2, sheets.y - (height - h) / 2, w, h, picture.png)
            y = sheets.y - height - 3
            for lines, size, colour in ((zh, BODY_PT, INK), (en, SMALL_PT, MUTED)):
                for line in lines:
                    y -= size * 1.3
                    sheets.text_at(x, y, line, size, colour)
        sheets.y -= height + under


def _fields(sheets: Sheets, fields: Sequence[tuple[str, str]]) -> None:
    """Labels and values in two columns."""
    width = sheets.width / 2
    for row in range(0, len(fields), 2):
        pair = fields[row : row + 2]
        lines = [lines_of(value or "—", BODY_PT + 0.5, width - 96, FIELD_LINES) for _, value in pair]
        for column, ((label, _), texts) in enumerate(zip(pair, lines, strict=True)):
            x = MARGIN_PT + column * width
            sheets.text_at(x, sheets.y - 13, label, SMALL_PT, MUTED)
            for number, text in enumerate(texts):
                sheets.text_at(x + 88, sheets.y - 13 - 12.5 * number, text, BODY_PT + 0.5)
        sheets.y -= 4 + 12.5 * max(map(len, lines))


def _banner(sheets: Sheets, result: Result) -> None:
    """The status in a coloured field, with reasons and actions of what did not run."""
    (zh, en), (ground, ink) = STATUS_WORDS[result.status], STATUS_COLOURS[result.status]
    lines: list[tuple[str, float]] = []
    if result.findings:
        lines.append((f"发现 {len(result.findings)} 处 / {len(result.findings)} finding(s)", BODY_PT))
    if result.scores:
        lines.append((scores_line(result), BODY_PT))
    if result.landmarks:
        lines.append((landmarks_line(result), BODY_PT))
    if result.structures:
        lines.append((f"勾画 {len(result.structures)} 个结构 / {len(result.structures)} structures contoured", BODY_PT))
    if result.status == "none_found":
        lines.append((f"范围 Scope: {scope(result)}", BODY_PT))
    for run in result.runs:
        if run.status != "ok":
            words = f"{RUN_WORDS[run.status]} {run.status}"
            lines.append((f"{run.algorithm.name} {run.algorithm.version}  ·  {words}", BODY_PT))
            lines += [(text, BODY_PT) for text in run_sentences(run)]
    lines += [(f"未使用 Not used: {part.reason}", SMALL_PT) for part in result.input.refused]
    broken = [(line, size) for text, size in lines for line in lines_of(text, size, sheets.width - 28, 4)]
    height = 27 + sum(size * 1.4 for _, size in broken) + (6 if broken else 0)
    sheets.y -= 10 + height
    sheets.rectangle(MARGIN_PT, sheets.y, sheets.width, height, ground, 3)
    sheets.rectangle(MARGIN_PT, sheets.y, 4, height, ink)
    y = sheets.y + height - 18
    sheets.text_at(MARGIN_PT + 14, y, zh, 12.5, ink, bold=True)
    sheets.text_at(MARGIN_PT + 14 + width_pt(zh, 12.5) + 9, y, en, 10, ink)
    for line, size in broken:
        y -= size * 1.4
        sheets.text_at(MARGIN_PT + 14, y - 2.5, line, size)
    sheets.y -= 2


def _check_row(check: CheckResult) -> list[Cell]:
    zh, colour = GRADE_WORDS[check.grade], GRADE_INK[check.grade]
    value = "—" if check.value is None else check.value
    shown = value if isinstance(value, str) else format_significant(value, 3)
    unit = {"": "", "1": "", "[hnsf'U]": " HU"}.get(check.unit, f" {check.unit}")
    cause = f"{check.cause.zh}\n{check.cause.en}" if check.cause else "\n".join(reason_words(check.reason))
    action = f"{check.action.zh}\n{check.action.en}" if check.action else "—"
    return [
        Cell(check.check_id),
        Cell(shown + unit),
        Cell(f"{zh}\n{check.grade}", colour, bold=True),
        Cell(cause or "—"),
        Cell(action),
    ]


def _fitted_size(picture: Picture, width: float) -> tuple[float, float]:
    """Size on paper: the whole width, or less where the picture would be too high."""
    with Image.open(BytesIO(picture.png)) as image:
        columns, rows = image.size
    height = min(width * rows / columns, PICTURE_MOST_PT)
    return height * columns / rows, height


def _series_name(stack: StackRef) -> str:
    """Modality and description; the modality once."""
    if stack.description.startswith(stack.modality):
        return stack.description or "—"
    return f"{stack.modality} {stack.description}".strip()


def _legend(sheets: Sheets, structures: Sequence[Structure]) -> None:
    """Colour and name of each structure, in as many lines as they need."""
    x = MARGIN_PT
    for structure in structures:
        width = 13 + width_pt(structure.name.tg263, SMALL_PT) + 12
        if x + width > MARGIN_PT + sheets.width:
            x = MARGIN_PT
            sheets.y -= LEGEND_PT
        sheets.rectangle(x, sheets.y - 10, 9, 6.5, _unit_colour(structure.name.colour_rgb), 1.2)
        sheets.text_at(x + 13, sheets.y - 9.5, structure.name.tg263, SMALL_PT, MUTED)
        x += width
    sheets.y -= LEGEND_PT if structures else 0


def _unit_colour(rgb: tuple[int, int, int]) -> tuple[float, float, float]:
    return rgb[0] / 255, rgb[1] / 255, rgb[2] / 255
