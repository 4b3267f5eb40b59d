"""Structures drawn on so few voxels that their volume with a margin is uncertain, however it is made."""

import numpy as np

from imaging.volume import Region

__all__ = ["drawn_on_few_voxels"]

FEWEST_PX = 14
"""Spheres this wide keep 1 % with a margin at every place; half as wide they miss it by up to 6 % (bench margins)."""

FEWEST_SLICES = 3


def drawn_on_few_voxels(region: Region) -> str:
    """The sentence that tells of it; empty where a structure is drawn finely enough.

    As width counts the diameter of a disc with the area of the largest slice.
    """
    if not region.voxel_count:
        return ""
    areas_px = np.count_nonzero(region.crop, axis=(1, 2))
    width_px, slices = float(2 * np.sqrt(areas_px.max() / np.pi)), int(np.count_nonzero(areas_px))
    if width_px >= FEWEST_PX and slices >= FEWEST_SLICES:
        return ""
    drawn = f"{slices} slices" if slices < FEWEST_SLICES else f"about {width_px:.0f} pixels in width"
    return f"it is made from only {drawn}, so that its volume may be off by some per cent; look at it"
