"""Runs a bundle of the Model Zoo on volumes by its own parts: segmentation here, the rest beside."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms.utils import reset_ops_id

from imaging.volume import Volume
from monai_bundles.bundle import Bundle
from monai_bundles.errors import NotEnoughMemory, WrongOutput
from monai_bundles.memory import available_bytes, is_out_of_memory, run_bytes, smaller_windows
from monai_bundles.zoo.calls import Progress, WorkflowRun, counted, image_key, preprocessed, window_count
from monai_bundles.zoo.classification import classify
from monai_bundles.zoo.detection import detect
from monai_bundles.zoo.inputs import slices_of, source_tensors
from monai_bundles.zoo.outputs import on_source, regions_of
from monai_bundles.zoo.prompts import PROMPT_KEY, asked_for, prompt_arguments, takes_prompts
from monai_bundles.zoo.workflow import Workflow, forget_workflows, load_workflow

__all__ = ["run_workflow"]

TYPES, INSTANCES = "type_map", "instance_map"
"""What kind each object is, and which voxels are one object; where nobody named the kinds, all objects are one."""

OUTPUT_KEYS = ("pred", TYPES, "seg", "label_map", INSTANCES)
"""Under which postprocessing leaves its labels, the usual one first."""


def run_workflow(
    bundle: Bundle, volume: Volume, companions: Mapping[str, Volume], tell: Progress, device: str
) -> WorkflowRun:
    """Everything the bundle finds in the volume.

    Parameters
    ----------
    bundle
        With an `output` other than "structures".
    volume
        The series of the route.
    companions
        Further images by the names of their channels.
    tell
        Called with the share done and a word.
    device
        "auto", "cpu" or a device of torch.

    Raises
    ------
    BundleError
        The parts cannot be built, an image is missing, or the output is not what was declared.
    NotEnoughMemory
        Memory does not do, also with smaller windows and on the CPU.
    RuntimeError
        The network raised it.
    """
    chosen = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002 - MONAI's own transforms draw from it
    notes: list[str] = []
    for place in dict.fromkeys((chosen, "cpu")):
        workflow = load_workflow(bundle, place)
        own = _own_window(workflow)
        for window, batch in _sizes(workflow):
            try:
                with _window(workflow, window, batch), warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # MONAI's transforms warn of what they were asked to do
                    run = _attempt(bundle, workflow, volume, companions, tell, place)
            except NotEnoughMemory as error:
                notes.append(error.message)
                continue
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    if window != own and "size" in str(error).lower():
                        continue  # the network does not take windows of this size
                    raise
                forget_workflows()
                continue
            run.device = place
            if window != own:
                size = " x ".join(str(n) for n in window)
                run.notes = (*run.notes, f"Memory did not do for the bundle's own windows; it ran with {size}.")
            if place != chosen:
                run.notes = (*run.notes, f"Memory of {chosen} did not do; it ran on the CPU.")
            return run
    raise NotEnoughMemory(
        f"Bundle {bundle.name} needs more memory than there is, also with the smallest windows"
        f"{': ' + notes[-1] if notes else ''}; free memory, or run it on a larger machine."
    )


def _own_window(workflow: Workflow) -> tuple[int, ...]:
    """The size of the bundle's own windows; empty where it has none."""
    roi = getattr(workflow.inferer, "roi_size", None)
    sized = isinstance(roi, list | tuple) and all(isinstance(n, int) and n > 0 for n in roi)
    return tuple(roi) if sized and roi else ()


def _sizes(workflow: Workflow) -> list[tuple[tuple[int, ...], int]]:
    """Windows, and how many are computed at once, each needing less memory than the one before.

    One window at a time changes no label, so that it comes before smaller windows, which change them.
    """
    own = _own_window(workflow)
    batch = int(getattr(workflow.inferer, "sw_batch_size", 1) or 1)
    if not own:
        return [((), batch)]
    return [(own, n) for n in dict.fromkeys((batch, 1))] + [(w, 1) for w in smaller_windows(own)[1:]]


@contextmanager
def _window(workflow: Workflow, window: tuple[int, ...], batch: int) -> Iterator[None]:
    """The workflow's inferer with other windows."""
    if not window:
        yield
        return
    before = {name: getattr(workflow.inferer, name, None) for name in ("roi_size", "sw_batch_size")}
    workflow.inferer.roi_size, workflow.inferer.sw_batch_size = window, batch
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(workflow.inferer, name, value)


