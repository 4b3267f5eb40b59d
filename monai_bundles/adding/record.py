"""The record of a site's bundle library: which versions were added, which one runs, which one runs in its shadow.

A library is a folder: `NAME@VERSION/` for each version, and `registry.json`. Plain folders `NAME/` beside them are
bundles that somebody put there by hand.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from monai_bundles.errors import BadMetadata, UnknownBundle, UnknownVersion

__all__ = ["Added", "Entry", "Record", "alone_in", "read_record", "write_record"]

FILE = "registry.json"
SCHEMA = "radgate.bundles/1"


@dataclass(frozen=True)
class Added:
    """One version in the library.

    Parameters
    ----------
    version
        Of its metadata.
    digest
        sha256 over all its files when it was added; it is refused when they are others.
    added_at
        UTC, ISO 8601.
    source
        "folder", "zip" or "model zoo".
    trusted
        Whether the person who added it accepted its code.
    accepted
        The sentences that were accepted then.
    """

    version: str
    digest: str
    added_at: str
    source: str
    trusted: bool = False
    accepted: tuple[str, ...] = ()


@dataclass(frozen=True)
class Entry:
    """All versions of one bundle.

    Parameters
    ----------
    active
        The version that runs.
    shadow
        The version that runs beside it, is recorded and delivers nothing; or nothing.
    history
        Versions that ran before, the last one at the end: where `rollback` goes.
    versions
        By version.
    """

    active: str
    shadow: str = ""
    history: tuple[str, ...] = ()
    versions: dict[str, Added] = field(default_factory=dict)

    def with_active(self, version: str) -> "Entry":
        """Another version runs from now on; the one that ran is where `rollback` goes."""
        history = (*(v for v in self.history if v != version), *((self.active,) if self.active != version else ()))
        shadow = "" if self.shadow == version else self.shadow
        return replace(self, active=version, shadow=shadow, history=history)

    def rolled_back(self) -> "Entry":
        """The version that ran before runs again.

        Raises
        ------
        UnknownVersion
            None ran before.
        """
        if not self.history:
            raise UnknownVersion("No other version of this bundle ran before; add one, or remove this one.")
        version = self.history[-1]
        return replace(
            self, active=version, shadow="" if self.shadow == version else self.shadow, history=self.history[:-1]
        )

    def without(self, version: str) -> "Entry":
        """One version less.

        Raises
        ------
        UnknownVersion
            It is the one that runs, or it is not there.
        """
        if version not in self.versions:
            known = ", ".join(self.versions)
            raise UnknownVersion(f"There is no version {version!r} of this bundle; known are {known}.")
        if version == self.active and len(self.versions) > 1:
            raise UnknownVersion(f"Version {version} is the one that runs; roll back or add another one first.")
        return replace(
            self,
            shadow="" if self.shadow == version else self.shadow,
            history=tuple(v for v in self.history if v != version),
            versions={v: a for v, a in self.versions.items() if v != version},
        )


@dataclass(frozen=True)
class Record:
    """Everything that was added to a library, by name of the bundle."""

    bundles: dict[str, Entry] = field(default_factory=dict)

    def entry(self, name: str) -> Entry:
        """All versions of a bundle.

        Raises
        ------
        UnknownBundle
            It was never added.
        """
        if name not in self.bundles:
            known = ", ".join(sorted(self.bundles)) or "none"
            raise UnknownBundle(f"No bundle {name!r} was added to this library; added are: {known}.", name=name)
        return self.bundles[name]


def read_record(library: Path) -> Record:
    """The record of a library; an empty one where nothing was added yet.

    Raises
    ------
    BadMetadata
        The record is damaged.
    """
    path = library / FILE
    if not path.is_file():
        return Record()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["schema"] != SCHEMA:
            raise BadMetadata("The record of the bundles is of another radgate; use the version that wrote it.")
        return Record({name: _entry(value) for name, value in content["bundles"].items()})
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
        raise BadMetadata(
            "The record of the bundles (registry.json) is damaged; restore it, or remove it and add the bundles again.",
            kind=type(error).__name__,
        ) from error


@contextmanager
def alone_in(library: Path) -> Iterator[None]:
    """Nobody else changes the library meanwhile: two that add at once would each write a record without the other."""
    library.mkdir(parents=True, exist_ok=True)
    folder = os.open(library, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def write_record(library: Path, record: Record) -> None:
    """Write the record so that a crash leaves the old or the new one."""
    library.mkdir(parents=True, exist_ok=True)
    content = {"schema": SCHEMA, "bundles": {name: asdict(record.bundles[name]) for name in sorted(record.bundles)}}
    partial = library / f"{FILE}.partial"
    partial.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(library / FILE)


def _entry(value: dict[str, Any]) -> Entry:
    versions = {
        version: Added(**{**added, "accepted": tuple(added["accepted"])})
        for version, added in value["versions"].items()
    }
    return Entry(value["active"], value["shadow"], tuple(value["history"]), versions)
