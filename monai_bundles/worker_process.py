"""The worker's side: reads one JSON request per line from standard input, answers with JSON lines, keeps networks warm.

Started by `monai_bundles.worker` as `python -P -m monai_bundles.worker_process`; ends when its input ends. With a
folder as its argument it is the process of one bundle that brings code of its own: that folder is its working directory
and the first place where it looks for modules.
"""

import errno
import json
import os
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

from monai_bundles.bundle import Bundle
from monai_bundles.dry_run import dry_run_here
from monai_bundles.errors import BundleError, BundleFailed, WrongHash
from monai_bundles.registry import check_weights, load_bundle, verify
from monai_bundles.runner import SEGMENTING, run_here
from monai_bundles.wire import image_from_wire, output_to_wire, raised_to_wire, volume_from_wire

__all__ = ["main", "told_of"]

HEARTBEAT_S = 0.5
PROGRESS_S = 0.1
"""Progress is told at most this often; the first word of a run always is."""

FULL = (errno.ENOSPC, errno.EDQUOT)


class Answers:
    """Where answers go: one JSON object a line, from the main thread and the heartbeat."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._told_at = 0.0

    def tell(self, kind: str, **values: Any) -> None:
        """Send one message."""
        with self._lock:
            self._stream.write(json.dumps({"kind": kind, **values}) + "\n")
            self._stream.flush()

    def begin(self) -> None:
        """A run begins, whose first progress is told however recent that of another is."""
        self._told_at = 0.0

    def progress(self, share: float, step: str) -> None:
        """Send the progress of a run, if the last one is not too recent."""
        now = time.monotonic()
        if now - self._told_at >= PROGRESS_S:
            self._told_at = now
            self.tell("progress", share=share, step=step)


def main() -> None:
    """Serve requests until the input ends."""
    # Whatever a library prints must not get between the answers.
    answers = Answers(os.fdopen(os.dup(1), "w", encoding="utf-8"))
    os.dup2(2, 1)
    if len(sys.argv) > 1:
        os.chdir(sys.argv[1])
        sys.path.insert(0, sys.argv[1])
    threading.Thread(target=_beat, args=(answers,), daemon=True).start()
    answers.tell("ready")
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answers.tell("done", **_serve(request, answers))
        except Exception as error:  # noqa: BLE001 - the boundary of the process: a failure that the parent tells
            answers.tell("raised", **raised_to_wire(told_of(error)))


def told_of(error: Exception) -> BundleError | OSError:
    """What the parent is told of an error: a full disk by its number, also where a bundle's own code met it."""
    for origin in (error, error.__cause__):
        if isinstance(origin, OSError) and origin.errno in FULL:
            return origin
    if isinstance(error, BundleError):
        return error
    kind = type(error).__name__
    return BundleFailed(f"The worker failed with {kind}; free memory or disk and run it again.", kind=kind)


def _serve(request: dict[str, Any], answers: Answers) -> dict[str, Any]:
    """The answer to a request: "warm" (load and check a bundle), "dry run" or "run".

    Raises
    ------
    WrongHash
        The bundle's files are not those of the request.
    """
    bundle = replace(load_bundle(Path(request["root"])), trusted=bool(request.get("trusted", False)))
    if bundle.algorithm.bundle_digest != request["digest"]:
        raise WrongHash(f"The files of bundle {bundle.name} changed after it was registered; register it again.")
    if request["kind"] == "warm":
        if bundle.trusted:
            from monai_bundles.zoo.workflow import load_workflow

            load_workflow(bundle, "cpu")
        else:
            verify(bundle, build=True)
        _warm_engine(bundle)
        return {}
    if request["kind"] == "dry run":
        check_weights(bundle)
        if bundle.output == "points":
            from monai_bundles.zoo.workflow import load_workflow

            load_workflow(bundle, "cpu")
        return {"not_tried": dry_run_here(bundle)}
    answers.begin()
    folder = Path(request["folder"])
    image = image_from_wire(request["image"], folder)
    companions = {name: volume_from_wire(v, folder) for name, v in request.get("companions", {}).items()}
    return output_to_wire(run_here(bundle, image, answers.progress, request["device"], companions), folder)


def _warm_engine(bundle: Bundle) -> None:
    """Compile the network where an engine was chosen for it; on a GPU, and for a bundle without network, nothing."""
    import torch

    if not bundle.needs_network or bundle.output not in SEGMENTING or torch.cuda.is_available():
        return
    from monai_bundles.engines.selection import identity_of, warm_engine

    if bundle.output == "structures":
        from monai_bundles.network import load_network

        parts = load_network(bundle, "cpu")
        warm_engine(identity_of(bundle), parts.network, parts.inferer)
    else:
        from monai_bundles.zoo.workflow import load_workflow

        workflow = load_workflow(bundle, "cpu")
        warm_engine(identity_of(bundle), workflow.network, workflow.inferer)


def _beat(answers: Answers) -> None:
    """Says twice a second that the process lives, and how much memory it holds; where nobody hears it, it ends.

    A run that nobody waits for, because the other process was killed, would keep the processors for minutes.
    """
    while True:
        try:
            answers.tell("alive", resident_bytes=_resident_bytes())
        except OSError:
            os._exit(1)
        time.sleep(HEARTBEAT_S)


def _resident_bytes() -> int:
    """Memory held by this process, without mapped files; 0 where the system does not tell."""
    try:
        resident, shared = (int(v) for v in Path("/proc/self/statm").read_text(encoding="ascii").split()[1:3])
    except OSError:
        return 0
    return (resident - shared) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
