"""Pages being filled from top to bottom: text, rules, tables, pictures; head and foot come when all pages are known."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO

from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from reports.document.palette import INK, MUTED, RULE, SHADE, Colour
from reports.document.typeset import FONT, lines_of, printable, width_pt

__all__ = ["BODY_PT", "HEAD_PT", "MARGIN_PT", "PAGE_PT", "SMALL_PT", "Cell", "Sheets", "draw_text"]

PAGE_PT = (595.28, 841.89)
"""A4."""

MARGIN_PT = 42.0
HEAD_PT, FOOT_PT = 24.0, 48.0
LEADING = 1.36
BODY_PT, SMALL_PT = 9.0, 7.5

SWATCH_PT = 15.0
"""Room for a colour before the text of a cell."""

BOLD_STROKE = 0.028
"""Width of the outline that makes text bold, in em: the shipped font has one weight."""


@dataclass(frozen=True)
class Cell:
    """One cell of a table: its text, of one or more lines, and how it looks."""

    text: str
    colour: Colour = INK
    bold: bool = False
    right: bool = False
    swatch: Colour | None = None


class Sheets:
    """The pages of one document; the cursor `y` runs down the current one."""

    def __init__(self) -> None:
        self.pages: list[list[Callable[[Canvas], None]]] = [[]]
        self.y = PAGE_PT[1] - MARGIN_PT

    @property
    def width(self) -> float:
        """Width between the margins."""
        return PAGE_PT[0] - 2 * MARGIN_PT

    def new_page(self) -> None:
        """Goes to the top of the next page."""
        self.pages.append([])
        self.y = PAGE_PT[1] - MARGIN_PT - HEAD_PT

    def need(self, height: float) -> None:
        """Goes to the next page unless `height` is left on this one."""
        if self.y - height < MARGIN_PT + FOOT_PT - 12:
            self.new_page()

    def text_at(
        self, x: float, y: float, text: str, size: float = BODY_PT, colour: Colour = INK, *, bold: bool = False
    ) -> None:
        """One line with its base line at `y`."""
        self.pages[-1].append(lambda canvas: draw_text(canvas, x, y, text, size, colour, bold=bold))

    def rectangle(self, x: float, y: float, width: float, height: float, colour: Colour, radius: float = 0) -> None:
        """A filled rectangle with its lower left corner at (x, y)."""

        def draw(canvas: Canvas) -> None:
            canvas.setFillColorRGB(*colour)
            if radius:
                canvas.roundRect(x, y, width, height, radius, stroke=0, fill=1)
            else:
                canvas.rect(x, y, width, height, stroke=0, fill=1)

        self.pages[-1].append(draw)

    def paragraph(
        self, text: str, size: float = BODY_PT, colour: Colour = INK, *, bold: bool = False, most: int = 100
    ) -> None:
        """A text over the whole width, broken into lines and onto pages."""
        for line in lines_of(text, size, self.width, most):
            self.need(size * LEADING)
            self.y -= size * LEADING
            self.text_at(MARGIN_PT, self.y, line, size, colour, bold=bold)

    def heading(self, zh: str, en: str) -> None:
        """The title of a section, kept together with what follows."""
        self.need(70)
        self.y -= 25
        self.text_at(MARGIN_PT, self.y, zh, 11.5, bold=True)
        self.text_at(MARGIN_PT + width_pt(zh, 11.5) + 7, self.y, en, 9.5, MUTED)
        self.y -= 6

    def table(self, heads: Sequence[Cell], rows: Sequence[Sequence[Cell]], shares: Sequence[float]) -> None:
        """A table with column widths in the ratio of `shares`; a row is never split, the head repeats on each page."""
        total = sum(shares)
        widths = [self.width * share / total for share in shares]
        self._row(heads, widths, head=True)
        for row in rows:
            if self.y - _row_height(row, widths, BODY_PT) < MARGIN_PT + FOOT_PT - 12:
                self.new_page()
                self._row(heads, widths, head=True)
            self._row(row, widths)

    def picture(self, x: float, top: float, width: float, height: float, png: bytes) -> None:
        """A picture with its upper left corner at (x, top)."""
        self.pages[-1].append(
            lambda canvas: canvas.drawImage(ImageReader(BytesIO(png)), x, top - height, width, height)
        )

    def _row(self, cells: Sequence[Cell], widths: Sequence[float], *, head: bool = False) -> None:
        size = SMALL_PT if head else BODY_PT
        height = _row_height(cells, widths, size)
        top, x = self.y, MARGIN_PT
        self.y -= height
        if head:
            self.rectangle(MARGIN_PT, self.y, self.width, height, SHADE)
        for cell, width in zip(cells, widths, strict=True):
            indent = SWATCH_PT if cell.swatch else 0.0
            lines = _cell_lines(cell, size, width)
            for number, line in enumerate(lines):
                y = top - 4 - size * 1.02 - number * size * 1.26
                left = x + width - 4 - width_pt(line, size) if cell.right else x + 4 + indent
                self.text_at(left, y, line, size, MUTED if head else cell.colour, bold=cell.bold)
            if cell.swatch:
                self.rectangle(x + 4, top - 4 - size * 1.05, 10, 8, cell.swatch, 1.5)
            x += width
        self.rectangle(MARGIN_PT, self.y, self.width, 0.5, RULE)


def draw_text(
    canvas: Canvas, x: float, y: float, text: str, size: float, colour: Colour, *, bold: bool = False
) -> None:
    """One line of printable text; bold by an outline of the same colour."""
    drawn = canvas.beginText(x, y)
    drawn.setFont(FONT, size)
    drawn.setFillColorRGB(*colour)
    if bold:
        drawn.setStrokeColorRGB(*colour)
        canvas.setLineWidth(size * BOLD_STROKE)
    drawn.setTextRenderMode(2 if bold else 0)
    drawn.textOut(printable(text))
    drawn.setTextRenderMode(0)
    canvas.drawText(drawn)


def _row_height(cells: Sequence[Cell], widths: Sequence[float], size: float) -> float:
    """Height of the tallest cell with its padding."""
    return max(len(_cell_lines(c, size, w)) for c, w in zip(cells, widths, strict=True)) * size * 1.26 + 6.5


def _cell_lines(cell: Cell, size: float, width: float) -> list[str]:
    """The lines of a cell: its own, broken where they are too long."""
    limit = width - 8 - (SWATCH_PT if cell.swatch else 0.0)
    return [line for text in cell.text.split("\n") for line in lines_of(text, size, limit)]
