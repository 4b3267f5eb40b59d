"""Bundles are taken into a library only if they are whole and harmless; versions go back and forth; nothing is lost."""

import json
import re
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import monai_bundles as mb
from monai_bundles import errors
from monai_bundles.adding.add import add, remove, rollback, set_shadow
from monai_bundles.adding.describe import describe
from monai_bundles.adding.guesses import SERIES_WORDS
from monai_bundles.adding.record import read_record
from tests.monai_bundles.making import GRIDS, make_bundle, make_volume
from tests.monai_bundles.zoo_making import HIGH, LOW, make_zoo_bundle, metadata, threshold_network, threshold_state

OUTPUTS = {"0": "background", "1": "spleen", "2": "left lung"}


def change(root: Path, name: str, edit: Callable[[dict[str, Any]], object]) -> None:
    """Edit a configuration file in place."""
    path = root / "configs" / name
    content = json.loads(path.read_text(encoding="utf-8"))
    edit(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def with_version(root: Path, version: str) -> Path:
    """The bundle as another version of itself."""
    change(root, "metadata.json", lambda c: c.update(version=version))
    return root


def test_a_bundle_of_the_model_zoo_drops_in_and_runs(tmp_path: Path) -> None:
    addition = add(str(make_zoo_bundle(tmp_path)), tmp_path / "library")
    volume = make_volume(GRIDS["oblique"]())

    output = mb.run_bundle(mb.find("planted_ct_segmentation", tmp_path / "library"), volume, device="cpu")

    masks = {s.name: s.region.mask() for s in output.structures}
    assert np.array_equal(masks["Spleen"], volume.array > HIGH)
    assert np.array_equal(masks["Lung_L"], volume.array < LOW)
    assert "read it" in addition.notes[0]
    assert addition.bundle.licence == "Apache-2.0"
    assert addition.bundle.accepts.modalities == ("CT",)
    assert not addition.bundle.trusted


def test_the_layout_in_the_repository_can_be_added(tmp_path: Path) -> None:
    layout = Path(__file__).with_name("layouts") / "planted_ct_segmentation"

    bundle = add(str(layout), tmp_path / "library").bundle

    assert [s.name for s in bundle.structures] == ["Spleen", "Lung_L"]
    assert not (layout / "configs" / "radgate.json").exists()


def test_bundles_that_are_added_at_once_are_all_recorded(tmp_path: Path) -> None:
    roots = [make_zoo_bundle(tmp_path, name) for name in ("first_ct", "second_ct", "third_ct")]

    with ThreadPoolExecutor(len(roots)) as pool:
        list(pool.map(lambda root: add(str(root), tmp_path / "library"), roots))

    assert set(read_record(tmp_path / "library").bundles) == {"first_ct", "second_ct", "third_ct"}


def test_a_zip_of_a_bundle_is_the_same_bundle(tmp_path: Path) -> None:
    root = make_zoo_bundle(tmp_path)
    packed = tmp_path / "planted_ct_segmentation_v0.5.3.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for path in root.rglob("*"):
            archive.write(path, Path("planted_ct_segmentation") / path.relative_to(root))

    from_zip = add(str(packed), tmp_path / "one").bundle
    from_folder = add(str(root), tmp_path / "two").bundle

    assert from_zip.name == "planted_ct_segmentation"
    assert from_zip.algorithm.bundle_digest == from_folder.algorithm.bundle_digest


def test_a_zip_that_reaches_outside_is_not_unpacked(tmp_path: Path) -> None:
    packed = tmp_path / "evil.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("../outside.txt", "x")

    with pytest.raises(errors.BadMetadata, match="outside"):
        add(str(packed), tmp_path / "library")

    assert not (tmp_path.parent / "outside.txt").exists()


def test_a_name_without_internet_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import monai.bundle

    def unreachable(**_named: Any) -> None:
        raise OSError("planted")

    monkeypatch.setattr(monai.bundle, "download", unreachable)

    with pytest.raises(errors.ZooUnreachable, match="no internet"):
        add("spleen_ct_segmentation", tmp_path / "library")


def test_a_path_that_does_not_exist_is_said_to(tmp_path: Path) -> None:
    with pytest.raises(errors.UnknownBundle, match="nowhere"):
        add(str(tmp_path / "nowhere"), tmp_path / "library")


def _scripts(root: Path) -> None:
    (root / "scripts").mkdir()
    (root / "scripts" / "__init__.py").write_text("", encoding="utf-8")


def _pickled(root: Path) -> None:
    import torch

    torch.save({"weight": Path("planted")}, root / "models" / "model.pt")
    (root / "large_files.yml").unlink()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_scripts, "scripts"),
        (_pickled, "pathlib"),
        (
            lambda root: change(root, "inference.json", lambda c: c.update(x="$__import__('os').system('true')")),
            "__import__",
        ),
        (
            lambda root: change(root, "inference.json", lambda c: c.update(imports=["$from scripts import net"])),
            "scripts",
        ),
        (
            lambda root: change(root, "inference.json", lambda c: c["inferer"].update(_target_="scripts.net.Inferer")),
            "scripts.net",
        ),
        (
            lambda root: change(root, "inference.json", lambda c: c.update(x="%/etc/passwd")),
            "/etc/passwd",
        ),
    ],
)
def test_what_could_run_foreign_code_is_refused_unasked(
    tmp_path: Path, spoil: Callable[[Path], None], said: str
) -> None:
    root = make_zoo_bundle(tmp_path)
    spoil(root)

    with pytest.raises(errors.CodeNotTrusted, match="--trust") as caught:
        add(str(root), tmp_path / "library")

    assert any(said in sentence for sentence in caught.value.fields["concerns"])
    assert not (tmp_path / "library").exists()


