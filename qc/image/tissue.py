"""White and grey matter of an MR: from masks that were handed in, else from three classes of the object."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from qc.image.foreground import object_sections
from qc.image.inputs import Inputs

__all__ = ["Tissues", "air_values", "tissues"]

FEWEST = 300
ROUNDS = 40
QUANTILES = (0.08, 0.45, 0.9)
MOST_SAMPLES = 60_000
PURE = 0.75
"""Share of a pixel's 3 x 3 neighbours of its own class, so that pixels at the border of two tissues are left out."""


@dataclass(frozen=True, eq=False)
class Tissues:
    """Values of two tissues.

    Parameters
    ----------
    white, grey
        Values of the pixels inside each; `white` is the class with the most signal, as in T1.
    is_approximate
        Whether a mixture stands in for masks.
    masks
        Per plane of the volume the mask of `white`.
    """

    white: NDArray[np.float64]
    grey: NDArray[np.float64]
    is_approximate: bool
    masks: dict[int, NDArray[np.bool_]]


def tissues(inputs: Inputs) -> Tissues | None:
    """White and grey matter; None where there is no object, or too little of either."""
    volume = inputs.volume
    if volume is None:
        return None
    handed = [inputs.masks.get(name) for name in ("WhiteMatter", "GrayMatter")]
    white_mask, grey_mask = handed
    if white_mask is not None and grey_mask is not None and white_mask.shape == volume.array.shape:
        full = white_mask.mask()
        parts = [volume.array[m.box][m.crop].astype(np.float64) for m in (white_mask, grey_mask)]
        masks = {k: full[k] for k in range(len(full)) if full[k].any()}
        return Tissues(parts[0], parts[1], False, masks) if min(map(len, parts)) >= FEWEST else None
    sections = object_sections(volume)
    if not sections:
        return None
    smooth = {s.plane: ndimage.uniform_filter(volume.array[s.plane].astype(np.float32), 3) for s in sections}
    sample = np.concatenate([smooth[s.plane][s.core] for s in sections])
    if len(sample) < 3 * FEWEST:
        return None
    borders = _three_classes(sample[:: max(1, len(sample) // MOST_SAMPLES)])
    white, grey, masks = [], [], {}
    for s in sections:
        classes = np.digitize(smooth[s.plane], borders)
        pure = [ndimage.uniform_filter((classes == c).astype(np.float32), 3) > PURE for c in (2, 1)]
        pixels = volume.array[s.plane].astype(np.float64)
        white.append(pixels[pure[0] & s.core])
        grey.append(pixels[pure[1] & s.core])
        masks[s.plane] = pure[0] & s.core
    first, second = np.concatenate(white), np.concatenate(grey)
    return Tissues(first, second, True, masks) if min(len(first), len(second)) >= FEWEST else None


def _three_classes(values: NDArray[np.float32]) -> tuple[float, float]:
    """Borders between three classes of least spread: k-means in one dimension, the better of two beginnings."""
    low_end, high_end = np.quantile(values, [0.01, 0.99])
    beginnings = (np.linspace(low_end, high_end, 3), np.quantile(values, QUANTILES))
    found = [_k_means(values, np.asarray(begun, dtype=np.float64)) for begun in beginnings]
    _, low, high = min(found)
    return low, high


def _k_means(values: NDArray[np.float32], centres: NDArray[np.float64]) -> tuple[float, float, float]:
    """Spread within the classes, and the two borders between them."""
    for _ in range(ROUNDS):
        index = np.digitize(values, (centres[:-1] + centres[1:]) / 2)
        moved = np.array([values[index == c].mean() if np.any(index == c) else centres[c] for c in range(3)])
        if np.allclose(moved, centres):
            break
        centres = moved
    low, high = (float(v) for v in (centres[:-1] + centres[1:]) / 2)
    return float(np.square(values - centres[np.digitize(values, (low, high))]).sum()), low, high


def air_values(inputs: Inputs) -> NDArray[np.float64]:
    """Values of the air around the object; empty where there is none."""
    if inputs.volume is None:
        return np.empty(0)
    parts = [inputs.volume.array[s.plane][s.air] for s in object_sections(inputs.volume)]
    return np.concatenate(parts).astype(np.float64) if parts else np.empty(0)
