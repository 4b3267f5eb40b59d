"""An engine is taken only when its labels are those of eager PyTorch, and windows without a patient change nothing."""

import json
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.inferers import SimpleInferer, SlidingWindowInferer
from monai.networks.nets import BasicUNet

from monai_bundles.engines import choice, selection
from monai_bundles.engines import choice as choice_module
from monai_bundles.engines.agreement import compare
from monai_bundles.engines.choice import choice_of, choose, engine_of
from monai_bundles.engines.kinds import ENGINES, EngineNetwork, available_engines, supported_engines
from monai_bundles.engines.selection import masks_of_argmax, masks_of_sigmoid, selected_engine, warm_engine
from monai_bundles.memory import network_bytes, smaller_windows
from monai_bundles.windows import fullest_windows, slide, window_count

WINDOW = (16, 32, 16)


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is compiled or weighed yet."""
    monkeypatch.setattr(selection, "_built", OrderedDict())
    monkeypatch.setattr(selection, "_heavy", {})


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    """A small network with random weights."""
    torch.manual_seed(20261122)
    return BasicUNet(3, 2, 3, features=(4, 4, 8, 8, 8, 4), norm="batch").eval()


def image(shape: tuple[int, ...]) -> torch.Tensor:
    """Smooth noise (1, 2, ...)."""
    generator = torch.Generator().manual_seed(5)
    coarse = torch.randn((1, 2, *(max(2, n // 5) for n in shape)), generator=generator)
    return torch.nn.functional.interpolate(coarse, size=shape, mode="trilinear")


@pytest.mark.engines
@pytest.mark.parametrize("name", supported_engines())
def test_every_engine_gives_the_labels_of_eager_pytorch(network: torch.nn.Module, name: str) -> None:
    if name not in available_engines():
        pytest.skip(f"needs the package {ENGINES[name][0]} of the group 'engines', which is not installed")
    windows = image((2 * 16, 32, 16))
    batch = torch.cat([windows[:, :, :16], windows[:, :, 16:]])

    with torch.inference_mode():
        engine = ENGINES[name][1](network, (1, 2, *WINDOW))
        mine, expected = engine(batch), network(batch)

    assert compare(masks_of_sigmoid(mine), masks_of_sigmoid(expected)).is_equal
    assert torch.allclose(mine, expected, atol=1e-3)


@pytest.mark.engines
@pytest.mark.parametrize("name", ["eager", "openvino"])
def test_outputs_come_in_the_order_of_the_windows_also_after_a_reader_who_stopped(
    network: torch.nn.Module, name: str
) -> None:
    if name not in available_engines():
        pytest.skip(f"needs the package {ENGINES[name][0]} of the group 'engines', which is not installed")
    windows = list(image((8 * 16, 32, 16)).split(16, dim=2))
    with torch.inference_mode():
        engine = ENGINES[name][1](network, (1, 2, *WINDOW))
        stopped = engine.each(iter(windows))
        next(stopped)
        del stopped

        given = [output.clone() for output in engine.each(iter(windows))]

        assert len(given) == 8
        for window, output in zip(windows, given, strict=True):
            assert torch.allclose(output, network(window), atol=1e-3)


def test_the_fastest_engine_that_agrees_is_remembered(network: torch.nn.Module, tmp_path: Path) -> None:
    windows = [image(WINDOW)]

    chosen, engine = choose("digest" * 6, network, windows, masks_of_sigmoid, tmp_path)

    timed = {t.engine: t.seconds_per_window for t in chosen.trials if t.taken and t.seconds_per_window}
    assert chosen.engine == min(timed, key=lambda name: timed[name])
    assert engine.engine == chosen.engine
    assert choice_of("digest" * 6, (1, 2, *WINDOW), tmp_path) == chosen
    assert choice_of("digest" * 6, (1, 2, 8, 32, 16), tmp_path) is None, "windows of another size were not measured"
    assert choice_of("another", (1, 2, *WINDOW), tmp_path) is None
    assert isinstance(engine_of(chosen, network, (1, 2, *WINDOW)), EngineNetwork)


def test_an_engine_with_other_labels_is_never_taken(
    network: torch.nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(_network: Any, _shape: Any) -> EngineNetwork:
        return EngineNetwork("wrong", lambda window: -network(window))

    def broken(_network: Any, _shape: Any) -> EngineNetwork:
        raise RuntimeError("planted")

    monkeypatch.setitem(ENGINES, "wrong", ("torch", wrong))
    monkeypatch.setitem(ENGINES, "broken", ("torch", broken))
    monkeypatch.setattr(choice_module, "available_engines", lambda: ("eager", "wrong", "broken"))

    chosen, _ = choose("digest" * 6, network, [image(WINDOW)], masks_of_sigmoid, tmp_path)

    assert chosen.engine == "eager"
    by_name = {t.engine: t for t in chosen.trials}
    assert not by_name["wrong"].taken
    assert "differ" in by_name["wrong"].reason
    assert by_name["broken"].seconds_per_window is None


def test_a_damaged_choice_is_made_anew(tmp_path: Path) -> None:
    shape = (1, 2, *WINDOW)
    choice_module._remember("digest" * 6, shape, choice_module.Choice("eager", "m", ()), tmp_path)
    file = next(tmp_path.iterdir())
    file.write_text(json.dumps({"engine": "eager"}), encoding="utf-8")

    assert choice_of("digest" * 6, shape, tmp_path) is None


def test_an_engine_is_not_taken_by_labels_that_nobody_saw(
    network: torch.nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def coarse(_network: Any, _shape: Any) -> EngineNetwork:
        return EngineNetwork("coarse", lambda window: network(window) * 1.1 - 50.0)

    monkeypatch.setitem(ENGINES, "coarse", ("torch", coarse))
    monkeypatch.setattr(choice_module, "available_engines", lambda: ("eager", "coarse"))

    def nothing(output: torch.Tensor) -> Any:
        return np.zeros(output.shape[1:], dtype=bool)

    chosen, _ = choose("digest" * 6, network, [image(WINDOW)], nothing, tmp_path)

    assert chosen.engine == "eager"
    assert "not in sight" in chosen.trials[1].reason


def test_a_light_network_is_not_measured(network: torch.nn.Module, tmp_path: Path) -> None:
    inferer = SlidingWindowInferer(WINDOW, overlap=0.25)

    assert selected_engine("digest" * 6, network, inferer, image((20, 33, 18)), None, tmp_path) is network
    assert list(tmp_path.iterdir()) == []


def test_a_network_has_one_engine_for_studies_of_every_size(
    network: torch.nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, "LIGHT_FLOPS", 1.0)
    monkeypatch.setattr(choice, "available_engines", lambda: ("eager", "channels_last"))
    inferer = SlidingWindowInferer(WINDOW, overlap=0.25)

    small = selected_engine("digest" * 6, network, inferer, image((20, 33, 18)), None, tmp_path)
    monkeypatch.setattr(selection, "choose", None)  # from here on nothing more is measured
    large = selected_engine("digest" * 6, network, inferer, image((50, 70, 40)), None, tmp_path)
    selection._built.clear()  # another process
    again = selected_engine("digest" * 6, network, inferer, image((20, 33, 18)), None, tmp_path)

    assert isinstance(small, EngineNetwork) and isinstance(again, EngineNetwork)
    assert large is small
    assert again.engine == small.engine
    assert len(list(tmp_path.iterdir())) == 1


def test_windows_of_no_fixed_size_have_no_engine(
    network: torch.nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, "LIGHT_FLOPS", 1.0)
    values = image((32, 32, 16))

    for inferer in (SlidingWindowInferer((32, -1, 16), overlap=0.25), SimpleInferer()):
        assert selected_engine("digest" * 6, network, inferer, values, None, tmp_path) is network


def test_a_chosen_engine_is_built_before_the_first_run(
    network: torch.nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inferer = SlidingWindowInferer(WINDOW, overlap=0.25)
    warm_engine("other!" * 6, network, inferer, tmp_path)  # nothing was chosen: nothing is built
    monkeypatch.setattr(choice, "available_engines", lambda: ("eager", "channels_last"))
    seconds = {"eager": 2.0, "channels_last": 1.0}
    monkeypatch.setattr(choice, "_timed", lambda engine, _: ([torch.zeros(1, 3, *WINDOW)], seconds[engine.engine]))
    chosen, _ = choose("digest" * 6, network, [image(WINDOW)], masks_of_sigmoid, tmp_path)

    warm_engine("digest" * 6, network, inferer, tmp_path)

    monkeypatch.setattr(selection, "engine_of", None)  # from here on nothing more is built
    found = selected_engine("digest" * 6, network, inferer, image((20, 33, 18)), None, tmp_path)
    assert chosen.engine == "channels_last"
    assert isinstance(found, EngineNetwork) and found.engine == "channels_last"


@pytest.mark.parametrize("mode", ["constant", "gaussian"])
@pytest.mark.parametrize("batch", [1, 3])
def test_windows_without_the_body_are_left_out_with_equal_labels(
    network: torch.nn.Module, mode: str, batch: int
) -> None:
    values = image((25, 70, 50))
    inside = np.zeros((25, 70, 50), dtype=bool)
    inside[4:20, 45:60, 5:20] = True
    inferer = SlidingWindowInferer(WINDOW, sw_batch_size=batch, overlap=0.25, mode=mode)

    with torch.inference_mode():
        expected = inferer(values, network)
        ours = slide(inferer, network, values, 3, inside)

    assert ours.windows == window_count(inferer, values)
    assert 0 < ours.computed < ours.windows / 2
    assert np.array_equal(masks_of_sigmoid(ours.output) & inside, masks_of_sigmoid(expected) & inside)


def test_an_image_smaller_than_a_window_is_computed_once(network: torch.nn.Module) -> None:
    values = image((9, 21, 13))
    inside = np.zeros((9, 21, 13), dtype=bool)
    inside[8, 20, 12] = True
    inferer = SlidingWindowInferer(WINDOW, overlap=0.25)

    with torch.inference_mode():
        ours = slide(inferer, network, values, 3, inside)

    assert (ours.computed, ours.windows) == (1, 1)
    assert tuple(ours.output.shape) == (1, 3, 9, 21, 13)


def test_the_fullest_window_is_the_one_with_most_of_the_body(network: torch.nn.Module) -> None:
    values = image((16, 64, 16))
    values[:, :, :, 40:] = 7.0
    inside = np.zeros((16, 64, 16), dtype=bool)
    inside[:, 40:] = True

    (window,) = fullest_windows(SlidingWindowInferer(WINDOW, overlap=0.0), values, inside, 1)

    assert float(window.min()) > float(values[:, :, :, :32].min())
    assert tuple(window.shape) == (1, 2, *WINDOW)


@pytest.mark.parametrize("mode", ["constant", "gaussian"])
@pytest.mark.parametrize("at_once", [1, 3])
@pytest.mark.parametrize("shape", [(33, 70, 41), (9, 70, 41)], ids=str)
def test_looking_for_the_fullest_windows_leaves_the_image_as_it_is(mode: str, at_once: int, shape: Any) -> None:
    """MONAI weighs in place what it is given back, and a window is a view of the image."""
    values = image(shape) + 3
    before = values.clone()
    inferer = SlidingWindowInferer(WINDOW, sw_batch_size=at_once, overlap=0.25, mode=mode)

    with torch.inference_mode():
        tried = fullest_windows(inferer, values, np.ones(shape, dtype=bool), 4)

    assert torch.equal(values, before)
    if shape[0] > WINDOW[0]:
        assert torch.equal(tried[0], before[:, :, :16, :32, :16]), "of equally full windows the first is the first"


def test_the_study_by_which_an_engine_is_chosen_has_the_output_of_every_later_one(
    network: torch.nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, "LIGHT_FLOPS", 0.0)
    inferer = SlidingWindowInferer(WINDOW, sw_batch_size=1, overlap=0.25, mode="gaussian")
    values = image((33, 70, 41))
    inside = np.ones((33, 70, 41), dtype=bool)

    def run() -> torch.Tensor:
        engine = selected_engine("digest" * 6, network, inferer, values, inside, tmp_path)
        return torch.as_tensor(slide(inferer, engine, values, 3, inside).output)

    with torch.inference_mode():
        first, second, expected = run(), run(), inferer(values, network)

    assert torch.equal(first, second)
    assert torch.allclose(first, expected, atol=1e-3)


def test_labels_of_the_highest_channel_leave_the_background_out() -> None:
    output = torch.tensor([[[[0.0, 3.0]], [[1.0, 0.0]], [[0.5, 0.0]]]])

    assert masks_of_argmax(output).tolist() == [[[True, False]], [[False, False]]]


def test_smaller_windows_stay_divisible() -> None:
    assert smaller_windows([96, 96, 96]) == [(96, 96, 96), (48, 48, 48), (32, 32, 32)]
    assert smaller_windows([32, 96, 96]) == [(32, 96, 96), (32, 48, 48), (32, 32, 32)]
    assert smaller_windows([20, 20]) == [(20, 20)]


def test_the_estimate_grows_with_the_window(network: torch.nn.Module) -> None:
    small, large = (network_bytes(network, (1, 2, n, 32, 32)) for n in (16, 64))

    assert small > 16 * 32 * 32 * 4 * 4
    assert large == pytest.approx(4 * small, rel=0.05)
