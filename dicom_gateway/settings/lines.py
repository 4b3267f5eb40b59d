"""The line of every key in a TOML text, which the standard library's reader does not tell.

The text must already have been read by `tomllib`: this walk trusts the syntax and only follows it.
"""

import re

__all__ = ["key_lines"]

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SPACE = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SCALAR = re.compile(r"[^,\]}\n#]*")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}|'
    r"'''.*?'{3,5}|"
    r'"(?:[^"\\]|\\.)*"|'
    r"'[^']*'",
    re.DOTALL,
)


def key_lines(text: str) -> dict[str, int]:
    """Line, from 1, of each dotted key such as ``listen.port`` or ``route[0].when.all[2].tag``."""
    walk = _Walk(text)
    walk.document()
    return walk.lines


class _Walk:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[str, int] = {}
        self.arrays: dict[str, int] = {}

    def document(self) -> None:
        prefix = ""
        while self._skip() < len(self.text):
            if self.text.startswith("[[", self.at):
                prefix = self._header(2)
            elif self.text[self.at] == "[":
                prefix = self._header(1)
            else:
                self._pair(prefix)

    def _skip(self) -> int:
        found = _SPACE.match(self.text, self.at)
        self.at = found.end() if found else self.at
        return self.at

    def _header(self, brackets: int) -> str:
        """Path of a table header; an array's header counts up, and inner tables belong to its last element."""
        start = self.at
        self.at += brackets
        path = ""
        parts = self._key()
        for number, part in enumerate(parts):
            path = f"{path}.{part}" if path else part
            last = number == len(parts) - 1
            if last and brackets == 2:
                self.arrays[path] = self.arrays.get(path, -1) + 1
            if path in self.arrays:
                self._note(path, start)
                path = f"{path}[{self.arrays[path]}]"
        self._note(path, start)
        self._skip()
        self.at += brackets
        return path

    def _key(self) -> list[str]:
        parts = []
        while True:
            self._skip()
            quoted = _STRING.match(self.text, self.at)
            bare = _BARE.match(self.text, self.at)
            if quoted:
                parts.append(quoted.group()[1:-1])
            elif bare:
                parts.append(bare.group())
            else:
                self.at += 1  # not TOML; tomllib refused it before
                return parts
            self.at = (quoted or bare).end()  # type: ignore[union-attr]
            self._skip()
            if self.text[self.at : self.at + 1] != ".":
                return parts
            self.at += 1

    def _pair(self, prefix: str) -> None:
        start = self._skip()
        path = prefix
        for part in self._key():
            path = f"{path}.{part}" if path else part
            self._note(path, start)
        self._skip()
        self.at += 1  # the equals sign
        self._value(path)

    def _value(self, path: str) -> None:
        self._skip()
        head = self.text[self.at : self.at + 1]
        if head == "[":
            self._list(path)
        elif head == "{":
            self._inline_table(path)
        else:
            found = _STRING.match(self.text, self.at) or _SCALAR.match(self.text, self.at)
            self.at = max(found.end(), self.at + 1) if found else self.at + 1

    def _list(self, path: str) -> None:
        self.at += 1
        number = 0
        while self._skip() < len(self.text) and self.text[self.at] != "]":
            item = f"{path}[{number}]"
            self._note(item, self.at)
            self._value(item)
            number += 1
            self._comma()
        self.at += 1

    def _inline_table(self, path: str) -> None:
        self.at += 1
        while self._skip() < len(self.text) and self.text[self.at] != "}":
            self._pair(path)
            self._comma()
        self.at += 1

    def _comma(self) -> None:
        self._skip()
        if self.text[self.at : self.at + 1] == ",":
            self.at += 1

    def _note(self, path: str, at: int) -> None:
        self.lines.setdefault(path, self.text.count("\n", 0, at) + 1)
