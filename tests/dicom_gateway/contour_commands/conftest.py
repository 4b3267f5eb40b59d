"""A series, and a structure set that radgate wrote on it."""

from pathlib import Path

import pytest

from contouring import write_rtstruct
from tests.contouring.segments import ALGORITHM, MADE_AT, Case, make_case


@pytest.fixture(scope="session")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return make_case(tmp_path_factory.mktemp("series"))


@pytest.fixture
def structures(case: Case, tmp_path: Path) -> Path:
    path = tmp_path / "rs.dcm"
    path.write_bytes(write_rtstruct(case.rois, case.stack, made_at=MADE_AT, algorithm=ALGORITHM).encoded)
    return path
