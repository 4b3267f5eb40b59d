"""`radgate study complete`: the word of a person reaches the running service."""

import time
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from dicom_gateway.cli.app import app
from dicom_gateway.complete import Watcher
from dicom_gateway.errors import NotReceiving, StoreUnavailable
from dicom_gateway.settings import load_settings
from dicom_gateway.store import Store, open_engine
from tests.dicom_gateway.making import STUDY, ct_slice, file_of

CONFIG = "[store]\nroot = 'store'\nlow_free = 0.0\nfloor_free = 0.0\n[complete]\nquiet_s = 600\nmax_wait_s = 900\n"


def invoke(config: Path, reason: str) -> Result:
    return CliRunner().invoke(app, ["study", "complete", STUDY, "--config", str(config), "--reason", reason])


def complete(config: Path) -> None:
    """Call the command with a clock that was set back by a minute; what it raises comes out."""
    now = time.time()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: now - 60)
        outcome = invoke(config, "scanner broke down")
    if outcome.exception is not None:
        raise outcome.exception


def test_a_study_that_waits_is_taken_as_complete(tmp_path: Path) -> None:
    config = tmp_path / "radgate.toml"
    config.write_text(CONFIG, encoding="utf-8")
    with pytest.raises(StoreUnavailable):
        complete(config)
    settings = load_settings(config)
    engine = open_engine(settings)
    told: list[tuple[str, int]] = []
    store = Store(settings.store.root, engine)
    watcher = Watcher(store, engine, settings, lambda *version: told.append(version))
    try:
        with pytest.raises(NotReceiving):
            complete(config)
        watcher.start()
        store.receive(file_of(ct_slice(1, NumberOfSeriesRelatedInstances="400")), peer="CT1")
        until = time.monotonic() + 20
        while True:  # the version opens in the watcher's thread
            try:
                complete(config)
                break
            except NotReceiving:
                assert time.monotonic() < until
                time.sleep(0.02)
        while not told:
            assert time.monotonic() < until + 10
            time.sleep(0.02)
    finally:
        watcher.stop()
        engine.dispose()
    assert told == [(STUDY, 1)]


def test_a_reason_must_be_given(tmp_path: Path) -> None:
    config = tmp_path / "radgate.toml"
    config.write_text(CONFIG, encoding="utf-8")

    outcome = invoke(config, " ")

    assert outcome.exit_code == 2
    assert "Say why" in outcome.output
