"""Giving the structures of an RTSTRUCT their TG-263 names, as a new object; contours stay byte for byte."""

import copy
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence

from contouring.names import NameTable, Renaming, rename
from contouring.rtstruct_parse import open_structure_set
from contouring.rtstruct_read import read_rtstruct
from contouring.volumes import centroid_lps
from imaging.geometry import Grid
from imaging.provenance import deterministic_uid

__all__ = ["RenamedStructures", "rename_rtstruct"]

OUTLINES = ("Body", "External")


@dataclass(frozen=True, eq=False)
class RenamedStructures:
    """The structure set with new names and a new SOPInstanceUID, and what became of each name, in its order."""

    dataset: Dataset
    names: tuple[Renaming, ...]


def rename_rtstruct(source: Path, table: NameTable, *, grid: Grid | None = None) -> RenamedStructures:
    """An RTSTRUCT with TG-263 names; names without a match stay as they are.

    Parameters
    ----------
    source
        The structure set.
    table
        With the site's aliases.
    grid
        Grid of the image series; with it, and an outline of the body among the structures, sides are checked.

    Raises
    ------
    NotDicom
        The file is no DICOM file.
    TruncatedFile
        The file ends before its data set does.
    NotAStructureSet
        The object is of another kind.
    LateralityConflict
        A name says one side and the geometry the other.
    """
    ds = open_structure_set(source)
    items = list(ds.get("StructureSetROISequence") or ())
    originals = [str(item.get("ROIName", "") or "") for item in items]
    found = rename(originals, table)
    if grid is not None:
        centres, midline = _centres(ds, grid, {f.original: f.name.tg263 for f in found if f.name is not None})
        found = rename(originals, table, centres_x_mm=centres, midline_x_mm=midline)
    result = copy.deepcopy(ds)
    for item, each in zip(result.get("StructureSetROISequence") or DicomSequence(), found, strict=True):
        if each.name is not None:
            item.ROIName = each.name.tg263
    names = [f.name.tg263 if f.name else f.original for f in found]
    result.SOPInstanceUID = deterministic_uid("renamed rtstruct", [str(ds.get("SOPInstanceUID", "")), names])
    result.file_meta.MediaStorageSOPInstanceUID = result.SOPInstanceUID
    return RenamedStructures(result, found)


def _centres(ds: Dataset, grid: Grid, canonical: dict[str, str]) -> tuple[dict[str, float], float | None]:
    """LPS x of each structure's centre by its own name, and of the body's."""
    centres = {
        s.name: float(centroid_lps(s.region, grid)[0])
        for s in read_rtstruct(ds, grid).structures
        if s.region.voxel_count
    }
    midline = next((x for name, x in centres.items() if canonical.get(name) in OUTLINES), None)
    return centres, midline
