"""The segments of a DICOM segmentation: label, codes, colour, algorithm and tracking of each structure."""

from collections.abc import Sequence
from typing import Any

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from contouring.roi import Roi
from imaging.provenance import Algorithm, deterministic_uid

__all__ = ["background_segment", "code_item", "segment_items"]

MAX_DESCRIPTION = 1024
"""Characters of an ST value."""


def segment_items(
    rois: Sequence[Roi], algorithm: Algorithm, study_instance_uid: str, *, text_is_unicode: bool
) -> list[Dataset]:
    """Items of SegmentSequence, numbered as the regions are.

    Parameters
    ----------
    rois
        The structures.
    algorithm
        What made those that name no algorithm of their own.
    study_instance_uid
        Goes into the tracking UIDs.
    text_is_unicode
        Whether the items can hold Chinese text; without it, only the English name is described.
    """
    # highdicom takes half a second to import, and most uses of the package never write a segmentation.
    from highdicom.color import CIELabColor
    from highdicom.seg import SegmentDescription

    items = []
    for roi in rois:
        made_by = roi.algorithm or algorithm
        automatic = roi.generation != "MANUAL"
        item = SegmentDescription(
            segment_number=roi.number,
            segment_label=roi.name.tg263,
            segmented_property_category=roi.name.category,
            segmented_property_type=roi.name.type,
            algorithm_type=roi.generation,
            algorithm_identification=_identification(made_by) if automatic else None,
            tracking_id=f"{roi.name.tg263} {roi.number}",
            tracking_uid=tracking_uid(roi, made_by, study_instance_uid),
            display_color=CIELabColor.from_rgb(*roi.name.colour_rgb),
        )
        if roi.name.modifier is not None:
            modifiers = DicomSequence([code_item(roi.name.modifier)])
            item.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = modifiers
        names = (roi.name.zh, roi.name.en) if text_is_unicode else (roi.name.en,)
        text = "; ".join(dict.fromkeys(t for t in (*names, roi.description) if t))
        item.SegmentDescription = (text if text_is_unicode or text.isascii() else roi.name.en)[:MAX_DESCRIPTION]
        items.append(item)
    return items


def tracking_uid(roi: Roi, algorithm: Algorithm, study_instance_uid: str) -> str:
    """The same structure of the same study by the same algorithm has the same tracking UID in every object."""
    return deterministic_uid("tracking", [study_instance_uid, algorithm.name, roi.number, roi.name.tg263])


def background_segment() -> Dataset:
    """Segment 0 of a label map: what belongs to no structure."""
    item = Dataset()
    item.SegmentNumber = 0
    item.SegmentLabel = "Background"
    item.SegmentAlgorithmType = "AUTOMATIC"
    background = Code("125040", "DCM", "Background")
    item.SegmentedPropertyCategoryCodeSequence = DicomSequence([code_item(background)])
    item.SegmentedPropertyTypeCodeSequence = DicomSequence([code_item(background)])
    return item


def code_item(code: Code) -> Dataset:
    """The item of a code sequence."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme_designator, code.meaning
    return item


def _identification(algorithm: Algorithm) -> Any:
    from highdicom import AlgorithmIdentificationSequence

    family = codes.DCM.MorphologicalOperations if algorithm.deterministic else codes.DCM.ArtificialIntelligence
    parameters = {f"weights_sha256_{n}": sha for n, sha in enumerate(algorithm.weights_sha256, start=1)}
    if algorithm.bundle_digest:
        parameters["bundle_digest"] = algorithm.bundle_digest
    return AlgorithmIdentificationSequence(
        name=algorithm.name,
        family=family,
        version=algorithm.version,
        source=algorithm.manufacturer,
        parameters=parameters or None,
    )
