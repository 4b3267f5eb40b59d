"""Trains the sarcoma network, fold after fold and on all patients: `python -m monai_bundles.training.train_sarcoma`.

With `--data DIR --work DIR`. Each fold, and "all", has a folder in WORK with `last.pt`, from which it resumes, and at
its end `model.pt`, the running average of the weights. Nothing is chosen on the patients of a fold that were left out.
Uses a GPU when there is one.
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.bundle import ConfigParser
from torch import nn

from monai_bundles.training.sarcoma import SarcomaPatient, draw_window, folds, load_patients
from monai_bundles.training.train import half_precision, masked_loss

__all__ = ["build_network", "main", "train"]

BUNDLE = Path(__file__).parents[1] / "bundles" / "soft_tissue_sarcoma_gtv_segmentation"
ALL = "all"
REPORT_EVERY = 25


def build_network(device: torch.device) -> nn.Module:
    """The network that the bundle's inference.json defines, untrained."""
    parser = ConfigParser()
    parser.read_config(BUNDLE / "configs" / "inference.json")
    network: nn.Module = parser.get_parsed_content("network_def").to(device)
    return network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]


def train(
    patients: Sequence[SarcomaPatient], config: dict[str, Any], steps: int, work: Path, device: torch.device
) -> nn.Module:
    """The running average of the weights after `steps`, resumed from `work/last.pt` where that is there."""
    work.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config["seed"])
    network, average = build_network(device), build_network(device)
    average.load_state_dict(network.state_dict())
    optimiser = torch.optim.AdamW(network.parameters(), lr=config["learning_rate"], weight_decay=config["weight_decay"])
    step = 0
    last = work / "last.pt"
    if last.exists():
        state = torch.load(last, map_location=device, weights_only=True)
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        step = state["step"]
    rng = np.random.default_rng([config["seed"], step])
    losses: list[float] = []
    began = time.monotonic()
    while step < steps:
        rate = config["learning_rate"] * min(1.0, (step + 1) / 30) * (1 - step / steps) ** 0.9
        for group in optimiser.param_groups:
            group["lr"] = rate
        chosen = rng.choice(len(patients), config["batch_size"], replace=False)
        windows = [draw_window(patients[n], tuple(config["window"]), tuple(config["spacing_mm"]), rng) for n in chosen]
        images = torch.from_numpy(np.stack([w.images for w in windows])).to(device)
        targets = torch.from_numpy(np.stack([w.target for w in windows])).to(device)
        network.train()
        with half_precision(device):
            logits = network(images.contiguous(memory_format=torch.channels_last_3d))
        loss = masked_loss(logits.float(), targets, torch.ones_like(targets))
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 5.0, error_if_nonfinite=True)
        optimiser.step()
        step += 1
        losses.append(loss.item())
        _follow(average, network, min(config["ema_decay"], (1 + step) / (10 + step)))
        if step % REPORT_EVERY == 0 or step == steps:
            record = {"step": step, "loss": float(np.mean(losses)), "seconds": time.monotonic() - began}
            losses.clear()
            with (work / "log.jsonl").open("a", encoding="utf-8") as log:
                log.write(json.dumps(record) + "\n")
            print(work.name, json.dumps(record), flush=True)  # noqa: T201 - progress of a command
            _save(last, network, average, optimiser, step)
    # Half the size in the repository, and finer than the weights' own noise.
    halves = {name: v.half() if v.dtype.is_floating_point else v for name, v in average.state_dict().items()}
    torch.save(halves, work / "model.pt")
    return average


@torch.no_grad()
def _follow(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the average towards the network."""
    for mean, value in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if mean.dtype.is_floating_point:
            mean.lerp_(value, 1 - decay)
        else:
            mean.copy_(value)


def _save(path: Path, network: nn.Module, average: nn.Module, optimiser: torch.optim.Optimizer, step: int) -> None:
    """A checkpoint, complete or not at all."""
    partial = path.with_suffix(".tmp")
    states = {"network": network.state_dict(), "average": average.state_dict(), "optimiser": optimiser.state_dict()}
    torch.save({**states, "step": step}, partial)
    partial.replace(path)


def main() -> None:
    """Train what was asked for, one after the other."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--data", type=Path, required=True, help="folder of STS_*.npz")
    arguments.add_argument("--work", type=Path, required=True, help="folder for checkpoints and logs")
    arguments.add_argument("--threads", type=int, default=0, help="CPU threads, 0 for all")
    arguments.add_argument("--only", default="", help=f"one fold by its number, or {ALL}; default: all of them")
    arguments.add_argument("--config", type=Path, default=BUNDLE / "configs" / "train.json", help="parameters")
    options = arguments.parse_args()
    config = json.loads(options.config.read_text(encoding="utf-8"))
    if options.threads:
        torch.set_num_threads(options.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    patients = load_patients(options.data)
    left_out = folds([p.name for p in patients], config["folds"], config["seed"])
    runs = [str(n) for n in range(len(left_out))] + [ALL]
    for run in [options.only] if options.only else runs:
        out = () if run == ALL else left_out[int(run)]
        steps = config["steps_all_patients"] if run == ALL else config["steps"]
        train([p for p in patients if p.name not in out], config, steps, options.work / f"fold_{run}", device)


if __name__ == "__main__":
    main()
