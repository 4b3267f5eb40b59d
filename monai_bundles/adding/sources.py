"""Where a bundle comes from: a folder, a zip file, or the Model Zoo by name; each becomes a folder."""

import os
import shutil
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from monai_bundles.contents import refuse_links_outside
from monai_bundles.errors import (
    BadMetadata,
    NetworkSupportMissing,
    UnknownBundle,
    UnreadableBundle,
    ZooUnreachable,
)

__all__ = ["source_folder"]

MAX_UNPACKED_BYTES = 8 << 30
"""A zip that claims more than this is no bundle."""


def source_folder(source: str, scratch: Path) -> tuple[Path, str]:
    """The bundle's folder (unpacked or loaded down below `scratch` where needed), and "folder", "zip" or "model zoo".

    Raises
    ------
    UnknownBundle
        The path does not exist and is no name.
    BadMetadata
        The zip holds no bundle, or files outside it.
    UnreadableBundle
        The zip is damaged or encrypted, or something in the folder is a link that goes round, or no file.
    ZooUnreachable
        The name cannot be loaded down.
    """
    path = Path(source)
    if path.is_dir():
        found = _inside(path)
        _refuse_others(found)
        return found, "folder"
    if path.is_file():
        return _unpacked(path, scratch), "zip"
    if path.suffix or len(path.parts) > 1 or not path.name.isidentifier():
        raise UnknownBundle(
            f"There is no file or folder {path.name!r}; name a bundle's folder or zip, or a bundle of the Model Zoo.",
            name=path.name,
        )
    return _loaded_down(path.name, scratch), "model zoo"


def _inside(folder: Path) -> Path:
    """The folder with `configs/`: the one that was named, or the only one in it that has one.

    Raises
    ------
    BadMetadata
        There is none, or it has links that lead out of it.
    """
    folder = folder.resolve()
    found = [folder] if (folder / "configs").is_dir() else []
    found = found or [p for p in sorted(folder.iterdir()) if (p / "configs").is_dir()]
    if len(found) != 1:
        raise BadMetadata("The folder holds no bundle: there is no configs/ in it; name the bundle's own folder.")
    refuse_links_outside(found[0])
    return found[0]


def _refuse_others(folder: Path) -> None:
    """Refuse what cannot be copied, or not to an end.

    Raises
    ------
    UnreadableBundle
        A link leads to a folder that it lies in, or something is no file.
    """
    for where, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(where) / name
            goes_round = name in folders and path.is_symlink() and path.parent.resolve().is_relative_to(path.resolve())
            if goes_round or (name in files and not path.is_file()):
                inside = path.relative_to(folder).as_posix()
                kind = "a link to a folder that it lies in" if goes_round else "no file"
                raise UnreadableBundle(
                    f"{inside} is {kind}; put the files themselves there, or remove it.", file=inside
                )


def _unpacked(path: Path, scratch: Path) -> Path:
    """The bundle of a zip file.

    Raises
    ------
    BadMetadata
        It is no zip, too large, or names files outside its folder.
    UnreadableBundle
        It is damaged or encrypted.
    """
    if not zipfile.is_zipfile(path):
        raise BadMetadata(f"The file {path.name!r} is no zip; name a bundle's folder or its zip.")
    target = scratch / path.stem
    try:
        with zipfile.ZipFile(path) as archive:
            _check_entries(archive.infolist())
            target.mkdir(parents=True, exist_ok=True)
            archive.extractall(target)  # names and sizes were checked above
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        # RuntimeError is what zipfile raises where a password is asked for.
        raise UnreadableBundle(
            f"The zip {path.name!r} is damaged, encrypted or packed in a way that is not read here; pack it anew, "
            "without a password.",
            kind=type(error).__name__,
        ) from error
    return _inside(target)


def _check_entries(entries: list[zipfile.ZipInfo]) -> None:
    """What a zip claims to hold.

    Raises
    ------
    BadMetadata
        Files outside its folder, or too much.
    """
    names = [PurePosixPath(entry.filename.replace("\\", "/")) for entry in entries]
    if any(name.is_absolute() or ".." in name.parts for name in names):
        raise BadMetadata("The zip names files outside its own folder; it is not unpacked.")
    if sum(entry.file_size for entry in entries) > MAX_UNPACKED_BYTES:
        raise BadMetadata("The zip claims to hold more than 8 GiB; it is not unpacked.")


def _loaded_down(name: str, scratch: Path) -> Path:
    """A bundle of the Model Zoo.

    Raises
    ------
    ZooUnreachable
        There is no way to it, or no such bundle.
    NetworkSupportMissing
        MONAI is not installed.
    """
    try:
        from monai.bundle import download
    except ImportError as error:
        raise NetworkSupportMissing("Loading from the Model Zoo needs MONAI; install radgate[ai].") from error
    try:
        download(name=name, bundle_dir=str(scratch), source="monaihosting", progress=False)
    except Exception as error:  # noqa: BLE001 - whatever a download raises means that the bundle is not here
        shutil.rmtree(scratch / name, ignore_errors=True)
        raise ZooUnreachable(
            f"The bundle {name!r} cannot be loaded from the Model Zoo (no internet, or no such name); load it down "
            "elsewhere and add its folder or zip.",
            name=name,
            kind=type(error).__name__,
        ) from None
    return _inside(scratch / name)
