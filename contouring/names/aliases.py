"""A site's own names for structures, from TOML."""

import tomllib
from pathlib import Path

from contouring.errors import AliasesRefused, UnknownStructure
from contouring.names.table import NameTable

__all__ = ["load_aliases"]


def load_aliases(path: Path | None) -> NameTable:
    """The shipped table with the names of a TOML file: one line a name, `"腮腺左" = "Parotid_L"`.

    Parameters
    ----------
    path
        The file; None gives the shipped table.

    Raises
    ------
    AliasesRefused
        The file is no TOML of names, or an alias is another structure's TG-263 name.
    UnknownStructure
        An alias leads to no structure.
    """
    if path is None:
        return NameTable.default()
    try:
        aliases = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise AliasesRefused(f"The file of names is no valid TOML: {fault}.") from fault
    if not all(isinstance(target, str) for target in aliases.values()):
        raise AliasesRefused('The file of names needs one line a name, as "foreign" = "TG-263".')
    table = NameTable.default()
    for foreign, name in aliases.items():
        try:
            table.lookup(name)
        except UnknownStructure as fault:
            raise UnknownStructure(f"{foreign!r} = {name!r}: {fault.message}", **fault.fields) from fault
    try:
        return table.with_aliases(aliases)
    except ValueError as fault:
        raise AliasesRefused(f"The file of names contradicts TG-263: {fault}.") from fault
