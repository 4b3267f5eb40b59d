"""The DICOM segmentation of a result's structures, written by `contouring`."""

from functools import partial
from typing import TYPE_CHECKING

from reports.encode.encoded import Capability, EncodedObject, encoding, finished
from reports.encode.identity import source_warnings
from reports.encode.structures import rois_of, settings_digest
from reports.errors import InvalidObject
from reports.model import Result

if TYPE_CHECKING:
    from imaging.pictures import PictureSeries
    from imaging.series import Stack

__all__ = ["encode_seg"]

OVERLAPPING = "Structures overlap, which a label map cannot hold: the segmentation is binary."


@encoding("seg")
def encode_seg(
    result: Result, stack: "Stack | PictureSeries", *, capability: Capability | None = None
) -> EncodedObject:
    """The segmentation of all structures: segment numbers and tracking UIDs are those of the result.

    Where structures overlap, a destination that wants a label map gets a binary segmentation, with a warning.

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
    from contouring.errors import OverlappingSegments
    from contouring.seg_write import write_seg

    capability = capability or Capability()
    write = partial(
        write_seg,
        rois_of(result, stack),
        stack,
        made_at=result.created_at,
        algorithm=result.algorithm_of(result.structures[0]),
        settings_digest=settings_digest(result),
        item_charset=capability.item_charset,
    )
    warnings = source_warnings(stack.header, copied=True)
    try:
        ds = write(kind=capability.seg)
    except OverlappingSegments:
        ds = write(kind="binary")
        warnings = (*warnings, OVERLAPPING)
    segments = {int(s.SegmentNumber): s for s in ds.SegmentSequence}
    for structure in result.structures:
        segment = segments.get(structure.number)
        if segment is None or str(segment.SegmentLabel) != structure.name.tg263:
            raise InvalidObject("A segment does not carry the number of its structure; the SEG is not sent.")
        segment.TrackingID, segment.TrackingUID = structure.name.tg263, structure.tracking_uid
    return finished("seg", ds, warnings=warnings, max_object_mb=capability.max_object_mb)
