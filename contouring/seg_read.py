"""Reading DICOM segmentations of any maker onto an image's grid: binary, fractional, label map; shared groups too.

Frames are decoded one at a time and kept as crops. The geometry is checked by `seg_geometry`; nothing is resampled.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.utils import iter_pixels
from pydicom.sr.coding import Code

from contouring.errors import CorruptSegmentation, NotASegmentation, SegmentationOffGrid, UnknownStructure
from contouring.names import NameTable, StructureName
from contouring.roi import Generation, Roi
from contouring.seg_geometry import check_frame_of_reference, check_plane_spacing, frame_planes, place
from contouring.seg_reslice import resliced_along
from imaging.geometry import Grid
from imaging.volume import Region

__all__ = ["ReadSegmentation", "Segment", "read_seg", "rois_of"]

SEGMENTATION_CLASSES = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
KINDS = ("BINARY", "FRACTIONAL", "LABELMAP")
UNKNOWN_COLOUR = (255, 255, 0)


@dataclass(frozen=True, eq=False)
class Segment:
    """One segment as its maker described it, on the grid of the image.

    Parameters
    ----------
    number, label, description
        SegmentNumber, SegmentLabel, SegmentDescription.
    category, type, modifier
        Property codes; None where the object has none.
    generation
        SegmentAlgorithmType.
    tracking_uid
        TrackingUID, or "".
    colour_rgb
        From RecommendedDisplayCIELabValue, or None.
    region
        The voxels; of a fractional segment those of at least one half, with the fractions as probability.
    """

    number: int
    label: str
    description: str
    category: Code | None
    type: Code | None
    modifier: Code | None
    generation: Generation
    tracking_uid: str
    colour_rgb: tuple[int, int, int] | None
    region: Region


@dataclass(frozen=True, eq=False)
class ReadSegmentation:
    """What a segmentation holds.

    Parameters
    ----------
    kind
        "BINARY", "FRACTIONAL" or "LABELMAP".
    segments
        By number; the background of a label map is left out.
    largest_shift_mm
        Largest distance of a frame's corner from its voxel centre.
    ignored_frames
        Empty frames that lie on no plane of the image.
    """

    kind: str
    segments: tuple[Segment, ...]
    largest_shift_mm: float = 0.0
    ignored_frames: int = 0


@dataclass
class _Collected:
    """Crops of one segment's planes, as they come."""

    planes: dict[int, tuple[NDArray[Any], int, int]] = field(default_factory=dict)


def read_seg(ds: Dataset, grid: Grid) -> ReadSegmentation:
    """The segments of a DICOM segmentation as regions of a grid.

    Parameters
    ----------
    ds
        The object, with its pixels.
    grid
        Grid of the image series; flipped, transposed and cropped frames are put where they belong, and so are frames
        that cut an even, upright stack along its rows or columns.

    Raises
    ------
    NotASegmentation
        Another kind of object.
    CorruptSegmentation
        Frames, segments and pixels contradict each other.
    FrameOfReferenceMismatch
        Another frame of reference than the image's.
    SegmentationOffGrid
        A frame's pixels do not fall onto the image's voxels, something is marked outside the image, or the slices
        are so far apart that planes between would stay empty.
    """
    kind = _kind(ds)
    check_frame_of_reference(ds, grid)
    descriptions = _descriptions(ds)
    numbers = _frame_segments(ds, kind, descriptions)
    other = resliced_along(next(frame_planes(ds)).normal, grid)
    if other is not None:
        read = _read_frames(ds, kind, descriptions, numbers, other.grid)
        segments = tuple(replace(s, region=other.region_of_image(s.region)) for s in read.segments)
        return replace(read, segments=segments)
    return _read_frames(ds, kind, descriptions, numbers, grid)


def _read_frames(
    ds: Dataset, kind: str, descriptions: Mapping[int, Dataset], numbers: Sequence[int], grid: Grid
) -> ReadSegmentation:
    """The segments, frame by frame, on a grid whose planes the frames are.

    Raises
    ------
    SegmentationOffGrid
        As of `read_seg`.
    """
    collected: dict[int, _Collected] = {n: _Collected() for n in descriptions if n or kind != "LABELMAP"}
    size, shift, ignored = (int(ds.Rows), int(ds.Columns)), 0.0, 0
    used: set[int] = set()
    for frame, number, pixels in zip(frame_planes(ds), numbers, _frames(ds, kind), strict=True):
        placement = place(frame, size, grid)
        if placement.plane < 0:
            if pixels.any():
                raise SegmentationOffGrid(
                    f"A segment has voxels on a plane {placement.shift_mm:.2f} mm off the nearest plane of the image; "
                    "choose the series it was drawn on.",
                    shift_mm=placement.shift_mm,
                )
            ignored += 1
            continue
        used.add(placement.plane)
        shift = max(shift, placement.shift_mm)
        values, corner = placement.onto(pixels, grid)
        if kind == "LABELMAP":
            _collect_labels(collected, values, placement.plane, corner)
        else:
            _collect(collected[number], values, placement.plane, corner)
    check_plane_spacing(ds, used, grid)
    scale = int(ds.get("MaximumFractionalValue", 255) or 255) if kind == "FRACTIONAL" else 0
    segments = [_segment(descriptions[n], n, _region(c, grid, scale)) for n, c in sorted(collected.items())]
    return ReadSegmentation(kind, tuple(segments), shift, ignored)


