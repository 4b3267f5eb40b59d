"""An enhanced multi-frame CT with the same geometry and values as the single-frame series of a description.

It says DERIVED, so that the macros on how a scanner acquired it may be absent.
"""

from typing import Any

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.tag import Tag
from pydicom.uid import EnhancedCTImageStorage

from imaging.provenance import deterministic_uid
from tests.synthetic.series import SeriesDescription, series_datasets

__all__ = ["enhanced_ct"]


MOVED = [
    *["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"],
    *["RescaleSlope", "RescaleIntercept", "RescaleType", "WindowCenter", "WindowWidth"],
    *["KVP", "ConvolutionKernel", "AcquisitionNumber", "AcquisitionDate", "AcquisitionTime"],
]
"""Attributes that stand in functional groups of an enhanced object, or not at all."""


def enhanced_ct(description: SeriesDescription | None = None, frame_order: tuple[int, ...] | None = None) -> Dataset:
    """One multi-frame object; `frame_order` names the plane of each frame (ascending where it is left out)."""
    d = description or SeriesDescription()
    singles = series_datasets(d)
    order = frame_order or tuple(range(len(singles)))
    ds = singles[0]
    result = Dataset()
    result.update(ds)
    result.file_meta = ds.file_meta
    for keyword in MOVED:
        delattr(result, keyword)
    result.SOPClassUID, result.SOPInstanceUID = EnhancedCTImageStorage, d.sop_instance_uid(0, "enhanced")
    result.ImageType = ["DERIVED", "PRIMARY", "VOLUME", "NONE"]
    result.PixelPresentation, result.VolumetricProperties = "MONOCHROME", "VOLUME"
    result.VolumeBasedCalculationTechnique, result.BurnedInAnnotation = "NONE", "NO"
    result.LossyImageCompression, result.PresentationLUTShape = "00", "IDENTITY"
    result.AcquisitionDateTime, result.ContentQualification = "20260304101530", "RESEARCH"
    result.DeviceSerialNumber, result.SoftwareVersions = "1", "1"
    result.NumberOfFrames = len(order)
    result.AcquisitionContextSequence = DicomSequence()
    organization = deterministic_uid("test dimensions", str(result.SOPInstanceUID))
    result.DimensionOrganizationSequence = _item(DimensionOrganizationUID=organization)
    result.DimensionIndexSequence = DicomSequence([
        _item(
            DimensionOrganizationUID=organization,
            DimensionIndexPointer=Tag(keyword),
            FunctionalGroupPointer=Tag("FrameContentSequence"),
        )[0]
        for keyword in ("StackID", "InStackPositionNumber")
    ])
    result.SharedFunctionalGroupsSequence = DicomSequence([_shared(ds)])
    result.PerFrameFunctionalGroupsSequence = DicomSequence([
        _per_frame(singles[plane], plane, number) for number, plane in enumerate(order, start=1)
    ])
    result.PixelData = b"".join(singles[plane].PixelData for plane in order)
    return result


def _item(**attributes: Any) -> DicomSequence:
    item = Dataset()
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return DicomSequence([item])


def _shared(ds: Dataset) -> Dataset:
    return _item(
        PixelMeasuresSequence=_item(PixelSpacing=ds.PixelSpacing, SliceThickness=ds.SliceThickness),
        PlaneOrientationSequence=_item(ImageOrientationPatient=ds.ImageOrientationPatient),
        CTImageFrameTypeSequence=_item(
            FrameType=["DERIVED", "PRIMARY", "VOLUME", "NONE"],
            PixelPresentation="MONOCHROME",
            VolumetricProperties="VOLUME",
            VolumeBasedCalculationTechnique="NONE",
        ),
        FrameAnatomySequence=_item(
            FrameLaterality="U",
            AnatomicRegionSequence=_item(CodeValue="774007", CodingSchemeDesignator="SCT", CodeMeaning="Head and Neck"),
        ),
        IrradiationEventIdentificationSequence=_item(IrradiationEventUID=deterministic_uid("test event", 1)),
    )[0]


def _per_frame(ds: Dataset, plane: int, number: int) -> Dataset:
    return _item(
        PlanePositionSequence=_item(ImagePositionPatient=ds.ImagePositionPatient),
        FrameContentSequence=_item(
            StackID="1", InStackPositionNumber=plane + 1, FrameAcquisitionNumber=1, DimensionIndexValues=[1, plane + 1]
        ),
        PixelValueTransformationSequence=_item(
            RescaleSlope=ds.RescaleSlope, RescaleIntercept=ds.RescaleIntercept, RescaleType="HU"
        ),
        FrameVOILUTSequence=_item(WindowCenter=ds.WindowCenter, WindowWidth=ds.WindowWidth),
        TemporalPositionSequence=_item(TemporalPositionTimeOffset=float(number)),
    )[0]
