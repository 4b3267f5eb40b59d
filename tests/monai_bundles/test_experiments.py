"""Experiments on the organ network: closed forms of what they measure, and that each variant changes what it says."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from monai_bundles.training import experiments
from monai_bundles.training.openkbp import MIRRORED, STRUCTURES, draw_window, load_patients
from monai_bundles.training.train import BUNDLE, build_network, read_parts, widened
from tests.monai_bundles.test_training import write_collection


class Sided(nn.Module):
    """Gives each structure a logit of its own, and more of it towards the patient's left."""

    def forward(self, batch: Tensor) -> Tensor:
        ramp = torch.linspace(-1.0, 1.0, batch.shape[-1]).expand(len(batch), 1, *batch.shape[2:])
        return torch.cat([ramp * (1 + index) for index in range(len(STRUCTURES))], dim=1)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_collection(tmp_path / "openkbp")


def test_masks_moved_by_half_a_pixel_agree_as_boxes_do(data: Path) -> None:
    """The planted organs are boxes of 5 x 5 pixels: (4.5 / 5) squared."""
    [(way, scores)] = experiments.border_scores(load_patients(data, "validation"), 0.5).items()

    assert "0.5 pixel" in way
    assert {name: pytest.approx([0.81, 0.81]) for name in STRUCTURES if name != "Larynx"} == {
        name: values for name, values in scores.items() if values
    }


def test_known_ends_cut_a_mask_where_the_truth_ends_and_fill_nothing() -> None:
    mask, truth = np.ones((9, 4, 5), bool), np.zeros((9, 4, 5), bool)
    mask[4] = False
    truth[2:7, 1:3, 1:4] = True

    found = experiments.known_ends(mask, truth)

    assert found.any((1, 2)).tolist() == [False, False, True, True, False, True, True, False, False]


def test_a_mirrored_pass_swaps_the_parotids_and_comes_back() -> None:
    batch = torch.zeros(1, 2, 3, 4, 7)
    alone = torch.sigmoid(Sided()(batch))
    swapped = torch.sigmoid(Sided()(batch)).flip(-1)[:, MIRRORED]

    both = torch.sigmoid(experiments.averaged([Sided()], mirror=True)(batch))

    assert torch.allclose(both, (alone + swapped) / 2, atol=1e-5)
    assert torch.allclose(torch.sigmoid(experiments.averaged([Sided()] * 2, mirror=False)(batch)), alone, atol=1e-5)
    assert (both[0, 0] - 0.5).abs().max() < 1e-5  # a ramp and its mirror image are even
    assert (both[0, 2] - 0.5).abs().max() > 0.02  # but not that of one parotid and that of the other


def test_every_way_of_using_weights_is_scored_for_every_patient(data: Path) -> None:
    device = torch.device("cpu")
    patients = load_patients(data, "validation")

    steps = list(experiments.prediction_scores(patients, [Sided(), Sided()], (2.5, 3.5, 3.5), device))

    assert [name for name, _ in steps] == ["pt_201", "pt_202"]
    _, scores = steps[-1]
    assert len(scores) == 6
    assert all(len(by_structure["Brainstem"]) == 2 for by_structure in scores.values())
    assert scores["one pass, ends known"]["Brainstem"][0] > scores["one pass"]["Brainstem"][0]
    assert not scores["one pass"]["Larynx"]


def test_a_wider_network_has_more_channels_and_the_shipped_one_stays_as_it_is() -> None:
    cpu = torch.device("cpu")
    sizes = [sum(p.numel() for p in build_network(cpu, width).parameters()) for width in (0.5, 1.0, 1.5)]
    shipped = torch.load(BUNDLE / "models" / "model.pt", weights_only=True)

    assert sizes[0] * 3 < sizes[1] < sizes[2] / 1.8
    assert {k: v.shape for k, v in build_network(cpu).state_dict().items()} == {k: v.shape for k, v in shipped.items()}


def test_more_channels_begin_with_the_same_output_and_learn() -> None:
    cpu = torch.device("cpu")
    torch.manual_seed(3)
    narrow, wide = build_network(cpu), build_network(cpu, 1.5)
    shipped = torch.load(BUNDLE / "models" / "model.pt", weights_only=True)
    narrow.load_state_dict(shipped)
    wide.load_state_dict(widened(shipped, wide))
    batch = torch.rand(1, 2, 16, 48, 48)

    with torch.no_grad():
        assert torch.allclose(narrow.eval()(batch), wide.eval()(batch), atol=1e-3)
    wide(batch).sum().backward()
    last = dict(wide.named_parameters())["output_block.conv.conv.weight"]
    assert last.grad is not None
    assert (last.grad[:, 24:].abs() > 0).any()


def test_without_augmentation_nothing_is_random(data: Path) -> None:
    patient = load_patients(data, "train")[0]
    asked = (patient, np.array([9.0, 14.0, 16.0]), (16, 24, 32), (2.5, 3.5, 3.5))

    plain = [draw_window(*asked, np.random.default_rng(seed), augment=False) for seed in range(4)]
    varied = [draw_window(*asked, np.random.default_rng(seed)) for seed in range(4)]

    assert all(np.array_equal(plain[0].ct_hu, w.ct_hu) and np.array_equal(plain[0].targets, w.targets) for w in plain)
    assert not any(np.array_equal(varied[0].ct_hu, w.ct_hu) for w in varied[1:])


def test_variants_are_trained_side_by_side_and_told_in_one_table(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(experiments, "VARIANTS", {"as shipped": {}, "half the patients": {"patients": 0.5}})
    config = read_parts(BUNDLE / "configs" / "train.json")[-1] | {"window": [16, 48, 48], "steps": 2}

    *_, means = experiments.trained_variants(data, tmp_path / "work", config)
    again = list(experiments.trained_variants(data, tmp_path / "work", config))[-1]

    assert sorted(p.name for p in (tmp_path / "work").iterdir()) == ["as_shipped", "half_the_patients"]
    assert again == means
    rows = experiments.table({"a": {"Brainstem": 0.5, "Larynx": 0.7}}).splitlines()
    assert rows[-1] == "| a | 0.500 | nan | nan | nan | nan | 0.700 | nan | 0.600 |"
