"""The registered bundles of a running service: `radgate bundles add` and `rollback` hold from the next job on."""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from imaging.errors import RadgateError
from monai_bundles import Bundle

__all__ = ["LiveBundles"]

log = logging.getLogger(__name__)

RECORD = "registry.json"
"""What changes in a library whenever a version is added, removed, rolled back or put into the shadow."""


class LiveBundles(Mapping[str, Bundle]):
    """Bundles by name, read anew when the record of a library has changed.

    A job takes its bundle once, so that it runs and is reported as one version. A library that cannot be read leaves
    the bundles as they were.

    Parameters
    ----------
    read
        Reads all bundles.
    folders
        The folders in which libraries are, or will be.
    """

    def __init__(self, read: Callable[[], Mapping[str, Bundle]], folders: Callable[[], Sequence[Path]]) -> None:
        self._read = read
        self._folders = folders
        self._lock = threading.Lock()
        self._mark = self._marked()
        self._bundles = read()

    def __getitem__(self, name: str) -> Bundle:
        return self._current()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._current())

    def __len__(self) -> int:
        return len(self._current())

    def _current(self) -> Mapping[str, Bundle]:
        with self._lock:
            mark = self._marked()
            if mark != self._mark:
                try:
                    self._bundles = self._read()
                except RadgateError as error:
                    log.warning("the bundles cannot be read anew code=%s", error.code)
                else:
                    log.info("the bundles were read anew")
                self._mark = mark
            return self._bundles

    def _marked(self) -> tuple[tuple[str, int, int], ...]:
        """Path, time and size of each record that is there."""
        marks = []
        for folder in self._folders():
            try:
                stat = (folder / RECORD).stat()
            except OSError:
                continue
            marks.append((str(folder), stat.st_mtime_ns, stat.st_size))
        return tuple(marks)
