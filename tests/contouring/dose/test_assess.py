"""The one function behind commands, gateway and pages: two courses of a made-up case, related in every way."""

import json
from copy import deepcopy
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from contouring.dose import read_rtdose
from contouring.dose.assess import AssessOptions, assess
from contouring.dose.assessment import DoseAssessment
from contouring.dose.assessment_json import assessment_report
from contouring.dose.errors import DosesApart, NoRegistration, RegistrationRefused
from contouring.dose.limits import limits_for
from contouring.dose.objects import dose_objects
from contouring.dose.openkbp import ExportedCase, export_case
from contouring.dose.registration_write import write_registration
from contouring.dose.transform import RigidTransform
from imaging.series import Stack, scan
from reports.dose.layers import sum_layer
from reports.dose.wording import warning_words
from tests.contouring.dose.test_openkbp import collection

__all__ = ["collection"]

MADE_AT = datetime(2026, 3, 4)
SHIFT = (7.3, -4.2, 5.5)


@pytest.fixture(scope="module")
def cases(collection: Path, tmp_path_factory: pytest.TempPathFactory) -> list[ExportedCase]:
    folder = tmp_path_factory.mktemp("cases")
    return [
        export_case(collection, "pt_1", folder / "a"),
        export_case(collection, "pt_1", folder / "b", course=2, shift_mm=SHIFT),
    ]


@pytest.fixture(scope="module")
def stacks(cases: list[ExportedCase]) -> list[Stack]:
    return [scan([c.ct[0].parent]).stacks[0] for c in cases]


def assessed(
    cases: list[ExportedCase], stacks: list[Stack], wrong_mm: float = 0.0, **options: object
) -> DoseAssessment:
    matrix = np.eye(4)
    matrix[:3, 3] = SHIFT
    matrix[2, 3] += wrong_mm
    known = RigidTransform(matrix, *(s.frame_of_reference_uid for s in stacks))
    registration = write_registration(known, *stacks, made_at=MADE_AT).dataset
    chosen = AssessOptions(**{"registrations": (registration,), **options})  # type: ignore[arg-type]
    return assess(
        cases[0].rtstruct,
        [c.rtdose for c in cases],
        stacks[0],
        made_at=MADE_AT,
        plans=[c.rtplan for c in cases],
        others=stacks[1:],
        other_structures=[cases[1].rtstruct],
        options=chosen,
    )


def test_two_courses_with_a_known_shift_are_twice_one(cases: list[ExportedCase], stacks: list[Stack]) -> None:
    found = assessed(cases, stacks, site="nasopharynx", limits=limits_for("nasopharynx"))

    assert [(c.letter, c.fractions, c.fractions_source, c.prescription_gy) for c in found.courses] == [
        ("A", 35, "plan", 70.0),
        ("B", 35, "plan", 70.0),
    ]
    assert [c.transform_source for c in found.courses] == ["same_frame", "object"]
    cord = found.structure("SpinalCord")
    assert cord is not None and cord.eqd2 is not None and cord.bounds is not None
    for metric in ("Dmean", "D50%", "D0.03cc"):
        assert cord.physical.metric(metric) == pytest.approx(2 * cord.courses[0].metric(metric), abs=0.01)
    # The dose of the case is linear, so is its conversion: the mean of EQD2 in closed form is that of both courses.
    assert cord.eqd2.metric("Dmean") == pytest.approx(sum(d.metric("Dmean") for d in cord.course_eqd2), abs=1e-6)
    assert cord.bounds.low is not None and cord.bounds.high is not None
    assert cord.bounds.low.metric("Dmean") < cord.eqd2.metric("Dmean") < cord.bounds.high.metric("Dmean")
    assert cord.eqd2.metric("Dmax") <= cord.bounds.sum_of_maxima_gy + 0.05
    assert "nominal_above_sum_of_maxima" not in cord.flags
    assert [v.status for v in cord.verdicts] == ["broken"]
    assert found.grids.physical.volume.grid.frame_of_reference_uid == stacks[0].frame_of_reference_uid
    difference = found.grids.difference_gy().dose_gy
    assert np.nanmax(np.abs(difference)) < 0.01


