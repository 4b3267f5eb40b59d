"""A bundle is tried on a made image when it is added: what would fail on the first patient is refused by its entry."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import monai_bundles as mb
from monai_bundles import errors, memory
from monai_bundles.adding.add import add
from monai_bundles.adding.describe import describe
from monai_bundles.adding.record import read_record
from monai_bundles.dry_run import dry_run
from monai_bundles.registry import load_bundle
from tests.monai_bundles.colour_making import classifier_folder, segmenter_folder
from tests.monai_bundles.making import edit, make_bundle, threshold_weights
from tests.monai_bundles.zoo_making import (
    make_zoo_bundle,
    metadata,
    post,
    pre,
    threshold_network,
    threshold_state,
)

OUTPUTS = {"0": "background", "1": "spleen", "2": "left lung"}


THIRTY_NINE = {"0": "background", **{str(n): f"part {n} x" for n in range(1, 39)}}


def convolution(dims: int = 3, channels_in: int = 1, channels_out: int = 3) -> tuple[dict[str, Any], dict[str, Any]]:
    """A network and weights for it."""
    import torch

    network = threshold_network(dims) | {"in_channels": channels_in, "out_channels": channels_out}
    ones = (1,) * dims
    return network, {"weight": torch.ones(channels_out, channels_in, *ones), "bias": torch.zeros(channels_out)}


def with_network(folder: Path, *, outputs: dict[str, str] | None = None, **shape: int) -> Path:
    """A bundle with another network."""
    network, state = convolution(**shape)
    return make_zoo_bundle(folder, config={"network_def": network}, state=state, meta=metadata(outputs or OUTPUTS))


def spoilt_weights(folder: Path, value: float) -> Path:
    """A bundle whose weights hold one value that is no number."""
    state = threshold_state()
    state["bias"][1] = value
    return make_zoo_bundle(folder, state=state)


def with_spatial_shape(folder: Path, shape: list[int]) -> Path:
    root = make_zoo_bundle(folder)
    edit(root, "metadata", lambda c: c["network_data_format"]["inputs"]["image"].update(spatial_shape=shape))
    return root


def with_radgate(root: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """The bundle with a radgate.json that somebody wrote by hand."""
    describe(root).write(root)
    edit(root, "radgate", change)
    return root


def as_form(form: str) -> Callable[[dict[str, Any]], object]:
    """Another form of output than the network's."""
    return lambda content: content.update(output={"form": form}, empty_windows="compute")


def with_step(folder: Path, name: str, *steps: dict[str, Any]) -> Path:
    """A bundle with other steps before or after its network."""
    return make_zoo_bundle(folder, config={name: pre(*steps) if name == "preprocessing" else post(*steps)})


IN_PLANES = {
    "_target_": "Compose",
    "transforms": [{"_target_": "LoadImaged", "keys": "image"}, {"_target_": "EnsureChannelFirstd", "keys": "image"}],
}

WINDOWS_IN_PLANES = {"_target_": "SlidingWindowInferer", "roi_size": [48, 64], "sw_batch_size": 2, "overlap": 0.5}

FOREGROUND = {"_target_": "CropForegroundd", "keys": "image", "source_key": "image"}
ARGMAX = {"_target_": "AsDiscreted", "keys": "pred", "argmax": True}


