"""What is judged is the text that MONAI evaluates: the replacements are compared with MONAI's own."""

import copy
import random
from typing import Any

import pytest

from monai_bundles.adding.replacing import expanded, is_reference, with_references
from monai_bundles.errors import FileMacro

PIECES = (
    "@",
    "%",
    "#",
    "::",
    "a",
    "b",
    "_c1",
    "'",
    "[0]",
    " + ",
    "$",
    "@a",
    "@a::b",
    "@#a",
    "%##",
    "(x)",
    ".to(@b)",
    " ",
    "\n",
    ".json",
    "::b",
)


def texts(seed: int, count: int) -> list[str]:
    """Texts out of pieces that mean something to MONAI."""
    rng = random.Random(seed)
    return ["".join(rng.choices(PIECES, k=rng.randint(1, 9))) for _ in range(count)]


def test_references_are_replaced_as_monai_replaces_them() -> None:
    from monai.bundle import ReferenceResolver

    class Every(dict[str, int]):
        def __contains__(self, key: object) -> bool:
            return True

        def __getitem__(self, key: str) -> int:
            return 1

    for text in texts(1, 4000):
        expression = f"${text}"
        assert with_references(expression) == ReferenceResolver.update_refs_pattern(expression, Every())
        plain = text if not text.startswith("$") else text[1:]
        found = list(ReferenceResolver.match_refs_pattern(plain)) if not plain.startswith("$") else []
        if plain and not plain.startswith("$"):
            assert is_reference(plain) == (found[0] if found else None), plain


def test_relative_ids_and_macros_are_replaced_as_monai_replaces_them() -> None:
    from monai.bundle import ConfigParser

    compared = 0
    values = iter(texts(2, 4000))
    for first in values:
        config: dict[str, Any] = {
            "a": {"b": first, "_c1": [next(values), {"x": next(values)}], "key (y)": next(values)},
            "b": next(values),
            "x": 1,
        }
        parser = ConfigParser(copy.deepcopy(config))
        try:
            parser.resolve_macro_and_relative_ids()
        except (KeyError, ValueError, IndexError, RecursionError, TypeError, OSError):
            with pytest.raises((FileMacro, RecursionError)):
                expanded(config)
            continue
        compared += 1
        assert expanded(config) == parser.get()
    assert compared > 100


@pytest.mark.parametrize("text", ["%other.json::net", "%/etc/x.yaml", "%../x.YML#a", "%nowhere", "%a::9", "%\nx.json"])
def test_macros_with_a_file_or_without_an_aim_are_told(text: str) -> None:
    with pytest.raises(FileMacro):
        expanded({"a": [1, 2], "m": text})
