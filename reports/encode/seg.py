"""The DICOM segmentation of a result's structures, written by `contouring`."""

from typing import TYPE_CHECKING

from reports.encode.encoded import Capability, EncodedObject, encoding, finished
from reports.encode.identity import source_warnings
from reports.encode.structures import rois_of, settings_digest
from reports.errors import InvalidObject
from reports.model import Result

if TYPE_CHECKING:
    from imaging.series import Stack

__all__ = ["encode_seg"]


@encoding("seg")
def encode_seg(result: Result, stack: "Stack", *, capability: Capability | None = None) -> EncodedObject:
    """The segmentation of all structures: segment numbers and tracking UIDs are those of the result.

    Raises
    ------
    NotForSending
        The result has no structures.
    MissingMask, ForeignGeometry
        A structure cannot be written for this series.
    InvalidObject
        The written segments are not those of the result.
    EncodingError
        Something else went wrong; its type is named.
    """
    from contouring.seg_write import write_seg

    capability = capability or Capability()
    ds = write_seg(
        rois_of(result, stack),
        stack,
        made_at=result.created_at,
        algorithm=result.algorithm_of(result.structures[0]),
        kind=capability.seg,
        settings_digest=settings_digest(result),
        item_charset=capability.item_charset,
    )
    segments = {int(s.SegmentNumber): s for s in ds.SegmentSequence}
    for structure in result.structures:
        segment = segments.get(structure.number)
        if segment is None or str(segment.SegmentLabel) != structure.name.tg263:
            raise InvalidObject("A segment does not carry the number of its structure; the SEG is not sent.")
        segment.TrackingID, segment.TrackingUID = structure.name.tg263, structure.tracking_uid
    warnings = source_warnings(stack.header, copied=True)
    return finished("seg", ds, warnings=warnings, max_object_mb=capability.max_object_mb)
