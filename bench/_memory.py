"""Peak memory of a process of its own."""

from pathlib import Path

__all__ = ["peak_mib"]


def peak_mib() -> float:
    """Peak resident memory of this process; getrusage's figure survives exec, so it may be that of the parent."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024
