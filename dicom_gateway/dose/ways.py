"""How each frame that a dose lies in comes to that of the image: by an object, computed, or for a person to say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from contouring.dose.errors import DoseError
from contouring.dose.transform import RigidTransform, move_alike
from dicom_gateway.dose.candidates import PatientDoses, RegistrationCandidate
from dicom_gateway.errors import DoseChoiceRefused

__all__ = ["COMPUTED", "EVERY_FRAME", "OBJECTS_DIFFER", "Computed", "Ways", "agree", "objects_between", "ways_between"]

Computed = Literal["", "rigid", "deformable"]
"""What radgate computes; "" for nothing."""

COMPUTED: dict[str, Computed] = {"rigid": "rigid", "deformable": "deformable"}
"""What a person chooses by where it is none of the patient's objects."""

EVERY_FRAME = ""
"""Stands for each frame that nothing of its own is chosen for."""

OBJECTS_DIFFER = "There are several registration objects of these images, and they differ; choose the one to use."

NOT_THERE = (
    "The chosen registration object is not there, or relates other frames than those of the image and the doses; "
    "choose another one."
)


@dataclass(frozen=True)
class Ways:
    """How the frames of a sum come to that of its image.

    Parameters
    ----------
    registrations
        SOP instance UIDs of the objects, each once.
    register
        What is computed for the other frames.
    computed
        Those other frames.
    differing, without
        Frames whose objects differ, and frames without an object beside others that have one: for a person to say.
    """

    registrations: tuple[str, ...] = ()
    register: Computed = ""
    computed: tuple[str, ...] = ()
    differing: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


def ways_between(patient: PatientDoses, frame: str, foreign: Sequence[str], wanted: Mapping[str, str]) -> Ways:
    """What a person has chosen, else the objects that there are; computed by rule only where no frame has any.

    Parameters
    ----------
    patient
        What there is.
    frame
        Frame of reference of the image with the structures.
    foreign
        The other frames that doses lie in.
    wanted
        By frame (`EVERY_FRAME` for the rest): SOP instance UID of an object, "rigid", "deformable", or "" for the rule.

    Raises
    ------
    DoseChoiceRefused
        A chosen object is not there or relates other frames; what was chosen contradicts itself or serves nothing.
    """
    if wanted.get(frame):
        raise DoseChoiceRefused(
            "A registration was chosen for a dose that lies in the frame of the image already; leave it on automatic."
        )
    _check_there(patient, frame, foreign, wanted)
    if not foreign:
        # An object that is not needed is taken and told as unused; a wrong one is refused there.
        uid = wanted.get(EVERY_FRAME, "")
        return Ways((uid,) if uid and uid not in COMPUTED else ())
    objects: dict[str, str] = {}
    computed: dict[str, Computed] = {}
    differing, without = [], []
    for other in foreign:
        found = objects_between(patient, frame, other)
        choice = wanted.get(other) or wanted.get(EVERY_FRAME, "")
        if choice in COMPUTED:
            computed[other] = COMPUTED[choice]
        elif any(r.sop_uid == choice for r in found):
            objects[other] = choice
        elif not found:
            without.append(other)
        elif agree(found, frame, other):
            objects[other] = found[0].sop_uid
        else:
            differing.append(other)
    if not objects and not differing:
        # No frame has an object in use: what was chosen for one is computed for all.
        rule: Computed = next(iter(computed.values()), "rigid")
        computed |= dict.fromkeys(without, rule)
        without = []
    if len(set(computed.values())) > 1:
        raise DoseChoiceRefused(
            "One sum takes rigid or deformable registrations, not both; choose one of them for all."
        )
    _check_one_way(patient, frame, objects, computed)
    register: Computed = next(iter(computed.values()), "")
    used = tuple(dict.fromkeys(objects.values()))
    return Ways(used, register, tuple(computed), tuple(differing), tuple(without))


def objects_between(patient: PatientDoses, frame: str, other: str) -> tuple[RegistrationCandidate, ...]:
    """The objects that lead from the frame of the image to another one, the newest first."""
    return tuple(
        r for r in reversed(patient.registrations) if {frame, other} <= r.frame_uids and r.registered_uid in {"", frame}
    )


def agree(found: Sequence[RegistrationCandidate], frame: str, other: str) -> bool:
    """Whether objects move every point alike; deformations, and what cannot be read, agree with nothing else."""
    if len(found) < 2:
        return True
    ways = [_transform(r, frame, other) for r in found]
    first = ways[0]
    return first is not None and all(w is not None and move_alike(first, w) for w in ways)


def _check_there(patient: PatientDoses, frame: str, foreign: Sequence[str], wanted: Mapping[str, str]) -> None:
    """Refuse an object that does not lead to what it was chosen for.

    Raises
    ------
    DoseChoiceRefused
        It is not there, or relates other frames.
    """
    for other, uid in wanted.items():
        if not uid or uid in COMPUTED or other not in {EVERY_FRAME, *foreign}:
            continue
        places = (foreign or [frame]) if other == EVERY_FRAME else [other]
        if not any(r.sop_uid == uid for place in places for r in objects_between(patient, frame, place)):
            raise DoseChoiceRefused(NOT_THERE)


def _check_one_way(
    patient: PatientDoses, frame: str, objects: Mapping[str, str], computed: Mapping[str, Computed]
) -> None:
    """Refuse an object that relates the frame of another dose too, for which something else was chosen.

    Raises
    ------
    DoseChoiceRefused
        There is such an object.
    """
    for other in (*objects, *computed):
        leading = [r for r in objects_between(patient, frame, other) if r.sop_uid in objects.values()]
        if leading and (other in computed or not agree(leading, frame, other)):
            raise DoseChoiceRefused(
                "A chosen registration object relates another dose too, for which something else was chosen; choose it "
                "there as well, or one that relates a single dose."
            )


def _transform(candidate: RegistrationCandidate, frame: str, other: str) -> RigidTransform | None:
    """The way from the frame of the image to another one; None where it has none."""
    if candidate.rigid is None:
        return None
    try:
        return candidate.rigid.between(frame, other)
    except DoseError:
        return None