def test_what_was_accepted_is_recorded(tmp_path: Path) -> None:
    root = make_zoo_bundle(tmp_path)
    _scripts(root)

    addition = add(str(root), tmp_path / "library", trust=True)

    assert addition.bundle.trusted
    assert "scripts" in read_record(tmp_path / "library").entry(root.name).versions["0.5.3"].accepted[0]


def test_trust_without_anything_to_trust_changes_nothing(tmp_path: Path) -> None:
    assert not add(str(make_zoo_bundle(tmp_path)), tmp_path / "library", trust=True).bundle.trusted


def _unlink(name: str) -> Callable[[Path], None]:
    return lambda root: (root / name).unlink()


def _in_metadata(edit: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    return lambda root: change(root, "metadata.json", edit)


def _in_inference(edit: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    return lambda root: change(root, "inference.json", edit)


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (_unlink("models/model.pt"), errors.MissingWeights),
        (_unlink("LICENSE"), errors.BadMetadata),
        (_unlink("configs/metadata.json"), errors.BadMetadata),
        (_unlink("configs/inference.json"), errors.BadMetadata),
        (lambda root: (root / "models" / "model.pt").write_bytes(b"another file"), errors.CodeNotTrusted),
        (
            lambda root: (root / "large_files.yml").write_text(
                'large_files:\n  - path: "models/model.pt"\n    hash_val: "00"\n    hash_type: "sha256"\n'
            ),
            errors.WrongHash,
        ),
        (_in_inference(lambda c: c["network_def"].update(_target_="NoSuchNet")), errors.CodeNotTrusted),
        (_in_inference(lambda c: c["network_def"].update(no_such_argument=1)), errors.UnknownNetwork),
        (_in_inference(lambda c: c["network_def"].update(out_channels=4)), errors.WeightsDoNotFit),
        (_in_inference(lambda c: c["network_def"].update(_target_="TorchVisionFCModel")), errors.MissingPackages),
        (_in_inference(lambda c: c["network_def"].update(spatial_dims=4)), errors.WrongDimensions),
        (
            _in_metadata(lambda c: c["network_data_format"]["inputs"]["image"].update(spatial_shape=[8, 8, 8, 8])),
            errors.WrongDimensions,
        ),
        (
            _in_metadata(lambda c: c["network_data_format"]["outputs"]["pred"].update(channel_def={})),
            errors.UnlabelledOutput,
        ),
        (
            _in_metadata(lambda c: c["network_data_format"]["outputs"]["pred"]["channel_def"].update({"2": "class 2"})),
            errors.UnlabelledOutput,
        ),
        (_in_metadata(lambda c: c.pop("version")), errors.BadMetadata),
    ],
)
def test_what_is_wrong_with_a_bundle_is_refused_when_it_is_added(
    tmp_path: Path, spoil: Callable[[Path], None], expected: type[errors.BundleError]
) -> None:
    root = make_zoo_bundle(tmp_path)
    spoil(root)

    with pytest.raises(expected):
        add(str(root), tmp_path / "library")

    assert not (tmp_path / "library").exists()


