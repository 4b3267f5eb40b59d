"""How the frame of a dose comes to that of the image: the same, by an object, or computed; never by guess."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydicom.dataset import Dataset
from pydicom.uid import DeformableSpatialRegistrationStorage

from contouring.dose.accumulate import letter_of
from contouring.dose.assessment import RegistrationNumbers, TransformSource
from contouring.dose.deformation import DeformableRegistration, read_deformable_registration
from contouring.dose.errors import NoRegistration, RegistrationRefused
from contouring.dose.patient import check_one_patient, patient_of
from contouring.dose.registration_quality import least_jacobians, registration_picture, structure_dice
from contouring.dose.structure import PlanarStructure
from contouring.dose.transform import Registration, RigidTransform, Transform, move_alike, read_registration
from contouring.dose.volume import DoseVolume
from imaging.attributes import text
from imaging.headers import read_header
from imaging.series import Stack, load_volume
from imaging.volume import Volume

if TYPE_CHECKING:
    from contouring.dose.register import RegistrationQuality

__all__ = ["Organs", "Register", "Relation", "relations"]

Register = Literal["rigid", "deformable"]
"""What radgate computes where the frames differ and no object relates them."""


_Object = Registration | DeformableRegistration

Organs = Mapping[str, Mapping[str, PlanarStructure]]
"""Structures by name, by the frame of reference that they were drawn in."""


@dataclass(frozen=True, eq=False)
class Relation:
    """How one frame came to the reference frame.

    Parameters
    ----------
    transform
        From the reference frame to it; None where they are the same.
    source
        Where the transform is from.
    registration_uid, encoded
        The object used or made; the file of one that was made.
    quality
        Of a computed transform.
    """

    transform: Transform | None
    source: TransformSource
    registration_uid: str = ""
    encoded: bytes = field(default=b"", repr=False)
    quality: RegistrationNumbers | None = None


def relations(
    doses: Sequence[DoseVolume],
    reference: Stack,
    others: Sequence[Stack],
    *,
    registrations: Sequence[Dataset | Path],
    register: Register | None,
    made_at: datetime,
    organs: Organs | None = None,
) -> Mapping[str, Relation]:
    """The relation of each frame that a dose lies in.

    Parameters
    ----------
    doses
        The doses.
    reference, others
        The reference image, and the images of the other frames, to register with.
    registrations
        Registration objects. Each relates the frame of the image with one or more of the others.
    register
        What to compute for the frames that no object relates.
    made_at
        Time of the run.
    organs
        Structures of each frame by name, which a computed registration is measured on.

    Raises
    ------
    NoRegistration
        A frame differs, no object relates it, and nothing may be computed, or no one image of that frame is there.
    RegistrationRefused
        An object relates other frames or is none, two differ, or the computed registration is not good enough.
    DifferentPatients
        An image or an object belongs to somebody else.
    ImagingError
        An image to register has no regular geometry.
    """
    frame = reference.frame_of_reference_uid
    found = {frame: Relation(None, "same_frame")}
    # Read also where none is needed: a wrong file was meant for something, and must not pass for used.
    objects = [_of_image(each, reference) for each in registrations]
    letters = {d.grid.frame_of_reference_uid: letter_of(n) for n, d in reversed(list(enumerate(doses)))}
    foreign = sorted(letters.keys() - {frame})
    if foreign and any(o.frames.isdisjoint(foreign) for o in objects):
        raise RegistrationRefused(
            "A registration relates the image to other frames of reference than those of the doses; give the one "
            "between the image and a dose, or leave it out."
        )
    found |= {other: way for other in foreign if (way := _by_object(objects, frame, other)) is not None}
    missing = [other for other in foreign if other not in found]
    if missing and register is None:
        if objects:
            raise NoRegistration(
                f"Dose {min(letters[other] for other in missing)} lies in another frame of reference than the image, "
                "and none of the registrations relates the two; give one for it too."
            )
        raise NoRegistration(
            "A dose lies in another frame of reference than the image; give --registration, or let the "
            "images be registered (--register rigid or deformable)."
        )
    for other in missing:
        image = _image_of(other, others, reference)
        make = _rigid if register == "rigid" else _deformable
        found[other] = make(reference, image, made_at, organs or {})
    return found


def _of_image(registration: Dataset | Path, reference: Stack) -> _Object:
    """An object that is of the image's patient and relates its frame.

    Raises
    ------
    RegistrationRefused
        It is none, or does not relate the frame of the image.
    DifferentPatients
        It is of somebody else.
    """
    read = _read(registration)
    check_one_patient(read.patient, patient_of(reference.header))
    if reference.frame_of_reference_uid not in read.frames:
        raise RegistrationRefused(
            "The registration relates other frames of reference than that of the image; give the one between the "
            "images of the doses, or none where all doses lie in the frame of the image.",
            frames=len(read.frames),
        )
    return read


def _by_object(objects: Sequence[_Object], frame: str, other: str) -> Relation | None:
    """The relation of a frame by the object that relates it; None where none does.

    Raises
    ------
    RegistrationRefused
        The object does not lead from the image to it, or several do and differ.
    """
    found = [Relation(o.between(frame, other), "object", o.sop_instance_uid) for o in objects if other in o.frames]
    if any(not _is_same(found[0].transform, r.transform) for r in found[1:]):
        raise RegistrationRefused(
            "Two of the registrations relate the same dose to the image, and they differ; give the one to use.",
            registrations=len(found),
        )
    return found[0] if found else None


def _is_same(a: Transform | None, b: Transform | None) -> bool:
    """Whether two rigid transforms are one, written twice; deformations never count as the same."""
    return isinstance(a, RigidTransform) and isinstance(b, RigidTransform) and move_alike(a, b)


def _image_of(frame: str, others: Sequence[Stack], reference: Stack) -> Stack:
    """The one image of a frame.

    Raises
    ------
    NoRegistration
        There is none, or several.
    DifferentPatients
        It is of somebody else.
    """
    fitting = [s for s in others if s.frame_of_reference_uid == frame]
    if len(fitting) != 1:
        raise NoRegistration(
            f"{len(fitting)} series lie in the frame of a dose; give the one image that it was calculated on.",
            series=len(fitting),
        )
    check_one_patient(patient_of(reference.header), patient_of(fitting[0].header))
    return fitting[0]


def _read(registration: Dataset | Path) -> _Object:
    """The object, of whichever of the two kinds it is."""
    dataset = registration if isinstance(registration, Dataset) else read_header(registration).dataset
    if text(dataset, "SOPClassUID") == DeformableSpatialRegistrationStorage:
        return read_deformable_registration(registration)
    return read_registration(registration)


def _rigid(reference: Stack, other: Stack, made_at: datetime, organs: Organs) -> Relation:
    from contouring.dose.register import register_rigid

    volumes = load_volume(reference), load_volume(other)
    return _of_rigid(reference, other, made_at, organs, volumes, *register_rigid(*volumes))


def _of_rigid(
    reference: Stack, other: Stack, made_at: datetime, organs: Organs, volumes: tuple[Volume, Volume],
    transform: RigidTransform, quality: "RegistrationQuality",
) -> Relation:  # fmt: skip
    from contouring.dose.registration_write import write_registration

    note = f"computed, not reviewed; there and back {quality.inverse_consistency_mm:.2f} mm"
    made = write_registration(transform, reference, other, made_at=made_at, note=note)
    numbers = RegistrationNumbers(
        quality.inverse_consistency_mm,
        quality.body_dice,
        structure_dice(*_pair(organs, transform), transform),
        picture_png=registration_picture(*volumes, transform),
    )
    return Relation(transform, "computed_rigid", str(made.dataset.SOPInstanceUID), made.encoded, numbers)


def _deformable(reference: Stack, other: Stack, made_at: datetime, organs: Organs) -> Relation:
    from contouring.dose.deformation_write import write_deformation
    from contouring.dose.register_deformable import register_deformable

    volumes = load_volume(reference), load_volume(other)
    transform, quality = register_deformable(*volumes)
    if isinstance(transform, RigidTransform):
        return _of_rigid(reference, other, made_at, organs, volumes, transform, quality)
    note = f"QUALITATIVE, not reviewed; there and back {quality.inverse_consistency_mm:.2f} mm"
    made = write_deformation(transform, reference, other, made_at=made_at, note=note)
    own, theirs = _pair(organs, transform)
    numbers = RegistrationNumbers(
        quality.inverse_consistency_mm,
        quality.body_dice,
        structure_dice(own, theirs, transform),
        least_jacobians(transform, own),
        registration_picture(*volumes, transform),
    )
    return Relation(transform, "computed_deformable", str(made.dataset.SOPInstanceUID), made.encoded, numbers)


def _pair(organs: Organs, transform: Transform) -> tuple[Mapping[str, PlanarStructure], Mapping[str, PlanarStructure]]:
    return organs.get(transform.source, {}), organs.get(transform.target, {})
