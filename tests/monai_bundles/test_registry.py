"""Bundles are found, and everything that is wrong with one is refused by its own error before a patient is near."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import monai_bundles as mb
from monai_bundles import errors
from monai_bundles.registry import SHIPPED, load_bundle
from monai_bundles.seal import main, seal
from tests.monai_bundles.making import edit, make_bundle


def test_the_bundle_without_weights_ships_and_verifies() -> None:
    bundle = mb.find("ct_body_segmentation")

    mb.verify(bundle, build=True)

    assert [s.name for s in bundle.structures] == ["Body", "Lung_L", "Lung_R", "Trachea", "Bone", "SpinalCanal"]
    assert bundle.algorithm.deterministic
    assert not bundle.needs_network
    assert len(bundle.algorithm.bundle_digest) == 64


@pytest.mark.parametrize("root", sorted(p for p in SHIPPED.iterdir() if p.is_dir()), ids=lambda p: p.name)
def test_every_shipped_bundle_is_complete(root: Path) -> None:
    bundle = load_bundle(root)

    assert (root / "docs" / "README.md").stat().st_size > 1000
    assert set(bundle.title) >= {"en", "zh"}
    assert set(bundle.algorithm.intended_use) >= {"en", "zh"}
    assert sum(p.stat().st_size for p in root.rglob("*") if p.is_file()) <= 25 * 2**20
    for path, sha256 in bundle.weights_sha256.items():
        assert (root / path).is_file() == bool(sha256), f"{path} needs a seal, or the seal its file"


def test_a_sound_bundle_of_a_site_is_found_and_verifies(tmp_path: Path) -> None:
    make_bundle(tmp_path)

    bundle = mb.find("planted_threshold", tmp_path)
    mb.verify(bundle, build=True)

    assert bundle.version == "0.3.1"
    assert bundle.needs_network
    assert bundle.algorithm.weights_sha256 == tuple(bundle.weights_sha256.values())


def test_a_sites_bundle_replaces_the_shipped_one_of_its_name(tmp_path: Path) -> None:
    make_bundle(tmp_path, name="ct_body_segmentation")

    assert mb.find("ct_body_segmentation", tmp_path).version == "0.3.1"


@pytest.mark.parametrize("name", ["nowhere", "file"])
def test_a_folder_that_cannot_be_listed_is_a_typed_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(errors.MissingBundleFolder, match=f"'{name}' cannot be listed"):
        mb.survey(tmp_path / name)


def test_a_refused_bundle_is_told_and_hides_no_other(tmp_path: Path) -> None:
    make_bundle(tmp_path)
    (make_bundle(tmp_path, name="broken") / "configs" / "metadata.json").write_text('{"version":\n oops}')

    found = mb.survey(tmp_path)

    assert "planted_threshold" in [b.name for b in found.bundles]
    refused = next(r for r in found.refused if r.name == "broken")
    assert isinstance(refused.error, errors.BadMetadata)
    assert "line 2" in refused.error.message
    with pytest.raises(errors.BadMetadata):
        mb.find("broken", tmp_path)


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(errors.UnknownBundle, match="ct_body_segmentation"):
        mb.find("liver")


def _drop(key: str) -> Callable[[dict[str, Any]], object]:
    return lambda content: content.pop(key)


def _set(key: str, value: Any) -> Callable[[dict[str, Any]], object]:
    return lambda content: content.update({key: value})


@pytest.mark.parametrize(
    ("file", "change", "expected"),
    [
        ("metadata", _drop("version"), errors.BadMetadata),
        ("metadata", _set("version", "first"), errors.BadMetadata),
        ("metadata", _drop("network_data_format"), errors.BadMetadata),
        ("radgate", _drop("licence"), errors.BadMetadata),
        ("radgate", _set("accepts", {"modalities": []}), errors.BadMetadata),
        ("radgate", _set("accepts", {"modalities": ["CT"], "thickness": 3}), errors.BadMetadata),
        ("radgate", _set("accepts", {"modalities": ["CT"], "shows": "liver"}), errors.BadMetadata),
        ("radgate", _set("weights_sha256", {"../elsewhere.pt": "00"}), errors.BadMetadata),
        ("radgate", _set("structures", [{"label": 1, "name": "Bone"}]), errors.UnlabelledOutput),
        ("radgate", _set("structures", [{"label": 1, "name": "Bone"}, {"label": 2}]), errors.UnlabelledOutput),
        (
            "radgate",
            _set("structures", [{"label": 1, "name": "Bone"}, {"label": 3, "name": "Lung_L"}]),
            errors.UnlabelledOutput,
        ),
        (
            "radgate",
            _set("structures", [{"label": 1, "name": "Bone"}, {"label": 2, "name": "Bone"}]),
            errors.UnlabelledOutput,
        ),
        ("inference", _drop("network_def"), errors.UnknownNetwork),
    ],
)
def test_a_wrong_declaration_is_refused_when_it_is_read(
    tmp_path: Path, file: str, change: Callable[[dict[str, Any]], object], expected: type[errors.BundleError]
) -> None:
    root = make_bundle(tmp_path)
    edit(root, file, change)

    with pytest.raises(expected):
        load_bundle(root)


@pytest.mark.parametrize("file", ["configs/inference.json", "configs/radgate.json", "configs/metadata.json", "LICENSE"])
def test_a_missing_file_is_refused_by_name(tmp_path: Path, file: str) -> None:
    root = make_bundle(tmp_path)
    (root / file).unlink()

    with pytest.raises(errors.BadMetadata, match=Path(file).name):
        load_bundle(root)


def test_a_segmenter_from_outside_this_package_is_refused(tmp_path: Path) -> None:
    root = make_bundle(tmp_path)
    edit(root, "inference", lambda c: (c.pop("network_def"), c.update(segmenter={"_target_": "os.system"})))

    with pytest.raises(errors.UnknownNetwork):
        load_bundle(root)


def test_missing_weights_are_refused(tmp_path: Path) -> None:
    root = make_bundle(tmp_path)
    bundle = load_bundle(root)
    (root / "models" / "model.pt").unlink()

    with pytest.raises(errors.MissingWeights):
        mb.verify(bundle, build=True)


def test_unsealed_weights_are_refused(tmp_path: Path) -> None:
    root = make_bundle(tmp_path)
    edit(root, "radgate", _set("weights_sha256", {"models/model.pt": ""}))

    with pytest.raises(errors.MissingWeights, match="sealed"):
        mb.verify(load_bundle(root), build=True)


def test_changed_weights_are_refused_with_both_hashes(tmp_path: Path) -> None:
    root = make_bundle(tmp_path)
    weights = root / "models" / "model.pt"
    weights.write_bytes(weights.read_bytes() + b"\0")

    with pytest.raises(errors.WrongHash) as caught:
        mb.verify(load_bundle(root), build=True)

    assert caught.value.fields["expected"] != caught.value.fields["got"]


@pytest.mark.parametrize(
    "network",
    [
        {"_target_": "NoSuchNet"},
        {"_target_": "torch.nn.Conv3d", "in_channels": 1},
        {"_target_": "torch.nn.ReLU", "no_such_argument": 1},
        {"_target_": "subprocess.run", "args": ["true"]},
        {"_target_": "torch.load", "f": "x"},
        {
            "_target_": "torch.nn.Conv3d",
            "in_channels": "$__import__('os').getpid()",
            "out_channels": 1,
            "kernel_size": 1,
        },
    ],
)
def test_an_unknown_or_foreign_network_is_refused(tmp_path: Path, network: dict[str, Any]) -> None:
    root = make_bundle(tmp_path, network=network)

    with pytest.raises(errors.UnknownNetwork):
        mb.verify(load_bundle(root), build=True)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    network = {"_target_": "torch.nn.Conv3d", "in_channels": 2, "out_channels": 2, "kernel_size": 3}

    with pytest.raises(errors.WeightsDoNotFit):
        mb.verify(load_bundle(make_bundle(tmp_path, network=network)), build=True)


def test_verifying_without_building_loads_no_network(tmp_path: Path) -> None:
    root = make_bundle(tmp_path, network={"_target_": "NoSuchNet"})

    mb.verify(load_bundle(root))


def test_weights_that_hold_code_are_refused(tmp_path: Path) -> None:
    root = make_bundle(tmp_path, weights={"weight": Path("a pickled object")})

    with pytest.raises(errors.WeightsDoNotFit):
        mb.verify(load_bundle(root), build=True)


def test_the_digest_changes_with_any_file(tmp_path: Path) -> None:
    root = make_bundle(tmp_path)
    before = load_bundle(root).algorithm.bundle_digest

    (root / "docs" / "README.md").write_text("# Another card\n", encoding="utf-8")

    assert load_bundle(root).algorithm.bundle_digest != before


def test_seal_records_the_hash_and_keeps_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_bundle(tmp_path)
    edit(root, "radgate", _set("weights_sha256", {}))
    monkeypatch.setattr("sys.argv", ["seal", str(root)])

    assert main() == 0

    content = json.loads((root / "configs" / "radgate.json").read_text(encoding="utf-8"))
    assert content["title"]["zh"] == "测试"
    mb.verify(load_bundle(root), build=True)


def test_seal_without_weights_is_refused(tmp_path: Path) -> None:
    root = make_bundle(tmp_path)
    (root / "models" / "model.pt").unlink()

    with pytest.raises(errors.MissingWeights):
        seal(root)
