"""Runs a bundle's network on a volume: preprocessing of its own config, sliding window, and back to the source grid."""

import copy
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from numpy.typing import NDArray

from imaging.volume import Region, Volume
from monai_bundles import memory
from monai_bundles.body.coarse import block_means
from monai_bundles.body.outline import body_outline
from monai_bundles.bundle import Bundle, BundleStructure
from monai_bundles.cleanup import CleanupRules, clean, cleanup_rules
from monai_bundles.engines.selection import identity_of, selected_engine
from monai_bundles.errors import NotEnoughMemory, WrongOutput
from monai_bundles.memory import (
    is_out_of_memory,
    memory_text,
    run_bytes,
    smaller_windows,
    window_of,
)
from monai_bundles.network import NetworkParts, load_network
from monai_bundles.orientation import anatomical_axes
from monai_bundles.restore import grid_map, restore
from monai_bundles.windows import slide

__all__ = ["segment_with_network"]

Progress = Callable[[float, str], None]

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""MONAI's affines map to RAS; this is the only place where radgate writes one."""

BODY_MM = 4.0
BODY_MARGIN_MM = 12.0
"""Kept around the body when the volume is cropped to it."""


@dataclass(frozen=True, eq=False)
class NetworkRun:
    """What a network found: regions by TG-263 name, the device it ran on, and the seconds of its forward passes."""

    regions: dict[str, Region]
    device: str
    forward_s: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Prepared:
    """The part of the volume a network sees, on anatomical axes, and its body mask.

    Parameters
    ----------
    values
        float32, axes superior, posterior, left.
    affine_lps
        4x4 of these values.
    body, body_affine_lps
        The outline on its own, coarser grid.
    """

    values: NDArray[np.float32]
    affine_lps: NDArray[np.float64]
    body: NDArray[np.bool_]
    body_affine_lps: NDArray[np.float64]


def segment_with_network(bundle: Bundle, volume: Volume, tell: Progress, device: str) -> NetworkRun:
    """Regions by TG-263 name on the volume's grid, with probabilities.

    Raises
    ------
    BundleError
        See `load_network`; `WrongOutput` if the network's output has another shape than declared.
    NotEnoughMemory
        Memory does not do, also on the CPU.
    RuntimeError
        The network raised it.
    """
    chosen = _device(device)
    rules = cleanup_rules(bundle.postprocessing)
    try:
        return _segment(bundle, volume, rules, tell, chosen)
    except (NotEnoughMemory, RuntimeError) as error:
        if chosen == "cpu" or not (isinstance(error, NotEnoughMemory) or is_out_of_memory(error)):
            raise
    run = _segment(bundle, volume, rules, tell, "cpu")
    return replace(run, notes=(*run.notes, f"Memory of {chosen} did not do; it ran on the CPU."))


def _segment(bundle: Bundle, volume: Volume, rules: CleanupRules, tell: Progress, device: str) -> NetworkRun:
    """The run on one device."""
    parts = load_network(bundle, device)
    tell(0.05, "preprocessing")
    prepared = _prepare(volume, parts, rules)
    image = _preprocess(prepared, parts)
    affine = _affine_of(image)
    shape = tuple(image.shape[1:])
    inside = _looked_up(prepared.body, prepared.body_affine_lps, affine, shape) if rules.within_body else None
    parts, notes = _with_windows_that_fit(bundle, parts, image, volume, device)
    tell(0.1, "network")
    probabilities, forward_s = _infer(bundle, image, parts, inside, tell, device, has_engine=not notes)
    tell(0.85, "source grid")
    regions = _to_source(bundle, volume, prepared, probabilities, affine, inside, rules)
    return NetworkRun(regions, device, forward_s, notes)


def _with_windows_that_fit(
    bundle: Bundle, parts: NetworkParts, image: MetaTensor, volume: Volume, device: str
) -> tuple[NetworkParts, tuple[str, ...]]:
    """The parts with the largest windows that memory allows, and a sentence where they are not the bundle's own.

    Raises
    ------
    NotEnoughMemory
        Not even the smallest do.
    """
    roi = getattr(parts.inferer, "roi_size", None)
    own = window_of(roi, image.shape[1:])
    windows = smaller_windows(own) if roi else [own]
    at_once = int(getattr(parts.inferer, "sw_batch_size", 1) or 1)
    there = memory.available_bytes(device)
    needed = 0
    for number, window in enumerate(windows):
        batch = (at_once, int(image.shape[0]), *window)
        needed = run_bytes(parts.network, tuple(image.shape), batch, len(bundle.structures), volume.array.size)
        if needed > there:
            continue
        if not number:
            return parts, ()
        inferer = copy.copy(parts.inferer)
        inferer.roi_size = window
        size = " x ".join(str(n) for n in window)
        return replace(parts, inferer=inferer), (f"Memory did not do for the bundle's windows; it ran with {size}.",)
    raise NotEnoughMemory(
        f"Bundle {bundle.name} needs about {memory_text(needed)} of memory"
        f"{' also with the smallest windows' if roi else ''}, and there are {memory_text(there)}; free memory, or run "
        "it on a larger machine.",
        needed_bytes=needed,
        available_bytes=there,
    )


