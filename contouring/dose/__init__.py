"""Dose on structures: histograms, sums of plans, biological dose, RT dose objects, limits."""

from contouring.dose.curve import DoseCurve
from contouring.dose.dvh import Dvh, dose_volume_histogram, histogram_of
from contouring.dose.rtdose_read import read_rtdose
from contouring.dose.structure import PlanarStructure, structure_of_contours, structure_of_region
from contouring.dose.volume import DoseFacts, DoseVolume, SampledDose

__all__ = [
    "DoseCurve",
    "DoseFacts",
    "DoseVolume",
    "Dvh",
    "PlanarStructure",
    "SampledDose",
    "dose_volume_histogram",
    "histogram_of",
    "read_rtdose",
    "structure_of_contours",
    "structure_of_region",
]
