"""Names of structures: TG-263, codes, Chinese names, colours, and the renaming of foreign names."""

from contouring.names.structure import Code, StructureName
from contouring.names.table import NameTable, lookup

__all__ = ["Code", "NameTable", "StructureName", "lookup"]
