"""The error tree of reports: what is wrong with a result or with an object made from it.

::

    RadgateError
    └── ReportsError
        ├── InvalidResult
        ├── UndecodableText
        ├── UnknownCode
        └── EncodingError
            ├── NotForSending
            ├── MissingMask
            ├── ForeignGeometry
            ├── TextTooLong
            └── InvalidObject
                └── ValidatorSilent
"""

from imaging.errors import RadgateError

__all__ = [
    "EncodingError",
    "ForeignGeometry",
    "InvalidObject",
    "InvalidResult",
    "MissingMask",
    "NotForSending",
    "ReportsError",
    "TextTooLong",
    "UndecodableText",
    "UnknownCode",
    "ValidatorSilent",
]


class ReportsError(RadgateError):
    """A result cannot be held, encoded or delivered as it is."""


class InvalidResult(ReportsError):
    """The parts of a result contradict each other, or a part is missing."""


class UndecodableText(ReportsError):
    """Text of the source does not decode in the character set that its header states."""


class UnknownCode(ReportsError):
    """A code that `codes.toml` does not list."""


class EncodingError(ReportsError):
    """A result cannot be written in this form."""


class NotForSending(EncodingError):
    """The result waits for a person, or this outlet does not exist for its status."""


class MissingMask(EncodingError):
    """A structure came back from its JSON form without its mask."""


class ForeignGeometry(EncodingError):
    """A structure does not lie on the grid of the series that the object refers to."""


class TextTooLong(EncodingError):
    """A text is longer than the attribute that has to hold it."""


class InvalidObject(EncodingError):
    """A written object breaks a rule of DICOM or of radgate; it is kept and not sent."""


class ValidatorSilent(InvalidObject):
    """The outside validator is installed and gave no answer, so nobody knows whether an object may be sent."""
