"""Zips, folders and metadata that nobody can read are refused in one sentence, and leave the library as it was."""

import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from monai_bundles import errors
from monai_bundles.adding import add as adding
from monai_bundles.adding.add import add
from monai_bundles.adding.describe import describe
from tests.monai_bundles.making import edit, make_bundle
from tests.monai_bundles.zoo_making import make_zoo_bundle


def packed(folder: Path) -> tuple[Path, bytes]:
    """A zip of a sound bundle, and its bytes."""
    root = make_zoo_bundle(folder / "in")
    target = folder / "packed.zip"
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(p for p in root.rglob("*") if p.is_file()):
            archive.write(path, path.relative_to(folder / "in"))
    return target, target.read_bytes()


def other_byte(content: bytes) -> bytes:
    """One byte within the weights is another."""
    place = content.rindex(b"models/model.pt", 0, content.index(b"PK\x01\x02")) + 200
    return content[:place] + bytes([content[place] ^ 255]) + content[place + 1 :]


def with_flag(content: bytes) -> bytes:
    """The first file claims to be encrypted."""
    changed = bytearray(content)
    changed[content.index(b"PK\x03\x04") + 6] |= 1
    changed[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(changed)


def with_method(content: bytes) -> bytes:
    """The first file claims to be packed in a way that nobody knows."""
    changed = bytearray(content)
    changed[content.index(b"PK\x03\x04") + 8] = 77
    changed[content.index(b"PK\x01\x02") + 10] = 77
    return bytes(changed)


def untouched(library: Path) -> bool:
    """Nothing was written there."""
    return not library.exists()


@pytest.mark.parametrize(
    ("spoil", "kind", "said"),
    [
        (other_byte, errors.UnreadableBundle, "damaged"),
        (with_flag, errors.UnreadableBundle, "encrypted"),
        (with_method, errors.UnreadableBundle, "packed in a way"),
        (lambda _content: b"PK\x05\x06" + bytes(18), errors.BadMetadata, "configs/"),
        (lambda content: content[: len(content) // 2], errors.BadMetadata, "zip"),
        (lambda _content: b"", errors.BadMetadata, "no zip"),
    ],
)
def test_a_zip_that_cannot_be_unpacked_is_one_sentence(
    tmp_path: Path, spoil: Callable[[bytes], bytes], kind: type[errors.BundleError], said: str
) -> None:
    path, content = packed(tmp_path)
    path.write_bytes(spoil(content))

    with pytest.raises(kind, match=said):
        add(str(path), tmp_path / "library")

    assert untouched(tmp_path / "library")


def _link(where: str, to: Callable[[Path], Path]) -> Callable[[Path], None]:
    return lambda root: (root / where).symlink_to(to(root))


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (_link("docs/secret", lambda root: root.parent / "elsewhere.txt"), "docs/secret"),
        (_link("docs/gone", lambda root: root / "nowhere"), "docs/gone"),
        (_link("docs/loop", lambda root: root), "docs/loop"),
        (_link("docs/itself", lambda root: root / "docs" / "itself"), "docs/itself"),
        (_link("scripts", lambda root: root.parent), "scripts"),
        (lambda root: os.mkfifo(root / "docs" / "pipe"), "docs/pipe"),
    ],
)
def test_what_is_no_file_of_the_bundle_is_not_copied(tmp_path: Path, spoil: Callable[[Path], None], named: str) -> None:
    root = make_zoo_bundle(tmp_path)
    (tmp_path / "elsewhere.txt").write_text("not of the bundle", encoding="utf-8")
    spoil(root)

    expected = errors.UnreadableBundle if named in {"docs/loop", "docs/pipe"} else errors.BadMetadata
    with pytest.raises(expected, match=named):
        add(str(root), tmp_path / "library")

    assert untouched(tmp_path / "library")


def test_a_link_to_another_file_of_the_bundle_becomes_that_file(tmp_path: Path) -> None:
    root = make_zoo_bundle(tmp_path)
    (root / "docs" / "card.md").symlink_to(root / "docs" / "README.md")

    copied = add(str(root), tmp_path / "library").bundle.root / "docs" / "card.md"

    assert not copied.is_symlink()
    assert copied.read_text(encoding="utf-8") == "# Planted\n"


def _data(direction: str, value: Any) -> Callable[[dict[str, Any]], object]:
    return lambda c: c["network_data_format"].update({direction: value})


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (_data("outputs", [1]), "network_data_format.outputs"),
        (_data("outputs", None), "network_data_format.outputs"),
        (_data("outputs", {"pred": None}), "network_data_format.outputs"),
        (_data("inputs", None), "network_data_format.inputs"),
        (_data("inputs", []), "network_data_format.inputs"),
        (_data("inputs", {"image": [1]}), "network_data_format.inputs"),
        (lambda c: c.update(version="1.2.3" + "4" * 90), "version"),
        (lambda c: c.update(version="１.２.３"), "version"),
        (lambda c: c.update(authors=None), "authors"),
    ],
)
@pytest.mark.parametrize("how", ["add", "describe"])
def test_odd_metadata_are_one_sentence(
    tmp_path: Path, how: str, change: Callable[[dict[str, Any]], object], named: str
) -> None:
    root = make_zoo_bundle(tmp_path)
    edit(root, "metadata", change)

    with pytest.raises(errors.BadMetadata, match=named):
        add(str(root), tmp_path / "library") if how == "add" else describe(root)

    assert untouched(tmp_path / "library")


