"""The shipped font: it covers what the house writes, and says where it comes from."""

from pathlib import Path

import pytest
from fontTools.ttLib import TTFont

import reports
from reports.document.typeset import FONT_FILE, lines_of, printable, width_pt
from reports.fonts.make_subset import covered_characters


@pytest.fixture(scope="module")
def covered() -> set[int]:
    with TTFont(FONT_FILE, lazy=True) as font:
        return set(font.getBestCmap())


def test_all_characters_of_gb2312_and_latin_are_there(covered: set[int]) -> None:
    chinese = {
        ord(character)
        for high in range(0xB0, 0xF8)
        for low in range(0xA1, 0xFF)
        for character in bytes((high, low)).decode("gb2312", errors="ignore")
    }

    assert len(chinese) == 6763
    assert chinese | set(range(0x20, 0x7F)) <= covered
    assert covered_characters() <= covered


@pytest.mark.parametrize("folder", ["reports", "qc", "contouring"])
def test_all_chinese_words_of_the_house_are_there(covered: set[int], folder: str) -> None:
    root = Path(reports.__file__).parents[1] / folder
    files = [p for kind in ("*.py", "*.toml", "*.csv") for p in root.rglob(kind)]

    text = "".join(p.read_text(encoding="utf-8") for p in files if "fonts" not in p.parts)

    missing = {c for c in text if ord(c) >= 0x2E80 and ord(c) not in covered}
    assert not missing


def test_the_font_is_truetype_small_and_licensed() -> None:
    licence = FONT_FILE.with_name("LICENSE-OFL.txt").read_text(encoding="utf-8")

    with TTFont(FONT_FILE, lazy=True) as font:
        assert "glyf" in font
        assert FONT_FILE.stat().st_size < 3_000_000
    assert "SIL OPEN FONT LICENSE Version 1.1" in licence


def test_what_the_font_lacks_is_written_as_its_code_point() -> None:
    assert printable("张\U00020bb7三") == "张[U+20BB7]三"
    assert printable("a\u202eb") == "a[U+202E]b"
    assert printable("a\tb\nc") == "a b c"


def test_lines_fit_their_width_and_lose_no_character() -> None:
    text = "左侧体表超出重建视野，Left skin outside the reconstructed field " + "x" * 90

    lines = lines_of(text, 9, 120)

    assert all(width_pt(line, 9) <= 120 for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert not any(line[0] in "，。" for line in lines)


def test_a_text_with_too_many_lines_ends_with_an_ellipsis() -> None:
    lines = lines_of("word " * 200, 9, 100, most=2)

    assert len(lines) == 2
    assert lines[1].endswith("…")
    assert width_pt(lines[1], 9) <= 100
