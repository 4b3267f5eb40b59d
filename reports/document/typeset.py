"""Text that can be set: what the font covers, how wide it is, where it breaks, how it is shortened.

Nothing here knows markup: a patient's name is drawn as it is, character by character.
"""

import unicodedata
from functools import cache
from pathlib import Path

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont

__all__ = ["FONT", "lines_of", "printable", "width_pt"]

FONT = "RadgateSansSC"
FONT_FILE = Path(__file__).parents[1] / "fonts" / "radgate-sans-sc.ttf"

ELLIPSIS = "…"
NO_BREAK_BEFORE = frozenset("，。、；：？！）》】」％·…,.;:?!)]}%°")


@cache
def _font() -> TTFont:
    font = TTFont(FONT, str(FONT_FILE))
    pdfmetrics.registerFont(font)
    return font


def printable(text: str) -> str:
    """`text` on one line, with what the font cannot show written as its code point.

    A character of a name that is not in the font becomes "[U+20BB7]": nobody may read a name with a hole in it. The
    same holds for characters that turn or hide others.
    """
    shown = []
    for character in unicodedata.normalize("NFC", text):
        if character in "\r\n\t\u3000\u00a0":
            shown.append(" ")
        elif ord(character) in _font().face.charToGlyph:
            shown.append(character)
        else:
            shown.append(f"[U+{ord(character):04X}]")
    return "".join(shown)


def width_pt(text: str, size_pt: float) -> float:
    """Width of a printable text."""
    return float(_font().stringWidth(text, size_pt))


def lines_of(text: str, size_pt: float, limit_pt: float, most: int = 100) -> list[str]:
    """`text` broken into lines of at most `limit_pt`; after `most` lines it ends with an ellipsis.

    Breaks after spaces and between Chinese characters; a word longer than a line is broken where the line ends.
    """
    text = printable(text).strip()
    lines: list[str] = []
    while text:
        if width_pt(text, size_pt) <= limit_pt:
            lines.append(text)
            break
        end = _fitting(text, size_pt, limit_pt)
        if len(lines) == most - 1:
            end = _fitting(text, size_pt, limit_pt - width_pt(ELLIPSIS, size_pt))
            lines.append(text[:end].rstrip() + ELLIPSIS)
            break
        cut = _break_before(text, end)
        lines.append(text[:cut].rstrip())
        text = text[cut:].lstrip()
    return lines or [""]


def _fitting(text: str, size_pt: float, limit_pt: float) -> int:
    """How many characters of `text` fit; at least one."""
    used = 0.0
    for count, character in enumerate(text):
        used += width_pt(character, size_pt)
        if used > limit_pt:
            return max(count, 1)
    return len(text)


def _break_before(text: str, end: int) -> int:
    """The last place at or before `end` where a line may end; `end` itself where there is none."""
    for cut in range(end, 0, -1):
        left, right = text[cut - 1], text[cut]
        if right in NO_BREAK_BEFORE:
            continue
        if left in " /-_" or ord(left) >= 0x2E80 or ord(right) >= 0x2E80:
            return cut
    return end
