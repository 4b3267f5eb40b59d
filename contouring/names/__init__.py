"""Names of structures: TG-263, codes, Chinese names, colours, and the renaming of foreign names."""

from contouring.names.aliases import load_aliases
from contouring.names.rename import Renaming, check_side, match_name, rename
from contouring.names.structure import Code, StructureName
from contouring.names.table import NameTable, lookup

__all__ = [
    "Code",
    "NameTable",
    "Renaming",
    "StructureName",
    "check_side",
    "load_aliases",
    "lookup",
    "match_name",
    "rename",
]
