"""What `make demo` installs must be had anywhere: every pinned version is one that the public index has."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def unpinned(text: str) -> list[str]:
    """Lines that are no plain `name==version`; a local build (`+cpu`) is on no public index."""
    return [line for line in text.splitlines() if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9A-Za-z.!]+", line)]


def test_every_constraint_is_a_version_of_the_public_index() -> None:
    assert unpinned((ROOT / "constraints.txt").read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("line", ["torch==2.13.0+cpu", "torch>=2.13", "torch @ file:torch.whl", "torch"])
def test_a_local_or_loose_version_is_found(line: str) -> None:
    assert unpinned(f"numpy==2.1.0\n{line}\n") == [line]
