"""Verdicts sent on: structured report and list of poor images, to the store and the destinations that take them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydicom.dataset import Dataset
from sqlalchemy import Engine, select

from dicom_gateway.deliver import Parcel, enqueue
from dicom_gateway.errors import StoreError
from dicom_gateway.settings import Settings
from dicom_gateway.store.quality_tables import judged_series
from dicom_gateway.store.store import Store
from dicom_gateway.store.tables import delivery
from imaging.errors import RadgateError
from imaging.headers import read_header
from imaging.provenance import digest
from qc.image import SeriesVerdict
from reports.encode import EncodedObject
from reports.quality import JudgedSeries, encode_quality_kos, encode_quality_sr

__all__ = ["OUTLETS", "judged", "objects_of", "send_verdict", "unsent"]

OUTLETS = ("quality_sr", "quality_kos")


def send_verdict(settings: Settings, engine: Engine, store: Store, series_uid: str) -> int:
    """Encode the final verdict on a series and enqueue it for every destination that takes it; how many sends are new.

    Doing it again for the same verdict changes nothing.

    Raises
    ------
    StoreError
        An object could not be stored.
    EncodingError
        An object cannot be written.
    """
    wanted = [d for d in settings.destinations if set(d.outlets) & set(OUTLETS)]
    if not wanted:
        return 0
    series = judged(settings, engine, store, series_uid)
    if series is None:
        return 0
    parcels = []
    for position, item in enumerate(objects_of(series)):
        receipt = store.receive(item.data, peer="radgate", origin="result")
        if receipt.kind not in {"stored", "duplicate"}:
            raise StoreError(f"A quality object was not stored: {receipt.reason}", outlet=item.outlet)
        parcels.append(Parcel(item.sop_instance_uid, item.sha256, item.outlet, position))
    study_uid = str(series.headers[0].StudyInstanceUID)
    return enqueue(engine, digest(["quality", series_uid]), study_uid, parcels, wanted)


def unsent(settings: Settings, engine: Engine, *, since: float) -> list[str]:
    """Series with a final verdict since a time that no ledger row speaks of: a crash came between the two."""
    if not any(set(d.outlets) & set(OUTLETS) for d in settings.destinations):
        return []
    with engine.connect() as connection:
        closed = connection.execute(
            select(judged_series.c.series_uid).where(judged_series.c.closed >= since).order_by(judged_series.c.closed)
        ).scalars()
        sent = set(connection.execute(select(delivery.c.result_id).distinct()).scalars())
        return [uid for uid in closed if digest(["quality", uid]) not in sent]


def objects_of(series: JudgedSeries) -> tuple[EncodedObject, ...]:
    """The report, and the list of images where something is wrong with them."""
    has_issue = series.rejected or any(r.is_gate for r in series.verdict.findings())
    report = encode_quality_sr(series)
    return (report, encode_quality_kos(series)) if has_issue else (report,)


def judged(settings: Settings, engine: Engine, store: Store, series_uid: str) -> JudgedSeries | None:
    """A judged series with its headers, or None where it has no final verdict or its images are gone."""
    with engine.connect() as connection:
        row = connection.execute(
            select(judged_series).where(judged_series.c.series_uid == series_uid, judged_series.c.closed.is_not(None))
        ).first()
    if row is None:
        return None
    headers = _headers(store, series_uid)
    if not headers:
        return None
    made_at = row.closed if row.rejected is None else row.rejected
    verdict: Mapping[str, Any] = row.verdict
    return JudgedSeries(
        SeriesVerdict.from_json(verdict),
        headers,
        datetime.fromtimestamp(int(made_at), UTC).astimezone(),
        rejected=row.rejected is not None,
        language="en" if settings.report.language == "en" else "zh",
    )


def _headers(store: Store, series_uid: str) -> tuple[Dataset, ...]:
    found = []
    for row in store.instances(series_uid=series_uid, origin="received"):
        try:
            found.append(read_header(store.path(row.sha256)).dataset)
        except RadgateError:
            continue  # a cut file is named in the verdict, and no object may refer to it
    return tuple(found)
