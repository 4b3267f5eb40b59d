"""Defects for series: each function takes finished data sets and returns others, leaving the given ones as they are.

They can be put one into the other: `write_datasets(folder, shuffled(without(series_datasets(), 7)))`.
"""

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import UID, ExplicitVRBigEndian

from imaging.provenance import deterministic_uid
from tests.synthetic.series import SeriesDescription, series_datasets

__all__ = [
    "changed",
    "compressed",
    "cut_frame",
    "in_transfer_syntax",
    "localiser",
    "shuffled",
    "two_echoes",
    "with_copies",
    "without",
]


def without(datasets: Sequence[Dataset], *planes: int) -> list[Dataset]:
    """The series with instances missing."""
    return [ds for plane, ds in enumerate(datasets) if plane not in planes]


def changed(datasets: Sequence[Dataset], *planes: int, **attributes: Any) -> list[Dataset]:
    """The series with attributes of some instances replaced; a value of None removes the attribute."""
    result = copy.deepcopy(list(datasets))
    for plane in planes:
        for keyword, value in attributes.items():
            if value is None:
                delattr(result[plane], keyword)
            else:
                setattr(result[plane], keyword, value)
    return result


def with_copies(datasets: Sequence[Dataset], *planes: int) -> list[Dataset]:
    """The series with a second instance, of its own UID, at the position of some planes."""
    copies = [copy.deepcopy(datasets[plane]) for plane in planes]
    for ds in copies:
        ds.SOPInstanceUID = deterministic_uid("test copy", str(ds.SOPInstanceUID))
    return [*datasets, *copies]


def shuffled(datasets: Sequence[Dataset], seed: int = 5) -> list[Dataset]:
    """The series in random order, with random InstanceNumbers and SliceLocations that have nothing to do with it."""
    rng = np.random.default_rng(seed)
    result = [copy.deepcopy(datasets[n]) for n in rng.permutation(len(datasets))]
    for ds, number in zip(result, rng.permutation(len(result)), strict=True):
        ds.InstanceNumber, ds.SliceLocation = int(number) + 1, f"{rng.uniform(-100, 100):.2f}"
    return result


def two_echoes(
    description: SeriesDescription | None = None, echo_times_ms: Sequence[str] = ("20", "80")
) -> list[Dataset]:
    """One MR series with every position once for each echo time."""
    base = replace(description or SeriesDescription(), modality="MR")
    result = []
    for number, echo_time in enumerate(echo_times_ms, start=1):
        for ds in series_datasets(base):
            ds.EchoTime, ds.EchoNumbers = echo_time, number
            ds.SOPInstanceUID = deterministic_uid("test echo", [str(ds.SOPInstanceUID), number])
            result.append(ds)
    return result


def localiser(description: SeriesDescription | None = None) -> Dataset:
    """A scout in the same series: another orientation, another size, ImageType LOCALIZER."""
    base = description or SeriesDescription()
    ds = series_datasets(
        replace(base, orientation=(1.0, 0.0, 0.0, 0.0, 0.0, -1.0), rows=61, columns=43, planes=1, pixels=None)
    )[0]
    ds.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    ds.SOPInstanceUID = base.sop_instance_uid(0, "localiser")
    return ds


def compressed(datasets: Sequence[Dataset], transfer_syntax_uid: str) -> list[Dataset]:
    """The series losslessly compressed, the UIDs kept."""
    result = copy.deepcopy(list(datasets))
    for ds in result:
        ds.compress(transfer_syntax_uid, generate_instance_uid=False)
    return result


def cut_frame(file: Path, frame: int, share: float) -> None:
    """Keep only a share of the compressed stream of one frame (from 0) of a file."""
    ds = dcmread(file)
    streams = list(generate_frames(ds.PixelData, number_of_frames=int(ds.get("NumberOfFrames", 1))))
    kept = streams[frame].rstrip(b"\0")[: int(share * len(streams[frame]))]
    streams[frame] = kept + b"\0" * (len(kept) % 2)
    ds.PixelData = encapsulate(streams)
    ds.save_as(file)


def in_transfer_syntax(datasets: Sequence[Dataset], transfer_syntax_uid: str) -> list[Dataset]:
    """The series in another uncompressed syntax: implicit, deflated, or big endian with its pixels swapped."""
    result = []
    for ds in copy.deepcopy(list(datasets)):
        # A bare data set, because a file's data set remembers its own byte order and refuses another.
        bare = Dataset()
        bare.update(ds)
        bare.file_meta = ds.file_meta
        bare.file_meta.TransferSyntaxUID = UID(transfer_syntax_uid)
        if transfer_syntax_uid == ExplicitVRBigEndian:
            bare.PixelData = np.frombuffer(ds.PixelData, "<u2").astype(">u2").tobytes()
        result.append(bare)
    return result
