"""The Model Zoo's list of files that are kept elsewhere (`large_files.yml`), and the check of those that are here."""

import hashlib
from pathlib import Path

from monai_bundles.errors import BadMetadata, MissingWeights, WrongHash

__all__ = ["check_large_files", "large_files"]

ALGORITHMS = frozenset({"md5", "sha1", "sha256", "sha512"})


def large_files(root: Path) -> tuple[dict[str, str], ...]:
    """The entries (path, url, hash_val, hash_type) of the list; empty where there is none.

    Raises
    ------
    BadMetadata
        The list cannot be read, or an entry has no path or one outside the bundle.
    """
    path = next((p for p in (root / "large_files.yml", root / "large_files.yaml") if p.is_file()), None)
    if path is None:
        return ()
    entries: list[dict[str, str]] = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        text = line.split(" #")[0].strip()
        begins = text.startswith("- ")
        key, colon, value = text.removeprefix("- ").partition(":")
        if begins:
            entries.append({})
        if colon and entries:
            entries[-1][key.strip()] = value.strip().strip("\"'")
    for entry in entries:
        file = entry.get("path", "")
        if not file or not (root / file).resolve().is_relative_to(root.resolve()):
            raise BadMetadata("large_files.yml has an entry without a path inside the bundle; correct it.", file=file)
    return tuple(entries)


def check_large_files(root: Path) -> None:
    """Compare the listed files that a run needs with their hashes; TorchScript copies may be absent.

    Raises
    ------
    MissingWeights
        A listed weights file is not there.
    WrongHash
        One is there and is another than the listed one.
    BadMetadata
        The list itself is wrong.
    """
    for entry in large_files(root):
        file = root / entry["path"]
        if not file.is_file():
            if file.suffix == ".ts":
                continue
            raise MissingWeights(
                f"The file {entry['path']} is not in the bundle; large_files.yml says where it comes from: load it "
                "down, put it there and add the bundle again.",
                file=entry["path"],
            )
        expected, kind = entry.get("hash_val", "").lower(), entry.get("hash_type", "").lower() or "md5"
        if not expected:
            continue
        if kind not in ALGORITHMS:
            raise BadMetadata(f"large_files.yml names the unknown hash type {kind!r}; use sha256.", file=entry["path"])
        with file.open("rb") as stream:
            got = hashlib.file_digest(stream, kind).hexdigest()
        if got != expected:
            raise WrongHash(
                f"The file {entry['path']} is not the one that large_files.yml lists; load it down again.",
                file=entry["path"],
                expected=expected,
                got=got,
            )