def _device(wanted: str) -> str:
    if wanted != "auto":
        return wanted
    return "cuda" if torch.cuda.is_available() else "cpu"


def _prepare(volume: Volume, parts: NetworkParts, rules: CleanupRules) -> Prepared:
    """Anatomical axes, cropped to the body, and averaged over blocks where the network's grid is far coarser.

    Linear interpolation alone would pick single noisy voxels of a fine CT.
    """
    axes = anatomical_axes(volume.grid)
    fine = axes.view(volume.array)
    affine = _anatomical_affine(volume)
    outline = block_means(fine, axes.spacing_mm, BODY_MM)
    body = body_outline(outline) if rules.within_body or rules.crop_to_body else np.ones(outline.hu.shape, dtype=bool)
    body_affine = _blocked(affine, np.array(outline.factors))
    start, stop = np.zeros(3, dtype=int), np.array(fine.shape)
    if rules.crop_to_body and body.any():
        hits = np.argwhere(body)
        margin = np.ceil(BODY_MARGIN_MM / np.array(axes.spacing_mm)).astype(int)
        start = np.maximum(hits.min(axis=0) * outline.factors - margin, 0)
        stop = np.minimum((hits.max(axis=0) + 1) * outline.factors + margin, fine.shape)
    part = fine[tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))]
    affine = affine.copy()
    affine[:3, 3] += affine[:3, :3] @ start
    factors = np.ones(3, dtype=int)
    if parts.spacing_mm is not None and len(parts.spacing_mm) == 3:
        # Preprocessing turns to axes of its own; the smallest target is safe for each.
        factors = np.maximum(1, np.floor(min(parts.spacing_mm) / np.array(axes.spacing_mm)).astype(int))
    if (factors > 1).any():
        spacing = axes.spacing_mm
        blocks = block_means(part, (spacing[0], spacing[1], spacing[2]), _exact_target(factors, spacing))
        factors = np.array(blocks.factors)
        values, affine = blocks.hu, _blocked(affine, factors)
    else:
        values = np.ascontiguousarray(part, dtype=np.float32)
    return Prepared(values=values, affine_lps=affine, body=body, body_affine_lps=body_affine)


def _exact_target(factors: NDArray[np.intp], spacing_mm: tuple[float, float, float]) -> float:
    """A block size that gives no axis more than its factor."""
    return float(min((f + 0.49) * s for f, s in zip(factors, spacing_mm, strict=True) if f > 1))


def _anatomical_affine(volume: Volume) -> NDArray[np.float64]:
    """4x4 from indices on anatomical axes to LPS mm."""
    axes = anatomical_axes(volume.grid)
    turn = np.zeros((4, 4))
    turn[3, 3] = 1.0
    for new, (old, flip) in enumerate(zip(axes.order, axes.flipped, strict=True)):
        turn[old, new] = -1.0 if flip else 1.0
        turn[old, 3] = volume.array.shape[old] - 1 if flip else 0.0
    return volume.affine_lps @ turn


def _blocked(affine: NDArray[np.float64], factors: NDArray[np.intp]) -> NDArray[np.float64]:
    """The affine of block means: centres of blocks instead of voxels."""
    blocked = affine.copy()
    blocked[:3, 3] += affine[:3, :3] @ ((factors - 1) / 2)
    blocked[:3, :3] = affine[:3, :3] * factors
    return blocked


def _preprocess(prepared: Prepared, parts: NetworkParts) -> MetaTensor:
    """The bundle's own preprocessing on the values in memory: channels first, affine in RAS."""
    tensor = torch.from_numpy(prepared.values)[None]
    image = MetaTensor(tensor, affine=torch.from_numpy(LPS_TO_RAS @ prepared.affine_lps))
    result: MetaTensor = parts.preprocessing({parts.image_key: image})[parts.image_key]
    return result


def _affine_of(image: MetaTensor) -> NDArray[np.float64]:
    """LPS affine of a preprocessed image."""
    affine: NDArray[np.float64] = LPS_TO_RAS @ np.asarray(image.affine, dtype=np.float64)
    return affine


