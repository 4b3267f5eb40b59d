"""Whether a structure set belongs to an image series: frame of reference, series, instances, and where it lies."""

from collections.abc import Iterator, Sequence

import numpy as np

from contouring.contours import Contours
from contouring.profiles.finding import Finding, broken
from contouring.profiles.load import Profile
from contouring.rtstruct_parse import ParsedStructureSet
from imaging.geometry import Grid
from imaging.volume import SourceInstance

__all__ = ["check_image_match"]

BEYOND_PX = 0.25
"""Contours run along the outer edge of the outermost pixels; smooth ones of a body that the image cuts swing out by an
eighth of a pixel where they round a corner."""


def check_image_match(
    parsed: ParsedStructureSet, rules: Profile, grid: Grid, images: Sequence[SourceInstance]
) -> Iterator[Finding]:
    """What says that the structures were drawn on another image.

    Parameters
    ----------
    parsed, rules
        The structure set and the profile.
    grid
        The image's planes.
    images
        The instance behind each plane; empty where only the grid is known.
    """
    series = {i.series_instance_uid for i in images}
    if series and parsed.referenced_series_uids and not series & set(parsed.referenced_series_uids):
        yield Finding(
            "(3006,0014)",
            "another series",
            "the structure set names the series of the image",
            "give the series that it was drawn on",
            True,
        )
    instances = {i.sop_instance_uid for i in images}
    for roi in parsed.rois:
        theirs, ours = roi.frame_of_reference_uid, grid.frame_of_reference_uid
        if rules.value("same_frame_of_reference") and theirs and ours and theirs != ours:
            yield broken(
                rules,
                "same_frame_of_reference",
                "(3006,0024)",
                f"ROI {roi.number}: another frame of reference",
                "give the series that it was drawn on, or register the two",
            )
        if roi.fault is not None:
            continue
        strange = sum(bool(uid) and uid not in instances for uid in roi.contours.referenced_uids) if instances else 0
        if strange:
            yield Finding(
                "(0008,1155)",
                f"ROI {roi.number}: {strange} contours",
                "contours name images of the series",
                "name the image of each contour's plane",
                True,
            )
        outside = _beyond(roi.contours, grid)
        if outside:
            yield Finding(
                "(3006,0050)",
                f"ROI {roi.number}: {outside} of {len(roi.contours)} contours",
                "contours lie within the image",
                "give the series that it was drawn on, or cut the contours at the image's edge",
                False,
            )


def _beyond(contours: Contours, grid: Grid) -> int:
    """How many contours reach beyond the first or last plane, row or column."""
    if not len(contours.points_lps):
        return 0
    positions = grid.plane_positions_mm
    along = contours.points_lps @ grid.normal
    steps = grid.slice_steps_mm if len(positions) > 1 else np.array([grid.slice_thickness_mm or 1.0])
    room = BEYOND_PX + 0.5
    beyond = (along < positions[0] - room * steps[0]) | (along > positions[-1] + room * steps[-1])
    # The nearest plane of each point: tilted stacks shift from plane to plane.
    plane = np.searchsorted((positions[1:] + positions[:-1]) / 2, along).astype(np.intp)
    uw = grid.columns_rows(plane, contours.points_lps)
    beyond |= (uw < -room).any(axis=1) | (uw > np.array([grid.columns, grid.rows]) - 1 + room).any(axis=1)
    filled = contours.counts > 0
    return int(np.add.reduceat(beyond, contours.starts[:-1][filled]).astype(bool).sum())
