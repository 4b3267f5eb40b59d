"""The blurred step from air to skin in a CT, sampled finer than a pixel by many slanted pieces of the outline."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from imaging.volume import Volume
from qc.image.body import BodySection

__all__ = ["EdgeSamples", "half_frequency_per_mm", "skin_edges"]

LEVEL_HU = -550.0
"""Half way from air to fat."""

REACH_MM = 12.0
SMOOTH_MM = 31.0
STRAIGHT_RADIUS_MM = 30.0
STEEPEST = 1.0
"""Slope up to which a side is taken from its own direction; beyond 45 degrees the neighbouring side takes over."""

LARGEST_RESIDUAL_PX = 0.6
BIN_PX = 0.1
SIDES = ("top", "bottom", "left", "right")
MOST_SECTIONS = 24


@dataclass(frozen=True, eq=False)
class EdgeSamples:
    """Signed distance from the skin (negative outside), and CT number, of the pixels near one side of the body."""

    distance_mm: NDArray[np.float64]
    value_hu: NDArray[np.float64]


def skin_edges(volume: Volume, sections: tuple[BodySection, ...]) -> dict[str, EdgeSamples]:
    """Samples of each side of the picture on which the skin borders on free air."""
    found: dict[str, list[tuple[NDArray[np.float64], NDArray[np.float64]]]] = {}
    for section in sections[:: max(1, len(sections) // MOST_SECTIONS)]:
        plane = volume.array[section.plane].astype(np.float32)
        dy, dx = volume.grid.pixel_spacing_mm
        rows = np.flatnonzero(section.mask.any(axis=1))[[0, -1]] * section.step
        columns = np.flatnonzero(section.mask.any(axis=0))[[0, -1]] * section.step
        views = {
            "top": (plane, dy, dx, columns),
            "bottom": (plane[::-1], dy, dx, columns),
            "left": (plane.T, dx, dy, rows),
            "right": (plane.T[::-1], dx, dy, rows),
        }
        for side, (view, along, across, extent) in views.items():
            samples = _side(view, along, across, extent)
            if samples is not None:
                found.setdefault(side, []).append(samples)
    return {
        side: EdgeSamples(np.concatenate([d for d, _ in parts]), np.concatenate([v for _, v in parts]))
        for side, parts in found.items()
    }


def _side(
    view: NDArray[np.float32], along_mm: float, across_mm: float, extent: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Samples of the side that rows come to first; `extent` is the range of columns that the body takes."""
    quarter = (extent[1] - extent[0]) // 4
    columns = np.arange(extent[0] + quarter, extent[1] - quarter)
    window = 2 * round(SMOOTH_MM / across_mm / 2) + 1
    reach = round(REACH_MM / along_mm)
    if len(columns) < window + 2:
        return None
    solid = view[:, columns] > LEVEL_HU
    first = solid.argmax(axis=0)
    usable = (first > reach) & (first < len(view) - reach) & solid.any(axis=0)
    if not usable.all():
        return None
    here, before = view[first, columns], view[first - 1, columns]
    crossing = first - (here - LEVEL_HU) / np.maximum(here - before, 1.0)
    skin, slope, bend = _parabolas(crossing, window)
    slope, bend = slope * along_mm / across_mm, np.abs(bend) * along_mm / across_mm**2
    good = (
        (np.abs(slope) < STEEPEST) & (bend < 1 / STRAIGHT_RADIUS_MM) & (np.abs(crossing - skin) < LARGEST_RESIDUAL_PX)
    )
    offsets = np.arange(-reach, reach + 1)
    rows = np.round(skin).astype(np.intp)[None, :] + offsets[:, None]
    values = view[np.clip(rows, 0, len(view) - 1), columns[None, :]].astype(np.float64)
    # Beside the skin there has to be air, and behind it fat or tissue: no hair, mask, couch, arm or lung.
    far = np.abs(offsets) * along_mm > REACH_MM / 2
    air, body = values[far & (offsets < 0)], values[far & (offsets > 0)]
    good &= (np.abs(np.median(air, axis=0) + 1000) < 60) & (air.max(axis=0) < -700)
    good &= (body.min(axis=0) > -350) & (body.max(axis=0) < 350)
    if np.count_nonzero(good) < 10:
        return None
    distance = (rows - skin[None, :]) * along_mm / np.hypot(1.0, slope)[None, :]
    return distance[:, good].ravel(), values[:, good].ravel()


def _parabolas(values: NDArray[np.float64], window: int) -> tuple[NDArray[np.float64], ...]:
    """Value, slope and second derivative of the parabola through the window about each place.

    At both ends it is the parabola of the first and of the last whole window.
    """
    inner, ends = _parabola_weights(window)
    half = window // 2
    windows = np.lib.stride_tricks.sliding_window_view(values, window)
    middle = inner @ windows.T
    first, last = ends[:, :half] @ windows[0], ends[:, half + 1 :] @ windows[-1]
    return tuple(np.concatenate([first, middle, last], axis=1))


@cache
def _parabola_weights(window: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights for the parabola in a window's middle, (3, window), and at each of its places, (3, window, window)."""
    place = np.arange(window) - window // 2
    to_coefficients = np.linalg.pinv(np.stack([np.ones(window), place, place**2], axis=1))
    zero, one = np.zeros(window), np.ones(window)
    at_places = np.stack([
        np.stack([one, place, place**2], axis=1),
        np.stack([zero, one, 2 * place], axis=1),
        np.stack([zero, zero, 2 * one], axis=1),
    ])
    ends = at_places @ to_coefficients
    return ends[:, window // 2], ends


def half_frequency_per_mm(samples: EdgeSamples, pixel_mm: float) -> float | None:
    """Frequency at which the modulation transfer falls to one half, per mm; None where there are too few samples."""
    bin_mm = BIN_PX * pixel_mm
    edges = np.arange(-REACH_MM * 0.9, REACH_MM * 0.9, bin_mm)
    index = np.digitize(samples.distance_mm, edges)
    counts = np.bincount(index, minlength=len(edges) + 1)[1:-1]
    sums = np.bincount(index, weights=samples.value_hu, minlength=len(edges) + 1)[1:-1]
    if len(counts) < 20 or np.count_nonzero(counts < 5) > 0.1 * len(counts):
        return None
    middles = (edges[:-1] + edges[1:]) / 2
    step = np.interp(middles, middles[counts > 0], (sums / np.maximum(counts, 1))[counts > 0])
    line = np.diff(step)
    line *= signal.windows.tukey(len(line), 0.5)
    transfer = np.abs(np.fft.rfft(line, 16 * len(line)))
    transfer /= transfer[0]
    below = np.flatnonzero(transfer < 0.5)
    if not len(below) or below[0] == 0:
        return None
    k = int(below[0])
    part = (transfer[k - 1] - 0.5) / (transfer[k - 1] - transfer[k])
    return float((k - 1 + part) / (16 * len(line) * bin_mm))
