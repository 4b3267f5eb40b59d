"""The gates of continuous integration notice what they are there for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SKIPPING = """
import pytest

@pytest.mark.interop
def test_needs_a_program():
    pytest.skip("needs the program nothing")
"""


@pytest.mark.parametrize(("forbidden", "returncode"), [("interop,data", 1), ("", 0)])
def test_a_skip_that_must_not_happen_fails_the_run(tmp_path: Path, forbidden: str, returncode: int) -> None:
    (tmp_path / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text(encoding="utf-8"))
    (tmp_path / "test_planted.py").write_text(SKIPPING)

    outcome = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-c",
            str(ROOT / "pyproject.toml"),
            "--rootdir",
            str(tmp_path),
            str(tmp_path),
        ],
        env={**os.environ, "RADGATE_FORBID_SKIPS": forbidden},
        capture_output=True,
        text=True,
        check=False,
    )

    assert outcome.returncode == returncode, outcome.stdout


def test_no_file_names_a_path_of_one_machine() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    roots = tuple(f"/{name}/" for name in ("work", "root", "home"))

    hits = [
        name
        for name in tracked
        if name.endswith((".py", ".md", ".toml", ".json", ".html", ".js", ".css"))
        and any(f"{quote}{root}" in (ROOT / name).read_text(encoding="utf-8") for root in roots for quote in "\"' (`")
    ]

    assert hits == []
