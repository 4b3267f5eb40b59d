"""What a patient has that a sum of doses can be made of: doses, plans, structure sets, images, registrations.

Only received objects count: what radgate added up itself is never added again.
"""

from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.uid import (
    DeformableSpatialRegistrationStorage,
    RTDoseStorage,
    RTIonPlanStorage,
    RTPlanStorage,
    RTStructureSetStorage,
    SpatialRegistrationStorage,
)
from sqlalchemy import Connection, Engine, select

from contouring.dose.errors import DoseError
from contouring.dose.rtplan import PlanFacts, read_rtplan
from contouring.dose.transform import Registration, read_registration
from dicom_gateway.errors import UnknownObject
from dicom_gateway.store.store import Store
from dicom_gateway.store.tables import instance, series, study
from imaging.attributes import text
from imaging.errors import ImagingError
from imaging.headers import read_header
from imaging.labels import label_of

__all__ = ["DoseCandidate", "ImageCandidate", "PatientDoses", "RegistrationCandidate", "StructureCandidate", "doses_of"]

IMAGES = ("CT", "MR", "PT")
PLANS = (RTPlanStorage, RTIonPlanStorage)
REGISTRATIONS = (SpatialRegistrationStorage, DeformableSpatialRegistrationStorage)
SUMS = ("MULTI_PLAN", "PLAN_OVERVIEW")
WHOLE_PLAN = ("PLAN", *SUMS)


@dataclass(frozen=True)
class DoseCandidate:
    """An RTDOSE. Holds patient data (the label).

    Parameters
    ----------
    sop_uid, study_uid, frame_uid
        The object, its study, its frame of reference.
    date
        Date and time of the study, then when it was received: what comes later sorts later.
    label, fractions, prescription_gy
        Of its plan, where it is there.
    plan_uids
        Plans that it names.
    reason
        Why it cannot be added; "" where it can.
    """

    sop_uid: str
    study_uid: str
    frame_uid: str
    date: tuple[str, str, float]
    label: str
    fractions: int | None
    prescription_gy: float | None
    plan_uids: tuple[str, ...]
    reason: str = ""


@dataclass(frozen=True)
class StructureCandidate:
    """An RTSTRUCT: frames that it lies in, and image series that it names."""

    sop_uid: str
    study_uid: str
    date: tuple[str, str, float]
    label: str
    frame_uids: tuple[str, ...]
    series_uids: tuple[str, ...]


@dataclass(frozen=True)
class ImageCandidate:
    """An image series."""

    series_uid: str
    study_uid: str
    frame_uid: str
    modality: str
    description: str


@dataclass(frozen=True)
class RegistrationCandidate:
    """A registration object and the frames that it relates.

    Parameters
    ----------
    sop_uid, frame_uids
        The object; the frames of reference that it relates.
    name, description
        Of its series and its content, for a person to tell it from others.
    date, time
        When it was made, else of its study; "" where it does not say.
    registered_uid
        Of a deformable one, which leads one way: the frame that it leads from. "" of a rigid one.
    rigid
        Its matrices; None of a deformable one, and of one that cannot be used.
    """

    sop_uid: str
    frame_uids: frozenset[str]
    name: str = ""
    description: str = ""
    date: str = ""
    time: str = ""
    registered_uid: str = ""
    rigid: Registration | None = None

    @property
    def is_deformable(self) -> bool:
        """Whether it carries a deformation."""
        return bool(self.registered_uid)


@dataclass(frozen=True)
class PatientDoses:
    """Everything of one patient, the oldest first."""

    doses: tuple[DoseCandidate, ...]
    structures: tuple[StructureCandidate, ...]
    images: tuple[ImageCandidate, ...]
    registrations: tuple[RegistrationCandidate, ...]
    plan_structures: dict[str, tuple[str, ...]]

    def dose(self, sop_uid: str) -> DoseCandidate | None:
        """The dose with this UID."""
        return next((d for d in self.doses if d.sop_uid == sop_uid), None)


def doses_of(engine: Engine, store: Store, study_uid: str) -> PatientDoses:
    """What the patient of a study has; objects that cannot be read are left out."""
    with engine.connect() as connection:
        studies = _studies_of_patient(connection, study_uid)
        rows = connection.execute(
            select(instance.c.sop_uid, instance.c.study_uid, instance.c.sop_class_uid, instance.c.sha256,
                   instance.c.received).where(
                instance.c.study_uid.in_(studies), instance.c.origin == "received",
                instance.c.sop_class_uid.in_((RTDoseStorage, RTStructureSetStorage, *PLANS, *REGISTRATIONS)),
            )
        ).all()  # fmt: skip
        images = connection.execute(
            select(series).where(series.c.study_uid.in_(studies), series.c.modality.in_(IMAGES))
        ).mappings().all()  # fmt: skip
    plans: dict[str, PlanFacts] = {}
    plan_structures: dict[str, tuple[str, ...]] = {}
    read: list[tuple[str, tuple[str, str, float], str, Dataset]] = []
    for row in rows:
        header = _header(store, row.sha256)
        if header is None:
            continue
        if row.sop_class_uid in PLANS:
            plan = _plan(header)
            if plan is not None:
                plans[row.sop_uid] = plan
                plan_structures[row.sop_uid] = _referenced(header, "ReferencedStructureSetSequence")
        else:
            date = (text(header, "StudyDate"), text(header, "StudyTime"), float(row.received))
            read.append((row.sop_class_uid, date, row.study_uid, header))
    read.sort(key=lambda r: r[1])
    return PatientDoses(
        doses=tuple(_dose(h, uid, date, plans) for kind, date, uid, h in read if kind == RTDoseStorage),
        structures=tuple(_structures(h, uid, date) for kind, date, uid, h in read if kind == RTStructureSetStorage),
        images=tuple(
            ImageCandidate(r["series_uid"], r["study_uid"], r["frame_of_reference_uid"] or "", r["modality"] or "",
                           r["series_description"] or "")
            for r in images
        ),
        registrations=tuple(_registration(h) for kind, _, _, h in read if kind in REGISTRATIONS),
        plan_structures=plan_structures,
    )  # fmt: skip


