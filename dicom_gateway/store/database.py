"""The engine of the index: SQLite below the store's root by default, or PostgreSQL.

SQLite runs in WAL mode with synchronous FULL: an index row is the last thing before a sender is told Success, so its
commit must outlive a power cut. NORMAL would only save a sync that concurrent associations share anyway (group commit).
"""

import sqlite3
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from dicom_gateway.errors import StoreUnavailable
from dicom_gateway.settings import Settings
from dicom_gateway.store import quality_tables  # noqa: F401 - its tables are made with the others
from dicom_gateway.store.tables import metadata

__all__ = ["database_url", "open_engine"]

BUSY_TIMEOUT_S = 30.0
"""How long a SQLite writer waits for another one: the longest group commit on a slow disk, with a wide margin."""


def database_url(settings: Settings) -> str:
    """Address of the index and of the durable steps; for `sqlite` the file `radgate.sqlite` in the store's root."""
    if settings.database.url == "sqlite":
        return f"sqlite:///{settings.store.root / 'radgate.sqlite'}"
    return settings.database.url


def open_engine(settings: Settings) -> Engine:
    """An engine for the index, with all tables there; its errors do not repeat what was to be written.

    Raises
    ------
    StoreUnavailable
        The database does not answer, or its file cannot be made.
    """
    url = database_url(settings)
    try:
        if url.startswith("sqlite"):
            settings.store.root.mkdir(parents=True, exist_ok=True)
            arguments = {"timeout": BUSY_TIMEOUT_S, "check_same_thread": False}
            engine = create_engine(url, connect_args=arguments, hide_parameters=True)
            event.listen(engine, "connect", _tune_sqlite)
        else:
            engine = create_engine(url, pool_pre_ping=True, hide_parameters=True)
        metadata.create_all(engine)
    except (SQLAlchemyError, OSError) as error:
        raise StoreUnavailable(
            f"The database does not answer ({type(error).__name__}); check [database] and that it is running."
        ) from None
    return engine


def _tune_sqlite(connection: Any, _entry: ConnectionPoolEntry) -> None:
    if isinstance(connection, sqlite3.Connection):
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()
