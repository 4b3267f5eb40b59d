"""What forbids a judgement whatever a check would find: colours instead of measurements, and pictures of a screen.

Without this, a check of grey values would measure the weighted sum of three colours, and a picture of another picture
would be praised for its noise.
"""

from dataclasses import dataclass
from weakref import WeakKeyDictionary

from pydicom.dataset import Dataset
from pydicom.uid import (
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    MultiFrameSingleBitSecondaryCaptureImageStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
)

from qc.image.inputs import Inputs, number_of, text_of
from qc.image.registry import MODALITIES, OTHER_MODALITIES

__all__ = ["GREY", "Bar", "bar_of", "is_colour", "is_secondary_capture"]

GREY = frozenset({"CT", "MR", "PT", "NM", "CR", "DX", "MG", "XA", "RF"})
"""Modalities whose pixels are measurements, one for each (PS3.3 C.7.6.3.1.2 with the modules of these images)."""

PHOTOGRAPHS = frozenset({"XC", "OP"})
"""A photograph is one in whatever object a camera's program has put it."""

SECONDARY_CAPTURE = frozenset({
    SecondaryCaptureImageStorage,
    MultiFrameSingleBitSecondaryCaptureImageStorage,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
})

PIXELS = frozenset({"pixels", "pictures", "frames", "image"})
"""What a check needs that looks at pixels."""


@dataclass(frozen=True)
class Bar:
    """What stands against judging a series.

    Parameters
    ----------
    reason
        Reason of all that is not judged for it; "" where nothing stands against it.
    is_whole
        Whether headers are not judged either, so that the series gets no other grade than NOT_EVALUABLE.
    """

    reason: str = ""
    is_whole: bool = False

    def holds_for(self, needs: frozenset[str]) -> bool:
        """Whether it stands against a check with these needs."""
        return bool(self.reason) and (self.is_whole or bool(needs & PIXELS))


BARS: WeakKeyDictionary[Inputs, Bar] = WeakKeyDictionary()
"""What was found, for as long as the inputs live: every check asks for the same."""


def bar_of(inputs: Inputs) -> Bar:
    """What stands against judging a series, from its headers and the shape of its pictures."""
    found = BARS.get(inputs)
    if found is None:
        found = BARS[inputs] = _bar_of(inputs)
    return found


def _bar_of(inputs: Inputs) -> Bar:
    modality = inputs.modality.upper()
    if any(is_secondary_capture(header) for header in inputs.headers):
        return Bar("secondary_capture", is_whole=True)
    if inputs.headers and modality in OTHER_MODALITIES:
        return Bar("unsupported", is_whole=True)
    if inputs.headers and modality not in MODALITIES:
        return Bar("unsupported")
    if modality in GREY and any(is_colour(header) for header in inputs.headers):
        return Bar("colour")
    return Bar()


def is_secondary_capture(header: Dataset) -> bool:
    """Whether an image was taken from a screen, a scanner for paper or a video signal, by its SOP class."""
    return text_of(header, "SOPClassUID") in SECONDARY_CAPTURE and text_of(header, "Modality") not in PHOTOGRAPHS


def is_colour(header: Dataset) -> bool:
    """Whether an image has other pixels than one grey value each."""
    photometric = text_of(header, "PhotometricInterpretation")
    is_other = bool(photometric) and not photometric.startswith("MONOCHROME")
    return is_other or (number_of(header, "SamplesPerPixel") or 1) > 1
