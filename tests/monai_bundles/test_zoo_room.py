"""Memory is asked for before the network is, in every form of run: planes, pictures, scores, and whole images."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import monai_bundles as mb
from imaging.pictures import Pictures
from imaging.volume import Volume
from monai_bundles import errors, memory
from monai_bundles.registry import load_bundle
from tests.monai_bundles.colour_making import classifier_folder, is_red, segmenter_folder
from tests.monai_bundles.making import GRIDS, make_bundle, make_volume
from tests.monai_bundles.test_zoo import added
from tests.monai_bundles.test_zoo_classification import classifier
from tests.monai_bundles.test_zoo_pictures import taken_in
from tests.monai_bundles.zoo_making import HIGH, threshold_network, threshold_state
from tests.synthetic.pictures import coloured

Limit = Callable[[int], None]
PLAIN = {
    "_target_": "Compose",
    "transforms": [
        {"_target_": "LoadImaged", "keys": "image"},
        {"_target_": "EnsureChannelFirstd", "keys": "image"},
    ],
}


@pytest.fixture
def volume() -> Volume:
    """The planted image on an oblique grid."""
    return make_volume(GRIDS["oblique"]())


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> Limit:
    """Plants how many bytes there are beside a network's workspace."""

    def plant(size_bytes: int) -> None:
        monkeypatch.setattr(memory, "available_bytes", lambda _device: memory.WORKSPACE_BYTES + size_bytes)

    return plant


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Shapes of the images that a convolution really computed."""
    seen: list[tuple[int, ...]] = []
    for kind in (torch.nn.Conv2d, torch.nn.Conv3d):

        def noted(self: Any, image: Any, real: Any = kind.forward) -> Any:
            if image.device.type != "meta":
                seen.append(tuple(image.shape))
            return real(self, image)

        monkeypatch.setattr(kind, "forward", noted)
    return seen


def in_planes(folder: Path, inferer: dict[str, Any]) -> mb.Bundle:
    config = {"network_def": threshold_network(2), "inferer": inferer, "preprocessing": PLAIN}
    return added(folder, state=threshold_state(2), config=config)


def test_planes_are_refused_before_the_first_is_computed(
    tmp_path: Path, volume: Volume, limit: Limit, computed: list[tuple[int, ...]]
) -> None:
    bundle = in_planes(tmp_path, {"_target_": "SimpleInferer"})
    computed.clear()
    limit(volume.array.size * 4)  # what all planes' outputs take is more than one of them

    with pytest.raises(errors.NotEnoughMemory, match=r"needs about \d+ MiB and there are \d+ MiB"):
        mb.run_bundle(bundle, volume, device="cpu")

    assert computed == []


def test_planes_get_smaller_windows_before_memory_runs_out(tmp_path: Path, volume: Volume, limit: Limit) -> None:
    inferer = {"_target_": "SlidingWindowInferer", "roi_size": [512, 512], "sw_batch_size": 1, "overlap": 0.25}
    bundle = in_planes(tmp_path, inferer)
    network = torch.nn.Conv2d(1, 3, 1)
    limit(memory.network_bytes(network, (1, 1, 512, 512)))

    output = mb.run_bundle(bundle, volume, device="cpu")

    assert any("256 x 256" in sentence for sentence in output.warnings)
    assert np.array_equal(output.structures[0].region.mask(), volume.array > HIGH)


def test_the_masks_of_a_film_count(tmp_path: Path, limit: Limit, computed: list[tuple[int, ...]]) -> None:
    bundle = replace(taken_in(segmenter_folder(tmp_path), tmp_path), trusted=False)
    pictures = np.concatenate([coloured()] * 8)
    masks = 2 * pictures.size // 3  # one structure
    limit(masks + 20_000)  # one picture needs about 78,000 with its own masks
    computed.clear()

    with pytest.raises(errors.NotEnoughMemory):
        mb.run_bundle(bundle, Pictures(pictures), device="cpu")

    assert computed == []
    found = mb.run_bundle(bundle, Pictures(coloured()[:1]), device="cpu")
    assert np.array_equal(found.structures[0].region.mask(), is_red(coloured()[:1]))


def test_scores_of_planes_are_refused_before_the_first_is_computed(
    tmp_path: Path, limit: Limit, computed: list[tuple[int, ...]]
) -> None:
    grid = GRIDS["oblique"]()
    bundle = classifier(tmp_path, {"0": "A", "1": "B"})
    computed.clear()
    limit(math.prod(grid.shape))

    with pytest.raises(errors.NotEnoughMemory):
        mb.run_bundle(bundle, make_volume(grid, unit="1"), device="cpu")

    assert computed == []


def test_scores_of_pictures_are_refused_before_the_first_is_computed(
    tmp_path: Path, limit: Limit, computed: list[tuple[int, ...]]
) -> None:
    bundle = replace(taken_in(classifier_folder(tmp_path), tmp_path), trusted=False)
    computed.clear()
    limit(1000)

    with pytest.raises(errors.NotEnoughMemory):
        mb.run_bundle(bundle, Pictures(coloured()), device="cpu")

    assert computed == []


def test_where_only_the_heat_map_has_no_room_the_scores_stay_and_a_note_says_so(tmp_path: Path, limit: Limit) -> None:
    grid = GRIDS["oblique"]()
    image = make_volume(grid, unit="1")
    bundle = classifier(tmp_path, {"0": "A", "1": "B"})
    plenty = mb.run_bundle(bundle, image, device="cpu")

    def shrink(_share: float, step: str) -> None:
        if step == "heat map":
            limit(1000)

    output = mb.run_bundle(bundle, image, shrink, device="cpu")

    assert plenty.heat_map is not None and output.heat_map is None
    assert output.scores == plenty.scores
    assert any("map of where the scores come from" in sentence for sentence in output.warnings)


@pytest.mark.parametrize(
    "inferer", [{"_target_": "SimpleInferer"}, {"_target_": "SlidingWindowInferer", "roi_size": [-1, -1, -1]}]
)
def test_a_network_that_takes_the_whole_image_is_refused_before_it_is_computed(
    tmp_path: Path, volume: Volume, limit: Limit, computed: list[tuple[int, ...]], inferer: dict[str, Any]
) -> None:
    bundle = load_bundle(make_bundle(tmp_path, inferer=inferer))
    limit(volume.array.size * 4)

    with pytest.raises(errors.NotEnoughMemory, match="free memory"):
        mb.run_bundle(bundle, volume, device="cpu")

    assert computed == []
    limit(volume.array.size * 400)
    assert mb.run_bundle(bundle, volume, device="cpu").structures


def test_windows_written_as_one_number_become_smaller_too(tmp_path: Path, volume: Volume, limit: Limit) -> None:
    inferer = {"_target_": "SlidingWindowInferer", "roi_size": 64, "sw_batch_size": 1, "overlap": 0.25}
    bundle = load_bundle(make_bundle(tmp_path, inferer=inferer))
    limit(int(0.5 * 64**3 * 2 * 4))

    output = mb.run_bundle(bundle, volume, device="cpu")

    assert any("32 x 32 x 32" in sentence for sentence in output.warnings)
