"""Trains the head-and-neck organ network on OpenKBP: `python -m monai_bundles.training.train --data DIR --work DIR`.

The parts of `configs/train.json` one after the other, each from the best weights of the one before. A part resumes from
`WORK/part_N/last.pt`; it keeps a running average of the weights and writes the best of them on the tuning patients to
`WORK/part_N/best.pt`. Uses a GPU when there is one.
"""

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.bundle import ConfigParser
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from monai_bundles.training.openkbp import STRUCTURES, Patient, draw_window, load_patients, structure_voxels
from monai_bundles.training.validate import mean_dice, tuning_dice

__all__ = ["build_network", "main", "read_parts", "train", "widened"]

VOLUME_WEIGHTS = 5
"""Dimensions of the weights of a three-dimensional convolution."""

BUNDLE = Path(__file__).parents[1] / "bundles" / "head_neck_ct_oar_segmentation"


def two_windows(ct_hu: Tensor) -> Tensor:
    """Soft-tissue (-160..240 HU) and wide (-1000..1500 HU) windows as two channels in 0..1; `ct_hu` is (N, 1, ...)."""
    soft = (ct_hu + 160.0) / 400.0
    wide = (ct_hu + 1000.0) / 2500.0
    return torch.cat([soft.clamp(0, 1), wide.clamp(0, 1)], dim=1)


def masked_loss(logits: Tensor, targets: Tensor, known: Tensor) -> Tensor:
    """Binary cross-entropy plus soft Dice over what is known; a structure absent from the batch gives no Dice term."""
    cross_entropy = functional.binary_cross_entropy_with_logits(logits, targets, weight=known, reduction="sum")
    cross_entropy = cross_entropy / known.sum().clamp(min=1.0)
    axes = (0, 2, 3, 4)
    p = torch.sigmoid(logits) * known
    overlap = (p * targets).sum(axes)
    total = p.sum(axes) + (targets * known).sum(axes)
    present = (targets * known).sum(axes) > 0
    dice = (2 * overlap + 1.0) / (total + 1.0)
    return cross_entropy * 5.0 + ((1.0 - dice) * present).sum() / present.sum().clamp(min=1)


class Sampler:
    """Random windows: a structure by weight, a patient who has it, one of its voxels, and some jitter."""

    def __init__(self, patients: list[Patient], config: dict[str, Any], rng: np.random.Generator) -> None:
        self._patients = patients
        self._config = config
        self._rng = rng
        self._voxels = [structure_voxels(p) for p in patients]
        self._owners = [[i for i, v in enumerate(self._voxels) if len(v[s])] for s in range(len(STRUCTURES))]
        # What nobody contoured cannot be drawn.
        weights = np.array([
            config["structure_weights"][name] if owners else 0.0
            for name, owners in zip(STRUCTURES, self._owners, strict=True)
        ])
        self._weights = weights / weights.sum()

    def draw(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """A batch: CT in HU (N, 1, Z, Y, X), targets and known (N, structures, Z, Y, X)."""
        windows = []
        for _ in range(self._config["batch_size"]):
            structure = self._rng.choice(len(STRUCTURES), p=self._weights)
            owner = self._rng.choice(self._owners[structure])
            patient = self._patients[owner]
            voxels = self._voxels[owner][structure]
            centre = voxels[self._rng.integers(len(voxels))].astype(float)
            reach_mm = np.array(self._config["window"]) * np.array(self._config["spacing_mm"]) * (0.3, 0.22, 0.22)
            centre += self._rng.uniform(-1, 1, 3) * reach_mm / np.array(patient.spacing_mm)
            windows.append(
                draw_window(
                    patient,
                    centre,
                    tuple(self._config["window"]),
                    tuple(self._config["spacing_mm"]),
                    self._rng,
                    augment=self._config["augment"],
                )
            )
        return (
            np.stack([w.ct_hu for w in windows])[:, None],
            np.stack([w.targets for w in windows]),
            np.stack([w.known for w in windows]),
        )


def read_parts(file: Path) -> list[dict[str, Any]]:
    """Parameters of each part of a training; what only experiments change need not stand in the file."""
    config: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    shared = {"width": 1.0, "augment": True, "patients": 1.0} | config
    return [shared | part for part in shared.pop("parts")]


def build_network(device: torch.device, width: float = 1.0) -> nn.Module:
    """The network that the bundle's inference.json defines, untrained, laid out in memory as a CPU likes it.

    Parameters
    ----------
    width
        Channels of every level as a multiple of those in inference.json.
    """
    parser = ConfigParser()
    parser.read_config(BUNDLE / "configs" / "inference.json")
    parser["network_def"]["filters"] = [round(n * width / 8) * 8 for n in parser["network_def"]["filters"]]
    network: nn.Module = parser.get_parsed_content("network_def").to(device)
    for parameter in network.parameters():
        if parameter.ndim == VOLUME_WEIGHTS:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last_3d)
    return network


