"""The error tree of contouring: what is wrong with a structure, a contour or a segmentation, and what to do.

::

    RadgateError
    └── ContouringError
        ├── UnknownStructure
        ├── LateralityConflict
        ├── FrameOfReferenceMismatch
        ├── DifferentGrids
        ├── EmptyStructure
        ├── SegmentationRefused
        │   ├── NotASegmentation
        │   ├── CorruptSegmentation
        │   ├── SegmentationOffGrid
        │   └── OverlappingSegments
        ├── RecipeRefused
        └── SuvRefused
"""

from imaging.errors import RadgateError

__all__ = [
    "ContouringError",
    "CorruptSegmentation",
    "DifferentGrids",
    "EmptyStructure",
    "FrameOfReferenceMismatch",
    "LateralityConflict",
    "NotASegmentation",
    "OverlappingSegments",
    "RecipeRefused",
    "SegmentationOffGrid",
    "SegmentationRefused",
    "SuvRefused",
    "UnknownStructure",
]


class ContouringError(RadgateError):
    """A structure, contour or segmentation cannot be used as it is."""


class UnknownStructure(ContouringError):
    """A name without an entry in the table of structures."""


class LateralityConflict(ContouringError):
    """A name says left and the geometry says right, or the other way round."""


class FrameOfReferenceMismatch(ContouringError):
    """Structures and image refer to different frames of reference."""


class DifferentGrids(ContouringError):
    """Two regions that do not lie on the same grid are to be compared or combined."""


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