def test_the_json_form_holds_the_same_numbers(cases: list[ExportedCase], stacks: list[Stack]) -> None:
    found = assessed(cases, stacks, site="nasopharynx", limits=limits_for("nasopharynx"))

    report = json.loads(json.dumps(assessment_report(found), allow_nan=False))

    row = next(r for r in report["structures"] if r["structure"] == "SpinalCord")
    cord = found.structure("SpinalCord")
    assert cord is not None and cord.eqd2 is not None
    assert row["eqd2"]["metrics"]["Dmax"] == pytest.approx(cord.eqd2.metric("Dmax"), abs=1e-6)
    assert row["limits"][0]["status"] == "broken" and row["limits"][0]["verified_by"] == "unverified"
    assert report["courses"][1]["transform_source"] == "object"


def test_all_objects_are_made_and_name_the_registration(cases: list[ExportedCase], stacks: list[Stack]) -> None:
    found = assessed(cases, stacks)

    objects = {o.name: o for o in dose_objects(found, stacks[0], made_at=MADE_AT)}

    assert {"sum_physical", "sum_eqd2_ab2", "isodoses"} <= set(objects)
    from io import BytesIO

    total = dcmread(BytesIO(objects["sum_physical"].encoded))
    used = total.ReferencedSpatialRegistrationSequence[0].ReferencedSOPInstanceUID
    assert used == found.courses[1].registration_uid
    assert (total.DoseSummationType, total.SpatialTransformOfDose) == ("MULTI_PLAN", "RIGID")


def test_a_registration_that_is_wrong_by_more_than_the_reach_blocks_the_verdict(
    cases: list[ExportedCase], stacks: list[Stack]
) -> None:
    found = assessed(cases, stacks, wrong_mm=9.0, site="nasopharynx", limits=limits_for("nasopharynx"))

    cord = found.structure("SpinalCord")
    assert cord is not None and cord.bounds is not None
    assert "organ_not_aligned" in cord.flags and cord.bounds.low is None
    assert [v.status for v in cord.verdicts] == ["not_evaluable"]
    assert "does not lie on itself" in cord.verdicts[0].reason


def test_one_dose_alone_is_an_assessment_too(cases: list[ExportedCase], stacks: list[Stack]) -> None:
    found = assess(
        cases[0].rtstruct, [cases[0].rtdose], stacks[0], made_at=MADE_AT, options=AssessOptions(fractions=(35,))
    )

    cord = found.structure("SpinalCord")
    assert cord is not None and cord.bounds is None
    assert cord.physical.metric("Dmean") == cord.courses[0].metric("Dmean")
    assert found.courses[0].fractions_source == "stated" and found.registrations == {}


def test_without_fractions_there_is_no_eqd2_and_it_is_said(cases: list[ExportedCase], stacks: list[Stack]) -> None:
    found = assess(cases[0].rtstruct, [cases[0].rtdose], stacks[0], made_at=MADE_AT)

    assert not found.has_eqd2 and found.grids.eqd2 == {}
    assert all(s.eqd2 is None for s in found.structures)
    assert "fractions" in found.warnings[0]


def test_a_dose_of_several_plans_has_eqd2_only_where_its_fractions_are_stated(
    cases: list[ExportedCase], stacks: list[Stack]
) -> None:
    plan = dcmread(cases[0].rtplan)
    for summation_type, other_plans in (("MULTI_PLAN", ["1.2.3.7"]), ("PLAN", ["1.2.3.7"]), ("MULTI_PLAN", [])):
        several = dcmread(cases[0].rtdose)
        several.DoseSummationType = summation_type
        for uid in other_plans:
            item = deepcopy(several.ReferencedRTPlanSequence[0])
            item.ReferencedSOPInstanceUID = uid
            several.ReferencedRTPlanSequence.append(item)
        second = deepcopy(plan)
        second.SOPInstanceUID = "1.2.3.7"
        second.FractionGroupSequence[0].NumberOfFractionsPlanned = 10

        # Given the first of its plans alone, or all of them: neither number of fractions is that of the dose.
        for plans in ([plan], [plan, second]):
            found = assess(cases[0].rtstruct, [several], stacks[0], made_at=MADE_AT, plans=plans)
            facts = found.courses[0]
            assert (facts.fractions, facts.prescription_gy, facts.fractions_planned) == (None, None, None)
            assert not found.has_eqd2
            assert "several plans" in found.warnings[0]
        stated = assess(
            cases[0].rtstruct, [several], stacks[0], made_at=MADE_AT, plans=[plan, second],
            options=AssessOptions(fractions=(45,)),
        )  # fmt: skip
        assert (stated.courses[0].fractions, stated.courses[0].fractions_source) == (45, "stated")
        assert stated.has_eqd2 and not any("several plans" in w for w in stated.warnings)


