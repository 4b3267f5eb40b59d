"""The RT structure set of a result's structures, written and checked by `contouring`."""

from typing import TYPE_CHECKING

from reports.encode.encoded import Capability, EncodedObject, encoding, finished
from reports.encode.identity import source_warnings
from reports.encode.structures import rois_of, settings_digest
from reports.model import Result

if TYPE_CHECKING:
    from imaging.series import Stack

__all__ = ["encode_rtstruct"]


@encoding("rtstruct")
def encode_rtstruct(
    result: Result, stack: "Stack", *, seg: EncodedObject | None = None, capability: Capability | None = None
) -> EncodedObject:
    """The structure set of all structures: ROI numbers are those of the result; `seg` becomes the definition source.

    Raises
    ------
    NotForSending
        The result has no structures.
    MissingMask, ForeignGeometry
        A structure cannot be written for this series.
    EncodingError
        Something else went wrong; its type is named.
    """
    from contouring.rtstruct_write import write_rtstruct

    capability = capability or Capability()
    written = write_rtstruct(
        rois_of(result, stack),
        stack,
        made_at=result.created_at,
        algorithm=result.algorithm_of(result.structures[0]),
        label=f"AI {result.created_at:%y%m%d %H%M%S}",
        mode=capability.rt_mode,
        profile=capability.rt_profile,
        settings_digest=settings_digest(result),
        definition_sources=_sources(result, seg),
        predecessor=_predecessor(result),
    )
    warnings = tuple(
        f"{keyword} of {f'ROI {number}' if number else 'the structure set'} was left out: the images' character set "
        "cannot hold it."
        for number, keyword in written.report.left_out
    )
    return finished(
        "rtstruct",
        written.dataset,
        data=written.encoded,
        warnings=warnings + source_warnings(stack.header, copied=True),
        max_object_mb=capability.max_object_mb,
    )


def _predecessor(result: Result) -> tuple[str, str] | None:
    """SOP class and instance of the structure set that this one replaces."""
    return next(((o.sop_class_uid, o.sop_instance_uid) for o in result.predecessors if o.outlet == "rtstruct"), None)


def _sources(result: Result, seg: EncodedObject | None) -> dict[int, tuple[str, str, int]] | None:
    """For each ROI number the segment that it was drawn from: SOP class, SOP instance, segment number."""
    if seg is None:
        return None
    return {s.number: (seg.sop_class_uid, seg.sop_instance_uid, s.number) for s in result.structures}
