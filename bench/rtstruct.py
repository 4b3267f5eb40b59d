"""RTSTRUCT of five structures on 512 x 512 x 120: radgate against rt-utils and plastimatch.

rt-utils gets an environment of its own below `build/bench-peers` (made on the first run; without a package index it is
said and left out). It is timed without loading the images, plastimatch as a whole command from the CT folder to masks,
so radgate is timed both ways too. The case has about as many numbers as that of the specification (334 440 written by
rt-utils), and rt-utils' time is that of every `add_roi` and of `save`. Times are processor seconds, so that other work
on the machine does not count. Writing by radgate includes reading the object back and comparing it. Run with
`python -m bench.rtstruct`.
"""

import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import tracemalloc
import venv
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contouring import Roi, lookup, read_rtstruct, write_rtstruct
from contouring.rtstruct_parse import parse_structure_set
from imaging.provenance import Algorithm
from imaging.series import Stack, scan
from imaging.volume import Region
from tests.synthetic.series import write_series

__all__ = ["main"]

PEERS = Path(__file__).parents[1] / "build" / "bench-peers"
PEER_PACKAGES = ("rt-utils==1.2.7",)
SHAPE = (120, 512, 512)
NAMES = ("Body", "Lung_L", "Lung_R", "Heart", "SpinalCord")
REPEATS = 3
WRITE_LIMIT, READ_LIMIT, PLASTIMATCH_LIMIT, MEMORY_LIMIT = 0.1, 0.1, 0.25, 2.0


def make_masks() -> NDArray[np.bool_]:
    """A body with two lungs, a heart and a cord, wavy as real outlines are."""
    j, i = np.mgrid[0 : SHAPE[1], 0 : SHAPE[2]]
    masks = np.zeros((len(NAMES), *SHAPE), dtype=np.bool_)
    ellipses = [(256, 251, 200, 140), (160, 250, 62, 90), (352, 246, 62, 88), (280, 280, 50, 42), (254, 350, 9, 8)]
    for k in range(SHAPE[0]):
        wave = 0.04 * np.sin(i / 11 + k / 7) * np.cos(j / 13)
        for n, (x, y, a, b) in enumerate(ellipses):
            shrink = 1 - 0.3 * abs(k - 60) / 60
            masks[n, k] = ((i - x) / (a * shrink)) ** 2 + ((j - y) / (b * shrink)) ** 2 + wave < 1
    return masks


def peers_python() -> Path | None:
    """The interpreter of the peers' environment; made where it is missing, None where it cannot be."""
    python = PEERS / "bin" / "python"
    if not python.exists():
        venv.create(PEERS, with_pip=True)
    check = [str(python), "-c", "import rt_utils"]
    if subprocess.run(check, capture_output=True, check=False).returncode:
        install = [str(python), "-m", "pip", "install", "--quiet", *PEER_PACKAGES]
        if subprocess.run(install, check=False).returncode:
            return None
    return python


def rt_utils(python: Path, action: str, *arguments: Path) -> dict[str, Any]:
    """Median of a job of rt-utils, with whatever else it says."""
    command = [str(python), str(Path(__file__).with_name("_rt_utils_job.py")), action, *map(str, arguments)]
    rows = [
        json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])
        for _ in range(REPEATS)
    ]
    return {**rows[0], "seconds": median(r["seconds"] for r in rows)}


def write(stack: Stack, regions: list[Region], mode: str, target: Path) -> float:
    """Seconds to make, check and save the structure set from masks."""
    begin = time.process_time()
    rois = [Roi(n + 1, lookup(name), r) for n, (name, r) in enumerate(zip(NAMES, regions, strict=True))]
    result = write_rtstruct(
        rois,
        stack,
        made_at=datetime(2026, 3, 4),
        algorithm=Algorithm("bench", "1"),
        mode=mode,  # type: ignore[arg-type]
    )
    target.write_bytes(result.encoded)
    return time.process_time() - begin


