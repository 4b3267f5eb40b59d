"""Adds bundles to a site's library: checked before they are copied, versions side by side and back again."""

import re
import shutil
import tempfile
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from monai_bundles.adding.concerns import concerns_of, require_trust
from monai_bundles.adding.describe import describe
from monai_bundles.adding.labels import Resolver
from monai_bundles.adding.large_files import check_large_files
from monai_bundles.adding.record import Added, Entry, Record, alone_in, read_record, write_record
from monai_bundles.adding.requirements import require_packages
from monai_bundles.adding.sources import source_folder
from monai_bundles.bundle import Bundle
from monai_bundles.config import read_inference
from monai_bundles.errors import BadMetadata, UnknownVersion
from monai_bundles.metadata import read_metadata
from monai_bundles.registry import check_weights, load_bundle, load_version, verify

__all__ = ["Addition", "add", "remove", "rollback", "set_shadow"]

NOT_COPIED = shutil.ignore_patterns("__pycache__", ".git", "*.pyc", "eval", ".DS_Store")


@dataclass(frozen=True)
class Addition:
    """What was added: the bundle as it stands in the library, and what a person should read."""

    bundle: Bundle
    added: Added
    notes: tuple[str, ...]


def add(
    source: str, library: Path, *, trust: bool = False, shadow: bool = False, resolve: Resolver | None = None
) -> Addition:
    """Check a bundle and copy it into the library; it runs from now on, or in the shadow of the version that does.

    Parameters
    ----------
    source
        A folder, a zip, or the name of a bundle of the Model Zoo.
    library
        The site's folder of bundles.
    trust
        The person who adds it accepts the code that it brings.
    shadow
        It only runs beside the version that runs now; nothing of it is delivered.
    resolve
        The TG-263 name of a word, for a bundle without `configs/radgate.json`.

    Raises
    ------
    UnknownVersion
        It is to be a shadow, and there is nothing that it could be the shadow of.
    BundleError
        What is wrong with it; nothing was changed then.
    """
    with tempfile.TemporaryDirectory(prefix="radgate-") as name:
        found, kind = source_folder(source, Path(name))
        bundle_name = _name_of(found)
        metadata = read_metadata(found)
        record = read_record(library)
        if shadow and bundle_name not in record.bundles:
            raise UnknownVersion(
                f"There is no version of {bundle_name} in the library that this one could be the shadow of; add it "
                "without --shadow.",
            )
        require_trust(found, trusted=trust)
        accepted = tuple(concern.sentence for concern in concerns_of(found))
        check_large_files(found)
        staged = Path(name) / "staged" / f"{bundle_name}@{metadata['version']}"
        shutil.copytree(found, staged, ignore=NOT_COPIED)
        notes: tuple[str, ...] = ()
        if not (staged / "configs" / "radgate.json").is_file():
            description = describe(staged, resolve)
            description.write(staged)
            notes = ("configs/radgate.json was written from the metadata; read it.", *description.notes)
        bundle = replace(load_bundle(staged), trusted=bool(trust and accepted))
        require_packages(staged, read_inference(staged), with_code=bundle.trusted)
        check_weights(bundle)
        verify(bundle, build=True)
        added = Added(
            version=bundle.version,
            digest=bundle.algorithm.bundle_digest,
            added_at=datetime.now(UTC).isoformat(timespec="seconds"),
            source=kind,
            trusted=bundle.trusted,
            accepted=accepted if bundle.trusted else (),
        )
        _check_version(record, bundle_name, added, shadow=shadow)
        with alone_in(library):
            record = read_record(library)
            _check_version(record, bundle_name, added, shadow=shadow)
            record = _entered(record, bundle_name, added, shadow=shadow)
            target = library / staged.name
            incoming = library / f".{staged.name}.partial"
            shutil.rmtree(incoming, ignore_errors=True)
            shutil.copytree(staged, incoming)
            shutil.rmtree(target, ignore_errors=True)
            incoming.rename(target)
            write_record(library, record)
    return Addition(load_version(library, record, bundle_name, added.version), added, notes)


