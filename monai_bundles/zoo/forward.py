"""One pass through a bundle's network to the output behind its postprocessing, for segmentations."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms.utils import reset_ops_id

from monai_bundles.blending import joined
from monai_bundles.bundle import Bundle
from monai_bundles.errors import WrongOutput
from monai_bundles.zoo.calls import WorkflowRun, counted, window_count
from monai_bundles.zoo.computing import Computing
from monai_bundles.zoo.prompts import PROMPT_KEY, asked_for, prompt_arguments, takes_prompts
from monai_bundles.zoo.workflow import Workflow

__all__ = ["segmented", "works_by_key"]

TYPES, INSTANCES = "type_map", "instance_map"
"""What kind each object is, and which voxels are one object; where nobody named the kinds, all objects are one."""

OUTPUT_KEYS = ("pred", TYPES, "seg", "label_map", INSTANCES)
"""Under which postprocessing leaves its labels, the usual one first."""


def segmented(
    bundle: Bundle,
    workflow: Workflow,
    data: dict[str, Any],
    key: str,
    device: str,
    run: WorkflowRun,
    computing: Computing,
    told: Callable[[float], None] = lambda share: None,
) -> Any:
    """The output after postprocessing, channels in front, with its affine where it knows it.

    Parameters
    ----------
    data, key
        After preprocessing, and where the image is in it.
    run
        Where the network's seconds are added.
    computing
        What computes the windows.
    told
        Called with the share done.
    """
    image = data[key]
    plain = image.as_tensor() if isinstance(image, MetaTensor) else torch.as_tensor(image)
    prompts: dict[str, Any] = {}
    if takes_prompts(workflow.inferer):
        labels = asked_for(tuple(s.label for s in bundle.structures), workflow.offered)
        prompts = prompt_arguments(workflow.inferer, labels, device)
        data = {**data, PROMPT_KEY: torch.tensor(labels)}
    batch = plain[None].to(device, torch.float32)
    output: Any = None
    with torch.inference_mode():
        if computing.decision is not None:
            done = joined(workflow.inferer, computing.network, batch, computing.inside, computing.decision.empty, told)
            if done is not None:
                output = done.output
                run.forward_s += done.forward_s
        if output is None:
            calls = window_count(tuple(batch.shape[2:]), workflow.inferer)
            with counted(computing.network, run, told, calls):
                output = workflow.inferer(batch, computing.network, **prompts)
    if isinstance(output, tuple | list):
        output = output[0]
    placed = (
        {name: _placed(value, image) for name, value in output.items()}
        if isinstance(output, dict)
        else _placed(output, image)
    )
    return _finished(workflow, data, placed, kinds=len(bundle.structures), instances=bundle.instances)


def _placed(output: Any, image: Any) -> Any:
    """An output (1, C, ...) without its batch, where the image is.

    Raises
    ------
    WrongOutput
        It is no tensor.
    """
    if not isinstance(output, torch.Tensor):
        raise WrongOutput("The network gave no image; check the form of the output in configs/radgate.json.")
    prediction = output[0].float().cpu().clone()
    return MetaTensor(prediction, affine=image.affine.clone()) if isinstance(image, MetaTensor) else prediction


def _finished(workflow: Workflow, data: dict[str, Any], prediction: Any, *, kinds: int, instances: bool) -> Any:
    """The prediction after the bundle's postprocessing, for a bundle that names so many kinds, or numbers objects.

    Raises
    ------
    WrongOutput
        Nothing that is known is left of it.
    """
    if workflow.postprocessing is None:
        return next(iter(prediction.values())) if isinstance(prediction, dict) else prediction
    if not workflow.by_key and not works_by_key(workflow.postprocessing):
        return workflow.postprocessing(prediction)
    # A copy of preprocessing inverts too: steps are then known by their class, not by their identity.
    kept = {name: reset_ops_id(value) if isinstance(value, MetaTensor) else value for name, value in data.items()}
    done = workflow.postprocessing({**kept, "pred": prediction})
    for name in OUTPUT_KEYS:
        if name == TYPES and kinds == 1 and INSTANCES in done:
            continue
        if name in done:
            # An instance has a number, which is no label.
            return _outlined(done[name]) if name == INSTANCES or instances else done[name]
    raise WrongOutput(f"The bundle's postprocessing leaves none of {', '.join(OUTPUT_KEYS)}; it cannot be read.")


def _outlined(numbered: Any) -> Any:
    """Where there is any object, of a tensor or an array that numbers them."""
    if isinstance(numbered, torch.Tensor):
        return (numbered > 0).float()
    return torch.from_numpy(np.asarray(numbered) > 0).float()


def works_by_key(postprocessing: Any) -> bool:
    """Whether postprocessing takes a dictionary."""
    from monai.transforms import MapTransform

    return any(isinstance(step, MapTransform) for step in getattr(postprocessing, "transforms", (postprocessing,)))
