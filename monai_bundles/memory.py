"""How much memory a run will need, and how much there is: decided before it starts, so that it need not die in between.

The estimate adds the image and the accumulated output to what the network holds at once, which is measured on tensors
without memory (torch's meta device). It is a guess on the safe side, not a promise.
"""

import copy
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["available_bytes", "is_out_of_memory", "network_bytes", "run_bytes", "smaller_windows"]

FLOAT_BYTES = 4

LIVE_SHARE = 0.6
"""Share of all layers' outputs that lives at once without gradients: skip connections and the widest layers. Measured
on a CPU at 96 x 96 x 96: 0.22 for SegResNet, 0.38 for the DynUNet that ships; the rest is room for surprises."""

WORKSPACE_BYTES = 192 << 20
"""What convolutions take besides: a small UNet, whose outputs are 200 MiB in all, held 263 MiB at its highest."""

RESERVE_BYTES = 256 << 20
"""Left to the rest of the process and the system."""

LEAST_WINDOW = 32
MULTIPLE = 16
"""Windows stay divisible by what most networks halve; one that a network does not take is passed over."""


def available_bytes(device: str = "cpu") -> int:
    """Memory that can be had now on a device, less a reserve; very much where the system does not tell."""
    if device.startswith("cuda"):
        import torch

        free, _ = torch.cuda.mem_get_info()
        return int(free) - RESERVE_BYTES
    found = [_meminfo(), _control_group()]
    known = [value for value in found if value is not None]
    return max(0, min(known) - RESERVE_BYTES) if known else 1 << 62


def _meminfo() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        return None
    return None


def _control_group() -> int | None:
    """What a container's limit leaves."""
    root = Path("/sys/fs/cgroup")
    try:
        limit = (root / "memory.max").read_text(encoding="ascii").strip()
        used = int((root / "memory.current").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return int(limit) - used if limit.isdigit() else None


def network_bytes(network: Any, window: Sequence[int]) -> int:
    """Memory that one call on a window (N, C, ...) needs beside the weights; 0 where it cannot be told."""
    import torch

    total = 0

    def note(_module: Any, _inputs: Any, output: Any) -> None:
        nonlocal total
        for tensor in output if isinstance(output, tuple | list) else (output,):
            if isinstance(tensor, torch.Tensor):
                total += tensor.numel() * FLOAT_BYTES

    ghost = copy.deepcopy(network).to("meta")
    hooks = [m.register_forward_hook(note) for m in ghost.modules() if not list(m.children())]
    try:
        with torch.no_grad():
            ghost(torch.empty(tuple(window), device="meta"))
    except Exception:  # noqa: BLE001 - networks with data-dependent steps cannot be traced: then there is no estimate
        return 0
    finally:
        for hook in hooks:
            hook.remove()
    return int(total * LIVE_SHARE)


def run_bytes(network: Any, image: Sequence[int], window: Sequence[int], channels_out: int, source_voxels: int) -> int:
    """Memory of a whole run.

    Parameters
    ----------
    network
        A module.
    image
        Shape (C, ...) of the preprocessed image.
    window
        Shape (N, C, ...) of one call.
    channels_out
        Channels of the output.
    source_voxels
        Voxels of the image that the result comes back to.
    """
    voxels = math.prod(image[1:])
    accumulated = voxels * (channels_out + 2) * FLOAT_BYTES
    restored = source_voxels * (channels_out + 2) * FLOAT_BYTES
    return WORKSPACE_BYTES + network_bytes(network, window) + math.prod(image) * FLOAT_BYTES + accumulated + restored


def smaller_windows(roi_size: Sequence[int]) -> list[tuple[int, ...]]:
    """The window itself and smaller ones to fall back to, each half as long in every direction."""
    found = [tuple(int(n) for n in roi_size)]
    for _ in range(2):
        half = tuple(n if n <= LEAST_WINDOW else max(LEAST_WINDOW, n // 2 // MULTIPLE * MULTIPLE) for n in found[-1])
        if half != found[-1]:
            found.append(half)
    return found


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, in Python or in torch."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text
