"""A site with two courses in its store, and with their sum finished, for tests of the dose pages."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine

from dicom_gateway.dose import record
from dicom_gateway.dose.candidates import PatientDoses, doses_of
from dicom_gateway.dose.choice import complete, propose
from dicom_gateway.dose.work import DoseJob, make
from dicom_gateway.dose.workflow import pages_folder
from dicom_gateway.settings import Settings
from dicom_gateway.settings.model import Store as StoreSettings
from dicom_gateway.settings.model import Web
from dicom_gateway.store import Store, open_engine
from tests.reports.dose_case import two_courses

__all__ = ["DoseSite", "dose_site"]


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
