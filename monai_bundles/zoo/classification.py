"""Runs a classifier: scores of its classes, and a map of where in the image they come from."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from numpy.typing import NDArray

from monai_bundles.bundle import Bundle, Score
from monai_bundles.errors import WrongOutput
from monai_bundles.zoo.attention import attention_map
from monai_bundles.zoo.calls import Progress, WorkflowRun, counted, image_key, preprocessed
from monai_bundles.zoo.heat import heat_region
from monai_bundles.zoo.room import Room
from monai_bundles.zoo.workflow import Workflow

__all__ = ["classify"]

HEAT_BYTES = 9
"""Of the heat map, a voxel of the source: two values and a mask."""


def classify(
    bundle: Bundle,
    workflow: Workflow,
    given: Callable[[int], Mapping[str, MetaTensor]],
    key: str,
    shape: tuple[int, int, int],
    tell: Progress,
    run: WorkflowRun,
    room: Room,
    device: str,
) -> None:
    """Scores of the classes, of the most certain plane where the network takes planes, and where they come from.

    Parameters
    ----------
    given
        What preprocessing takes, for each plane by its index; for a network that takes volumes, for 0 only.
    shape
        Of the image: (planes, rows, columns).

    Raises
    ------
    NotEnoughMemory
        There is less than the network needs; where only the map would need more, a note says so.
    WrongOutput
        There are other scores than classes, or no plane.
    """
    in_planes = workflow.spatial_dims == 2
    best: tuple[float, int, NDArray[np.float64], torch.Tensor, Any, Any] | None = None
    count = shape[0] if in_planes else 1
    scored: list[tuple[Score, ...]] = []
    for plane in range(count):
        source = given(plane)
        data = preprocessed(workflow, source, key)
        image = data[image_key(data, key)]
        room.require(image, math.prod(shape) * HEAT_BYTES)
        batch = torch.as_tensor(image.as_tensor() if isinstance(image, MetaTensor) else image)[None]
        batch = batch.to(device, torch.float32)
        with torch.inference_mode(), counted(workflow.network, run, lambda share: None, 1):
            output = workflow.inferer(batch, workflow.network)
        output = output[0] if isinstance(output, tuple | list) else output
        values = _probabilities(output.reshape(-1).float().cpu(), workflow)
        if len(values) != len(bundle.structures):
            raise WrongOutput(
                f"Bundle {bundle.name} gave {len(values)} scores for {len(bundle.structures)} classes; correct its "
                "configs/radgate.json.",
            )
        scored.append(_scores(bundle, values))
        if best is None or values.max() > best[0]:
            best = (float(values.max()), plane, values, batch, image, source[key])
        tell(0.1 + 0.75 * (plane + 1) / count, "network")
    if best is None:
        raise WrongOutput("There is no plane to classify; give an image with at least one.")
    _, plane, values, batch, image, own = best
    run.scores = scored[plane]
    if in_planes:
        run.plane_scores, run.plane = tuple(scored), plane
    tell(0.9, "heat map")
    if not room.has_gradients(batch[0]):
        run.notes = (*run.notes, "Memory did not do for the map of where the scores come from; it is left out.")
        return
    attention = attention_map(workflow.network, batch, int(np.argmax(values)))
    if attention is not None:
        run.heat_map = heat_region(attention, image, own, shape, plane if in_planes else None)


def _scores(bundle: Bundle, values: NDArray[np.float64]) -> tuple[Score, ...]:
    """The classes with their scores, highest first."""
    order = np.argsort(-values, kind="stable")
    return tuple(Score(bundle.structures[i].name, float(values[i])) for i in order)


def _probabilities(values: torch.Tensor, workflow: Workflow) -> NDArray[np.float64]:
    """The network's output as scores: by its own activation, else softmax."""
    for step in getattr(workflow.postprocessing, "transforms", ()):
        converter = getattr(step, "converter", None)
        if type(step).__name__.startswith("Activations"):
            sigmoid = getattr(step, "sigmoid", (False,))
            if bool(sigmoid[0] if isinstance(sigmoid, tuple | list) else sigmoid) or getattr(
                converter, "sigmoid", False
            ):
                return np.asarray(torch.sigmoid(values), dtype=np.float64)
    return np.asarray(torch.softmax(values, dim=0), dtype=np.float64)
