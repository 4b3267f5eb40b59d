"""Series of colour pictures made from a frozen description: endoscopy, photographs, microscopy, screen captures.

Rows and columns differ, no picture is symmetric, red, green and blue are never equal, the patient's name is Chinese.
Colours are turned to YBR here by the formula of PS3.3 C.7.6.3.1.2, not by the library that turns them back.
"""

from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence as DicomSequence
from pydicom.tag import Tag
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    RLELossless,
    SecondaryCaptureImageStorage,
    VideoEndoscopicImageStorage,
    VLEndoscopicImageStorage,
    VLMicroscopicImageStorage,
    VLPhotographicImageStorage,
)

from imaging.provenance import deterministic_uid
from tests.synthetic.series import CHINESE_NAME, write_datasets

__all__ = ["STORAGES", "WAYS", "PictureDescription", "coloured", "picture_datasets", "write_pictures", "ybr_of"]

STORAGES = {
    "ES": VLEndoscopicImageStorage,
    "XC": VLPhotographicImageStorage,
    "GM": VLMicroscopicImageStorage,
    "ES video": VideoEndoscopicImageStorage,
    "SC": SecondaryCaptureImageStorage,
    "SC frames": MultiFrameTrueColorSecondaryCaptureImageStorage,
}

WAYS = (
    "RGB", "RGB planes", "YBR_FULL", "YBR_FULL planes", "YBR_FULL_422", "PALETTE 8", "PALETTE 16", "JPEG", "JPEG 2000",
    "RLE",
)  # fmt: skip
"""Ways to store the same colours."""


def coloured(planes: int = 3, rows: int = 40, columns: int = 56) -> NDArray[np.uint8]:
    """Pictures of few colours: a red field that grows from one to the next, a green one, and blue, at even columns."""
    array = np.zeros((planes, rows, columns, 3), dtype=np.uint8)
    array[...] = (20, 30, 70)
    for plane in range(planes):
        array[plane, 4 : 12 + 6 * plane, 8 : 24 + 8 * plane] = (220, 40, 30)
        array[plane, rows - 8 : rows - 2, 6:22] = (30, 200, 60)
    return array


