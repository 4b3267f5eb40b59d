"""The manual names what is there: public names of each package, and what its Python examples import and call."""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INTERFACES = ROOT / "docs" / "interfaces.md"
PACKAGES = ("imaging", "qc.image", "contouring", "contouring.dose", "monai_bundles", "reports")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def listed(page: str) -> dict[str, set[str]]:
    """Names that the page lists for each package."""
    parts = re.split(r"^## `([a-z_.]+)`$", page, flags=re.MULTILINE)
    return {
        name: set(re.findall(r"^\* `(\w+)`", text, flags=re.MULTILINE))
        for name, text in zip(parts[1::2], parts[2::2], strict=True)
    }


def differences(page: str) -> list[str]:
    """A sentence for each name that the page and a package do not share."""
    found = listed(page)
    wrong = []
    for name in PACKAGES:
        public = set(getattr(importlib.import_module(name), "__all__", ()))
        wrong += [f"{name}.{n} is public; add it to docs/interfaces.md" for n in public - found.get(name, set())]
        wrong += [
            f"{name}.{n} is not public; remove it from docs/interfaces.md" for n in found.get(name, set()) - public
        ]
    return sorted(wrong)


def blocks(page: str) -> list[str]:
    """Python examples of a page."""
    return re.findall(r"^```python\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)


def unresolved(block: str) -> Iterator[str]:
    """Names that an example imports, or lists below a comment with a module's name, and that are not there."""
    try:
        tree = ast.parse(block)
    except SyntaxError:
        module = ""
        for line in block.splitlines():
            if match := re.match(r"# ([a-z_.]+)$", line):
                module = match[1]
            for name in re.findall(r"(?:^|; )(\w+)\(", line.partition("#")[0]) if module else ():
                if not has(module, name):
                    yield f"{module}.{name}"
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{a.name}" for a in node.names if not has(node.module, a.name))
        elif isinstance(node, ast.Import):
            yield from (a.name for a in node.names if not has(a.name, ""))


def has(module: str, name: str) -> bool:
    """Whether a module, and a name in it, can be imported."""
    try:
        found = importlib.import_module(module)
    except ImportError:
        return False
    return not name or hasattr(found, name) or has(f"{module}.{name}", "")


def test_the_manual_lists_exactly_the_public_names() -> None:
    assert differences(INTERFACES.read_text(encoding="utf-8")) == []


def test_a_name_too_few_and_a_name_too_many_are_found() -> None:
    page = INTERFACES.read_text(encoding="utf-8").replace("* `encode_all`", "* `encode_some`")

    assert differences(page) == [
        "reports.encode_all is public; add it to docs/interfaces.md",
        "reports.encode_some is not public; remove it from docs/interfaces.md",
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_the_examples_name_what_is_there(page: Path) -> None:
    found = [name for block in blocks(page.read_text(encoding="utf-8")) for name in unresolved(block)]

    assert found == []


def test_examples_are_found_and_a_wrong_name_in_one_is_seen() -> None:
    assert sum(len(blocks(page.read_text(encoding="utf-8"))) for page in PAGES) >= 4

    assert list(unresolved("from reports import encode_all, encode_none")) == ["reports.encode_none"]
    assert list(unresolved("import qc.nothing")) == ["qc.nothing"]
    assert list(unresolved("# imaging.series\nscan(paths) -> Scan\nscam(paths) -> Scan")) == ["imaging.series.scam"]
