"""The completeness engine: counts, gaps, silence, and indifference to order and repetition."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_gateway.complete import Came, Decision, decide
from dicom_gateway.complete.gaps import Slice, missing_slices
from dicom_gateway.settings import Complete
from tests.dicom_gateway.making import COLUMN, CT_CLASS, NORMAL, ORIGIN, ROW

SETTINGS = Complete()
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"


def oblique(place_mm: float) -> Slice:
    position, row, column = (tuple(map(float, v)) for v in (ORIGIN + NORMAL * place_mm, ROW, COLUMN))
    return position, row, column  # type: ignore[return-value]


def slices(*places_mm: float) -> list[Slice]:
    return [oblique(place) for place in places_mm]


def came(number: int, *, series: str = "s1", seen: float = 100.0, **known: int | None) -> Came:
    return Came(
        f"{series}.{number}", series, CT_CLASS, seen, instance_number=number, slice=oblique(2.5 * number), **known
    )


def decision(instances: list[Came], now: float, *, receiving: bool = False, forced: str = "") -> Decision:
    return decide(instances, now, SETTINGS, opened=100.0, receiving=receiving, forced=forced)


def test_an_even_stack_misses_nothing() -> None:
    assert missing_slices(slices(*(2.5 * i for i in range(40)))) == 0


@pytest.mark.parametrize(("absent", "missing"), [({7}, 1), ({7, 8}, 2), ({3, 20, 21, 30}, 4)])
def test_absent_slices_are_counted(absent: set[int], missing: int) -> None:
    places = [2.5 * i for i in range(40) if i not in absent]
    random.Random(4).shuffle(places)

    assert missing_slices(slices(*places)) == missing


def test_phases_at_equal_positions_are_no_gap() -> None:
    assert missing_slices(slices(*(2.5 * (i // 3) for i in range(60)))) == 0


def test_a_change_of_spacing_and_a_second_stack_are_no_gap() -> None:
    assert missing_slices(slices(*(5.0 * i for i in range(20)), *(95.0 + 10.0 * i for i in range(1, 20)))) == 0
    assert missing_slices(slices(*(5.0 * i for i in range(20)), *(131.7 + 5.0 * i for i in range(20)))) == 0


def test_a_localiser_beside_the_stack_is_no_gap() -> None:
    across: Slice = ((0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, -1.0))

    assert missing_slices([across, *slices(*(2.5 * i for i in range(10)))]) == 0


def test_slices_without_directions_are_ignored() -> None:
    assert missing_slices([((0.0, 0.0, float(i)), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)) for i in range(9)]) == 0


def test_an_unknown_number_without_a_gap_is_complete_after_the_silence() -> None:
    study = [came(i) for i in range(1, 21)]

    waiting, done = decision(study, 159.0), decision(study, 160.0)

    assert (waiting.state, waiting.wake_at) == ("RECEIVING", 160.0)
    assert (done.state, done.evidence["by"]) == ("COMPLETE", "silence and geometry")


def test_a_gap_waits_longer_and_ends_incomplete() -> None:
    study = [came(i) for i in range(1, 21) if i != 9]

    assert decision(study, 161.0).state == "RECEIVING"
    ended = decision(study, 400.0)
    assert ended.state == "INCOMPLETE"
    assert ended.reason.startswith("1 slices are missing")


def test_a_known_number_that_came_is_complete_at_once() -> None:
    study = [came(i, series_count=20) for i in range(1, 21)]

    assert decision(study, 101.9).state == "RECEIVING"
    assert decision(study, 102.0).evidence["by"] == "count"


def test_a_known_number_that_did_not_come_ends_incomplete_with_the_difference() -> None:
    study = [came(i, series_count=25) for i in range(1, 21)]

    assert decision(study, 700.0).state == "RECEIVING"
    ended = decision(study, 1000.0)
    assert (ended.state, ended.reason.split()[0]) == ("INCOMPLETE", "5")


def test_the_number_of_the_study_counts_all_series() -> None:
    study = [came(1, study_count=3), came(1, series="s2")]

    assert decision(study, 700.0).state == "RECEIVING"
    assert decision([*study, came(2, series="s2")], 102.0).state == "COMPLETE"


def test_more_than_was_announced_is_complete_and_says_so() -> None:
    ended = decision([came(i, series_count=18) for i in range(1, 21)], 103.0)

    assert (ended.state, ended.reason.split()[0]) == ("COMPLETE", "2")


def test_images_in_acquisition_prove_completeness_only_by_equality() -> None:
    equal = [came(i, acquisition_count=20) for i in range(1, 21)]
    fewer = [came(i, acquisition_count=400) for i in range(1, 21)]

    assert decision(equal, 103.0).state == "COMPLETE"
    assert decision(fewer, 103.0).state == "RECEIVING"
    assert decision(fewer, 161.0).state == "COMPLETE"


def test_an_enhanced_object_is_complete_by_itself() -> None:
    assert decision([Came("e", "s1", ENHANCED_CT, 100.0, frames=300)], 102.0).state == "COMPLETE"


def test_nothing_is_decided_while_the_sender_is_connected() -> None:
    study = [came(i, series_count=20) for i in range(1, 21)]

    held = decision(study, 500.0, receiving=True)

    assert (held.state, held.wake_at) == ("RECEIVING", 501.0)


def test_a_study_that_never_falls_silent_is_decided_at_last() -> None:
    now = 100.0 + SETTINGS.force_s

    ended = decision([came(1), came(2, seen=now - 1.0)], now, receiving=True)

    assert (ended.state, ended.evidence["by"]) == ("INCOMPLETE", "stream")


def test_a_person_may_go_on_at_any_time() -> None:
    ended = decision([came(1), came(5)], 100.5, receiving=True, forced="scanner broke down")

    assert (ended.state, ended.evidence["by"]) == ("COMPLETE", "person")
    assert "scanner broke down" in ended.reason


INSTANCES = st.lists(
    st.builds(
        came,
        st.integers(1, 12),
        series=st.sampled_from(["s1", "s2"]),
        seen=st.floats(100.0, 200.0),
        series_count=st.sampled_from([None, None, 6, 12]),
        study_count=st.sampled_from([None, None, None, 8]),
    ),
    min_size=1,
    max_size=24,
    unique_by=lambda c: c.sop_uid,
)


@given(INSTANCES, st.floats(100.0, 8000.0), st.randoms(use_true_random=False))
def test_order_and_repetition_change_nothing(instances: list[Came], now: float, chance: random.Random) -> None:
    repeated = [replace(c, seen=c.seen + chance.uniform(0.0, 50.0)) for c in instances if chance.random() < 0.5]
    shuffled = [*instances, *repeated]
    chance.shuffle(shuffled)

    assert decision(shuffled, now) == decision(instances, now)


@given(INSTANCES)
def test_waiting_as_told_always_ends_with_a_decision(instances: list[Came]) -> None:
    now, looks = 200.0, 0
    told = decision(instances, now)
    while told.state == "RECEIVING":
        assert told.wake_at is not None and told.wake_at > now
        now, looks = told.wake_at, looks + 1
        told = decision(instances, now)

    assert told.state in {"COMPLETE", "INCOMPLETE"}
    assert looks <= 2
    assert now <= 100.0 + SETTINGS.force_s
