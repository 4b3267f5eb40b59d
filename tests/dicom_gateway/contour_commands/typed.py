"""Commands of `radgate contour` as they are typed, and structure sets of another maker to type them for."""

from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from typer.testing import CliRunner, Result

from dicom_gateway.cli import main
from dicom_gateway.cli.contour import app
from tests.contouring.segments import Case
from tests.contouring.structure_sets import structure_set

__all__ = ["one_line", "run", "series", "spoiled"]


def run(*arguments: object, fails: bool = False) -> Result:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    if not fails and result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def series(case: Case) -> Path:
    return case.stack.files[0].parent


def spoiled(case: Case, path: Path, *contours: Dataset, **attributes: Any) -> Path:
    """A structure set of another maker with the given contours."""
    ds = structure_set([(1, "SpinalCord", contours)], case.stack.grid, **attributes)
    ds.save_as(path, enforce_file_format=True)
    return path


def one_line(arguments: list[object], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    """What the installed command prints for an error, after the mark of radgate."""
    monkeypatch.setattr("sys.argv", ["radgate", "contour", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    told = capsys.readouterr()
    assert (ended.value.code, told.err.count("\n")) == (2, 1)
    return told.err.removeprefix("radgate: ")