def rois_of(read: ReadSegmentation, table: NameTable | None = None) -> tuple[Roi, ...]:
    """The segments as structures to write again; a label without an entry in the table keeps its maker's codes."""
    names = table or NameTable.default()
    rois = []
    for number, segment in enumerate(read.segments, start=1):
        rois.append(Roi(number, _name(segment, names), segment.region, segment.description, None, segment.generation))
    return tuple(rois)


def _name(segment: Segment, table: NameTable) -> StructureName:
    try:
        return table.lookup(segment.label)
    except UnknownStructure:
        fallback = Code("91723000", "SCT", "Anatomical Structure")
        return StructureName(
            tg263=segment.label,
            zh=segment.label,
            en=segment.label,
            category=segment.category or fallback,
            type=segment.type or fallback,
            modifier=segment.modifier,
            fma="",
            colour_rgb=segment.colour_rgb or UNKNOWN_COLOUR,
            interpreted_type="ORGAN",
        )


def _kind(ds: Dataset) -> str:
    if ds.get("SOPClassUID") not in SEGMENTATION_CLASSES:
        raise NotASegmentation("The object is no DICOM segmentation; give a SEG.")
    kind = str(ds.get("SegmentationType", ""))
    if kind not in KINDS:
        raise CorruptSegmentation("SegmentationType is none of BINARY, FRACTIONAL and LABELMAP; export it again.")
    if not ds.get("SegmentSequence") or not ds.get("NumberOfFrames") or "PixelData" not in ds:
        raise CorruptSegmentation("The segmentation has no segments, frames or pixels; export it again.")
    if len(ds.get("PerFrameFunctionalGroupsSequence") or ()) != int(ds.NumberOfFrames):
        raise CorruptSegmentation("The number of frames and of their functional groups differ; export it again.")
    return kind


def _descriptions(ds: Dataset) -> dict[int, Dataset]:
    items = {int(item.SegmentNumber): item for item in ds.SegmentSequence}
    if len(items) != len(ds.SegmentSequence):
        raise CorruptSegmentation("Two segments carry the same number; export the object again.")
    return items


def _frame_segments(ds: Dataset, kind: str, descriptions: Mapping[int, Dataset]) -> list[int]:
    """The segment of each frame: from its own groups, the shared ones, or because there is only one.

    Raises
    ------
    CorruptSegmentation
        A frame names no segment, or one that is not described.
    """
    if kind == "LABELMAP":
        return [0] * int(ds.NumberOfFrames)
    shared = (list(ds.get("SharedFunctionalGroupsSequence") or ()) or [Dataset()])[0]
    only = next(iter(descriptions)) if len(descriptions) == 1 else None
    numbers = []
    for frame, own in enumerate(ds.PerFrameFunctionalGroupsSequence, start=1):
        items = own.get("SegmentIdentificationSequence") or shared.get("SegmentIdentificationSequence")
        number = int(items[0].ReferencedSegmentNumber) if items else only
        if number is None or number not in descriptions:
            raise CorruptSegmentation(f"Frame {frame} belongs to no described segment; export it again.", frame=frame)
        numbers.append(number)
    return numbers


