"""Defects of known severity, planted into the inputs of a clean series; equal seeds give equal results."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from imaging.volume import Volume
from qc.image.inputs import Inputs
from qc.image.radiograph import exposed_field, free_air

__all__ = ["DEFECTS", "Defect"]

Plant = Callable[[Inputs, float, int], Inputs | None]


@dataclass(frozen=True)
class Defect:
    """One kind of defect.

    Parameters
    ----------
    check, kind
        The check that has to see it, and the modality it is planted into.
    unit
        Of the severity.
    sign
        +1 where the value grows with the severity, -1 where it falls.
    plant
        Inputs with the defect; None where the series does not admit it.
    """

    name: str
    check: str
    kind: str
    unit: str
    severities: tuple[float, ...]
    sign: int
    plant: Plant


TISSUE_HU = (-40, 130)
INNERMOST_RING_MM = 12.0
RINGS = 5
"""Radii among which a ring is planted: those with most tissue."""

LEAST_TISSUE = 0.3
"""Share of a circle that has to run through tissue: elsewhere a ring can be seen by nobody."""


VERTEX_SHARE = 0.5
"""A series whose last section is larger than this share of its largest ends before the vertex anyway."""


def with_array(inputs: Inputs, array: NDArray[Any]) -> Inputs | None:
    """The same series with other pixels, in the type of the first."""
    if inputs.volume is None:
        return None
    kind = inputs.volume.array.dtype
    made = np.clip(np.round(array), np.iinfo(kind).min, np.iinfo(kind).max) if kind.kind in "iu" else array
    return replace(inputs, volume=replace(inputs.volume, array=made.astype(kind)))


def pixels(function: Callable[[Volume, float, np.random.Generator], NDArray[Any] | None]) -> Plant:
    """A plant that changes the pixels of a volume."""

    def plant(inputs: Inputs, severity: float, seed: int) -> Inputs | None:
        if inputs.volume is None:
            return None
        array = function(inputs.volume, severity, np.random.default_rng(seed))
        return None if array is None else with_array(inputs, array)

    return plant


def _noise(volume: Volume, sigma: float, rng: np.random.Generator) -> NDArray[Any]:
    return volume.array + np.float32(sigma) * rng.standard_normal(volume.array.shape, dtype=np.float32)


def _smooth_noise(blur_px: float) -> Plant:
    """Noise that hangs together within the plane, as kernels make it; sigma is that after the blur."""

    def values(volume: Volume, sigma: float, rng: np.random.Generator) -> NDArray[Any]:
        noise = rng.standard_normal(volume.array.shape, dtype=np.float32)
        noise = ndimage.gaussian_filter(noise, (0, blur_px, blur_px), output=noise)
        return np.asarray(volume.array + np.float32(sigma / float(noise.std())) * noise)

    return pixels(values)


def _rician(volume: Volume, share: float, rng: np.random.Generator) -> NDArray[Any]:
    sigma = share / 100 * float(np.percentile(volume.array, 98))
    noise = rng.normal(0, sigma, (2, *volume.array.shape))
    return np.asarray(np.hypot(volume.array + noise[0], noise[1]))


def _blur(volume: Volume, sigma_mm: float, rng: np.random.Generator) -> NDArray[Any]:
    sigma = [0.0, *(sigma_mm / mm for mm in volume.grid.pixel_spacing_mm)]
    blurred = ndimage.gaussian_filter(volume.array.astype(np.float32), sigma)
    return np.asarray(blurred)


def _moved(array: NDArray[Any], pixels_across: float) -> NDArray[np.float32]:
    """Columns displaced by a part of a pixel too; what comes in is the first column."""
    whole, part = int(np.floor(pixels_across)), pixels_across - np.floor(pixels_across)
    index = np.arange(array.shape[-1]) - whole
    low, high = (np.clip(index - k, 0, array.shape[-1] - 1) for k in (0, 1))
    values = array.astype(np.float32)
    return np.asarray((1 - part) * values[..., low] + part * values[..., high])


def _step(volume: Volume, mm: float, rng: np.random.Generator) -> NDArray[Any] | None:
    planes = len(volume.array)
    if planes < 16:
        return None
    first = planes // 2 + int(rng.integers(-planes // 8, planes // 8 + 1))
    array = volume.array.astype(np.float32)
    array[first:] = _moved(volume.array[first:], mm / volume.grid.pixel_spacing_mm[1])
    return array


def _metal(inputs: Inputs, radius_mm: float, seed: int) -> Inputs | None:
    volume = inputs.volume
    if volume is None or not inputs.body:
        return None
    section = inputs.body[len(inputs.body) // 2]
    rows, columns = np.nonzero(section.mask)
    dy, dx = volume.grid.pixel_spacing_mm
    if max(dy, dx) > 1.5:
        return None
    y = (np.arange(volume.array.shape[1]) - rows.mean() * section.step) * dy
    x = (np.arange(volume.array.shape[2]) - columns.mean() * section.step - 5 * (seed % 3)) * dx
    array = volume.array.copy()
    part = slice(max(0, section.plane - 4), section.plane + 5)
    array[part, np.hypot(y[:, None], x[None, :]) <= radius_mm] = 3071
    return with_array(inputs, array)


def _cut(inputs: Inputs, mm: float, seed: int) -> Inputs | None:
    """The field ends so far inside the skin of the widest section."""
    volume = inputs.volume
    if volume is None or not inputs.body:
        return None
    widest = max(inputs.body, key=lambda s: int(np.count_nonzero(s.mask.any(axis=0))))
    skin = int(np.flatnonzero(widest.mask.any(axis=0))[0]) * widest.step
    if skin < 6:
        return None
    first = skin + round(mm / volume.grid.pixel_spacing_mm[1])
    grid = volume.grid
    offset = first * grid.pixel_spacing_mm[1] * grid.row_direction
    kept = np.ascontiguousarray(volume.array[:, :, first:])
    moved = replace(grid, positions_lps=grid.positions_lps + offset, columns=kept.shape[2])
    return replace(inputs, volume=replace(volume, array=kept, grid=moved))


def _gap(inputs: Inputs, count: float, seed: int) -> Inputs | None:
    """Headers of the series with neighbouring slices missing."""
    if len(inputs.headers) < 24 or inputs.planes is None:
        return None
    first = 5 + seed % 7
    order = inputs.planes.order
    kept = [int(k) for n, k in enumerate(order) if not first <= n < first + round(count)]
    return replace(inputs, headers=tuple(inputs.headers[k] for k in kept), volume=None)


def _jitter(inputs: Inputs, percent: float, seed: int) -> Inputs | None:
    """Headers of the series with one slice too far by a share of the distance."""
    if len(inputs.headers) < 12 or inputs.planes is None:
        return None
    step = float(np.median(inputs.planes.distinct_steps_mm)) * percent / 100
    headers = []
    late = set(inputs.planes.order[len(inputs.headers) // 2 + seed % 3 :].tolist())
    for number, header in enumerate(inputs.headers):
        copy = deepcopy(header)
        if number in late:
            position = np.array([float(v) for v in header.ImagePositionPatient]) + step * inputs.planes.normal
            copy.ImagePositionPatient = [f"{v:.5f}" for v in position]
        headers.append(copy)
    return replace(inputs, headers=tuple(headers), volume=None)


def _tilted(inputs: Inputs, degrees: float, seed: int) -> Inputs | None:
    """Headers of the series as from a gantry that leans so far, forwards or backwards."""
    if len(inputs.headers) < 12 or inputs.planes is None:
        return None
    planes = inputs.planes
    column = planes.orientation[0, 3:]
    shift = np.tan(np.radians(degrees * (-1) ** seed)) * (planes.p_mm - planes.p_mm[0])
    headers = list(inputs.headers)
    for place, number in enumerate(planes.order.tolist()):
        copy = deepcopy(inputs.headers[number])
        copy.ImagePositionPatient = [f"{v:.5f}" for v in planes.origins_lps[place] + shift[place] * column]
        headers[number] = copy
    return replace(inputs, headers=tuple(headers), volume=None)


def _saturated(inputs: Inputs, percent: float, seed: int) -> Inputs | None:
    bits, sign = inputs.number("BitsStored"), inputs.number("PixelRepresentation")
    slope, intercept = inputs.number("RescaleSlope"), inputs.number("RescaleIntercept")
    if inputs.volume is None or bits is None or sign is None:
        return None
    top = (2 ** (bits - 1) - 1 if sign else 2**bits - 1) * (slope or 1.0) + (intercept or 0.0)
    array = inputs.volume.array.astype(np.float32)
    hit = np.random.default_rng(seed).random(array.shape, dtype=np.float32) < percent / 100
    array[hit] = min(top, 32767.0)
    return with_array(inputs, array)


def _offset(volume: Volume, hu: float, rng: np.random.Generator) -> NDArray[Any]:
    return volume.array.astype(np.float32) + np.float32(hu)


def _ring(volume: Volume, percent: float, rng: np.random.Generator) -> NDArray[Any] | None:
    """One detector channel off, at a radius where most of the circle runs through tissue; None where none does."""
    dy, dx = volume.grid.pixel_spacing_mm
    rows, columns = volume.array.shape[1:]
    y, x = (np.arange(rows) - (rows - 1) / 2) * dy, (np.arange(columns) - (columns - 1) / 2) * dx
    away = np.hypot(y[:, None], x[None, :])
    step = min(dy, dx)
    circle = np.round(away / step).astype(np.intp)
    planes = volume.array[:: max(1, len(volume.array) // 12)]
    tissue = ((planes > TISSUE_HU[0]) & (planes < TISSUE_HU[1])).mean(axis=0)
    share = np.bincount(circle.ravel(), weights=tissue.ravel()) / np.maximum(np.bincount(circle.ravel()), 1)
    share[np.arange(len(share)) * step < INNERMOST_RING_MM] = 0
    if share.max() < LEAST_TISSUE:
        return None
    ring = np.abs(away - step * int(rng.choice(np.argsort(share)[-RINGS:]))) < 0.5 * step
    array = volume.array.astype(np.float32)
    array[:, ring] += (array[:, ring] + 1000) * percent / 100
    return array


def _shorter(inputs: Inputs, mm: float, seed: int) -> Inputs | None:
    """The scan ends so far below the vertex."""
    volume = inputs.volume
    if volume is None or not inputs.body or inputs.planes is None:
        return None
    last = inputs.body[-1] if volume.grid.normal[2] > 0 else inputs.body[0]
    largest = max(int(np.count_nonzero(s.mask)) for s in inputs.body)
    if np.count_nonzero(last.mask) > VERTEX_SHARE * largest:
        return None
    top = last.plane
    count = round(mm / volume.spacing_mm[0])
    planes = np.arange(len(volume.array))
    kept = planes[planes <= top - count] if volume.grid.normal[2] > 0 else planes[planes >= top + count]
    if len(kept) < 20:
        return None
    grid = replace(volume.grid, positions_lps=volume.grid.positions_lps[kept])
    headers = tuple(inputs.headers[int(inputs.planes.order[k])] for k in kept)
    return replace(inputs, headers=headers, volume=Volume(volume.array[kept], grid, unit=volume.unit))


def _bias(volume: Volume, percent: float, rng: np.random.Generator) -> NDArray[Any]:
    ramp = np.linspace(0, 1, volume.array.shape[2], dtype=np.float32)[None, None, :]
    return volume.array * (1 - percent / 100 * ramp)


def _ghost(volume: Volume, percent: float, rng: np.random.Generator) -> NDArray[Any]:
    return volume.array + percent / 100 * np.roll(volume.array, volume.array.shape[1] // 2, axis=1).astype(np.float32)


def _spike(volume: Volume, share: float, rng: np.random.Generator) -> NDArray[Any]:
    rows, columns = volume.array.shape[1:]
    space = np.fft.fft2(volume.array.astype(np.float32))
    place = (rows // 3 + int(rng.integers(0, 4)), columns // 3 + int(rng.integers(0, 4)))
    space[:, place[0], place[1]] += share * np.abs(space).max()
    return np.asarray(np.abs(np.fft.ifft2(space)))


def _saturated_film(inputs: Inputs, percent: float, seed: int) -> Inputs | None:
    picture = inputs.pictures[0]
    array = np.minimum(picture.array, picture.top - 1).astype(picture.array.dtype)
    body = np.flatnonzero(array > np.percentile(array, 60))
    hit = np.random.default_rng(seed).choice(body, round(len(body) * percent / 100), replace=False)
    array.flat[hit] = picture.top
    return replace(inputs, pictures=(replace(picture, array=array),))


def _blackened_film(inputs: Inputs, percent: float, seed: int) -> Inputs | None:
    """So much of the anatomy at the darkest value, the thinnest first, as where the detector is over-exposed."""
    picture = inputs.pictures[0]
    field = exposed_field(picture)
    if field is None:
        return None
    n = picture.coarse_step
    air = free_air(picture, field)
    body = ~air[field.box].repeat(n, 0).repeat(n, 1)
    inner = picture.array[field.top * n : field.bottom * n, field.left * n : field.right * n]
    values = inner[body[: inner.shape[0], : inner.shape[1]]]
    lost = float(np.percentile(values, percent)) - picture.bottom + float(np.random.default_rng(seed).uniform(0, 0.5))
    array = np.clip(picture.array.astype(np.float64) - lost, picture.bottom, picture.top)
    return replace(inputs, pictures=(replace(picture, array=array.astype(picture.array.dtype)),))


def _wide_film(inputs: Inputs, percent: float, seed: int) -> Inputs | None:
    """More field without anatomy on every side, nearly as dark as the darkest of the picture."""
    picture = inputs.pictures[0]
    rows, columns = picture.array.shape
    pad = round(percent / 100 * max(rows, columns))
    ground = float(np.percentile(picture.array, 1))
    shape = (rows + 2 * pad, columns + 2 * pad)
    # Exposed air is not even: the beam falls off from one end to the other, and there is noise.
    span = float(np.ptp(picture.array))
    slope = ground + span * (
        0.01 + 0.04 * np.linspace(0, 1, shape[1])[None, :] * np.linspace(0.3, 1, shape[0])[:, None]
    )
    noisy = slope + np.random.default_rng(seed).normal(0, 0.015 * span, shape)
    array = np.clip(noisy, picture.bottom, picture.top)
    array[pad : pad + rows, pad : pad + columns] = picture.array
    return replace(inputs, pictures=(replace(picture, array=array.astype(picture.array.dtype)),))


def _exposed_film(inputs: Inputs, deviation: float, seed: int) -> Inputs | None:
    header = deepcopy(inputs.headers[0])
    header.TargetExposureIndex = 300.0 + seed
    header.ExposureIndex = (300.0 + seed) * 10 ** (deviation / 10)
    return replace(inputs, headers=(header,))


DEFECTS: tuple[Defect, ...] = (
    Defect("noise", "ct.noise.gni", "CT", "HU", (10, 20, 30, 45, 60), 1, pixels(_noise)),
    Defect("noise, smooth", "ct.noise.gni", "CT", "HU", (10, 20, 30, 45, 60), 1, _smooth_noise(0.8)),
    Defect("noise, smoother", "ct.noise.gni", "CT", "HU", (10, 20, 30, 45, 60), 1, _smooth_noise(1.2)),
    Defect("blur", "ct.sharpness.f50", "CT", "mm", (0.8, 1.2, 1.8, 2.5, 3.5), -1, pixels(_blur)),
    Defect("slice displacement", "ct.motion", "CT", "mm", (2, 4, 8, 12, 18), 1, pixels(_step)),
    Defect("metal", "ct.metal", "CT", "mm", (2, 3, 5, 7, 10), 1, _metal),
    Defect("cut body", "ct.truncation", "CT", "mm", (4, 8, 14, 22, 34), 1, _cut),
    Defect("missing slices", "gen.geometry.missing", "CT", "1", (1, 2, 3, 5, 8), 1, _gap),
    Defect("uneven distance", "gen.geometry.jitter", "CT", "%", (2.5, 4, 6, 8, 12), 1, _jitter),
    Defect("gantry tilt", "gen.geometry.tilt", "CT", "deg", (0.3, 1, 2.5, 6, 15), 1, _tilted),
    Defect("saturation", "gen.pixel.clipped", "CT", "%", (0.2, 0.5, 1, 3, 8), 1, _saturated),
    Defect("scale offset", "ct.hu.air", "CT", "HU", (10, 20, 35, 55, 80), 1, pixels(_offset)),
    Defect("scale offset (fat)", "ct.hu.fat", "CT", "HU", (5, 12, 20, 30, 40), 1, pixels(_offset)),
    Defect("ring", "ct.ring", "CT", "%", (1, 2, 4, 8, 14), 1, pixels(_ring)),
    Defect("cut vertex", "ct.coverage.vertex", "CT", "mm", (0, 9, 18, 30, 45), 1, _shorter),
    Defect("MR noise", "mr.snrd", "MR", "%", (3, 5, 8, 12, 18), -1, pixels(_rician)),
    Defect("MR ghost", "mr.efc", "MR", "%", (5, 12, 25, 45, 80), 1, pixels(_ghost)),
    Defect("MR shading", "mr.inu", "MR", "%", (10, 25, 40, 55, 70), 1, pixels(_bias)),
    Defect("MR spike", "mr.spike", "MR", "1", (0.02, 0.05, 0.12, 0.3, 0.7), 1, pixels(_spike)),
    Defect("film saturation", "dx.clip", "DX", "%", (1, 3, 6, 12, 25), 1, _saturated_film),
    Defect("black anatomy", "dx.clip", "DX", "%", (50, 65, 80, 90, 97), 1, _blackened_film),
    Defect("wide field", "dx.collimation", "DX", "%", (10, 20, 35, 55, 80), 1, _wide_film),
    Defect("exposure", "dx.di", "DX", "dB", (0.5, 1.5, 3, 5, 8), 1, _exposed_film),
)
"""What is planted into real images. Rotation, tilt and inspiration of radiographs need a projected chest; they are
planted into projections of a synthetic one by the tests."""
