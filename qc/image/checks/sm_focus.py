"""Focus of a whole slide: tissue tiles without fine detail."""

import numpy as np
from pydicom.dataset import Dataset
from scipy import ndimage

from qc.image.inputs import Inputs
from qc.image.picture import Picture
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location
from qc.image.slide import slide_level
from qc.image.worst import worst_picture

TILE_PX = 64
LEAST_TISSUE = 0.5
SHARPNESS = 0.12
"""Below this share of the slide's sharpest tenth a tile is out of focus."""

FEWEST_TILES = 8
ABSOLUTE = 2e-5
"""Variance of the Laplacian (of brightness 0 to 1) that stained tissue has in focus at least."""


@check(
    "sm.focus",
    version="1.0.0",
    title=("对焦", "Focus"),
    unit="%",
    direction="higher_worse",
    settles="early",
    uncertainty=1,
    modalities=("SM",),
    needs=("headers", "pictures"),
    source="Specification of image quality, 3.5: variance of the Laplacian of each tile against the sharp ones",
    causes={
        "soft": Advice(
            "reconstruction",
            "{value:.0f}% 的组织区失焦",
            "{value:.0f} % of the tissue are out of focus",
            "rescan",
            "technician",
            "请增加对焦点后重新扫描",
            "Add focus points and scan again",
        ),
    },
)
def focus(inputs: Inputs) -> Measured | NotEvaluable:
    """Per cent of the tissue tiles; of the worst picture."""
    return worst_picture(inputs, _share, badness=lambda v: v)


def _share(picture: Picture, header: Dataset) -> Measured | NotEvaluable:
    level = slide_level(picture)
    if level is None:
        return NotEvaluable("unsupported" if not picture.is_colour else "too_few_pixels")
    detail = np.square(ndimage.laplace(ndimage.gaussian_filter(level.rgb[..., 1], 0.7)))
    places, values = [], []
    for top in range(0, detail.shape[0] - TILE_PX + 1, TILE_PX):
        for left in range(0, detail.shape[1] - TILE_PX + 1, TILE_PX):
            box = (slice(top, top + TILE_PX), slice(left, left + TILE_PX))
            if level.tissue[box].mean() >= LEAST_TISSUE:
                places.append((top, left))
                values.append(float(detail[box][level.tissue[box]].mean()))
    if len(values) < FEWEST_TILES:
        return NotEvaluable("too_few_pixels", {"tiles": float(len(values))})
    sharp = max(float(np.percentile(values, 90)), ABSOLUTE / SHARPNESS)
    soft = np.array(values) < SHARPNESS * sharp
    where = (
        Location(
            "tiles",
            {"top_left_px": [list(p) for p, s in zip(places, soft, strict=True) if s][:200], "size_px": TILE_PX},
        ),
    )
    return Measured(
        100 * float(soft.mean()),
        where=where if soft.any() else (),
        evidence={"tiles": float(len(values)), "sharp": sharp},
    )
