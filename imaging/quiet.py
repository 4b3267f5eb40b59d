"""Reading without talking: pydicom's remarks on style may quote a patient's data, in warnings and in its log."""

import logging
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
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        _is_quiet.reset(token)
