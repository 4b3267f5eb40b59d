"""SourcePixelPlanesCharacteristicsSequence: the grid inside the object, so that masks come back without images."""

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from contouring.decimals import decimal_text
from contouring.rtstruct_parse import open_structure_set
from imaging.geometry import Grid
from imaging.headers import numbers, text, whole

__all__ = ["grid_of", "pixel_planes"]

EVEN_SHEAR_MM = 0.01
"""In-plane shift of the planes against each other that the sequence's one position and spacing cannot hold."""


def grid_of(source: Dataset | Path) -> Grid | None:
    """The grid in SourcePixelPlanesCharacteristicsSequence; None where the object has none, or several that differ.

    Raises
    ------
    NotDicom
        The file is no DICOM file.
    TruncatedFile
        The file ends before its data set does.
    NotAStructureSet
        The object is of another kind.
    MissingAttribute
        The sequence lacks one of its attributes.
    """
    dataset = open_structure_set(source)
    frames = {
        text(d, "ROINumber"): text(d, "ReferencedFrameOfReferenceUID")
        for d in dataset.get("StructureSetROISequence") or ()
    }
    found: list[Grid] = []
    for item in dataset.get("ROIContourSequence") or ():
        for planes in item.get("SourcePixelPlanesCharacteristicsSequence") or ():
            grid = _grid(planes, frames.get(text(item, "ReferencedROINumber"), ""))
            if not any(grid.is_same_as(other) for other in found):
                found.append(grid)
    return found[0] if len(found) == 1 else None


def _grid(planes: Dataset, frame: str) -> Grid:
    row, column = np.array(numbers(planes, "ImageOrientationPatient", 6)).reshape(2, 3)
    normal = np.cross(row, column) / np.linalg.norm(np.cross(row, column))
    step = numbers(planes, "SpacingBetweenSlices", 1)[0]
    origin = np.array(numbers(planes, "ImagePositionPatient", 3))
    spacing = numbers(planes, "PixelSpacing", 2)
    count = whole(planes, "NumberOfFrames")
    return Grid(
        positions_lps=origin + np.outer(np.arange(count) * step, normal),
        row_direction=row,
        column_direction=column,
        pixel_spacing_mm=(spacing[0], spacing[1]),
        rows=whole(planes, "Rows"),
        columns=whole(planes, "Columns"),
        frame_of_reference_uid=frame,
        slice_thickness_mm=step,
    )


def pixel_planes(grid: Grid) -> Dataset | None:
    """Item of SourcePixelPlanesCharacteristicsSequence; None where one spacing cannot describe the planes."""
    if not grid.is_even or grid.shear_mm > EVEN_SHEAR_MM:
        return None
    if len(grid.positions_lps) == 1 and grid.slice_thickness_mm is None:
        return None
    item = Dataset()
    item.PixelSpacing = [decimal_text(s) for s in grid.pixel_spacing_mm]
    item.SpacingBetweenSlices = decimal_text(grid.slice_spacing_mm)
    item.ImageOrientationPatient = [decimal_text(c) for c in (*grid.row_direction, *grid.column_direction)]
    item.ImagePositionPatient = [decimal_text(p) for p in grid.positions_lps[0]]
    item.NumberOfFrames, item.Rows, item.Columns = grid.shape
    return item