def ybr_of(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """YBR_FULL of red, green and blue."""
    matrix = np.array([[0.2990, 0.5870, 0.1140], [-0.1687, -0.3313, 0.5000], [0.5000, -0.4187, -0.0813]])
    values = rgb.astype(np.float64) @ matrix.T + np.array([0, 128, 128])
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class PictureDescription:
    """What the pictures are and how they are written.

    Parameters
    ----------
    array
        (planes, rows, columns, 3), red, green and blue; `coloured()` where left out.
    kind
        Key of `STORAGES`.
    modality
        Value of Modality; follows from the kind where empty.
    way
        One of `WAYS`.
    multi_frame
        One instance with a frame for each picture, instead of an instance each.
    seed, study_seed
        As in `tests.synthetic.series`.
    attributes
        Attributes (keyword, value) that each instance gets besides.
    """

    array: NDArray[np.uint8] | None = None
    kind: str = "ES"
    modality: str = ""
    way: str = "RGB"
    multi_frame: bool = False
    seed: int = 1
    study_seed: int = 1
    attributes: tuple[tuple[str, Any], ...] = ()

    def values(self) -> NDArray[np.uint8]:
        """Red, green and blue."""
        return coloured() if self.array is None else self.array


def picture_datasets(description: PictureDescription | None = None, **changes: Any) -> list[Dataset]:
    """The instances of a series, in order."""
    d = replace(description or PictureDescription(), **changes)
    values = d.values()
    parts = [values] if d.multi_frame else [values[n : n + 1] for n in range(len(values))]
    return [_instance(d, number, part) for number, part in enumerate(parts, start=1)]


def write_pictures(folder: Path, description: PictureDescription | None = None, **changes: Any) -> list[Path]:
    """Write a series into `folder`; the files, in the order of the pictures."""
    return write_datasets(folder, picture_datasets(description, **changes), stem="PIC")


def _instance(d: PictureDescription, number: int, part: NDArray[np.uint8]) -> Dataset:
    ds = FileDataset("", {}, preamble=b"\0" * 128, file_meta=FileMetaDataset())
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID = STORAGES[d.kind]
    ds.SOPInstanceUID = deterministic_uid("test picture", [d.study_seed, d.seed, d.kind, number, d.multi_frame])
    ds.StudyInstanceUID = deterministic_uid("test study", d.study_seed)
    ds.SeriesInstanceUID = deterministic_uid("test pictures", [d.study_seed, d.seed, d.kind])
    ds.PatientName, ds.PatientID = CHINESE_NAME, f"TEST{d.study_seed:04d}"
    ds.PatientBirthDate, ds.PatientSex = "19610305", "F"
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = "20260304"
    ds.StudyTime = ds.SeriesTime = "101500"
    ds.AcquisitionTime = ds.ContentTime = "101530"
    ds.AccessionNumber, ds.StudyID, ds.ReferringPhysicianName = "ACC1", "1", ""
    ds.StudyDescription, ds.SeriesDescription = "胃镜", "彩色图像"
    ds.Modality = d.modality or (d.kind if len(d.kind) == 2 and d.kind != "SC" else "ES")
    ds.Manufacturer, ds.ManufacturerModelName = "radgate tests", "synthetic"
    ds.SeriesNumber, ds.InstanceNumber = d.seed, number
    ds.PatientOrientation = ds.Laterality = ""
    if d.kind.startswith("SC"):
        ds.ConversionType = "DI"
        ds.BurnedInAnnotation = "NO"
    else:
        ds.AcquisitionContextSequence = DicomSequence()
    ds.ImageType = ["ORIGINAL", "PRIMARY"]
    ds.LossyImageCompression = "00"
    ds.Rows, ds.Columns = part.shape[1:3]
    if d.multi_frame:
        ds.NumberOfFrames = len(part)
        ds.FrameTime, ds.FrameIncrementPointer = "40", Tag("FrameTime")
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    _fill_pixels(ds, part, d.way)
    for keyword, value in d.attributes:
        setattr(ds, keyword, value)
    return ds


def _fill_pixels(ds: Dataset, rgb: NDArray[np.uint8], way: str) -> None:
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, way.split()[0], 0
    if way.startswith("PALETTE"):
        _fill_palette(ds, rgb, int(way.split()[1]))
        return
    if way == "JPEG":
        _fill_jpeg(ds, rgb)
        return
    samples = ybr_of(rgb) if way.startswith("YBR") else rgb
    if way == "YBR_FULL_422":
        samples = _shared(samples)
    if way.endswith("planes"):
        ds.PlanarConfiguration = 1
        samples = samples.transpose(0, 3, 1, 2)
    _set_pixels(ds, samples.tobytes())
    syntaxes: dict[str, UID] = {"JPEG 2000": JPEG2000Lossless, "RLE": RLELossless}
    if way in syntaxes:
        ds.PhotometricInterpretation = "RGB"
        ds.compress(syntaxes[way], generate_instance_uid=False)


def _shared(ybr: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Y Y CB CR for every two pixels of a row; the colours of the first."""
    pairs = ybr.reshape(-1, 2, 3)
    return np.stack([pairs[:, 0, 0], pairs[:, 1, 0], pairs[:, 0, 1], pairs[:, 0, 2]], axis=1)


def _fill_palette(ds: Dataset, rgb: NDArray[np.uint8], bits: int) -> None:
    table, indices = np.unique(rgb.reshape(-1, 3), axis=0, return_inverse=True)
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "PALETTE COLOR"
    del ds.PlanarConfiguration
    for channel, name in enumerate(("Red", "Green", "Blue")):
        entries = np.zeros(256, dtype="<u2")
        entries[: len(table)] = table[:, channel].astype(np.uint16) * (257 if bits == 16 else 1)
        setattr(ds, f"{name}PaletteColorLookupTableDescriptor", [256, 0, bits])
        data = entries.tobytes() if bits == 16 else entries.astype(np.uint8).tobytes()
        setattr(ds, f"{name}PaletteColorLookupTableData", data)
    _set_pixels(ds, indices.astype(np.uint8).tobytes())


def _fill_jpeg(ds: Dataset, rgb: NDArray[np.uint8]) -> None:
    streams = []
    for frame in rgb:
        buffer = BytesIO()
        Image.fromarray(frame).save(buffer, "JPEG", quality=95, subsampling="4:2:2")
        streams.append(buffer.getvalue())
    ds.PhotometricInterpretation = "YBR_FULL_422"
    ds.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    ds.LossyImageCompression, ds.LossyImageCompressionMethod = "01", "ISO_10918_1"
    ds.LossyImageCompressionRatio = f"{rgb.nbytes / sum(len(s) for s in streams):.3f}"
    ds.PixelData = encapsulate(streams)
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True


def _set_pixels(ds: Dataset, value: bytes) -> None:
    ds.PixelData = value + b"\0" * (len(value) % 2)
    ds["PixelData"].VR = "OB"
