"""What every test may ask for: programs and data of other people, or a clear word why they are missing."""

import os
import shutil
from pathlib import Path

import pytest

__all__ = ["data_folder", "require_program"]

ROOT = Path(__file__).parents[1]


def require_program(name: str) -> str:
    """Path of a program of another project, or a skip that names it."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"needs the program {name}, which is not installed")
    return found


def data_folder(name: str) -> Path:
    """A folder of the development data ($RADGATE_TEST_DATA, else ../shared/data), or a skip that names it."""
    folder = Path(os.environ.get("RADGATE_TEST_DATA", ROOT.parent / "shared" / "data")) / name
    if not folder.is_dir():
        pytest.skip(f"needs the development data '{name}', which is not on this machine")
    return folder
