"""The direction of imports holds, and each contract notices when it does not."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("dicom_gateway", "reports", "qc", "contouring", "monai_bundles", "imaging")


def copy_of_the_tree(target: Path) -> Path:
    """The packages' Python files and the contracts, without weights and tables."""
    for package in PACKAGES:
        for source in (ROOT / package).rglob("*.py"):
            copy = target / source.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, copy)
    shutil.copy(ROOT / "pyproject.toml", target)
    return target


def lint_imports(tree: Path) -> subprocess.CompletedProcess[str]:
    """Run the contracts in `tree`, on its own packages."""
    code = (
        "import sys; sys.path.insert(0, '.'); from importlinter.cli import lint_imports_command; lint_imports_command()"
    )
    return subprocess.run(
        [sys.executable, "-P", "-c", code, "--no-cache"], cwd=tree, capture_output=True, text=True, check=False
    )


def test_imports_go_downwards() -> None:
    outcome = lint_imports(ROOT)

    assert outcome.returncode == 0, outcome.stdout


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("imaging/planted.py", "import contouring", "Imports go downwards"),
        ("contouring/planted.py", "import qc.image", "Imports go downwards"),
        ("qc/planted.py", "from monai_bundles import training", "Imports go downwards"),
        ("reports/planted.py", "import dicom_gateway.store", "Imports go downwards"),
        ("contouring/planted.py", "import torch", "Networks live in monai_bundles"),
        ("reports/planted.py", "import sqlalchemy", "Network protocols, web and database live in dicom_gateway"),
    ],
)
def test_a_planted_violation_breaks_its_contract(tmp_path: Path, module: str, line: str, contract: str) -> None:
    tree = copy_of_the_tree(tmp_path)
    (tree / module).write_text(f'"""Planted."""\n\n{line}  # noqa: F401\n')

    outcome = lint_imports(tree)

    assert outcome.returncode != 0
    assert f"{contract} BROKEN" in " ".join(outcome.stdout.split())
