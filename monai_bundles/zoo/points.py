"""Runs a network that gives points on planes, and the one door from its coordinates to the patient.

A point is a pair of indices along the two axes of the plane that the network was given, in the order of those axes.
What preprocessing did to the plane stands in its affine and is undone by it. Whether the affine tells the truth is
tried with spots that are sent through preprocessing, because some steps (a transposition) move an image silently.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from numpy.typing import NDArray

from imaging.cines import Cine
from imaging.ras import affine_ras
from imaging.volume import Volume
from monai_bundles.bundle import Bundle, Landmark
from monai_bundles.errors import VolumeOutsideRange, WrongOutput
from monai_bundles.zoo.calls import Progress, WorkflowRun, counted, image_key, preprocessed
from monai_bundles.zoo.forward import works_by_key
from monai_bundles.zoo.room import Room
from monai_bundles.zoo.workflow import Workflow

__all__ = ["columns_rows_of", "find_points", "plane_tensors"]

SPOTS = ((0.31, 0.22), (0.72, 0.35), (0.44, 0.81))
"""Where on a plane preprocessing is tried, in shares of its size: no turn or flip exchanges them."""

SPOT_TOLERANCE_PX = 1.5
"""A spot of one pixel may lie this far off after resampling."""


@dataclass(frozen=True, eq=False)
class PlaneTensor:
    """One tensor for preprocessing, and the planes that it holds.

    Parameters
    ----------
    tensor
        (X, Y), (1, X, Y), or (X, Y, 1, T) for all planes at once.
    planes
        Indices of its planes.
    source
        Affine of the plane as it was before it was filled up.
    """

    tensor: MetaTensor
    planes: tuple[int, ...]
    source: NDArray[np.float64]


def find_points(
    bundle: Bundle, workflow: Workflow, image: Volume | Cine, tell: Progress, run: WorkflowRun, room: Room, device: str
) -> None:
    """The points on every plane, or on every phase.

    Raises
    ------
    NotEnoughMemory
        There is less than the network needs.
    VolumeOutsideRange
        The planes are larger than the network takes.
    WrongOutput
        There are other coordinates than points, or preprocessing moves the image without saying so.
    """
    key, planes = bundle.inputs[0].key, len(image.array)
    landmarks: list[Landmark] = []
    outside = 0
    for given in plane_tensors(bundle, image, channel_first=workflow.channel_first):
        data = preprocessed(workflow, {key: given.tensor}, key)
        own = image_key(data, key)
        room.require(data[own], 0)
        affine = _affine(workflow, given, data[own], key)
        batch = torch.as_tensor(data[own].as_tensor() if isinstance(data[own], MetaTensor) else data[own])[None]
        with torch.inference_mode(), counted(workflow.network, run, lambda share: None, 1):
            output = workflow.inferer(batch.to(device, torch.float32), workflow.network)
        found = _coordinates(_finished(workflow, data, output), len(given.planes), len(bundle.structures), bundle.name)
        for plane, points in zip(given.planes, found, strict=True):
            places = columns_rows_of(points, affine, given.source)
            more, lost = _on_plane(bundle, image, plane, points, places)
            landmarks += more
            outside += lost
        tell(0.1 + 0.8 * (given.planes[-1] + 1) / planes, "network")
    run.landmarks = tuple(landmarks)
    run.notes = (*run.notes, *_notes(bundle, image, outside))


def plane_tensors(bundle: Bundle, image: Volume | Cine, *, channel_first: bool) -> Iterator[PlaneTensor]:
    """What preprocessing takes: each plane by itself, or all of them as one file of phases.

    Raises
    ------
    VolumeOutsideRange
        The planes are larger than the network takes.
    """
    entry = bundle.inputs[0]
    values = np.asarray(image.array, dtype=np.float32).transpose(2, 1, 0)
    shift = _fill(values.shape[:2], entry.size_px)
    after = [max(full - n - first, 0) for full, n, first in zip(entry.size_px, values.shape, shift, strict=False)]
    if entry.size_px:
        values = np.pad(values, [(shift[0], after[0]), (shift[1], after[1]), (0, 0)])
    move = np.eye(4)
    move[:2, 3] = [-n for n in shift]
    if entry.phases:
        first = replace(image.grid, positions_lps=image.grid.positions_lps[:1], slice_thickness_mm=_thickness(image))
        source = affine_ras(first)
        yield PlaneTensor(_tensor(values[:, :, None, :], source @ move), tuple(range(values.shape[2])), source)
        return
    between_rows, between_columns = image.grid.pixel_spacing_mm
    source = np.diag([between_columns, between_rows, 1.0, 1.0])
    for plane in range(values.shape[2]):
        across = values[:, :, plane]
        yield PlaneTensor(_tensor(across[None] if channel_first else across, source @ move), (plane,), source)


def columns_rows_of(
    points: NDArray[np.float64], affine: NDArray[np.float64], source: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Column and row on the source's plane, shape (N, 2), of index pairs on a plane with another affine.

    Parameters
    ----------
    points
        Indices along the first and the second axis, shape (N, 2).
    affine
        Of the plane that they lie on, 4 x 4.
    source
        Of the source's plane (column, row, plane), 4 x 4, before anything was filled up.
    """
    matrix = np.linalg.inv(source) @ affine
    placed = np.column_stack([points, np.zeros(len(points)), np.ones(len(points))])
    return np.asarray((placed @ matrix.T)[:, :2])


