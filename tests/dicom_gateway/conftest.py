"""A fresh store for each test of the gateway."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from dicom_gateway.settings import Settings
from dicom_gateway.store import Store, open_engine
from tests.dicom_gateway.making import gateway_settings


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
