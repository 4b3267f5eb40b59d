"""What the dose pages show: what a patient has, what was proposed, asked for and made, and who has the objects."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from contouring.dose.limits import sites
from dicom_gateway.dose.candidates import PatientDoses, RegistrationCandidate, doses_of
from dicom_gateway.dose.record import DoseRow, rows_of_studies
from dicom_gateway.dose.ways import objects_between
from dicom_gateway.store.tables import delivery, encoded_object, study
from dicom_gateway.web.pages import dicom_date
from dicom_gateway.web.site import Site

__all__ = ["DoseView", "list_rows", "read_dose"]

HIDDEN = ("ACCEPTED", "DISMISSED")
"""Proposals that somebody has dealt with."""


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

    def registrations(self, row: DoseRow) -> tuple[RegistrationCandidate, ...]:
        """The objects that relate the frames of a sum, the newest first; none where there is one frame only."""
        frame = next((i.frame_uid for i in self.patient.images if i.series_uid == row.choice.series), "")
        doses = [self.patient.dose(uid) for uid in row.choice.doses]
        foreign = sorted({d.frame_uid for d in doses if d is not None} - {frame})
        return objects_between(self.patient, frame, foreign) if frame and foreign else ()

    def registration(self, row: DoseRow) -> RegistrationCandidate | None:
        """The object that a sum rests on."""
        return next((r for r in self.patient.registrations if r.sop_uid == row.choice.registration), None)

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
