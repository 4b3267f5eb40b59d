"""What contouring refuses, and the names of those refusals.

::

    RadgateError
    └── ContouringError
        ├── NotAStructureSet
        ├── FrameOfReferenceMismatch
        ├── NonPlanarContour
        ├── OffGridContours
        ├── OverlappingContours
        ├── EmptyAfterClipping
        ├── CorruptContourData
        ├── UnsupportedContourType
        ├── DuplicateRoiNumber
        ├── UnknownRoi
        ├── GridMismatch
        ├── RoundTripMismatch
        ├── UnwritableNumber
        ├── ProfileViolation
        ├── UnknownStructure
        ├── AliasesRefused
        ├── LateralityConflict
        ├── EmptyStructure
        ├── SegmentationRefused
        │   ├── NotASegmentation
        │   ├── CorruptSegmentation
        │   ├── SegmentationOffGrid
        │   └── OverlappingSegments
        ├── RecipeRefused
        └── SuvRefused

Refusals of the series' own geometry (`MixedOrientation`, `DuplicatePlanes`...) belong to `imaging.errors`.
"""

from imaging.errors import RadgateError

__all__ = [
    "AliasesRefused",
    "ContouringError",
    "CorruptContourData",
    "CorruptSegmentation",
    "DuplicateRoiNumber",
    "EmptyAfterClipping",
    "EmptyStructure",
    "FrameOfReferenceMismatch",
    "GridMismatch",
    "LateralityConflict",
    "NonPlanarContour",
    "NotASegmentation",
    "NotAStructureSet",
    "OffGridContours",
    "OverlappingContours",
    "OverlappingSegments",
    "ProfileViolation",
    "RecipeRefused",
    "RoundTripMismatch",
    "SegmentationOffGrid",
    "SegmentationRefused",
    "SuvRefused",
    "UnknownRoi",
    "UnknownStructure",
    "UnsupportedContourType",
    "UnwritableNumber",
]


class ContouringError(RadgateError):
    """A structure cannot be read, written or computed without guessing."""


class NotAStructureSet(ContouringError):
    """The DICOM object is no RT structure set."""


class FrameOfReferenceMismatch(ContouringError):
    """The contours live in another frame of reference than the image."""


class NonPlanarContour(ContouringError):
    """A contour does not lie in a plane of the image's orientation."""


class OffGridContours(ContouringError):
    """Contours lie between the slices of the image."""


class OverlappingContours(ContouringError):
    """Boundaries of CLOSED_PLANAR contours cross in one plane: union or XOR was meant, and nothing says which."""


class EmptyAfterClipping(ContouringError):
    """A structure has contours, but all of them lie outside the image."""


class CorruptContourData(ContouringError):
    """ContourData holds text, NaN, or a number of values that is no multiple of three."""


class UnsupportedContourType(ContouringError):
    """The only contours of the structure are points or open lines, which enclose no area."""


class DuplicateRoiNumber(ContouringError):
    """Two structures carry the same ROINumber, so their contours cannot be told apart."""


class UnknownRoi(ContouringError):
    """A contour or a caller refers to an ROINumber that the structure set does not define."""


class GridMismatch(ContouringError):
    """A region was made on another grid than the image it is to be written for."""


class RoundTripMismatch(ContouringError):
    """The written contours, read again, do not give the mask they were made from."""


class UnwritableNumber(ContouringError):
    """A coordinate does not fit into the 16 characters of a decimal string."""


class ProfileViolation(ContouringError):
    """The structure set breaks a rule of the export profile that it was made for."""


class UnknownStructure(ContouringError):
    """A name without an entry in the table of structures."""


class AliasesRefused(ContouringError):
    """The file of a site's names cannot be used."""


class LateralityConflict(ContouringError):
    """A name says left and the geometry says right, or the other way round."""


class EmptyStructure(ContouringError):
    """A structure without a voxel, where one is needed."""


class SegmentationRefused(ContouringError):
    """A DICOM segmentation cannot be read onto the image, or written."""


class NotASegmentation(SegmentationRefused):
    """The object is no DICOM segmentation."""


class CorruptSegmentation(SegmentationRefused):
    """Frames, segments or pixels of the segmentation contradict each other."""


class SegmentationOffGrid(SegmentationRefused):
    """The segmentation's frames do not lie on the voxels of the image."""


class OverlappingSegments(SegmentationRefused):
    """Segments overlap where the form of the object allows one label for each voxel."""


class RecipeRefused(ContouringError):
    """A recipe of derived structures has a fault, or does not fit the structures at hand."""


class SuvRefused(ContouringError):
    """The header lacks what standardised uptake values need, or contradicts itself."""
