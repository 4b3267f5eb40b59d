"""Labels of a bundle under their TG-263 names, by the table with the site's aliases."""

from dataclasses import replace

from contouring.errors import UnknownStructure
from contouring.names import NameTable
from monai_bundles import BundleOutput

__all__ = ["under_tg263"]


def under_tg263(output: BundleOutput, names: NameTable) -> BundleOutput:
    """What a bundle gave, each structure under its TG-263 name.

    A label that the table does not know keeps the bundle's own word, and so does one whose name another label of the
    same bundle has, because two structures under one name could not be told apart.

    Parameters
    ----------
    output
        What the bundle gave.
    names
        The table, with the site's aliases.
    """
    own = [s.name for s in output.structures]
    taken: set[str] = set(own)
    meant: dict[str, str] = {}
    for label in own:
        name = _tg263(label, names)
        meant[label] = name if name not in taken else label
        taken.add(name)
    return replace(
        output,
        structures=tuple(replace(s, name=meant[s.name]) for s in output.structures),
        absent=tuple(_tg263(label, names) for label in output.absent),
        findings=tuple(replace(f, structure=meant.get(f.structure, f.structure)) for f in output.findings),
    )


def _tg263(label: str, names: NameTable) -> str:
    try:
        return names.lookup(label).tg263
    except UnknownStructure:
        return label
