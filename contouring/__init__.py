"""Structures: masks and contours, RTSTRUCT and SEG, names, metrics, margins, lesion measurement."""

from contouring.names import NameTable, StructureName, lookup
from contouring.overlap import dice, jaccard
from contouring.roi import Generation, Roi
from contouring.seg_write import write_seg
from contouring.volumes import volume_cc

__all__ = ["Generation", "NameTable", "Roi", "StructureName", "dice", "jaccard", "lookup", "volume_cc", "write_seg"]
