"""RTDOSE to a dose volume: the planes where the object says they are, in gray, or a typed refusal."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import RTDoseStorage

from contouring.dose.errors import (
    DoseGridRefused,
    ImpossibleDose,
    MissingDoseScaling,
    NotADose,
    RelativeDose,
    UndecodableDose,
)
from contouring.dose.volume import DoseFacts, DoseVolume
from imaging.attributes import PARSER_FAULTS, numbers, text, whole
from imaging.errors import MissingAttribute, TruncatedFile
from imaging.geometry import Grid
from imaging.headers import read_header, read_whole
from imaging.quiet import quiet_pydicom

__all__ = ["HIGH_GY", "read_rtdose", "volume_above_mm3"]

ABSOLUTE_MM = 0.01
"""GridFrameOffsetVector holds absolute z where its first value is that of ImagePositionPatient within this."""

AXIAL_COSINE = 1 - 1e-4
"""Absolute offsets are z coordinates, which place planes only where the normal is z (PS3.3, C.8.8.3.2)."""

HIGH_GY = 1000.0
HIGH_EFFECTIVE_GY = 3000.0
"""Doses that are reached only beside the sources of brachytherapy; an effective dose of few large fractions is several
times the physical."""

MOST_HIGH_MM3 = 2000.0
"""What sources can have about them: 100 seeds of 10 Gy at 10 mm have 1000 Gy within 1 mm, together 0.4 cm3. A wrong
scaling fills more: 10 Gy, written in cGy as if it were Gy, in all but the smallest stereotactic fields."""

LARGEST_GY = 50_000.0
"""No voxel has this: on the surface of a source (0.4 mm) that gives 20 Gy at 20 mm it is 50,000 Gy."""

PIXEL_KEYWORDS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


def read_rtdose(source: Dataset | Path, *, any_size: bool = False) -> DoseVolume:
    """The dose of an RTDOSE in gray, on its own grid.

    Planes may be unevenly spaced, in descending order and oblique; they are put in ascending order along their normal.

    Parameters
    ----------
    source
        Data set or file.
    any_size
        Takes doses that no treatment gives: for those that radgate has just computed.

    Raises
    ------
    NotDicom
        The file is no DICOM file.
    TruncatedFile
        The file ends before its data set or its pixels do.
    NotADose
        The object is of another kind, or has no voxels (a DVH or points alone).
    RelativeDose
        DoseUnits is not GY.
    MissingDoseScaling
        DoseGridScaling is absent or not positive.
    ImpossibleDose
        More than 2 cm3 hold more than 1000 Gy (3000 Gy where it is an effective dose), or a voxel more than 50,000 Gy.
    DoseGridRefused
        The planes cannot be placed: GridFrameOffsetVector is absent, too short, neither relative nor absolute, or
        absolute on oblique planes; or there is one plane only.
    MixedOrientation
        The orientation cosines are no right-angled unit vectors.
    DuplicatePlanes
        Two planes lie at one position.
    MissingAttribute
        Position, orientation, spacing, size or frame of reference is absent.
    UndecodableDose
        The pixels are damaged.
    """
    dataset = source if isinstance(source, Dataset) else _read(source)
    with quiet_pydicom():
        _check_kind(dataset)
        scaling = _scaling(dataset)
        grid, order = _grid(dataset)
        stored = _stored(dataset, (len(order), grid.rows, grid.columns))
    if not (order == np.arange(len(order))).all():
        stored = stored[order]
    if not any_size:
        _check_size(dataset, stored, grid, scaling)
    dose = np.empty(stored.shape, dtype=np.float32)
    for plane, values in zip(dose, stored, strict=True):
        # In double precision, plane by plane, which stays in the processor's cache.
        plane[:] = values * scaling
    return DoseVolume(dose, grid, _facts(dataset))


def _read(file: Path) -> Dataset:
    """The data set of a file.

    Raises
    ------
    NotDicom
        The file is no DICOM file.
    TruncatedFile
        The file ends before its pixels do.
    NotADose
        It has no pixels at all.
    """
    try:
        read_header(file)
    except TruncatedFile:
        if not _lacks_pixels(file):
            raise
        raise NotADose(
            "The RT dose has no grid of voxels: it holds a DVH or points alone, or was cut before its pixels; export "
            "the dose as a volume."
        ) from None
    return read_whole(file)


def _lacks_pixels(file: Path) -> bool:
    """Whether an RT dose that ends early can be read to its end, and the pixels are just not there."""
    try:
        dataset = read_whole(file)
    except (*PARSER_FAULTS, OSError):
        return False
    return text(dataset, "SOPClassUID") == RTDoseStorage and not any(k in dataset for k in PIXEL_KEYWORDS)


def _check_kind(dataset: Dataset) -> None:
    """Refuse what is no volume of absolute dose.

    Raises
    ------
    NotADose
        The object is of another kind, or has no voxels.
    RelativeDose
        DoseUnits is not GY.
    """
    if text(dataset, "SOPClassUID") != RTDoseStorage:
        raise NotADose("The object is no RT dose; give the RTDOSE file.")
    if not any(keyword in dataset for keyword in PIXEL_KEYWORDS):
        raise NotADose("The RT dose has no grid of voxels (a DVH or points alone); export the dose as a volume.")
    units = text(dataset, "DoseUnits").strip().upper()
    if units != "GY":
        raise RelativeDose(
            f"The dose is given in {'relative units' if units == 'RELATIVE' else 'unstated units'}, not in Gy; "
            "export it as absolute dose.",
            units=units if units in {"RELATIVE", ""} else "other",
        )


def _scaling(dataset: Dataset) -> float:
    """DoseGridScaling.

    Raises
    ------
    MissingDoseScaling
        It is absent or not positive.
    """
    try:
        (scaling,) = numbers(dataset, "DoseGridScaling", 1)
    except MissingAttribute:
        scaling = 0.0
    if scaling <= 0:
        raise MissingDoseScaling(
            "DoseGridScaling is absent or not positive, so the stored values cannot be turned into Gy; "
            "export the dose again."
        )
    return scaling


def _grid(dataset: Dataset) -> tuple[Grid, NDArray[np.intp]]:
    """The grid with ascending planes, and the frame that each of its planes is stored in.

    Raises
    ------
    DoseGridRefused
        The planes cannot be placed, or there are too few.
    MissingAttribute
        Position, orientation, spacing or size is absent.
    """
    frame = text(dataset, "FrameOfReferenceUID")
    if not frame:
        raise MissingAttribute(
            "The dose names no frame of reference, so nothing says which image it lies on; export it again with its "
            "FrameOfReferenceUID.",
            keyword="FrameOfReferenceUID",
        )
    frames = whole(dataset, "NumberOfFrames", 1)
    if frames < 2:
        raise DoseGridRefused("The dose has one plane only; export a volume of at least two planes.", frames=frames)
    position = np.array(numbers(dataset, "ImagePositionPatient", 3))
    row, column = np.array(numbers(dataset, "ImageOrientationPatient", 6)).reshape(2, 3)
    spacing = numbers(dataset, "PixelSpacing", 2)
    if min(spacing) <= 0:
        raise MissingAttribute("PixelSpacing is not positive; export the dose again.", keyword="PixelSpacing")
    rows, columns = whole(dataset, "Rows"), whole(dataset, "Columns")
    if min(rows, columns) < 2:
        raise DoseGridRefused("The dose has fewer than two rows or columns; export a volume.", shape=[rows, columns])
    across = np.cross(row, column)
    normal = across / (np.linalg.norm(across) or 1.0)
    offsets = _offsets(dataset, frames, float(position[2]), float(normal[2]))
    order = np.argsort(offsets, kind="stable")
    grid = Grid(
        positions_lps=position + offsets[order, None] * normal,
        row_direction=row,
        column_direction=column,
        pixel_spacing_mm=(spacing[0], spacing[1]),
        rows=rows,
        columns=columns,
        frame_of_reference_uid=frame,
    )
    return grid, order


def _offsets(dataset: Dataset, frames: int, position_z: float, normal_z: float) -> NDArray[np.float64]:
    """Offset of each frame along the normal.

    Raises
    ------
    DoseGridRefused
        The vector is absent, too short, neither relative nor absolute, or absolute on oblique planes.
    """
    try:
        vector = np.array(numbers(dataset, "GridFrameOffsetVector", frames))
    except MissingAttribute:
        raise DoseGridRefused(
            f"GridFrameOffsetVector is absent or does not hold {frames} numbers, so the planes have no position; "
            "export the dose again.",
            frames=frames,
        ) from None
    if vector[0] == 0:
        return vector
    if abs(vector[0] - position_z) > ABSOLUTE_MM:
        raise DoseGridRefused(
            f"GridFrameOffsetVector begins with {vector[0]:.3f}: neither 0 (relative) nor the z of "
            f"ImagePositionPatient, {position_z:.3f} (absolute); export the dose again.",
            first=float(vector[0]),
            position_z_mm=position_z,
        )
    if abs(normal_z) < AXIAL_COSINE:
        raise DoseGridRefused(
            "GridFrameOffsetVector holds absolute z positions, but the planes are not axial; export the dose with "
            "relative offsets.",
            normal_z=normal_z,
        )
    return (vector - vector[0]) * np.sign(normal_z)


def _stored(dataset: Dataset, shape: tuple[int, int, int]) -> NDArray[Any]:
    """The stored values.

    Raises
    ------
    UndecodableDose
        They cannot be decoded, are not as many as stated, or are negative where they must not be.
    """
    try:
        stored = np.asarray(dataset.pixel_array)
    except (*PARSER_FAULTS, RuntimeError):
        raise UndecodableDose("The pixels of the dose cannot be decoded; export it uncompressed.") from None
    if stored.shape != shape or stored.dtype.kind not in "ui":
        raise UndecodableDose(
            "The pixels of the dose are no whole numbers of the stated size; export it again.", shape=list(stored.shape)
        )
    if stored.dtype.kind == "i" and text(dataset, "DoseType") != "ERROR" and int(stored.min()) < 0:
        raise UndecodableDose("The dose holds negative values and is no difference of doses; export it again.")
    return stored


def volume_above_mm3(dose: DoseVolume, limit_gy: float) -> float:
    """Volume of the voxels with more than a dose, of either sign."""
    counts = np.array([np.count_nonzero(np.abs(plane) > limit_gy) for plane in dose.dose_gy])
    return _volume_mm3(dose.grid, counts)


def _volume_mm3(grid: Grid, counts: NDArray[Any]) -> float:
    thickness = np.abs(np.gradient(grid.plane_positions_mm))
    return float((counts * thickness).sum() * grid.pixel_spacing_mm[0] * grid.pixel_spacing_mm[1])


def _check_size(dataset: Dataset, stored: NDArray[Any], grid: Grid, scaling: float) -> None:
    """Refuse doses that no treatment gives: of a wrong scaling, not those beside the sources of brachytherapy.

    Raises
    ------
    ImpossibleDose
        A voxel, or more of the volume than lies beside sources, has more than treatments give.
    """
    is_effective = text(dataset, "DoseType").strip().upper() == "EFFECTIVE"
    limit = HIGH_EFFECTIVE_GY if is_effective else HIGH_GY
    largest = max(abs(int(stored.max())), abs(int(stored.min()))) * scaling
    if largest <= limit:
        return
    high = _volume_mm3(grid, np.array([np.count_nonzero(np.abs(plane * scaling) > limit) for plane in stored]))
    if not largest <= LARGEST_GY or high > MOST_HIGH_MM3:
        raise ImpossibleDose(
            f"The dose reaches {largest:.3g} Gy and is above {limit:g} Gy in {high / 1000:.3g} cc, where brachytherapy "
            f"stays below {LARGEST_GY:g} Gy and {MOST_HIGH_MM3 / 1000:g} cc; its DoseGridScaling is wrong and the dose "
            "has to be exported again, or it is one of radioembolisation, which cannot be told from that and is not "
            "read.",
            largest_gy=largest,
            high_mm3=high,
        )


def _facts(dataset: Dataset) -> DoseFacts:
    plans = list(dataset.get("ReferencedRTPlanSequence") or ())
    groups = [g for p in plans for g in p.get("ReferencedFractionGroupSequence") or ()]
    header = Dataset({e.tag: e for e in dataset.values() if e.tag.group != 0x7FE0})
    return DoseFacts(
        sop_instance_uid=text(dataset, "SOPInstanceUID"),
        dose_type=text(dataset, "DoseType").strip().upper(),
        summation_type=text(dataset, "DoseSummationType").strip().upper(),
        plan_uids=tuple(u for u in (text(p, "ReferencedSOPInstanceUID") for p in plans) if u),
        fraction_groups=tuple(whole(g, "ReferencedFractionGroupNumber") for g in groups),
        header=header,
    )
