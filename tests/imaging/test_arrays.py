"""Arrays as files: a disk that is full tells its number, however numpy says it."""

import errno
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imaging.arrays import save_array

NUMBERS = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


@pytest.mark.parametrize(
    "array",
    [NUMBERS, NUMBERS.T, NUMBERS[:, ::2], NUMBERS > 7, NUMBERS[:0], np.float64(2.5).reshape(()), NUMBERS.astype(">i2")],
    ids=["plain", "transposed", "every second", "bool", "empty", "one number", "big-endian"],
)
def test_an_array_comes_back_as_it_was(array: Any, tmp_path: Path) -> None:
    with (tmp_path / "a.npy").open("wb") as stream:
        save_array(stream, array)
    save_array(tmp_path / "b.npy", array)

    for name in ("a.npy", "b.npy"):
        back = np.load(tmp_path / name, allow_pickle=False)
        assert (back.shape, back.dtype) == (array.shape, array.dtype)
        assert np.array_equal(back, array)


def test_python_objects_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="pickle"):
        save_array(tmp_path / "a.npy", np.array([{}, None]))


def test_a_last_block_that_does_not_fit_is_an_error(tmp_path: Path) -> None:
    """A file that may grow to 4,096 bytes and needs 32 more: numpy.save cuts it without a word."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
        with pytest.raises(OSError, match="File too large"):
            save_array(tmp_path / "a.npy", np.zeros(4000, dtype=np.uint8))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, which this system does not have")
@pytest.mark.parametrize("values", [3, 500_000])
def test_a_full_disk_tells_its_number(values: int) -> None:
    with pytest.raises(OSError, match="No space left") as met, Path("/dev/full").open("wb") as stream:
        save_array(stream, np.zeros(values))
        stream.flush()

    assert met.value.errno == errno.ENOSPC
