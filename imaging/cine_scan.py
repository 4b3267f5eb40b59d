"""Which of the files that are no stack are cines: for those who can work on each phase by itself, beside the stacks.

A series of one position is no volume, and `imaging.series.scan` refuses it. Here those are found that are told apart by
a time of the heart's cycle. A series of several positions and phases stays what it was, and so do echoes, diffusion
weights and contrast phases of one plane.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from imaging.attributes import PARSER_FAULTS
from imaging.cines import Cine, CineSeries
from imaging.errors import FourDimensional, MissingAttribute, RadgateError
from imaging.frames import Plane, planes_of
from imaging.geometry import UNIFORM_TOLERANCE_MM, Grid
from imaging.headers import read_header
from imaging.pixels import PlanePixels, read_pixels
from imaging.quiet import quiet_pydicom
from imaging.series import Leftover, Scan, Stack
from imaging.stacking import stack_planes

__all__ = ["first_phase", "load_cine", "with_cines"]

CARDIAC_TIMES = frozenset({
    "TriggerTime",
    "NominalCardiacTriggerDelayTime",
    "NominalPercentageOfCardiacPhase",
    "TemporalPositionIdentifier",
    "TemporalPositionIndex",
})
"""Attributes that tell the phases of a cine apart."""


def with_cines(found: Scan) -> Scan:
    """The same files with the cines apart; every file is still in exactly one place."""
    leftovers: list[Leftover] = []
    cines: list[CineSeries] = []
    with quiet_pydicom():
        for leftover in found.leftovers:
            cine = _cine_of(leftover)
            if cine is None:
                leftovers.append(leftover)
            else:
                cines.append(cine)
    cines.sort(key=lambda s: (s.study_instance_uid, s.series_instance_uid, s.id))
    return replace(found, leftovers=tuple(leftovers), cines=(*found.cines, *cines))


def first_phase(series: CineSeries) -> Stack:
    """The first phase as a stack of one plane."""
    one = slice(0, 1)
    return Stack(series.sources[one], series.files[one], series.headers[one], series.pixels[one], series.grid)


def load_cine(series: CineSeries) -> Cine:
    """The pixels of a cine after rescaling.

    Raises
    ------
    MissingAttribute
        An attribute that pixels need is absent.
    UndecodablePixels
        No decoder, or a damaged stream.
    TruncatedFile
        A file holds fewer pixels than its header says, or has changed since the scan.
    """
    planes = [
        PlanePixels(header, file, source.frame_number, location)
        for header, file, source, location in zip(
            series.headers, series.files, series.sources, series.pixels, strict=True
        )
    ]
    array, unit = read_pixels(planes, series.shape)
    return Cine(array, series.grid, series.sources, unit)


def _cine_of(leftover: Leftover) -> CineSeries | None:
    """The cine that a leftover's files are; None where they are none."""
    reason = leftover.reason
    keyword = str(reason.fields.get("keyword", ""))
    one_place = isinstance(reason, FourDimensional) and reason.fields.get("positions") == 1
    if not one_place or keyword not in CARDIAC_TIMES:
        return None
    try:
        planes = [plane for file in leftover.files for plane in planes_of(read_header(file))]
        times = [_time(plane, keyword) for plane in planes]
        order = np.argsort(times, kind="stable")
        ordered = [planes[n] for n in order]
        grid, _ = stack_planes(ordered[:1])
    except RadgateError:
        return None  # changed since the scan, or without a time that orders it: it stays what it was
    shifted = max(float(np.linalg.norm(p.position_lps - ordered[0].position_lps)) for p in ordered)
    if shifted > UNIFORM_TOLERANCE_MM or float(np.diff(np.array(times)[order]).min()) <= 0:
        return None
    return _series(ordered, grid)


def _time(plane: Plane, keyword: str) -> float:
    """The time of a phase, whether it is written as text or as a number.

    Raises
    ------
    MissingAttribute
        It is absent or no number.
    """
    try:
        time = float(plane.header.get(keyword))
    except PARSER_FAULTS:
        time = math.nan
    if not math.isfinite(time):
        raise MissingAttribute(f"{keyword} is absent or no number; export the series again with it.", keyword=keyword)
    return time


def _series(planes: Sequence[Plane], grid: Grid) -> CineSeries:
    return CineSeries(
        sources=tuple(p.source for p in planes),
        files=tuple(p.file for p in planes),
        headers=tuple(p.header for p in planes),
        pixels=tuple(p.pixels for p in planes),
        grid=grid,
    )
