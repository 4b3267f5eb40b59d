"""Every repair of the list does what it says, where it is needed and nowhere else."""

from typing import Any

import pytest

from monai_bundles.repairs import Repair, all_repairs, repair_config, repair_modules


def broken(repair: Repair) -> dict[str, Any]:
    """A configuration that needs a repair."""
    kind = repair["kind"]
    if kind == "replace_text":
        return {"a": [f"${repair['text']}([2, 3])"]}
    entry: dict[str, Any] = {"_target_": f"monai.somewhere.{repair.get('target', 'Anything')}"}
    if kind == "set_argument":
        entry[repair["argument"]] = repair["when"]
    elif kind != "rename_target":
        entry[repair["argument"]] = 7
    return {"a": {"b": [entry]}}


CONFIG_REPAIRS = [r for r in all_repairs() if r["kind"] != "module_attribute"]


@pytest.mark.parametrize("repair", CONFIG_REPAIRS, ids=lambda r: r["id"])
def test_a_repair_changes_what_it_is_for_and_says_so(repair: Repair) -> None:
    config = broken(repair)

    applied = repair_config(config)

    assert repair["id"] in applied
    assert repair["id"] not in repair_config(config), "once is enough"


@pytest.mark.parametrize("repair", CONFIG_REPAIRS, ids=lambda r: r["id"])
def test_a_repair_says_since_when_it_is_needed(repair: Repair) -> None:
    assert not repair["library"] or repair["removed_in"]


def test_a_sound_configuration_is_left_alone() -> None:
    config = {
        "network_def": {"_target_": "UNet", "spatial_dims": 3, "channels": [4, 8], "pretrained": False},
        "x": ["$np.prod([1, 2])", {"_target_": "EnsureChannelFirstd", "keys": "image"}],
    }
    before = str(config)

    assert repair_config(config) == ()
    assert str(config) == before


def test_a_renamed_argument_keeps_its_value() -> None:
    config: dict[str, Any] = {"net": {"_target_": "UNet", "dimensions": 3}}

    repair_config(config)

    assert config["net"] == {"_target_": "UNet", "spatial_dims": 3}


def test_code_of_a_bundle_finds_names_that_numpy_no_longer_has(monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy

    for repair in all_repairs():
        if repair["kind"] == "module_attribute":
            monkeypatch.delattr(numpy, repair["attribute"], raising=False)

    applied = repair_modules("import numpy as np\nsize = int(np.product((2, 3)))\n")

    assert applied == ("numpy-product-in-code",)
    assert getattr(numpy, "product")([2, 3]) == 6  # noqa: B009 - numpy no longer declares it
    for repair in all_repairs():
        if repair["kind"] == "module_attribute":
            monkeypatch.delattr(numpy, repair["attribute"], raising=False)
