"""Arrays as files."""

from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

__all__ = ["save_array"]


def save_array(file: Path | BinaryIO, array: NDArray[Any]) -> None:
    """Write an array as .npy, without pickle.

    Not by `numpy.save`: that writes through a stream of its own, whose last block it does not look after, so that a
    disk which is full just there cuts the file without an error; and where it notices, it tells no number.

    Raises
    ------
    ValueError
        Values that are Python objects.
    OSError
        With its number, also of a full disk.
    """
    if isinstance(file, Path):
        with file.open("wb") as stream:
            save_array(stream, array)
        return
    if array.dtype.hasobject:
        raise ValueError("An array of Python objects cannot be written without pickle.")
    values = np.ascontiguousarray(array)
    header = {"descr": npy.dtype_to_descr(array.dtype), "fortran_order": False, "shape": array.shape}
    npy.write_array_header_1_0(file, header)
    file.write(values.reshape(-1).view(np.uint8).data)
    file.flush()
