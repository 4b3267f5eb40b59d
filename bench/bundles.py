"""Seconds and memory of the shipped bundles, each beside a plain way to do the same.

`ct_body_segmentation` on 300 x 512 x 512: five structures here, beside the outline alone by SimpleITK at full
resolution. `head_neck_ct_oar_segmentation` on 90 slices: its network step beside MONAI's `sliding_window_inference` on
the same image with the labels compared, and the whole run. Run with `python -m bench.bundles`.
"""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK
from scipy import ndimage

import monai_bundles as mb
from imaging.testing.phantom import Phantom, make_phantom
from monai_bundles.errors import BundleError

__all__ = ["main"]

SHAPE = (300, 512, 512)
LIMIT_S, LIMIT_MIB = 4.0, 600.0
NETWORK_SHAPE = (90, 511, 505)
NETWORK_LIMIT_S, CORES = 30.0, 2
"""Judged by processor time over the cores: the machine may have other work, which makes wall time unfair."""

RATIO_LIMIT = 0.5
"""Of MONAI's time, for the same windows, likewise in processor time; needs the group `engines`."""

EQUAL = 0.999
"""Share of voxels, and Dice, from which labels count as equal."""


def resident_mib() -> float:
    """Memory of this process now."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def watched(work: Callable[[], Any]) -> tuple[Any, float, float, float]:
    """The result, wall seconds, processor seconds, and the highest rise of memory in MiB, sampled every 5 ms."""
    before, peak, done = resident_mib(), 0.0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.005):
            peak = max(peak, resident_mib())

    watcher = threading.Thread(target=watch)
    watcher.start()
    wall, processor = time.perf_counter(), time.process_time()
    try:
        result = work()
    finally:
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        done.set()
        watcher.join()
    return result, wall, processor, peak - before


def outline_by_simpleitk(phantom: Phantom) -> Any:
    """The outline as scripts commonly make it: threshold, opening, largest part, holes filled slice by slice."""
    image = SimpleITK.GetImageFromArray(phantom.volume.array)
    solid = SimpleITK.BinaryMorphologicalOpening(image > -350, [4, 4, 1])
    parts = SimpleITK.RelabelComponent(SimpleITK.ConnectedComponent(solid), sortByObjectSize=True)
    body = SimpleITK.GetArrayFromImage(parts == 1).astype(bool)
    for plane in body:
        ndimage.binary_fill_holes(plane, output=plane)
    return body


def dice(a: Any, b: Any) -> float:
    """Overlap of two masks."""
    return 2.0 * int(np.count_nonzero(a & b)) / max(1, int(np.count_nonzero(a)) + int(np.count_nonzero(b)))


def body() -> bool:
    """Print the figures of the body segmentation; whether they are within the limits."""
    phantom = make_phantom(shape=SHAPE)
    bundle = mb.find("ct_body_segmentation")
    mb.run_bundle(bundle, make_phantom(shape=(40, 120, 130)).volume)
    output, wall, processor, memory = watched(lambda: mb.run_bundle(bundle, phantom.volume))
    overlaps = {s.name: round(dice(s.region.mask(), phantom.regions[s.name].mask()), 4) for s in output.structures}
    print(
        f"ct_body_segmentation {SHAPE}: {wall:.2f} s wall, {processor:.2f} s processor, "
        f"{memory:.0f} MiB above the volume"
    )
    print(f"    Dice on the phantom: {overlaps}")
    peer, wall_peer, processor_peer, memory_peer = watched(lambda: outline_by_simpleitk(phantom))
    print(
        f"outline alone by SimpleITK: {wall_peer:.2f} s wall, {processor_peer:.2f} s processor, {memory_peer:.0f} MiB"
    )
    print(f"    Dice on the phantom: {round(dice(peer, phantom.regions['Body'].mask()), 4)}")
    print(f"    ratio of processor time {processor_peer / processor:.1f}")
    return processor <= LIMIT_S and memory <= LIMIT_MIB


def network() -> bool:
    """Print the figures of the network; whether they are within the limits. Without weights, say so."""
    bundle = mb.find("head_neck_ct_oar_segmentation")
    try:
        mb.verify(bundle, build=True)
    except BundleError as error:
        print(f"{bundle.name}: {error.message}")
        return True
    import torch

    from monai_bundles.engines.benchmark import benchmark

    phantom = make_phantom(shape=NETWORK_SHAPE)
    step = benchmark(bundle, phantom.volume)
    for trial in step.choice.trials:
        seconds = "-" if trial.seconds_per_window is None else f"{trial.seconds_per_window:.3f} s a window"
        print(
            f"    {trial.engine}: {seconds}, equal voxels {trial.voxels:.4%}, least Dice {trial.dice:.4f} "
            f"{trial.reason}"
        )
    print(f"MONAI's sliding_window_inference, whole field of view: {step.monai_s:.2f} s, {step.windows} windows")
    ways = [("same windows", step.same_windows)]
    ways += [("cropped to the body", step.cropped)] if step.cropped is not None else []
    for what, way in ways:
        print(
            f"    radgate, {what}: {way.seconds:.2f} s, {way.windows} windows, ratio {way.ratio:.2f} (processor time "
            f"{way.processor_ratio:.2f}); equal voxels {way.equal_voxels:.4%}, least Dice {way.least_dice:.4f}"
        )
    output, wall, processor, memory = watched(lambda: mb.run_bundle(bundle, phantom.volume, device="cpu"))
    print(
        f"{bundle.name} {NETWORK_SHAPE}, {torch.get_num_threads()} threads: {wall:.1f} s wall, {processor:.1f} s "
        f"processor, {memory:.0f} MiB; found {', '.join(s.name for s in output.structures)}"
    )
    is_equal = step.same_windows.equal_voxels >= EQUAL and step.same_windows.least_dice >= EQUAL
    is_fast = processor <= NETWORK_LIMIT_S * CORES and step.same_windows.processor_ratio <= RATIO_LIMIT
    return is_fast and is_equal


def main() -> None:
    """Print both.

    Raises
    ------
    RuntimeError
        A limit is exceeded.
    """
    results = [body(), network()]
    if not all(results):
        raise RuntimeError("a limit is exceeded")


if __name__ == "__main__":
    main()
