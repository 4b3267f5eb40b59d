"""What was received and what was made: files by content address, and the index of them."""

from dicom_gateway.store.database import database_url, open_engine
from dicom_gateway.store.rows import InstanceRow, QuarantineRow, Receipt, SeriesRow, StudyRow
from dicom_gateway.store.store import Store

__all__ = [
    "InstanceRow",
    "QuarantineRow",
    "Receipt",
    "SeriesRow",
    "Store",
    "StudyRow",
    "database_url",
    "open_engine",
]
