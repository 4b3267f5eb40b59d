"""Dice of a network on OpenKBP tuning patients, on each patient's own grid and complete slices only."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from monai.inferers import SlidingWindowInferer
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn

from monai_bundles.training.openkbp import STRUCTURES, Patient

__all__ = ["dice_of", "mean_dice", "probabilities", "truth_of", "tuning_dice"]


def tuning_dice(
    network: nn.Module, patients: list[Patient], spacing_mm: Sequence[float], device: torch.device
) -> dict[str, float]:
    """Mean Dice per structure over the patients in whom it was contoured; raw network output at 0.5, no clean-up."""
    network.eval()
    scores: dict[str, list[float]] = {name: [] for name in STRUCTURES}
    for patient in patients:
        found = probabilities(network, patient, spacing_mm, device)
        for index, name in enumerate(STRUCTURES):
            if (truth := truth_of(patient, index)) is not None:
                scores[name].append(dice_of(found[index] >= 0.5, truth, patient))
    return {name: float(np.mean(values)) for name, values in scores.items() if values}


@torch.no_grad()
def probabilities(
    network: Callable[[Tensor], Tensor],
    patient: Patient,
    spacing_mm: Sequence[float],
    device: torch.device,
    overlap: float = 0.25,
) -> NDArray[np.float32]:
    """Probabilities (structures, slices, rows, columns) from the first to the last complete slice of a patient."""
    from monai_bundles.training.train import two_windows

    inferer = SlidingWindowInferer(roi_size=(32, 96, 96), sw_batch_size=1, overlap=overlap, mode="gaussian")
    ct = patient.ct_hu[complete_part(patient)].astype(np.float32)
    zoom = np.array(patient.spacing_mm) / np.array(spacing_mm)
    shape = np.maximum(np.round(np.array(ct.shape) * zoom).astype(int), 1)
    back = np.array(ct.shape) / shape
    resampled = ndimage.affine_transform(ct, back, (back - 1) / 2, output_shape=tuple(shape), order=1, mode="nearest")
    batch = two_windows(torch.from_numpy(resampled)[None, None].to(device))
    found = torch.sigmoid(inferer(batch, network).float())[0].cpu().numpy()
    return np.stack([
        ndimage.affine_transform(p, 1 / back, (1 / back - 1) / 2, output_shape=ct.shape, order=1, mode="nearest")
        for p in found
    ])


def complete_part(patient: Patient) -> slice:
    """From the first to the last complete slice."""
    complete = np.flatnonzero(patient.slice_is_complete)
    return slice(int(complete[0]), int(complete[-1]) + 1)


def truth_of(patient: Patient, index: int) -> NDArray[np.bool_] | None:
    """Mask (slices, rows, columns) of a structure on the same slices; None where it was not contoured on any."""
    if not patient.contoured[index]:
        return None
    part = complete_part(patient)
    truth = ((patient.structure_bits[part] >> index) & 1).astype(bool) & patient.slice_is_complete[part, None, None]
    return truth if truth.any() else None


def dice_of(mask: NDArray[np.bool_], truth: NDArray[np.bool_], patient: Patient) -> float:
    """Dice on complete slices; `truth` has voxels."""
    mask = mask & patient.slice_is_complete[complete_part(patient), None, None]
    return float(2.0 * (mask & truth).sum() / (mask.sum() + truth.sum()))


def mean_dice(dice: dict[str, float]) -> float:
    """Mean over structures."""
    return float(np.mean(list(dice.values())))
