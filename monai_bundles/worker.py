"""A warm child process that runs bundles: torch is loaded once, and a crash there is an error here and no more.

The child is started when it is first needed. Between the processes go JSON lines over pipes and .npy files in a private
temporary folder; nothing is pickled.
"""

import contextlib
import json
import logging
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from imaging.cines import Cine
from imaging.pictures import Pictures
from imaging.volume import Volume
from monai_bundles.bundle import Bundle, BundleOutput
from monai_bundles.errors import WorkerCancelled, WorkerCrashed, WorkerError, WorkerOutOfMemory, WorkerTimedOut
from monai_bundles.runner import Progress
from monai_bundles.wire import image_to_wire, output_from_wire, raised_from_wire, volume_to_wire

__all__ = ["Worker"]

log = logging.getLogger(__name__)

START_S = 120.0
"""A cold disk may take this long to bring up Python and the libraries."""

SILENCE_S = 60.0
"""The child speaks twice a second; this long without a word and it hangs."""

TELL_S = 0.5
"""Progress is told at least this often while a run goes on: a listener that raises ends it within this time."""

STOP_S = 5.0

HOMES = 2
"""Processes of bundles with code of their own that stay, each with its network and its libraries."""


class Worker:
    """Runs bundles in a child process, one at a time.

    Parameters
    ----------
    timeout_s
        Longest time one run may take, unless a run says otherwise.
    memory_limit_bytes
        Memory at which the child is ended; None for no limit.
    threads
        CPU threads of the child; None leaves it to the libraries.
    scratch
        Folder for the temporary files that carry arrays; None for the system's.
    home
        A bundle that brings code of its own: the child works in its folder and runs no other. A worker without a home
        starts such workers by itself, and keeps the last two.
    """

    def __init__(
        self,
        timeout_s: float = 900.0,
        memory_limit_bytes: int | None = None,
        threads: int | None = None,
        scratch: Path | None = None,
        home: Bundle | None = None,
    ) -> None:
        self._timeout_s = timeout_s
        self._memory_limit_bytes = memory_limit_bytes
        self._threads = threads
        self._scratch = scratch
        self._home = home
        self._homes: OrderedDict[str, Worker] = OrderedDict()
        self._running: Worker = self
        self._turn = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._answers: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._cancelled = threading.Event()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """Process id of the child while it lives."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def warm(self, *bundles: Bundle) -> None:
        """Start the child, and load and check these bundles in it, so that their first run need not wait.

        Raises
        ------
        BundleError
            As `verify`, or the worker could not be started.
        """
        with self._turn:
            self._cancelled.clear()
            self._ensure_started()
            for bundle in bundles:
                if bundle.trusted and self._home is None:
                    self._worker_of(bundle).warm(bundle)
                else:
                    self._ask({"kind": "warm", **_identity(bundle)}, None, START_S)

    def run(
        self,
        bundle: Bundle,
        volume: Volume | Pictures | Cine,
        progress: Progress | None = None,
        device: str = "auto",
        timeout_s: float | None = None,
        companions: Mapping[str, Volume] | None = None,
    ) -> BundleOutput:
        """The same as `run_bundle`, in the child; a bundle that brings code of its own has a child of its own.

        Progress is told twice a second even where nothing moves, also while another run is waited for: a listener that
        raises ends this run, and what it raised comes out.

        Raises
        ------
        BundleError
            Of `run_bundle`; or a `WorkerError`: it took too long, needed too much memory, crashed, or was cancelled.
            The next run starts a new child.
        OSError
            The disk is full, or another number of the system, here or in the child.
        """
        with self._my_turn(progress), tempfile.TemporaryDirectory(prefix="radgate-", dir=self._scratch) as name:
            self._cancelled.clear()
            if bundle.trusted and self._home is None:
                self._running = self._worker_of(bundle)
                try:
                    return self._running.run(bundle, volume, progress, device, timeout_s, companions)
                finally:
                    self._running = self
            folder = Path(name)
            self._ensure_started()
            request = {
                "kind": "run",
                **_identity(bundle),
                "folder": name,
                "device": device,
                "image": image_to_wire(volume, folder),
                "companions": {
                    channel: volume_to_wire(image, folder, f"companion{number}")
                    for number, (channel, image) in enumerate(sorted((companions or {}).items()))
                },
            }
            answer = self._ask(request, progress, self._timeout_s if timeout_s is None else timeout_s)
            return output_from_wire(answer, folder, bundle)

    @contextlib.contextmanager
    def _my_turn(self, progress: Progress | None) -> Iterator[None]:
        """Wait until no other run goes on; a listener of progress that raises ends the waiting."""
        while not self._turn.acquire(timeout=TELL_S):
            if progress is not None:
                progress(0.0, "waiting")
        try:
            yield
        finally:
            self._turn.release()

    def cancel(self) -> None:
        """End the run in progress, from another thread; it raises `WorkerCancelled` there. Without a run, nothing."""
        if self._running is not self:
            self._running.cancel()
        elif self._turn.locked():
            self._cancelled.set()

    def close(self) -> None:
        """End the child."""
        self._cancelled.set()
        if self._running is not self:
            self._running.cancel()
        with self._turn:
            while self._homes:
                self._homes.popitem()[1].close()
            process = self._process
            self._process = None
            if process is None:
                return
            _close(process)
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _worker_of(self, bundle: Bundle) -> "Worker":
        """The worker of a bundle that brings code of its own; the one used longest ago makes room."""
        digest = bundle.algorithm.bundle_digest
        if digest not in self._homes:
            while len(self._homes) >= HOMES:
                self._homes.popitem(last=False)[1].close()
            self._homes[digest] = Worker(
                self._timeout_s, self._memory_limit_bytes, self._threads, self._scratch, home=bundle
            )
        self._homes.move_to_end(digest)
        return self._homes[digest]

    def _ensure_started(self) -> None:
        """A living child that has said that it is ready.

        Raises
        ------
        WorkerError
            It did not come up.
        """
        if self.pid is not None:
            return
        package_root = str(Path(__file__).parents[1])
        places = [package_root, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(places)}
        if self._threads is not None:
            environment |= {"OMP_NUM_THREADS": str(self._threads), "MKL_NUM_THREADS": str(self._threads)}
        process = subprocess.Popen(
            [
                sys.executable,
                "-P",
                "-m",
                "monai_bundles.worker_process",
                *([str(self._home.root)] if self._home else []),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            env=environment,
        )
        answers: queue.Queue[dict[str, Any] | None] = queue.Queue()
        threading.Thread(target=_listen, args=(process.stdout, answers), daemon=True).start()
        self._process, self._answers = process, answers
        self._await({"ready"}, None, START_S)

    def _ask(self, request: dict[str, Any], progress: Progress | None, timeout_s: float) -> dict[str, Any]:
        """Send a request and wait for its outcome.

        Raises
        ------
        BundleError
            The child raised it, or a `WorkerError`.
        WorkerCrashed
            There is no child.
        """
        process = self._process
        if process is None or process.stdin is None:
            raise WorkerCrashed("The worker process is not running; run the bundle again.")
        try:
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
        except OSError:
            raise self._crash() from None
        answer = self._await({"done", "raised"}, progress, timeout_s)
        if answer["kind"] == "raised":
            error = raised_from_wire(answer)
            raise error
        return answer

    def _await(self, kinds: set[str], progress: Progress | None, timeout_s: float) -> dict[str, Any]:
        """The next answer of one of these kinds, watching time, silence, memory and cancellation meanwhile.

        Raises
        ------
        WorkerError
            One of them ended the run; the child is gone then.
        """
        deadline = time.monotonic() + timeout_s
        heard = told = time.monotonic()
        last: dict[str, Any] = {"share": 0.0, "step": "starting"}
        while True:
            if self._cancelled.is_set():
                raise self._end(WorkerCancelled("The run was cancelled; start it again if it is still wanted."))
            now = time.monotonic()
            if now > deadline or now - heard > SILENCE_S:
                raise self._end(
                    WorkerTimedOut(
                        f"The run took longer than {timeout_s:g} s or fell silent; raise the limit.",
                        timeout_s=timeout_s,
                    )
                )
            if progress is not None and now - told >= TELL_S:
                self._tell(progress, last)
                told = now
            try:
                answer = self._answers.get(timeout=min(0.1, max(0.001, deadline - now)))
            except queue.Empty:
                continue
            heard = time.monotonic()
            if answer is None:
                raise self._crash()
            if answer["kind"] in kinds:
                return answer
            if answer["kind"] == "progress" and progress is not None:
                self._tell(progress, answer)
                last, told = answer, time.monotonic()
            if answer["kind"] == "alive":
                self._check_memory(answer["resident_bytes"])

    def _tell(self, progress: Progress, answer: dict[str, Any]) -> None:
        """Pass progress on; if the listener raises, the child goes, for nobody would hear its answer."""
        told = False
        try:
            progress(answer["share"], answer["step"])
            told = True
        finally:
            if not told:
                self._kill()

    def _check_memory(self, resident_bytes: int) -> None:
        """End the child when it holds more than it may.

        Raises
        ------
        WorkerOutOfMemory
            It does.
        """
        limit = self._memory_limit_bytes
        if limit is not None and resident_bytes > limit:
            raise self._end(
                WorkerOutOfMemory(
                    f"The run needed more than {limit / 2**20:.0f} MiB of memory; raise the limit.",
                    limit_bytes=limit,
                    got_bytes=resident_bytes,
                )
            )

    def _end(self, error: WorkerError) -> WorkerError:
        """Kill the child and hand back the error that tells why."""
        self._kill()
        log.warning("bundle worker ended code=%s", error.code)
        return error

    def _kill(self) -> None:
        """End the child at once; the next request starts another."""
        process = self._process
        self._process = None
        if process is not None:
            process.kill()
            process.wait()
            _close(process)

    def _crash(self) -> WorkerError:
        """The child is gone by itself."""
        process = self._process
        status = process.wait() if process is not None else None
        return self._end(
            WorkerCrashed(
                f"The worker process ended during the run (status {status}), perhaps for want of memory; run it again.",
                status=status,
            )
        )


def _identity(bundle: Bundle) -> dict[str, Any]:
    return {
        "root": str(bundle.root.resolve()),
        "digest": bundle.algorithm.bundle_digest,
        "trusted": bundle.trusted,
    }


def _close(process: "subprocess.Popen[str]") -> None:
    """Close the child's input; its output closes with the thread that reads it."""
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()


def _listen(stream: IO[str] | None, answers: "queue.Queue[dict[str, Any] | None]") -> None:
    """Moves the child's lines into the queue; None at the end."""
    if stream is not None:
        with stream:
            for line in stream:
                answers.put(json.loads(line))
    answers.put(None)
