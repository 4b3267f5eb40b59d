"""`radgate dose`: the commands on a small made-up case."""

import json
from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import UID
from typer.testing import CliRunner

from contouring.dose import read_rtdose
from contouring.dose.openkbp import export_case
from dicom_gateway.cli.dose import app
from tests.contouring.dose.test_openkbp import collection

__all__ = ["collection"]


@pytest.fixture(scope="module")
def courses(collection: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("courses")
    export_case(collection, "pt_1", folder / "a")
    export_case(collection, "pt_1", folder / "b", course=2)
    return folder


def test_histograms_as_json(courses: Path) -> None:
    outcome = CliRunner().invoke(
        app,
        ["dvh", str(courses / "a" / "RTSTRUCT.dcm"), str(courses / "a" / "RTDOSE.dcm"), "--metric", "V20Gy", "--json"],
    )

    assert outcome.exit_code == 0, outcome.output
    rows = {r["structure"]: r for r in json.loads(outcome.stdout)["structures"]}
    assert set(rows) == {"SpinalCord", "Parotid_R", "PTV_7000"}
    assert rows["PTV_7000"]["rules"]["caps"] == "half"
    assert 0 <= rows["SpinalCord"]["metrics"]["V20Gy"] <= 100


def test_limits_of_the_stated_site_are_judged_and_not_verified(courses: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(
        'citation = "house rule"\n[[limit]]\nstructure = "SpinalCord"\nmetric = "Dmax"\nat_most = 5', encoding="utf-8"
    )
    config = tmp_path / "radgate.toml"
    config.write_text('[dose]\nlimits = ["own.toml"]', encoding="utf-8")
    files = [str(courses / "a" / name) for name in ("RTSTRUCT.dcm", "RTDOSE.dcm")]
    fractions = ["--fractions", "35", "--prescription", "70"]

    outcome = CliRunner().invoke(app, ["dvh", *files, "--site", "nasopharynx", *fractions, "--json"])
    plain = CliRunner().invoke(app, ["dvh", *files, "--site", "nasopharynx", "--config", str(config), *fractions])
    elbow = CliRunner().invoke(app, ["dvh", *files, "--site", "elbow"])

    cord = next(r for r in json.loads(outcome.stdout)["structures"] if r["structure"] == "SpinalCord")
    assert [(v["metric"], v["at_most"], v["verified_by"]) for v in cord["limits"]] == [("Dmax", 45.0, "unverified")]
    assert cord["limits"][0]["status"] in {"met", "near", "broken"} and cord["limits"][0]["citation"]
    assert "broken" in plain.stdout and "unverified" in plain.stdout
    assert type(elbow.exception).__name__ == "LimitsRefused"


def test_a_sum_of_one_frame_is_written(collection: Path, tmp_path: Path) -> None:
    export_case(collection, "pt_1", tmp_path / "a")
    first = read_rtdose(tmp_path / "a" / "RTDOSE.dcm")
    from pydicom import dcmread

    ds = dcmread(tmp_path / "a" / "RTDOSE.dcm")
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = UID("1.2.3.77")
    ds.ReferencedRTPlanSequence[0].ReferencedSOPInstanceUID = "1.2.3.78"
    ds.save_as(tmp_path / "second.dcm")
    command = ["sum", str(tmp_path / "a" / "RTDOSE.dcm"), str(tmp_path / "second.dcm"), "--rtstruct"]
    command += [
        str(tmp_path / "a" / "RTSTRUCT.dcm"),
        "--series",
        str(tmp_path / "a" / "CT"),
        "--out",
        str(tmp_path / "o"),
    ]

    outcome = CliRunner().invoke(app, [*command, "--fractions", "35,20", "--json"])

    assert outcome.exit_code == 0, outcome.output
    said = json.loads(outcome.stdout)
    assert {f["file"] for f in said["files"]} == {
        "sum_physical.dcm",
        "sum_eqd2_ab2.dcm",
        "sum_eqd2_ab3.dcm",
        "sum_eqd2_ab10.dcm",
        "isodoses.dcm",
    }
    total = read_rtdose(tmp_path / "o" / "sum_physical.dcm")
    assert total.dose_gy.max() == pytest.approx(2 * first.dose_gy.max(), abs=1e-3)
    assert [(c["letter"], c["fractions"], c["fractions_source"]) for c in said["courses"]] == [
        ("A", 35, "stated"),
        ("B", 20, "stated"),
    ]
    row = next(r for r in said["structures"] if r["structure"] == "SpinalCord")
    assert row["alpha_beta_gy"] == 2.0
    assert row["eqd2"]["metrics"]["Dmean"] > 0
    without = CliRunner().invoke(app, [*command, "--json"])
    assert json.loads(without.stdout)["structures"][0]["eqd2"] is None


def test_two_frames_without_a_registration_are_refused(courses: Path, tmp_path: Path) -> None:
    outcome = CliRunner().invoke(
        app,
        [
            "sum", str(courses / "a" / "RTDOSE.dcm"), str(courses / "b" / "RTDOSE.dcm"), "--rtstruct",
            str(courses / "a" / "RTSTRUCT.dcm"), "--series", str(courses / "a" / "CT"), "--out", str(tmp_path),
        ],
    )  # fmt: skip

    assert type(outcome.exception).__name__ == "NoRegistration"


def test_export(collection: Path, tmp_path: Path) -> None:
    outcome = CliRunner().invoke(
        app, ["export-openkbp", "pt_1", "--data", str(collection), "--out", str(tmp_path), "--json"]
    )

    assert outcome.exit_code == 0, outcome.output
    assert json.loads(outcome.stdout)["files"] == 15
    assert np.isfinite(read_rtdose(tmp_path / "RTDOSE.dcm").dose_gy).all()
