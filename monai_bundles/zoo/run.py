"""Runs a bundle of the Model Zoo on volumes by its own parts: segmentation here, the rest beside."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from monai.data import MetaTensor

from imaging.cines import Cine
from imaging.pictures import Pictures
from imaging.volume import Volume
from monai_bundles.bundle import Bundle
from monai_bundles.errors import NotEnoughMemory, VolumeOutsideRange
from monai_bundles.fit import ONLY_POINTS
from monai_bundles.memory import is_out_of_memory, smaller_windows
from monai_bundles.zoo.calls import Progress, WorkflowRun, counted, image_key, preprocessed, window_count
from monai_bundles.zoo.classification import classify
from monai_bundles.zoo.computing import computing_of
from monai_bundles.zoo.detection import detect
from monai_bundles.zoo.forward import segmented
from monai_bundles.zoo.inputs import slices_of, source_tensors
from monai_bundles.zoo.outputs import on_source, regions_of
from monai_bundles.zoo.pictures import run_on_pictures
from monai_bundles.zoo.points import find_points
from monai_bundles.zoo.room import Room, planes_bytes, volume_bytes
from monai_bundles.zoo.workflow import Workflow, forget_workflows, load_workflow

__all__ = ["run_workflow"]


def run_workflow(
    bundle: Bundle,
    volume: Volume | Pictures | Cine,
    companions: Mapping[str, Volume],
    tell: Progress,
    device: str,
) -> WorkflowRun:
    """Everything the bundle finds in the volume, in the pictures or in the phases of a cine.

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
                    run = _attempt(bundle, workflow, volume, companions, tell, place, has_engine=window == own)
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
    volume: Volume | Pictures | Cine,
    companions: Mapping[str, Volume],
    tell: Progress,
    device: str,
    *,
    has_engine: bool,
) -> WorkflowRun:
    """One run with these windows on this device; where memory is short no engine is looked for.

    Raises
    ------
    VolumeOutsideRange
        A cine, for an output that is no points.
    """
    tell(0.05, "preprocessing")
    run = WorkflowRun(
        notes=tuple(f"Repaired to run here: {', '.join(workflow.repairs)}." for _ in workflow.repairs[:1])
    )
    room = Room(bundle, workflow, device)
    if isinstance(volume, Pictures):
        run_on_pictures(bundle, workflow, volume, tell, run, room, device)
        return run
    if bundle.output == "points":
        find_points(bundle, workflow, volume, tell, run, room, device)
        return run
    if isinstance(volume, Cine):
        raise VolumeOutsideRange(ONLY_POINTS)
    source = source_tensors(bundle, volume, companions, channel_first=workflow.channel_first)
    key = bundle.inputs[0].key
    in_planes = workflow.spatial_dims == 2 and type(workflow.inferer).__name__ != "SliceInferer"
    if bundle.output == "scores":

        def given(plane: int) -> Mapping[str, MetaTensor]:
            return slices_of(source, plane, list(source)) if workflow.spatial_dims == 2 else source

        classify(bundle, workflow, given, key, volume.grid.shape, tell, run, room, device)
        return run
    if in_planes:
        outputs = []
        planes = volume.array.shape[0]
        fullest = max(range(planes), key=lambda plane: float(source[key].as_tensor()[..., plane].std()))
        data = preprocessed(workflow, slices_of(source, fullest, list(source)), key)
        room.require(data[image_key(data, key)], planes_bytes(bundle, volume.array.size))
        computing = computing_of(bundle, workflow, data[image_key(data, key)], device, has_engine=has_engine)
        for plane in range(planes):
            data = preprocessed(workflow, slices_of(source, plane, list(source)), key)
            room.require(data[image_key(data, key)], planes_bytes(bundle, volume.array.size))
            outputs.append(segmented(bundle, workflow, data, image_key(data, key), device, run, computing))
            tell(0.1 + 0.75 * (plane + 1) / planes, "network")
        stacked = torch.stack([torch.as_tensor(np.asarray(o.cpu())) for o in outputs], dim=-1)
        values = on_source(stacked, np.asarray(source[key].affine, dtype=np.float64), volume)
        run.regions = regions_of(bundle, values)
        return run
    data = preprocessed(workflow, source, key)
    key = image_key(data, key)
    image = data[key]
    room.require(image, volume_bytes(bundle, volume.array.size))
    tell(0.1, "network")

    def told(share: float) -> None:
        tell(0.1 + 0.75 * share, "network")

    if bundle.output == "boxes":
        with counted(workflow.network, run, told, window_count(tuple(image.shape[1:]), workflow.inferer)):
            detect(bundle, workflow, data, key, volume, run, device)
        return run
    computing = computing_of(bundle, workflow, image, device, volume, has_engine=has_engine)
    result = segmented(bundle, workflow, data, key, device, run, computing, told)
    tell(0.9, "source grid")
    affine = np.asarray(result.affine if isinstance(result, MetaTensor) else image.affine, dtype=np.float64)
    run.regions = regions_of(bundle, on_source(result, affine, volume))
    return run
