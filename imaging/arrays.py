"""Arrays as files."""

import errno
import os
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

__all__ = ["save_array"]


def save_array(file: Path | BinaryIO, array: NDArray[Any]) -> None:
    """Write an array as .npy, without pickle.

    Raises
    ------
    OSError
        With its number, also of a full disk, of which numpy only says how many values it could write.
    """
    try:
        np.save(file, array, allow_pickle=False)
    except OSError as error:
        if error.errno is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
        raise
