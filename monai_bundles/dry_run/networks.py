"""Tries a bundle's network out: the chain that a patient's images go through, on a made image of the smallest size.

What is looked at: dimensions, channels that the network takes, values that are numbers, the form of the output, and
that everything that the network could answer has a meaning.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from monai_bundles.bundle import Bundle, BundleOutput
from monai_bundles.config import read_inference
from monai_bundles.dry_run.answers import check_answers
from monai_bundles.dry_run.faults import explained, wrong_form
from monai_bundles.dry_run.images import made_companions, made_pictures, made_volume
from monai_bundles.dry_run.sizes import Size, declared_shapes, sizes_of, target_spacing_mm
from monai_bundles.dry_run.watching import Seen, watched
from monai_bundles.engines.selection import eager_only
from monai_bundles.errors import BundleError, NotEnoughMemory, WrongChannels, WrongDimensions, WrongOutput
from monai_bundles.metadata import read_metadata
from monai_bundles.runner import run_here

__all__ = ["try_network"]

ENOUGH_S = 20.0
"""After this long only the largest size is tried any more: the network's own."""

CONVOLUTIONS = {torch.nn.Conv1d: 1, torch.nn.Conv2d: 2, torch.nn.Conv3d: 3}


@dataclass(frozen=True, eq=False)
class Parts:
    """What of a bundle is looked at while it runs.

    Parameters
    ----------
    in_planes
        Whether the network is given one plane after the other.
    """

    network: torch.nn.Module
    inferer: Any
    dims: int
    in_planes: bool


def try_network(bundle: Bundle) -> None:
    """Run the bundle on a made image.

    Raises
    ------
    BundleError
        What is wrong with it.
    NotEnoughMemory
        It cannot be tried on this machine.
    """
    parts = _parts(bundle)
    _check_dimensions(bundle, parts)
    metadata = read_metadata(bundle.root)
    spacing_mm = target_spacing_mm(read_inference(bundle.root))
    began = time.monotonic()
    failure: BundleError | None = None
    sizes = sizes_of(parts.inferer, parts.dims, metadata, in_planes=parts.in_planes)
    for size in sizes:
        if time.monotonic() - began > ENOUGH_S and size != sizes[-1]:
            continue
        with watched(parts.network) as seen:
            try:
                _run(bundle, parts, size, spacing_mm)
                failure = _fault_of(bundle, parts, seen)
            except NotEnoughMemory:
                raise
            except BundleError as error:
                failure = explained(bundle, error, seen, parts.dims)
        if failure is None and not seen.given and size != sizes[-1]:
            continue  # a body this small holds no window; an inferer of the bundle's own may never ask
        if failure is None:
            try:
                check_answers(bundle, parts.network, seen, parts.dims, partial(_run, bundle, parts, size, spacing_mm))
            except BundleError as error:
                failure = explained(bundle, error, seen, parts.dims)
            break
        if isinstance(failure, WrongChannels):
            break
    if failure is not None:
        raise failure


def _parts(bundle: Bundle) -> Parts:
    """The bundle's network as it is loaded for a run."""
    if bundle.output == "structures":
        from monai_bundles.network import load_network

        loaded = load_network(bundle, "cpu")
        dims = next((CONVOLUTIONS[type(m)] for m in loaded.network.modules() if type(m) in CONVOLUTIONS), 3)
        return Parts(loaded.network, loaded.inferer, dims, in_planes=False)
    from monai_bundles.zoo.workflow import load_workflow

    workflow = load_workflow(bundle, "cpu")
    in_planes = workflow.spatial_dims == 2 and type(workflow.inferer).__name__ != "SliceInferer"
    return Parts(workflow.network, workflow.inferer, workflow.spatial_dims, in_planes)


def _check_dimensions(bundle: Bundle, parts: Parts) -> None:
    """The network's dimensions are some that a study, its form of output and its metadata have.

    Raises
    ------
    WrongDimensions
        They are others.
    """
    volumes_only = bundle.output in {"structures", "boxes"}
    possible = {2} if bundle.is_for_colours else {3} if volumes_only else {2, 3}
    if parts.dims not in possible:
        why = "colour pictures have" if bundle.is_for_colours else f"images for {bundle.output} have"
        raise WrongDimensions(
            f"The network of bundle {bundle.name} has {parts.dims} spatial dimensions, and {why} "
            f"{' or '.join(str(n) for n in sorted(possible))}; correct network_def in its configuration, or `inputs` "
            "and `output` in configs/radgate.json.",
            got=parts.dims,
        )
    declared = {len(shape) for shape in declared_shapes(read_metadata(bundle.root))}
    # A network that takes planes may be declared by the volume that they are of.
    if declared and parts.dims > max(declared):
        raise WrongDimensions(
            f"The network of bundle {bundle.name} has {parts.dims} spatial dimensions, and `spatial_shape` in "
            f"configs/metadata.json {max(declared)}; correct the one that is wrong.",
            network=parts.dims,
            metadata=max(declared),
        )


def _run(bundle: Bundle, parts: Parts, size: Size, spacing_mm: tuple[float, float, float]) -> BundleOutput:
    """The chain on a made image of this size, with windows of this size."""
    planes, rows, columns = size.shape
    x, y, z = spacing_mm
    with _with_window(parts.inferer, size.window), eager_only():
        if bundle.is_for_colours:
            return run_here(bundle, made_pictures(rows, columns), device="cpu")
        volume = made_volume(bundle, (planes, rows, columns), (z, y, x))
        return run_here(bundle, volume, device="cpu", companions=made_companions(bundle, size.shape, (z, y, x)))


@contextmanager
def _with_window(inferer: Any, window: tuple[int, ...]) -> Iterator[None]:
    """The inferer, which is kept for runs, with other windows meanwhile."""
    if not window:
        yield
        return
    before = inferer.roi_size
    inferer.roi_size = window
    try:
        yield
    finally:
        inferer.roi_size = before


def _fault_of(bundle: Bundle, parts: Parts, seen: Seen) -> BundleError | None:
    """What is wrong with an output that the runner took; None where nothing is."""
    wrong = wrong_form(bundle, seen, parts.dims)
    if wrong is not None:
        return wrong
    if not seen.is_finite:
        return WrongOutput(
            f"The network of bundle {bundle.name} gives values that are no numbers (NaN or infinite) for a made image; "
            "check its weights and preprocessing.",
        )
    return None
