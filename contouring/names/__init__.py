"""Names of structures: TG-263, codes, Chinese names, colours, and the renaming of foreign names."""

from contouring.names.structure import Code, StructureName

__all__ = ["Code", "StructureName"]
