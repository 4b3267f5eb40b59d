"""The newest time that the images of a study state: the time of results that have no durable record of their own."""

from datetime import UTC, datetime

from pydicom.dataset import Dataset

from imaging.attributes import text
from imaging.series import Scan
from reports.representations import is_legal_code

__all__ = ["stated_time"]

STATED = ("InstanceCreation", "Content", "Acquisition", "Series", "Study")
"""Attributes that end in Date, with a companion that ends in Time."""

UNSTATED = 0.0
"""1970-01-01: images without any date, as de-identified ones are, leave nothing better that is the same every time."""


def stated_time(scan: Scan) -> float:
    """Seconds since the epoch at which the newest date and time of any image would be, read as UTC.

    Results write it as it was read, so it stands beside the images' own times in their own time zone.
    """
    headers = [header for stack in (*scan.stacks, *scan.pictures, *scan.cines) for header in stack.headers]
    return max((_of(header, name) for header in headers for name in STATED), default=UNSTATED)


def _of(header: Dataset, name: str) -> float:
    """One date with its time, to the second; midnight where only the date can be used."""
    date = text(header, f"{name}Date").strip(" \0")
    if not date or not is_legal_code("StudyDate", date):
        return UNSTATED
    time = text(header, f"{name}Time").strip(" \0").partition(".")[0]
    time = time.ljust(6, "0") if time and is_legal_code("StudyTime", time) else "000000"
    seconds = min(int(time[4:]), 59)
    moment = datetime(int(date[:4]), int(date[4:6]), int(date[6:]), int(time[:2]), int(time[2:4]), seconds, tzinfo=UTC)
    return max(moment.timestamp(), UNSTATED)
