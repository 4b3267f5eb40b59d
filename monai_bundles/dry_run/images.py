"""Small made images of what a bundle declares to take: a body with organs in air, on as many voxels as wanted."""

import numpy as np
from numpy.typing import NDArray

from imaging.geometry import Grid
from imaging.pictures import Pictures
from imaging.volume import Volume
from monai_bundles.bundle import Bundle, Channel

__all__ = ["made_companions", "made_pictures", "made_volume"]

HU, SUV = "[hnsf'U]", "g/ml{SUVbw}"

LEVELS = {HU: (-1000.0, 40.0, -800.0, 700.0), SUV: (0.0, 1.0, 8.0, 3.0)}
"""Values of air, body, and the organs in it; other units get those of MR."""

LEVELS_ELSE = (0.0, 420.0, 90.0, 800.0)

ORGANS = ((0.30, -0.35, 0.25, 0.22), (-0.25, 0.30, -0.35, 0.28))
"""Centre (z, y, x) and radius of each organ, in half extents of the image."""

SEED = 11
PICTURES = 2


def made_volume(bundle: Bundle, shape: tuple[int, int, int], spacing_mm: tuple[float, float, float]) -> Volume:
    """The series of the route: (planes, rows, columns) of this spacing, in the unit that the bundle takes."""
    channel = bundle.inputs[0].channels[0]
    modality = channel.modality or bundle.accepts.modalities[0]
    unit = next(iter(bundle.accepts.units), channel.unit)
    return _volume(shape, spacing_mm, unit, modality)


def made_companions(
    bundle: Bundle, shape: tuple[int, int, int], spacing_mm: tuple[float, float, float]
) -> dict[str, Volume]:
    """The other images by the names of their channels, also those that may be missing."""
    return {c.name: _volume(shape, spacing_mm, c.unit, _modality(bundle, c)) for c in bundle.companions}


def made_pictures(rows: int, columns: int) -> Pictures:
    """Two colour pictures."""
    body = _body((PICTURES, rows, columns), (12.0, 200.0, 90.0, 240.0))
    colours = np.stack([body, body * 0.6 + 20, 255 - body * 0.8], axis=-1)
    return Pictures(np.clip(np.rint(colours), 0, 255).astype(np.uint8))


def _modality(bundle: Bundle, channel: Channel) -> str:
    return channel.modality or bundle.accepts.modalities[0]


def _volume(shape: tuple[int, int, int], spacing_mm: tuple[float, float, float], unit: str, modality: str) -> Volume:
    unit = unit or {"CT": HU, "PT": SUV}.get(modality, "")
    planes = np.array([[-40.0, 30.0, 120.0]]) + np.arange(shape[0])[:, None] * np.array([[0.0, 0.0, spacing_mm[0]]])
    grid = Grid(
        positions_lps=planes,
        row_direction=np.array([1.0, 0.0, 0.0]),
        column_direction=np.array([0.0, 1.0, 0.0]),
        pixel_spacing_mm=(spacing_mm[1], spacing_mm[2]),
        rows=shape[1],
        columns=shape[2],
        frame_of_reference_uid="2.25.1",
    )
    return Volume(array=_body(shape, LEVELS.get(unit, LEVELS_ELSE)).astype(np.float32), grid=grid, unit=unit)


def _body(shape: tuple[int, int, int], levels: tuple[float, float, float, float]) -> NDArray[np.float64]:
    """An ellipsoid with two organs, and some noise; the same at every call."""
    air, body, *organs = levels
    places = np.stack(np.meshgrid(*(np.linspace(-1, 1, max(n, 2))[:n] for n in shape), indexing="ij"), axis=-1)
    values = np.full(shape, air)
    # Planes are few where a network takes planes: the body goes through all of them.
    within = places[..., 1:] if shape[0] <= PICTURES else places
    values[(within**2).sum(axis=-1) < 0.8] = body
    for (z, y, x, radius), level in zip(ORGANS, organs, strict=True):
        centre = np.array([y, x] if shape[0] <= PICTURES else [z, y, x])
        values[((within - centre) ** 2).sum(axis=-1) < radius**2] = level
    noise = np.random.default_rng(SEED).normal(0, 0.01 * (max(levels) - min(levels)), shape)
    return np.asarray(np.where(values > air, values + noise, values))
