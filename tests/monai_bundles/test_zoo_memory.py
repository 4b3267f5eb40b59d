"""Windows become smaller before memory runs out, and where nothing helps the run fails with a sentence."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import monai_bundles as mb
from imaging.volume import Volume
from monai_bundles import errors, memory
from tests.monai_bundles.making import GRIDS, make_volume
from tests.monai_bundles.test_zoo import added
from tests.monai_bundles.zoo_making import HIGH


@pytest.fixture
def volume() -> Volume:
    """The planted image on an oblique grid."""
    return make_volume(GRIDS["oblique"]())


def test_windows_become_smaller_before_memory_runs_out(
    tmp_path: Path, volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {"inferer": {"_target_": "SlidingWindowInferer", "roi_size": [64, 64, 64], "overlap": 0.25}}
    bundle = added(tmp_path, config=config)
    needed = [memory.network_bytes(_network(), (1, 1, n, n, n)) for n in (64, 32)]
    monkeypatch.setattr(
        "monai_bundles.memory.available_bytes", lambda _device: memory.WORKSPACE_BYTES + int(needed[0] * 0.9)
    )

    output = mb.run_bundle(bundle, volume, device="cpu")

    assert needed[1] < needed[0] / 7
    assert any("32 x 32 x 32" in sentence for sentence in output.warnings)
    assert np.array_equal(output.structures[0].region.mask(), volume.array > HIGH)


def _network() -> Any:
    import torch

    return torch.nn.Conv3d(1, 3, 1)


def test_memory_that_does_not_do_is_an_honest_failure(
    tmp_path: Path, volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monai_bundles.memory.available_bytes", lambda _device: 1000)

    with pytest.raises(errors.NotEnoughMemory, match="smallest windows"):
        mb.run_bundle(added(tmp_path), volume, device="cpu")


def test_a_network_that_runs_out_of_memory_is_tried_with_smaller_windows(
    tmp_path: Path, volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    config = {"inferer": {"_target_": "SlidingWindowInferer", "roi_size": [64, 64, 64], "overlap": 0.25}}
    bundle = added(tmp_path, config=config)
    forward = torch.nn.Conv3d.forward

    def starving(self: Any, image: Any) -> Any:
        if image.device.type == "cpu" and image.shape[-1] > 32:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: planted")
        return forward(self, image)

    monkeypatch.setattr(torch.nn.Conv3d, "forward", starving)

    output = mb.run_bundle(bundle, volume, device="cpu")

    assert any("32 x 32 x 32" in sentence for sentence in output.warnings)
