"""DICOM segmentation of 20 structures on 200 x 512 x 512: radgate against plain highdicom, both saved to disk.

Each runs in a process of its own, so that peak memory is its own. Run with `python -m bench.seg`.
"""

import json
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.sr.codedict import codes

from bench._memory import peak_mib
from contouring import NameTable, Roi, write_seg
from imaging.provenance import Algorithm
from imaging.series import scan
from imaging.volume import Region
from tests.synthetic.series import write_series

__all__ = ["main"]

SHAPE = (200, 512, 512)
STRUCTURES = 20
REPEATS = 3
LIMIT_RATIO = 0.5


def make_regions() -> list[Region]:
    """Ellipsoids of the size of organs, one as large as a body; overlapping, none symmetric in the grid."""
    rng = np.random.default_rng(11)
    regions = []
    for n in range(STRUCTURES):
        size = np.array([180, 330, 410]) if n == 0 else rng.integers([20, 30, 40], [110, 130, 150])
        start = np.array([9, 80, 50]) if n == 0 else rng.integers([5, 60, 60], np.array(SHAPE) - size - 5)
        axes = np.ogrid[tuple(slice(-1, 1, complex(0, int(s))) for s in size)]
        crop: NDArray[np.bool_] = np.asarray(sum(a**2 for a in axes) < 1)
        regions.append(Region(crop, (int(start[0]), int(start[1]), int(start[2])), SHAPE))
    return regions


def with_radgate(folder: Path, regions: list[Region], target: Path) -> float:
    stack = scan([folder]).stacks[0]
    rois = [Roi(n, name, r) for n, (name, r) in enumerate(zip(NameTable.default(), regions, strict=False), start=1)]
    begin = time.perf_counter()
    ds = write_seg(rois, stack, made_at=datetime(2026, 3, 4), algorithm=Algorithm("bench", "1"))
    ds.save_as(target, enforce_file_format=True)
    return time.perf_counter() - begin


def with_highdicom(folder: Path, regions: list[Region], target: Path) -> float:
    import highdicom

    images = [pydicom.dcmread(s, stop_before_pixels=True) for s in scan([folder]).stacks[0].files]
    names = [n for n, _ in zip(NameTable.default(), regions, strict=False)]
    descriptions = [
        highdicom.seg.SegmentDescription(
            n, name.tg263, name.category, name.type, "AUTOMATIC",
            highdicom.AlgorithmIdentificationSequence("bench", codes.DCM.ArtificialIntelligence, "1"),
        )
        for n, name in enumerate(names, start=1)
    ]  # fmt: skip
    pixels = np.stack([r.mask() for r in regions], axis=-1)
    begin = time.perf_counter()
    seg = highdicom.seg.Segmentation(
        images, pixels, "BINARY", descriptions, highdicom.UID(), 1, highdicom.UID(), 1, "m", "m", "1", "1"
    )
    seg.save_as(target)
    return time.perf_counter() - begin


WRITERS = {"radgate": with_radgate, "highdicom": with_highdicom}


def _one_run(name: str, folder: Path, target: Path) -> None:
    regions = make_regions()
    seconds = WRITERS[name](folder, regions, target)
    frames = int(pydicom.dcmread(target, stop_before_pixels=True).NumberOfFrames)
    row = {"seconds": seconds, "frames": frames, "bytes": target.stat().st_size, "peak_mib": peak_mib()}
    print(json.dumps(row))


def same_pixels(first: Path, second: Path) -> bool:
    """Whether both files mark the same voxels of the same segments on the same planes."""
    contents = []
    for path in (first, second):
        ds = pydicom.dcmread(path)
        bits = np.unpackbits(np.frombuffer(ds.PixelData, np.uint8), bitorder="little")
        frames = bits[: int(ds.NumberOfFrames) * SHAPE[1] * SHAPE[2]].reshape(-1, SHAPE[1] * SHAPE[2])
        keys = [
            (
                int(g.SegmentIdentificationSequence[0].ReferencedSegmentNumber),
                str(g.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID),
            )
            for g in ds.PerFrameFunctionalGroupsSequence
        ]
        contents.append({key: int(frame.sum()) for key, frame in zip(keys, frames, strict=True)})
    return contents[0] == contents[1]


def measure() -> dict[str, Any]:
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in WRITERS}
    with tempfile.TemporaryDirectory() as folder:
        images, targets = Path(folder, "images"), {name: Path(folder, f"{name}.dcm") for name in WRITERS}
        write_series(images, rows=SHAPE[1], columns=SHAPE[2], planes=SHAPE[0], pixels=lambda g: np.zeros(g.shape))
        for _ in range(REPEATS):
            for name, target in targets.items():
                command = [sys.executable, "-m", "bench.seg", name, str(images), str(target)]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                rows[name].append(json.loads(done.stdout.splitlines()[-1]))
        is_same = same_pixels(*targets.values())
    result: dict[str, Any] = {
        name: {**runs[0], "seconds": median(r["seconds"] for r in runs)} for name, runs in rows.items()
    }
    return {**result, "same": is_same, "ratio": result["radgate"]["seconds"] / result["highdicom"]["seconds"]}


def passes(result: dict[str, Any]) -> bool:
    return bool(result["same"] and result["ratio"] <= LIMIT_RATIO)


def main() -> int:
    """Print times, sizes and memory; 1 where radgate takes more than half of highdicom's time, or voxels differ."""
    result = measure()
    for name in WRITERS:
        row = result[name]
        print(
            f"{name:12}{row['seconds']:.2f} s   {row['bytes'] / 1e6:.1f} MB   {row['frames']} frames   "
            f"peak {row['peak_mib']:.0f} MiB"
        )
    print(f"ratio {result['ratio']:.3f} (limit {LIMIT_RATIO}), voxels {'equal' if result['same'] else 'DIFFER'}")
    return 0 if passes(result) else 1


if __name__ == "__main__":
    if len(sys.argv) == 4:
        _one_run(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        sys.exit(main())
