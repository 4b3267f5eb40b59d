"""One service for each store: a lock that lives as long as its process, and that a crash cannot leave behind."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dicom_gateway.errors import StoreInUse, StoreUnavailable

__all__ = ["LOCK_NAME", "store_lock"]

LOCK_NAME = "service.lock"


@contextmanager
def store_lock(root: Path) -> Iterator[None]:
    """Hold the store below `root` for this process; the kernel lets go when the process ends, however it ends.

    The file stays and holds the number of the last process that held it. Children that are started with exec do not
    inherit the lock.

    Raises
    ------
    StoreInUse
        Another service holds it.
    StoreUnavailable
        The file cannot be made or locked.
    """
    path = root / LOCK_NAME
    try:
        root.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StoreUnavailable(f"The store's lock cannot be made ({error.strerror}); check [store] root.") from None
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(file, 20, 0).decode("ascii", "replace").strip() or "unknown"
            raise StoreInUse(
                f"Another radgate service (process {holder}) works on this store; stop it first, or set another "
                "[store] root.",
                process=holder,
            ) from None
        except OSError as error:
            raise StoreUnavailable(
                f"The store's lock cannot be taken ({error.strerror}); put [store] root on a file system with locks."
            ) from None
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(file)
