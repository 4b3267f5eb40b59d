"""What the commands of `radgate contour` read: the image series of a folder, and the structures of a file on it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from dicom_gateway.cli.contour_names import name_table

if TYPE_CHECKING:
    from contouring.convert import Reading, Structures
    from imaging.series import Stack
    from imaging.volume import Volume

__all__ = ["even_volume", "image_stack", "read_file", "reading_of"]


def image_stack(series: Path, structures: Path) -> "Stack":
    """The one image series of a folder, or the one among several that the structures name.

    Raises
    ------
    NotAnImageStack
        There is none, or it stays open which.
    """
    from imaging.errors import NotAnImageStack
    from imaging.series import scan

    scanned = scan([series])
    if not scanned.stacks:
        for left in scanned.leftovers:
            if left.series_instance_uid:
                raise left.reason
        raise NotAnImageStack("The folder holds no image series; give the folder of the images.")
    if len(scanned.stacks) == 1:
        return scanned.stacks[0]
    named = _named_series(structures)
    fitting = [s for s in scanned.stacks if s.series_instance_uid in named]
    if len(fitting) != 1:
        raise NotAnImageStack(
            f"The folder holds {len(scanned.stacks)} series, and the structures name {len(fitting)} of them; "
            "give the folder of one.",
            stacks=len(scanned.stacks),
        )
    return fitting[0]


def even_volume(stack: "Stack") -> "Volume | None":
    """The image; None where its planes are no even grid, which contours do not need."""
    from imaging.errors import GeometryRefused
    from imaging.series import load_volume

    try:
        return load_volume(stack)
    except GeometryRefused:
        return None


def _named_series(structures: Path) -> frozenset[str]:
    import pydicom
    from pydicom.errors import InvalidDicomError

    from contouring.convert import referenced_series

    try:
        return referenced_series(pydicom.dcmread(structures, stop_before_pixels=True))
    except InvalidDicomError:
        return frozenset()


def reading_of(offgrid: str, fill_gaps: bool, overlap: str) -> "Reading":
    """The options `--offgrid`, `--fill-gaps` and `--overlap` as what reading contours may do."""
    from contouring.convert import Reading

    return Reading(offgrid, "shape" if fill_gaps else "none", overlap)  # type: ignore[arg-type]


def read_file(
    path: Path,
    stack: "Stack",
    aliases: Path | None,
    labels: Sequence[str] | None = None,
    *,
    reading: "Reading | None" = None,
    strict_names: bool = False,
) -> "Structures":
    """The structures of a file; names without an entry stay as they are, unless they are refused."""
    from contouring.convert import read_structures

    table = name_table(aliases)
    named = _label_names(labels)
    for name in (named or {}).values():
        table.lookup(name)
    read = read_structures(path, stack.grid, table=table, labels=named, images=stack.sources, reading=reading)
    if strict_names:
        for name in read.unknown_names:
            table.lookup(name)
    return read


def _label_names(labels: Sequence[str] | None) -> dict[int, str] | None:
    names = {}
    for text in labels or ():
        number, _, name = text.partition("=")
        if not number.strip().isdigit() or not name.strip():
            raise typer.BadParameter("a label is named as 1=Parotid_L", param_hint="--label")
        names[int(number)] = name.strip()
    return names or None
