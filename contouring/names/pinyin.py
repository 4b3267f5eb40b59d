"""First letters of the pinyin of Chinese characters, by which structures are abbreviated in many planning systems."""

__all__ = ["initials"]

FIRST_OF_LETTER = (
    (0xB0A1, "a"), (0xB0C5, "b"), (0xB2C1, "c"), (0xB4EE, "d"), (0xB6EA, "e"), (0xB7A2, "f"), (0xB8C1, "g"),
    (0xB9FE, "h"), (0xBBF7, "j"), (0xBFA6, "k"), (0xC0AC, "l"), (0xC2E8, "m"), (0xC4C3, "n"), (0xC5B6, "o"),
    (0xC5BE, "p"), (0xC6DA, "q"), (0xC8BB, "r"), (0xC8F6, "s"), (0xCBFA, "t"), (0xCDDA, "w"), (0xCEF4, "x"),
    (0xD1B9, "y"), (0xD4D1, "z"),
)  # fmt: skip
"""The first level of GB 2312 is in the order of pinyin: the code at which each first letter begins."""

LAST_OF_FIRST_LEVEL = 0xD7F9

SECOND_LEVEL = dict(zip("睾窦肱胛胫胱腓腭膈颌颞骶髂髋", "gdgjjgfeghndqk", strict=True))
"""Characters of anatomy in the second level, which is in the order of strokes."""


def initials(text: str) -> str:
    """First letters of the Chinese characters of a text, other letters and digits as they are, lower case.

    Examples
    --------
    >>> initials("左腮腺")
    'zsx'
    """
    return "".join(_initial(character) for character in text if not character.isspace()).lower()


def _initial(character: str) -> str:
    if character.isascii():
        return character if character.isalnum() else ""
    if character in SECOND_LEVEL:
        return SECOND_LEVEL[character]
    try:
        high, low = character.encode("gb2312")
    except (UnicodeEncodeError, ValueError):
        return ""
    code = high << 8 | low
    if not FIRST_OF_LETTER[0][0] <= code <= LAST_OF_FIRST_LEVEL:
        return ""
    return [letter for first, letter in FIRST_OF_LETTER if first <= code][-1]
