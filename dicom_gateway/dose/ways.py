"""Registration objects that lead from the image to the doses: which there are, and whether they say the same."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from contouring.dose.errors import DoseError
from contouring.dose.transform import SAME_MATRIX
from dicom_gateway.dose.candidates import PatientDoses, RegistrationCandidate
from dicom_gateway.errors import DoseChoiceRefused

__all__ = ["OBJECTS_DIFFER", "do_agree", "object_between", "objects_between"]

OBJECTS_DIFFER = "There are several registration objects of these images, and they differ; choose the one to use."


def objects_between(patient: PatientDoses, frame: str, foreign: Sequence[str]) -> tuple[RegistrationCandidate, ...]:
    """The objects that relate the frame of the image with all the others, the newest first.

    Parameters
    ----------
    patient
        What there is.
    frame
        Frame of reference of the image with the structures.
    foreign
        The other frames that doses lie in.
    """
    wanted = {frame, *foreign}
    return tuple(
        r for r in reversed(patient.registrations) if wanted <= r.frame_uids and r.registered_uid in {"", frame}
    )


def do_agree(found: Sequence[RegistrationCandidate], frame: str, foreign: Sequence[str]) -> bool:
    """Whether objects move every point alike; deformations, and what cannot be read, agree with nothing else."""
    if len(found) < 2:
        return True
    ways = [_matrices(r, frame, foreign) for r in found]
    return all(w is not None and ways[0] is not None and np.abs(w - ways[0]).max() <= SAME_MATRIX for w in ways)


def object_between(patient: PatientDoses, frame: str, foreign: Sequence[str], wanted: str = "") -> str:
    """The object to use: the one that a person wants, else the only one there is; "" where there is none.

    Parameters
    ----------
    patient, frame, foreign
        See `objects_between`.
    wanted
        SOP instance UID of the object that a person has chosen.

    Raises
    ------
    DoseChoiceRefused
        The chosen object is not there or relates other frames, or several differ and none was chosen.
    """
    found = objects_between(patient, frame, foreign)
    if wanted:
        if not any(r.sop_uid == wanted for r in found):
            raise DoseChoiceRefused(
                "The chosen registration object is not there, or relates other frames than those of the image and the "
                "doses; choose another one."
            )
        return wanted
    if not do_agree(found, frame, foreign):
        raise DoseChoiceRefused(OBJECTS_DIFFER)
    return found[0].sop_uid if found else ""


def _matrices(candidate: RegistrationCandidate, frame: str, foreign: Sequence[str]) -> NDArray[np.float64] | None:
    """The matrices from the frame of the image to each other one; None where it has none."""
    if candidate.rigid is None:
        return None
    try:
        return np.stack([candidate.rigid.between(frame, other).matrix for other in foreign])
    except DoseError:
        return None
