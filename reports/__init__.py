"""A result, and its forms for people and machines: DICOM segmentation, structure set, structured report, PDF."""

from reports.encode import (
    Capability,
    EncodedObject,
    encode_all,
    encode_pdf,
    encode_rtstruct,
    encode_seg,
    encode_sr,
    key_images,
)
from reports.model import Result, Status, measured_structure, outcome, pictured_structure, result_on
from reports.parts import (
    InputVersion,
    ObjectRef,
    RefusedPart,
    Run,
    RunStatus,
    StackRef,
    Structure,
    StudyRef,
    geometry_digest,
    input_version,
    mask_digest,
)
from reports.study import study_ref

__all__ = [
    "Capability",
    "EncodedObject",
    "InputVersion",
    "ObjectRef",
    "RefusedPart",
    "Result",
    "Run",
    "RunStatus",
    "StackRef",
    "Status",
    "Structure",
    "StudyRef",
    "encode_all",
    "encode_pdf",
    "encode_rtstruct",
    "encode_seg",
    "encode_sr",
    "geometry_digest",
    "input_version",
    "key_images",
    "mask_digest",
    "measured_structure",
    "outcome",
    "pictured_structure",
    "result_on",
    "study_ref",
]
