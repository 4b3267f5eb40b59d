"""Giving the structures of an RTSTRUCT their TG-263 names, as a new object; contours stay byte for byte."""

import copy
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence

from contouring.midline import midline_of
from contouring.names import NameTable, Renaming, rename
from contouring.rtstruct_parse import open_structure_set
from contouring.rtstruct_read import read_rtstruct
from contouring.volumes import centroid_lps
from imaging.geometry import Grid
from imaging.provenance import deterministic_uid
from imaging.volume import Volume

__all__ = ["RenamedStructures", "rename_rtstruct"]

OUTLINES = ("Body", "External")


@dataclass(frozen=True, eq=False)
class RenamedStructures:
    """A structure set under TG-263 names.

    Parameters
    ----------
    dataset
        With the new names and a new SOPInstanceUID.
    names
        What became of each name, in its order.
    sides_unchecked
        Why left and right could not be compared with the image; "" where they were, or no image was given.
    """

    dataset: Dataset
    names: tuple[Renaming, ...]
    sides_unchecked: str = ""


def rename_rtstruct(
    source: Path, table: NameTable, *, grid: Grid | None = None, volume: Volume | None = None, body_part: str = ""
) -> RenamedStructures:
    """An RTSTRUCT with TG-263 names; names without a match stay as they are.

    Parameters
    ----------
    source
        The structure set.
    table
        With the site's aliases.
    grid
        Grid of the image series; with it sides are checked, against the outline of the body among the structures.
    volume, body_part
        The image and its BodyPartExamined, whose own outline serves where none is drawn.

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
    unchecked = ""
    if grid is not None:
        regions = {s.name: s.region for s in read_rtstruct(ds, grid).structures if s.region.voxel_count}
        bodies = [
            f.original for f in found if f.name is not None and f.name.tg263 in OUTLINES and f.original in regions
        ]
        midline = midline_of(regions[bodies[0]] if bodies else None, volume, grid, body_part)
        unchecked = midline.reason if midline.x_mm is None else ""
        centres = {name: float(centroid_lps(region, grid)[0]) for name, region in regions.items()}
        found = rename(
            originals,
            table,
            centres_x_mm=centres,
            midline_x_mm=midline.x_mm,
            uncertainty_mm=midline.uncertainty_mm,
        )
    result = copy.deepcopy(ds)
    for item, each in zip(result.get("StructureSetROISequence") or DicomSequence(), found, strict=True):
        if each.name is not None:
            item.ROIName = each.name.tg263
    names = [f.name.tg263 if f.name else f.original for f in found]
    result.SOPInstanceUID = deterministic_uid("renamed rtstruct", [str(ds.get("SOPInstanceUID", "")), names])
    result.file_meta.MediaStorageSOPInstanceUID = result.SOPInstanceUID
    return RenamedStructures(result, found, unchecked)