def test_progress_is_told_and_a_wrong_number_of_fractions_is_a_mistake_of_the_caller(
    cases: list[ExportedCase], stacks: list[Stack]
) -> None:
    said: list[str] = []
    assess(
        cases[0].rtstruct, [cases[0].rtdose], stacks[0], made_at=MADE_AT, progress=lambda what, *_: said.append(what)
    )

    assert {"read", "structures", "grids"} <= set(said)
    with pytest.raises(ValueError, match="fractions"):
        assess(
            cases[0].rtstruct, [cases[0].rtdose], stacks[0], made_at=MADE_AT, options=AssessOptions(fractions=(1, 2))
        )


def test_frames_are_never_related_by_guess(cases: list[ExportedCase], stacks: list[Stack]) -> None:
    with pytest.raises(NoRegistration):
        assessed(cases, stacks, registrations=())
    backwards = RigidTransform(np.eye(4), "1.2.3.4", stacks[0].frame_of_reference_uid)
    other = write_registration(
        RigidTransform(np.eye(4), *(s.frame_of_reference_uid for s in stacks)), *stacks, made_at=MADE_AT
    ).dataset
    for item in other.RegistrationSequence:
        if item.FrameOfReferenceUID == stacks[1].frame_of_reference_uid:
            item.FrameOfReferenceUID = backwards.source
    with pytest.raises(RegistrationRefused):
        assessed(cases, stacks, registrations=(other,))


@pytest.mark.data
@pytest.mark.slow
def test_a_real_case_moved_by_a_known_shift_is_registered(tmp_path: Path) -> None:
    from tests.conftest import data_folder

    folder = data_folder("openkbp")
    cases = [
        export_case(folder, "pt_201", tmp_path / "a"),
        export_case(folder, "pt_201", tmp_path / "b", course=2, shift_mm=(11.0, -6.5, 8.0)),
    ]
    stacks = [scan([c.ct[0].parent]).stacks[0] for c in cases]

    found = assessed(
        cases, stacks, registrations=(), register="rigid", site="nasopharynx", limits=limits_for("nasopharynx")
    )

    facts = found.courses[1]
    assert facts.quality is not None and facts.quality.inverse_consistency_mm < 3
    assert facts.quality.picture_png.startswith(b"\x89PNG")
    # The rings of the lower target doses are thin: a quarter of a millimetre costs them a tenth.
    assert min(facts.quality.structure_dice.values()) > 0.84
    assert facts.quality.structure_dice["SpinalCord"] > 0.92
    # Against the arrays: the same dose twice, where nothing falls outside.
    truth = read_rtdose(cases[0].rtdose)
    cord = found.structure("SpinalCord")
    assert cord is not None
    # Of the cord 8 % lie below the dose grid, so it has no mean; its hot part is inside.
    assert cord.physical.metric("D2%") == pytest.approx(2 * cord.courses[0].metric("D2%"), rel=0.02)
    parotid = found.structure("Parotid_L")
    assert parotid is not None
    assert parotid.physical.metric("Dmean") == pytest.approx(2 * parotid.courses[0].metric("Dmean"), abs=0.3)
    assert found.grids.physical.volume.dose_gy.max() == pytest.approx(2 * truth.dose_gy.max(), rel=0.01)
    assert not found.is_qualitative
    assert set(found.registrations) == {facts.registration_uid}


@pytest.mark.parametrize("wrong_mm", [400.0, -7000.0])
def test_a_registration_that_moves_the_doses_apart_is_refused(
    cases: list[ExportedCase], stacks: list[Stack], wrong_mm: float
) -> None:
    with pytest.raises(DosesApart, match="no point of the image in common"):
        assessed(cases, stacks, wrong_mm=wrong_mm)


def test_dose_where_not_all_doses_are_known_is_told_and_not_shown(
    cases: list[ExportedCase], stacks: list[Stack]
) -> None:
    whole, partly = (assessed(cases, stacks, wrong_mm=mm) for mm in (0.0, 12.0))

    told = [[w for w in found.warnings if "not all doses are known" in w] for found in (whole, partly)]

    assert [len(t) for t in told] == [0, 1]
    assert warning_words(told[1][0])[0] != told[1][0]
    is_known = partly.grids.physical.is_known
    assert np.array_equal(np.isfinite(sum_layer(partly).dose.dose_gy), is_known)
    assert not is_known.all()
