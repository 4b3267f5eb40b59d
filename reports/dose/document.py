"""The dose report for people: A4 pages in both languages, with courses, limits, table, curves and pictures."""

from collections.abc import Sequence
from io import BytesIO

from reportlab import rl_config
from reportlab.pdfgen.canvas import Canvas

from contouring.dose.assessment import DoseAssessment, StructureAssessment
from reports.document.palette import INK, MUTED, RULE, Colour
from reports.document.sheets import BODY_PT, MARGIN_PT, PAGE_PT, SMALL_PT, Cell, Sheets, draw_text
from reports.document.typeset import lines_of, width_pt
from reports.dose.curves import structure_curves
from reports.dose.dvh_plot import dark, dvh_section
from reports.dose.registration import registration_reports
from reports.dose.registration_page import registration_page
from reports.dose.report import DoseReport
from reports.dose.sentences import sentence_words
from reports.dose.table import Entry, TableRow, colour_of
from reports.dose.wording import JUDGED_WORDS, STATUS_WORDS, TITLE, course_words, flag_words, warning_words
from reports.parts import StudyRef
from reports.study import display_date, display_name, display_sex, study_ref
from reports.wording import REVIEW_SENTENCE, radgate_version

__all__ = ["dose_pdf"]

STATUS_INK: dict[str, Colour] = {
    "met": (0.08, 0.42, 0.25),
    "near": (0.62, 0.42, 0.0),
    "broken": (0.72, 0.10, 0.08),
    "not_evaluable": (0.42, 0.46, 0.52),
}
AMBER_GROUND: Colour = (1.0, 0.95, 0.80)
PICTURE_WIDTH_PT = 250.0


def dose_pdf(report: DoseReport, pictures: Sequence[tuple[bytes, tuple[int, int]]] = ()) -> bytes:
    """The report as a PDF file; equal reports give equal bytes.

    Parameters
    ----------
    report
        What it says.
    pictures
        Frames as PNG or JPEG with their sizes in pixels.
    """
    sheets = Sheets()
    study = study_ref(report.stack.header)
    _head(sheets, report, study)
    _limits(sheets, report)
    _table(sheets, report)
    letters = [c.letter for c in report.assessment.courses]
    dvh_section(sheets, structure_curves(report.assessment), letters)
    _pictures(sheets, pictures)
    for registration in registration_reports(report.assessment):
        registration_page(sheets, registration)
    _record(sheets, report)
    rl_config.useA85 = False
    buffer = BytesIO()
    canvas = Canvas(buffer, pagesize=PAGE_PT, pageCompression=1, invariant=1)
    canvas.setTitle(f"{TITLE[0]} / {TITLE[1]}")
    canvas.setAuthor("radgate")
    canvas.setSubject(REVIEW_SENTENCE)
    canvas.setCreator(f"radgate {radgate_version()}")
    for number, page in enumerate(sheets.pages, start=1):
        for draw in page:
            draw(canvas)
        _frame(canvas, report, study, number, len(sheets.pages))
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def _head(sheets: Sheets, report: DoseReport, study: StudyRef) -> None:
    """Title, patient, courses and warnings."""
    found = report.assessment
    sheets.y -= 14
    sheets.text_at(MARGIN_PT, sheets.y, TITLE[0], 18, bold=True)
    sheets.text_at(MARGIN_PT + width_pt(TITLE[0], 18) + 10, sheets.y, TITLE[1], 11, MUTED)
    sheets.y -= 10
    sheets.rectangle(MARGIN_PT, sheets.y, sheets.width, 1.4, INK)
    sheets.y -= 5
    fields = [
        ("姓名 Name", display_name(study.patient_name)),
        ("病历号 ID", study.patient_id),
        ("性别 Sex / 出生 Born", " / ".join(p for p in (display_sex(study.sex), display_date(study.birth_date)) if p)),
        ("检查日期 Study date", display_date(study.study_date)),
    ]
    for row in range(0, len(fields), 2):
        for column, (label, value) in enumerate(fields[row : row + 2]):
            x = MARGIN_PT + column * sheets.width / 2
            sheets.text_at(x, sheets.y - 13, label, SMALL_PT, MUTED)
            shown = lines_of(value or "—", BODY_PT + 0.5, sheets.width / 2 - 96, 1)[0]
            sheets.text_at(x + 88, sheets.y - 13, shown, BODY_PT + 0.5)
        sheets.y -= 16
    sheets.heading("疗程", "Courses")
    registrations = {r.letter: r for r in registration_reports(found)}
    rows = []
    for course in found.courses:
        zh, en = course_words(course)
        registered = registrations.get(course.letter)
        measured = (
            ""
            if registered is None
            else f"\n往返 there and back {registered.there_and_back.text} mm, Dice {registered.rows[0].dice.text}"
        )
        rows.append([Cell(course.letter, bold=True), Cell(course.label or "—"), Cell(f"{zh}\n{en}{measured}", MUTED)])
    sheets.table([Cell(t) for t in ("", "计划 Plan", "分次 Fractions · 配准 Registration")], rows, (5, 25, 70))
    _warnings(sheets, found)


