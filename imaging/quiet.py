"""Reading without talking: pydicom's remarks on style may quote a patient's data, in warnings and in its log."""

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["quiet_pydicom"]

_is_quiet: ContextVar[bool] = ContextVar("is_quiet", default=False)


class _Mute(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return not _is_quiet.get()


_mute = _Mute()


class _Warnings:
    """Warnings of the whole process, ignored while anybody is within.

    Python's own `catch_warnings` puts back what it found: of two threads that enter and leave it by turns the first to
    leave takes the other's silence away, and the last leaves it behind for ever.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._within = 0
        self._kept = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if not self._within:
                self._kept = warnings.catch_warnings()
                self._kept.__enter__()
                warnings.simplefilter("ignore")
            self._within += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._within -= 1
            if not self._within:
                self._kept.__exit__(None, None, None)


_warnings = _Warnings()


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Drop warnings and log records of pydicom while reading; whatever matters is checked by radgate itself.

    Log records are dropped for the current thread or task alone; warnings for the whole process while it lasts.
    """
    if _is_quiet.get():
        yield
        return
    for name in ("pydicom", *logging.root.manager.loggerDict):
        if name.partition(".")[0] == "pydicom":
            logging.getLogger(name).addFilter(_mute)
    token = _is_quiet.set(True)
    try:
        with _warnings:
            yield
    finally:
        _is_quiet.reset(token)
