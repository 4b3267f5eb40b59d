"""`radgate bundles`: what it prints, and how it ends when something is wrong."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dicom_gateway.cli.bundles import app
from monai_bundles.errors import WrongHash
from tests.monai_bundles.making import make_bundle


def test_list_as_json_has_every_bundle_and_every_refusal(tmp_path: Path) -> None:
    make_bundle(tmp_path)
    (make_bundle(tmp_path, name="broken") / "LICENSE").unlink()

    outcome = CliRunner().invoke(app, ["list", "--json", "--folder", str(tmp_path)])

    content = json.loads(outcome.stdout)
    names = [b["name"] for b in content["bundles"]]
    assert names == ["ct_body_segmentation", "head_neck_ct_oar_segmentation", "planted_threshold"]
    assert content["bundles"][0]["structures"][0] == {"label": 1, "name": "Body"}
    assert content["refused"][0]["name"] == "broken"
    assert "LICENSE" in content["refused"][0]["message"]


def test_list_with_settings_has_the_bundles_of_the_site(tmp_path: Path) -> None:
    make_bundle(tmp_path / "site")
    (tmp_path / "radgate.toml").write_text('[bundles]\nfolders = ["site"]\n')

    outcome = CliRunner().invoke(app, ["list", "--json", "--config", str(tmp_path / "radgate.toml")])

    assert "planted_threshold" in [b["name"] for b in json.loads(outcome.stdout)["bundles"]]


def test_verify_says_that_a_sound_bundle_is_in_order(tmp_path: Path) -> None:
    make_bundle(tmp_path)

    outcome = CliRunner().invoke(app, ["verify", "planted_threshold", "--folder", str(tmp_path), "--json"])

    assert outcome.exit_code == 0
    assert json.loads(outcome.stdout)["ok"] is True


def test_verify_ends_with_the_typed_error_of_an_unsound_one(tmp_path: Path) -> None:
    root = make_bundle(tmp_path)
    (root / "models" / "model.pt").write_bytes(b"other weights")

    outcome = CliRunner().invoke(app, ["verify", "planted_threshold", "--folder", str(tmp_path)])

    assert isinstance(outcome.exception, WrongHash)
    assert outcome.exit_code != 0


def test_the_probe_reads_what_was_printed() -> None:
    with pytest.raises(json.JSONDecodeError):
        json.loads(CliRunner().invoke(app, ["list"]).stdout)
