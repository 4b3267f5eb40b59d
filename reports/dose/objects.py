"""All objects of a dose report in sending order, and the checks that nothing invalid passes."""

from collections.abc import Sequence
from io import BytesIO
from typing import Literal

from PIL import Image
from pydicom import dcmread
from pydicom.uid import EncapsulatedPDFStorage

from contouring.dose.objects import dose_objects
from reports.dose.capture import Frame, encode_capture, frames_of
from reports.dose.document import dose_pdf
from reports.dose.identity import identify
from reports.dose.layers import eqd2_layers, sum_layer
from reports.dose.report import DoseReport
from reports.encode.encoded import EncodedObject, Outlet, encoding, finished
from reports.encode.identity import coded, source_warnings

__all__ = ["document_of", "encode_dose", "encode_dose_pdf", "named_objects"]

OUTLETS: dict[str, Outlet] = {"REG": "reg", "RTDOSE": "rtdose", "RTSTRUCT": "rtstruct"}
PDF_FRAMES = {"axial": 4, "coronal": 1, "sagittal": 1}
DOCUMENT_TITLE = "剂量累加报告 / Accumulated dose report"


def encode_dose(
    report: DoseReport, *, language: Literal["zh", "en"] = "zh", bed: bool = False
) -> tuple[EncodedObject, ...]:
    """The objects of `named_objects` without their names.

    Raises
    ------
    RadgateError
        An object cannot be written; nothing is returned, because half a result must not be sent.
    """
    return tuple(named_objects(report, language=language, bed=bed).values())


def named_objects(
    report: DoseReport, *, language: Literal["zh", "en"] = "zh", bed: bool = False
) -> dict[str, EncodedObject]:
    """Registration, RTDOSE of the sums, isodose structure set, secondary captures, SR and PDF, by what each is.

    Parameters
    ----------
    report
        What they say.
    language
        Of the structured report's content.
    bed
        Adds an RTDOSE of biologically effective dose for each alpha/beta.

    Returns
    -------
    dict
        In sending order; the names are fit for files: `sum_physical`, `capture_sum`, `report_sr`, `report_pdf`, ...

    Raises
    ------
    RadgateError
        An object cannot be written; nothing is returned, because half a result must not be sent.
    """
    from reports.dose.sr import encode_dose_sr

    objects = {
        made.name: finished(
            OUTLETS[made.kind], dcmread(BytesIO(made.encoded), stop_before_pixels=True), data=made.encoded
        )
        for made in dose_objects(report.assessment, report.stack, made_at=report.created_at, bed=bed)
    }
    layer = sum_layer(report.assessment)
    frames = frames_of(report, layer)
    objects[f"capture_{layer.key}"] = encode_capture(report, layer, frames)
    for each in eqd2_layers(report.assessment):
        objects[f"capture_{each.key}"] = encode_capture(report, each, frames_of(report, each))
    objects["report_sr"] = encode_dose_sr(report, language=language)
    shown = _for_paper(frames)
    objects["report_pdf"] = encode_dose_pdf(report, tuple((_jpeg(image), image.size) for image in shown))
    return objects


@encoding("pdf")
def encode_dose_pdf(
    report: DoseReport, pictures: tuple[tuple[bytes, tuple[int, int]], ...] = (), *, max_object_mb: float = 200.0
) -> EncodedObject:
    """The report for people as an encapsulated PDF.

    Raises
    ------
    UndecodableText
        The header of the images does not decode.
    EncodingError
        Something else went wrong; its type is named.
    """
    document = dose_pdf(report, pictures)
    ds = identify(report, "pdf", "AI PDF accumulated dose")
    ds.SOPClassUID, ds.Modality, ds.ConversionType = EncapsulatedPDFStorage, "DOC", "WSD"
    ds.AcquisitionDateTime = ""
    ds.BurnedInAnnotation, ds.VerificationFlag = "YES", "UNVERIFIED"
    ds.DocumentTitle = DOCUMENT_TITLE
    ds.ConceptNameCodeSequence = [coded("diagnostic_report")]
    ds.MIMETypeOfEncapsulatedDocument = "application/pdf"
    ds.EncapsulatedDocumentLength = len(document)
    ds.EncapsulatedDocument = document + b"\x00" * (len(document) % 2)
    return finished("pdf", ds, warnings=source_warnings(report.stack.header), max_object_mb=max_object_mb)


def document_of(item: EncodedObject) -> bytes:
    """The PDF file in an encapsulated one."""
    ds = dcmread(BytesIO(item.data))
    return bytes(ds.EncapsulatedDocument)[: int(ds.EncapsulatedDocumentLength)]


def _for_paper(frames: Sequence[Frame]) -> list[Image.Image]:
    """Pictures for the document: some of each direction, evenly chosen."""
    shown = []
    for name, most in PDF_FRAMES.items():
        mine = [image for label, image in frames if label.startswith(name)]
        count = min(most, len(mine))
        shown += [mine[round((n + 0.5) * len(mine) / count - 0.5)] for n in range(count)]
    return shown


def _jpeg(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=92, subsampling=0)
    return buffer.getvalue()
