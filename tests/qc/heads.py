"""A head in an MR with white and grey matter, fluid and fat, and defects planted in the image or in k-space."""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from imaging.volume import Volume
from qc.image.inputs import Inputs
from tests.qc.bodies import edited, volume_inputs
from tests.synthetic.series import SeriesDescription

__all__ = ["HEAD", "Head", "head_inputs", "in_time"]

HEAD = SeriesDescription(
    modality="MR", rows=150, columns=132, pixel_spacing_mm=(1.4, 1.5), planes=5, plane_spacing_mm=4.5
)


@dataclass(frozen=True)
class Head:
    """What is planted.

    Parameters
    ----------
    sigma
        Noise of each channel; the magnitude is Rician.
    grey, white, fluid, fat
        Signal of the tissues; white matter has 400 unless changed.
    bias_percent
        Signal falls by this share from one side to the other.
    nyquist, spike, zipper
        Copy at half of the field as a share; a point of k-space as a share of its largest; a line along phase.
    fold_mm
        How much of the head lies beyond the field along phase.
    motion_mm
        Largest displacement of single lines of k-space.
    bright_rim_percent
        Share of the rim whose fat stays bright.
    """

    sigma: float = 8.0
    white: float = 400.0
    grey: float = 300.0
    fluid: float = 120.0
    fat: float = 200.0
    bias_percent: float = 0.0
    nyquist: float = 0.0
    spike: float = 0.0
    zipper: float = 0.0
    fold_mm: float = 0.0
    motion_mm: float = 0.0
    bright_rim_percent: float = 0.0
    shift_mm: float = 0.0
    gain: float = 1.0
    seed: int = 1

    def values(self) -> NDArray[np.int16]:
        """Magnitudes; phase encoding runs from row to row."""
        rng = np.random.default_rng(self.seed)
        planes = [self._plane(k, rng) for k in range(HEAD.planes)]
        return np.asarray(np.clip(np.round(np.stack(planes)), 0, 32000), dtype=np.int16)

    def _plane(self, k: int, rng: np.random.Generator) -> NDArray[np.float64]:
        dy, dx = HEAD.pixel_spacing_mm
        offset = (HEAD.rows * dy / 2 - 62 + self.fold_mm) if self.fold_mm else 3.0
        y = (np.arange(HEAD.rows) - (HEAD.rows - 1) / 2)[:, None] * dy - offset
        if self.fold_mm:
            # What is beyond the field comes in on the other side.
            extent = HEAD.rows * dy
            y = np.where(y < -extent / 2, y + extent, y)
        x = (np.arange(HEAD.columns) - (HEAD.columns - 1) / 2)[None, :] * dx + 2.0 - self.shift_mm
        size = 1 - 0.03 * k
        r = np.hypot(x / (56 * size), y / (62 * size))
        angle = (np.arctan2(y, x) / (2 * np.pi)) % 1.0
        plane = np.zeros(r.shape)
        plane[r < 1] = self.fat
        plane[(r < 1) & (angle < self.bright_rim_percent / 100)] = 1000
        plane[r < 0.9] = self.grey
        plane[r < 0.72] = self.white
        plane[np.hypot((x + 4) / 9, (y - 6) / 13) < 1] = self.fluid
        plane *= self.gain * (1 - self.bias_percent / 100 * (x + 56) / 112)
        if self.nyquist:
            plane = plane + self.nyquist * np.roll(plane, HEAD.rows // 2, axis=0)
        if self.motion_mm or self.spike:
            plane = self._in_k_space(plane, rng)
        if self.zipper:
            plane[:, 14 + k] += self.zipper * np.abs(rng.normal(1, 0.3, HEAD.rows))
        noise = rng.normal(0, self.sigma, (2, *plane.shape))
        return np.asarray(np.hypot(plane + noise[0], noise[1]))

    def _in_k_space(self, plane: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
        lines = np.fft.fft(ndimage.gaussian_filter(plane, 0.5), axis=0)
        if self.motion_mm:
            # Every fourth line is taken with the head displaced along phase.
            moved = (
                self.motion_mm
                / HEAD.pixel_spacing_mm[0]
                * rng.uniform(0.6, 1.0, HEAD.rows)
                * (np.arange(HEAD.rows) % 4 == 1)
            )
            lines *= np.exp(-2j * np.pi * np.fft.fftfreq(HEAD.rows) * moved)[:, None]
        space = np.fft.fft(lines, axis=1)
        if self.spike:
            space[41 + self.seed % 7, 35 + self.seed % 5] += self.spike * np.abs(space).max()
        return np.asarray(np.abs(np.fft.ifft2(space)))


def head_inputs(head: Head | None = None, /, tags: tuple[tuple[str, Any], ...] = (), **changes: Any) -> Inputs:
    """Inputs of the checks; `changes` are fields of the head, `tags` attributes of the headers."""
    return _made(replace(head or Head(), **changes), tags)


@lru_cache(maxsize=12)
def _made(head: Head, tags: tuple[tuple[str, Any], ...]) -> Inputs:
    made = volume_inputs(head.values(), HEAD)
    return edited(made, **{"InPlanePhaseEncodingDirection": "COL", "BodyPartExamined": "BRAIN", **dict(tags)})


def in_time(
    sigma: float = 8.0, jump_percent: float = 0.0, shift_mm: float = 0.0, count: int = 10, seed: int = 1
) -> Inputs:
    """A series in time; from the sixth frame on the signal, or the place of the head, is another."""
    heads = [
        Head(
            sigma=sigma,
            seed=100 * seed + n,
            gain=1 + (jump_percent / 100 if n > 5 else 0.0),
            shift_mm=shift_mm if n > 5 else 0.0,
        )
        for n in range(count)
    ]
    frames = tuple(Volume(h.values(), HEAD.grid()) for h in heads)
    return replace(head_inputs(heads[0]), frames=frames)
