"""Is a study whole? A pure function of what has come, whether more may be coming, and the time.

Nothing here reads a clock, a file or a table. The order in which instances came does not matter, nor how often.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from dicom_gateway.complete.gaps import Slice, missing_slices
from dicom_gateway.settings import Complete

__all__ = ["Came", "Decision", "SeriesFacts", "decide", "series_facts"]

ENHANCED_CLASSES = frozenset({
    "1.2.840.10008.5.1.4.1.1.2.1",  # Enhanced CT
    "1.2.840.10008.5.1.4.1.1.2.2",  # Legacy Converted Enhanced CT
    "1.2.840.10008.5.1.4.1.1.4.1",  # Enhanced MR
    "1.2.840.10008.5.1.4.1.1.4.4",  # Legacy Converted Enhanced MR
    "1.2.840.10008.5.1.4.1.1.128.1",  # Legacy Converted Enhanced PET
    "1.2.840.10008.5.1.4.1.1.130",  # Enhanced PET
})

ASSOCIATION_CHECK_S = 1.0
"""How soon to look again at a study whose sender is still connected."""


@dataclass(frozen=True)
class Came:
    """One instance that came.

    Parameters
    ----------
    sop_uid, series_uid, sop_class_uid
        What it is.
    seen
        When, in seconds of the clock that `decide` gets.
    instance_number
        InstanceNumber, where it has one.
    frames
        NumberOfFrames, where it has one.
    slice
        Position and directions, where it is a slice in space.
    series_count
        Number of Series Related Instances (0020,1209), where the sender put it in.
    study_count
        Number of Study Related Instances (0020,1208), where the sender put it in.
    acquisition_count
        Images in Acquisition (0020,1002). Makers mean different things by it: equality is evidence, less is not.
    """

    sop_uid: str
    series_uid: str
    sop_class_uid: str
    seen: float
    instance_number: int | None = None
    frames: int | None = None
    slice: Slice | None = None
    series_count: int | None = None
    study_count: int | None = None
    acquisition_count: int | None = None


@dataclass(frozen=True)
class SeriesFacts:
    """What is known of one series.

    `expected` is the known number of instances or None; `whole` says that the series is complete by itself or equals
    a count that proves it; `missing` counts slices absent between others, `numbers_absent` instance numbers absent
    between others.
    """

    series_uid: str
    count: int
    last: float
    expected: int | None
    whole: bool
    missing: int
    numbers_absent: int


@dataclass(frozen=True)
class Decision:
    """State of a study version.

    Parameters
    ----------
    state
        "RECEIVING", "COMPLETE" or "INCOMPLETE".
    wake_at
        When to ask again while RECEIVING.
    reason
        Sentence for people where it is INCOMPLETE, or COMPLETE with more images than announced; else empty.
    evidence
        What the decision rests on, JSON-serialisable, without patient data.
    """

    state: str
    wake_at: float | None
    reason: str
    evidence: dict[str, Any]


def series_facts(came: Iterable[Came]) -> tuple[SeriesFacts, ...]:
    """Facts by series, from instances in any order; of a repeated one the first time counts."""
    first: dict[str, Came] = {}
    for one in came:
        known = first.get(one.sop_uid)
        if known is None or one.seen < known.seen:
            first[one.sop_uid] = one
    by_series: dict[str, list[Came]] = {}
    for one in first.values():
        by_series.setdefault(one.series_uid, []).append(one)
    return tuple(_facts(uid, by_series[uid]) for uid in sorted(by_series))


def _facts(series_uid: str, came: list[Came]) -> SeriesFacts:
    count = len(came)
    expected = max((c.series_count for c in came if c.series_count), default=None)
    acquired = max((c.acquisition_count for c in came if c.acquisition_count), default=None)
    enhanced = all(c.sop_class_uid in ENHANCED_CLASSES and (c.frames or 0) > 1 for c in came)
    numbers = {c.instance_number for c in came if c.instance_number is not None}
    return SeriesFacts(
        series_uid,
        count,
        max(c.seen for c in came),
        expected,
        enhanced or (expected is not None and count >= expected) or (expected is None and count == acquired),
        missing_slices(c.slice for c in came if c.slice is not None),
        max(numbers) - min(numbers) + 1 - len(numbers) if numbers else 0,
    )


def decide(
    came: Iterable[Came],
    now: float,
    settings: Complete,
    *,
    opened: float,
    receiving: bool = False,
    forced: str = "",
) -> Decision:
    """The state of a study version at a time.

    Parameters
    ----------
    came
        Its instances; at least one.
    now
        Seconds, on the clock of `Came.seen` and `opened`.
    settings
        Waiting times.
    opened
        When this version began: its first instance, or the first late one.
    receiving
        Whether a sender of this study is still connected.
    forced
        Reason that a person gave for going on; empty where nobody did.
    """
    came = tuple(came)
    facts = series_facts(came)
    count = sum(f.count for f in facts)
    announced = max((c.study_count for c in came if c.study_count), default=None)
    last = max(f.last for f in facts)
    evidence = _evidence(facts, count, announced, now - last)
    if forced:
        return Decision("COMPLETE", None, f"A person went on: {forced}", evidence | {"by": "person"})
    wait_s, by, outcome, reason = _verdict(facts, count, announced, settings)
    due = last + wait_s
    if now >= due and not receiving:
        return Decision(outcome, None, reason, evidence | {"by": by})
    force_at = opened + settings.force_s
    if now >= force_at:
        return Decision(
            "INCOMPLETE",
            None,
            f"Images have kept coming for {settings.force_s:g} s; look whether the sender repeats itself.",
            evidence | {"by": "stream"},
        )
    wake = due if now < due else now + ASSOCIATION_CHECK_S
    return Decision("RECEIVING", min(wake, force_at), "", evidence)


def _verdict(
    facts: tuple[SeriesFacts, ...], count: int, announced: int | None, settings: Complete
) -> tuple[float, str, str, str]:
    """Seconds of silence to wait for, the evidence, and the state and sentence after them."""
    short = [f for f in facts if f.expected is not None and f.count < f.expected]
    if short or (announced is not None and count < announced):
        absent = max(sum((f.expected or 0) - f.count for f in short), (announced or 0) - count)
        return (
            settings.max_wait_s,
            "count",
            "INCOMPLETE",
            f"{absent} announced images did not come; send the study again from its source.",
        )
    surplus = sum(f.count - f.expected for f in facts if f.expected is not None)
    if announced is not None or all(f.whole for f in facts):
        more = max(surplus, count - announced if announced is not None else 0)
        reason = f"{more} more images came than were announced; check the sender." if more else ""
        return settings.known_s, "count", "COMPLETE", reason
    missing = sum(f.missing for f in facts if not f.whole)
    if missing:
        return (
            max(settings.gap_wait_s, settings.quiet_s),
            "gap",
            "INCOMPLETE",
            f"{missing} slices are missing between others; send the series again from its source.",
        )
    return settings.quiet_s, "silence and geometry", "COMPLETE", ""


def _evidence(facts: tuple[SeriesFacts, ...], count: int, announced: int | None, silent_s: float) -> dict[str, Any]:
    return {
        "instances": count,
        "announced": announced,
        "silent_s": round(max(0.0, silent_s), 3),
        "series": [
            {
                "series_uid": f.series_uid,
                "instances": f.count,
                "expected": f.expected,
                "missing_slices": f.missing,
                "instance_numbers_absent": f.numbers_absent,
            }
            for f in facts
        ],
    }
