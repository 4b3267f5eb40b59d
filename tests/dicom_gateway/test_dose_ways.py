"""Which registration object a sum rests on: the only one, one of those that agree, or the one that a person chose."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
from pydicom import dcmread

from contouring.dose.patient import Patient
from contouring.dose.transform import Registration, RigidTransform
from dicom_gateway.dose import record
from dicom_gateway.dose.candidates import ImageCandidate, PatientDoses, RegistrationCandidate
from dicom_gateway.dose.choice import DoseChoice, complete, propose
from dicom_gateway.dose.ways import EVERY_FRAME, OBJECTS_DIFFER
from dicom_gateway.dose.work import DoseJob, make
from dicom_gateway.errors import DoseChoiceRefused
from dicom_gateway.web import create_app
from imaging.provenance import digest
from imaging.series import scan
from reports.dose.sentences import sentence_words
from tests.dicom_gateway.dose_site import DoseSite, dose_site_of_two_frames, registration
from tests.dicom_gateway.test_dose_choice import OTHER_FRAME, dose, patient
from tests.dicom_gateway.web_server import serving

SHIFT = (7.0, -4.0, 2.5)
FAULT = (7.0, 21.0, 2.5)
"""The same registration, 25 mm off."""


def rigid(
    name: str, shift: tuple[float, float, float], *, backwards: bool = False, others: tuple[str, ...] = ("f2",)
) -> RegistrationCandidate:
    matrix = np.eye(4)
    matrix[:3, 3] = shift
    moved = [RigidTransform(matrix, other, "f1") for other in others]
    moved = [moved[0].inverse()] if backwards else moved
    read = Registration(moved[0].target, tuple(moved), name, Patient("", "", "", ""))
    return RegistrationCandidate(name, read.frames, name, "", "20260301", "094100", rigid=read)


def deformation(name: str, registered: str = "f1", other: str = "f2") -> RegistrationCandidate:
    return RegistrationCandidate(name, frozenset({"f1", other}), name, registered_uid=registered)


def given(*objects: RegistrationCandidate) -> PatientDoses:
    image = ImageCandidate("i2", "s0", "f2", "CT", "")
    return patient(**OTHER_FRAME, images=(*patient().images, image), registrations=objects)


@pytest.mark.parametrize(
    "objects",
    [
        (rigid("g1", SHIFT), rigid("g2", FAULT)),
        (rigid("g1", SHIFT), rigid("g2", SHIFT, backwards=True), rigid("g3", FAULT)),
        (rigid("g1", SHIFT), deformation("g2")),
        (deformation("g1"), deformation("g2")),
        (rigid("g1", SHIFT), replace(rigid("g2", SHIFT), rigid=None)),
    ],
)
def test_objects_that_differ_are_never_chosen_from_by_rule(objects: tuple[RegistrationCandidate, ...]) -> None:
    there = given(*objects)

    with pytest.raises(DoseChoiceRefused, match="differ; choose the one to use"):
        complete(there, ("d1", "d2"))
    proposed = propose(there)

    assert proposed is not None
    assert (proposed.is_open, proposed.registrations, proposed.register) == (True, (), "")
    assert DoseChoice.from_json(proposed.to_json()) == proposed


def test_objects_that_say_the_same_are_one_whichever_way_they_lead() -> None:
    found = complete(given(rigid("g1", SHIFT), rigid("g2", SHIFT, backwards=True)), ("d1", "d2"))

    assert (found.registrations, found.is_open) == (("g2",), False)
    assert "is_open" not in found.to_json(), "older sums keep their digest"


def test_a_person_chooses_an_object_or_that_one_is_computed() -> None:
    there = given(rigid("g1", SHIFT), rigid("g2", FAULT))

    assert complete(there, ("d1", "d2"), ways={EVERY_FRAME: "g1"}).registrations == ("g1",)
    computed = complete(there, ("d1", "d2"), ways={"f2": "rigid"})
    assert (computed.registrations, computed.register, computed.others) == ((), "rigid", ("i2",))


def test_an_object_that_is_not_there_or_relates_other_frames_cannot_be_chosen() -> None:
    elsewhere = replace(rigid("g2", SHIFT), frame_uids=frozenset({"f2", "f9"}))
    there = given(rigid("g1", SHIFT), elsewhere, deformation("g3", registered="f2"))

    for wanted in ("g2", "g3", "g9"):
        with pytest.raises(DoseChoiceRefused, match="relates other frames"):
            complete(there, ("d1", "d2"), ways={EVERY_FRAME: wanted})
    assert complete(there, ("d1", "d2")).registrations == ("g1",), "what does not lead to the doses is no choice"


def three(*objects: RegistrationCandidate) -> PatientDoses:
    """The image in frame f1; doses in f2, f1 and f3."""
    images = (*patient().images, *(ImageCandidate(f"i{n}", "s0", f"f{n}", "CT", "") for n in (2, 3)))
    return patient(doses=(dose(1, "f2"), dose(2), dose(3, "f3")), images=images, registrations=objects)


ALL = ("d1", "d2", "d3")
PAIRS = (rigid("g2", SHIFT), rigid("g3", SHIFT, others=("f3",)))


def test_each_frame_takes_the_object_that_relates_it() -> None:
    found = complete(three(*PAIRS), ALL)

    assert (found.registrations, found.register, found.others, found.is_open) == (("g2", "g3"), "", (), False)
    assert DoseChoice.from_json(found.to_json()) == found
    assert complete(three(rigid("g4", SHIFT, others=("f2", "f3"))), ALL).registrations == ("g4",)
    newer = rigid("g4", SHIFT, others=("f2", "f3"))
    assert complete(three(*PAIRS, newer), ALL).registrations == ("g4",), "they agree"


def test_a_frame_whose_objects_differ_waits_for_a_person_while_others_do_not() -> None:
    there = three(*PAIRS, rigid("g9", FAULT, others=("f3",)))

    with pytest.raises(DoseChoiceRefused, match="differ; choose the one to use"):
        complete(there, ALL)
    proposed = complete(there, ALL, may_stay_open=True)
    chosen = complete(there, ALL, ways={"f3": "g9"})

    assert (proposed.is_open, proposed.registrations, proposed.register) == (True, (), "")
    assert proposed.waits_for == OBJECTS_DIFFER
    assert (chosen.registrations, chosen.is_open, chosen.waits_for) == (("g2", "g9"), False, "")


def test_nothing_is_computed_by_rule_where_another_frame_has_an_object() -> None:
    there = three(PAIRS[0])

    with pytest.raises(DoseChoiceRefused, match="no registration object for dose C, but for another") as refused:
        complete(there, ALL)
    proposed = complete(there, ALL, may_stay_open=True)
    one, every = complete(there, ALL, ways={"f3": "deformable"}), complete(there, ALL, ways={EVERY_FRAME: "rigid"})

    assert sentence_words(refused.value.message)[0].startswith("剂量 C 没有配准对象")
    assert (proposed.is_open, proposed.without_object) == (True, ("C",))
    assert proposed.waits_for == refused.value.message
    assert DoseChoice.from_json(proposed.to_json()) == proposed
    assert (one.registrations, one.register, one.others) == (("g2",), "deformable", ("i3",))
    assert (every.registrations, every.register, every.others) == ((), "rigid", ("i2", "i3"))
    assert complete(three(), ALL).register == "rigid", "no frame has an object"


@pytest.mark.parametrize(
    ("ways", "words"),
    [
        ({"f2": "g3"}, "relates other frames"),
        ({"f2": "g9"}, "relates other frames"),
        ({"f1": "g2"}, "in the frame of the image already"),
        ({"f2": "rigid", "f3": "deformable"}, "not both"),
        ({"f2": "both", "f3": "g3"}, "relates another dose too"),
        ({"f2": "both", "f3": "rigid"}, "relates another dose too"),
    ],
)
def test_a_choice_that_contradicts_itself_is_refused(ways: dict[str, str], words: str) -> None:
    there = three(*PAIRS, rigid("both", FAULT, others=("f2", "f3")))

    with pytest.raises(DoseChoiceRefused, match=words) as refused:
        complete(there, ALL, ways=ways)

    assert sentence_words(refused.value.message)[0] != refused.value.message, "it has Chinese words"


def test_a_choice_that_was_kept_with_one_object_still_reads_and_keeps_its_digest() -> None:
    kept = {
        "study_uid": "s1", "doses": ["d1", "d2"], "fractions": [30, None], "structures": "r1", "series": "i1",
        "registration": "g1", "register": "", "others": [], "other_structures": [], "site": "",
    }  # fmt: skip

    read = DoseChoice.from_json(kept)

    assert (read.registrations, read.register, read.is_open) == (("g1",), "", False)
    assert read.id == digest(["dose sum", kept])[:40]
    without = DoseChoice.from_json(kept | {"registration": ""})
    assert without.registrations == () and without.id == digest(["dose sum", kept | {"registration": ""}])[:40]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[DoseSite]:
    with dose_site_of_two_frames(tmp_path / "site", [SHIFT, FAULT]) as made:
        yield made


def test_the_objects_of_a_patient_are_read_with_name_and_date(site: DoseSite) -> None:
    told = {(r.name, r.description, r.date, r.time) for r in site.patient.registrations}

    assert told == {
        ("配准 1", "第 1 次, RIGID", "20260301", "094100"),
        ("配准 2", "第 2 次, RIGID", "20260302", "094200"),
    }


def test_a_proposal_with_two_registrations_waits_and_is_run_with_the_chosen_one(site: DoseSite) -> None:
    proposed = propose(site.patient)
    assert proposed is not None
    record.keep_proposal(site.engine, proposed)
    started: list[str] = []
    app = create_app(site.settings, site.engine, site.store, start_dose=started.append)
    with serving(app) as address, httpx.Client(base_url=address) as client:
        client.cookies.set("radgate_language", "en")
        assert OBJECTS_DIFFER in client.get("/dose").text
        page = client.get(f"/dose/{site.study_uid}").text
        form = page[page.index('class="proposal"') :]
        assert OBJECTS_DIFFER in form
        offered = dict(re.findall(r'<option value="([\d.]+)"( selected)?>配准 \d · 2026-03-0\d', form))
        assert len(offered) == 2 and not any(offered.values()), "none is chosen beforehand"
        proof = re.search(r'name="proof" value="(\w+)"', page)
        assert proof is not None
        fields = {"proof": proof[1], "dose": list(proposed.doses), "structures": proposed.structures}

        by_guess = client.post(f"/dose/{site.study_uid}/run", data=fields)
        assert by_guess.status_code == httpx.codes.UNPROCESSABLE_ENTITY
        assert OBJECTS_DIFFER in by_guess.text
        assert started == []

        right = next(r.sop_uid for r in site.patient.registrations if r.name == "配准 1")
        chosen = client.post(f"/dose/{site.study_uid}/run", data=fields | {"registration": right, "bed": "true"})
        assert chosen.status_code == httpx.codes.SEE_OTHER
    row = record.row_of(site.engine, started[0])
    assert row is not None
    assert (row.choice.registrations, row.choice.is_open, row.choice.bed) == ((right,), False, True)


def test_an_open_choice_is_not_run(site: DoseSite) -> None:
    proposed = propose(site.patient)
    assert proposed is not None
    row = record.row_of(site.engine, record.ask(site.engine, proposed))
    assert row is not None
    job = DoseJob(row, site.root / "work", site.root / "pages", site.settings, site.engine, site.store, lambda _: None)

    with pytest.raises(DoseChoiceRefused, match="choose the one to use"):
        make(job)

    assert not (site.root / "work").exists()


def test_a_waiting_proposal_changes_when_another_registration_comes(tmp_path: Path) -> None:
    with dose_site_of_two_frames(tmp_path / "site", [SHIFT]) as site:
        first = propose(site.patient)
        assert first is not None and first.registrations
        record.keep_proposal(site.engine, first)
        stacks = tuple(scan([site.root / "case" / n]).stacks[0] for n in ("images", "other"))
        file = registration(site.root, (stacks[0], stacks[1]), 2, FAULT)
        site.receive([file])

        second = propose(site.patient)
        assert second is not None
        assert not record.keep_proposal(site.engine, second), "it is the same proposal"

        row = record.row_of(site.engine, first.proposal_id)
        assert row is not None
        assert (row.choice.is_open, row.reason) == (True, OBJECTS_DIFFER)


def test_the_sum_rests_on_the_chosen_object_and_bed_is_written(site: DoseSite) -> None:
    found = site.patient
    doses = [d.sop_uid for d in found.doses]
    results = {}
    for name in ("配准 1", "配准 2"):
        wanted = next(r.sop_uid for r in found.registrations if r.name == name)
        row = record.row_of(
            site.engine, record.ask(site.engine, complete(found, doses, ways={EVERY_FRAME: wanted}, bed=True))
        )
        assert row is not None
        folder = site.root / name
        make(DoseJob(row, folder, site.root / f"{name} pages", site.settings, site.engine, site.store, lambda _: None))
        results[name] = json.loads((folder / "result.json").read_text())["assessment"]
        assert [c["registration_uid"] for c in results[name]["courses"] if c["registration_uid"]] == [wanted]
        comments = [dcmread(f).DoseComment for f in sorted(folder.glob("*rtdose.dcm"))]
        assert sum("BED" in c for c in comments) == sum("EQD2" in c for c in comments) > 0
    right, wrong = (
        next(s for s in results[name]["structures"] if s["structure"] == "PTV_7000")["physical"]["metrics"]["Dmean"]
        for name in results
    )
    assert abs(right - wrong) > 1.0, "25 mm are no detail"