def _frames(ds: Dataset, kind: str) -> Iterator[NDArray[Any]]:
    rows, columns, count = int(ds.Rows), int(ds.Columns), int(ds.NumberOfFrames)
    if ds.file_meta.TransferSyntaxUID.is_encapsulated or kind != "BINARY":
        yield from iter_pixels(ds)
        return
    pixels = rows * columns
    data = np.frombuffer(ds.PixelData, dtype=np.uint8)
    if len(data) * 8 < pixels * count:
        raise CorruptSegmentation(
            f"The pixels end after {len(data) * 8 // pixels} of {count} frames; send the object again.",
            expected=count,
            got=len(data) * 8 // pixels,
        )
    for frame in range(count):
        # Frames follow each other without padding, so one may begin in the middle of a byte.
        first, last = frame * pixels, (frame + 1) * pixels
        bits = np.unpackbits(data[first // 8 : -(-last // 8)], bitorder="little")
        yield bits[first % 8 : first % 8 + pixels].reshape(rows, columns)


def _collect(into: _Collected, values: NDArray[Any], plane: int, corner: tuple[int, int]) -> None:
    hits_rows = np.flatnonzero(values.any(axis=1))
    if not len(hits_rows):
        return
    hits_columns = np.flatnonzero(values.any(axis=0))
    top, left = int(hits_rows[0]), int(hits_columns[0])
    crop = values[top : hits_rows[-1] + 1, left : hits_columns[-1] + 1].copy()
    entry = (crop, corner[0] + top, corner[1] + left)
    before = into.planes.setdefault(plane, entry)
    if before is not entry and (before[1:] != entry[1:] or not np.array_equal(before[0], crop)):
        raise CorruptSegmentation(
            f"Two different frames of one segment lie on plane {plane}; export the object again.", plane=plane
        )


def _collect_labels(
    collected: Mapping[int, _Collected], labels: NDArray[Any], plane: int, corner: tuple[int, int]
) -> None:
    for label in np.unique(labels):
        if label == 0:
            continue
        if int(label) not in collected:
            raise CorruptSegmentation(f"Label {int(label)} belongs to no described segment; export it again.")
        _collect(collected[int(label)], labels == label, plane, corner)


def _region(collected: _Collected, grid: Grid, scale: int) -> Region:
    """The planes' crops joined; `scale` is MaximumFractionalValue, or 0 where there are no fractions."""
    if not collected.planes:
        return Region.from_mask(np.zeros(grid.shape, dtype=np.bool_))
    planes = collected.planes
    lo = (min(planes), min(p[1] for p in planes.values()), min(p[2] for p in planes.values()))
    hi = (
        max(planes) + 1,
        max(p[1] + p[0].shape[0] for p in planes.values()),
        max(p[2] + p[0].shape[1] for p in planes.values()),
    )
    share: NDArray[Any] = np.zeros(
        [h - low for h, low in zip(hi, lo, strict=True)], dtype=np.uint8 if scale else np.bool_
    )
    for plane, (crop, top, left) in planes.items():
        target = share[plane - lo[0], top - lo[1] :, left - lo[2] :]
        target[: crop.shape[0], : crop.shape[1]] = crop
    if not scale:
        return Region(share.astype(np.bool_, copy=False), lo, grid.shape)
    probability = share.astype(np.float32) / scale
    return Region(probability >= 0.5, lo, grid.shape, probability)


def _segment(item: Dataset, number: int, region: Region) -> Segment:
    kind_of = _code(item.get("SegmentedPropertyTypeCodeSequence"))
    modifiers: Sequence[Dataset] | None = None
    if item.get("SegmentedPropertyTypeCodeSequence"):
        modifiers = item.SegmentedPropertyTypeCodeSequence[0].get("SegmentedPropertyTypeModifierCodeSequence")
    generations: dict[str, Generation] = {"AUTOMATIC": "AUTOMATIC", "SEMIAUTOMATIC": "SEMIAUTOMATIC"}
    return Segment(
        number=number,
        label=str(item.get("SegmentLabel", "") or f"Segment {number}"),
        description=str(item.get("SegmentDescription", "") or ""),
        category=_code(item.get("SegmentedPropertyCategoryCodeSequence")),
        type=kind_of,
        modifier=_code(modifiers),
        generation=generations.get(str(item.get("SegmentAlgorithmType", "")), "MANUAL"),
        tracking_uid=str(item.get("TrackingUID", "") or ""),
        colour_rgb=_colour(item),
        region=region,
    )


def _code(items: Sequence[Dataset] | None) -> Code | None:
    if not items:
        return None
    item = items[0]
    value = str(item.get("CodeValue", "") or item.get("LongCodeValue", "") or "")
    return Code(value, str(item.get("CodingSchemeDesignator", "")), str(item.get("CodeMeaning", ""))) if value else None


def _colour(item: Dataset) -> tuple[int, int, int] | None:
    values = item.get("RecommendedDisplayCIELabValue")
    if values is None or len(values) != 3:
        return None
    from highdicom.color import CIELabColor

    red, green, blue = CIELabColor.from_dicom_value(tuple(int(v) for v in values)).to_rgb()
    return (int(red), int(green), int(blue))
