"""How the frame of a dose comes to that of the image: the same, by an object, or computed; never by guess."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydicom.dataset import Dataset
from pydicom.uid import DeformableSpatialRegistrationStorage

from contouring.dose.assessment import RegistrationNumbers, TransformSource
from contouring.dose.deformation import DeformableRegistration, read_deformable_registration
from contouring.dose.errors import NoRegistration, RegistrationRefused
from contouring.dose.patient import check_one_patient, patient_of
from contouring.dose.registration_quality import least_jacobians, registration_picture, structure_dice
from contouring.dose.structure import PlanarStructure
from contouring.dose.transform import Registration, RigidTransform, Transform, read_registration
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
    registration: Dataset | Path | None,
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
    registration
        A registration object.
    register
        What to compute where frames differ and there is no object.
    made_at
        Time of the run.
    organs
        Structures of each frame by name, which a computed registration is measured on.

    Raises
    ------
    NoRegistration
        The frames differ, there is no object, and nothing may be computed, or no one image of the other frame is there.
    RegistrationRefused
        The object relates other frames or is none, or the computed registration is not good enough.
    DifferentPatients
        An image or an object belongs to somebody else.
    ImagingError
        An image to register has no regular geometry.
    """
    frame = reference.frame_of_reference_uid
    found = {frame: Relation(None, "same_frame")}
    foreign = sorted({d.grid.frame_of_reference_uid for d in doses} - {frame})
    if registration is not None:
        # Also where it is not needed: a wrong file was meant for something, and must not pass for used.
        read = _read(registration)
        check_one_patient(read.patient, patient_of(reference.header))
        if frame not in read.frames:
            raise RegistrationRefused(
                "The registration relates other frames of reference than that of the image; give the one between the "
                "images of the doses, or none where all doses lie in the frame of the image.",
                frames=len(read.frames),
            )
        for other in foreign:
            found[other] = Relation(read.between(frame, other), "object", read.sop_instance_uid)
        return found
    if not foreign:
        return found
    if register is None:
        raise NoRegistration(
            "A dose lies in another frame of reference than the image; give --registration, or let the "
            "images be registered (--register rigid or deformable)."
        )
    for other in foreign:
        image = _image_of(other, others, reference)
        make = _rigid if register == "rigid" else _deformable
        found[other] = make(reference, image, made_at, organs or {})
    return found


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


def _read(registration: Dataset | Path) -> Registration | DeformableRegistration:
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