def _studies_of_patient(connection: Connection, study_uid: str) -> list[str]:
    """Studies of the same patient id (and birth date, where both have one); of a patient without id this study."""
    own = connection.execute(select(study).where(study.c.study_uid == study_uid)).mappings().first()
    if own is None or not own["patient_id"]:
        return [study_uid]
    rows = connection.execute(
        select(study.c.study_uid, study.c.patient_birth_date).where(study.c.patient_id == own["patient_id"])
    )
    born = own["patient_birth_date"]
    return [r.study_uid for r in rows if not born or not r.patient_birth_date or r.patient_birth_date == born]


def _header(store: Store, sha256: str) -> Dataset | None:
    try:
        return read_header(_path(store, sha256)).dataset
    except (ImagingError, UnknownObject):
        return None


def _path(store: Store, sha256: str) -> Path:
    return store.path(sha256)


def _plan(header: Dataset) -> PlanFacts | None:
    try:
        return read_rtplan(header)
    except DoseError:
        return None


def _dose(header: Dataset, study_uid: str, date: tuple[str, str, float], plans: dict[str, PlanFacts]) -> DoseCandidate:
    named = _referenced(header, "ReferencedRTPlanSequence")
    given = [plans[uid] for uid in named if uid in plans]
    # What one of several plans says does not hold for their sum.
    is_sum = text(header, "DoseSummationType").strip().upper() in SUMS or len(set(named)) > 1
    plan = given[0] if given and not is_sum else None
    fractions = None
    if plan is not None:
        counts = [n for n in plan.fractions.values() if n]
        fractions = counts[0] if len(counts) == 1 else None
    return DoseCandidate(
        sop_uid=text(header, "SOPInstanceUID"),
        study_uid=study_uid,
        frame_uid=text(header, "FrameOfReferenceUID"),
        date=date,
        label=plan.label if plan is not None else label_of(header, "SeriesDescription"),
        fractions=fractions,
        prescription_gy=plan.prescription_gy if plan is not None else None,
        plan_uids=named,
        reason=_unfit(header, given),
    )


def _unfit(header: Dataset, plans: list[PlanFacts]) -> str:
    """Why a dose stays out of a sum."""
    if text(header, "DoseUnits").strip().upper() != "GY":
        return "The dose is not in Gy; export it as absolute dose."
    if text(header, "DoseType").strip().upper() != "PHYSICAL":
        return "The dose is not physical; only physical doses can be added."
    if text(header, "DoseSummationType").strip().upper() not in WHOLE_PLAN:
        return "The dose is not that of a whole plan; export the dose of the plan."
    if any(plan.needs_rbe for plan in plans):
        return "The plan is of protons, ions or brachytherapy; its dose does not add to photons' by itself."
    return ""


def _structures(header: Dataset, study_uid: str, date: tuple[str, str, float]) -> StructureCandidate:
    frames = list(header.get("ReferencedFrameOfReferenceSequence") or ())
    found = [text(f, "FrameOfReferenceUID") for f in frames]
    found += [text(r, "ReferencedFrameOfReferenceUID") for r in header.get("StructureSetROISequence") or ()]
    images = [
        text(s, "SeriesInstanceUID")
        for f in frames
        for t in f.get("RTReferencedStudySequence") or ()
        for s in t.get("RTReferencedSeriesSequence") or ()
    ]
    label = label_of(header, "StructureSetLabel")
    return StructureCandidate(
        text(header, "SOPInstanceUID"), study_uid, date, label, tuple(dict.fromkeys(f for f in found if f)),
        tuple(dict.fromkeys(s for s in images if s)),
    )  # fmt: skip


def _registration(header: Dataset) -> RegistrationCandidate:
    items = [*(header.get("RegistrationSequence") or ()), *(header.get("DeformableRegistrationSequence") or ())]
    registered = text(header, "FrameOfReferenceUID")
    frames = {registered} | {text(i, "FrameOfReferenceUID") or text(i, "SourceFrameOfReferenceUID") for i in items}
    is_deformable = text(header, "SOPClassUID") == DeformableSpatialRegistrationStorage
    named = [label_of(header, k) for k in ("SeriesDescription", "ContentDescription", "ContentLabel")]
    told = list(dict.fromkeys(n for n in named if n))
    kind = next((k for k in ("Content", "Series", "Study") if text(header, f"{k}Date")), "Content")
    return RegistrationCandidate(
        sop_uid=text(header, "SOPInstanceUID"),
        frame_uids=frozenset(f for f in frames if f),
        name=told[0] if told else "",
        description=", ".join(told[1:]),
        date=text(header, f"{kind}Date"),
        time=text(header, f"{kind}Time"),
        registered_uid=registered if is_deformable else "",
        rigid=None if is_deformable else _rigid(header),
    )


def _rigid(header: Dataset) -> Registration | None:
    try:
        return read_registration(header)
    except DoseError:
        return None


def _referenced(header: Dataset, keyword: str) -> tuple[str, ...]:
    return tuple(u for u in (text(i, "ReferencedSOPInstanceUID") for i in header.get(keyword) or ()) if u)
