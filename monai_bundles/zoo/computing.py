"""How a bundle's sliding window is computed: on a CPU by this machine's engine, and without windows outside the body.

Everything else (prompts, outputs that are no image, windows of no fixed size, other devices) is left to the bundle's
own inferer and PyTorch.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from numpy.typing import NDArray

from imaging.volume import Volume
from monai_bundles.blending import is_plain
from monai_bundles.body.on_grid import body_on_grid
from monai_bundles.bundle import Bundle
from monai_bundles.engines.selection import identity_of, selected_engine
from monai_bundles.zoo.deciding import Decision, decision_of
from monai_bundles.zoo.workflow import Workflow

__all__ = ["Computing", "body_for", "computing_of"]

HU = "[hnsf'U]"

DECIDED = frozenset({"labels", "channels"})
"""Forms of output that consist of labels; boxes and scores have no voxels that could be compared."""


@dataclass(frozen=True, eq=False)
class Computing:
    """What computes the windows of a bundle, and which.

    Parameters
    ----------
    network
        The bundle's own, or an engine in its place.
    decision
        What decides on labels; None leaves the windows to the bundle's inferer.
    inside
        Windows without a voxel of it are background; None computes every window.
    """

    network: torch.nn.Module
    decision: Decision | None = None
    inside: NDArray[np.bool_] | None = None


def computing_of(
    bundle: Bundle,
    workflow: Workflow,
    image: Any,
    device: str,
    volume: Volume | None = None,
    *,
    has_engine: bool = True,
) -> Computing:
    """What computes an image after preprocessing (C, ...).

    Parameters
    ----------
    bundle, workflow
        Of what.
    image
        A study's own, in which an engine is looked for where this machine has none yet.
    device
        Only a CPU has engines.
    volume
        The series of the route, for the body in it; None where the image is no volume.
    has_engine
        Whether an engine may take the network's place; its memory comes on top.
    """
    own = Computing(workflow.network)
    if device != "cpu" or bundle.output not in DECIDED or not is_plain(workflow.inferer):
        return own
    decision = decision_of(bundle, workflow)
    if decision is None:
        return own
    inside = None if volume is None else body_for(bundle, volume, image)
    network = workflow.network
    if has_engine:
        batch = torch.as_tensor(image.as_tensor() if isinstance(image, MetaTensor) else image)[None].float()
        identity = identity_of(bundle)
        with torch.inference_mode():
            network = selected_engine(identity, network, workflow.inferer, batch, inside, labels=decision.masks)
    if network is workflow.network and inside is None:
        return own
    return Computing(network, decision, inside)


def body_for(bundle: Bundle, volume: Volume, image: Any) -> NDArray[np.bool_] | None:
    """The body on the grid of an image after preprocessing, where windows outside are to be left out; else None."""
    if bundle.empty_windows != "skip" or volume.unit != HU or not isinstance(image, MetaTensor) or image.ndim != 4:
        return None
    inside = body_on_grid(volume, np.asarray(image.affine, dtype=np.float64), tuple(int(n) for n in image.shape[1:]))
    return inside if inside.any() else None
