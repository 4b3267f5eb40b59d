"""Single pictures: radiographs, ultrasound, photographs, whole slides."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Picture"]

COARSE_PX = 360


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture without a place in the patient's space.

    Parameters
    ----------
    array
        Grey, shape (rows, columns), or colour, shape (rows, columns, 3) in RGB.
    header
        Index of the instance's header in the inputs.
    spacing_mm
        (between rows, between columns); None where the header states none.
    bottom, top
        Smallest and largest value that the stored format allows.
    lossy
        Whether a compression with loss has gone over it.
    frame_number
        Frame (from 1) of a multi-frame instance.
    """

    array: NDArray[Any]
    header: int = 0
    spacing_mm: tuple[float, float] | None = None
    bottom: float = 0.0
    top: float = 65535.0
    lossy: bool = False
    frame_number: int | None = None

    @cached_property
    def coarse(self) -> NDArray[np.float32]:
        """Brightness averaged over blocks of `coarse_step` pixels, so that the longer side has at most 360."""
        grey, n = self.grey(), self.coarse_step
        if n == 1:
            return grey
        rows, columns = (size // n * n for size in grey.shape)
        return np.asarray(grey[:rows, :columns].reshape(rows // n, n, columns // n, n).mean(axis=(1, 3)))

    @property
    def coarse_step(self) -> int:
        """Pixels per pixel of `coarse`."""
        return max(1, -(-max(self.array.shape[:2]) // COARSE_PX))

    @property
    def coarse_mm(self) -> tuple[float, float] | None:
        """Spacing of `coarse`; None where the header states none."""
        return (
            None
            if self.spacing_mm is None
            else (self.spacing_mm[0] * self.coarse_step, self.spacing_mm[1] * self.coarse_step)
        )

    @property
    def is_colour(self) -> bool:
        """Whether it has three channels."""
        return self.array.ndim == 3

    def grey(self) -> NDArray[np.float32]:
        """Brightness as float32; of colour the weighted sum of ITU-R BT.601."""
        if not self.is_colour:
            return np.asarray(self.array, dtype=np.float32)
        return np.asarray(self.array.astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32))