@pytest.mark.parametrize(
    ("made", "kind", "named"),
    [
        (lambda f: with_network(f, dims=1), errors.WrongDimensions, "has 1 spatial dimensions"),
        (lambda f: with_spatial_shape(f, [16, 16]), errors.WrongDimensions, "spatial_shape"),
        (lambda f: with_network(f, channels_in=7), errors.WrongChannels, "takes 7 channels, and `inputs`"),
        (lambda f: with_network(f, channels_out=4), errors.UnlabelledOutput, "can give the label 3"),
        (
            lambda f: with_network(f, channels_out=40, outputs=THIRTY_NINE),
            errors.UnlabelledOutput,
            "can give the label 39",
        ),
        (
            lambda f: make_zoo_bundle(f, meta=metadata({"0": "background", "1": "spleen"})),
            errors.UnlabelledOutput,
            "can give the label 2",
        ),
        (
            lambda f: make_zoo_bundle(f, meta=metadata({**OUTPUTS, "3": "liver"})),
            errors.UnlabelledOutput,
            "names the label 3",
        ),
        (lambda f: spoilt_weights(f, float("nan")), errors.BrokenWeights, "values in bias"),
        (lambda f: spoilt_weights(f, float("inf")), errors.BrokenWeights, "values in bias"),
        (
            lambda f: make_zoo_bundle(f, config={"inferer": WINDOWS_IN_PLANES}),
            errors.BundleFailed,
            "`inferer`",
        ),
        (
            lambda f: with_step(
                f, "preprocessing", {"_target_": "ScaleIntensityd", "keys": "image", "minv": 0.0, "maxv": float("inf")}
            ),
            errors.WrongOutput,
            "no numbers",
        ),
        (
            lambda f: with_step(f, "preprocessing", {"_target_": "NoSuchStepd", "keys": "image"}),
            errors.CodeNotTrusted,
            "NoSuchStepd",
        ),
        (
            lambda f: with_step(f, "preprocessing", {"_target_": "Spacingd", "keys": "other", "pixdim": [1, 1, 1]}),
            errors.BundleFailed,
            "`preprocessing`",
        ),
        (
            lambda f: with_step(f, "postprocessing", {**ARGMAX, "keys": "nothing"}),
            errors.BundleFailed,
            "`postprocessing`",
        ),
        (
            lambda f: with_radgate(make_zoo_bundle(f), as_form("boxes")),
            errors.WrongOutput,
            "`output.form`",
        ),
        (
            lambda f: with_radgate(make_zoo_bundle(f), as_form("scores")),
            errors.WrongOutput,
            "`output.form`",
        ),
        (
            lambda f: with_radgate(make_zoo_bundle(f), lambda c: c.update(output={"form": "channels"})),
            errors.WrongOutput,
            "radgate.json",
        ),
        (
            lambda f: with_radgate(make_zoo_bundle(f), lambda c: c["structures"][0].update(label=7)),
            errors.UnlabelledOutput,
            "can give the label 1",
        ),
        (
            lambda f: with_radgate(make_zoo_bundle(f), lambda c: c["inputs"][0].update(repeat=3)),
            errors.WrongChannels,
            "takes 1 channels, and `inputs`",
        ),
        (
            lambda f: with_radgate(make_zoo_bundle(f), lambda c: c["inputs"][0].update(colours=True)),
            errors.WrongDimensions,
            "`inputs`",
        ),
        (
            lambda f: with_radgate(
                classifier_folder(f), lambda c: c["structures"].append({"label": 3, "name": "neither"})
            ),
            errors.WrongOutput,
            "2 scores for 3 classes",
        ),
        (
            lambda f: with_radgate(classifier_folder(f), lambda c: c.update(output={"form": "labels"})),
            errors.WrongOutput,
            "the network gives scores",
        ),
    ],
)  # fmt: skip
def test_what_would_fail_on_a_patient_is_refused_when_it_is_added(
    tmp_path: Path, made: Callable[[Path], Path], kind: type[errors.BundleError], named: str
) -> None:
    root = made(tmp_path)

    with pytest.raises(errors.BundleError) as caught:
        add(str(root), tmp_path / "library")

    assert type(caught.value) is kind
    assert named in caught.value.message
    assert not (tmp_path / "library").exists()


@pytest.mark.parametrize(
    ("made", "kind", "named"),
    [
        (lambda f: make_bundle(f, network=convolution(channels_in=7, channels_out=2)[0],
                               weights=convolution(channels_in=7, channels_out=2)[1]),
         errors.WrongChannels, "takes 7 channels"),
        (lambda f: make_bundle(f, network=convolution(dims=2, channels_out=2)[0],
                               weights=convolution(dims=2, channels_out=2)[1]),
         errors.WrongDimensions, "has 2 spatial dimensions"),
        (lambda f: make_bundle(f, structures=("Bone", "Lung_L", "Lung_R")), errors.WrongOutput, "structures"),
        (lambda f: make_bundle(f, weights=threshold_weights() | {"bias": threshold_weights()["bias"] * float("nan")}),
         errors.BrokenWeights, "values in bias"),
        (lambda f: make_bundle(f, steps=[{"_target_": "Spacingd", "keys": "other", "pixdim": [1, 1, 1]}]),
         errors.BundleFailed, "`preprocessing`"),
    ],
)  # fmt: skip
def test_networks_whose_channels_are_structures_are_tried_too(
    tmp_path: Path, made: Callable[[Path], Path], kind: type[errors.BundleError], named: str
) -> None:
    root = made(tmp_path)

    with pytest.raises(errors.BundleError) as caught:
        add(str(root), tmp_path / "library")

    assert type(caught.value) is kind
    assert named in caught.value.message
    assert not (tmp_path / "library").exists()


@pytest.mark.parametrize(
    "made",
    [
        make_zoo_bundle,
        make_bundle,
        classifier_folder,
        segmenter_folder,
        lambda f: make_zoo_bundle(
            f,
            config={"network_def": threshold_network(2), "preprocessing": IN_PLANES, "inferer": WINDOWS_IN_PLANES},
            state=threshold_state(2),
        ),
        lambda f: make_zoo_bundle(f, config={"inferer": {"_target_": "SimpleInferer"}}),
        lambda f: make_zoo_bundle(
            f,
            config={
                "network_def": threshold_network(2),
                "inferer": {"_target_": "SliceInferer", "roi_size": [64, 64], "spatial_dim": 2},
            },
            state=threshold_state(2),
        ),
        lambda f: with_step(f, "preprocessing", {"_target_": "Spacingd", "keys": "image", "pixdim": [3.0, 2.0, 4.0]}),
        lambda f: with_step(f, "preprocessing", FOREGROUND),
        lambda f: with_step(f, "preprocessing", {"_target_": "Resized", "keys": "image", "spatial_size": [24, 32, 16]}),
    ],
)  # fmt: skip
def test_a_sound_bundle_passes_and_is_as_it_was(tmp_path: Path, made: Callable[[Path], Path]) -> None:
    root = made(tmp_path)

    addition = add(str(root), tmp_path / "library")

    assert addition.added.not_tried == ""
    assert dry_run(addition.bundle) == ""


