"""A plain water phantom, measured without help: mean, uniformity and noise, in HU."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qc.image.phantom.recognise import Disc, disc_of
from qc.image.phantom.result import PhantomResult, PhantomValue, judged_value

__all__ = ["TITLES", "measure_water"]

TITLES = {
    "phantom.water.mean": ("水的 CT 值", "CT number of water"),
    "phantom.water.uniformity": ("均匀性", "Uniformity"),
    "phantom.water.noise": ("噪声", "Noise"),
    "phantom.water.diameter": ("直径", "Diameter"),
}
"""What the values are called, in Chinese and English."""

CENTRE_SHARE = 0.2
"""Radius of the regions, as a share of the phantom's."""

EDGE_PLACE = 0.75
"""Where the four outer regions stand, as a share of the radius: well inside the wall."""

WALL_MM = 8.0
FEWEST_PLANES = 3
MEAN_LIMITS = ((-4.0, 4.0), (-6.0, 6.0))
SOURCE = "mean of water 0 +-4 HU; the wider limit is a starting point for a site's own"


def measure_water(planes: Sequence[NDArray[Any]], spacing_mm: tuple[float, float]) -> PhantomResult:
    """Mean of the centre, largest difference of an outer region from it, and noise of the centre.

    Parameters
    ----------
    planes
        Axial planes in HU; the first and last of the phantom are better left out.
    spacing_mm
        (between rows, between columns).
    """
    found = [(p, d) for p in planes if (d := disc_of(p, spacing_mm)) is not None]
    if len(found) < FEWEST_PLANES:
        return PhantomResult("water", reason="too_few_slices" if planes else "no_region")
    rows = np.array([_regions(p, d, spacing_mm) for p, d in found])
    centre, sigma = rows[:, 0], rows[:, 5]
    differences = rows[:, 1:5].mean(axis=0) - centre.mean()
    return PhantomResult(
        "water",
        (
            judged_value("phantom.water.mean", float(centre.mean()), "[hnsf'U]", *MEAN_LIMITS, SOURCE),
            PhantomValue("phantom.water.uniformity", float(np.abs(differences).max()), "[hnsf'U]"),
            PhantomValue("phantom.water.noise", float(np.sqrt(np.mean(sigma**2))), "[hnsf'U]"),
            PhantomValue("phantom.water.diameter", float(np.median([d.diameter_mm for _, d in found])), "mm"),
        ),
        algorithm="radgate phantom.water 1.0.0",
    )


def _regions(pixels: NDArray[Any], disc: Disc, spacing_mm: tuple[float, float]) -> list[float]:
    """Means of the centre and of four outer regions, and the standard deviation of the centre."""
    radius = disc.diameter_mm / 2 - WALL_MM
    y = (np.arange(pixels.shape[0]) - disc.centre[0])[:, None] * spacing_mm[0]
    x = (np.arange(pixels.shape[1]) - disc.centre[1])[None, :] * spacing_mm[1]
    means = []
    for down, right in ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)):
        away = np.hypot(y - down * EDGE_PLACE * radius, x - right * EDGE_PLACE * radius)
        region = pixels[away < CENTRE_SHARE * radius].astype(np.float64)
        means.append(float(region.mean()))
    centre = pixels[np.hypot(y, x) < CENTRE_SHARE * radius].astype(np.float64)
    return [*means, float(centre.std(ddof=1))]
