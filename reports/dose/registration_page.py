"""The pages of the dose report on a computed registration: its picture, and how good it is in each structure."""

from io import BytesIO

from reports.document.palette import INK, MUTED, Colour
from reports.document.sheets import BODY_PT, MARGIN_PT, SMALL_PT, Cell, Sheets
from reports.dose.registration import NOT_REVIEWED, PICTURE_WORDS, RegistrationReport, registration_notes

__all__ = ["registration_page"]

FOLDED: Colour = (0.72, 0.10, 0.08)
HIGHEST_PT = 345.0
"""Height of a picture, so that its table begins on the same page."""


def registration_page(sheets: Sheets, report: RegistrationReport) -> None:
    """A page of its own for one registration, and more where it has many structures."""
    sheets.new_page()
    sheets.heading("配准", f"Registration · {report.letter}")
    zh, en = report.kind
    sheets.y -= 2
    sheets.paragraph(f"{zh} · {en}", BODY_PT)
    sheets.paragraph(" · ".join(NOT_REVIEWED), BODY_PT, bold=True)
    sheets.paragraph(f"往返 there and back {report.there_and_back.text} mm", BODY_PT)
    if report.picture_png:
        _picture(sheets, report.picture_png)
    sheets.y -= 8
    heads = ("结构 Structure", "重叠 Dice", "最小雅可比 Smallest Jacobian")
    rows = [
        [
            Cell(" ".join(dict.fromkeys(row.words)), bold=not row.structure),
            Cell(row.dice.text, INK if row.dice.value is not None else MUTED, right=True),
            Cell(
                f"{row.jacobian.text} 折叠 folds" if row.folds else row.jacobian.text,
                FOLDED if row.folds else INK if row.jacobian.value is not None else MUTED,
                right=True,
            ),
        ]
        for row in report.rows
    ]
    sheets.table([Cell(t, right=n > 0) for n, t in enumerate(heads)], rows, (46, 20, 34))
    sheets.y -= 3
    for note in registration_notes(report):
        for sentence in note:
            sheets.paragraph(sentence, SMALL_PT, MUTED)


def _picture(sheets: Sheets, png: bytes) -> None:
    """The picture, as wide as the page where its height allows."""
    from PIL import Image

    with Image.open(BytesIO(png)) as image:
        columns, rows = image.size
    scale = min(sheets.width / columns, HIGHEST_PT / rows)
    sheets.need(rows * scale + 8)
    sheets.y -= 8
    sheets.picture(MARGIN_PT, sheets.y, columns * scale, rows * scale, png)
    sheets.y -= rows * scale + 2
    for sentence in PICTURE_WORDS:
        sheets.paragraph(sentence, SMALL_PT, MUTED)
