"""Deformations between frames of reference, and the Deformable Spatial Registration objects that carry them.

A point x of the registered frame lies at M_post (M_pre x + d(x)) in the source frame (PS3.3, C.20.3.1.3); d is
trilinear between the nodes of a grid in the registered frame, and unknown, not zero, beyond them.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import DeformableSpatialRegistrationStorage

from contouring.dose.errors import RegistrationRefused
from contouring.dose.patient import Patient, patient_of
from contouring.dose.places import turned
from contouring.dose.transform import RigidTransform
from imaging.attributes import PARSER_FAULTS, numbers, text
from imaging.errors import MissingAttribute
from imaging.geometry import Grid
from imaging.headers import read_whole

__all__ = ["DeformableRegistration", "Deformation", "read_deformable_registration"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

INVERSION_STEPS = 20


@dataclass(frozen=True, eq=False)
class Deformation:
    """A deformation from one frame of reference to another.

    Parameters
    ----------
    vectors_mm
        Displacement at each node, shape (planes, rows, columns, 3), along x, y, z of the source frame.
    grid
        The nodes, in the frame that points go in from.
    before, after
        Rigid steps before and after the displacement.
    """

    vectors_mm: NDArray[np.float32]
    grid: Grid
    before: RigidTransform
    after: RigidTransform

    def __post_init__(self) -> None:
        if self.vectors_mm.shape != (*self.grid.shape, 3) or min(self.grid.shape) < 2:
            raise RegistrationRefused("A deformation needs a vector at every node of a grid of at least 2 x 2 x 2.")
        if not np.isfinite(self.vectors_mm).all():
            raise RegistrationRefused("A deformation holds vectors that are no numbers; register the images again.")

    @property
    def source(self) -> str:
        """Frame of reference UID of the points that go in."""
        return self.before.source

    @property
    def target(self) -> str:
        """Frame of reference UID of the points that come out."""
        return self.after.target

    def apply(self, points_lps: FloatArray) -> FloatArray:
        """Points of the source frame in the target frame, shape (N, 3); beyond the nodes with the nearest vector."""
        moved = self.before.apply(points_lps) + self._interpolated(self.vectors_mm, points_lps)
        return self.after.apply(moved)

    def covers(self, points_lps: FloatArray) -> BoolArray:
        """Whether each point lies within the nodes, shape (N,)."""
        index = self._indices(points_lps)
        edge = 1e-6
        return np.asarray(((index >= -edge) & (index <= np.array(self.grid.shape) - 1 + edge)).all(axis=1))

    def gradient_at_source(self, gradient: FloatArray, points_lps: FloatArray) -> FloatArray:
        """A gradient along the axes of the target frame, seen at points of the source frame."""
        return np.asarray(np.einsum("ni,nij->nj", gradient, self.jacobians(points_lps)))

    def source_points(self, points_lps: FloatArray) -> FloatArray:
        """Where points of the target frame come from, by fixed-point steps."""
        displaced = self.after.inverse().apply(points_lps)
        back = self.before.inverse()
        found = back.apply(displaced)
        for _ in range(INVERSION_STEPS):
            found = back.apply(displaced - self._interpolated(self.vectors_mm, found))
        return found

    def jacobians(self, points_lps: FloatArray) -> FloatArray:
        """Matrix of the local change at points, shape (N, 3, 3): rows x, y, z of the target, columns of the source."""
        inner = self.before.matrix[:3, :3] + np.stack(
            [self._interpolated(part, points_lps) for part in self._slopes], axis=2
        )
        return np.asarray(np.einsum("ij,njk->nik", self.after.matrix[:3, :3], inner))

    def determinants(self, points_lps: FloatArray) -> FloatArray:
        """Local change of volume at points; 0 or less where the deformation folds."""
        return np.asarray(np.linalg.det(self.jacobians(points_lps)))

    @cached_property
    def _slopes(self) -> tuple[NDArray[np.float32], ...]:
        """Change of the vectors with x, y, z at each node."""
        along = [
            np.gradient(self.vectors_mm, self.grid.plane_positions_mm, axis=0),
            np.gradient(self.vectors_mm, self.grid.pixel_spacing_mm[0], axis=1),
            np.gradient(self.vectors_mm, self.grid.pixel_spacing_mm[1], axis=2),
        ]
        axes = np.stack([self.grid.normal, self.grid.column_direction, self.grid.row_direction])
        return tuple(
            np.asarray(sum(a * np.float32(axes[n, i]) for n, a in enumerate(along)), dtype=np.float32) for i in range(3)
        )

    def _indices(self, points_lps: FloatArray) -> FloatArray:
        axes = np.stack([self.grid.normal, self.grid.column_direction, self.grid.row_direction])
        along = turned(points_lps - self.grid.positions_lps[0], np.asarray(np.linalg.inv(axes), dtype=np.float64))
        return along / np.array(self.grid.spacing_mm)

    def _interpolated(self, field: NDArray[np.float32], points_lps: FloatArray) -> FloatArray:
        from scipy.ndimage import map_coordinates

        index = self._indices(points_lps).T
        return np.stack(
            [map_coordinates(field[..., n], index, np.float64, order=1, mode="nearest") for n in range(3)], axis=1
        )


@dataclass(frozen=True, eq=False)
class DeformableRegistration:
    """A Deformable Spatial Registration object.

    Parameters
    ----------
    registered
        Frame of reference that points go in from.
    deformations
        By the frame that they lead to.
    sop_instance_uid
        The object.
    patient
        Whose it is.
    """

    registered: str
    deformations: dict[str, Deformation]
    sop_instance_uid: str
    patient: Patient

    @property
    def frames(self) -> frozenset[str]:
        """The frames of reference that it relates."""
        return frozenset({self.registered, *self.deformations})

    def between(self, source: str, target: str) -> Deformation:
        """The deformation from one frame to another. It leads one way: its inverse is not made up.

        Raises
        ------
        RegistrationRefused
            The object does not lead from the one to the other.
        """
        if source != self.registered or target not in self.deformations:
            raise RegistrationRefused(
                "The deformable registration does not lead from the image to the frame of the dose; give the one whose "
                "registered frame is that of the image with the structures.",
                frames=len(self.deformations) + 1,
            )
        return self.deformations[target]


def read_deformable_registration(source: Dataset | Path) -> DeformableRegistration:
    """The deformations of a Deformable Spatial Registration object.

    Raises
    ------
    NotDicom
        The file is no DICOM file.
    TruncatedFile
        The file ends before its data set does.
    RegistrationRefused
        The object is of another kind, a matrix is no rigid one, or its grid cannot be read.
    """
    dataset = source if isinstance(source, Dataset) else read_whole(source)
    if text(dataset, "SOPClassUID") != DeformableSpatialRegistrationStorage:
        raise RegistrationRefused("The object is no Deformable Spatial Registration; give the REG file of one.")
    registered = text(dataset, "FrameOfReferenceUID")
    try:
        found = {
            text(item, "SourceFrameOfReferenceUID"): _deformation(item, registered)
            for item in dataset.get("DeformableRegistrationSequence") or ()
            if item.get("DeformableRegistrationGridSequence")
        }
    except (*PARSER_FAULTS, MissingAttribute) as fault:
        raise RegistrationRefused(
            "The sequences of the registration cannot be read; export it again.", reason=type(fault).__name__
        ) from fault
    if not found or not registered or "" in found:
        raise RegistrationRefused("The registration holds no deformation or no frame of reference; export it again.")
    return DeformableRegistration(registered, found, text(dataset, "SOPInstanceUID"), patient_of(dataset))


def _deformation(item: Dataset, registered: str) -> Deformation:
    """The deformation of one source frame.

    Raises
    ------
    RegistrationRefused
        A matrix is no rigid one, or the vectors are not as many as the grid has nodes.
    """
    source = text(item, "SourceFrameOfReferenceUID")
    (nodes,) = item.DeformableRegistrationGridSequence
    columns, rows, planes = (int(n) for n in nodes.GridDimensions)
    dx, dy, dz = (float(v) for v in nodes.GridResolution)
    position = np.array(numbers(nodes, "ImagePositionPatient", 3))
    row, column = np.array(numbers(nodes, "ImageOrientationPatient", 6)).reshape(2, 3)
    value = nodes.VectorGridData
    vectors = np.frombuffer(value, dtype="<f4") if isinstance(value, bytes) else np.asarray(value, dtype=np.float32)
    if min(dx, dy, dz) <= 0 or vectors.size != 3 * columns * rows * planes:
        raise RegistrationRefused(
            f"The deformation holds {vectors.size} numbers for {columns} x {rows} x {planes} nodes, or spacings that "
            "are not positive; export it again."
        )
    normal = np.cross(row, column)
    grid = Grid(
        positions_lps=position + np.arange(planes)[:, None] * dz * normal / np.linalg.norm(normal),
        row_direction=row,
        column_direction=column,
        pixel_spacing_mm=(dy, dx),
        rows=rows,
        columns=columns,
        frame_of_reference_uid=registered,
    )
    return Deformation(
        vectors.reshape(planes, rows, columns, 3),
        grid,
        _rigid(item, "PreDeformationMatrixRegistrationSequence", registered, registered),
        _rigid(item, "PostDeformationMatrixRegistrationSequence", registered, source),
    )


def _rigid(item: Dataset, keyword: str, source: str, target: str) -> RigidTransform:
    """A matrix before or after; the identity where there is none.

    Raises
    ------
    RegistrationRefused
        It is no rigid one.
    """
    matrix = np.eye(4)
    for step in item.get(keyword) or ():
        if text(step, "FrameOfReferenceTransformationMatrixType").upper() != "RIGID":
            raise RegistrationRefused(
                "The deformation is combined with a matrix that is not of type RIGID; export it with a rigid one."
            )
        matrix = np.array(numbers(step, "FrameOfReferenceTransformationMatrix", 16)).reshape(4, 4) @ matrix
    return RigidTransform(matrix, source, target)
