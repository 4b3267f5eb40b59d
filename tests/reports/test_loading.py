"""A program with threads loads the encoders before: afterwards nothing that they import is new."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENCODERS = [
    *sorted((ROOT / "reports" / "encode").glob("*.py")),
    *sorted((ROOT / "reports" / "quality").glob("*.py")),
    *sorted((ROOT / "contouring").glob("seg_[wgs]*.py")),
    *sorted((ROOT / "contouring").glob("rtstruct_[whbi]*.py")),
    ROOT / "reports" / "model.py",
]


def imported_when_run(text: str) -> set[str]:
    """Modules that functions of a file import."""
    functions = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef)]
    found = {n for function in functions for n in ast.walk(function) if isinstance(n, ast.Import | ast.ImportFrom)}
    names = {n.module or "" for n in found if isinstance(n, ast.ImportFrom)}
    return names | {alias.name for n in found if isinstance(n, ast.Import) for alias in n.names}


def missing_after(statement: str) -> list[str]:
    """Modules that encoders import when they run and that are not there after a statement in a fresh interpreter."""
    wanted = sorted(set().union(*(imported_when_run(f.read_text(encoding="utf-8")) for f in ENCODERS)))
    code = f"{statement}\nimport sys\nprint('\\n'.join(n for n in {wanted!r} if n not in sys.modules))"
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return outcome.stdout.split()


def test_nothing_that_an_encoder_imports_is_left_for_later() -> None:
    assert missing_after("from reports.encode.loading import load_encoders; load_encoders()") == []


def test_without_loading_there_is_something_left() -> None:
    assert {"highdicom.seg", "highdicom.sr"} <= set(missing_after("import reports"))


def test_the_service_loads_them_before_anything_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from dicom_gateway import service
    from tests.dicom_gateway.making import gateway_settings

    def told() -> None:
        raise InterruptedError("encoders")

    monkeypatch.setattr(service, "load_encoders", told)
    begun = []
    monkeypatch.setattr(service, "open_engine", lambda settings: begun.append("engine"))

    with pytest.raises(InterruptedError):
        service.Service(gateway_settings(tmp_path)).start()
    assert not begun
