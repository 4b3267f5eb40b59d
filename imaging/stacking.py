"""From the planes of one series to one regular stack, or the typed reason why they are none.

Order and spacing come from positions alone; InstanceNumber, SliceLocation and file names are never looked at.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from imaging.attributes import numbers, text
from imaging.errors import (
    DuplicatePlanes,
    FourDimensional,
    GeometryRefused,
    MissingAttribute,
    MixedFrameOfReference,
    MixedGrid,
    MixedOrientation,
)
from imaging.frames import Plane
from imaging.geometry import DUPLICATE_TOLERANCE_MM, Grid

__all__ = ["stack_planes"]

ORIENTATION_TOLERANCE = 1e-4
"""Largest difference of one cosine between two planes of a stack (specification of contouring, section 3)."""

SPACING_TOLERANCE_MM = 1e-4
"""Largest difference of a pixel spacing between two planes: below it, 512 pixels end within 0.05 mm."""

DISTINGUISHING = (
    "EchoTime",
    "EffectiveEchoTime",
    "EchoNumbers",
    "InversionTime",
    "FlipAngle",
    "DiffusionBValue",
    "DiffusionGradientOrientation",
    "TemporalPositionIdentifier",
    "TemporalPositionIndex",
    "NominalPercentageOfCardiacPhase",
    "NominalCardiacTriggerDelayTime",
    "TriggerTime",
    "NominalPercentageOfRespiratoryPhase",
    "ContrastBolusAgent",
    "KVP",
    "AcquisitionNumber",
    "ImageType",
    "FrameType",
    "ComplexImageComponent",
    "ConvolutionKernel",
    "FrameReferenceTime",
    "AcquisitionTime",
    "FrameAcquisitionDateTime",
    "ContentTime",
)
"""What may tell instances at one position apart, the most telling first."""


def stack_planes(planes: Sequence[Plane]) -> tuple[Grid, tuple[Plane, ...]]:
    """The grid of the planes of one series, and the planes in its order (ascending along the normal).

    Uneven distances and gantry tilt are kept, for the grid can say them.

    Raises
    ------
    GeometryRefused
        One of its kinds: MixedFrameOfReference, MixedGrid, MixedOrientation, FourDimensional, DuplicatePlanes.
    """
    _check_equal_grids(planes)
    orientation = _common_orientation(planes)
    normal = np.cross(orientation[:3], orientation[3:])
    positions = np.array([p.position_lps for p in planes])
    along = positions @ (normal / max(float(np.linalg.norm(normal)), 1e-6))
    order = np.argsort(along, kind="stable")
    _check_duplicates([planes[n] for n in order], along[order])
    ordered = tuple(planes[n] for n in order)
    first = ordered[0]
    grid = Grid(
        positions_lps=positions[order],
        row_direction=first.orientation[:3],
        column_direction=first.orientation[3:],
        pixel_spacing_mm=first.pixel_spacing_mm,
        rows=first.rows,
        columns=first.columns,
        frame_of_reference_uid=first.frame_of_reference_uid,
        slice_thickness_mm=_slice_thickness_mm(first),
    )
    return grid, ordered


def _slice_thickness_mm(plane: Plane) -> float | None:
    try:
        thickness = numbers(plane.header, "SliceThickness", 1)[0]
    except MissingAttribute:
        return None
    return thickness if thickness > 0 else None


def _check_equal_grids(planes: Sequence[Plane]) -> None:
    frames = {p.frame_of_reference_uid for p in planes}
    if len(frames) > 1:
        raise MixedFrameOfReference(
            f"The series holds slices of {len(frames)} frames of reference; split it by FrameOfReferenceUID.",
            frames_of_reference=sorted(frames),
        )
    sizes = Counter((p.rows, p.columns) for p in planes)
    if len(sizes) > 1:
        said = " and ".join(f"{rows} x {columns}" for rows, columns in sorted(sizes))
        raise MixedGrid(
            f"The series mixes matrices of {said} (rows x columns); split it by matrix size.", sizes=sorted(sizes)
        )
    spacings = np.array([p.pixel_spacing_mm for p in planes])
    if float(np.ptp(spacings, axis=0).max()) > SPACING_TOLERANCE_MM:
        low, high = spacings.min(axis=0), spacings.max(axis=0)
        raise MixedGrid(
            f"The pixel spacing changes within the series, from {low[0]:.4f} x {low[1]:.4f} to "
            f"{high[0]:.4f} x {high[1]:.4f} mm; split it by PixelSpacing.",
            lowest_mm=low.tolist(),
            highest_mm=high.tolist(),
        )


def _common_orientation(planes: Sequence[Plane]) -> NDArray[np.float64]:
    orientations = np.array([p.orientation for p in planes])
    differences = np.ptp(orientations, axis=0)
    if float(differences.max()) > ORIENTATION_TOLERANCE:
        raise MixedOrientation(
            f"The orientation differs between slices, by {differences.max():.4f} in a cosine; split the series by "
            "ImageOrientationPatient.",
            largest_difference=float(differences.max()),
        )
    return np.asarray(orientations[0])


def _check_duplicates(planes: Sequence[Plane], along: NDArray[np.float64]) -> None:
    """Refuse planes at one position, and say what tells them apart when it does so throughout."""
    groups: list[list[int]] = []
    for n, position in enumerate(along):
        if groups and position - along[groups[-1][-1]] < DUPLICATE_TOLERANCE_MM:
            groups[-1].append(n)
        else:
            groups.append([n])
    shared = [g for g in groups if len(g) > 1]
    if not shared:
        return
    raise _four_dimensional(planes, groups, shared) or DuplicatePlanes(
        f"{len(shared)} of {len(groups)} positions hold more than one instance, the first at {along[shared[0][0]]:.3f} "
        "mm along the normal; select one instance per position.",
        positions_mm=[float(along[g[0]]) for g in shared[:20]],
        sop_instance_uids=[planes[n].source.sop_instance_uid for n in shared[0]],
    )


def _four_dimensional(
    planes: Sequence[Plane], groups: list[list[int]], shared: list[list[int]]
) -> GeometryRefused | None:
    if 2 * len(shared) < len(groups):
        return None
    for keyword in DISTINGUISHING:
        values = [text(p.header, keyword) for p in planes]
        if all(len({values[n] for n in g}) == len(g) for g in shared):
            kinds = sorted(set(values))
            return FourDimensional(
                f"The series holds {len(planes)} instances at {len(groups)} positions, which differ in {keyword} "
                f"({len(kinds)} values); split it by {keyword} and send one part.",
                keyword=keyword,
                parts=len(kinds),
                instances=len(planes),
                positions=len(groups),
            )
    return None
