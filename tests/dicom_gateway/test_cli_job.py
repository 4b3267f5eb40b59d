"""`radgate job`: what a person says on the command line reaches the database, and refusals are sentences."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine
from typer.testing import CliRunner, Result

from dicom_gateway.cli.app import app
from dicom_gateway.errors import JobRefused
from dicom_gateway.flow import record
from dicom_gateway.flow.cancelling import begun_again, job_rows, keep_for_again
from dicom_gateway.settings import load_settings
from dicom_gateway.store import open_engine
from tests.dicom_gateway.racing import plan, race

CONFIG = "[store]\nroot = 'store'\nlow_free = 0.0\nfloor_free = 0.0\n"


JOBS = [plan("abc0" * 16, "1.2.3"), plan("abd0" * 16, "1.2.4")]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    config = tmp_path / "radgate.toml"
    config.write_text(CONFIG, encoding="utf-8")
    return config


@pytest.fixture
def engine(config: Path) -> Iterator[Engine]:
    engine = open_engine(load_settings(config))
    record.keep_jobs(engine, JOBS)
    record.job_state(engine, JOBS[0].id, "RUN")
    yield engine
    engine.dispose()


def invoke(config: Path, *words: str) -> Result:
    outcome = CliRunner().invoke(app, ["job", *words, "--config", str(config)])
    if outcome.exception is not None:
        raise outcome.exception
    return outcome


def test_a_job_is_cancelled_by_how_its_id_begins_and_the_list_says_by_whom(config: Path, engine: Engine) -> None:
    outcome = invoke(config, "cancel", "abc", "--reason", "wrong route", "--by", "王医生")

    assert "nothing of it is delivered" in outcome.output
    lines = invoke(config, "list").output
    assert "CANCELLED" in lines and "Cancelled by 王医生: wrong route" in lines and "2 jobs" in lines
    [row] = json.loads(invoke(config, "list", "--state", "cancelled", "--json").output)
    assert (row["id"], row["by"], row["why"]) == (JOBS[0].id, "王医生", "wrong route")
    assert json.loads(invoke(config, "list", "--study", "1.2.4", "--json").output)[0]["state"] == "ROUTED"


def test_a_job_is_either_cancelled_or_stored(engine: Engine) -> None:
    assert {(True, False, "CANCELLED"), (False, True, "STORING")} >= set(race(engine, 30))


def test_without_a_name_the_record_has_that_of_the_account(
    config: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "physics")

    outcome = invoke(config, "cancel", "abd", "--json")

    assert json.loads(outcome.output) == {"job": JOBS[1].id, "state": "CANCELLED"}
    assert [row.by for row in job_rows(engine, state="CANCELLED")] == ["physics"]


def test_what_is_delivered_or_ambiguous_or_unknown_is_refused_in_a_sentence(config: Path, engine: Engine) -> None:
    record.job_state(engine, JOBS[0].id, "DELIVERING")

    with pytest.raises(JobRefused, match="already being delivered; there is nothing to cancel"):
        invoke(config, "cancel", "abc")
    with pytest.raises(JobRefused, match="More than one"):
        invoke(config, "cancel", "ab")
    with pytest.raises(JobRefused, match="no such job"):
        invoke(config, "cancel", "fff")
    with pytest.raises(JobRefused, match="Only a job that was cancelled"):
        invoke(config, "again", "abc")


def test_a_cancelled_job_is_started_again(config: Path, engine: Engine) -> None:
    invoke(config, "cancel", "abc")
    keep_for_again(engine, JOBS[0].to_json(), [])

    outcome = invoke(config, "again", "abc", "--json")

    assert json.loads(outcome.output) == {"job": JOBS[0].id, "state": "ROUTED"}
    assert begun_again(engine) == [JOBS[0].id]
