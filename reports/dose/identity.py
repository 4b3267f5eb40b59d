"""What every object of a dose report says about itself: patient and study, own UIDs, dates, equipment."""

from pydicom.dataset import Dataset

from imaging.provenance import deterministic_uid
from reports.dose.report import DoseReport
from reports.encode.identity import MANUFACTURER, coded, source_identity
from reports.wording import radgate_version

__all__ = ["SERIES_NUMBERS", "identify"]

SERIES_NUMBERS = {"sc": 9121, "sr": 9123, "pdf": 9124}
"""After those of the other results."""


def identify(report: DoseReport, outlet: str, description: str, *parts: str) -> Dataset:
    """A data set with patient, study, series and equipment; class, modality and content are the caller's.

    Parameters
    ----------
    report
        What the object is about.
    outlet
        "sc", "sr" or "pdf".
    description
        SeriesDescription, at most 64 characters.
    parts
        What tells objects of one outlet apart.

    Raises
    ------
    UndecodableText
        The header of the images does not decode.
    """
    ds = source_identity(report.stack.header)
    ds.SOPInstanceUID = report.uid("instance", outlet, *parts)
    ds.SeriesInstanceUID = report.uid("series", outlet, *parts)
    ds.SeriesNumber, ds.InstanceNumber = SERIES_NUMBERS[outlet], 1
    ds.SeriesDescription = description[:64]
    date, time = report.created_at.strftime("%Y%m%d"), report.created_at.strftime("%H%M%S")
    for name in ("InstanceCreation", "Series", "Content"):
        setattr(ds, f"{name}Date", date)
        setattr(ds, f"{name}Time", time)
    ds.Manufacturer = ds.ManufacturerModelName = MANUFACTURER
    ds.SoftwareVersions = [radgate_version()]
    ds.DeviceSerialNumber = deterministic_uid("device", [MANUFACTURER])
    made_by = Dataset()
    made_by.PurposeOfReferenceCodeSequence = [coded("processing_equipment")]
    made_by.Manufacturer, made_by.ManufacturerModelName = MANUFACTURER, report.algorithm.name
    made_by.SoftwareVersions = [report.algorithm.version]
    made_by.ContributionDateTime = report.created_at.strftime("%Y%m%d%H%M%S%z")
    ds.ContributingEquipmentSequence = [made_by]
    return ds
