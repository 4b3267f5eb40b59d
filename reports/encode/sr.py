"""The structured report: TID 1500 as Comprehensive 3D SR, with structures, image quality and the status of the work."""

from typing import TYPE_CHECKING

from pydicom.dataset import Dataset

from qc.image.result import SeriesVerdict
from reports.codes import code
from reports.encode.encoded import Capability, EncodedObject, encoding, finished
from reports.encode.identity import (
    MANUFACTURER,
    carry_as_bytes,
    declare_private_scheme,
    equip,
    is_carried_as_bytes,
    mark_items,
    object_uid,
    source_identity,
    source_warnings,
)
from reports.errors import NotForSending
from reports.model import Result
from reports.wording import REVIEW_SENTENCE, radgate_version

if TYPE_CHECKING:
    from imaging.planes import PlaneSeries

__all__ = ["encode_sr"]


@encoding("sr")
def encode_sr(
    result: Result, stack: "PlaneSeries", *, seg: EncodedObject | None = None, capability: Capability | None = None
) -> EncodedObject:
    """The structured report of a result.

    Parameters
    ----------
    stack
        The series that the structures lie on, or the one that was refused.
    seg
        The segmentation that goes with it; its segments are referred to by the structures' numbers.

    Raises
    ------
    NotForSending
        The result waits for a person.
    UndecodableText
        Identity of the patient that does not decode, in a header whose bytes are not known.
    EncodingError
        Something else went wrong; its type is named.
    """
    from highdicom.sr import Comprehensive3DSR

    if result.status == "held":
        raise NotForSending("The result waits for a person and is not sent; release or refuse it first.")
    capability = capability or Capability()
    # A report that refers to another form of the segmentation is another report.
    form = f"{capability.language} {capability.item_charset} {seg.sop_instance_uid if seg else ''}"
    ds = Comprehensive3DSR(
        evidence=_evidence(stack, seg),
        content=_content(result, stack, seg, capability),
        series_instance_uid=object_uid("series", result, "sr", form),
        series_number=1,
        sop_instance_uid=object_uid("instance", result, "sr", form),
        instance_number=1,
        manufacturer=MANUFACTURER,
        previous_versions=_predecessors(result) or None,
        is_complete=True,
        is_final=False,
        is_verified=False,
    )
    # The source's character set may be that of a header which states none.
    ds.pop("SpecificCharacterSet", None)
    ds.update(source_identity(stack.header))
    equip(ds, result, "sr")
    declare_private_scheme(ds)
    if capability.item_charset:
        mark_items(ds.ContentSequence, "ContentSequence")
    if is_carried_as_bytes(stack.header):
        carry_as_bytes(ds)
    return finished("sr", ds, warnings=source_warnings(stack.header), max_object_mb=capability.max_object_mb)


def _content(result: Result, stack: "PlaneSeries", seg: EncodedObject | None, capability: Capability) -> Dataset:
    """The tree from the root container down."""
    from highdicom.sr import (
        CodedConcept,
        DeviceObserverIdentifyingAttributes,
        LanguageOfContentItemAndDescendants,
        MeasurementReport,
        ObservationContext,
        ObserverContext,
        RelationshipTypeValues,
        TextContentItem,
    )
    from pydicom.sr.codedict import codes

    from reports.encode.sr_findings import finding_groups
    from reports.encode.sr_groups import quality_groups, status_groups, structure_group
    from reports.encode.sr_landmarks import landmark_groups
    from reports.encode.sr_pictures import pictured_group

    observer = DeviceObserverIdentifyingAttributes(
        uid=object_uid("observer", result, "sr"),
        name="radgate",
        manufacturer_name=MANUFACTURER,
        model_name=f"radgate {radgate_version()}",
    )
    groups = [
        structure_group(s, result.algorithm_of(s), seg, stack.sources[0], result.finding_on(s))
        if not s.areas_px
        else pictured_group(s, result.algorithm_of(s), seg, stack.sources)
        for s in result.structures
    ]
    groups += finding_groups(result, stack.sources)
    groups += landmark_groups(result, stack.sources)
    groups += status_groups(result, stack.sources[0])
    for verdict in result.qc:
        groups += quality_groups(SeriesVerdict.from_json(verdict), stack.sources)
    modality = str(stack.header.get("Modality", ""))
    procedure = code(f"procedure_{modality}" if modality in {"CT", "MR", "PT"} else "diagnostic_report")
    report = MeasurementReport(
        observation_context=ObservationContext(
            observer_device_context=ObserverContext(codes.DCM.Device, observer_identifying_attributes=observer)
        ),
        procedure_reported=procedure,
        imaging_measurements=groups,
        title=code("report"),
        language_of_content_item_and_descendants=LanguageOfContentItemAndDescendants(
            CodedConcept.from_code(code(f"language_{capability.language}"))
        ),
    )
    root = report[0]
    root.ContentSequence.append(
        TextContentItem(name=code("comment"), value=REVIEW_SENTENCE, relationship_type=RelationshipTypeValues.CONTAINS)
    )
    return root


def _predecessors(result: Result) -> list[Dataset]:
    """The reports that this one replaces, and the segmentations, which have no such link of their own."""
    found = []
    for old in result.predecessors:
        if old.outlet in {"sr", "seg"}:
            item = Dataset()
            item.StudyInstanceUID, item.SeriesInstanceUID = result.study.study_uid, old.series_instance_uid
            item.SOPClassUID, item.SOPInstanceUID = old.sop_class_uid, old.sop_instance_uid
            found.append(item)
    return found


def _evidence(stack: "PlaneSeries", seg: EncodedObject | None) -> list[Dataset]:
    """One small data set for each instance that the report rests on."""
    references = [(s.sop_class_uid, s.sop_instance_uid, s.series_instance_uid) for s in stack.sources]
    if seg is not None:
        references.append((seg.sop_class_uid, seg.sop_instance_uid, seg.series_instance_uid))
    # highdicom refuses and remarks on values that are the source's to choose; patient and study are written afterwards
    shared = source_identity(Dataset())
    shared.StudyInstanceUID = stack.study_instance_uid
    evidence = []
    for sop_class_uid, sop_instance_uid, series_instance_uid in dict.fromkeys(references):
        item = Dataset()
        item.update(shared)
        item.SOPClassUID, item.SOPInstanceUID = sop_class_uid, sop_instance_uid
        item.SeriesInstanceUID = series_instance_uid
        evidence.append(item)
    return evidence
