"""A site with two courses in its store, and with their sum finished, for tests of the dose pages."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.uid import UID
from sqlalchemy import Engine

from contouring.dose.registration_write import write_registration
from contouring.dose.transform import RigidTransform
from dicom_gateway.dose import record
from dicom_gateway.dose.candidates import PatientDoses, doses_of
from dicom_gateway.dose.choice import complete, propose
from dicom_gateway.dose.work import DoseJob, make
from dicom_gateway.dose.workflow import pages_folder
from dicom_gateway.settings import Settings
from dicom_gateway.settings.model import Store as StoreSettings
from dicom_gateway.settings.model import Web
from dicom_gateway.store import Store, open_engine
from imaging.provenance import deterministic_uid
from imaging.series import Stack, scan
from tests.reports.dose_case import two_courses
from tests.synthetic.series import write_series

__all__ = ["DoseSite", "dose_site", "dose_site_of_three_frames", "dose_site_of_two_frames", "registration"]


class DoseSite:
    """Settings, engine and store; `sum_id` once `make` has run."""

    def __init__(self, root: Path, token_file: Path | None = None) -> None:
        self.root = root
        self.settings = Settings(store=StoreSettings(root=root / "store"), web=Web(token_file=token_file))
        self.engine: Engine = open_engine(self.settings)
        self.store = Store(root / "store", self.engine)
        self.study_uid = self.sum_id = ""

    def receive(self, files: list[Path]) -> None:
        """Store files as a sender's."""
        for file in files:
            receipt = self.store.receive(file.read_bytes(), peer="CT1")
            assert receipt.kind == "stored", receipt
            self.study_uid = receipt.study_uid

    @property
    def patient(self) -> PatientDoses:
        """What the patient has."""
        return doses_of(self.engine, self.store, self.study_uid)

    @property
    def pages(self) -> Path:
        """Folder of the page's arrays."""
        return pages_folder(self.settings, self.sum_id)

    def make(self) -> None:
        """Ask for the proposed sum and make it."""
        proposed = propose(self.patient)
        assert proposed is not None
        record.keep_proposal(self.engine, proposed)
        self.sum_id = record.ask(self.engine, complete(self.patient, proposed.doses, site="conventional"))
        self.work()

    def work(self) -> None:
        """Make the sum that was asked for."""
        row = record.row_of(self.engine, self.sum_id)
        assert row is not None
        folder = self.root / "work"
        make(DoseJob(row, folder, self.pages, self.settings, self.engine, self.store, lambda _: None))
        record.set_state(self.engine, self.sum_id, "DELIVERED")


@contextmanager
def dose_site(root: Path, token_file: Path | None = None) -> Iterator[DoseSite]:
    """A site with the objects of two courses; the engine is closed when the block ends."""
    case = root / "case"
    case.mkdir(parents=True)
    site = DoseSite(root, token_file)
    try:
        site.receive(two_courses(case).files)
        yield site
    finally:
        site.engine.dispose()


@contextmanager
def dose_site_of_two_frames(
    root: Path, moved_mm: Sequence[Sequence[float]], token_file: Path | None = None
) -> Iterator[DoseSite]:
    """As `dose_site`, with the first dose in the frame of another image, and a registration for each shift."""
    folder = root / "case"
    folder.mkdir(parents=True)
    case = two_courses(folder)
    write_series(folder / "other", study_seed=5)
    stacks = scan([case.images]).stacks[0], scan([folder / "other"]).stacks[0]
    dose = dcmread(case.doses[0])
    dose.FrameOfReferenceUID = stacks[1].frame_of_reference_uid
    dose.save_as(case.doses[0])
    objects = [registration(folder, stacks, n, shift) for n, shift in enumerate(moved_mm, start=1)]
    site = DoseSite(root, token_file)
    try:
        site.receive([*sorted((folder / "other").glob("*.dcm")), *objects, *case.files])
        yield site
    finally:
        site.engine.dispose()


@contextmanager
def dose_site_of_three_frames(root: Path, moved_mm: Sequence[tuple[int, Sequence[float]]]) -> Iterator[DoseSite]:
    """As `dose_site_of_two_frames`, with a third dose in a third frame; each shift with the frame that it leads to."""
    folder = root / "case"
    folder.mkdir(parents=True)
    case = two_courses(folder)
    stacks = [scan([case.images]).stacks[0]]
    for number, seed in ((1, 5), (2, 6)):
        for file in write_series(folder / f"other{number}", study_seed=seed):
            image = dcmread(file)
            image.PatientID = stacks[0].header.PatientID
            image.save_as(file)
        stacks.append(scan([folder / f"other{number}"]).stacks[0])
    first, third = dcmread(case.doses[0]), dcmread(case.doses[0])
    first.FrameOfReferenceUID, third.FrameOfReferenceUID = (s.frame_of_reference_uid for s in stacks[1:])
    third.SOPInstanceUID = third.file_meta.MediaStorageSOPInstanceUID = UID(deterministic_uid("third dose", 1))
    third.SeriesInstanceUID = UID(deterministic_uid("third dose series", 1))
    third.ReferencedRTPlanSequence[0].ReferencedSOPInstanceUID = UID(deterministic_uid("third plan", 1))
    third.SeriesDescription = "第三程"
    first.save_as(case.doses[0])
    third.save_as(folder / "dose3.dcm")
    objects = [registration(folder, (stacks[0], stacks[to]), n, shift) for n, (to, shift) in enumerate(moved_mm, 1)]
    site = DoseSite(root)
    try:
        others = [f for n in (1, 2) for f in sorted((folder / f"other{n}").glob("*.dcm"))]
        site.receive([*others, *objects, folder / "dose3.dcm", *case.files])
        yield site
    finally:
        site.engine.dispose()


def registration(folder: Path, stacks: tuple[Stack, Stack], number: int, shift_mm: Sequence[float]) -> Path:
    """A registration of a second image to the first one, made on a day of its own."""
    matrix = np.eye(4)
    matrix[:3, 3] = shift_mm
    transform = RigidTransform(matrix, stacks[0].frame_of_reference_uid, stacks[1].frame_of_reference_uid)
    written = write_registration(transform, *stacks, made_at=datetime(2026, 3, number, 9, 40 + number))
    ds = written.dataset
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = UID(deterministic_uid("registration", number))
    ds.SeriesInstanceUID = UID(deterministic_uid("registration series", number))
    ds.SeriesDescription, ds.ContentDescription = f"配准 {number}", f"第 {number} 次"
    ds.save_as(folder / f"reg{number}.dcm", enforce_file_format=True)
    return folder / f"reg{number}.dcm"
