"""Rules that turn probabilities into plausible anatomy, each with what it must drop."""

import numpy as np
import pytest
from numpy.typing import NDArray

from monai_bundles.cleanup import CleanupRules, clean, cleanup_rules
from monai_bundles.errors import BadMetadata

LARGE, SMALL = np.s_[3:7, 4:12, 5:15], np.s_[8:9, 14:16, 16:18]


def two_parts() -> NDArray[np.float32]:
    probability = np.zeros((11, 17, 19), dtype=np.float32)
    probability[LARGE], probability[SMALL] = 0.9, 0.8
    return probability


def test_only_the_largest_part_of_one_organ_stays() -> None:
    kept = clean("Brainstem", two_parts(), 0.01, None, CleanupRules(min_share_of_largest={"default": 1.0}))

    assert kept is not None
    assert (kept[LARGE] == np.float32(0.9)).all()
    assert not kept[SMALL].any()


def test_a_structure_may_keep_its_parts() -> None:
    rules = CleanupRules(min_share_of_largest={"default": 1.0, "SpinalCord": 0.01})

    kept = clean("SpinalCord", two_parts(), 0.01, None, rules)

    assert kept is not None
    assert kept[SMALL].any()


def test_the_wrong_side_is_dropped_even_when_it_is_larger() -> None:
    from_middle_mm = np.full((11, 17, 19), -20, dtype=np.float32)
    from_middle_mm[:, :, 15:] = 3
    rules = CleanupRules(sides={"Parotid_L": "left", "Parotid_R": "right"})

    on_left = clean("Parotid_L", two_parts(), 0.01, from_middle_mm, rules)
    on_right = clean("Parotid_R", two_parts(), 0.01, from_middle_mm, rules)

    assert on_left is not None
    assert on_right is not None
    assert on_left[SMALL].any()
    assert not on_left[LARGE].any()
    assert on_right[LARGE].any()
    assert not on_right[SMALL].any()


def test_what_is_too_far_from_the_middle_is_dropped() -> None:
    from_middle_mm = np.broadcast_to(np.arange(19, dtype=np.float32) * 2.5 - 41.0, (11, 17, 19))
    rules = CleanupRules(max_from_middle_mm={"Esophagus": 4.0})

    kept = clean("Esophagus", two_parts(), 0.01, from_middle_mm, rules)

    assert kept is not None
    assert kept[SMALL].any()
    assert not kept[LARGE].any()


def test_an_implausibly_small_organ_is_dropped() -> None:
    assert clean("Larynx", two_parts(), 0.001, None, CleanupRules(min_cc={"default": 5.0})) is None


def test_the_margin_below_the_threshold_stays_for_interpolation() -> None:
    probability = two_parts()
    probability[7, 4:12, 5:15] = 0.4

    kept = clean("Larynx", probability, 0.01, None, CleanupRules(min_share_of_largest={"default": 1.0}))

    assert kept is not None
    assert (kept[7, 4:12, 5:15] == np.float32(0.4)).all()


@pytest.mark.parametrize(
    "wrong", [{"threshold": 0.0}, {"threshold": 1.5}, {"sides": {"Parotid_L": "port"}}, {"blur": 1}]
)
def test_an_impossible_rule_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(BadMetadata):
        cleanup_rules(wrong)
