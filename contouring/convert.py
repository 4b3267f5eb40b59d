"""Structures from any file onto an image's grid: RTSTRUCT, DICOM SEG or NIfTI, told apart by their content.

Geometry is kept exactly or refused; names go through the site's table, and a name without an entry keeps what its maker
said of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from contouring.combine import Overlap
from contouring.errors import EmptyStructure, SegmentationRefused, UnknownStructure
from contouring.names import NameTable, StructureName
from contouring.nifti import read_names, read_nifti
from contouring.planes import OffGrid
from contouring.raster import Interpolate
from contouring.remarks import remarks_on, remarks_on_empty_planes
from contouring.roi import Roi
from contouring.rtstruct_read import read_rtstruct
from contouring.seg_read import SEGMENTATION_CLASSES, read_seg, rois_of
from imaging.errors import NotDicom
from imaging.geometry import Grid
from imaging.headers import read_header, read_whole
from imaging.quiet import quiet_pydicom
from imaging.volume import SourceInstance

__all__ = ["Reading", "Structures", "chosen", "read_structures", "referenced_series"]

ANATOMICAL_STRUCTURE = Code("91723000", "SCT", "Anatomical Structure")
FOREIGN_COLOUR = (255, 255, 0)


@dataclass(frozen=True, eq=False)
class Structures:
    """What a file held, ready to be written in another form.

    Parameters
    ----------
    kind
        "rtstruct", "seg" or "nifti".
    rois
        The structures, numbered from 1.
    refused
        (name, reason) of those that could not be read.
    unknown_names
        Names that no entry of the table has.
    remarks
        (name, sentence) of what was moved, cut, skipped or left empty; see `remarks_on`.
    """

    kind: str
    rois: tuple[Roi, ...]
    refused: tuple[tuple[str, str], ...] = ()
    unknown_names: tuple[str, ...] = ()
    remarks: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Reading:
    """What reading contours may do beyond the exact; see `read_rtstruct`."""

    offgrid: OffGrid = "error"
    interpolate: Interpolate = "none"
    overlap: Overlap = "error"


def read_structures(
    path: Path,
    grid: Grid,
    *,
    table: NameTable | None = None,
    labels: Mapping[int, str] | None = None,
    images: Sequence[SourceInstance] = (),
    reading: Reading | None = None,
) -> Structures:
    """The structures of an RTSTRUCT, SEG or NIfTI file on a grid.

    Parameters
    ----------
    path
        The file.
    grid
        Grid of the image series.
    table
        Names, with a site's aliases.
    labels
        Names of a label map's numbers; where left out, the JSON file beside it.
    images
        The image of each plane: contours that name others are then remarked on.
    reading
        Options for contours.

    Raises
    ------
    NotDicom
        The file is neither DICOM nor NIfTI.
    TruncatedFile
        The file ends before its data set does.
    ContouringError
        No structure of an RTSTRUCT can be read: what is wrong with the first.
    EmptyStructure
        An RTSTRUCT defines no structure.
    NotAStructureSet
        The DICOM object is of another kind.
    SegmentationRefused
        The segmentation cannot be read; see its kinds.
    FrameOfReferenceMismatch
        Another frame of reference than the image's.
    UnknownStructure
        A number of a label map has no name at all.
    """
    names = table or NameTable.default()
    if path.name.endswith((".nii", ".nii.gz")):
        return _from_nifti(path, grid, names, labels)
    try:
        ds = read_header(path).dataset
    except NotDicom as fault:
        raise NotDicom(
            "The file can be read neither as DICOM nor as NIfTI; give an RTSTRUCT, a SEG or a .nii.gz, or export again."
        ) from fault
    with quiet_pydicom():
        if ds.get("SOPClassUID") not in SEGMENTATION_CLASSES:
            return _from_rtstruct(ds, grid, names, images, reading or Reading())
        ds = read_whole(path)
        rois = rois_of(read_seg(ds, grid), names)
    unknown = tuple(r.name.tg263 for r in rois if not _is_known(r, names))
    return Structures("seg", rois, unknown_names=unknown, remarks=remarks_on_empty_planes(rois))


def referenced_series(ds: Dataset) -> frozenset[str]:
    """UIDs of the image series that an RTSTRUCT or SEG names."""
    found = {str(item.get("SeriesInstanceUID", "")) for item in ds.get("ReferencedSeriesSequence") or ()}
    for frame in ds.get("ReferencedFrameOfReferenceSequence") or ():
        for study in frame.get("RTReferencedStudySequence") or ():
            found |= {str(s.get("SeriesInstanceUID", "")) for s in study.get("RTReferencedSeriesSequence") or ()}
    return frozenset(found - {""})


def _from_rtstruct(
    ds: Dataset, grid: Grid, table: NameTable, images: Sequence[SourceInstance], reading: Reading
) -> Structures:
    read = read_rtstruct(
        ds, grid, images=images, offgrid=reading.offgrid, interpolate=reading.interpolate, overlap=reading.overlap
    )
    if not read.structures and read.refused:
        roi_number, roi_name, error = read.refused[0]
        raise type(error)(f"{roi_name or f'ROI {roi_number}'}: {error.message}", **error.fields) from error
    if not read.structures:
        raise EmptyStructure("The structure set defines no structure.")
    rois, unknown = [], []
    for number, structure in enumerate(read.structures, start=1):
        try:
            name = table.lookup(structure.name)
        except UnknownStructure:
            unknown.append(structure.name)
            name = _foreign(structure.name, structure.code, structure.colour_rgb, structure.interpreted_type)
        rois.append(Roi(number, name, structure.region, structure.description, generation="SEMIAUTOMATIC"))
    refused = tuple((name, error.message) for _, name, error in read.refused)
    return Structures("rtstruct", tuple(rois), refused, tuple(unknown), remarks_on(read))


def _from_nifti(path: Path, grid: Grid, table: NameTable, labels: Mapping[int, str] | None) -> Structures:
    names = dict(labels) if labels else read_names(path)
    rois, unknown = [], []
    for number, (label, region) in enumerate(sorted(read_nifti(path, grid).items()), start=1):
        if label not in names:
            raise UnknownStructure(
                f"Label {label} of the NIfTI has no name; give one for each label, with --label {label}=NAME or in a "
                "JSON file beside it.",
                label=label,
                suggestions=[],
            )
        try:
            name = table.lookup(names[label])
        except UnknownStructure:
            unknown.append(names[label])
            name = _foreign(names[label])
        rois.append(Roi(number, name, region, generation="SEMIAUTOMATIC"))
    if not rois:
        raise SegmentationRefused("The NIfTI holds no label above 0; there is nothing to convert.")
    return Structures("nifti", tuple(rois), (), tuple(unknown), remarks_on_empty_planes(rois))


def _foreign(
    name: str, code: Code | None = None, colour_rgb: tuple[int, int, int] | None = None, interpreted_type: str = ""
) -> StructureName:
    """A name that the table has not, with what its maker said of it."""
    return StructureName(
        tg263=name,
        zh=name,
        en=name,
        category=ANATOMICAL_STRUCTURE,
        type=code or ANATOMICAL_STRUCTURE,
        modifier=None,
        fma="",
        colour_rgb=colour_rgb or FOREIGN_COLOUR,
        interpreted_type=interpreted_type or "ORGAN",
    )


def _is_known(roi: Roi, table: NameTable) -> bool:
    try:
        return table.lookup(roi.name.tg263) == roi.name
    except UnknownStructure:
        return False


def chosen(rois: Sequence[Roi], names: Sequence[str]) -> tuple[Roi, ...]:
    """The structures of these names, numbered anew; all of them where no name is given.

    Raises
    ------
    UnknownStructure
        None of the structures has a name; the error lists those there are.
    """
    if not names:
        return tuple(rois)
    found = []
    for number, name in enumerate(names, start=1):
        matching = [r for r in rois if r.name.tg263 == name]
        if not matching:
            there = ", ".join(sorted(r.name.tg263 for r in rois))
            raise UnknownStructure(f"No structure is named {name!r}; there are {there}.", suggestions=[])
        roi = matching[0]
        found.append(Roi(number, roi.name, roi.region, roi.description, roi.algorithm, roi.generation))
    return tuple(found)