def _fill(size: tuple[int, ...], wanted: tuple[int, ...]) -> tuple[int, int]:
    """How many pixels stand before the image when it is filled up to the size that the network takes.

    Raises
    ------
    VolumeOutsideRange
        It is larger than that.
    """
    if not wanted:
        return 0, 0
    if size[0] > wanted[0] or size[1] > wanted[1]:
        raise VolumeOutsideRange(
            f"The planes have {size[1]} rows and {size[0]} columns, and the network takes up to {wanted[1]} and "
            f"{wanted[0]}; reconstruct the series in a smaller matrix."
        )
    return (wanted[0] - size[0]) // 2, (wanted[1] - size[1]) // 2


def _thickness(image: Volume | Cine) -> float:
    """SliceThickness; 1 mm where none is stated, for the direction through the plane is not used."""
    return image.grid.slice_thickness_mm or 1.0


def _tensor(values: NDArray[np.float32], affine: NDArray[np.float64]) -> MetaTensor:
    meta = {"original_affine": affine.copy(), "filename_or_obj": "image"}
    tensor = torch.from_numpy(np.ascontiguousarray(values))
    return MetaTensor(tensor, affine=torch.from_numpy(affine.copy()), meta=meta)


def _affine(workflow: Workflow, given: PlaneTensor, image: Any, key: str) -> NDArray[np.float64]:
    """The affine of what the network is given, tried with spots.

    Raises
    ------
    WrongOutput
        Preprocessing moves the image without saying so.
    """
    before = np.asarray(given.tensor.affine, dtype=np.float64)
    affine = np.asarray(image.affine, dtype=np.float64) if isinstance(image, MetaTensor) else before
    first = 0 if given.tensor.ndim != 3 else 1
    size = given.tensor.shape[first : first + 2]
    for share in SPOTS:
        at = tuple(int(s * n) for s, n in zip(share, size, strict=True))
        spot = given.tensor.clone()
        spot[:] = 0
        spot[(*[slice(None)] * first, *at)] = 1000.0
        seen = preprocessed(workflow, {key: spot}, key)
        plane = np.asarray(torch.as_tensor(seen[image_key(seen, key)]).cpu(), dtype=np.float64)[0]
        plane = plane if plane.ndim == 2 else plane[..., 0]
        landed = np.array([np.unravel_index(int(plane.argmax()), plane.shape)], dtype=np.float64)
        [found] = columns_rows_of(landed, affine, before)
        if np.abs(found - at).max() > SPOT_TOLERANCE_PX:
            raise WrongOutput(
                "The bundle's preprocessing moves the image without saying so in its affine, so that nobody knows "
                "where a point lies in the patient; write it with MONAI's steps that keep the affine.",
            )
    return affine


def _finished(workflow: Workflow, data: dict[str, Any], output: Any) -> Any:
    """The output after the bundle's postprocessing: of the batch as a whole where the bundle says so."""
    prediction = output[0] if isinstance(output, tuple | list) else output
    prediction = prediction.float().cpu()
    prediction = prediction[0] if workflow.decollates else prediction
    if workflow.postprocessing is None:
        return prediction
    if not workflow.by_key and not works_by_key(workflow.postprocessing):
        return workflow.postprocessing(prediction)
    return workflow.postprocessing({**data, "pred": prediction})["pred"]


def _coordinates(output: Any, planes: int, count: int, name: str) -> NDArray[np.float64]:
    """Index pairs of each point on each plane, shape (planes, points, 2).

    Raises
    ------
    WrongOutput
        There are other numbers than that, or values that are no numbers.
    """
    array = np.asarray(torch.as_tensor(output).cpu(), dtype=np.float64)
    last = array.shape[-2:]
    if array.size != planes * count * 2 or last not in {(2, count), (count, 2)} or not np.isfinite(array).all():
        raise WrongOutput(
            f"Bundle {name} gave an output of shape {' x '.join(map(str, array.shape))}, which is not two coordinates "
            f"of {count} points on {planes} planes; correct `structures` in its configs/radgate.json.",
            shape=list(array.shape),
        )
    pairs = array.reshape(planes, *last)
    return pairs.transpose(0, 2, 1) if last[0] == 2 else pairs


def _on_plane(
    bundle: Bundle, image: Volume | Cine, plane: int, points: NDArray[np.float64], places: NDArray[np.float64]
) -> tuple[list[Landmark], int]:
    """The points that are there, in the patient, and how many lie beside the image."""
    in_patient = image.grid.points_lps(plane if isinstance(image, Volume) else 0, places)
    rows, columns = image.array.shape[1:]
    landmarks, lost = [], 0
    for structure in bundle.structures:
        index = structure.label - 1
        if bundle.absent_within_px and float(np.hypot(*points[index])) <= bundle.absent_within_px:
            continue
        column, row = (float(v) for v in places[index])
        if not (-0.5 <= column <= columns - 0.5 and -0.5 <= row <= rows - 0.5):
            lost += 1
            continue
        x, y, z = (float(v) for v in in_patient[index])
        landmarks.append(Landmark(structure.name, plane, column, row, (x, y, z)))
    return landmarks, lost


def _notes(bundle: Bundle, image: Volume | Cine, outside: int) -> list[str]:
    """What had to be changed, and what is not delivered."""
    notes = []
    wanted = bundle.inputs[0].size_px
    rows, columns = image.array.shape[1:]
    if wanted and (columns, rows) != wanted:
        notes.append(
            f"The planes have {rows} rows and {columns} columns; they were filled up with zeros to {wanted[1]} and "
            f"{wanted[0]}, which the network takes."
        )
    if outside:
        notes.append(f"{outside} point(s) lie beside the image and are left out.")
    return notes
