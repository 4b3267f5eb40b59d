"""Seconds and memory of the shipped bundles, each beside a plain way to do the same.

`ct_body_segmentation` on 300 x 512 x 512: five structures here, beside the outline alone by SimpleITK at full
resolution. `head_neck_ct_oar_segmentation` on 90 slices: the whole run, beside the forward passes that MONAI's sliding
window makes over the whole field of view. Run with `python -m bench.bundles`.
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

    from monai_bundles.inference import LPS_TO_RAS
    from monai_bundles.network import load_network

    phantom = make_phantom(shape=NETWORK_SHAPE)
    output, wall, processor, memory = watched(lambda: mb.run_bundle(bundle, phantom.volume, device="cpu"))
    print(
        f"{bundle.name} {NETWORK_SHAPE}, {torch.get_num_threads()} threads: {wall:.1f} s wall, {processor:.1f} s "
        f"processor, {memory:.0f} MiB; found {', '.join(s.name for s in output.structures)}"
    )
    parts = load_network(bundle, "cpu")

    def plain() -> Any:
        from monai.data import MetaTensor

        affine = torch.from_numpy(LPS_TO_RAS @ phantom.volume.affine_lps)
        image = MetaTensor(torch.from_numpy(phantom.volume.array.astype(np.float32))[None], affine=affine)
        with torch.inference_mode():
            return parts.inferer(parts.preprocessing({"image": image})["image"].as_tensor()[None], parts.network)

    _, wall_peer, processor_peer, memory_peer = watched(plain)
    print(
        f"MONAI's preprocessing and sliding window alone, whole field of view: {wall_peer:.1f} s wall, "
        f"{processor_peer:.1f} s processor, {memory_peer:.0f} MiB; ratio {processor_peer / processor:.2f}"
    )
    return processor <= NETWORK_LIMIT_S * CORES


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
