"""What was judged, as a table and over time: exports without identity, trends with audited baselines, their pages."""

import csv
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from sqlalchemy import Engine, select, update
from typer.testing import CliRunner

from dicom_gateway.cli.app import app
from dicom_gateway.errors import OutputRefused, UnknownTrend
from dicom_gateway.quality.export import COLUMNS, write_export
from dicom_gateway.quality.history import groups, rebaseline, trend_of, trends_of
from dicom_gateway.quality.record import keep_judgement
from dicom_gateway.settings import load_settings
from dicom_gateway.store import Store, open_engine, tables
from dicom_gateway.store.quality_tables import judged_series
from dicom_gateway.web import create_app
from qc.errors import TooFewSeries
from qc.image.profile import load_profiles
from tests.dicom_gateway.web_server import serving

DAY_S = 86400.0
BEGIN_S = 1_780_000_000.0
JUMP_AT = 30


def answer(number: int, value: float, *, provisional: bool = False) -> dict[str, Any]:
    """What the worker would say of the series of one day."""
    check = {
        "check_id": "ct.noise.gni",
        "check_version": "1.0.0",
        "grade": "PASS",
        "value": value,
        "unit": "[hnsf'U]",
        "uncertainty": 0.2,
        "limits": {"role": "gate", "warn": [0, 25], "fail": [0, 40]},
        "reason": "",
        "where": [],
        "cause": None,
        "action": None,
    }
    return {
        "series": f"1.2.826.0.{number}",
        "planes": 90,
        "pictures": {},
        "source": {
            "study_uid": f"1.2.826.1.{number}",
            "modality": "CT",
            "station": "CTSIM1",
            "serial": "4711",
            "time": BEGIN_S + number * DAY_S,
        },
        "verdict": {
            "series_instance_uid": f"1.2.826.0.{number}",
            "profile_id": "ct_rt_sim",
            "profile_sha256": "a" * 64,
            "grade": "PASS",
            "provisional": provisional,
            "results": [check],
            "measurements": [{"check_id": "ct.state", "value": "matched", "unit": "1", "uncertainty": None}],
        },
    }


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A site whose noise jumps after thirty days."""
    path = tmp_path / "radgate.toml"
    path.write_text('[store]\nroot = "store"\nlow_free = 0.0\nfloor_free = 0.0\n', encoding="utf-8")
    engine = open_engine(load_settings(path))
    rng = np.random.default_rng(4)
    for number in range(40):
        keep_judgement(engine, answer(number, float(rng.normal(8.0 if number < JUMP_AT else 12.0, 0.4))))
    keep_judgement(engine, answer(99, 500.0, provisional=True))
    engine.dispose()
    return path


@pytest.fixture
def engine(config: Path) -> Iterator[Engine]:
    engine = open_engine(load_settings(config))
    yield engine
    engine.dispose()


def test_a_jump_is_an_alarm_with_its_size_and_day_and_provisional_numbers_are_no_points(engine: Engine) -> None:
    with engine.connect() as connection:
        found = trend_of(connection, "ct.noise.gni", "CTSIM1", "ct_rt_sim")
        assert groups(connection) == [("CTSIM1", "ct_rt_sim", 40)]

    assert len(found.chart.points) == 40
    assert found.chart.alarms()[-1].change == pytest.approx(4.0, abs=1.0)
    assert any(s.index == JUMP_AT for s in found.chart.alarms())


def test_a_new_baseline_ends_the_alarm_and_stands_in_the_audit_trail(engine: Engine) -> None:
    for number in range(40, 60):
        keep_judgement(engine, answer(number, 12.0 + 0.1 * (number % 5)))
    with pytest.raises(UnknownTrend, match="reason"):
        rebaseline(engine, "ct.noise.gni", "CTSIM1", "ct_rt_sim", since_s=0.0, reason=" ", who="物理师")

    since = BEGIN_S + (JUMP_AT - 0.5) * DAY_S
    rebaseline(engine, "ct.noise.gni", "CTSIM1", "ct_rt_sim", since_s=since, reason="更换球管", who="物理师")

    with engine.connect() as connection:
        [found] = trends_of(connection, "CTSIM1", "ct_rt_sim")
        events = [e for e in connection.execute(select(tables.event)) if e.kind == "quality_baseline"]
    assert found.chart.alarms() == () and found.reason == "更换球管"
    assert found.chart.baseline is not None and found.chart.baseline.centre == pytest.approx(12.1, abs=0.3)
    assert events[0].detail["by"] == "物理师"


def test_an_unknown_trend_is_one_sentence(engine: Engine) -> None:
    with engine.connect() as connection, pytest.raises(UnknownTrend, match="no points"):
        trend_of(connection, "ct.noise.gni", "CTSIM9", "ct_rt_sim")


def test_the_table_has_a_row_for_each_check_and_no_identity(engine: Engine, tmp_path: Path) -> None:
    with engine.connect() as connection:
        count = write_export(connection, tmp_path / "out.csv")

    text = (tmp_path / "out.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    assert count == len(rows) == 80
    assert tuple(rows[0]) == COLUMNS
    assert rows[0]["check_id"] == "ct.noise.gni" and float(rows[0]["value"]) > 5
    assert rows[1]["state"] == "matched" and rows[1]["value"] == ""
    assert "1.2.826" not in text


def test_parquet_is_typed_and_equal_to_csv(engine: Engine, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow")
    with engine.connect() as connection:
        write_export(connection, tmp_path / "out.parquet")

    table = parquet.read_table(tmp_path / "out.parquet")
    assert table.num_rows == 80 and table.column_names == list(COLUMNS)
    assert {str(table.schema.field(n).type) for n in ("value", "planes", "rejected")} == {"double", "int64", "bool"}


def test_another_ending_is_refused(engine: Engine, tmp_path: Path) -> None:
    with engine.connect() as connection, pytest.raises(OutputRefused, match=r"csv or \.parquet"):
        write_export(connection, tmp_path / "out.xlsx")


def test_the_command_line_exports_and_tells_the_trend_by_its_exit_code(config: Path, tmp_path: Path) -> None:
    run = CliRunner()

    exported = run.invoke(app, ["qc", "export", str(tmp_path / "a.csv"), "--config", str(config)])
    alarmed = run.invoke(app, ["qc", "trend", "ct.noise.gni", "--station", "CTSIM1", "--config", str(config)])
    asked = ["qc", "trend", "ct.noise.gni", "--station", "CTSIM1", "--json", "--config", str(config)]
    as_json = json.loads(run.invoke(app, asked).stdout)

    assert (exported.exit_code, exported.stdout) == (0, "80 rows\n")
    assert alarmed.exit_code == 11
    assert "since" in alarmed.stdout and "baseline 8" in alarmed.stdout
    assert len(as_json[0]["points"]) == 40


def test_the_command_line_writes_limits_from_fifty_accepted_series(
    config: Path, engine: Engine, tmp_path: Path
) -> None:
    run = CliRunner()
    made = tmp_path / "site_sim1.toml"
    asked = ["qc", "limits", str(made), "--station", "CTSIM1", "--profile", "ct_rt_sim", "--config", str(config)]
    refused = run.invoke(app, asked)
    for number in range(40, 70):
        got = answer(number, 8.0)
        got["verdict"]["results"][0]["check_id"] = "ct.sharpness.f50"
        keep_judgement(engine, got)
    for number in range(100, 160):
        got = answer(number, 0.2 + 0.001 * number)
        got["verdict"]["results"][0]["check_id"] = "ct.sharpness.f50"
        keep_judgement(engine, got)
    with engine.begin() as connection:
        bad = [f"1.2.826.0.{number}" for number in range(40, 70)]
        connection.execute(update(judged_series).where(judged_series.c.series_uid.in_(bad)).values(rejected=1.0))

    done = run.invoke(app, asked)
    again = run.invoke(app, asked)

    assert isinstance(refused.exception, TooFewSeries)
    assert done.exit_code == 0
    limits = load_profiles(made)["site_sim1"].limits["ct.sharpness.f50"]
    assert limits.warn is not None and limits.warn[1] < 1  # the thirty rejected ones, of 8, are left out
    assert isinstance(again.exception, OutputRefused)


def test_a_warning_without_a_finding_names_the_required_check_that_could_not_be_judged(
    config: Path, engine: Engine
) -> None:
    got = answer(1000, 0.0)
    got["source"]["time"] = time.time()
    check = {**got["verdict"]["results"][0], "grade": "NOT_EVALUABLE", "value": None, "reason": "no_region"}
    got["verdict"].update(grade="WARN", required=["ct.noise.gni"], results=[check])
    keep_judgement(engine, got)
    settings = load_settings(config)
    app_ = create_app(settings, engine, Store(settings.store.root, engine))
    with serving(app_) as address, httpx.Client(base_url=address) as client:
        texts = [client.get(path).text for path in ("/quality", "/quality/series/1.2.826.0.1000")]
        clean = client.get("/quality/series/1.2.826.0.7").text

    assert ["必需项目无法评估" in text for text in texts] == [True, True]
    assert "未找到可评价区域" in texts[1]
    assert "必需项目无法评估" not in clean


def test_the_pages_show_the_trend_and_take_a_new_baseline(config: Path, engine: Engine) -> None:
    settings = load_settings(config)
    app_ = create_app(settings, engine, Store(settings.store.root, engine))
    with serving(app_) as address, httpx.Client(base_url=address) as client:
        page = client.get("/quality/trends").text
        proof = page.split('name="proof" value="')[1].split('"')[0]
        form = {"check": "ct.noise.gni", "station": "CTSIM1", "profile": "ct_rt_sim", "who": "物理师", "reason": "升级"}
        bad = client.post("/quality/baselines", data={**form, "since": "today", "proof": proof})
        stale = client.post("/quality/baselines", data={**form, "since": "2026-06-27", "proof": "x"})
        done = client.post("/quality/baselines", data={**form, "since": "2026-06-27", "proof": proof})
        after = client.get("/quality/trends").text
        one = client.get("/quality/series/1.2.826.0.7").text
        unknown = client.get("/quality/series/9.9")
        verdict = client.get("/quality/series/1.2.826.0.7/verdict.json").json()

    assert "dot-alarm" in page and "ct.noise.gni" in page and "自 " in page
    assert (bad.status_code, stale.status_code, done.status_code) == (422, 403, 303)
    assert "升级" in after
    assert "<svg" in one and unknown.status_code == 404
    assert verdict["profile_id"] == "ct_rt_sim"
