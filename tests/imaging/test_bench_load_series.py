"""The loading benchmark on a small series: equal voxels, and a gate that closes."""

import copy
from pathlib import Path

from bench.load_series import READERS, make_series, passes


def test_all_readers_agree_on_a_small_series(tmp_path: Path) -> None:
    make_series(tmp_path, planes=4, size=33)

    sums = {reader(tmp_path)[1] for reader in READERS.values()}

    assert len(sums) == 1


def test_gate_closes_when_radgate_is_slower_or_voxels_differ() -> None:
    good = {name: {"seconds": 1.0, "sum": 7.0, "peak_mib": 1.0} for name in READERS}
    slow, wrong = copy.deepcopy(good), copy.deepcopy(good)
    slow["radgate"]["seconds"] = 1.01
    wrong["radgate"]["sum"] = 8.0

    assert passes(good)
    assert not passes(slow)
    assert not passes(wrong)