def _warnings(sheets: Sheets, found: DoseAssessment) -> None:
    warned = ["  ".join(warning_words(w)) for w in found.warnings]
    refused = [f"{name}: {_both(reason.message, '  ')}" for name, reason in found.refused.items()]
    flagged = [f"{s.name}: {_flags(s)}" for s in found.structures if s.flags and set(s.flags) != {"qualitative"}]
    lines = [
        line for text in (*warned, *refused, *flagged) for line in lines_of(text, SMALL_PT + 0.5, sheets.width - 28, 3)
    ]
    if not lines:
        return
    while lines:
        part, lines = lines[:30], lines[30:]
        height = 12 + 11.5 * len(part)
        sheets.need(height + 12)
        sheets.y -= 8 + height
        sheets.rectangle(MARGIN_PT, sheets.y, sheets.width, height, AMBER_GROUND, 3)
        sheets.rectangle(MARGIN_PT, sheets.y, 4, height, STATUS_INK["near"])
        for number, line in enumerate(part):
            sheets.text_at(MARGIN_PT + 14, sheets.y + height - 14 - 11.5 * number, line, SMALL_PT + 0.5)


def _both(sentence: str, between: str = "\n") -> str:
    """A sentence in both languages; once where it has one."""
    return between.join(dict.fromkeys(sentence_words(sentence)))


def _flags(structure: StructureAssessment) -> str:
    return "; ".join(" ".join(flag_words(flag, structure)) for flag in structure.flags)


def _limits(sheets: Sheets, report: DoseReport) -> None:
    """How the limits stand, the broken ones first."""
    if not report.table.limits:
        return
    sheets.heading("剂量限值", "Dose limits")
    rows = []
    for row in report.table.limits:
        zh, en = STATUS_WORDS[row.status]
        verified = "" if row.is_verified else "\n未核对 unverified"
        rows.append([
            Cell(row.structure, bold=True),
            Cell(row.text),
            Cell(f"{row.found.text} {row.found.unit}".strip() if row.found.value is not None else "—", right=True),
            Cell("\n".join(dict.fromkeys(JUDGED_WORDS[row.judged_on])), MUTED),
            Cell(f"{zh} {en}", STATUS_INK[row.status], bold=True),
            Cell((_both(row.reason) or row.limit_set) + verified, MUTED),
        ])
    heads = ("结构 Structure", "限值 Limit", "数值 Found", "依据 On", "判定 Verdict", "说明 Note")
    sheets.table([Cell(t, right=t.startswith("数值")) for t in heads], rows, (20, 20, 13, 11, 17, 30))


def _table(sheets: Sheets, report: DoseReport) -> None:
    """One line for each structure and number."""
    if not report.table.rows:
        return
    letters = [c.letter for c in report.assessment.courses]
    kind = "EQD2" if report.assessment.has_eqd2 else "Gy"
    sheets.heading("各结构剂量 (Gy)", "Dose of each structure (Gy)")
    heads = ["结构 Structure", "α/β", "指标", *letters, "累加 sum", "EQD2", "BED", f"{kind} ≥", f"{kind} ≤", "Σmax"]
    colours = {s.name: colour_of(s, n) for n, s in enumerate(report.assessment.structures)}
    rows = []
    before = ""
    for row in report.table.rows:
        first = row.structure != before
        before = row.structure
        cells = [
            Cell(f"{row.structure}\n{row.zh}".strip(), bold=True, swatch=dark(colours[row.structure]))
            if first
            else Cell(""),
            Cell(f"{row.alpha_beta_gy:g}" if first else "", MUTED, right=True),
            Cell(row.metric, MUTED),
            *(_number(e) for e in _printed(row)),
        ]
        rows.append(cells)
    shares = (24, 6, 11, *([10] * len(letters)), 11, 11, 11, 10, 10, 10)
    sheets.table([Cell(t, right=n not in {0, 2}) for n, t in enumerate(heads)], rows, shares)
    notes = (
        "Σmax：各疗程最大剂量之和，任何配准都不会超过。≥ ≤：器官在搜索半径内错位时的范围。",
        "Σmax: sum of the maxima of the courses, which no alignment can exceed. ≥ ≤: range if the organ is displaced "
        "within reach of the search. Doses are mapped first, converted to EQD2 voxel by voxel, and then added.",
    )
    sheets.y -= 3
    for note in notes:
        sheets.paragraph(note, SMALL_PT, MUTED)


