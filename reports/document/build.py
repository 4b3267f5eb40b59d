"""The whole document: first page, key images, full record, and the head and foot of every page."""

from collections.abc import Sequence
from io import BytesIO

from reportlab import rl_config
from reportlab.pdfgen.canvas import Canvas

from reports.document.findings import finding_section
from reports.document.landmarks import landmark_section
from reports.document.palette import INK, MUTED, RULE
from reports.document.record import record_section
from reports.document.sections import (
    algorithm_section,
    picture_pages,
    quality_section,
    structure_section,
    study_section,
)
from reports.document.sheets import MARGIN_PT, PAGE_PT, Sheets, draw_text
from reports.document.typeset import lines_of, width_pt
from reports.model import Result
from reports.pictures import Picture
from reports.study import display_name
from reports.wording import REVIEW_SENTENCE, TITLE, radgate_version, unique_algorithms

__all__ = ["report_pdf"]


def report_pdf(result: Result, pictures: Sequence[Picture] = ()) -> bytes:
    """The report as a PDF file: A4, bilingual, font embedded, text extractable; equal results give equal bytes."""
    sheets = Sheets()
    study_section(sheets, result)
    structure_section(sheets, result)
    finding_section(sheets, result)
    landmark_section(sheets, result)
    quality_section(sheets, result)
    algorithm_section(sheets, result)
    picture_pages(sheets, pictures, result.structures)
    record_section(sheets, result)
    # Binary streams, not text: the encoder of reportlab is pure Python and took most of the time of a report.
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
        _head_and_foot(canvas, result, number, len(sheets.pages))
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def _head_and_foot(canvas: Canvas, result: Result, number: int, total: int) -> None:
    """Who the page belongs to (from the second on), the sentence on review, the algorithms, the page number."""
    right = PAGE_PT[0] - MARGIN_PT
    if number > 1:
        study = result.study
        top = PAGE_PT[1] - MARGIN_PT - 8
        who = "  ·  ".join(
            part for part in (display_name(study.patient_name), study.patient_id, study.accession) if part
        )
        draw_text(canvas, MARGIN_PT, top, TITLE[0], 9, INK, bold=True)
        line = lines_of(who, 8.5, 330, most=1)[0]
        draw_text(canvas, right - width_pt(line, 8.5), top, line, 8.5, MUTED)
        _line(canvas, PAGE_PT[1] - MARGIN_PT - 15)
    _line(canvas, MARGIN_PT + 24)
    draw_text(canvas, MARGIN_PT, MARGIN_PT + 11, REVIEW_SENTENCE, 8.5, INK, bold=True)
    page = f"{number} / {total}"
    draw_text(canvas, right - width_pt(page, 8.5), MARGIN_PT + 11, page, 8.5, MUTED)
    named = "; ".join(f"{a.name} {a.version}" for a in unique_algorithms(result))
    foot = f"radgate {radgate_version()}  ·  {named}  ·  {result.created_at:%Y-%m-%d %H:%M:%S %z}"
    draw_text(canvas, MARGIN_PT, MARGIN_PT - 1, lines_of(foot, 7, right - MARGIN_PT, most=1)[0], 7, MUTED)


def _line(canvas: Canvas, y: float) -> None:
    canvas.setStrokeColorRGB(*RULE)
    canvas.setLineWidth(0.6)
    canvas.line(MARGIN_PT, y, PAGE_PT[0] - MARGIN_PT, y)
