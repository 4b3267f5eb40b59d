"""Bundles of the Model Zoo have engines too, judged by what their own postprocessing decides, and leave air out."""

import json
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import monai_bundles as mb
from contouring.suv import SUVBW_UNIT, suv_volume
from dicom_gateway.cli.bundles import app
from imaging.series import load_volume, scan
from imaging.volume import Volume
from monai_bundles import errors
from monai_bundles.adding.add import add
from monai_bundles.adding.describe import describe
from monai_bundles.engines import choice, selection
from monai_bundles.engines.agreement import compare
from monai_bundles.engines.benchmark import benchmark
from monai_bundles.engines.kinds import ENGINES, EngineNetwork, available_engines
from monai_bundles.registry import load_bundle
from monai_bundles.zoo.deciding import Decision, decision_of
from monai_bundles.zoo.workflow import load_workflow
from tests.conftest import data_folder
from tests.monai_bundles.making import GRIDS, grid_of, make_volume
from tests.monai_bundles.zoo_making import HIGH, LOW, USUAL_OUTPUTS, make_zoo_bundle, metadata, post

SIGMOID = {"_target_": "Activationsd", "keys": "pred", "sigmoid": True}
LIMIT = {"_target_": "AsDiscreted", "keys": "pred", "threshold": 0.5}
FORMS: dict[str, dict[str, Any]] = {
    "labels": {},
    "channels": {
        "config": {"postprocessing": post(SIGMOID, LIMIT)},
        "meta": metadata({"0": "background", "1": "spleen", "2": "left lung"}),
    },
}


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine on which nothing was chosen, where every network is worth an engine; the folder of its choices."""
    monkeypatch.setattr(selection, "_built", OrderedDict())
    monkeypatch.setattr(selection, "_heavy", {})
    monkeypatch.setattr(selection, "LIGHT_FLOPS", 1.0)
    monkeypatch.setattr(choice, "CACHE", tmp_path / "choices")
    return tmp_path / "choices"


def plant(monkeypatch: pytest.MonkeyPatch, change: Any) -> list[int]:
    """An engine that is fastest of all and changes the outputs; how many windows each of its builds computed."""
    built: list[int] = []

    def make(network: torch.nn.Module, _shape: Any) -> EngineNetwork:
        built.append(0)

        def compute(window: torch.Tensor) -> torch.Tensor:
            built[-1] += 1
            return change(network(window))

        return EngineNetwork("planted", compute)

    def timed(engine: EngineNetwork, windows: Any) -> Any:
        with torch.inference_mode():
            return [engine(window) for window in windows], 0.1 if engine.engine == "planted" else 1.0

    monkeypatch.setitem(ENGINES, "planted", ("torch", make))
    monkeypatch.setattr(choice, "available_engines", lambda: ("eager", "planted"))
    monkeypatch.setattr(choice, "_timed", timed)
    return built


def added(tmp_path: Path, form: str) -> mb.Bundle:
    """A planted bundle of a form, taken in."""
    root = make_zoo_bundle(tmp_path, **FORMS[form])
    content = {**describe(root).content, "output": {"form": form}, "empty_windows": "compute"}
    (root / "configs" / "radgate.json").write_text(json.dumps(content), encoding="utf-8")
    return add(str(root), tmp_path / "library").bundle


def masks(bundle: mb.Bundle, volume: Volume) -> dict[str, Any]:
    """What a run gives, by name."""
    return {s.name: s.region.mask() for s in mb.run_bundle(bundle, volume, device="cpu").structures}


@pytest.mark.parametrize("form", FORMS)
def test_an_engine_with_other_labels_is_refused(
    tmp_path: Path, machine: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    plant(monkeypatch, lambda output: output.flip(1))
    volume = make_volume(GRIDS["oblique"]())

    found = masks(added(tmp_path, form), volume)

    (file,) = machine.iterdir()
    kept = json.loads(file.read_text(encoding="utf-8"))
    assert kept["engine"] == "eager"
    assert "differ" in next(t["reason"] for t in kept["trials"] if t["engine"] == "planted")
    assert np.array_equal(found["Spleen"], volume.array > HIGH)


@pytest.mark.parametrize("form", FORMS)
def test_a_choice_is_made_once_and_the_first_study_has_the_answer_of_every_later_one(
    tmp_path: Path, machine: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    built = plant(monkeypatch, lambda output: output + 1e-4)
    volume, bundle = make_volume(GRIDS["oblique"]()), added(tmp_path, form)

    first = masks(bundle, volume)
    tried = built[-1]
    monkeypatch.setattr(selection, "choose", None)  # from here on nothing more is measured
    second = masks(bundle, volume)
    selection._built.clear()  # another process
    third = masks(bundle, volume)

    assert len(built) == 2, "one for the choice and the first studies, one in the other process"
    assert tried > 2 and built[0] > tried
    assert built[1] == built[0] - tried
    assert len(list(machine.iterdir())) == 1
    for name, mask in first.items():
        assert np.array_equal(mask, second[name])
        assert np.array_equal(mask, third[name])
    assert np.array_equal(first["Lung_L"], volume.array < LOW)


STEPS: dict[str, tuple[list[dict[str, Any]], Decision | None]] = {
    "softmax, argmax": (
        [{"_target_": "Activationsd", "keys": "pred", "softmax": True}, {**LIMIT, "threshold": None, "argmax": True}],
        Decision("argmax"),
    ),
    "sigmoid, limit": ([SIGMOID, {**LIMIT, "threshold": 0.3}], Decision("limit", "sigmoid", 0.3)),
    "an unknown step before": (
        [{"_target_": "Lambdad", "keys": "pred", "func": "$lambda x: 1 - x"}, SIGMOID, LIMIT],
        None,
    ),
    "nothing decides": ([SIGMOID], None),
}


@pytest.mark.parametrize("case", STEPS)
def test_what_decides_is_read_from_postprocessing(tmp_path: Path, case: str) -> None:
    steps, expected = STEPS[case]
    root = make_zoo_bundle(tmp_path, config={"postprocessing": post(*steps)})
    bundle = add(str(root), tmp_path / "library", trust=True).bundle

    found = decision_of(replace(bundle, output="labels"), load_workflow(replace(bundle, trusted=False), "cpu"))

    assert found == expected


def test_a_limit_is_judged_behind_its_activation() -> None:
    output = torch.tensor([[[[-0.5, 0.5, 3.0]], [[0.0, -3.0, -3.0]]]])

    assert Decision("limit", "sigmoid", 0.5).masks(output).tolist() == [
        [[False, True, True]],
        [[True, False, False]],
    ]
    assert Decision("limit", "softmax", 0.9).masks(output)[0].tolist() == [[False, True, True]]
    assert Decision("argmax").empty(3).argmax() == 0
    assert (
        not Decision("limit", "sigmoid")
        .masks(torch.from_numpy(Decision("limit", "sigmoid").empty(2)).reshape(1, 2, 1, 1))
        .any()
    )


def patient() -> Volume:
    """A cylinder of tissue with a dense rod in wide air, in which a dense crumb floats far from the body."""
    volume = make_volume(grid_of((2, 1, 0), (1, -1, 1), turned=True, shape=(24, 136, 190)))
    _, y, x = np.indices(volume.array.shape)
    array = np.full(volume.array.shape, -1000, dtype=np.int16)
    array[((y - 80) * 1.9) ** 2 + ((x - 110) * 1.3) ** 2 < 55**2] = 40
    array[:, 70:82, 100:121] = 900
    array[:, 90:94, 112:118] = -700
    array[3:6, 4:7, 5:9] = 900
    return replace(volume, array=array)


def test_windows_in_the_air_are_left_out_and_nothing_changes_inside_the_body(tmp_path: Path) -> None:
    root = make_zoo_bundle(tmp_path, config={"inferer": {"_target_": "SlidingWindowInferer", "roi_size": [16, 16, 16]}})
    assert describe(root).content["empty_windows"] == "skip"
    bundle = add(str(root), tmp_path / "library").bundle
    volume = patient()

    skipped = masks(bundle, volume)
    computed = masks(replace(bundle, empty_windows="compute"), volume)

    assert computed["Spleen"][4, 5, 6]
    assert not skipped["Spleen"][:, :20, :20].any()
    body = (slice(None), slice(48, 112), slice(64, 156))
    assert skipped["Spleen"][body].any() and skipped["Lung_L"][body].any()
    assert np.array_equal(skipped["Spleen"][body], computed["Spleen"][body])
    assert np.array_equal(skipped["Lung_L"][body], computed["Lung_L"][body])


def test_where_nothing_looks_like_a_patient_every_window_is_computed(tmp_path: Path) -> None:
    bundle = add(str(make_zoo_bundle(tmp_path)), tmp_path / "library").bundle
    volume = make_volume(GRIDS["oblique"]())

    assert bundle.empty_windows == "skip"
    assert np.array_equal(masks(bundle, volume)["Spleen"], volume.array > HIGH)


@pytest.mark.parametrize("changes", [{"empty_windows": "maybe"}, {"accepts": {"modalities": ["CT", "MR"]}}], ids=str)
def test_windows_are_left_out_on_ct_alone(tmp_path: Path, changes: dict[str, Any]) -> None:
    root = make_zoo_bundle(tmp_path)
    content = {**describe(root).content, **changes}
    (root / "configs" / "radgate.json").write_text(json.dumps(content), encoding="utf-8")

    with pytest.raises(errors.BadMetadata, match="empty_windows"):
        load_bundle(root)


def test_a_bench_measures_a_bundle_of_labels(tmp_path: Path) -> None:
    root = make_zoo_bundle(tmp_path, config={"inferer": {"_target_": "SlidingWindowInferer", "roi_size": [32, 48, 40]}})
    add(str(root), tmp_path / "library")

    outcome = CliRunner().invoke(app, ["bench", root.name, "--folder", str(tmp_path / "library"), "--json"])

    content = json.loads(outcome.stdout)
    assert content["same_windows"]["equal_voxels"] >= 0.999
    assert content["same_windows"]["least_dice"] >= 0.999
    assert content["same_windows"]["windows"] <= content["windows"]
    assert content["cropped"] is None


def test_a_bench_of_what_gives_no_labels_is_refused(tmp_path: Path) -> None:
    bundle = add(str(make_zoo_bundle(tmp_path, meta=metadata(USUAL_OUTPUTS))), tmp_path / "library").bundle

    for form in ("boxes", "scores"):
        with pytest.raises(errors.WrongOutput, match="nothing to compare"):
            benchmark(replace(bundle, output=form), make_volume(GRIDS["axial"]()))


@pytest.mark.data
@pytest.mark.engines
@pytest.mark.slow
def test_the_sarcoma_network_has_the_labels_of_eager_pytorch_with_every_engine_that_is_taken(machine: Path) -> None:
    folder = data_folder("sts_petct") / "STS_025"
    if "openvino" not in available_engines():
        pytest.skip("needs the package openvino of the group 'engines', which is not installed")
    stacks = {stack.modality: stack for stack in scan([folder]).stacks}
    ct, pet = load_volume(stacks["CT"]), suv_volume(load_volume(stacks["PT"]), list(stacks["PT"].headers))
    assert pet.unit == SUVBW_UNIT
    bundle = mb.find("soft_tissue_sarcoma_gtv_segmentation")

    def run() -> Any:
        output = mb.run_bundle(bundle, ct, device="cpu", companions={"PET": pet})
        return next(s.region.mask() for s in output.structures)

    found = run()
    kept = json.loads(next(machine.iterdir()).read_text(encoding="utf-8"))
    again = run()
    selection.LIGHT_FLOPS, before = float("inf"), selection.LIGHT_FLOPS
    selection._built.clear()
    selection._heavy.clear()
    try:
        expected = run()
    finally:
        selection.LIGHT_FLOPS = before

    assert kept["engine"] != "eager"
    assert np.array_equal(found, again)
    assert expected.any()
    assert compare(expected[None], found[None]).is_equal
