"""Where the organs' Dice ends, and why: `python -m monai_bundles.training.experiments WHAT --data DIR --work DIR`.

`train` goes on from the shipped weights several times, each with one thing changed (capacity, augmentation, number of
patients), all with the same seed, rate and number of steps. `predict` takes trained weights as they are and scores
other ways to use them (mirrored, more overlap, an average of several), what the same predictions reach if the ends of
each structure were known, and, with `--split train`, what patients reach whom the network has seen. `border` needs no
network: how well the physicians' own masks agree with themselves after a small shift. All on the patients' own grids
and complete slices.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn

from monai_bundles.training.openkbp import MIRRORED, STRUCTURES, Patient, load_patients
from monai_bundles.training.train import BUNDLE, build_network, half_precision, read_parts, train
from monai_bundles.training.validate import dice_of, mean_dice, probabilities, truth_of

__all__ = ["VARIANTS", "border_scores", "main", "prediction_scores"]

VARIANTS: dict[str, dict[str, Any]] = {
    "as shipped": {},
    "half as many channels more": {"width": 1.5},
    "no augmentation": {"augment": False},
    "half the patients": {"patients": 0.5},
}
"""What each training changes in the parameters of the shipped one."""

SHIFT_PIXELS = 0.5
EVERY_SEEN = 6
"""Of the patients trained on, every so many are scored: about as many as there are to tune on."""

Scores = dict[str, dict[str, list[float]]]
Forward = Callable[[Tensor], Tensor]


def averaged(networks: Sequence[nn.Module], *, mirror: bool) -> Forward:
    """The mean of the networks' probabilities as logits, each network also shown the mirrored window if `mirror`."""

    def forward(batch: Tensor) -> Tensor:
        found = [torch.sigmoid(network(batch).float()) for network in networks]
        if mirror:
            found += [torch.sigmoid(network(batch.flip(-1)).float()).flip(-1)[:, MIRRORED] for network in networks]
        return torch.logit(torch.stack(found).mean(0), eps=1e-6)

    return forward


