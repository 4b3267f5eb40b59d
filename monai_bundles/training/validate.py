"""Dice of a network on OpenKBP tuning patients, on each patient's own grid and complete slices only."""

from collections.abc import Sequence

import numpy as np
import torch
from monai.inferers import SlidingWindowInferer
from scipy import ndimage
from torch import nn

from monai_bundles.training.openkbp import STRUCTURES, Patient

__all__ = ["mean_dice", "tuning_dice"]


@torch.no_grad()
def tuning_dice(
    network: nn.Module, patients: list[Patient], spacing_mm: Sequence[float], device: torch.device
) -> dict[str, float]:
    """Mean Dice per structure over the patients in whom it was contoured; raw network output at 0.5, no clean-up."""
    from monai_bundles.training.train import two_windows

    network.eval()
    inferer = SlidingWindowInferer(roi_size=(32, 96, 96), sw_batch_size=1, overlap=0.25, mode="gaussian")
    scores: dict[str, list[float]] = {name: [] for name in STRUCTURES}
    for patient in patients:
        complete = np.flatnonzero(patient.slice_is_complete)
        part = slice(complete[0], complete[-1] + 1)
        ct = patient.ct_hu[part].astype(np.float32)
        zoom = np.array(patient.spacing_mm) / np.array(spacing_mm)
        shape = np.maximum(np.round(np.array(ct.shape) * zoom).astype(int), 1)
        back = np.array(ct.shape) / shape
        resampled = ndimage.affine_transform(
            ct, back, (back - 1) / 2, output_shape=tuple(shape), order=1, mode="nearest"
        )
        batch = two_windows(torch.from_numpy(resampled)[None, None].to(device))
        probability = torch.sigmoid(inferer(batch, network).float())[0].cpu().numpy()
        for index, name in enumerate(STRUCTURES):
            if not patient.contoured[index]:
                continue
            own = ndimage.affine_transform(
                probability[index], 1 / back, (1 / back - 1) / 2, output_shape=ct.shape, order=1, mode="nearest"
            )
            keep = patient.slice_is_complete[part, None, None]
            predicted = (own >= 0.5) & keep
            truth = ((patient.structure_bits[part] >> index) & 1).astype(bool) & keep
            if truth.any():
                scores[name].append(2.0 * (predicted & truth).sum() / (predicted.sum() + truth.sum()))
    return {name: float(np.mean(values)) for name, values in scores.items() if values}


def mean_dice(dice: dict[str, float]) -> float:
    """Mean over structures."""
    return float(np.mean(list(dice.values())))
