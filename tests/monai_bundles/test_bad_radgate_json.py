"""Every entry of `configs/radgate.json` that cannot be right is refused when the bundle is added, and named."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from monai_bundles import errors
from monai_bundles.adding.add import add
from monai_bundles.adding.describe import describe
from monai_bundles.radgate_schema import check_radgate
from monai_bundles.registry import SHIPPED, survey
from tests.monai_bundles.making import edit
from tests.monai_bundles.zoo_making import make_zoo_bundle

Change = Callable[[dict[str, Any]], object]


def at(path: str, value: Any) -> Change:
    """Set an entry by its path: "inputs[0].repeat"."""
    parts = [int(p) if p.isdigit() else p for p in path.replace("[", ".").replace("]", "").split(".")]

    def change(content: Any) -> None:
        for part in parts[:-1]:
            content = content[part]
        content[parts[-1]] = value

    return change


WRONG_ENTRIES: list[tuple[str, Any]] = [
    ("accepts.modalities", "CT"),
    ("accepts.modalities", []),
    ("accepts.modalities[0]", 1),
    ("accepts.modalities[0]", "ct scan of the head"),
    ("accepts.modalities[0]", ""),
    ("accepts.units", "[hnsf'U]"),
    ("accepts.units[0]", "a unit of more than 16"),
    ("accepts.max_slice_spacing_mm", "3"),
    ("accepts.max_slice_spacing_mm", -1),
    ("accepts.max_slice_spacing_mm", 0),
    ("accepts.max_slice_spacing_mm", float("nan")),
    ("accepts.max_pixel_spacing_mm", float("inf")),
    ("accepts.max_pixel_spacing_mm", True),
    ("accepts.min_planes", "a"),
    ("accepts.min_planes", 0),
    ("accepts.min_planes", 2.5),
    ("accepts.min_planes", None),
    ("accepts.min_extent_mm", [1, 2]),
    ("accepts.min_extent_mm", 5),
    ("accepts.min_extent_mm", [1, 2, -3]),
    ("accepts.body_parts", None),
    ("accepts.body_parts", "HEAD"),
    ("accepts.body_parts", [3]),
    ("accepts.contrast", "maybe"),
    ("accepts.contrast", ["required"]),
    ("accepts.shows", "liver"),
    ("accepts.slice_thickness", 3),
    ("accepts", ["CT"]),
    ("inputs", []),
    ("inputs", None),
    ("inputs[0]", "image"),
    ("inputs[0].key", ""),
    ("inputs[0].repeat", "x"),
    ("inputs[0].repeat", 0),
    ("inputs[0].repeat", 1.5),
    ("inputs[0].repeat", 100),
    ("inputs[0].zeros", "no"),
    ("inputs[0].colours", 1),
    ("inputs[0].colors", True),
    ("inputs[0].channels", {"name": "CT"}),
    ("inputs[0].channels[0].description", "("),
    ("inputs[0].channels[0].description", None),
    ("inputs[0].channels[0].name", None),
    ("inputs[0].channels[0].modality", 3),
    ("inputs[0].channels[0].optional", "yes"),
    ("inputs[0].channels[0].weight", 1),
    ("output", "labels"),
    ("output.form", "foo"),
    ("output.form", None),
    ("output.form", ["labels"]),
    ("output.activation", "softmax"),
    ("structures[0].snomed", "zzz"),
    ("structures[0].snomed", 78961009),
    ("structures[0].snomed", "1" * 40),
    ("structures[0].interpreted_type", "FOO"),
    ("structures[0].interpreted_type", 1),
    ("structures[0].colour", "red"),
    ("title", {}),
    ("title", "Spleen"),
    ("title.en", None),
    ("title.en", ""),
    ("title.en", "x" * 5000),
    ("title.English", "Spleen"),
    ("intended_use.zh", ["器官"]),
    ("intended_use.zh", "器官\x07"),
    ("licence", ""),
    ("licence", " MIT"),
    ("required_checks", "gen.pixel.rescale"),
    ("postprocessing", "x"),
    ("postprocessing", [1]),
    ("postprocessing", {"threshold": 1}),
    ("postprocessing", {"min_cc": {"Spleen": "much"}}),
    ("postprocessing", {"min_cc": {"Liver": 1.0}}),
    ("postprocessing", {"sides": {"Lung_L": "up"}}),
    ("postprocessing", {"within_body": "yes"}),
    ("postprocessing", {"smooth": True}),
    ("weights_sha256", []),
    ("weights_sha256", {"models/model.pt": 3}),
    ("weights_sha256", {"models/model.pt": "00"}),
    ("threshold", 0.5),
]  # fmt: skip

UNLABELLED: list[tuple[str, Any]] = [
    ("structures", []),
    ("structures", {"1": "Spleen"}),
    ("structures[0]", "Spleen"),
    ("structures[0].label", "1"),
    ("structures[0].label", True),
    ("structures[0].label", 0),
    ("structures[0].label", 70000),
    ("structures[0].name", ""),
    ("structures[0].name", "x" * 200),
    ("structures[0].name", "../../a"),
    ("structures[0].name", "A\\B"),
    ("structures[0].name", "脾\n"),
    ("structures[0].name", ["Spleen"]),
]


def described(folder: Path) -> Path:
    """A sound bundle with its radgate.json."""
    root = make_zoo_bundle(folder)
    describe(root).write(root)
    return root


def refused(root: Path, library: Path, kind: type[errors.BundleError]) -> errors.BundleError:
    """The error with which the bundle is refused; the library is as it was, nothing."""
    with pytest.raises(errors.BundleError) as caught:
        add(str(root), library)
    assert type(caught.value) is kind
    assert not library.exists()
    return caught.value


def head(path: str, value: Any) -> str:
    """The entry that the sentence names; a rule inside an object has a path of its own."""
    return f"`{path}.{next(iter(value))}" if path == "postprocessing" and isinstance(value, dict) else f"`{path}"


@pytest.mark.parametrize(("path", "value"), WRONG_ENTRIES, ids=lambda v: str(v)[:30])
def test_an_entry_of_a_wrong_kind_or_range_is_refused_by_its_name(tmp_path: Path, path: str, value: Any) -> None:
    root = described(tmp_path)
    edit(root, "radgate", at(path, value))

    error = refused(root, tmp_path / "library", errors.BadMetadata)

    entry = path.partition(".English")[0]
    assert head(entry, value) in error.message or f"of {entry}" in error.message
    assert "configs/radgate.json" in error.message


@pytest.mark.parametrize(("path", "value"), UNLABELLED, ids=lambda v: str(v)[:30])
def test_a_structure_without_a_meaning_is_refused_by_its_name(tmp_path: Path, path: str, value: Any) -> None:
    root = described(tmp_path)
    edit(root, "radgate", at(path, value))

    assert f"`{path}`" in refused(root, tmp_path / "library", errors.UnlabelledOutput).message


@pytest.mark.parametrize(
    "entry", ["title", "intended_use", "licence", "accepts", "required_checks", "weights_sha256", "accepts.modalities"]
)
def test_an_entry_that_is_missing_is_named(tmp_path: Path, entry: str) -> None:
    root = described(tmp_path)
    holder, _, key = entry.rpartition(".")
    edit(root, "radgate", lambda c: (c[holder] if holder else c).pop(key))

    assert f"`{entry}`" in refused(root, tmp_path / "library", errors.BadMetadata).message


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (at("output.form", "findings"), "output.form"),
        (at("inputs[0].channels[0].modality", "MR"), "accepts.modalities"),
        (lambda c: c["inputs"].append(dict(c["inputs"][0])), "twice"),
        (
            lambda c: c["inputs"].append({"key": "other", "channels": c["inputs"][0]["channels"]}),
            "twice",
        ),
        (at("structures[0].name", "Spleen/part"), "slash"),
        (at("required_checks", [{"check": "gen.pixel.rescale", "min_grade": ["WARN"]}]), "min_grade"),
        (at("required_checks", [3]), "required_checks"),
        (at("inputs", [{"key": "mask", "zeros": True}]), "inputs[0].channels"),
    ],
)  # fmt: skip
def test_entries_that_contradict_each_other_are_refused(tmp_path: Path, change: Change, named: str) -> None:
    root = described(tmp_path)
    edit(root, "radgate", change)

    assert named in refused(root, tmp_path / "library", errors.BadMetadata).message


def test_a_check_that_nobody_does_is_refused_by_its_place(tmp_path: Path) -> None:
    root = described(tmp_path)
    edit(root, "radgate", at("required_checks", ["gen.pixel.rescale", "no.such.check"]))

    with pytest.raises(errors.BadMetadata, match=r"`required_checks\[1\]`.*'no\.such\.check'"):
        add(str(root), tmp_path / "library", checks={"gen.pixel.rescale"})

    assert not (tmp_path / "library").exists()


def test_a_wrong_entry_of_one_bundle_hides_no_other(tmp_path: Path) -> None:
    root = described(tmp_path)
    edit(root, "radgate", at("inputs[0].repeat", "x"))

    found = survey(tmp_path)

    assert [r.name for r in found.refused] == [root.name]
    assert "ct_body_segmentation" in [b.name for b in found.bundles]


@pytest.mark.parametrize("root", sorted(p for p in SHIPPED.iterdir() if p.is_dir()), ids=lambda p: p.name)
def test_what_ships_passes_the_rules(root: Path) -> None:
    check_radgate(json.loads((root / "configs" / "radgate.json").read_text(encoding="utf-8")))


def test_names_in_chinese_and_with_signs_pass(tmp_path: Path) -> None:
    root = described(tmp_path)
    edit(root, "radgate", at("structures[0].name", "脾脏 (spleen)~~^a"))

    assert add(str(root), tmp_path / "library").bundle.structures[0].name == "脾脏 (spleen)~~^a"
