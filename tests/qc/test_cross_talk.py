"""A defect alarms its own check and no other, except where physics says that it must."""

import pytest

from qc.image.result import SeriesVerdict
from tests.qc.cases import CASES
from tests.qc.looks import STATES, alarmed, clean, states

LISTED = {
    "gen.geometry.missing": {"gen.instance.holes"},  # a lost slice takes its number with it
    "gen.pixel.clipped": {"ct.metal"},  # what is at the top of the range reads as metal
    "gen.pixel.inversion": {"ct.metal", "ct.truncation"},  # bright air is metal and has no skin
    "ct.hu.air": {"ct.hu.fat", "ct.hu.tissue"},  # an offset of the scale moves all
    "ct.hu.fat": {"ct.hu.air", "ct.hu.tissue"},
    "ct.hu.tissue": {"ct.hu.air", "ct.hu.fat"},
    "ct.rt.curve": {"gen.protocol", "gen.geometry.mixed"},  # the voltage is an expectation and a technique as well
    "mr.nyquist": {"mr.motion", "mr.zipper", "mr.ghost"},  # a copy beside the object, with straight edges
    "mr.motion": {"mr.ghost"},  # lines that are displaced make copies along phase
    "mr.wrap": {"mr.ghost"},  # what is folded lies beside the object along phase
    "mr.fd": {"mr.dvars"},  # a head that moves changes the signal of its edges
    "us.gain": {"us.overlay"},  # saturated speckle looks like strokes
    "op.glare": {"op.landmarks"},  # a white spot beside the macula
    "op.uniform": {"op.landmarks"},  # a disc in the shade
    "ecg.psqi": {"ecg.ksqi", "ecg.quality"},  # indices of the same noise
    "ecg.ksqi": {"ecg.psqi", "ecg.quality"},
    "ecg.bas": {"ecg.ksqi", "ecg.quality"},
    "ecg.lead_off": {"ecg.bas"},  # a flat line beside beats is a slow step
    "ecg.clip": {"ecg.ksqi"},  # cut beats are less high
    "ecg.quality": {"ecg.psqi", "ecg.ksqi", "ecg.bas"},
    "dx.inversion": {"dx.side_marker"},  # a dark letter
    "dx.tilt": {"dx.rotation"},  # a slanted spine is not in the middle
    "dx.clip": {"dx.rotation", "dx.tilt"},  # saturated pixels spoil outlines
    "ct.coverage.lung": {"ct.motion"},  # lungs that begin at full size
}
"""Pairs that belong together, each with its reason."""


COARSE_MM = {6.0, 7.0}
"""Slices of the chest and of the head: thick, so that the tests are quick."""

NO_BODY = {"ct.noise.nps"}
"""The clean image of these is tissue from border to border, which other checks rightly take for a cut body."""


def alarms(verdict: SeriesVerdict) -> set[str]:
    return {
        r.check_id
        for r in verdict.findings()
        if (r.check_id, r.value) not in {("gen.slice.thickness", mm) for mm in COARSE_MM}
    }


@pytest.mark.parametrize("check_id", sorted(CASES))
def test_a_planted_defect_alarms_no_other_check(check_id: str) -> None:
    if check_id in STATES:
        verdicts = [verdict for verdict, _ in states(check_id).values()]
    else:
        verdicts = [v for v in [alarmed(check_id)] if v is not None]

    for verdict in verdicts:
        assert alarms(verdict) - {check_id} <= LISTED.get(check_id, set())


@pytest.mark.parametrize("check_id", sorted(set(CASES) - NO_BODY))
def test_a_clean_image_alarms_nothing(check_id: str) -> None:
    assert alarms(clean(check_id)) == set()
