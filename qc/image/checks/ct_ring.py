"""Rings of a CT: circles about the gantry's centre that are brighter or darker than the tissue around them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from imaging.volume import Volume
from qc.image.inputs import Inputs
from qc.image.pixels import evenly_chosen
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location

TISSUE_HU = (-40.0, 130.0)
SMOOTH_MM = 13.0
SECTORS = 24
FEWEST_SECTORS = 6
FEWEST_IN_SECTOR = 12
"""Pixels of a circle in a sector, over all planes together."""

FEWEST_CIRCLES = 10
FEWEST_IN_PLANE = 500

FLAT_PX = 7
"""Tissue is told by the mean over so many pixels: in a smaller window a strong ring would look like bone, and hide."""

SPECK_HU = 300.0
"""No ring is stronger than this; single pixels are (lime, metal, saturation), and are left out with all around them."""

WIDEST_PIXEL_MM = 2.5
"""A ring of wider pixels is no narrower than the smooth part that is taken away."""

MOST_PLANES = 24
INNERMOST_MM = 4.0


@check(
    "ct.ring",
    version="1.2.0",
    title=("环状伪影", "Rings"),
    unit="1",
    direction="higher_worse",
    settles="early",
    uncertainty=0.05,
    modalities=("CT",),
    needs=("headers", "pixels", "stack"),
    source="Radgate: high-passed tissue on each circle about the iso-centre (median over sectors), per noise",
    causes={
        "ring": Advice(
            "detector",
            "有环状伪影（半径约 {radius_mm:.0f} mm，为噪声的 {value:.1f} 倍）",
            "A ring at {radius_mm:.0f} mm from the centre, {value:.1f} times the noise",
            "air_calibration",
            "service",
            "请做空气校准；仍有伪影时请报修",
            "Run the air calibration; call service if the ring stays",
        ),
    },
)
def ring(inputs: Inputs) -> Measured | NotEvaluable:
    """Largest deviation of a circle, in units of the noise of a pixel."""
    volume = inputs.volume
    if volume is None:
        return NotEvaluable("no_volume")
    dy, dx = volume.grid.pixel_spacing_mm
    if max(dy, dx) > WIDEST_PIXEL_MM:
        return NotEvaluable("too_few_pixels", {"pixel_mm": max(dy, dx)})
    radius_mm, sectors = _polar(inputs, volume)
    bins = np.round(radius_mm / min(dy, dx)).astype(np.intp)
    window = [2 * max(1, round(SMOOTH_MM / mm / 2)) + 1 for mm in (dy, dx)]
    size = int(bins.max()) + 1
    sums, counts, spreads = np.zeros(size * SECTORS), np.zeros(size * SECTORS), []
    for plane in evenly_chosen(len(volume.array), MOST_PLANES):
        found = _high_pass(volume.array[plane], window)
        if found is None:
            continue
        rest, inner, rows, columns = found
        here = (bins[rows, columns] * SECTORS + sectors[rows, columns])[inner]
        sums += np.bincount(here, weights=rest[inner], minlength=size * SECTORS)
        counts += np.bincount(here, minlength=size * SECTORS)
        spreads.append(1.4826 * float(np.median(np.abs(rest[inner]))))
    held = (counts >= FEWEST_IN_SECTOR).reshape(size, SECTORS)
    usable = (held.sum(axis=1) >= FEWEST_SECTORS) & (np.arange(size) * min(dy, dx) >= INNERMOST_MM)
    sigma = float(np.median(spreads)) if spreads else 0.0
    if np.count_nonzero(usable) < FEWEST_CIRCLES or sigma <= 0:
        return NotEvaluable("too_few_pixels", {"pixels": float(counts.sum())})
    # The median over the sectors: a vessel or a vertebra lies in one or two of them, a ring in all.
    means = np.where(held, sums.reshape(held.shape) / np.maximum(counts, 1).reshape(held.shape), np.nan)
    profile = np.zeros(size)
    profile[usable] = np.abs(np.nanmedian(means[usable], axis=1))
    worst = int(profile.argmax())
    at_mm = worst * min(dy, dx)
    p_mm = volume.grid.plane_positions_mm
    return Measured(
        float(profile[worst]) / sigma,
        where=(Location("slices", {"p_mm": [float(p_mm[0]), float(p_mm[-1])], "radius_mm": round(at_mm, 1)}),),
        params={"radius_mm": at_mm},
        evidence={
            "sigma_hu": sigma,
            "ring_hu": float(profile[worst]),
            "radius_mm": at_mm,
            "pixels": float(counts.reshape(held.shape)[worst].sum()),
        },
    )


def _polar(inputs: Inputs, volume: Volume) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Distance from the gantry's centre (the picture's where the header does not say), and sector, of each pixel."""
    grid = volume.grid
    centre = inputs.numbers("DataCollectionCenterPatient")
    dy, dx = grid.pixel_spacing_mm
    if centre and len(centre[0]) == 3:
        offset = np.array(centre[0]) - grid.positions_lps[0]
        row, column = float(offset @ grid.column_direction) / dy, float(offset @ grid.row_direction) / dx
    else:
        row, column = (grid.rows - 1) / 2, (grid.columns - 1) / 2
    y, x = (np.arange(grid.rows) - row) * dy, (np.arange(grid.columns) - column) * dx
    turn = (np.arctan2(y[:, None], x[None, :]) / (2 * np.pi)) % 1.0
    return np.asarray(np.hypot(y[:, None], x[None, :])), np.minimum((turn * SECTORS).astype(np.intp), SECTORS - 1)


def _high_pass(
    pixels: NDArray[Any], window: list[int]
) -> tuple[NDArray[np.float32], NDArray[np.bool_], slice, slice] | None:
    """Tissue less its smooth part, where the whole window is tissue, within the box that holds matter."""
    matter = pixels > -200
    rows, columns = np.flatnonzero(matter.any(axis=1)), np.flatnonzero(matter.any(axis=0))
    if not len(rows):
        return None
    box = (slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1))
    image = np.clip(pixels[box], -1100, 3100).astype(np.float32)
    mean = ndimage.uniform_filter(image, window)
    smooth = ndimage.uniform_filter(image, FLAT_PX)
    flat = (smooth > TISSUE_HU[0]) & (smooth < TISSUE_HU[1])
    flat &= (image > TISSUE_HU[0] - SPECK_HU) & (image < TISSUE_HU[1] + SPECK_HU)
    inner = ndimage.minimum_filter(flat.astype(np.uint8), window) > 0
    return None if np.count_nonzero(inner) < FEWEST_IN_PLANE else (image - mean, inner, box[0], box[1])