def _infer(
    bundle: Bundle,
    image: MetaTensor,
    parts: NetworkParts,
    inside: NDArray[np.bool_] | None,
    tell: Progress,
    device: str,
    *,
    has_engine: bool,
) -> tuple[NDArray[np.float32], float]:
    """Probabilities, shape (structures, z, y, x), on the preprocessed grid, and the seconds of the forward passes.

    Where memory is short (`has_engine` is false) no engine is looked for.

    Raises
    ------
    WrongOutput
        The network gave another shape, or something that is no number.
    """
    batch = image.as_tensor()[None].to(device=device, dtype=torch.float32)
    with torch.inference_mode():
        network = parts.network
        if device == "cpu" and has_engine:
            network = selected_engine(identity_of(bundle), network, parts.inferer, batch, inside)
        done = slide(
            parts.inferer,
            network,
            batch,
            len(bundle.structures),
            inside,
            lambda share: tell(0.1 + 0.75 * share, "network"),
        )
        output = done.output
        expected = (1, len(bundle.structures), *batch.shape[2:])
        if not isinstance(output, torch.Tensor) or tuple(output.shape) != expected:
            got = list(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
            raise WrongOutput(
                f"The network of bundle {bundle.name} gave an output of another shape than its structures and input; "
                "correct its configuration.",
                expected=list(expected),
                got=got,
            )
        if parts.sigmoid:
            output = torch.sigmoid(output)
        if not bool(torch.isfinite(output).all()):
            raise WrongOutput(
                f"The network of bundle {bundle.name} gave values that are no numbers; check its weights."
            )
        probabilities: NDArray[np.float32] = output[0].float().cpu().numpy()
    return probabilities, done.forward_s


def _to_source(
    bundle: Bundle,
    volume: Volume,
    prepared: Prepared,
    probabilities: NDArray[np.float32],
    affine_lps: NDArray[np.float64],
    inside: NDArray[np.bool_] | None,
    rules: CleanupRules,
) -> dict[str, Region]:
    """Each structure cleaned up on the network's grid and brought to the source's voxels."""
    shape = probabilities.shape[1:]
    voxel_cc = abs(float(np.linalg.det(affine_lps[:3, :3]))) / 1000.0
    sided = bool(rules.sides or rules.max_from_middle_mm)
    from_middle = _from_middle_mm(prepared, affine_lps, shape) if sided else None
    to_network = grid_map(volume.affine_lps, affine_lps)
    full = (volume.array.shape[0], volume.array.shape[1], volume.array.shape[2])

    def brought_back(structure: BundleStructure) -> Region | None:
        probability = probabilities[structure.label - 1]
        if inside is not None:
            probability = np.where(inside, probability, np.float32(0.0))
        cleaned = clean(structure.name, probability, voxel_cc, from_middle, rules)
        return None if cleaned is None else restore(cleaned, to_network, full, rules.threshold)

    # SciPy's loops leave the interpreter alone; two at a time keep the memory of a hundred structures low.
    with ThreadPoolExecutor(max_workers=2) as pool:
        regions = list(pool.map(brought_back, bundle.structures))
    return {s.name: region for s, region in zip(bundle.structures, regions, strict=True) if region is not None}


def _looked_up(
    values: NDArray[Any], values_affine: NDArray[np.float64], affine: NDArray[np.float64], shape: tuple[int, ...]
) -> NDArray[Any]:
    """The value at the nearest voxel for every voxel of another grid."""
    to_values = grid_map(affine, values_affine)
    indices = np.indices(shape, dtype=np.float32).reshape(3, -1)
    nearest = np.rint(to_values.matrix.astype(np.float32) @ indices + to_values.offset.astype(np.float32)[:, None])
    clipped = [np.clip(row, 0, n - 1).astype(np.intp) for row, n in zip(nearest, values.shape, strict=True)]
    return values[tuple(clipped)].reshape(shape)


def _from_middle_mm(prepared: Prepared, affine: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Distance from the body's middle, positive to the patient's left, plane by plane (a lying head may be turned)."""
    columns = np.arange(prepared.body.shape[2])
    sums = prepared.body.sum(axis=(1, 2))
    middles = (prepared.body * columns).sum(axis=(1, 2)) / np.maximum(sums, 1)
    filled = sums > 0
    planes = np.arange(len(middles))
    middles = (
        np.interp(planes, planes[filled], middles[filled]) if filled.any() else np.full(len(middles), columns.mean())
    )
    column_mm = float(np.linalg.norm(prepared.body_affine_lps[:3, 2]))
    distance = ((columns[None, None, :] - middles[:, None, None]) * column_mm).astype(np.float32)
    return _looked_up(np.broadcast_to(distance, prepared.body.shape), prepared.body_affine_lps, affine, shape)
