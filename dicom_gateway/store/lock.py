"""One service for each store and database: locks that live as long as their process; no crash leaves one behind."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from dicom_gateway.errors import StoreInUse, StoreUnavailable

__all__ = ["LOCK_NAME", "database_lock", "store_lock"]

LOCK_NAME = "service.lock"

DATABASE_KEY = 0x7261_6467_6174_65
"""Of PostgreSQL's advisory lock: the letters "radgate"."""


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


@contextmanager
def database_lock(engine: Engine) -> Iterator[None]:
    """Hold a PostgreSQL database for this service; the server lets go when the connection ends.

    Two services with different stores on one database would take up each other's studies, whose files they do not have.
    An SQLite database lies in the store and needs no lock of its own. A restart of the database ends the lock early;
    who is let in then is refused by nobody until the next start.

    Raises
    ------
    StoreInUse
        Another service holds it.
    """
    if engine.dialect.name != "postgresql":
        yield
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not connection.execute(text("select pg_try_advisory_lock(:key)"), {"key": DATABASE_KEY}).scalar_one():
            raise StoreInUse(
                "Another radgate service works on this database; stop it first, or name another one in [database] url."
            )
        try:
            yield
        finally:
            # The connection goes back to its pool and would keep the lock; a broken one has lost it already.
            with suppress(DBAPIError):
                connection.execute(text("select pg_advisory_unlock(:key)"), {"key": DATABASE_KEY})
