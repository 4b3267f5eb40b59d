"""`radgate bundles`: what it prints, and how it ends when something is wrong."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dicom_gateway.cli.bundles import app
from monai_bundles.errors import BadMetadata, WrongHash
from tests.monai_bundles.making import make_bundle
from tests.monai_bundles.zoo_making import make_zoo_bundle


def test_list_as_json_has_every_bundle_and_every_refusal(tmp_path: Path) -> None:
    make_bundle(tmp_path)
    (make_bundle(tmp_path, name="broken") / "LICENSE").unlink()

    outcome = CliRunner().invoke(app, ["list", "--json", "--folder", str(tmp_path)])

    content = json.loads(outcome.stdout)
    names = [b["name"] for b in content["bundles"]]
    assert names == [
        "ct_body_segmentation",
        "head_neck_ct_oar_segmentation",
        "pet_ct_lesion_segmentation",
        "planted_threshold",
        "soft_tissue_sarcoma_gtv_segmentation",
    ]
    assert content["bundles"][0]["structures"][0] == {"label": 1, "name": "Body"}
    assert content["refused"][0]["name"] == "broken"
    assert "LICENSE" in content["refused"][0]["message"]


def test_list_with_settings_has_the_bundles_of_the_site(tmp_path: Path) -> None:
    make_bundle(tmp_path / "site")
    (tmp_path / "radgate.toml").write_text('[bundles]\nfolders = ["site"]\n')

    outcome = CliRunner().invoke(app, ["list", "--json", "--config", str(tmp_path / "radgate.toml")])

    assert "planted_threshold" in [b["name"] for b in json.loads(outcome.stdout)["bundles"]]


def test_a_bundle_is_added_rolled_back_and_removed(tmp_path: Path) -> None:
    root, library = make_zoo_bundle(tmp_path), str(tmp_path / "library")
    first = CliRunner().invoke(app, ["add", str(root), "--folder", library, "--json"])
    (root / "configs" / "metadata.json").write_text(
        (root / "configs" / "metadata.json").read_text(encoding="utf-8").replace('"0.5.3"', '"0.6.0"'), encoding="utf-8"
    )

    second = CliRunner().invoke(app, ["add", str(root), "--folder", library])
    listed = CliRunner().invoke(app, ["list", "--json", "--folder", library])
    back = CliRunner().invoke(app, ["rollback", root.name, "--folder", library, "--json"])
    gone = CliRunner().invoke(app, ["remove", root.name, "--folder", library, "--json"])

    assert json.loads(first.stdout)["structures"] == [{"label": 1, "name": "Spleen"}, {"label": 2, "name": "Lung_L"}]
    assert "0.6.0 is added and runs from now on" in second.stdout
    found = next(b for b in json.loads(listed.stdout)["bundles"] if b["name"] == root.name)
    assert found["versions"] == {"active": "0.6.0", "shadow": "", "added": ["0.5.3", "0.6.0"]}
    assert json.loads(back.stdout)["active"] == "0.5.3"
    assert json.loads(gone.stdout)["removed"] == ["0.5.3", "0.6.0"]


def test_the_library_is_in_the_sites_store(tmp_path: Path) -> None:
    (tmp_path / "radgate.toml").write_text('[store]\nroot = "kept"\n')
    config = str(tmp_path / "radgate.toml")

    added = CliRunner().invoke(app, ["add", str(make_zoo_bundle(tmp_path)), "--config", config])
    listed = CliRunner().invoke(app, ["list", "--json", "--config", config])

    assert added.exit_code == 0
    assert (tmp_path / "kept" / "bundles" / "registry.json").is_file()
    assert "planted_ct_segmentation" in [b["name"] for b in json.loads(listed.stdout)["bundles"]]


def test_describe_writes_the_file_once(tmp_path: Path) -> None:
    root = make_zoo_bundle(tmp_path)

    shown = CliRunner().invoke(app, ["describe", str(root)])
    written = CliRunner().invoke(app, ["describe", "--init", str(root)])
    again = CliRunner().invoke(app, ["describe", "--init", str(root)])

    assert json.loads(shown.stdout)["structures"][0]["name"] == "Spleen"
    assert "not guessed:" in written.stdout
    assert (root / "configs" / "radgate.json").is_file()
    assert isinstance(again.exception, BadMetadata)


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
