"""Rigid transforms between frames of reference, and the Spatial Registration objects that carry them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import SpatialRegistrationStorage

from contouring.dose.errors import RegistrationRefused
from contouring.dose.patient import Patient, patient_of
from contouring.dose.places import turned
from imaging.attributes import PARSER_FAULTS, numbers, text
from imaging.errors import MissingAttribute
from imaging.headers import read_header

__all__ = ["Registration", "RigidTransform", "Transform", "move_alike", "read_registration"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

ORTHONORMAL = 1e-4
"""Largest deviation of a rotation from orthonormal and of its determinant from 1 (specification, 5.2)."""

SAME_MATRIX = 1e-3
"""Matrices that differ by less (in mm of their shift) are the same one, written twice, where they also leave no point
within REACH_MM of the origin more than SAME_PLACE_MM apart: a small turn moves what is far away."""

REACH_MM, SAME_PLACE_MM = 500.0, 0.1


class Transform(Protocol):
    """A map of points from one frame of reference to another, rigid or not."""

    @property
    def source(self) -> str:
        """Frame of reference UID of the points that go in."""

    @property
    def target(self) -> str:
        """Frame of reference UID of the points that come out."""

    def apply(self, points_lps: FloatArray) -> FloatArray:
        """Points of the source frame in the target frame, shape (N, 3)."""

    def covers(self, points_lps: FloatArray) -> BoolArray:
        """Whether each point of the source frame can be mapped, shape (N,)."""

    def gradient_at_source(self, gradient: FloatArray, points_lps: FloatArray) -> FloatArray:
        """A gradient along the axes of the target frame, seen at points of the source frame, shape (N, 3)."""

    def source_points(self, points_lps: FloatArray) -> FloatArray:
        """Where points of the target frame come from, well enough to know the extent of a grid, shape (M, 3)."""


@dataclass(frozen=True, eq=False)
class RigidTransform:
    """Rotation and shift from one frame of reference to another.

    Parameters
    ----------
    matrix
        4x4: x, y, z, 1 in mm of the frame `source` to the frame `target`.
    source, target
        Frame of reference UIDs.

    Raises
    ------
    RegistrationRefused
        The matrix is no rotation and shift.
    """

    matrix: FloatArray
    source: str
    target: str

    def __post_init__(self) -> None:
        matrix = np.array(self.matrix, dtype=np.float64)
        matrix.setflags(write=False)
        object.__setattr__(self, "matrix", matrix)
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
            raise RegistrationRefused("A registration needs a 4 x 4 matrix of numbers; export it again.")
        rotation = matrix[:3, :3]
        skew = float(np.abs(rotation @ rotation.T - np.eye(3)).max())
        determinant = float(np.linalg.det(rotation))
        if skew > ORTHONORMAL or abs(determinant - 1) > ORTHONORMAL or np.abs(matrix[3] - (0, 0, 0, 1)).max() > 1e-9:
            raise RegistrationRefused(
                "The registration is no rigid one (it scales, shears or mirrors); register the images rigidly.",
                deviation=skew,
                determinant=determinant,
            )

    @classmethod
    def identity(cls, frame: str) -> "RigidTransform":
        """Nothing moves."""
        return cls(np.eye(4), frame, frame)

    def apply(self, points_lps: FloatArray) -> FloatArray:
        """Points of the source frame in the target frame, shape (N, 3)."""
        return turned(points_lps, self.matrix[:3, :3].T) + self.matrix[:3, 3]

    def covers(self, points_lps: FloatArray) -> BoolArray:
        """A rigid transform maps every point."""
        return np.ones(len(points_lps), dtype=np.bool_)

    def gradient_at_source(self, gradient: FloatArray, points_lps: FloatArray) -> FloatArray:
        """A gradient turned back into the source frame."""
        return turned(gradient, self.matrix[:3, :3])

    def source_points(self, points_lps: FloatArray) -> FloatArray:
        """Points of the target frame in the source frame."""
        return self.inverse().apply(points_lps)

    def inverse(self) -> "RigidTransform":
        """The way back."""
        return RigidTransform(np.asarray(np.linalg.inv(self.matrix), dtype=np.float64), self.target, self.source)

    def then(self, other: "RigidTransform") -> "RigidTransform":
        """First this transform, then the other."""
        return RigidTransform(other.matrix @ self.matrix, self.source, other.target)


@dataclass(frozen=True, eq=False)
class Registration:
    """A Spatial Registration object.

    Parameters
    ----------
    target
        Frame of reference that everything is registered to.
    transforms
        One per registered frame of reference.
    sop_instance_uid
        The object.
    patient
        Whose it is.
    """

    target: str
    transforms: tuple[RigidTransform, ...]
    sop_instance_uid: str
    patient: Patient

    @property
    def frames(self) -> frozenset[str]:
        """The frames of reference that it relates."""
        return frozenset({self.target, *(t.source for t in self.transforms)})

    def between(self, source: str, target: str) -> RigidTransform:
        """The transform from one frame to another, through the registered frame where needed.

        Raises
        ------
        RegistrationRefused
            The object does not relate these frames.
        """
        known = {t.source: t for t in self.transforms} | {self.target: RigidTransform.identity(self.target)}
        if source not in known or target not in known:
            raise RegistrationRefused(
                "The registration relates other frames of reference than those of the two doses; give the one between "
                "their images.",
                frames=len(known),
            )
        return known[source].then(known[target].inverse())


def move_alike(a: RigidTransform, b: RigidTransform) -> bool:
    """Whether two transforms are the same one, written twice."""
    apart = np.abs(a.matrix - b.matrix)
    return bool(apart.max() <= SAME_MATRIX and REACH_MM * apart[:3, :3].sum(axis=1).max() <= SAME_PLACE_MM)


def read_registration(source: Dataset | Path) -> Registration:
    """The rigid transforms of a Spatial Registration object.

    Raises
    ------
    NotDicom
        The file is no DICOM file.
    TruncatedFile
        The file ends before its data set does.
    RegistrationRefused
        The object is of another kind, a matrix is no rigid one, or its sequences cannot be read.
    """
    dataset = source if isinstance(source, Dataset) else read_header(source).dataset
    if text(dataset, "SOPClassUID") != SpatialRegistrationStorage:
        raise RegistrationRefused("The object is no Spatial Registration; give the REG file of a rigid registration.")
    target = text(dataset, "FrameOfReferenceUID")
    try:
        transforms = tuple(_transform(item, target) for item in dataset.get("RegistrationSequence") or ())
    except (*PARSER_FAULTS, MissingAttribute) as fault:
        raise RegistrationRefused(
            "The sequences of the registration cannot be read; export it again.", reason=type(fault).__name__
        ) from fault
    if not transforms or not target:
        raise RegistrationRefused("The registration holds no matrix or no frame of reference; export it again.")
    _check_unambiguous((RigidTransform.identity(target), *transforms))
    return Registration(target, transforms, text(dataset, "SOPInstanceUID"), patient_of(dataset))


def _check_unambiguous(transforms: Sequence[RigidTransform]) -> None:
    """Refuse two matrices for one frame, and one that moves the registered frame against itself.

    Raises
    ------
    RegistrationRefused
        Two transforms of a frame differ.
    """
    first: dict[str, RigidTransform] = {}
    for each in transforms:
        if not move_alike(first.setdefault(each.source, each), each):
            raise RegistrationRefused(
                "The registration holds two different matrices for one frame of reference, or moves a frame against "
                "itself; export one that relates each frame once.",
                frames=len({t.source for t in transforms}),
            )


def _transform(item: Dataset, target: str) -> RigidTransform:
    """The product of an item's matrices, in order, from the item's frame to the registered one.

    Raises
    ------
    RegistrationRefused
        A matrix is no rigid one.
    """
    matrix = np.eye(4)
    for step in item.MatrixRegistrationSequence:
        for part in step.MatrixSequence:
            kind = text(part, "FrameOfReferenceTransformationMatrixType").upper()
            if kind != "RIGID":
                raise RegistrationRefused(
                    "The registration holds a matrix that is not of type RIGID; register the images rigidly."
                )
            values = numbers(part, "FrameOfReferenceTransformationMatrix", 16)
            matrix = np.array(values).reshape(4, 4) @ matrix
    return RigidTransform(matrix, text(item, "FrameOfReferenceUID") or target, target)
