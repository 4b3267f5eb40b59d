"""The report for people as an encapsulated PDF."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydicom.dataset import Dataset
from pydicom.uid import EncapsulatedPDFStorage

from reports.encode.encoded import Capability, EncodedObject, encoding, finished
from reports.encode.identity import (
    carry_as_bytes,
    coded,
    equip,
    is_carried_as_bytes,
    object_uid,
    source_identity,
    source_warnings,
)
from reports.errors import NotForSending
from reports.model import Result
from reports.pictures import Picture

if TYPE_CHECKING:
    from imaging.planes import PlaneSeries

__all__ = ["encode_pdf"]

DOCUMENT_TITLE = "AI 影像分析报告 / AI image analysis report"
ASCII_TITLE = "AI image analysis report"


@encoding("pdf")
def encode_pdf(
    result: Result, stack: "PlaneSeries", *, pictures: Sequence[Picture] = (), capability: Capability | None = None
) -> EncodedObject:
    """The report as a DICOM object; `pictures` are those of `reports.pictures.key_pictures`.

    Raises
    ------
    NotForSending
        The result waits for a person.
    UndecodableText
        Identity of the patient that does not decode, in a header whose bytes are not known.
    EncodingError
        Something else went wrong; its type is named.
    """
    from reports.document import report_pdf

    if result.status == "held":
        raise NotForSending("The result waits for a person and is not sent; release or refuse it first.")
    capability = capability or Capability()
    document = report_pdf(result, pictures)
    ds = source_identity(stack.header)
    ds.SOPClassUID = EncapsulatedPDFStorage
    ds.SOPInstanceUID = object_uid("instance", result, "pdf")
    ds.SeriesInstanceUID = object_uid("series", result, "pdf")
    ds.Modality = "DOC"
    ds.ConversionType = "WSD"
    equip(ds, result, "pdf")
    ds.AcquisitionDateTime = ""
    ds.BurnedInAnnotation = "YES"
    as_bytes = is_carried_as_bytes(stack.header)
    ds.DocumentTitle = ASCII_TITLE if as_bytes else DOCUMENT_TITLE
    ds.ConceptNameCodeSequence = [coded("diagnostic_report")]
    # the frames of a multi-frame image are one instance
    instances = dict.fromkeys((s.sop_class_uid, s.sop_instance_uid) for s in stack.sources)
    ds.SourceInstanceSequence = [_source(*instance) for instance in instances]
    ds.VerificationFlag = "UNVERIFIED"
    ds.MIMETypeOfEncapsulatedDocument = "application/pdf"
    ds.EncapsulatedDocumentLength = len(document)
    ds.EncapsulatedDocument = document + b"\x00" * (len(document) % 2)
    if as_bytes:
        carry_as_bytes(ds)
    return finished("pdf", ds, warnings=source_warnings(stack.header), max_object_mb=capability.max_object_mb)


def _source(sop_class_uid: str, sop_instance_uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class_uid, sop_instance_uid
    return item