def test_a_network_that_needs_its_own_windows_is_tried_with_them(tmp_path: Path) -> None:
    import torch

    network = torch.nn.Sequential(torch.nn.Conv3d(1, 3, 1), torch.nn.Linear(48, 48))
    config = {
        "network_def": "$torch.nn.Sequential(torch.nn.Conv3d(1, 3, 1), torch.nn.Linear(48, 48))",
        "inferer": {"_target_": "SlidingWindowInferer", "roi_size": [48, 48, 48], "sw_batch_size": 1, "overlap": 0.25},
    }
    root = make_zoo_bundle(tmp_path, config=config, state=network.state_dict())

    addition = add(str(root), tmp_path / "library")

    from monai_bundles.zoo.workflow import load_workflow

    assert tuple(load_workflow(addition.bundle, "cpu").inferer.roi_size) == (48, 48, 48)
    assert addition.added.not_tried == ""


def test_too_little_memory_is_recorded_and_no_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monai_bundles.memory.available_bytes", lambda _device="cpu": 1)
    assert memory.available_bytes() == 1
    root = make_zoo_bundle(tmp_path)

    addition = add(str(root), tmp_path / "library")

    assert "not tried out" in addition.added.not_tried
    assert "memory" in addition.added.not_tried
    assert addition.notes[-1] == addition.added.not_tried
    kept = read_record(tmp_path / "library").entry(root.name).versions["0.5.3"]
    assert kept.not_tried == addition.added.not_tried


SCRIPT = '''
import os
import torch

class Network(torch.nn.Conv3d):
    """Leaves a trace of the process in which it ran."""

    def forward(self, image):
        with open(os.path.join(os.getcwd(), "docs", "pid.txt"), "w") as stream:
            stream.write(str(os.getpid()))
        {line}
        return super().forward(image)
'''


def foreign(folder: Path, line: str = "", **config: Any) -> Path:
    """A bundle with a network of its own."""
    target = {"_target_": "scripts.net.Network", **{k: v for k, v in threshold_network().items() if k != "_target_"}}
    root = make_zoo_bundle(folder, config={"network_def": target, **config})
    (root / "scripts").mkdir()
    (root / "scripts" / "__init__.py").write_text("", encoding="utf-8")
    (root / "scripts" / "net.py").write_text(SCRIPT.format(line=line), encoding="utf-8")
    return root


def test_code_of_its_own_is_tried_in_a_process_of_its_own(tmp_path: Path) -> None:
    import os

    root = foreign(tmp_path)
    describe(root).write(root)
    bundle = replace(load_bundle(root), trusted=True)

    assert dry_run(bundle) == ""

    assert int((root / "docs" / "pid.txt").read_text(encoding="utf-8")) != os.getpid()


def test_code_of_its_own_that_raises_is_refused_when_it_is_added(tmp_path: Path) -> None:
    root = foreign(tmp_path, line="raise KeyError('planted')")

    with pytest.raises(errors.BundleFailed, match=r"`network_def`.*KeyError"):
        add(str(root), tmp_path / "library", trust=True)

    assert not (tmp_path / "library").exists()


def test_code_of_its_own_that_hangs_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monai_bundles.dry_run.start.LIMIT_S", 4.0)
    root = foreign(tmp_path, line="import time; time.sleep(600)")
    describe(root).write(root)
    bundle = replace(load_bundle(root), trusted=True)
    began = time.monotonic()

    assert "not tried out" in dry_run(bundle)

    assert time.monotonic() - began < 100


@pytest.mark.parametrize(
    "name", ["ct_body_segmentation", "pet_ct_lesion_segmentation", "head_neck_ct_oar_segmentation"]
)
def test_what_ships_passes_the_dry_run(name: str) -> None:
    assert dry_run(mb.find(name)) == ""


def test_image_processing_that_finds_what_nobody_declared_is_refused(tmp_path: Path) -> None:
    import shutil

    from monai_bundles.registry import SHIPPED

    root = tmp_path / "ct_body_segmentation"
    shutil.copytree(SHIPPED / root.name, root)
    edit(root, "radgate", lambda c: c["structures"][0].update(name="Skin"))
    edit(root, "metadata", lambda c: c["network_data_format"]["outputs"].clear())

    with pytest.raises(errors.WrongOutput, match="does not declare"):
        add(str(root), tmp_path / "library")

    assert not (tmp_path / "library").exists()