@pytest.mark.parametrize(
    "definition", [None, ["background", "spleen"], {"a": "spleen"}, {"²": "spleen"}, {"--1": "spleen"}, {}, "spleen"]
)
def test_an_output_whose_meanings_are_none_is_unlabelled(tmp_path: Path, definition: object) -> None:
    root = make_zoo_bundle(tmp_path)
    edit(root, "metadata", lambda c: c["network_data_format"]["outputs"]["pred"].update(channel_def=definition))

    with pytest.raises(errors.UnlabelledOutput, match="channel_def"):
        add(str(root), tmp_path / "library")

    assert untouched(tmp_path / "library")


@pytest.mark.parametrize("value", [None, [], "image", {"0": None}])
def test_inputs_without_names_are_described_all_the_same(tmp_path: Path, value: object) -> None:
    root = make_zoo_bundle(tmp_path)
    edit(root, "metadata", lambda c: c["network_data_format"]["inputs"]["image"].update(channel_def=value))

    assert describe(root).content["inputs"][0]["channels"][0]["modality"] == "CT"


def test_texts_that_cannot_be_printed_are_described_without_what_cannot(tmp_path: Path) -> None:
    root = make_zoo_bundle(tmp_path)
    edit(root, "metadata", lambda c: c.update(description="  two\n lines\x07 ", name=None, task=" "))

    content = describe(root).content

    assert content["intended_use"]["en"] == "two lines"
    assert content["title"]["en"] == root.name


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.update(preprocessing=[1]),
        lambda c: c.update(preprocessing={"_target_": "Compose", "transforms": "x"}),
        lambda c: c.update(inferer=[]),
        lambda c: c.update(inferer="$None"),
        lambda c: c.update(postprocessing=3),
        lambda c: c.update(network_def=[1, 2]),
    ],
)
def test_a_configuration_of_odd_shape_is_one_sentence(
    tmp_path: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    root = make_bundle(tmp_path)
    edit(root, "inference", change)

    with pytest.raises(errors.BundleError) as caught:
        add(str(root), tmp_path / "library")

    assert caught.value.message.endswith((".", ";"))
    assert untouched(tmp_path / "library")


def test_a_configuration_nested_without_end_is_one_sentence(tmp_path: Path) -> None:
    root = make_zoo_bundle(tmp_path)
    (root / "configs" / "metadata.json").write_text("[" * 100_000, encoding="utf-8")

    with pytest.raises(errors.BadMetadata, match=r"metadata\.json"):
        add(str(root), tmp_path / "library")


def test_a_configuration_that_is_a_folder_is_one_sentence(tmp_path: Path) -> None:
    root = make_zoo_bundle(tmp_path)
    (root / "configs" / "metadata.json").unlink()
    (root / "configs" / "metadata.json").mkdir()

    with pytest.raises(errors.BadMetadata, match=r"metadata\.json cannot be read"):
        add(str(root), tmp_path / "library")


def test_british_spelling_of_the_licence_is_a_licence(tmp_path: Path) -> None:
    root = make_zoo_bundle(tmp_path)
    (root / "LICENSE").rename(root / "LICENCE")

    assert add(str(root), tmp_path / "library").bundle.licence == "Apache-2.0"


def test_a_full_disk_leaves_the_library_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, library = make_zoo_bundle(tmp_path), tmp_path / "library"
    copy = shutil.copytree

    def full(source: Path, target: Path, *arguments: Any, **named: Any) -> Path:
        if library in Path(target).parents:
            Path(target).mkdir()
            raise OSError(28, "No space left on device")
        return copy(source, target, *arguments, **named)

    monkeypatch.setattr("shutil.copytree", full)

    with pytest.raises(errors.UnreadableBundle, match="No space left"):
        add(str(root), library)

    assert list(library.iterdir()) == []


def test_whatever_no_rule_foresaw_is_a_refusal_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def surprised(*_arguments: Any) -> None:
        raise KeyError("planted")

    monkeypatch.setattr(adding, "check_large_files", surprised)

    with pytest.raises(errors.UnreadableBundle, match="KeyError"):
        add(str(make_zoo_bundle(tmp_path)), tmp_path / "library")

    assert untouched(tmp_path / "library")
