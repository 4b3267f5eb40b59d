"""The root of radgate's error tree, and the refusals of the ground floor.

::

    RadgateError
    └── ImagingError
        ├── NotDicom
        ├── TruncatedFile
        ├── DuplicateInstance
        ├── MissingAttribute
        ├── MixedPatients
        ├── UndecodablePixels
        └── GeometryRefused
            ├── NotAnImageStack
            ├── Localiser
            ├── MixedOrientation
            ├── MixedFrameOfReference
            ├── MixedGrid
            ├── DuplicatePlanes
            ├── FourDimensional
            ├── GantryTilt
            └── MissingSlices

Each error carries one sentence that says what is wrong and what to do, a stable `code`, and `fields` with the numbers
behind it. None carries patient data: no name, no id, no path, no free text of a header.
"""

from typing import Any, ClassVar

__all__ = [
    "DuplicateInstance",
    "DuplicatePlanes",
    "FourDimensional",
    "GantryTilt",
    "GeometryRefused",
    "ImagingError",
    "Localiser",
    "MissingAttribute",
    "MissingSlices",
    "MixedFrameOfReference",
    "MixedGrid",
    "MixedOrientation",
    "MixedPatients",
    "NotAnImageStack",
    "NotDicom",
    "RadgateError",
    "TruncatedFile",
    "UndecodablePixels",
]


class RadgateError(Exception):
    """Root of all errors that radgate raises on purpose.

    Parameters
    ----------
    message
        One sentence: what is wrong and what to do. No patient data.
    fields
        The numbers and UIDs behind the sentence, JSON-serialisable.
    """

    code: ClassVar[str] = "error"

    def __init__(self, message: str, **fields: Any) -> None:
        super().__init__(message)
        self.message = message
        self.fields = fields

    def __init_subclass__(cls) -> None:
        name = cls.__name__
        cls.code = "".join(f"_{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.message, self.fields))


def _rebuild(kind: type[RadgateError], message: str, fields: dict[str, Any]) -> RadgateError:
    return kind(message, **fields)


class ImagingError(RadgateError):
    """A file or a series cannot be used as an image."""


class NotDicom(ImagingError):
    """The file is no DICOM file."""


class TruncatedFile(ImagingError):
    """The file ends before its data set does, or claims more than it holds."""


class DuplicateInstance(ImagingError):
    """Two files with one SOP instance UID: a needless copy, or a contradiction."""


class MissingAttribute(ImagingError):
    """An attribute that geometry or pixels need is absent or empty."""


class MixedPatients(ImagingError):
    """The slices of one series name several patients."""


class UndecodablePixels(ImagingError):
    """No decoder for this transfer syntax, photometric interpretation or bit depth, or the stream is damaged."""


class GeometryRefused(ImagingError):
    """The instances do not make up one regular three-dimensional grid."""


class NotAnImageStack(GeometryRefused):
    """The series holds no images with a position in space (a report, a structure set, a secondary capture)."""


class Localiser(GeometryRefused):
    """The series is a localiser (scout, topogram)."""


class MixedOrientation(GeometryRefused):
    """Orientation differs between slices, or its cosines are no right-angled unit vectors."""


class MixedFrameOfReference(GeometryRefused):
    """Slices of more than one frame of reference."""


class MixedGrid(GeometryRefused):
    """Rows, columns or pixel spacing differ between slices."""


class DuplicatePlanes(GeometryRefused):
    """Two instances at the same position that nothing in the headers tells apart."""


class FourDimensional(GeometryRefused):
    """Several instances at each position: phases, echoes, b-values or times in one series."""


class GantryTilt(GeometryRefused):
    """The step from slice to slice is not perpendicular to the slices."""


class MissingSlices(GeometryRefused):
    """The distance between slices is not constant: slices are missing, or the spacing changes."""
