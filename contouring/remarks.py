"""What a person should know about structures that were read: moved, cut, skipped or empty, one sentence each."""

from collections.abc import Iterator, Sequence

import numpy as np

from contouring.planes import gaps_between
from contouring.roi import Roi
from contouring.rtstruct_result import ReadReport, ReadRoi, ReadRtstruct, RoiReadReport

__all__ = ["remarks_on", "remarks_on_empty_planes"]

TOLD_SHARE = 5e-4
"""Least share of the area outside the image that is worth a word."""


def remarks_on(read: ReadRtstruct) -> tuple[tuple[str, str], ...]:
    """Remarks as (name of the structure, sentence); the name is "" for what concerns the whole structure set.

    Structures that were refused are not among them: they have an error each.
    """
    return (
        *(("", text) for text in _on_set(read.report)),
        *((roi.name, text) for roi in read.structures for text in _on_structure(roi)),
    )


def remarks_on_empty_planes(rois: Sequence[Roi]) -> tuple[tuple[str, str], ...]:
    """Remarks on structures read from voxels whose first and last slice have empty ones between."""
    remarks = []
    for roi in rois:
        marked = np.flatnonzero(roi.region.crop.any(axis=(1, 2))) + roi.region.start[0]
        gaps = gaps_between(marked.tolist())
        if gaps:
            count, where = _counted(gaps)
            remarks.append((roi.name.tg263, f"{count} slices without a voxel lie between others: {where}"))
    return tuple(remarks)


def _counted(gaps: Sequence[tuple[int, int]]) -> tuple[int, str]:
    """How many slices the gaps hold, and which, counted from 1."""
    where = ", ".join(str(f + 1) if f == last else f"{f + 1} to {last + 1}" for f, last in gaps)
    return sum(last - first + 1 for first, last in gaps), where


def _on_set(report: ReadReport) -> Iterator[str]:
    if report.names_another_series:
        yield "the structure set names another image series; contours were placed by their positions alone"
    if report.strays:
        yield f"{len(report.strays)} ROI numbers have contours but no name and were left out"


def _on_structure(roi: ReadRoi) -> Iterator[str]:
    report = roi.report
    if not report.contours:
        yield "it has no contours and stays empty"
    elif not roi.region.voxel_count:
        yield "its contours enclose no voxel centre, so it stays empty"
    yield from _on_contours(report)
    if report.cut_share >= TOLD_SHARE:
        yield f"{report.cut_share:.1%} of its area lies outside the image and was cut"
    empty = [(f, e) for f, e in report.gaps if not set(report.filled_planes).issuperset(range(f, e + 1))]
    if empty:
        yield f"{_counted(empty)[0]} slices without a contour between others were left empty: {_counted(empty)[1]}"
    if report.filled_planes:
        yield f"{len(report.filled_planes)} slices were interpolated between contours, as asked"
    if report.through_voxel_centres:
        yield "its contours run through pixel centres: the mask may be half a pixel small"


def _on_contours(report: RoiReadReport) -> Iterator[str]:
    counted = (
        (report.not_area, "points, open lines or contours of fewer than three points were skipped"),
        (report.outside, "contours lie outside the image and were skipped"),
        (report.moved, f"contours were moved to their slice, as asked, by up to {report.largest_shift_mm:.2f} mm"),
        (
            report.resampled,
            f"contours lie between slices, {report.largest_shift_mm:.2f} mm from the nearest at most; shapes were "
            "interpolated from them onto the slices, as asked",
        ),
        (report.displaced, "contours were left out because a nearer one has their slice"),
        (report.duplicates, "exact copies of contours were dropped"),
        (report.united, "crossing contours were united"),
        (report.miscounted, "contours state a wrong number of points; their data count"),
        (report.wrong_references, "contours name another image than the one they lie on; their position counts"),
    )
    for count, text in counted:
        if count:
            yield f"{count} {text}"
    if report.snapped:
        yield f"{report.snapped} contours lie off their slice by rounding, at most {report.largest_shift_mm:.3f} mm"
