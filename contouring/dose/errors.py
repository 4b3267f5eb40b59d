"""What the dose library refuses, and the names of those refusals.

::

    ContouringError
    └── DoseError
        ├── NotADose
        ├── NotAPlan
        ├── RelativeDose
        ├── MissingDoseScaling
        ├── ImpossibleDose
        ├── DoseGridRefused
        ├── UndecodableDose
        ├── DifferentPatients
        ├── MixedDoseType
        ├── FractionDoseAsPlan
        ├── FractionCountUnknown
        ├── UndeliveredFractions
        ├── RbeUnknown
        ├── DuplicateDose
        ├── NoRegistration
        ├── RegistrationRefused
        ├── DosesApart
        ├── OutsideDoseGrid
        ├── MetricRefused
        ├── LimitsRefused
        ├── StructureRefused
        └── CaseRefused
"""

from contouring.errors import ContouringError

__all__ = [
    "CaseRefused",
    "DifferentPatients",
    "DoseError",
    "DoseGridRefused",
    "DosesApart",
    "DuplicateDose",
    "FractionCountUnknown",
    "FractionDoseAsPlan",
    "ImpossibleDose",
    "LimitsRefused",
    "MetricRefused",
    "MissingDoseScaling",
    "MixedDoseType",
    "NoRegistration",
    "NotADose",
    "NotAPlan",
    "OutsideDoseGrid",
    "RbeUnknown",
    "RegistrationRefused",
    "RelativeDose",
    "StructureRefused",
    "UndecodableDose",
    "UndeliveredFractions",
]


class DoseError(ContouringError):
    """A dose cannot be read, summed or evaluated without guessing."""


class NotADose(DoseError):
    """The DICOM object is no RT dose with a grid of voxels."""


class NotAPlan(DoseError):
    """The DICOM object is no RT plan, or its sequences cannot be read."""


class RelativeDose(DoseError):
    """The dose is given in percent of something, not in gray."""


class MissingDoseScaling(DoseError):
    """DoseGridScaling is absent or no positive number, so the stored values mean nothing."""


class ImpossibleDose(DoseError):
    """The dose is larger than any treatment gives, so it was scaled wrongly."""


class DoseGridRefused(DoseError):
    """The planes of the dose cannot be placed in space, or there are too few of them."""


class UndecodableDose(DoseError):
    """The pixel data of the dose are damaged, or of a form that RT dose does not have."""


class DifferentPatients(DoseError):
    """The objects belong to different patients."""


class MixedDoseType(DoseError):
    """A physical and an effective dose, or a difference, cannot be added."""


class FractionDoseAsPlan(DoseError):
    """The dose of one fraction or one beam stands where that of a whole plan is needed."""


class FractionCountUnknown(DoseError):
    """Nothing says in how many fractions a dose was given, so it has no EQD2."""


class UndeliveredFractions(DoseError):
    """More fractions are said to be delivered than the plan has, or none."""


class RbeUnknown(DoseError):
    """The plan is of ions or of brachytherapy, and nothing says how its dose compares with photons."""


class DuplicateDose(DoseError):
    """The same dose, or two doses of the same plan, in one sum."""


class NoRegistration(DoseError):
    """Two doses lie in different frames of reference, and nothing relates the frames."""


class RegistrationRefused(DoseError):
    """A registration is no rigid one, relates other frames, or cannot be read."""


class DosesApart(DoseError):
    """No point of the image has all doses."""


class OutsideDoseGrid(DoseError):
    """The structure lies outside the dose grid."""


class MetricRefused(DoseError):
    """A number that is asked for has no meaning here, such as D5cc of a structure of 2 cc."""


class LimitsRefused(DoseError):
    """A file of limits has a fault."""


class StructureRefused(DoseError):
    """The contours of a structure make up no solid."""


class CaseRefused(DoseError):
    """A case of the openkbp collection cannot be exported as it is."""