def _attempt(
    bundle: Bundle,
    workflow: Workflow,
    volume: Volume,
    companions: Mapping[str, Volume],
    tell: Progress,
    device: str,
) -> WorkflowRun:
    """One run with these windows on this device."""
    tell(0.05, "preprocessing")
    source = source_tensors(bundle, volume, companions, channel_first=workflow.channel_first)
    key = bundle.inputs[0].key
    in_planes = workflow.spatial_dims == 2 and type(workflow.inferer).__name__ != "SliceInferer"
    run = WorkflowRun(
        notes=tuple(f"Repaired to run here: {', '.join(workflow.repairs)}." for _ in workflow.repairs[:1])
    )
    if bundle.output == "scores":
        classify(bundle, workflow, source, key, volume, tell, run, device)
        return run
    if in_planes:
        outputs = []
        planes = volume.array.shape[0]
        for plane in range(planes):
            data = preprocessed(workflow, slices_of(source, plane, list(source)), key)
            with counted(workflow, run, lambda share: None, 1):
                outputs.append(_segment(bundle, workflow, data, image_key(data, key), device))
            tell(0.1 + 0.75 * (plane + 1) / planes, "network")
        stacked = torch.stack([torch.as_tensor(np.asarray(o.cpu())) for o in outputs], dim=-1)
        values = on_source(stacked, np.asarray(source[key].affine, dtype=np.float64), volume)
        run.regions = regions_of(bundle, values)
        return run
    data = preprocessed(workflow, source, key)
    key = image_key(data, key)
    image = data[key]
    _check_memory(bundle, workflow, image, volume, device)
    tell(0.1, "network")
    calls = window_count(tuple(image.shape[1:]), workflow.inferer)
    with counted(workflow, run, lambda share: tell(0.1 + 0.75 * share, "network"), calls):
        if bundle.output == "boxes":
            detect(bundle, workflow, data, key, volume, run, device)
            return run
        result = _segment(bundle, workflow, data, key, device)
    tell(0.9, "source grid")
    affine = np.asarray(result.affine if isinstance(result, MetaTensor) else image.affine, dtype=np.float64)
    run.regions = regions_of(bundle, on_source(result, affine, volume))
    return run


def _check_memory(bundle: Bundle, workflow: Workflow, image: MetaTensor, volume: Volume, device: str) -> None:
    """Compare what the run needs with what there is.

    Raises
    ------
    NotEnoughMemory
        It needs more.
    """
    roi = getattr(workflow.inferer, "roi_size", None) or tuple(image.shape[1:])
    roi = [roi] * (image.ndim - 1) if isinstance(roi, int) else list(roi)
    batch = int(getattr(workflow.inferer, "sw_batch_size", 1) or 1)
    window = (batch, int(image.shape[0]), *(int(n) for n in roi))
    channels = len(bundle.structures) + 1
    needed = run_bytes(workflow.network, tuple(image.shape), window, channels, volume.array.size)
    there = available_bytes(device)
    if needed > there:
        raise NotEnoughMemory(
            f"The run needs about {needed / 2**30:.1f} GiB and there are {there / 2**30:.1f}",
            needed_bytes=needed,
            available_bytes=there,
        )


def _segment(bundle: Bundle, workflow: Workflow, data: dict[str, Any], key: str, device: str) -> Any:
    """The output after postprocessing, channels in front, with its affine where it knows it."""
    image = data[key]
    plain = image.as_tensor() if isinstance(image, MetaTensor) else torch.as_tensor(image)
    prompts: dict[str, Any] = {}
    if takes_prompts(workflow.inferer):
        labels = asked_for(tuple(s.label for s in bundle.structures), workflow.offered)
        prompts = prompt_arguments(workflow.inferer, labels, device)
        data = {**data, PROMPT_KEY: torch.tensor(labels)}
    with torch.inference_mode():
        output = workflow.inferer(plain[None].to(device, torch.float32), workflow.network, **prompts)
    if isinstance(output, tuple | list):
        output = output[0]
    placed = (
        {name: _placed(value, image) for name, value in output.items()}
        if isinstance(output, dict)
        else _placed(output, image)
    )
    return _finished(workflow, data, placed, kinds=len(bundle.structures))


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


def _finished(workflow: Workflow, data: dict[str, Any], prediction: Any, *, kinds: int) -> Any:
    """The prediction after the bundle's postprocessing, for a bundle that names so many kinds of structures.

    Raises
    ------
    WrongOutput
        Nothing that is known is left of it.
    """
    if workflow.postprocessing is None:
        return next(iter(prediction.values())) if isinstance(prediction, dict) else prediction
    if not workflow.by_key and not _works_by_key(workflow.postprocessing):
        return workflow.postprocessing(prediction)
    # A copy of preprocessing inverts too: steps are then known by their class, not by their identity.
    kept = {name: reset_ops_id(value) if isinstance(value, MetaTensor) else value for name, value in data.items()}
    done = workflow.postprocessing({**kept, "pred": prediction})
    for name in OUTPUT_KEYS:
        if name == TYPES and kinds == 1 and INSTANCES in done:
            continue
        if name in done:
            # An instance has a number, which is no label.
            return (done[name] > 0).float() if name == INSTANCES else done[name]
    raise WrongOutput(f"The bundle's postprocessing leaves none of {', '.join(OUTPUT_KEYS)}; it cannot be read.")


def _works_by_key(postprocessing: Any) -> bool:
    from monai.transforms import MapTransform

    return any(isinstance(step, MapTransform) for step in getattr(postprocessing, "transforms", (postprocessing,)))
