"""One case and its objects for all tests of reports that only read them."""

import pytest

from reports import EncodedObject, encode_all
from tests.reports.making import Case, make_case

__all__ = ["case", "objects"]


@pytest.fixture(scope="session")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """A result with findings on an oblique series of a patient with a Chinese name."""
    return make_case(tmp_path_factory.mktemp("series"))


@pytest.fixture(scope="session")
def objects(case: Case) -> dict[str, EncodedObject]:
    """Everything that is sent for the case, by outlet."""
    return {o.outlet: o for o in encode_all(case.result, case.stack, case.volume)}
