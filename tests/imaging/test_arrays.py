"""Arrays as files: a disk that is full tells its number, however numpy says it."""

import errno
from pathlib import Path

import numpy as np
import pytest

from imaging.arrays import save_array


def test_an_array_comes_back_as_it_was(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)

    with (tmp_path / "a.npy").open("wb") as stream:
        save_array(stream, array)

    assert np.array_equal(np.load(tmp_path / "a.npy", allow_pickle=False), array)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, which this system does not have")
@pytest.mark.parametrize("values", [3, 500_000])
def test_a_full_disk_tells_its_number(values: int) -> None:
    with pytest.raises(OSError, match="No space left") as met, Path("/dev/full").open("wb") as stream:
        save_array(stream, np.zeros(values))
        stream.flush()

    assert met.value.errno == errno.ENOSPC