def test_two_versions_stand_side_by_side_and_the_first_comes_back(tmp_path: Path) -> None:
    library = tmp_path / "library"
    root = make_zoo_bundle(tmp_path)
    add(str(root), library)
    add(str(with_version(root, "0.6.0")), library)
    name = root.name
    assert mb.find(name, library).version == "0.6.0"

    entry = rollback(name, library)

    assert entry.active == "0.5.3"
    assert mb.find(name, library).version == "0.5.3"
    assert {p.name for p in library.iterdir() if p.is_dir()} == {f"{name}@0.5.3", f"{name}@0.6.0"}
    with pytest.raises(errors.UnknownVersion):
        rollback(name, library)


def test_a_shadow_stands_beside_the_version_that_runs(tmp_path: Path) -> None:
    library = tmp_path / "library"
    root = make_zoo_bundle(tmp_path)
    with pytest.raises(errors.UnknownVersion, match="--shadow"):
        add(str(root), library, shadow=True)
    add(str(root), library)

    add(str(with_version(root, "0.6.0")), library, shadow=True)

    bundle = mb.find(root.name, library)
    assert bundle.version == "0.5.3"
    assert bundle.shadow is not None
    assert bundle.shadow.version == "0.6.0"
    assert set_shadow(root.name, "", library).shadow == ""
    assert mb.find(root.name, library).shadow is None


@pytest.mark.parametrize("shadow", [True, False])
def test_other_files_do_not_take_the_number_of_a_version(tmp_path: Path, *, shadow: bool) -> None:
    library = tmp_path / "library"
    root = make_zoo_bundle(tmp_path)
    first = add(str(root), library).bundle
    again = add(str(root), library).bundle
    (root / "docs").mkdir(exist_ok=True)
    (root / "docs" / "README.md").write_text("another card", encoding="utf-8")

    with pytest.raises(errors.UnknownVersion, match="other files"):
        add(str(root), library, shadow=shadow)

    assert again.algorithm.bundle_digest == first.algorithm.bundle_digest
    assert mb.find(root.name, library).algorithm.bundle_digest == first.algorithm.bundle_digest
    assert mb.find(root.name, library).shadow is None


def test_a_version_is_no_shadow_of_itself(tmp_path: Path) -> None:
    root = make_zoo_bundle(tmp_path)
    add(str(root), tmp_path / "library")

    with pytest.raises(errors.UnknownVersion, match="the one that runs"):
        add(str(root), tmp_path / "library", shadow=True)


def test_a_broken_shadow_does_not_stop_the_version_that_runs(tmp_path: Path) -> None:
    library = tmp_path / "library"
    root = make_zoo_bundle(tmp_path)
    add(str(root), library)
    add(str(with_version(root, "0.6.0")), library, shadow=True)
    (library / f"{root.name}@0.6.0" / "LICENSE").write_text("other words", encoding="utf-8")

    bundle = mb.find(root.name, library)

    assert (bundle.version, bundle.shadow) == ("0.5.3", None)
    assert bundle.broken_shadow[0] == "0.6.0"
    assert "not those that were added" in bundle.broken_shadow[1]


