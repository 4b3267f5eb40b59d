"""A grid sliced along another of its axes, for segmentations whose frames are sagittal or coronal cuts of the image."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contouring.seg_geometry import COSINE_TOLERANCE, VOXEL_TOLERANCE
from imaging.geometry import Grid
from imaging.volume import Region

__all__ = ["Resliced", "resliced_along"]


@dataclass(frozen=True, eq=False)
class Resliced:
    """The same voxels in another order of their axes.

    Parameters
    ----------
    grid
        The grid whose planes follow the other axis.
    order
        Which axis of the image each axis of `grid` is: planes, rows, columns.
    """

    grid: Grid
    order: tuple[int, int, int]

    def region_of_image(self, region: Region) -> Region:
        """A region of `grid` as one of the image."""
        back = (self.order.index(0), self.order.index(1), self.order.index(2))
        return Region(
            np.ascontiguousarray(region.crop.transpose(back)),
            (region.start[back[0]], region.start[back[1]], region.start[back[2]]),
            (region.shape[back[0]], region.shape[back[1]], region.shape[back[2]]),
            None if region.probability is None else np.ascontiguousarray(region.probability.transpose(back)),
        )


def resliced_along(normal: NDArray[np.float64], grid: Grid) -> Resliced | None:
    """The image's grid sliced along the axis of its rows or columns that the normal of a frame follows.

    None where the frames follow none of the two, or where the image has no such slices: its planes lie unevenly, are
    shifted against each other, or there is only one. The frames are then held against the image as it is.
    """
    planes, rows, columns = grid.shape
    if planes < 2 or not grid.is_even or grid.shear_mm > VOXEL_TOLERANCE * min(grid.pixel_spacing_mm):
        return None
    dy, dx = grid.pixel_spacing_mm
    across, down, through = grid.row_direction, grid.column_direction, grid.normal
    step = grid.slice_spacing_mm
    # Directions of increasing column and row are chosen so that the new planes ascend along their normal.
    if abs(abs(float(normal @ across)) - 1) <= COSINE_TOLERANCE:
        order, along, spacing = (2, 0, 1), across * dx, (step, dy)
        row_direction, column_direction = down, through
    elif abs(abs(float(normal @ down)) - 1) <= COSINE_TOLERANCE:
        order, along, spacing = (1, 2, 0), down * dy, (dx, step)
        row_direction, column_direction = through, across
    else:
        return None
    count = (planes, rows, columns)
    return Resliced(
        Grid(
            positions_lps=grid.positions_lps[0] + np.arange(count[order[0]])[:, None] * along,
            row_direction=row_direction,
            column_direction=column_direction,
            pixel_spacing_mm=spacing,
            rows=count[order[1]],
            columns=count[order[2]],
            frame_of_reference_uid=grid.frame_of_reference_uid,
            slice_thickness_mm=None,
        ),
        order,
    )
