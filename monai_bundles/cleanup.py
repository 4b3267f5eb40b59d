"""From a network's probabilities to plausible anatomy, on the network's grid; the rules are data of the bundle.

`postprocessing` in `configs/radgate.json`: `threshold`; `min_share_of_largest` (a part smaller than this share of the
largest is dropped; 1 keeps one part), `min_cc`, `sides` ("left" or "right" of the body's middle) and
`max_from_middle_mm` (to either side), each by structure with an entry "default"; `within_body`; `crop_to_body`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from monai_bundles.errors import BadMetadata

__all__ = ["CleanupRules", "clean", "cleanup_rules"]

MARGIN_VOXELS = 2
"""Probabilities are kept this far around what is kept, so that its border can be interpolated."""


@dataclass(frozen=True)
class CleanupRules:
    """Rules of one bundle; the mappings are by structure name, with "default" for the rest."""

    threshold: float = 0.5
    min_share_of_largest: Mapping[str, float] = field(default_factory=dict)
    min_cc: Mapping[str, float] = field(default_factory=dict)
    sides: Mapping[str, str] = field(default_factory=dict)
    max_from_middle_mm: Mapping[str, float] = field(default_factory=dict)
    within_body: bool = False
    crop_to_body: bool = False


def cleanup_rules(postprocessing: Mapping[str, Any]) -> CleanupRules:
    """The rules in a bundle's `postprocessing`.

    Raises
    ------
    BadMetadata
        An entry is unknown or has an impossible value.
    """
    unknown = sorted(set(postprocessing) - set(CleanupRules.__dataclass_fields__))
    if unknown:
        raise BadMetadata(f"`postprocessing` in configs/radgate.json has the unknown entry {unknown[0]!r}; remove it.")
    rules = CleanupRules(**postprocessing)
    if not 0 < rules.threshold < 1 or not set(rules.sides.values()) <= {"left", "right"}:
        raise BadMetadata("`postprocessing` needs a threshold between 0 and 1 and sides 'left' or 'right'; correct it.")
    return rules


def clean(
    name: str,
    probability: NDArray[np.float32],
    voxel_cc: float,
    from_middle_mm: NDArray[np.float32] | None,
    rules: CleanupRules,
) -> NDArray[np.float32] | None:
    """The probability of one structure with everything implausible set to 0; None where nothing is left.

    Parameters
    ----------
    name
        Structure.
    probability
        Shape (z, y, x) on any grid.
    voxel_cc
        Volume of its voxels.
    from_middle_mm
        Distance of each voxel from the body's middle, positive to the patient's left; needed for rules on sides.
    rules
        The bundle's rules.
    """
    above = probability >= rules.threshold
    side = rules.sides.get(name)
    if side is not None and from_middle_mm is not None:
        above &= from_middle_mm > 0 if side == "left" else from_middle_mm < 0
    furthest_mm = rules.max_from_middle_mm.get(name)
    if furthest_mm is not None and from_middle_mm is not None:
        above &= np.abs(from_middle_mm) <= furthest_mm
    labels, count = ndimage.label(above)
    if not count:
        return None
    weights = np.bincount(labels.ravel(), weights=probability.ravel(), minlength=count + 1)
    weights[0] = 0.0
    share = rules.min_share_of_largest.get(name, rules.min_share_of_largest.get("default", 0.0))
    keep = weights >= share * weights.max()
    keep[0] = False
    kept = keep[labels]
    smallest_cc = rules.min_cc.get(name, rules.min_cc.get("default", 0.0))
    if np.count_nonzero(kept) * voxel_cc < smallest_cc:
        return None
    around = ndimage.binary_dilation(kept, iterations=MARGIN_VOXELS)
    # Above the threshold nothing but what was kept remains; below it the margin stays for interpolation.
    below = probability < rules.threshold
    return np.where(kept | (around & below), probability, np.float32(0.0)).astype(np.float32)
