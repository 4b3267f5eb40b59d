"""Two sets of structures side by side: a table of metrics, and a picture of where two contours differ most."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from contouring.metrics import Agreement, agreement
from contouring.overlap import joint_crops
from contouring.roi import Roi
from imaging.geometry import Grid
from imaging.volume import Region, Volume

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Comparison", "compare_structures", "draw_difference", "plane_of_largest_difference"]

REFERENCE_COLOUR, OTHER_COLOUR = (60, 230, 90), (255, 70, 200)
LINE_WIDTHS_PX = (6, 2)
PICTURE_PX = 640
RIM_MM = 15.0
CAPTION_PX = 40


@dataclass(frozen=True)
class Comparison:
    """Metrics by name of the structures that both sets have, and the names that only one has."""

    agreements: dict[str, Agreement]
    only_in_reference: tuple[str, ...]
    only_in_other: tuple[str, ...]


def compare_structures(reference: Sequence[Roi], other: Sequence[Roi], grid: Grid) -> Comparison:
    """Metrics of the structures of equal name.

    Raises
    ------
    GridMismatch
        A structure lies on another grid.
    MissingSlices
        Planes are not evenly spaced, so that surfaces have no area.
    GantryTilt
        The planes are shifted against each other.
    """
    theirs = {r.name.tg263: r.region for r in other}
    ours = {r.name.tg263: r.region for r in reference}
    return Comparison(
        agreements={name: agreement(region, theirs[name], grid) for name, region in ours.items() if name in theirs},
        only_in_reference=tuple(n for n in ours if n not in theirs),
        only_in_other=tuple(n for n in theirs if n not in ours),
    )


def plane_of_largest_difference(reference: Region, other: Region) -> int:
    """The plane on which the most pixels belong to one of the two only; the middle one where they are equal.

    Raises
    ------
    GridMismatch
        The regions lie on different grids.
    """
    a, b, start = joint_crops(reference, other)
    if not a.size:
        return reference.shape[0] // 2
    counts = np.count_nonzero(a != b, axis=(1, 2))
    return start[0] + (int(counts.argmax()) if counts.any() else len(counts) // 2)


def draw_difference(
    volume: Volume, reference: Region, other: Region, *, title: str = "", window: tuple[float, float] | None = None
) -> "Image":
    """Both contours over the slice on which they differ most, around the structure, with square millimetres.

    Parameters
    ----------
    volume
        The image.
    reference, other
        Drawn green and broad, and magenta and thin upon it, along the sides of the pixels.
    title
        Goes into the caption; ASCII.
    window
        (lowest, highest) value shown; the 1st to the 99th percentile of the slice where left out.

    Raises
    ------
    GridMismatch
        The regions lie on different grids.
    """
    from PIL import Image, ImageDraw

    plane = plane_of_largest_difference(reference, other)
    masks = [_plane(region, plane) for region in (reference, other)]
    box = _box(masks[0] | masks[1], volume.spacing_mm[1:])
    dy, dx = volume.spacing_mm[1:]
    size_mm = ((box[0].stop - box[0].start) * dy, (box[1].stop - box[1].start) * dx)
    px_per_mm = PICTURE_PX / max(size_mm)
    size = (max(1, round(size_mm[1] * px_per_mm)), max(1, round(size_mm[0] * px_per_mm)))
    picture = Image.fromarray(_grey(volume.array[plane][box], window)).resize(size, Image.Resampling.NEAREST)
    canvas = Image.new("RGB", (size[0], size[1] + CAPTION_PX), (0, 0, 0))
    canvas.paste(picture.convert("RGB"), (0, 0))
    draw = ImageDraw.Draw(canvas)
    scale = np.array([dx * px_per_mm, dy * px_per_mm])
    # The reference is drawn broad and the other thin upon it, so that both are seen where they coincide.
    for mask, colour, width in zip(masks, (REFERENCE_COLOUR, OTHER_COLOUR), LINE_WIDTHS_PX, strict=True):
        for first, last in _sides(mask[box]) * scale:
            draw.line([*first, *last], fill=colour, width=width)
    differing = int(np.count_nonzero(masks[0] != masks[1]))
    caption = f"{title}  slice {plane + 1} of {len(volume.array)}: {differing * dx * dy / 100:.2f} cm2 differ"
    draw.text((6, size[1] + 4), caption.strip(), fill=(230, 230, 230))
    draw.text((6, size[1] + 20), "reference", fill=REFERENCE_COLOUR)
    draw.text((90, size[1] + 20), "other", fill=OTHER_COLOUR)
    return canvas


def _plane(region: Region, plane: int) -> NDArray[np.bool_]:
    mask = np.zeros(region.shape[1:], dtype=np.bool_)
    k = plane - region.start[0]
    if 0 <= k < len(region.crop):
        mask[region.box[1:]] = region.crop[k]
    return mask


def _box(mask: NDArray[np.bool_], pixel_spacing_mm: tuple[float, ...]) -> tuple[slice, slice]:
    """Rows and columns around a mask, with a rim; the whole plane where it is empty."""
    if not mask.any():
        return slice(0, mask.shape[0]), slice(0, mask.shape[1])
    sides = []
    for axis, spacing in enumerate(pixel_spacing_mm):
        hits = np.flatnonzero(mask.any(axis=1 - axis))
        rim = int(np.ceil(RIM_MM / spacing))
        sides.append(slice(max(0, int(hits[0]) - rim), min(mask.shape[axis], int(hits[-1]) + 1 + rim)))
    return sides[0], sides[1]


def _grey(values: NDArray[np.generic], window: tuple[float, float] | None) -> NDArray[np.uint8]:
    shown = values.astype(np.float64)
    low, high = window or (float(np.percentile(shown, 1)), float(np.percentile(shown, 99)))
    return np.asarray(np.clip((shown - low) / max(high - low, 1e-6), 0, 1) * 255, dtype=np.uint8)


def _sides(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Sides between inside and outside, in units of pixels from the corner of the first, shape (N, 2, 2) as x, y."""
    padded = np.pad(mask, 1)
    row, column = np.nonzero(padded[1:-1, :-1] != padded[1:-1, 1:])
    upright = np.stack([np.stack([column, row], 1), np.stack([column, row + 1], 1)], axis=1)
    row, column = np.nonzero(padded[:-1, 1:-1] != padded[1:, 1:-1])
    level = np.stack([np.stack([column, row], 1), np.stack([column + 1, row], 1)], axis=1)
    return np.concatenate([upright, level]).astype(np.float64)