def known_ends(mask: NDArray[np.bool_], truth: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask on those slices between whose first and last the truth lies."""
    slices = np.flatnonzero(truth.any((1, 2)))
    inside = np.zeros_like(mask)
    inside[slices[0] : slices[-1] + 1] = mask[slices[0] : slices[-1] + 1]
    return inside


def prediction_scores(
    patients: Sequence[Patient], networks: Sequence[nn.Module], spacing_mm: Sequence[float], device: torch.device
) -> Iterator[tuple[str, Scores]]:
    """After each patient its name and all Dice so far, by way of using the networks and by structure.

    The first network stands for itself; the others only take part in the averages.
    """
    alone, together = networks[:1], networks
    ways: dict[str, tuple[Forward, float]] = {
        "one pass": (averaged(alone, mirror=False), 0.25),
        "mirrored too": (averaged(alone, mirror=True), 0.25),
        "overlap of a half": (averaged(alone, mirror=False), 0.5),
    }
    if len(networks) > 1:
        ways[f"mean of {len(networks)} weights"] = (averaged(together, mirror=False), 0.25)
        ways[f"mean of {len(networks)} weights, mirrored too"] = (averaged(together, mirror=True), 0.25)
    scores: Scores = {way: {name: [] for name in STRUCTURES} for way in (*ways, "one pass, ends known")}
    for patient in patients:
        for way, (forward, overlap) in ways.items():
            with half_precision(device):
                found = probabilities(forward, patient, spacing_mm, device, overlap=overlap)
            for index, name in enumerate(STRUCTURES):
                if (truth := truth_of(patient, index)) is None:
                    continue
                mask = found[index] >= 0.5
                scores[way][name].append(dice_of(mask, truth, patient))
                if way == "one pass":
                    scores["one pass, ends known"][name].append(dice_of(known_ends(mask, truth), truth, patient))
        yield patient.name, scores


def border_scores(patients: Sequence[Patient], shift_pixels: float = SHIFT_PIXELS) -> Scores:
    """Dice of each mask with itself after a shift along rows and columns, each voxel taken as the box that it is."""
    scores: Scores = {f"truth moved by {shift_pixels} pixel": {name: [] for name in STRUCTURES}}
    [by_structure] = scores.values()
    for patient in patients:
        for index, name in enumerate(STRUCTURES):
            truth = truth_of(patient, index)
            if truth is None:
                continue
            # The overlap of a box with boxes of the moved mask is bilinear in the shift: no voxel is decided twice.
            covered = ndimage.shift(truth.astype(np.float64), (0, shift_pixels, shift_pixels), order=1)
            by_structure[name].append(float((covered * truth).sum() / truth.sum()))
    return scores


def trained_variants(data: Path, work: Path, config: dict[str, Any]) -> Iterator[dict[str, dict[str, float]]]:
    """Train every variant in a folder of its own below `work`; after each, all mean Dice so far by its name."""
    means: dict[str, dict[str, float]] = {}
    for name, changes in VARIANTS.items():
        folder = work / name.replace(" ", "_")
        means[name] = train(data, folder, config | changes, initial=BUNDLE / "models" / "model.pt")
        yield dict(means)


def main() -> None:
    """Print a table in Markdown; what is long prints a line of JSON as it goes on."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("what", choices=("train", "predict", "border"))
    arguments.add_argument("--data", type=Path, required=True, help="folder of OpenKBP (index.csv, ctlab/)")
    arguments.add_argument("--work", type=Path, help="train: folder for checkpoints, from which it resumes")
    arguments.add_argument("--steps", type=int, default=400, help="train: of each variant")
    arguments.add_argument("--also", type=Path, nargs="*", default=[], help="predict: further weights to average with")
    arguments.add_argument("--split", default="validation", choices=("train", "validation"), help="predict: of whom")
    arguments.add_argument("--threads", type=int, default=0, help="CPU threads, 0 for all")
    options = arguments.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    config = read_parts(BUNDLE / "configs" / "train.json")[-1]
    if options.what == "train":
        if options.work is None:
            arguments.error("train needs --work")
        parameters = config | {"steps": options.steps}
        for means in trained_variants(options.data, options.work, parameters):
            print(table(means), flush=True)  # noqa: T201 - the command's result so far
        return
    if options.what == "border":
        scores = border_scores(load_patients(options.data, options.split))
    else:
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        networks = [_loaded(file, device) for file in (BUNDLE / "models" / "model.pt", *options.also)]
        patients = load_patients(options.data, options.split)[:: EVERY_SEEN if options.split == "train" else 1]
        for name, scores in prediction_scores(patients, networks, config["spacing_mm"], device):
            print(json.dumps({name: {way: mean_dice(_means(s)) for way, s in scores.items()}}), flush=True)  # noqa: T201
    print(table({way: _means(by_structure) for way, by_structure in scores.items()}))  # noqa: T201 - the result


def table(means: dict[str, dict[str, float]]) -> str:
    """A Markdown table: a row for each way, a column for each structure and their mean."""
    head = f"| | {' | '.join(STRUCTURES)} | mean |\n|---|{'---|' * (len(STRUCTURES) + 1)}\n"
    rows = [
        f"| {way} | {' | '.join(f'{dice.get(name, np.nan):.3f}' for name in STRUCTURES)} | {mean_dice(dice):.3f} |"
        for way, dice in means.items()
    ]
    return head + "\n".join(rows)


def _means(by_structure: dict[str, list[float]]) -> dict[str, float]:
    return {name: float(np.mean(values)) for name, values in by_structure.items() if values}


def _loaded(file: Path, device: torch.device) -> nn.Module:
    network = build_network(device)
    network.load_state_dict(torch.load(file, map_location=device, weights_only=True))
    return network.eval()


if __name__ == "__main__":
    main()
