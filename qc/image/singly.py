"""Pixels judged plane by plane, where there is no volume: while a series arrives, and where a gap or a tilt refuses it.

A cut body is cut whether or not two slices are missing further up; a person who was told so must not be told at the
end that it could not be judged.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from imaging.errors import RadgateError
from imaging.frames import Plane
from imaging.geometry import Grid
from imaging.pixels import PlanePixels, read_pixels
from imaging.volume import Volume
from qc.image.arrived import ArrivedPlane, joined
from qc.image.inputs import Inputs
from qc.image.profile import Profile
from qc.image.registry import CheckSpec, Measured, NotEvaluable, discover

if TYPE_CHECKING:
    from imaging.series import Stack

__all__ = ["SinglePlanes", "has_near", "plane_of", "plane_volume", "specs_by_plane"]

APART_MM = {"run": 5.0, "median": 10.0, "sum": 0.0}
"""A plane is judged by a check only where none nearer than this has been: thin slices say the same as their
neighbours, and 300 of them have to be looked at in 5 s."""


class SinglePlanes:
    """The planes of a stack that makes no volume, each judged for itself when it is first asked for.

    Parameters
    ----------
    stack
        Its planes are read one after the other, in their order along the normal.
    profile
        Decides which checks are made.
    """

    def __init__(self, stack: "Stack", profile: Profile) -> None:
        self._stack = stack
        self._profile = profile
        self._planes: list[ArrivedPlane] | None = None

    def found(self, spec: CheckSpec) -> Measured | None:
        """What a check says of all planes together; None where single planes cannot tell."""
        limits = self._profile.limits.get(spec.id)
        if limits is None or spec.by_plane in {"", "ordered"}:
            return None
        if self._planes is None:
            self._planes = list(self._judged())
        return joined(spec, limits, [(p.p_mm, p.found[spec.id]) for p in self._planes if spec.id in p.found])

    def _judged(self) -> Iterable[ArrivedPlane]:
        done: list[ArrivedPlane] = []
        for k in range(len(self._stack.headers)):
            plane = plane_of(self._stack, k)
            p_mm = float(self._stack.grid.plane_positions_mm[k])
            arrived = ArrivedPlane(plane.file, plane.source.frame_number, plane.header, p_mm)
            try:
                inputs = Inputs((plane.header,), plane_volume(plane))
            except RadgateError:
                continue  # the refusal of the whole series says why
            for spec in specs_by_plane(inputs, self._profile):
                if not has_near(spec, p_mm, done):
                    arrived.found[spec.id] = _tried(spec, inputs)
            done.append(arrived)
        return done


def _tried(spec: CheckSpec, inputs: Inputs) -> Measured | NotEvaluable:
    from qc.image.run import run_check  # late: the runner imports this module

    return run_check(spec, inputs)[0]


def specs_by_plane(inputs: Inputs, profile: Profile) -> list[CheckSpec]:
    """The checks of a profile that can be made on one plane of this series."""
    return [
        spec
        for spec in discover().values()
        if spec.by_plane not in {"", "ordered"} and spec.id in profile.limits and spec.applies_to(inputs.modality)
    ]


def has_near(spec: CheckSpec, p_mm: float, planes: Sequence[ArrivedPlane]) -> bool:
    """Whether a check was made so near to a position that it need not be made again."""
    apart = APART_MM[spec.by_plane]
    return apart > 0 and any(spec.id in p.found and abs(p.p_mm - p_mm) < apart for p in planes)


def plane_volume(plane: Plane) -> Volume:
    """The pixels of one plane as a volume of one.

    Raises
    ------
    RadgateError
        They cannot be read, or the plane has no thickness.
    """
    thickness = Inputs((plane.header,)).number("SliceThickness")
    grid = Grid(
        positions_lps=plane.position_lps[None, :],
        row_direction=plane.orientation[:3],
        column_direction=plane.orientation[3:],
        pixel_spacing_mm=plane.pixel_spacing_mm,
        rows=plane.rows,
        columns=plane.columns,
        frame_of_reference_uid=plane.frame_of_reference_uid,
        slice_thickness_mm=thickness if thickness is not None and thickness > 0 else None,
    )
    pixels = PlanePixels(plane.header, plane.file, plane.source.frame_number, plane.pixels)
    array, unit = read_pixels([pixels], grid.shape)
    return Volume(array=array, grid=grid, sources=(plane.source,), unit=unit)


def plane_of(stack: "Stack", k: int) -> Plane:
    """One plane of a stack, by its index."""
    grid = stack.grid
    return Plane(
        source=stack.sources[k],
        file=stack.files[k],
        header=stack.headers[k],
        pixels=stack.pixels[k],
        position_lps=grid.positions_lps[k],
        orientation=np.concatenate([grid.row_direction, grid.column_direction]),
        pixel_spacing_mm=grid.pixel_spacing_mm,
        rows=grid.rows,
        columns=grid.columns,
        frame_of_reference_uid=grid.frame_of_reference_uid,
    )