def rollback(name: str, library: Path) -> Entry:
    """Let the version run that ran before.

    Raises
    ------
    UnknownBundle, UnknownVersion
        There is no such bundle, or no earlier version.
    """
    read_record(library).entry(name)
    with alone_in(library):
        record = read_record(library)
        entry = record.entry(name).rolled_back()
        load_version(library, record, name, entry.active)
        write_record(library, Record({**record.bundles, name: entry}))
    return entry


def set_shadow(name: str, version: str, library: Path) -> Entry:
    """Let a version run in the shadow of the one that runs; an empty version ends that.

    Raises
    ------
    UnknownBundle
        There is no such bundle.
    UnknownVersion
        There is no such version, or it is the one that runs.
    """
    read_record(library).entry(name)
    with alone_in(library):
        return _shadowed(library, name, version)


def _shadowed(library: Path, name: str, version: str) -> Entry:
    record = read_record(library)
    entry = record.entry(name)
    if version and (version not in entry.versions or version == entry.active):
        others = ", ".join(v for v in entry.versions if v != entry.active) or "none"
        raise UnknownVersion(f"Version {version!r} cannot be the shadow of {entry.active}; there are: {others}.")
    entry = replace(entry, shadow=version)
    write_record(library, Record({**record.bundles, name: entry}))
    return entry


def remove(name: str, library: Path, version: str = "") -> tuple[str, ...]:
    """Remove one version, or without one all of them; the versions that are gone.

    Raises
    ------
    UnknownBundle, UnknownVersion
        There is no such bundle or version, or it is the one that runs while others stand beside it.
    """
    read_record(library).entry(name)
    with alone_in(library):
        return _removed(library, name, version)


def _removed(library: Path, name: str, version: str) -> tuple[str, ...]:
    record = read_record(library)
    entry = record.entry(name)
    gone = (version,) if version else tuple(entry.versions)
    rest = entry.without(version) if version else replace(entry, versions={})
    bundles = {**record.bundles, name: rest}
    if not rest.versions:
        del bundles[name]
    write_record(library, Record(bundles))
    for item in gone:
        shutil.rmtree(library / f"{name}@{item}", ignore_errors=True)
    return gone


def _name_of(folder: Path) -> str:
    """The bundle's name: that of its folder, without a version that download sites append.

    Raises
    ------
    BadMetadata
        It is no name that a route could use.
    """
    name = re.sub(r"(@.*|_v\d+(\.\d+)+)$", "", folder.name)
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,80}", name):
        raise BadMetadata("The bundle's folder has a name that no route can use; rename it to letters, digits and _.")
    return name


def _check_version(record: Record, name: str, added: Added, *, shadow: bool) -> None:
    """A version that was added keeps its files: results name it, and `rollback` goes back to it.

    Raises
    ------
    UnknownVersion
        Other files have its number, or it is to be the shadow of itself.
    """
    old = record.bundles.get(name)
    if old is None or added.version not in old.versions:
        return
    if old.versions[added.version].digest != added.digest:
        raise UnknownVersion(
            f"Version {added.version} of {name} is in the library with other files; give these another version in "
            f"configs/metadata.json, or remove that one first (radgate bundles remove {name}).",
            version=added.version,
        )
    if shadow and added.version == old.active:
        raise UnknownVersion(f"Version {added.version} of {name} is the one that runs; its shadow is another version.")


def _entered(record: Record, name: str, added: Added, *, shadow: bool) -> Record:
    """The record with one version more."""
    old = record.bundles.get(name)
    if old is None:
        return Record({**record.bundles, name: Entry(added.version, versions={added.version: added})})
    entry = replace(old, versions={**old.versions, added.version: added})
    entry = replace(entry, shadow=added.version) if shadow else entry
    if not shadow:
        entry = entry.with_active(added.version)
    return Record({**record.bundles, name: entry})
