"""What steps leave for each other comes back as it was."""

from pathlib import Path

import numpy as np
import pytest

from dicom_gateway.flow.kept import keep_json, keep_regions, kept_json, kept_regions
from imaging.volume import Region


def one_region(probability: bool) -> Region:
    rng = np.random.default_rng(7)
    crop = rng.random((3, 4, 5)) > 0.5
    return Region(crop, (2, 3, 1), (9, 11, 8), rng.random((3, 4, 5)).astype(np.float16) if probability else None)


@pytest.mark.parametrize("probability", [False, True])
def test_regions_come_back_equal(tmp_path: Path, probability: bool) -> None:
    region = one_region(probability)

    keep_regions(tmp_path / "job" / "regions.npz", [("Parotid_L", region), ("Body", one_region(False))])
    (name, back), (other, _) = kept_regions(tmp_path / "job" / "regions.npz")

    assert (name, other) == ("Parotid_L", "Body")
    assert np.array_equal(back.mask(), region.mask())
    assert (back.start, back.shape) == (region.start, region.shape)
    if region.probability is None:
        assert back.probability is None
    else:
        assert back.probability is not None
        assert np.array_equal(back.probability, region.probability)


def test_a_crash_while_writing_leaves_the_old_content(tmp_path: Path) -> None:
    keep_json(tmp_path / "a.json", {"n": 1})

    with pytest.raises(TypeError):
        keep_json(tmp_path / "a.json", {"n": object()})

    assert kept_json(tmp_path / "a.json") == {"n": 1}
