"""The errors of quality control.

::

    RadgateError
    └── QcError
        ├── ProfileInvalid
        ├── UnknownProfile
        ├── AmbiguousProfile
        ├── CheckInvalid
        ├── TooFewSeries
        └── TablesMissing

A fault of an image is no error: it is a result with a grade. These are faults of a profile file or of a check's own
declaration, found when they are read, not when a patient's series arrives.
"""

from imaging.errors import RadgateError

__all__ = [
    "AmbiguousProfile",
    "CheckInvalid",
    "ProfileInvalid",
    "QcError",
    "TablesMissing",
    "TooFewSeries",
    "UnknownProfile",
]


class QcError(RadgateError):
    """Quality control is set up wrongly."""


class ProfileInvalid(QcError):
    """A profile file breaks a rule; the message names file, line and key."""


class UnknownProfile(QcError):
    """No profile has this id."""


class AmbiguousProfile(QcError):
    """Two profiles match a series equally well."""


class CheckInvalid(QcError):
    """A check is declared incompletely, or twice."""


class TooFewSeries(QcError):
    """Limits cannot be scaled to a site that has judged so few series."""


class TablesMissing(QcError):
    """The tables of an external benchmark are not where they were said to be."""