def read(stack: Stack, source: Path, masks: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Seconds to read all regions, to have them as full masks, and the smallest Dice against the truth."""
    begin = time.process_time()
    structures = read_rtstruct(source, stack.grid).structures
    as_regions = time.process_time() - begin
    found = [s.region.mask() for s in structures]
    as_masks = time.process_time() - begin
    dice = min(float(2 * (a & b).sum() / (a.sum() + b.sum())) for a, b in zip(found, masks, strict=True))
    return as_regions, as_masks, dice


def numbers(source: Path) -> int:
    """How many numbers the contours of a structure set hold."""
    return 3 * sum(len(roi.contours.points_lps) for roi in parse_structure_set(source).rois)


def peak_ratio(job: Any) -> float:
    """Largest memory that a job holds beside what was there before, over one byte per voxel of the image."""
    tracemalloc.start()
    job()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / float(np.prod(SHAPE))


def plastimatch(images: Path, source: Path, folder: Path) -> float | None:
    """Seconds of the whole command from CT and RTSTRUCT to masks."""
    program = shutil.which("plastimatch")
    if program is None:
        return None
    command = [program, "convert", "--input", str(source), "--referenced-ct", str(images), "--xor-contours"]
    command += ["--output-prefix", str(folder / "plastimatch"), "--prefix-format", "mha"]
    return _seconds_of(command)


def whole_command(images: Path, source: Path) -> float:
    """Seconds of a new Python process from the CT folder and the RTSTRUCT to masks in memory."""
    code = (
        "import sys; from pathlib import Path; from imaging.series import scan; from contouring import read_rtstruct; "
        "g = scan([Path(sys.argv[1])]).stacks[0].grid; "
        "[s.region.mask() for s in read_rtstruct(Path(sys.argv[2]), g).structures]"
    )
    return _seconds_of([sys.executable, "-c", code, str(images), str(source)])


def _seconds_of(command: list[str]) -> float:
    """Processor seconds of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(folder: Path) -> list[tuple[str, float, float | None, float | None]]:
    """Rows: what, radgate's value, the peer's value, limit of their ratio."""
    images = folder / "ct"
    write_series(
        images, rows=SHAPE[1], columns=SHAPE[2], planes=SHAPE[0], pixel_spacing_mm=(0.977, 0.977), plane_spacing_mm=2.5,
        orientation=(1, 0, 0, 0, 1, 0), pixels=np.zeros(SHAPE, dtype=np.int16), patient_name="Bench^One",
    )  # fmt: skip
    stack = scan([images]).stacks[0]
    masks = make_masks()
    np.save(folder / "masks.npy", masks)
    regions = [Region.from_mask(m) for m in masks]
    crack, smooth = folder / "crack.dcm", folder / "smooth.dcm"
    write_crack = median(write(stack, regions, "crack", crack) for _ in range(REPEATS))
    write_smooth = median(write(stack, regions, "smooth", smooth) for _ in range(REPEATS))
    reads = [read(stack, smooth, masks) for _ in range(REPEATS)]
    read_time, masks_time = (median(r[n] for r in reads) for n in (0, 1))
    assert all(dice == 1 for _, _, dice in reads)
    rows: list[tuple[str, float, float | None, float | None]] = []
    python = peers_python()
    if python is None:
        print("rt-utils cannot be installed here: its rows have no peer")
        peer_write = peer_read = None
    else:
        peer = rt_utils(python, "write", images, folder / "masks.npy", folder / "peer.dcm")
        peer_write = float(peer["seconds"])
        print(f"numbers in ContourData: rt-utils {peer['numbers']}, crack {numbers(crack)}, smooth {numbers(smooth)}")
        peer = rt_utils(python, "read", images, folder / "masks.npy", folder / "peer.dcm")
        peer_read = float(peer["seconds"])
        print(f"rt-utils reads its own file with Dice {peer['dice']:.4f}; radgate reads its own with Dice 1")
    rows += [
        ("write, crack / rt-utils, s", write_crack, peer_write, WRITE_LIMIT),
        ("write, smooth / rt-utils, s", write_smooth, peer_write, WRITE_LIMIT),
        ("read / rt-utils, s", read_time, peer_read, READ_LIMIT),
        ("read, full masks / rt-utils, s", masks_time, peer_read, None),
    ]
    whole = median(whole_command(images, smooth) for _ in range(REPEATS))
    theirs = plastimatch(images, smooth, folder)
    if theirs is None:
        print("plastimatch is not installed: its rows have no peer")
    rows += [
        ("read / plastimatch's whole command, s", read_time, theirs, PLASTIMATCH_LIMIT),
        ("CT and RTSTRUCT to masks, whole command, s", whole, theirs, None),
        (
            "memory of writing (smooth), label maps",
            peak_ratio(lambda: write(stack, regions, "smooth", smooth)),
            1.0,
            MEMORY_LIMIT,
        ),
        ("memory of reading, label maps", peak_ratio(lambda: read_rtstruct(smooth, stack.grid)), 1.0, MEMORY_LIMIT),
    ]
    return rows


def passes(rows: list[tuple[str, float, float | None, float | None]]) -> bool:
    """Whether every ratio that has a peer and a limit keeps it."""
    return all(peer is None or limit is None or value <= limit * peer for _, value, peer, limit in rows)


def main() -> int:
    """Print the table; 1 where a limit is broken."""
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(Path(folder))
    print(f"{'':46}{'radgate':>9}{'peer':>9}{'ratio':>8}{'limit':>8}")
    for name, value, peer, limit in rows:
        peer_text, ratio = ("-", "-") if peer is None else (f"{peer:.2f}", f"{value / peer:.3f}")
        print(f"{name:46}{value:9.3f}{peer_text:>9}{ratio:>8}{'-' if limit is None else f'{limit:.2f}':>8}")
    return 0 if passes(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
