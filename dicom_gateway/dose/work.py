"""The work on one sum: read what was chosen, assess, encode, check; everything left as files in the sum's folder."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydicom import dcmread
from sqlalchemy import Engine, select

from contouring.dose.assess import AssessOptions, assess
from contouring.dose.assessment import DoseAssessment
from contouring.dose.assessment_json import assessment_report
from contouring.dose.limits import limits_for, load_limits
from contouring.names import load_aliases
from dicom_gateway.dose.candidates import doses_of
from dicom_gateway.dose.page_data import keep_page_data
from dicom_gateway.dose.record import DoseRow
from dicom_gateway.errors import DoseChoiceRefused
from dicom_gateway.flow.journal import DatabaseJournal
from dicom_gateway.flow.kept import keep_bytes, keep_json
from dicom_gateway.settings import Settings
from dicom_gateway.store.store import Store
from dicom_gateway.store.tables import instance
from imaging.errors import NotAnImageStack
from imaging.series import Stack, scan
from reports.dose import DoseReport, dose_results
from reports.encode.encoded import EncodedObject

__all__ = ["DoseJob", "make"]


@dataclass(frozen=True)
class DoseJob:
    """One sum while it is worked on.

    Parameters
    ----------
    row
        What was asked for.
    folder
        Where the objects wait to be published.
    pages
        Where the page finds its arrays, for good.
    settings, engine, store
        As the service has opened them.
    tell
        Called with a word for what is being done.
    """

    row: DoseRow
    folder: Path
    pages: Path
    settings: Settings
    engine: Engine
    store: Store
    tell: Callable[[str], None]

    @property
    def created_at(self) -> datetime:
        """The time that stands in the objects."""
        return datetime.fromtimestamp(self.row.created, UTC)

    def file(self, sop_uid: str) -> Path:
        """File of a chosen object.

        Raises
        ------
        DoseChoiceRefused
            It is no longer there.
        """
        with self.engine.connect() as connection:
            sha256 = connection.execute(select(instance.c.sha256).where(instance.c.sop_uid == sop_uid)).scalar()
        if sha256 is None:
            raise DoseChoiceRefused("An object that was chosen is no longer in the store; send it again.")
        return self.store.path(sha256)

    def stack(self, series_uid: str) -> Stack:
        """The image of a series.

        Raises
        ------
        NotAnImageStack
            The series makes no image, or several.
        """
        rows = self.store.instances(series_uid=series_uid, origin="received")
        found = scan([self.store.path(r.sha256) for r in rows])
        if len(found.stacks) != 1:
            reason = found.leftovers[0].reason.message if found.leftovers else "send it again as one image."
            raise NotAnImageStack(f"The series makes {len(found.stacks)} images: {reason}")
        return found.stacks[0]


def make(job: DoseJob) -> None:
    """Assess, encode and check; where it returns, `objects.json` and the page's files are there. May be repeated.

    Raises
    ------
    RadgateError
        The sum is refused, or an object breaks a rule: nothing is published.
    """
    journal = DatabaseJournal(job.engine, job.row.study_uid, 0)
    with journal.step("assess", job.row.id) as step:
        reference = job.stack(job.row.choice.series)
        found = _assessed(job, reference)
        step.detail = {"structures": len(found.structures), "refused": len(found.refused)}

    @contextmanager
    def told(name: str) -> Iterator[None]:
        job.tell(name)
        with journal.step(name, job.row.id):
            yield

    rtstruct = dcmread(job.file(job.row.choice.structures))
    language: Literal["zh", "en"] = "en" if job.settings.report.language == "en" else "zh"
    bed = job.row.choice.bed
    results = dose_results(found, reference, rtstruct, job.created_at, language=language, bed=bed, step=told)
    with told("page"):
        keep_page_data(job.pages, results.report, rtstruct)
    _keep(job, results.report, tuple(results.objects.values()))


def _assessed(job: DoseJob, reference: Stack) -> DoseAssessment:
    choice = job.row.choice
    if choice.is_open:
        raise DoseChoiceRefused(choice.waits_for)
    patient = doses_of(job.engine, job.store, choice.study_uid)
    plans = {uid for d in patient.doses if d.sop_uid in choice.doses for uid in d.plan_uids}
    own = tuple(load_limits(path) for path in job.settings.dose.limits)

    def progress(what: str, done: int, total: int) -> None:
        job.tell(what if total <= 1 else f"{what} {done + 1}/{total}")

    return assess(
        job.file(choice.structures),
        [job.file(uid) for uid in choice.doses],
        reference,
        made_at=job.created_at,
        plans=[job.file(uid) for uid in sorted(plans) if uid in patient.plan_structures],
        others=[job.stack(uid) for uid in choice.others],
        other_structures=[job.file(uid) for uid in choice.other_structures],
        options=AssessOptions(
            fractions=choice.fractions,
            registrations=tuple(job.file(uid) for uid in choice.registrations),
            register=choice.register or None,
            alpha_beta=dict(choice.alpha_beta),
            site=choice.site,
            limits=limits_for(choice.site, own) if choice.site else tuple(s for s in own if not s.site),
            names=load_aliases(job.settings.contour.aliases),
        ),
        progress=progress,
    )


def _keep(job: DoseJob, report: DoseReport, objects: tuple[EncodedObject, ...]) -> None:
    """Objects and result as files; the list last."""
    listed: list[dict[str, Any]] = []
    for number, item in enumerate(objects):
        file = f"{number:02d}-{item.outlet}.dcm"
        keep_bytes(job.folder / file, item.data)
        listed.append({
            "file": file,
            "outlet": item.outlet,
            "sop_class_uid": item.sop_class_uid,
            "sop_uid": item.sop_instance_uid,
            "sha256": item.sha256,
            "size_bytes": len(item.data),
        })
    document = {
        "schema": "radgate.dose/1",
        "status": "findings",
        "table": report.table.to_json(),
        "assessment": assessment_report(report.assessment),
    }
    keep_json(job.folder / "result.json", document)
    keep_json(job.folder / "objects.json", listed)
