"""What the store answers: a receipt for what came in, and rows of the index."""

from dataclasses import dataclass

__all__ = ["InstanceRow", "QuarantineRow", "Receipt", "SeriesRow", "StudyRow"]


@dataclass(frozen=True)
class Receipt:
    """What became of an object that was handed to the store.

    Parameters
    ----------
    kind
        "stored", "duplicate" (the same object again), "conflict" (contradicts one that is there; in quarantine) or
        "unreadable" (in quarantine).
    sop_uid, series_uid, study_uid
        As far as they are known.
    sha256
        Digest of the object in the store; for a duplicate, of the one that was there.
    reason
        Code of what is wrong, or empty.
    message
        The same as a sentence for people, without patient data.
    peer, association, origin
        As given.
    received
        UTC seconds since the epoch.
    """

    kind: str
    sop_uid: str
    series_uid: str
    study_uid: str
    sha256: str
    reason: str = ""
    message: str = ""
    peer: str = ""
    association: str = ""
    origin: str = "received"
    received: float = 0.0


@dataclass(frozen=True)
class InstanceRow:
    """One object of the index; columns as in `dicom_gateway.store.tables`."""

    sop_uid: str
    series_uid: str
    study_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    sha256: str
    size_bytes: int
    instance_number: int | None
    rows: int | None
    columns: int | None
    number_of_frames: int | None
    origin: str
    peer: str | None
    association: str | None
    copies: int
    received: float


@dataclass(frozen=True)
class SeriesRow:
    """One series of the index."""

    series_uid: str
    study_uid: str
    modality: str | None
    series_number: int | None
    series_description: str | None
    body_part: str | None
    frame_of_reference_uid: str | None
    first_received: float
    last_received: float


@dataclass(frozen=True)
class StudyRow:
    """One study of the index. Holds patient data: for pages and DICOMweb only."""

    study_uid: str
    patient_name: str | None
    patient_id: str | None
    patient_birth_date: str | None
    patient_sex: str | None
    accession_number: str | None
    study_id: str | None
    study_date: str | None
    study_time: str | None
    study_description: str | None
    referring_physician: str | None
    first_received: float
    last_received: float


@dataclass(frozen=True)
class QuarantineRow:
    """One object that a person has to look at."""

    id: int
    sha256: str
    size_bytes: int
    reason: str
    message: str
    sop_uid: str | None
    study_uid: str | None
    peer: str | None
    received: float
    settled: float | None
