"""Which doses make a sum: proposals by rule, refusals in one sentence, nothing by guess."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import UID

from contouring.dose.errors import DoseError
from dicom_gateway.dose import record
from dicom_gateway.dose.candidates import (
    DoseCandidate,
    ImageCandidate,
    PatientDoses,
    RegistrationCandidate,
    StructureCandidate,
)
from dicom_gateway.dose.choice import DoseChoice, complete, propose
from dicom_gateway.dose.work import DoseJob, make
from dicom_gateway.errors import DoseChoiceRefused
from imaging.provenance import deterministic_uid
from tests.dicom_gateway.dose_site import DoseSite, dose_site


def dose(number: int, frame: str = "f1", **changes: object) -> DoseCandidate:
    made = DoseCandidate(
        f"d{number}", "s1", frame, (f"2026010{number}", "", float(number)), f"plan {number}", 30, 60.0, (f"p{number}",)
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def patient(**changes: object) -> PatientDoses:
    made = PatientDoses(
        doses=(dose(1), dose(2)),
        structures=(StructureCandidate("r1", "s1", ("20260101", "", 1.0), "set", ("f1",), ("i1",)),),
        images=(ImageCandidate("i1", "s1", "f1", "CT", ""),),
        registrations=(),
        plan_structures={},
    )
    return replace(made, **changes)  # type: ignore[arg-type]


OTHER_FRAME = {"doses": (dose(1, "f2"), dose(2))}


def test_the_newest_dose_is_proposed_with_the_one_before() -> None:
    found = propose(patient(doses=(dose(1), dose(2), dose(3))))

    assert found is not None
    assert found.doses == ("d2", "d3")
    assert (found.structures, found.series, found.register) == ("r1", "i1", "")


def test_a_dose_that_is_unfit_or_of_the_same_plan_is_passed_by() -> None:
    unfit = dose(2, reason="The dose is not in Gy; export it as absolute dose.")
    again = dose(4, plan_uids=("p3",))

    found = propose(patient(doses=(dose(1), unfit, dose(3), again)))

    assert found is not None
    assert found.doses == ("d1", "d4")


@pytest.mark.parametrize(
    "changes",
    [
        {"doses": (dose(1),)},
        {"structures": ()},
        {"images": ()},
        {"doses": (dose(1), dose(2, plan_uids=("p1",)))},
        {"doses": (dose(1, "f2"), dose(2))},
    ],
)
def test_without_two_plans_structures_images_or_a_way_between_frames_nothing_is_proposed(
    changes: dict[str, object],
) -> None:
    assert propose(patient(**changes)) is None


def test_frames_are_joined_by_an_object_before_anything_is_computed() -> None:
    image = ImageCandidate("i2", "s0", "f2", "CT", "")
    both = patient(**OTHER_FRAME, images=(*patient().images, image))
    with_object = replace(both, registrations=(RegistrationCandidate("g1", frozenset({"f1", "f2"})),))

    computed, joined = propose(both), propose(with_object)

    assert computed is not None
    assert (computed.register, computed.others, computed.registrations) == ("rigid", ("i2",), ())
    assert joined is not None
    assert (joined.register, joined.others, joined.registrations) == ("", (), ("g1",))


def test_structures_of_the_other_frame_serve_the_bounds() -> None:
    other = StructureCandidate("r0", "s0", ("20250101", "", 0.5), "old", ("f2",), ("i2",))
    images = (*patient().images, ImageCandidate("i2", "s0", "f2", "CT", ""))

    found = propose(patient(**OTHER_FRAME, images=images, structures=(other, *patient().structures)))

    assert found is not None
    assert (found.structures, found.other_structures) == ("r1", ("r0",))


def test_the_structure_set_of_the_plan_goes_before_others_of_its_frame() -> None:
    sets = tuple(StructureCandidate(f"r{n}", "s1", ("2026", "", float(n)), "", ("f1",), ("i1",)) for n in (1, 2, 3))

    newest = propose(patient(structures=sets))
    planned = propose(patient(structures=sets, plan_structures={"p2": ("r2",)}))

    assert newest is not None
    assert newest.structures == "r3"
    assert planned is not None
    assert planned.structures == "r2"


@pytest.mark.parametrize(
    ("doses", "sentence"),
    [
        (("d1",), "two doses or more"),
        (("d1", "d1"), "two doses or more"),
        (("d1", "d9"), "not there"),
        (("d1", "d3"), "not in Gy"),
        (("d1", "d4"), "same plan"),
    ],
)
def test_a_choice_that_makes_no_sum_is_refused_in_a_sentence(doses: tuple[str, ...], sentence: str) -> None:
    unfit = dose(3, reason="The dose is not in Gy; export it as absolute dose.")
    there = patient(doses=(dose(1), dose(2), unfit, dose(4, plan_uids=("p1",))))

    with pytest.raises(DoseChoiceRefused, match=sentence):
        complete(there, doses)


def test_a_choice_survives_json_and_its_id_follows_from_it_alone() -> None:
    choice = complete(patient(), ("d1", "d2"), fractions=(30, None), site="lung")

    again = DoseChoice.from_json(choice.to_json())

    assert again == choice
    assert again.id == choice.id
    assert replace(choice, fractions=(29, None)).id != choice.id
    assert replace(choice, fractions=(29, None)).proposal_id == choice.proposal_id


def test_a_stated_alpha_beta_makes_another_sum_and_none_leaves_the_digest_of_older_ones() -> None:
    choice = complete(patient(), ("d1", "d2"))
    stated = complete(patient(), ("d1", "d2"), alpha_beta={"SpinalCord": 2.5})

    assert stated.id != choice.id
    assert DoseChoice.from_json(stated.to_json()) == stated
    assert "alpha_beta" not in choice.to_json()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[DoseSite]:
    with dose_site(tmp_path / "site") as made:
        yield made


def test_the_candidates_of_a_patient_are_read_from_the_store(site: DoseSite) -> None:
    found = site.patient

    assert [(d.label, d.fractions, d.prescription_gy, d.reason) for d in found.doses] == [
        ("plan 1", 33, 66.0, ""),
        ("plan 2", 20, 40.0, ""),
    ]
    assert len(found.structures) == len(found.images) == 1
    assert found.structures[0].series_uids == (found.images[0].series_uid,)
    assert found.structures[0].frame_uids == (found.doses[0].frame_uid,)


def test_a_dose_of_several_plans_has_what_none_of_them_says(site: DoseSite) -> None:
    ds = dcmread(site.root / "case" / "dose1.dcm")
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = UID(deterministic_uid("of several", 1))
    (plan,) = ds.ReferencedRTPlanSequence
    other = Dataset()
    other.ReferencedSOPClassUID, other.ReferencedSOPInstanceUID = plan.ReferencedSOPClassUID, "1.2.3"
    ds.ReferencedRTPlanSequence = [plan, other]
    ds.SeriesDescription = "both"
    ds.save_as(site.root / "several.dcm")

    site.receive([site.root / "several.dcm"])

    (found,) = [d for d in site.patient.doses if d.sop_uid == ds.SOPInstanceUID]
    assert (found.label, found.fractions, found.prescription_gy, found.reason) == ("both", None, None, "")


def test_what_cannot_be_added_says_why(site: DoseSite) -> None:
    file = site.root / "case" / "dose1.dcm"
    for number, (changes, sentence) in enumerate([
        ({"DoseUnits": "RELATIVE"}, "not in Gy"),
        ({"DoseType": "EFFECTIVE"}, "not physical"),
        ({"DoseSummationType": "FRACTION"}, "whole plan"),
    ]):
        ds = dcmread(file)
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = UID(deterministic_uid("unfit", number))
        for keyword, value in changes.items():
            setattr(ds, keyword, value)
        ds.save_as(site.root / "unfit.dcm")
        site.receive([site.root / "unfit.dcm"])

        reasons = [d.reason for d in site.patient.doses if d.sop_uid == ds.SOPInstanceUID]

        assert len(reasons) == 1
        assert sentence in reasons[0]
    assert propose(site.patient) is not None, "the two good ones still make a sum"


OFFSETS_OF_NOTHING = [7.0, 9.5, 12.0]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"DoseGridScaling": None}, "DoseGridScaling"),
        ({"GridFrameOffsetVector": None}, "GridFrameOffsetVector"),
        ({"GridFrameOffsetVector": OFFSETS_OF_NOTHING}, "GridFrameOffsetVector"),
    ],
)
def test_a_dose_that_cannot_be_placed_or_scaled_is_refused_in_a_sentence(
    site: DoseSite, changes: dict[str, object], sentence: str
) -> None:
    ds = dcmread(site.root / "case" / "dose1.dcm")
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = UID(deterministic_uid("unfit", 9))
    for keyword, value in changes.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    ds.save_as(site.root / "unfit.dcm")
    other = site.patient.doses[1].sop_uid
    site.receive([site.root / "unfit.dcm"])
    row = record.row_of(site.engine, record.ask(site.engine, complete(site.patient, (other, ds.SOPInstanceUID))))
    assert row is not None
    job = DoseJob(row, site.root / "work", site.root / "pages", site.settings, site.engine, site.store, lambda _: None)

    with pytest.raises(DoseError, match=sentence) as refused:
        make(job)

    assert refused.value.message.endswith(".") and len(refused.value.message.splitlines()) == 1
    assert not (site.root / "pages").exists()


def test_another_patient_s_dose_is_no_candidate(site: DoseSite) -> None:
    ds = dcmread(site.root / "case" / "dose1.dcm")
    ds.PatientID = "SOMEONE-ELSE"
    ds.StudyInstanceUID = deterministic_uid("other study", 1)
    ds.SeriesInstanceUID = deterministic_uid("other series", 1)
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = UID(deterministic_uid("other", 1))
    ds.save_as(site.root / "other.dcm")
    study_uid = site.study_uid

    site.receive([site.root / "other.dcm"])
    site.study_uid = study_uid

    assert len(site.patient.doses) == 2


def test_a_proposal_is_made_once_and_taken_up_or_dismissed(site: DoseSite) -> None:
    choice = propose(site.patient)
    assert choice is not None

    assert record.keep_proposal(site.engine, choice)
    assert not record.keep_proposal(site.engine, choice)
    sum_id = record.ask(site.engine, replace(choice, site="lung"))

    states = {r.id: r.state for r in record.rows_of_studies(site.engine)}
    assert states == {choice.proposal_id: "ACCEPTED", sum_id: "QUEUED"}
    assert not record.keep_proposal(site.engine, choice), "what was taken up is not proposed again"
    record.set_state(site.engine, sum_id, "REFUSED", "A sentence.")
    assert record.ask(site.engine, replace(choice, site="lung")) == sum_id
    row = record.row_of(site.engine, sum_id)
    assert row is not None
    assert (row.state, row.reason) == ("QUEUED", "")
