"""`radgate qc` on a terminal: exit codes, JSON, the page and the profiles."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dicom_gateway.cli.qc import app
from qc.errors import ProfileInvalid
from qc.image import SeriesVerdict
from tests.qc.bodies import TRUNK, Body
from tests.synthetic.series import write_series

RUN = CliRunner()


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    folder = tmp_path / "clean"
    write_series(folder, replace(TRUNK, pixels=Body().values(TRUNK.grid()), intercept=0.0))
    return folder


def test_a_clean_series_ends_with_exit_code_0_and_json_that_reads_back(clean: Path) -> None:
    done = RUN.invoke(app, ["image", str(clean), "--json"])

    assert done.exit_code == 0, done.output
    (data,) = json.loads(done.stdout)
    assert SeriesVerdict.from_json(data).grade == "PASS"


def test_a_gap_ends_with_exit_code_11_and_the_table_says_what_to_do(clean: Path) -> None:
    sorted(clean.iterdir())[4].unlink()

    done = RUN.invoke(app, ["image", str(clean)])

    assert done.exit_code == 11
    assert "gen.geometry.missing" in done.output
    assert "FAIL" in done.output
    assert "…" not in done.output


def test_the_page_shows_findings_and_escapes_what_came_from_outside(clean: Path, tmp_path: Path) -> None:
    sorted(clean.iterdir())[4].unlink()
    page = tmp_path / "out.html"

    RUN.invoke(app, ["image", str(clean), "--html", str(page)])

    text = page.read_text(encoding="utf-8")
    assert "缺层" in text
    assert "张" not in text
    assert "<script" not in text


def test_profiles_are_listed() -> None:
    done = RUN.invoke(app, ["profiles", "list", "--json"])

    assert {"ct_base", "ct_rt_sim", "mr_brain"} <= {row["id"] for row in json.loads(done.stdout)}


def test_a_profile_file_is_checked(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    good.write_text('id = "site_ct"\nextends = "ct_base"\n')
    bad.write_text('id = "site_ct"\nextends = "ct_bass"\n')

    assert "site_ct: no error" in RUN.invoke(app, ["profiles", "check", str(good)]).output
    failed = RUN.invoke(app, ["profiles", "check", str(bad)])

    assert isinstance(failed.exception, ProfileInvalid)
    assert "bad.toml, line 2, extends" in str(failed.exception)


def test_explain_names_the_profile_and_why(clean: Path) -> None:
    done = RUN.invoke(app, ["profiles", "explain", str(clean), "--json", "--intent", "rt_sim"])

    (row,) = json.loads(done.stdout)
    assert (row["profile"], row["how"]) == ("ct_rt_sim", "matched")
    assert row["limits"]["ct.truncation"]["fail"] == ["0", "2"]


def test_an_order_is_compared_with_the_headers(clean: Path) -> None:
    right = RUN.invoke(app, ["image", str(clean), "--order", "PatientID=TEST0001"])
    wrong = RUN.invoke(app, ["image", str(clean), "--order", "PatientID=TEST0009"])
    broken = RUN.invoke(app, ["image", str(clean), "--order", "PatientID"])

    assert (right.exit_code, wrong.exit_code, broken.exit_code) == (0, 11, 2)
    assert "gen.tag.order" in wrong.output
