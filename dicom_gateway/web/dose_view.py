"""What the dose pages show: what a patient has, what was proposed, asked for and made, and who has the objects."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from contouring.dose.accumulate import letter_of
from contouring.dose.limits import sites
from dicom_gateway.dose.candidates import PatientDoses, RegistrationCandidate, doses_of
from dicom_gateway.dose.record import DoseRow, rows_of_studies
from dicom_gateway.dose.ways import agree, objects_between
from dicom_gateway.store.tables import delivery, encoded_object, study
from dicom_gateway.web.pages import dicom_date
from dicom_gateway.web.site import Site

__all__ = ["AskedFrame", "DoseView", "list_rows", "read_dose"]

HIDDEN = ("ACCEPTED", "DISMISSED")
"""Proposals that somebody has dealt with."""


@dataclass(frozen=True)
class AskedFrame:
    """A frame that doses lie in, and how it may come to that of the image. Holds patient data (the name).

    Parameters
    ----------
    uid, name
        The frame, and the doses in it.
    objects
        The registration objects that may be chosen for it, the newest first.
    chosen
        SOP instance UID of one of them, "rigid", "deformable", or "" where nothing is chosen.
    """

    uid: str
    name: str
    objects: tuple[RegistrationCandidate, ...]
    chosen: str = ""


@dataclass(frozen=True)
class DoseView:
    """The page of one study. Holds patient data."""

    study: Mapping[str, Any]
    patient: PatientDoses
    proposals: list[DoseRow]
    sums: list[DoseRow]
    shown: DoseRow | None
    objects: list[dict[str, Any]]
    sites: tuple[str, ...]

    def label(self, sop_uid: str) -> str:
        """What to call a dose."""
        dose = self.patient.dose(sop_uid)
        return dose.label if dose is not None and dose.label else "—"

    def asked(self, row: DoseRow) -> tuple["AskedFrame", ...]:
        """The frames of a sum's doses other than the image's, and how each comes to it."""
        choice = row.choice
        frame = next((i.frame_uid for i in self.patient.images if i.series_uid == choice.series), "")
        doses = [(letter_of(n), self.patient.dose(uid)) for n, uid in enumerate(choice.doses)]
        foreign = sorted({d.frame_uid for _, d in doses if d is not None} - {frame})
        found = []
        for other in foreign if frame else ():
            objects = objects_between(self.patient, frame, other)
            named = [f"{letter} · {d.label}" for letter, d in doses if d is not None and d.frame_uid == other]
            chosen = next((r.sop_uid for r in objects if r.sop_uid in choice.registrations), "")
            if row.state == "PROPOSED" and objects:
                # what is computed although there are objects is for a person to say, also in an old proposal
                chosen = chosen or (objects[0].sop_uid if agree(objects, frame, other) else "")
            elif not choice.is_open:
                chosen = chosen or choice.register
            found.append(AskedFrame(other, ", ".join(named), objects, chosen))
        return tuple(found)

    @property
    def frames(self) -> tuple["AskedFrame", ...]:
        """The frames that doses can be chosen from; none where one registration is enough to relate them all."""
        by_frame: dict[str, list[str]] = {}
        for dose in self.patient.doses:
            by_frame.setdefault(dose.frame_uid, []).append(f"{dose.label or '—'} ({dicom_date(dose.date[0])})")
        drawn = {frame for s in self.patient.structures for frame in s.frame_uids}
        if len(by_frame.keys() | drawn) < 3:
            return ()
        related = tuple(reversed(self.patient.registrations))
        return tuple(
            AskedFrame(frame, ", ".join(names), tuple(r for r in related if frame in r.frame_uids))
            for frame, names in by_frame.items()
        )

    def used(self, row: DoseRow) -> tuple[tuple[str, RegistrationCandidate], ...]:
        """The objects that a sum rests on, each with the doses that it brought to the image."""
        doses: dict[str, list[str]] = {}
        for frame in self.asked(row):
            doses.setdefault(frame.chosen, []).append(frame.name)
        there = {r.sop_uid: r for r in self.patient.registrations}
        return tuple((", ".join(doses.get(uid, ())), there[uid]) for uid in row.choice.registrations if uid in there)

    def names(self, row: DoseRow) -> str:
        """What to call a sum; with the dates of the doses where they have one name."""
        labels = [self.label(uid) for uid in row.choice.doses]
        if len(set(labels)) < len(labels):
            labels = [
                f"{label} ({dicom_date(dose.date[0])})" if (dose := self.patient.dose(uid)) and dose.date[0] else label
                for label, uid in zip(labels, row.choice.doses, strict=True)
            ]
        return " + ".join(labels)


def read_dose(site: Site, study_uid: str, sum_id: str = "") -> DoseView | None:
    """The page of a study with one of its patient's sums (the newest finished one by default); None without study."""
    with site.engine.connect() as connection:
        found = connection.execute(select(study).where(study.c.study_uid == study_uid)).mappings().first()
    if found is None:
        return None
    patient = doses_of(site.engine, site.store, study_uid)
    mine = {study_uid, *(d.study_uid for d in patient.doses), *(i.study_uid for i in patient.images)}
    rows = rows_of_studies(site.engine, sorted(mine))
    sums = [r for r in rows if r.state != "PROPOSED" and r.state not in HIDDEN]
    shown = next((r for r in sums if r.id == sum_id), None)
    if shown is None and not sum_id:
        shown = next((r for r in sums if r.is_finished), sums[0] if sums else None)
    with site.engine.connect() as connection:
        objects = [] if shown is None else _objects(connection, shown.id)
    return DoseView(
        study=dict(found),
        patient=patient,
        proposals=[r for r in rows if r.state == "PROPOSED"],
        sums=sums,
        shown=shown,
        objects=objects,
        sites=sites(),
    )


def list_rows(site: Site) -> list[dict[str, Any]]:
    """All sums and open proposals with their patients, the last changed first."""
    rows = [r for r in rows_of_studies(site.engine) if r.state not in HIDDEN]
    with site.engine.connect() as connection:
        names = connection.execute(
            select(study.c.study_uid, study.c.patient_name, study.c.patient_id, study.c.study_date).where(
                study.c.study_uid.in_({r.study_uid for r in rows})
            )
        ).mappings()
        people = {n["study_uid"]: dict(n) for n in names}
    return [{"row": r, **people.get(r.study_uid, {})} for r in rows]


def _objects(connection: Connection, sum_id: str) -> list[dict[str, Any]]:
    rows = connection.execute(
        select(encoded_object).where(encoded_object.c.result_id == sum_id).order_by(encoded_object.c.position)
    ).mappings()
    sends = (
        connection
        .execute(select(delivery).where(delivery.c.result_id == sum_id).order_by(delivery.c.destination))
        .mappings()
        .all()
    )
    return [{**row, "deliveries": [d for d in sends if d["sop_uid"] == row["sop_uid"]]} for row in rows]