def widened(weights: dict[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Trained weights for a network of at least as many channels, which gives the same output with them.

    The channels that are new keep what they begin with in `network`, and nothing of the old ones listens to them yet.
    """
    wide = {name: value.clone() for name, value in network.state_dict().items()}
    for name, old in weights.items():
        new = wide[name]
        if old.ndim < VOLUME_WEIGHTS:
            new[tuple(slice(0, n) for n in old.shape)] = old
            continue
        # A transposed convolution has its inputs first; after a skip the inputs are two blocks of channels.
        out_axis, in_axis = (1, 0) if "transp_conv" in name else (0, 1)
        blocks = 2 if "conv_block.conv1" in name else 1
        per_block, step = old.shape[in_axis] // blocks, new.shape[in_axis] // blocks
        inputs = [block * step + n for block in range(blocks) for n in range(per_block)]
        kept, given = new.movedim(out_axis, 0), old.movedim(out_axis, 0)
        kept[: len(given)] = 0
        kept[: len(given), inputs] = given
    return wide


def half_precision(device: torch.device) -> torch.autocast:
    """Run the network in bfloat16 where the device computes it; on a CPU with AVX512-BF16 a step takes half as long."""
    supported = device.type == "cuda" or torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return torch.autocast(device.type, torch.bfloat16, enabled=supported)


def train(data: Path, work: Path, config: dict[str, Any], *, initial: Path | None = None) -> dict[str, float]:
    """Train until `config["steps"]`, from the checkpoint in `work` where there is one.

    Returns
    -------
    dict
        Raw Dice by structure on all tuning patients (`tuning_dice`).
    """
    steps = config["steps"]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    work.mkdir(parents=True, exist_ok=True)

    torch.manual_seed(config["seed"])
    network = build_network(device, config["width"])
    if initial:
        network.load_state_dict(widened(torch.load(initial, map_location=device, weights_only=True), network))
    average = build_network(device, config["width"])
    average.load_state_dict(network.state_dict())
    optimiser = torch.optim.AdamW(network.parameters(), lr=config["learning_rate"], weight_decay=config["weight_decay"])
    step, best = 0, 0.0
    dice: dict[str, float] = {}
    last = work / "last.pt"
    if last.exists():
        state = torch.load(last, map_location=device, weights_only=True)
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        step, best, dice = state["step"], state["best"], state.get("dice", {})
    patients = load_patients(data, "train")
    patients = patients[: math.ceil(len(patients) * config["patients"])]
    sampler = Sampler(patients, config, np.random.default_rng([config["seed"], step]))
    tuning = load_patients(data, "validation")

    losses: list[float] = []
    began = time.monotonic()
    while step < steps:
        rate = config["learning_rate"] * min(1.0, (step + 1) / 50) * (1 - step / steps) ** 0.9
        for group in optimiser.param_groups:
            group["lr"] = rate
        ct_hu, targets, known = (torch.from_numpy(a).to(device) for a in sampler.draw())
        network.train()
        with half_precision(device):
            logits = network(two_windows(ct_hu))
        loss = masked_loss(logits.float(), targets, known)
        optimiser.zero_grad()
        loss.backward()
        # A few processors' bfloat16 convolutions give no finite gradient for windows below about 16 x 48 x 48.
        nn.utils.clip_grad_norm_(network.parameters(), 5.0, error_if_nonfinite=True)
        optimiser.step()
        step += 1
        losses.append(loss.item())
        decay = min(config["ema_decay"], (1 + step) / (10 + step))
        with torch.no_grad():
            for mean, value in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
                if mean.dtype.is_floating_point:
                    mean.lerp_(value, 1 - decay)
                else:
                    mean.copy_(value)
        if step % 50 == 0 or step == steps:
            record: dict[str, Any] = {"step": step, "loss": float(np.mean(losses)), "seconds": time.monotonic() - began}
            losses.clear()
            if step % 500 == 0 or step == steps:
                with half_precision(device):
                    dice = tuning_dice(average, tuning if step == steps else tuning[::4], config["spacing_mm"], device)
                record["dice"] = dice
                if mean_dice(dice) >= best or step == steps:
                    best = mean_dice(dice)
                    torch.save(average.state_dict(), work / "best.pt")
            with (work / "log.jsonl").open("a", encoding="utf-8") as log:
                log.write(json.dumps(record) + "\n")
            print(json.dumps(record), flush=True)  # noqa: T201 - progress of a command
            partial = work / "last.tmp"
            torch.save(
                {
                    "network": network.state_dict(),
                    "average": average.state_dict(),
                    "optimiser": optimiser.state_dict(),
                    "step": step,
                    "best": best,
                    "dice": dice,
                },
                partial,
            )
            partial.replace(last)
    return dice


def main() -> None:
    """Train until the configured number of steps of each part is reached."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--data", type=Path, required=True, help="folder of OpenKBP (index.csv, ctlab/)")
    arguments.add_argument("--work", type=Path, required=True, help="folder for checkpoints and the log")
    arguments.add_argument("--threads", type=int, default=0, help="CPU threads, 0 for all")
    arguments.add_argument("--steps", type=int, default=0, help="of each part, instead of the configured number")
    arguments.add_argument("--config", type=Path, default=BUNDLE / "configs" / "train.json", help="parameters")
    arguments.add_argument("--initial", type=Path, help="weights to start from when there is no checkpoint")
    options = arguments.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    initial = options.initial
    for number, part in enumerate(read_parts(options.config), start=1):
        work = options.work / f"part_{number}"
        train(options.data, work, part | {"steps": options.steps or part["steps"]}, initial=initial)
        initial = work / "best.pt"


if __name__ == "__main__":
    main()