def test_the_version_that_runs_is_not_removed_from_beside_others(tmp_path: Path) -> None:
    library = tmp_path / "library"
    root = make_zoo_bundle(tmp_path)
    add(str(root), library)
    add(str(with_version(root, "0.6.0")), library)

    with pytest.raises(errors.UnknownVersion, match="roll back"):
        remove(root.name, library, "0.6.0")
    assert remove(root.name, library, "0.5.3") == ("0.5.3",)
    assert remove(root.name, library) == ("0.6.0",)
    assert [p.name for p in library.iterdir()] == ["registry.json"]
    with pytest.raises(errors.UnknownBundle):
        remove(root.name, library)


def test_a_file_changed_after_it_was_added_is_refused(tmp_path: Path) -> None:
    library = tmp_path / "library"
    root = make_zoo_bundle(tmp_path)
    add(str(root), library)
    installed = library / f"{root.name}@0.5.3"
    (installed / "docs" / "README.md").write_text("another card", encoding="utf-8")

    with pytest.raises(errors.WrongHash, match="roll back"):
        mb.find(root.name, library)


def test_a_damaged_record_is_told_and_hides_no_shipped_bundle(tmp_path: Path) -> None:
    library = tmp_path / "library"
    add(str(make_zoo_bundle(tmp_path)), library)
    (library / "registry.json").write_text('{"schema": "radgate.bundles/1"', encoding="utf-8")

    found = mb.survey(library)

    assert "ct_body_segmentation" in [b.name for b in found.bundles]
    assert isinstance(found.refused[0].error, errors.BadMetadata)


def test_a_bundle_with_its_own_radgate_json_keeps_it(tmp_path: Path) -> None:
    root = make_bundle(tmp_path)

    addition = add(str(root), tmp_path / "library")

    assert addition.notes == ()
    assert [s.name for s in addition.bundle.structures] == ["Bone", "Lung_L"]


def test_describing_names_what_it_could_not_guess(tmp_path: Path) -> None:
    outputs = {"0": "background", "1": "Enhancing tumor", "2": "3rd ventricle", "3": "left kidney"}
    state = threshold_state()
    meta = metadata(outputs, description="A network")
    meta["network_data_format"]["inputs"]["image"].update(format="magnitude", modality="n/a")
    (tmp_path / "x").mkdir()
    root = make_zoo_bundle(tmp_path / "x", meta=meta, state=state, config={"network_def": threshold_network()})
    (root / "LICENSE").write_text("You may do what you like.", encoding="utf-8")

    description = describe(root)

    names = [s["name"] for s in description.content["structures"]]
    assert names == ["GTV", "3rd_ventricle", "Kidney_L"]
    assert any("3rd ventricle" in note for note in description.notes)
    assert any("modality" in note for note in description.notes)
    assert any("licence" in note for note in description.notes)
    assert description.content["output"] == {"form": "labels"}


@pytest.mark.parametrize(
    ("description", "channel"),
    [
        ("T1 Gd", "t1c"),
        ("t1_mprage_post", "t1c"),
        ("T1 +C tra", "t1c"),
        ("Contrast T1", "t1c"),
        ("T1 MPRAGE", "t1"),
        ("T1 SPACE", "t1"),
        ("T1 without contrast", "t1"),
        ("AX T1 pre contrast", "t1"),
        ("T2 tra", "t2"),
        ("T2 SPACE", "t2"),
        ("AX T2 FLAIR", "flair"),
        ("FLAIR", "flair"),
    ],
)
def test_a_description_of_a_brain_series_fits_one_channel_alone(description: str, channel: str) -> None:
    channels = ("t1c", "t1gd", "t1", "t2", "flair")
    fitting = {name for name in channels if re.search(SERIES_WORDS[name], description, re.IGNORECASE)}

    assert fitting == ({"t1c", "t1gd"} if channel == "t1c" else {channel})


def test_every_name_of_the_table_is_one_of_tg263() -> None:
    from contouring import lookup

    table = json.loads(Path(mb.__file__).with_name("adding").joinpath("label_names.json").read_text(encoding="utf-8"))

    for name in table["names"].values():
        assert lookup(name).tg263 == name
    for name in table["paired"].values():
        assert lookup(f"{name}_L").tg263 == f"{name}_L"
        assert lookup(f"{name}_R").tg263 == f"{name}_R"
