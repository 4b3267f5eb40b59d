"""The attributes of a structure set, part by part; types as in DICOM PS3.3 (2026b)."""

from collections.abc import Sequence
from datetime import datetime
from importlib.metadata import version
from typing import Any

from pydicom.charset import default_encoding
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.tag import BaseTag, Tag
from pydicom.uid import RTStructureSetStorage

from contouring.outline import Outline
from contouring.profiles.load import Profile
from contouring.roi import Roi
from contouring.rtstruct_header import copy_patient_and_study, encodable, encodings_of, referenced_frame_of_reference
from contouring.rtstruct_items import contour_sequence
from contouring.rtstruct_planes import pixel_planes
from imaging.headers import text
from imaging.provenance import Algorithm, deterministic_uid
from imaging.series import Stack

__all__ = ["StructureSetBuilder"]

REVIEW_NOTE = "for review by a physician"
REFERENCED_FRAME_OF_REFERENCE_SEQUENCE = Tag(0x30060010)
CONTOUR_SEQUENCE = Tag(0x30060040)
ARTIFICIAL_INTELLIGENCE = codes.DCM.ArtificialIntelligence
IMAGE_PROCESSING = codes.DCM.MorphologicalOperations
PROCESSING_EQUIPMENT = codes.DCM.ProcessingEquipment


