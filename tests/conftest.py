"""What every test may ask for: programs and data of other people, or a clear word why they are missing.

`RADGATE_FORBID_SKIPS` (marker names with commas between them) makes a skipped test of such a marker a failure: on the
machine where everything is installed, a skip hides a test.
"""

import os
import shutil
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

__all__ = ["data_folder", "require_program"]

ROOT = Path(__file__).parents[1]

# A loaded machine is no fault of the code: examples have no deadline.
settings.register_profile("radgate", deadline=None)
settings.load_profile("radgate")


def require_program(name: str) -> str:
    """Path of a program of another project, or a skip that names it."""
    # Where Debian has servers and what only root uses; a user's PATH leaves it out.
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"]))
    if found is None:
        pytest.skip(f"needs the program {name}, which is not installed")
    return found


def data_folder(name: str) -> Path:
    """A folder of the development data ($RADGATE_TEST_DATA, else ../shared/data), or a skip that names it."""
    folder = Path(os.environ.get("RADGATE_TEST_DATA", ROOT.parent / "shared" / "data")) / name
    if not folder.is_dir():
        pytest.skip(f"needs the development data '{name}', which is not on this machine")
    return folder


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn the skip of a test that must not be skipped here into a failure."""
    report = yield
    forbidden = {name for name in os.environ.get("RADGATE_FORBID_SKIPS", "").split(",") if name}
    hit = sorted(forbidden & {mark.name for mark in item.iter_markers()})
    if report.skipped and hit and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped although {', '.join(hit)} tests must run here: {report.longrepr}"
    return report
