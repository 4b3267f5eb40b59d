"""Where a bundle comes from: a folder, a zip file, or the Model Zoo by name; each becomes a folder."""

import shutil
import zipfile
from pathlib import Path, PurePosixPath

from monai_bundles.contents import refuse_links_outside
from monai_bundles.errors import BadMetadata, NetworkSupportMissing, UnknownBundle, ZooUnreachable

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
    ZooUnreachable
        The name cannot be loaded down.
    """
    path = Path(source)
    if path.is_dir():
        return _inside(path), "folder"
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


def _unpacked(path: Path, scratch: Path) -> Path:
    """The bundle of a zip file.

    Raises
    ------
    BadMetadata
        It is no zip, too large, or names files outside its folder.
    """
    if not zipfile.is_zipfile(path):
        raise BadMetadata(f"The file {path.name!r} is no zip; name a bundle's folder or its zip.")
    with zipfile.ZipFile(path) as archive:
        names = [PurePosixPath(info.filename.replace("\\", "/")) for info in archive.infolist()]
        if any(name.is_absolute() or ".." in name.parts for name in names):
            raise BadMetadata("The zip names files outside its own folder; it is not unpacked.")
        if sum(info.file_size for info in archive.infolist()) > MAX_UNPACKED_BYTES:
            raise BadMetadata("The zip claims to hold more than 8 GiB; it is not unpacked.")
        target = scratch / path.stem
        archive.extractall(target)  # names and sizes were checked above
    return _inside(target)


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
