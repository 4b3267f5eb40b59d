"""A package can be imported in a notebook without loading networks or servers."""

import json
import subprocess
import sys

import pytest

HEAVY = ("torch", "monai", "matplotlib", "fastapi", "uvicorn", "pynetdicom", "dbos", "sqlalchemy", "typer")


def modules_loaded_by(statement: str) -> set[str]:
    """Names of the top-level modules in a fresh interpreter after `statement`."""
    code = f"{statement}\nimport json, sys\nprint(json.dumps(sorted({{m.split('.')[0] for m in sys.modules}})))"
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(outcome.stdout.splitlines()[-1]))


@pytest.mark.parametrize("package", ["imaging", "qc.image", "contouring", "monai_bundles", "reports"])
def test_a_library_loads_no_network_and_no_server(package: str) -> None:
    assert not modules_loaded_by(f"import {package}") & set(HEAVY)


def test_the_commands_load_no_network() -> None:
    assert not modules_loaded_by("import dicom_gateway.cli") & {"torch", "monai", "pynetdicom", "dbos", "fastapi"}


def test_the_probe_sees_what_is_loaded() -> None:
    assert "sqlalchemy" in modules_loaded_by("import sqlalchemy")