class StructureSetBuilder:
    """Builds the parts of one structure set."""

    def __init__(
        self, stack: Stack, rules: Profile, algorithms: Sequence[Algorithm], algorithm: Algorithm, implicit: bool
    ) -> None:
        self.stack = stack
        self.rules = rules
        self.algorithms = algorithms
        self.algorithm = algorithm
        self.implicit = implicit
        self.encodings = encodings_of(stack.header)
        self.left_out: list[tuple[int, str]] = []

    def head(self, made_at: datetime, label: str, parts: Sequence[Any], predecessor: tuple[str, str] | None) -> Dataset:
        """The object without its ROIs."""
        ds = Dataset()
        copy_patient_and_study(self.stack.header, ds)
        # Says that the raw values are encoded as the object will be, so that pydicom writes them as they are.
        named = self.encodings if text(ds, "SpecificCharacterSet") else None
        ds.set_original_encoding(self.implicit, True, named or default_encoding)
        ds.SOPClassUID = RTStructureSetStorage
        ds.SOPInstanceUID = deterministic_uid("rtstruct", parts)
        ds.SeriesInstanceUID = deterministic_uid("rtstruct series", parts[:5])
        ds.Modality = "RTSTRUCT"
        ds.SeriesNumber, ds.InstanceNumber = 9001, 1
        ds.SeriesDescription = label if label.startswith("radgate") else f"radgate {label}"
        ds.OperatorsName = ""
        ds.Manufacturer, ds.ManufacturerModelName = "radgate", "radgate"
        ds.SoftwareVersions = version("radgate")
        day, time = made_at.strftime("%Y%m%d"), made_at.strftime("%H%M%S")
        ds.SeriesDate = ds.InstanceCreationDate = ds.StructureSetDate = day
        ds.SeriesTime = ds.InstanceCreationTime = ds.StructureSetTime = time
        ds.StructureSetLabel = label
        ds.StructureSetDescription = ", ".join([*(f"{a.name} {a.version}" for a in self.algorithms), REVIEW_NOTE])
        ds.ApprovalStatus = "UNAPPROVED"
        references = referenced_frame_of_reference(self.stack, implicit=self.implicit)
        ds[REFERENCED_FRAME_OF_REFERENCE_SEQUENCE] = self._encoded(REFERENCED_FRAME_OF_REFERENCE_SEQUENCE, references)
        ds.ContributingEquipmentSequence = DicomSequence([self._equipment(a) for a in self.algorithms])
        if predecessor is not None:
            item = Dataset()
            item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = predecessor
            ds.PredecessorStructureSetSequence = DicomSequence([item])
        return ds

    def definition(self, roi: Roi, source: tuple[str, str, int] | None) -> Dataset:
        """Item of StructureSetROISequence."""
        algorithm = roi.algorithm or self.algorithm
        item = Dataset()
        item.ROINumber = roi.number
        item.ReferencedFrameOfReferenceUID = self.stack.frame_of_reference_uid
        item.ROIName = roi.name.tg263
        description = " ".join(t for t in (roi.name.zh, roi.description) if t)
        if encodable(description, self.encodings):
            item.ROIDescription = description
        else:
            self.left_out.append((roi.number, "ROIDescription"))
            # What was done to the structure is not lost with a name that the characters cannot write.
            plain = " ".join(t for t in (roi.name.en, roi.description) if t)
            item.ROIDescription = plain if encodable(plain, self.encodings) else roi.name.en
        item.ROIGenerationAlgorithm = roi.generation
        item.ROIGenerationDescription = f"{algorithm.name} {algorithm.version}"[:64]
        if roi.generation != "MANUAL":
            item.ROIDerivationAlgorithmIdentificationSequence = DicomSequence([algorithm_item(algorithm)])
        if source is not None:
            reference = Dataset()
            reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = source[:2]
            reference.ReferencedSegmentNumber = source[2]
            item.DefinitionSourceSequence = DicomSequence([reference])
        return item

    def contours(self, roi: Roi, outline: Outline) -> Dataset:
        """Item of ROIContourSequence."""
        item = Dataset()
        item.set_original_encoding(self.implicit, True, default_encoding)
        item.ReferencedROINumber = roi.number
        item.ROIDisplayColor = [*roi.name.colour_rgb]
        if outline.planes:
            value = contour_sequence(outline, self.stack.sources, implicit=self.implicit)
            item[CONTOUR_SEQUENCE] = self._encoded(CONTOUR_SEQUENCE, value)
        planes = pixel_planes(self.stack.grid)
        if planes is not None:
            item.SourcePixelPlanesCharacteristicsSequence = DicomSequence([planes])
        return item

    def observation(self, roi: Roi) -> Dataset:
        """Item of RTROIObservationsSequence."""
        item = Dataset()
        item.ObservationNumber = roi.number
        item.ReferencedROINumber = roi.number
        item.SegmentedPropertyCategoryCodeSequence = DicomSequence([code_item(roi.name.category)])
        identification = code_item(roi.name.type)
        if roi.name.modifier is not None:
            identification.SegmentedPropertyTypeModifierCodeSequence = DicomSequence([code_item(roi.name.modifier)])
        item.RTROIIdentificationCodeSequence = DicomSequence([identification])
        kind = roi.name.interpreted_type
        item.RTROIInterpretedType = self.rules.value("type_map").get(kind, kind)
        item.ROIInterpreter = ""
        return item

    def _encoded(self, tag: BaseTag, value: bytes) -> RawDataElement:
        """A sequence that is encoded already."""
        return RawDataElement(tag, "SQ", len(value), value, 0, self.implicit, True)

    def _equipment(self, algorithm: Algorithm) -> Dataset:
        item = Dataset()
        item.Manufacturer, item.ManufacturerModelName = "radgate", "radgate"
        item.SoftwareVersions = version("radgate")
        item.ContributionDescription = f"Contours by {algorithm.name} {algorithm.version}" + (
            f", bundle sha256 {algorithm.bundle_digest}" if algorithm.bundle_digest else ""
        )
        item.PurposeOfReferenceCodeSequence = DicomSequence([code_item(PROCESSING_EQUIPMENT)])
        return item


def code_item(code: Code) -> Dataset:
    """Item of a code sequence."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme_designator, code.meaning
    if code.scheme_version:
        item.CodingSchemeVersion = code.scheme_version
    return item


def algorithm_item(algorithm: Algorithm) -> Dataset:
    item = Dataset()
    family = IMAGE_PROCESSING if algorithm.deterministic else ARTIFICIAL_INTELLIGENCE
    item.AlgorithmFamilyCodeSequence = DicomSequence([code_item(family)])
    item.AlgorithmName = algorithm.name[:64]
    item.AlgorithmVersion = algorithm.version[:64]
    item.AlgorithmParameters = "; ".join(f"weights sha256 {w}" for w in algorithm.weights_sha256) or "no weights"
    item.AlgorithmSource = algorithm.manufacturer[:64]
    return item
