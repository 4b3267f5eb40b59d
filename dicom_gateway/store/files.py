"""The files of the store: durable before they have a name, and named by what they hold.

::

    root/
    ├── incoming/             objects that are being written; each is locked by its writer
    ├── objects/ab/cd/<sha256>          received objects
    ├── objects/ab/cd/<sha256>.result   objects that radgate made
    └── quarantine/<sha256>   bytes that could not become an object, or contradict one

A file is synced, then renamed, then its folder is synced; only then may a row of the index name it. The time of receipt
is the file's modification time, so that the index can be made again from the files.
"""

import errno
import fcntl
import hashlib
import itertools
import mmap
import os
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from dicom_gateway.errors import StoreError, StoreFull, StoreUnavailable, UnknownObject

__all__ = ["Incoming", "ObjectFiles", "mapped", "sha256_of"]

SPACE_CHECK_S = 1.0
"""How long a measurement of free space is taken as current."""

_RESULT = ".result"


@dataclass(frozen=True)
class Incoming:
    """A file that is complete and synced, but has no name yet."""

    path: Path
    sha256: str
    size_bytes: int
    received: float


class ObjectFiles:
    """The folders below one root, on one file system.

    Raises
    ------
    StoreUnavailable
        The folders cannot be made.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.incoming = root / "incoming"
        self.objects = root / "objects"
        self.quarantine = root / "quarantine"
        self._number = itertools.count()
        self._naming = threading.Lock()
        self._space = (float("-inf"), 1.0)
        with _refusals():
            for folder in (self.incoming, self.objects, self.quarantine):
                folder.mkdir(parents=True, exist_ok=True)
                folder.chmod(0o700)

    def write(self, chunks: Iterable[bytes], received_ns: int) -> Incoming:
        """A synced file in `incoming` with these bytes.

        Raises
        ------
        StoreFull, StoreUnavailable
            The file system refuses.
        """
        digest = hashlib.sha256()
        size = 0
        path = self.incoming / f"{os.getpid()}-{next(self._number)}"
        with _refusals():
            try:
                with path.open("xb", buffering=0) as file:
                    fcntl.flock(file, fcntl.LOCK_EX)
                    for chunk in chunks:
                        digest.update(chunk)
                        written = 0
                        view = memoryview(chunk)
                        while written < len(view):
                            written += file.write(view[written:])
                        size += len(view)
                    os.utime(file.fileno(), ns=(received_ns, received_ns))
                    os.fsync(file.fileno())
            except BaseException:
                with suppress(OSError):
                    path.unlink()
                raise
        return Incoming(path, digest.hexdigest(), size, received_ns / 1e9)

    def keep(self, file: Incoming, origin: str) -> Path:
        """The place of an object from now on; the same bytes that are there already stay as they are.

        Raises
        ------
        StoreFull, StoreUnavailable
            The file system refuses.
        """
        folder = self.objects / file.sha256[:2] / file.sha256[2:4]
        target = folder / (file.sha256 + (_RESULT if origin == "result" else ""))
        with _refusals():
            self._make_folder(folder)
            with self._naming:
                existing = self.find(file.sha256)
                if existing is None:
                    file.path.rename(target)
            if existing is not None:
                file.path.unlink()
            # Also where the same bytes were there already: whoever named them may not have synced the folder yet.
            _sync_folder(folder)
        return existing or target

    def set_aside(self, source: Path, sha256: str) -> Path:
        """The place of a file in quarantine from now on.

        Raises
        ------
        StoreFull, StoreUnavailable
            The file system refuses.
        """
        target = self.quarantine / sha256
        with _refusals():
            source.rename(target)
            _sync_folder(self.quarantine)
        return target

    def remove(self, path: Path) -> None:
        """Delete a file, if it is there."""
        with _refusals(), suppress(FileNotFoundError):
            path.unlink()

    def find(self, sha256: str) -> Path | None:
        """Place of an object, or None."""
        plain = self.objects / sha256[:2] / sha256[2:4] / sha256
        for path in (plain, plain.with_name(sha256 + _RESULT)):
            if path.exists():
                return path
        return None

    def path(self, sha256: str) -> Path:
        """Place of an object.

        Raises
        ------
        UnknownObject
            There is none with this digest.
        """
        found = self.find(sha256) if len(sha256) == 64 and sha256.isalnum() else None
        if found is None:
            raise UnknownObject("The store has no object with this digest; ask for the study again.", sha256=sha256)
        return found

    def origin(self, path: Path) -> str:
        """Whether a file was received or is a result of ours."""
        return "result" if path.name.endswith(_RESULT) else "received"

    def all_objects(self, changed_since: float = 0.0) -> Iterator[Path]:
        """Every object in folders that changed since a time, in no order."""
        for first in sorted(p for p in self.objects.iterdir() if p.is_dir()):
            for second in sorted(p for p in first.iterdir() if p.is_dir()):
                if second.stat().st_mtime >= changed_since:
                    yield from (p for p in second.iterdir() if p.is_file())

    def drop_abandoned(self) -> int:
        """Delete what writers left in `incoming` that died; none of it was acknowledged. The number of files."""
        count = 0
        for path in list(self.incoming.iterdir()):
            with suppress(OSError), path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
                count += 1
        return count

    def free_share(self) -> float:
        """Share of the file system that is free, measured at most once a second."""
        now = time.monotonic()
        measured, share = self._space
        if now - measured > SPACE_CHECK_S:
            status = os.statvfs(self.root)
            share = status.f_bavail / max(1, status.f_blocks)
            self._space = (now, share)
        return share

    def _make_folder(self, folder: Path) -> None:
        for new in (folder.parent, folder):
            if not new.is_dir():
                new.mkdir(exist_ok=True, mode=0o700)
                _sync_folder(new.parent)


def sha256_of(data: bytes) -> str:
    """Digest by which content is addressed."""
    return hashlib.sha256(data).hexdigest()


def mapped(path: Path) -> memoryview:
    """The bytes of a file, read from disk as they are touched."""
    with path.open("rb") as file:
        if path.stat().st_size == 0:
            return memoryview(b"")
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _refusals() -> Iterator[None]:
    """Errors of the file system as typed ones, without paths."""
    try:
        yield
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "unknown")
        kind: type[StoreError] = StoreUnavailable
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EMFILE, errno.ENFILE}:
            kind = StoreFull
        raise kind(f"The store's file system refused ({name}); free or repair it.", errno=name) from None
