"""The files of a bundle's folder: all of them, its licence, its Python code, and links that must not leave it."""

from pathlib import Path

from monai_bundles.errors import BadMetadata

__all__ = ["code_of", "files_of", "licence_of", "refuse_links_outside"]

CODE_SUFFIXES = (".py", ".pyd", ".so")


def files_of(root: Path) -> list[Path]:
    """All files of a bundle except those that Python writes by itself, sorted."""
    return sorted(p for p in root.rglob("*") if p.is_file() and "__pycache__" not in p.parts)


def code_of(root: Path) -> list[str]:
    """Packages and modules that a bundle brings, the top folder of each once; links only lead to what is seen here."""
    return sorted({p.relative_to(root).parts[0] for p in root.rglob("*") if p.suffix in CODE_SUFFIXES})


def licence_of(root: Path) -> Path | None:
    """The text of the bundle's licence, in either spelling; None where there is none."""
    return next((p for p in sorted(root.glob("LICEN[SC]E*")) if p.is_file()), None)


def refuse_links_outside(root: Path) -> None:
    """Refuse a folder with symbolic links that lead out of it, or nowhere.

    Raises
    ------
    BadMetadata
        There is one.
    """
    inside = root.resolve()
    for path in sorted(root.rglob("*")):
        if not path.is_symlink():
            continue
        try:
            stays = path.resolve(strict=True).is_relative_to(inside)
        except (OSError, RuntimeError):
            stays = False
        if not stays:
            raise BadMetadata(
                f"{path.relative_to(root).as_posix()} in the bundle is a link that leads out of it or nowhere; put the "
                "file itself there.",
                file=path.relative_to(root).as_posix(),
            )
