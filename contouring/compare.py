"""Two sets of structures side by side: a table of metrics, and a picture of where two contours differ most."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from contouring.metrics import Agreement, agreement
from contouring.overlap import joint_crops
from contouring.roi import Roi
from contouring.trace import trace_cracks
from contouring.uneven_planes import check_even
from imaging.geometry import Grid
from imaging.volume import Region, Volume

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Comparison", "compare_structures", "draw_difference", "plane_of_largest_difference"]

REFERENCE_COLOUR, OTHER_COLOUR = (60, 230, 90), (255, 70, 200)
LINE_PX = 3
DASH_PX = 9.0
"""Length of the other contour's dashes and of the gaps between, where the reference is seen if the two coincide."""

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
    check_even(grid, "A comparison of surfaces", "compare the volumes of both files with radgate contour measure")
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
        Drawn as a green line, and a dashed magenta one upon it, along the sides of the pixels. Where one has no contour
        on the slice, the legend says so.
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
    for mask, colour, dash_px in zip(masks, (REFERENCE_COLOUR, OTHER_COLOUR), (None, DASH_PX), strict=True):
        for ring in _rings(mask[box]):
            for line in _dashes(ring * scale, dash_px):
                draw.line([tuple(point) for point in line.tolist()], fill=colour, width=LINE_PX)
    differing = int(np.count_nonzero(masks[0] != masks[1]))
    caption = f"{title}  slice {plane + 1} of {len(volume.array)}: {differing * dx * dy / 100:.2f} cm2 differ"
    draw.text((6, size[1] + 4), caption.strip(), fill=(230, 230, 230))
    place = 6.0
    for mask, name, colour in zip(
        masks, ("reference", "other (dashed)"), (REFERENCE_COLOUR, OTHER_COLOUR), strict=True
    ):
        legend = name if mask.any() else f"{name.split()[0]}: no contour on this slice"
        draw.text((place, size[1] + 20), legend, fill=colour)
        place += draw.textlength(legend) + 24
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


def _rings(mask: NDArray[np.bool_]) -> list[NDArray[np.float64]]:
    """Closed outlines along the sides of pixels, in pixels from the corner of the first, each (N, 2) as x, y."""
    rings = trace_cracks(Region.from_mask(mask[None]))
    polygons = (rings.polygon(n) + 0.5 for n in range(len(rings)))
    return [np.concatenate([polygon, polygon[:1]]) for polygon in polygons]


def _dashes(path: NDArray[np.float64], dash_px: float | None) -> list[NDArray[np.float64]]:
    """A path cut into dashes with gaps as long between them; whole where no length is given."""
    if dash_px is None:
        return [path]
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    dashes = []
    for start in np.arange(0.0, along[-1], 2 * dash_px):
        ends = np.array([start, min(start + dash_px, along[-1])])
        within = path[(along > ends[0]) & (along < ends[1])]
        first, last = np.stack([np.interp(ends, along, values) for values in path.T], axis=1)
        dashes.append(np.concatenate([first[None], within, last[None]]))
    return dashes
