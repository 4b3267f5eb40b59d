"""How much memory a run will need, and how much there is: decided before it starts, so that it need not die in between.

The estimate adds the image and the accumulated output to what the network holds at once, which is measured on tensors
without memory (torch's meta device). It is a guess on the safe side, not a promise.
"""

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = [
    "available_bytes",
    "control_group_bytes",
    "is_out_of_memory",
    "memory_text",
    "network_bytes",
    "run_bytes",
    "smaller_windows",
    "window_of",
]

FLOAT_BYTES = 4

LIVE_SHARE = 0.6
"""Share of all layers' outputs that lives at once without gradients: skip connections and the widest layers. Measured
on a CPU at 96 x 96 x 96: 0.22 for SegResNet, 0.38 for the DynUNet that ships; the rest is room for surprises."""

GRADIENT_SHARE = 2.0
"""With gradients every layer's output stays until it is used, and has a gradient of the same size."""

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
    found = [_meminfo(), control_group_bytes()]
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


@dataclass(frozen=True)
class Hierarchy:
    """How one version of control groups tells of memory: where it is mounted, and what its files are called."""

    mount: str
    limit: str
    used: str
    reclaimable: str


V2 = Hierarchy("sys/fs/cgroup", "memory.max", "memory.current", "inactive_file")
V1 = Hierarchy("sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")

UNLIMITED_BYTES = 1 << 60
"""Version 1 writes a number of this order where there is no limit."""


def control_group_bytes(root: Path = Path("/")) -> int | None:
    """What the limits of this process's control groups leave, the tightest of its own and all above; None without one.

    Cached pages of files that nobody uses count as free: the kernel gives them back before anybody wants.

    Parameters
    ----------
    root
        Where the system's files are; for tests.
    """
    left = [_left_by(folder, kind) for kind, folder in _groups(root)]
    known = [value for value in left if value is not None]
    return min(known) if known else None


def _groups(root: Path) -> Iterator[tuple[Hierarchy, Path]]:
    """The folders of this process's groups, and of all above them, as far as they can be seen."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        lines = ["0::/", "1:memory:/"]
    for line in lines:
        _, controllers, place = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        kind = V1 if controllers else V2
        parts = [part for part in place.split("/") if part]
        if ".." in parts:  # outside of what a container sees
            parts = []
        for depth in range(len(parts), -1, -1):
            yield kind, (root / kind.mount).joinpath(*parts[:depth])


def _left_by(folder: Path, kind: Hierarchy) -> int | None:
    try:
        limit = (folder / kind.limit).read_text(encoding="ascii").strip()
        if not limit.isdigit() or int(limit) >= UNLIMITED_BYTES:
            return None
        used = int((folder / kind.used).read_text(encoding="ascii"))
        stat = (folder / "memory.stat").read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return None
    cached = next((int(line.split()[1]) for line in stat if line.startswith(f"{kind.reclaimable} ")), 0)
    return int(limit) - max(0, used - cached)


def network_bytes(network: Any, window: Sequence[int], *, with_gradients: bool = False) -> int:
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
    return int(total * (GRADIENT_SHARE if with_gradients else LIVE_SHARE))


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


def window_of(roi_size: Any, shape: Sequence[int]) -> tuple[int, ...]:
    """The size of an inferer's windows on an image (...): one number is for all directions, 0 the image's."""
    if not roi_size:
        return tuple(int(n) for n in shape)
    roi = [roi_size] * len(shape) if isinstance(roi_size, int) else list(roi_size)
    # A window of fewer dimensions than the image is a plane of it, in a direction of the inferer's choice.
    whole = list(shape) if len(roi) == len(shape) else [max(shape)] * len(roi)
    return tuple(int(n) if n and n > 0 else int(full) for n, full in zip(roi, whole, strict=True))


def memory_text(size_bytes: int) -> str:
    """A size for people, in GiB, or in MiB where it is less than one."""
    return f"{size_bytes / 2**30:.1f} GiB" if size_bytes >= 1 << 30 else f"{size_bytes / 2**20:.0f} MiB"


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
