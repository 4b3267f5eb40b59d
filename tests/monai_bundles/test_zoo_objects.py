"""Networks that tell single objects apart: the objects become a structure, or one of each type that has a name."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

import monai_bundles as mb
from imaging.volume import Volume
from monai_bundles import errors
from monai_bundles.adding.add import add
from monai_bundles.adding.describe import describe
from tests.monai_bundles.making import GRIDS, make_volume
from tests.monai_bundles.zoo_making import HIGH, LOW, make_zoo_bundle, metadata, post, pre

STEPS = '''
import torch
from monai.transforms import MapTransform
from scipy import ndimage


class NuclearTypePostProcessing(MapTransform):
    """Numbers the objects, and gives each a type: two types, from the two limits of the planted network."""

    def __call__(self, data):
        types = data["pred"].argmax(dim=0, keepdim=True)
        numbers, _ = ndimage.label((types > 0).numpy())
        del data["pred"]
        return {**data, "instance_map": torch.as_tensor(numbers), "type_map": types.float()}
'''


def bundle_of(tmp_path: Path, names: dict[str, str]) -> tuple[mb.Bundle, tuple[str, ...]]:
    """A bundle that numbers objects, with what `describe` could not tell of it."""
    steps = post({"_target_": "scripts.steps.NuclearTypePostProcessing", "keys": "pred"})
    root = make_zoo_bundle(tmp_path, config={"preprocessing": pre(), "postprocessing": steps}, meta=metadata(names))
    (root / "scripts").mkdir()
    (root / "scripts" / "__init__.py").write_text("", encoding="utf-8")
    (root / "scripts" / "steps.py").write_text(STEPS, encoding="utf-8")
    notes = describe(root).notes
    return add(str(root), tmp_path / "library", trust=True).bundle, notes


def found(bundle: mb.Bundle, volume: Volume) -> dict[str, Any]:
    """The structures of a run."""
    return {s.name: s.region.mask() for s in mb.run_bundle(bundle, volume, device="cpu").structures}


def test_objects_whose_types_have_no_names_become_one_structure(tmp_path: Path) -> None:
    bundle, notes = bundle_of(tmp_path, {"0": "background", "1": "nuclei"})
    volume = make_volume(GRIDS["oblique"]())
    expected = (volume.array > HIGH) | (volume.array < LOW)

    masks = found(bundle, volume)

    assert ndimage.label(expected)[1] > 2
    assert list(masks) == ["nuclei"]
    assert np.array_equal(masks["nuclei"], expected)
    assert any("types of objects" in note for note in notes)


def test_objects_whose_types_have_names_stay_apart(tmp_path: Path) -> None:
    bundle, notes = bundle_of(tmp_path, {"0": "background", "1": "epithelial", "2": "inflammatory"})
    volume = make_volume(GRIDS["oblique"]())

    masks = found(bundle, volume)

    assert np.array_equal(masks["epithelial"], volume.array > HIGH)
    assert np.array_equal(masks["inflammatory"], volume.array < LOW)
    assert not any("types of objects" in note for note in notes)


@pytest.mark.parametrize("step", ["HoVerNetInstanceMapPostProcessingd", "RemoveSmallObjectsd", "Watershedd"])
def test_steps_that_call_scikit_image_are_refused_by_its_name_when_the_bundle_is_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "skimage" else real(name, *a))
    config = {"postprocessing": post({"_target_": step, "keys": "pred"})}

    with pytest.raises(errors.MissingPackages, match="skimage"):
        add(str(make_zoo_bundle(tmp_path, config=config)), tmp_path / "library")
