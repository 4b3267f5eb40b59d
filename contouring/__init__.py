"""Structures: masks and contours, RTSTRUCT and SEG, names, metrics, margins, lesion measurement."""

from contouring.names import NameTable, StructureName, lookup
from contouring.overlap import dice, jaccard
from contouring.profiles import Finding, check_profile, profile_names
from contouring.raster import coverage, rasterise
from contouring.roi import Generation, Roi
from contouring.rtstruct_planes import grid_of
from contouring.rtstruct_read import read_rtstruct
from contouring.rtstruct_result import ReadRoi, ReadRtstruct
from contouring.rtstruct_write import WrittenRtstruct, write_rtstruct
from contouring.seg_read import ReadSegmentation, read_seg
from contouring.seg_write import write_seg
from contouring.volumes import volume_cc

__all__ = [
    "Finding",
    "Generation",
    "NameTable",
    "ReadRoi",
    "ReadRtstruct",
    "ReadSegmentation",
    "Roi",
    "StructureName",
    "WrittenRtstruct",
    "check_profile",
    "coverage",
    "dice",
    "grid_of",
    "jaccard",
    "lookup",
    "profile_names",
    "rasterise",
    "read_rtstruct",
    "read_seg",
    "volume_cc",
    "write_rtstruct",
    "write_seg",
]
