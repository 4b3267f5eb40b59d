"""Series that nobody should send, and what has to be said about each (issue of image quality, "Bad input")."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from tests.qc.bodies import TRUNK, Body
from tests.qc.test_planar import film_dataset
from tests.synthetic.series import series_datasets

__all__ = ["BAD_INPUT", "BadInput"]


@dataclass(frozen=True)
class BadInput:
    """A series and its grade.

    Parameters
    ----------
    make
        Data sets of one series.
    grade
        Of the series.
    names
        The attribute that a FAIL has to name; "" where the series is not judged.
    reason
        Of every check of pixels; "" where they may differ.
    """

    make: Callable[[], list[Dataset]]
    grade: str
    names: str = ""
    reason: str = ""


def ct(planes: int = 5, **tags: Any) -> list[Dataset]:
    """A CT with attributes set, or taken out where the value is None."""
    d = replace(TRUNK, planes=planes, intercept=0.0)
    return [edited(ds, **tags) for ds in series_datasets(replace(d, pixels=Body().values(d.grid())))]


def film(**tags: Any) -> list[Dataset]:
    return [edited(film_dataset(), **tags)]


def edited(ds: Dataset, **tags: Any) -> Dataset:
    for keyword, value in tags.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    return ds


def in_colour(datasets: Iterable[Dataset]) -> list[Dataset]:
    """The same pictures as red, green and blue of 8 bits, of which none is the grey value."""
    found = []
    for ds in datasets:
        array = ds.pixel_array.astype(np.float64)
        grey = ((array - array.min()) / max(1.0, float(np.ptp(array))) * 255).astype(np.uint8)
        data = np.stack([grey, grey // 2, 255 - grey], axis=-1).tobytes()
        ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
        ds.PixelData = data + b"\0" * (len(data) % 2)
        found.append(ds)
    return found


def from_screen(datasets: Iterable[Dataset]) -> list[Dataset]:
    """The same as secondary captures."""
    found = []
    for ds in datasets:
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
        found.append(ds)
    return found


def one_in_colour() -> list[Dataset]:
    grey = ct(6)
    return [*grey[:3], *in_colour(grey[3:4]), *grey[4:]]


PHOTOMETRIC = "PhotometricInterpretation"

BAD_INPUT = {
    "a CT in colour": BadInput(lambda: in_colour(ct()), "FAIL", PHOTOMETRIC, "colour"),
    "one slice of a CT in colour": BadInput(one_in_colour, "FAIL", PHOTOMETRIC, "colour"),
    "a radiograph in colour": BadInput(lambda: in_colour(film()), "FAIL", PHOTOMETRIC, "colour"),
    "a CT without photometric interpretation": BadInput(
        lambda: ct(PhotometricInterpretation=None), "FAIL", PHOTOMETRIC, "no_volume"
    ),
    "a radiograph without photometric interpretation": BadInput(
        lambda: film(PhotometricInterpretation=None), "FAIL", PHOTOMETRIC
    ),
    "screens of a CT": BadInput(lambda: from_screen(ct()), "NOT_EVALUABLE", reason="secondary_capture"),
    "screens of a CT in colour": BadInput(
        lambda: from_screen(in_colour(ct())), "NOT_EVALUABLE", reason="secondary_capture"
    ),
    "a screen of a radiograph": BadInput(lambda: from_screen(film()), "NOT_EVALUABLE", reason="secondary_capture"),
    "a screen of another kind": BadInput(
        lambda: from_screen(film(Modality="OT")), "NOT_EVALUABLE", reason="secondary_capture"
    ),
    "no modality": BadInput(lambda: ct(Modality=""), "FAIL", "Modality", "unsupported"),
    "a modality that DICOM does not know": BadInput(lambda: ct(Modality="ZZ"), "FAIL", "Modality", "unsupported"),
    "no pixel spacing": BadInput(lambda: ct(PixelSpacing=None), "FAIL", "PixelSpacing", "no_volume"),
    "no position": BadInput(lambda: ct(ImagePositionPatient=None), "FAIL", "ImagePositionPatient", "no_volume"),
    "no orientation": BadInput(
        lambda: ct(ImageOrientationPatient=None), "FAIL", "ImageOrientationPatient", "no_volume"
    ),
    "no rows": BadInput(lambda: ct(Rows=None), "FAIL", "Rows", "no_volume"),
    "no bits": BadInput(lambda: ct(BitsAllocated=None), "FAIL", "BitsAllocated", "no_volume"),
    "one slice": BadInput(lambda: ct(1), "WARN"),
    "one slice without a thickness": BadInput(lambda: ct(1, SliceThickness=None), "FAIL", "thickness", "no_volume"),
}
