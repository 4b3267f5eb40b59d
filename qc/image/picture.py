"""Single pictures: radiographs, ultrasound, photographs, whole slides."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Picture"]


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

    @property
    def is_colour(self) -> bool:
        """Whether it has three channels."""
        return self.array.ndim == 3

    def grey(self) -> NDArray[np.float32]:
        """Brightness as float32; of colour the weighted sum of ITU-R BT.601."""
        if not self.is_colour:
            return np.asarray(self.array, dtype=np.float32)
        return np.asarray(self.array.astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32))