def _printed(row: TableRow) -> tuple[Entry, ...]:
    return (*row.courses, row.total, row.eqd2, row.bed, row.low, row.high, row.maxima)


def _number(entry: Entry) -> Cell:
    return Cell(entry.text, MUTED if entry.value is None else INK, right=True)


def _pictures(sheets: Sheets, pictures: Sequence[tuple[bytes, tuple[int, int]]]) -> None:
    """Frames, two in a row."""
    for row in range(0, len(pictures), 2):
        pair = pictures[row : row + 2]
        heights = [PICTURE_WIDTH_PT * size[1] / size[0] for _, size in pair]
        sheets.need(max(heights) + (50 if row == 0 else 10))
        if row == 0:
            sheets.heading("剂量分布", "Dose distribution")
        sheets.y -= 6
        for column, ((data, _), height) in enumerate(zip(pair, heights, strict=True)):
            sheets.picture(
                MARGIN_PT + column * (sheets.width - PICTURE_WIDTH_PT), sheets.y, PICTURE_WIDTH_PT, height, data
            )
        sheets.y -= max(heights)


def _record(sheets: Sheets, report: DoseReport) -> None:
    """Where everything is from: rules, identifiers, citations."""
    found = report.assessment
    sheets.heading("完整记录", "Full record")
    lines = [
        f"caps {found.caps}; volume by the integrated field; dose trilinear, in mm",
        f"structures {found.structure_set_uid}",
        *(f"{c.letter}: dose {c.dose_uid}" for c in found.courses),
        *(f"{c.letter}: plan {uid}" for c in found.courses for uid in c.plan_uids),
        *(f"{c.letter}: registration {c.registration_uid}" for c in found.courses if c.registration_uid),
        *(f"{s.name}: α/β {s.alpha_beta.gy:g} Gy, {s.alpha_beta.citation}" for s in found.structures),
        *(f"{s.name}: {s.title}. {s.citation}. {s.verified_by or 'not verified'}" for s in found.limit_sets),
    ]
    for line in lines:
        sheets.paragraph(line, SMALL_PT, MUTED)


def _frame(canvas: Canvas, report: DoseReport, study: StudyRef, number: int, total: int) -> None:
    """Head and foot of a page."""
    right = PAGE_PT[0] - MARGIN_PT
    if number > 1:
        top = PAGE_PT[1] - MARGIN_PT - 8
        who = "  ·  ".join(part for part in (display_name(study.patient_name), study.patient_id) if part)
        draw_text(canvas, MARGIN_PT, top, TITLE[0], 9, INK, bold=True)
        line = lines_of(who, 8.5, 330, most=1)[0]
        draw_text(canvas, right - width_pt(line, 8.5), top, line, 8.5, MUTED)
        _rule(canvas, PAGE_PT[1] - MARGIN_PT - 15)
    _rule(canvas, MARGIN_PT + 24)
    sentence = f"{REVIEW_SENTENCE}  ·  不可用于计划 NOT FOR PLANNING"
    draw_text(canvas, MARGIN_PT, MARGIN_PT + 11, sentence, 8.5, INK, bold=True)
    page = f"{number} / {total}"
    draw_text(canvas, right - width_pt(page, 8.5), MARGIN_PT + 11, page, 8.5, MUTED)
    foot = f"radgate {radgate_version()}  ·  {report.algorithm.name}  ·  {report.created_at:%Y-%m-%d %H:%M:%S %z}"
    draw_text(canvas, MARGIN_PT, MARGIN_PT - 1, foot, 7, MUTED)


def _rule(canvas: Canvas, y: float) -> None:
    canvas.setStrokeColorRGB(*RULE)
    canvas.setLineWidth(0.6)
    canvas.line(MARGIN_PT, y, PAGE_PT[0] - MARGIN_PT, y)
