"""The parent's side of the child process that judges images: one request at a time, and a new child after a crash."""

import json
import logging
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from dicom_gateway.errors import QualityWorkerFailed
from dicom_gateway.settings import Quality

__all__ = ["REQUEST_S", "QualityWorker"]

log = logging.getLogger(__name__)

START_S = 60.0
REQUEST_S = 180.0
"""Longest time for one look at a series: the final verdict on thousands of slices from a cold disk takes far less."""


class QualityWorker:
    """A child process; started when it is first needed.

    Parameters
    ----------
    profiles
        Profile files of the site.
    pictures
        Folder for the pictures.
    settings
        For the process that measures phantoms.
    """

    def __init__(self, profiles: Sequence[Path], pictures: Path, settings: Quality) -> None:
        python = settings.phantom_python
        self._arguments = {
            "profiles": [str(p) for p in profiles],
            "pictures": str(pictures),
            "phantoms": {
                "python": "" if python is None else str(python),
                "timeout_s": settings.phantom_timeout_s,
                "memory_mb": settings.phantom_memory_mb,
            },
        }
        self._pictures = pictures
        self._process: subprocess.Popen[str] | None = None
        self._answers: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._stopped = False

    @property
    def pid(self) -> int | None:
        """Process id of the child while it lives."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def ask(self, request: dict[str, Any], timeout_s: float = REQUEST_S) -> dict[str, Any]:
        """The child's answer.

        Raises
        ------
        QualityWorkerFailed
            It ended, did not answer in time, or is not there.
        """
        try:
            process = self._process
            if process is None or process.stdin is None:
                raise QualityWorkerFailed("The process of image quality is not there; it is started again.")
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            return self._next(timeout_s)
        except OSError as error:
            self.close()
            raise QualityWorkerFailed(
                f"The process of image quality ended ({type(error).__name__}); it is started again."
            ) from None

    def warm(self) -> bool:
        """Start the child where there is none; whether it is a new one, which knows no series.

        Raises
        ------
        QualityWorkerFailed
            It did not come up.
        """
        if self.pid is not None:
            return False
        self._start()
        return True

    def stop(self) -> None:
        """End the child for good."""
        self._stopped = True
        self.close()

    def close(self) -> None:
        """End the child."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:  # what was being written has nobody to read it
                    continue

    def _start(self) -> None:
        self.close()
        if self._stopped:
            raise QualityWorkerFailed("Image quality is being stopped.")
        self._pictures.mkdir(parents=True, exist_ok=True)
        package_root = str(Path(__file__).parents[2])
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([package_root, os.environ.get("PYTHONPATH", "")]),
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "dicom_gateway.quality.worker_process", json.dumps(self._arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            env=environment,
        )
        answers: queue.Queue[dict[str, Any] | None] = queue.Queue()
        threading.Thread(target=_listen, args=(process.stdout, answers), name="quality answers", daemon=True).start()
        self._process, self._answers = process, answers
        self._next(START_S)

    def _next(self, timeout_s: float) -> dict[str, Any]:
        """The next answer.

        Raises
        ------
        QualityWorkerFailed
            There is none in time, or the child has gone; it is ended.
        """
        try:
            answer = self._answers.get(timeout=timeout_s)
        except queue.Empty:
            answer = None
        if answer is None:
            self.close()
            raise QualityWorkerFailed("The process of image quality ended or fell silent; it is started again.")
        return answer


def _listen(pipe: IO[str] | None, answers: "queue.Queue[dict[str, Any] | None]") -> None:
    """Put what the child says into the queue; None when it is gone or says something else than JSON."""
    try:
        for line in pipe or ():
            answers.put(json.loads(line))
    except (OSError, ValueError):
        log.warning("quality answers broke off")
    answers.put(None)
