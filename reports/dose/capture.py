"""Secondary captures of a dose: colour pictures that every archive shows, one multi-frame object for each dose."""

from collections.abc import Sequence

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import MultiFrameTrueColorSecondaryCaptureImageStorage

from reports.dose.choice import chosen_planes
from reports.dose.identity import identify
from reports.dose.picture import FRAME_PX, DoseLayer, Outline, paint
from reports.dose.report import DoseReport
from reports.dose.section import overlay_of
from reports.dose.table import STATUS_ORDER
from reports.encode.encoded import EncodedObject, encoding, finished
from reports.encode.identity import source_warnings
from reports.errors import NotForSending

__all__ = ["Frame", "encode_capture", "frames_of"]

MOST_CRITICAL = 4
"""Structures whose hottest point gets a plane of its own."""

Frame = tuple[str, Image.Image]
"""A label such as "axial 41", and the picture."""


def frames_of(report: DoseReport, layer: DoseLayer) -> tuple[Frame, ...]:
    """The pictures of one dose.

    Raises
    ------
    ForeignGeometry
        The dose grid is turned against the image.
    """
    overlay = overlay_of(report.volume.grid, layer.dose.grid)
    planes = chosen_planes(report.volume.grid, layer.dose, _critical(report))
    return tuple(
        (f"{plane.name} {index + 1}", paint(report.volume, plane, index, layer, overlay, report.outlines))
        for plane, index in planes
    )


def _critical(report: DoseReport) -> tuple[Outline, ...]:
    """Structures with a limit that is broken or near, the broken ones first."""
    by_name = {o.name: o for o in report.outlines}
    rows = [r for r in report.table.limits if r.status in {"broken", "near"}]
    names = dict.fromkeys(r.structure for r in sorted(rows, key=lambda r: STATUS_ORDER.index(r.status)))
    return tuple(by_name[n] for n in names if n in by_name)[:MOST_CRITICAL]


@encoding("secondary capture")
def encode_capture(
    report: DoseReport, layer: DoseLayer, frames: Sequence[Frame], *, max_object_mb: float = 200.0
) -> EncodedObject:
    """The pictures as one Multi-frame True Color Secondary Capture, uncompressed: every archive reads that.

    Raises
    ------
    NotForSending
        There is no picture.
    EncodingError
        Something else went wrong; its type is named.
    """
    if not frames:
        raise NotForSending("A dose without pictures has no secondary capture; leave it out.")
    ds = identify(report, "sc", f"AI DOSE {layer.title_en} NOT FOR PLANNING", layer.key)
    ds.SOPClassUID = MultiFrameTrueColorSecondaryCaptureImageStorage
    ds.Modality, ds.ConversionType = "OT", "WSD"
    ds.ImageType = ["DERIVED", "SECONDARY"]
    ds.BurnedInAnnotation, ds.RecognizableVisualFeatures = "NO", "NO"
    ds.PatientOrientation = ds.Laterality = ""
    # the title may hold characters that only the patient's character set allows; ASCII is safe everywhere
    ds.ImageComments = f"{layer.title_en}; doses in Gy; NOT FOR PLANNING".encode("ascii", "replace").decode()
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0
    ds.Columns, ds.Rows = FRAME_PX
    ds.NumberOfFrames = len(frames)
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    ds.LossyImageCompression = "00"
    if len(frames) > 1:
        ds.FrameIncrementPointer = [Tag(0x00182001), Tag(0x00182002)]
        ds.PageNumberVector = list(range(1, len(frames) + 1))
        ds.FrameLabelVector = [label for label, _ in frames]
    instances = dict.fromkeys((s.sop_class_uid, s.sop_instance_uid) for s in report.stack.sources)
    ds.SourceImageSequence = [_instance(*instance) for instance in instances]
    series = Dataset()
    series.SeriesInstanceUID = report.stack.series_instance_uid
    series.ReferencedInstanceSequence = [_instance(*instance) for instance in instances]
    ds.ReferencedSeriesSequence = [series]
    ds.PixelData = b"".join(np.asarray(picture, dtype=np.uint8).tobytes() for _, picture in frames)
    ds["PixelData"].VR = "OB"
    return finished("sc", ds, warnings=source_warnings(report.stack.header), max_object_mb=max_object_mb)


def _instance(sop_class_uid: str, sop_instance_uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class_uid, sop_instance_uid
    return item
