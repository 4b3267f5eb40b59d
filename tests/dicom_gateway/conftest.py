"""A fresh store for each test of the gateway, and a filled site for those of its pages."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from dicom_gateway.settings import Settings
from dicom_gateway.store import Store, open_engine
from tests.dicom_gateway.making import gateway_settings
from tests.dicom_gateway.web_site import FilledSite, copied_site, filled_site


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return gateway_settings(tmp_path)


@pytest.fixture
def engine(settings: Settings) -> Iterator[Engine]:
    engine = open_engine(settings)
    yield engine
    engine.dispose()


@pytest.fixture
def store(settings: Settings, engine: Engine) -> Store:
    return Store(settings.store.root, engine)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> FilledSite:
    with filled_site(tmp_path_factory.mktemp("filled") / "site") as site:
        return site


@pytest.fixture
def site(original: FilledSite, tmp_path: Path) -> Iterator[FilledSite]:
    with copied_site(original, tmp_path / "site") as copy:
        yield copy
