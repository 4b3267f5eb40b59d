"""Windows are joined as MONAI joins them, to the last bit, and what is left out counts as background."""

from typing import Any

import numpy as np
import pytest
import torch
from monai.inferers import SimpleInferer, SlidingWindowInferer
from monai.networks.nets import BasicUNet

from monai_bundles.blending import is_plain, joined

WINDOW = (16, 32, 16)


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    """A small network with random weights."""
    torch.manual_seed(20261123)
    return BasicUNet(3, 2, 3, features=(4, 4, 8, 8, 8, 4), norm="batch").eval()


def image(*shape: int) -> torch.Tensor:
    """Noise (1, 2, ...)."""
    return torch.randn((1, 2, *shape), generator=torch.Generator().manual_seed(7))


@pytest.mark.parametrize("shape", [(25, 38, 29), (9, 21, 13), WINDOW, (37, 20, 17)], ids=str)
@pytest.mark.parametrize(("mode", "overlap"), [("constant", 0.25), ("gaussian", 0.25), ("gaussian", (0.5, 0.25, 0.1))])
def test_every_bit_is_that_of_monai(network: torch.nn.Module, shape: Any, mode: str, overlap: Any) -> None:
    inferer = SlidingWindowInferer(WINDOW, overlap=overlap, mode=mode, cval=-0.5)
    values = image(*shape)

    with torch.inference_mode():
        expected, ours = inferer(values, network), joined(inferer, network, values)

    assert ours is not None
    assert torch.equal(ours.output, expected)
    assert ours.computed == ours.windows


def test_what_is_left_out_is_background_and_inside_nothing_changes(network: torch.nn.Module) -> None:
    inferer = SlidingWindowInferer(WINDOW, overlap=0.25, mode="gaussian")
    values = image(25, 70, 50)
    inside = np.zeros((25, 70, 50), dtype=bool)
    inside[3:19, 44:60, 4:22] = True

    with torch.inference_mode():
        expected = inferer(values, network)
        ours = joined(inferer, network, values, inside, lambda channels: np.array([0.0, -30.0, -30.0], np.float32))

    assert ours is not None
    assert ours.computed < ours.windows / 2
    assert torch.equal(ours.output[0][:, inside], expected[0][:, inside])
    corner = ours.output[0, :, 20:, :20, 40:]
    assert torch.allclose(corner[0], torch.zeros(()))
    assert torch.allclose(corner[1:], torch.tensor(-30.0))


def test_a_network_that_gives_no_image_of_the_windows_size_is_left_to_monai() -> None:
    inferer = SlidingWindowInferer(WINDOW, overlap=0.25)
    values = image(25, 70, 50)

    assert joined(inferer, torch.nn.AvgPool3d(2), values) is None
    assert joined(inferer, lambda window: (window, window), values) is None  # type: ignore[arg-type]
    assert joined(inferer, torch.nn.Identity(), values, np.zeros((25, 70, 50), dtype=bool)) is None


def test_only_plain_windows_of_a_fixed_size_are_joined_here() -> None:
    assert is_plain(SlidingWindowInferer(WINDOW, overlap=0.25))
    for inferer in (
        SimpleInferer(),
        SlidingWindowInferer((16, -1, 16)),
        SlidingWindowInferer(16),
        SlidingWindowInferer(WINDOW, padding_mode="reflect"),
        SlidingWindowInferer(WINDOW, buffer_steps=2),
        SlidingWindowInferer(WINDOW, sw_device="cuda"),
    ):
        assert not is_plain(inferer)
