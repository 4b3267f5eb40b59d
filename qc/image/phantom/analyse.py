"""From the files of a phantom to its values: water here, all others by the worker in its own environment."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imaging.errors import RadgateError
from imaging.series import Stack
from qc.image.phantom import worker
from qc.image.phantom.recognise import recognise
from qc.image.phantom.result import PhantomResult, PhantomValue
from qc.image.phantom.water import measure_water
from qc.image.pixels import evenly_chosen
from qc.image.singly import plane_of, plane_volume

__all__ = ["KINDS", "analyse_phantom", "recognise_stack"]

KINDS = ("water", *worker.CLASSES)
MOST_PLANES = 40
MOST_LOOKED_AT = 15
CUT_SHORT = ": the scan may not hold all modules of the phantom; scan its whole length"
"""What the library means by a value that is wrong, for a scan that begins or ends within the phantom."""

END_SHARE = 0.1
"""Share of the planes at each end that is left out: they may be half air."""

UNITS = (("_mm", "mm"), ("percent", "%"), ("_deg", "deg"), ("rois", "[hnsf'U]"), ("stdev", "[hnsf'U]"))


def analyse_phantom(
    stack: Stack,
    kind: str = "auto",
    *,
    python: Path | None = None,
    timeout_s: float = 120.0,
    memory_mb: int = 4096,
    parameters: Mapping[str, Any] | None = None,
) -> PhantomResult:
    """What a phantom measures.

    Parameters
    ----------
    stack
        Its planes.
    kind
        One of `KINDS`, or "auto": recognised by its shape.
    python
        Interpreter of an environment with pylinac; without it all but water is not evaluable.
    timeout_s, memory_mb
        Limits of the worker process; it is killed when it takes longer.
    parameters
        For the library's `analyze`.

    Returns
    -------
    PhantomResult
        A fault of the worker, or its absence, is a result with a reason; a phantom never stops a patient.

    Raises
    ------
    ValueError
        There is no such kind.
    """
    if kind not in {"auto", *KINDS}:
        raise ValueError(f"kind '{kind}'; allowed: auto, {', '.join(KINDS)}")
    if kind == "auto":
        kind = recognise_stack(stack)
        if not kind:
            return PhantomResult("", reason="no_region")
    if kind == "water":
        return measure_water(_planes(stack, MOST_PLANES), stack.grid.pixel_spacing_mm)
    if python is None or not python.exists():
        return PhantomResult(kind, reason="worker_missing")
    job = {"kind": kind, "files": _files(stack), "parameters": dict(parameters or {}), "memory_mb": memory_mb}
    return _by_worker(kind, job, python, timeout_s)


def recognise_stack(stack: Stack) -> str:
    """The kind of phantom that a CT shows, from a few of its planes; "" for none."""
    if stack.modality != "CT":
        return ""
    planes = _planes(stack, MOST_LOOKED_AT)
    return recognise(planes, stack.grid.pixel_spacing_mm) if planes else ""


def _planes(stack: Stack, at_most: int) -> list[NDArray[Any]]:
    """Pixels of evenly chosen planes, without the ends; what cannot be read is left out."""
    count = len(stack.headers)
    ends = round(END_SHARE * count)
    found = []
    for k in evenly_chosen(count - 2 * ends, at_most):
        try:
            found.append(plane_volume(plane_of(stack, int(k) + ends)).array[0])
        except RadgateError:
            continue
    return found


def _files(stack: Stack) -> list[str]:
    return sorted({str(f.resolve()) for f in stack.files})


def _by_worker(kind: str, job: Mapping[str, Any], python: Path, timeout_s: float) -> PhantomResult:
    command: Sequence[str] = [str(python.absolute()), "-I", str(Path(worker.__file__))]
    try:
        done = subprocess.run(
            command,
            input=json.dumps(job),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            cwd="/",
            env={"PATH": os.defpath, "HOME": "/nonexistent", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        )
        answer = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        return PhantomResult(kind, reason="error", detail="timeout")
    except (OSError, ValueError) as error:
        return PhantomResult(kind, reason="error", detail=type(error).__name__)
    if answer.get("status") != "ok":
        fault = str(answer.get("error", ""))[:64]
        return PhantomResult(kind, reason="error", detail=fault + (CUT_SHORT if fault == "ValueError" else ""))
    values = tuple(
        PhantomValue(f"phantom.{kind}.{name.lower().replace(' ', '_')}"[:64], value, _unit(name))
        for name, value in sorted(answer["values"].items())
        if np.isfinite(value)
    )
    return PhantomResult(kind, values, algorithm=f"pylinac {answer['version']}")


def _unit(name: str) -> str:
    return next((unit for part, unit in UNITS if part in name.lower()), "1")
