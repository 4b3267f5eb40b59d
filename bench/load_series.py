"""Loading 300 slices of 512 x 512: radgate's scan and load_volume against SimpleITK's GDCM reader.

Both find the files of the same folder, sort them by position and return values in HU. Run with
`python -m bench.load_series`; each reader runs in processes of its own, so that peak memory is its own.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

from bench._memory import peak_mib
from tests.synthetic.series import SeriesDescription, write_series

__all__ = ["main"]

LIMIT_RATIO = 1.0
REPEATS = 5


def make_series(folder: Path, planes: int = 300, size: int = 512) -> None:
    """A CT series of noise and a few large values, written uncompressed."""
    rng = np.random.default_rng(7)
    plane = rng.normal(0, 60, (size, size)) + 1000 * np.hypot(*np.ogrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j])
    values = np.stack([np.roll(plane, 3 * k, axis=1) for k in range(planes)]).astype(np.int16)
    description = SeriesDescription(
        rows=size, columns=size, planes=planes, pixel_spacing_mm=(0.98, 0.9), plane_spacing_mm=1.25, pixels=values
    )
    write_series(folder, description)


def load_with_radgate(folder: Path) -> tuple[float, int]:
    """Seconds of scan and load together, and the sum of all voxels."""
    from imaging.series import load_volume, scan

    start = time.perf_counter()
    volume = load_volume(scan([folder]).stacks[0])
    elapsed = time.perf_counter() - start
    return elapsed, int(volume.array.sum(dtype=np.int64))


def load_with_simpleitk(folder: Path) -> tuple[float, int]:
    """Seconds of finding the sorted file names and reading them, and the sum of all voxels."""
    return _simpleitk(folder, is_sorting_free=False)


def load_with_simpleitk_told_names(folder: Path) -> tuple[float, int]:
    """The same without the finding: seconds of reading files whose order is known beforehand."""
    return _simpleitk(folder, is_sorting_free=True)


def _simpleitk(folder: Path, *, is_sorting_free: bool) -> tuple[float, int]:
    import SimpleITK

    reader = SimpleITK.ImageSeriesReader()
    start = time.perf_counter()
    names = reader.GetGDCMSeriesFileNames(str(folder))
    if is_sorting_free:
        start = time.perf_counter()
    reader.SetFileNames(names)
    image = reader.Execute()
    array = SimpleITK.GetArrayViewFromImage(image)
    elapsed = time.perf_counter() - start
    return elapsed, int(array.sum(dtype=np.int64))


READERS = {
    "radgate": load_with_radgate,
    "SimpleITK": load_with_simpleitk,
    "SimpleITK, names given": load_with_simpleitk_told_names,
}


def _one_run(name: str, folder: str) -> None:
    elapsed, total = READERS[name](Path(folder))
    print(json.dumps({"seconds": elapsed, "sum": total, "peak_mib": peak_mib()}))


def measure(folder: Path, repeats: int = REPEATS) -> dict[str, dict[str, float]]:
    """Median seconds, voxel sum and peak memory of each reader, alternating between them."""
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in READERS}
    for _ in range(repeats):
        for name in READERS:
            command = [sys.executable, "-m", "bench.load_series", name, str(folder)]
            runs[name].append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    return {
        name: {
            "seconds": median(r["seconds"] for r in rows),
            "sum": rows[0]["sum"],
            "peak_mib": max(r["peak_mib"] for r in rows),
        }
        for name, rows in runs.items()
    }


def main() -> int:
    """Print both times, their ratio and the peak memory; 1 where radgate is slower or the voxels differ."""
    with tempfile.TemporaryDirectory() as folder:
        # In a process of its own, too: a child's peak memory begins with that of its parent.
        subprocess.run([sys.executable, "-m", "bench.load_series", "make", folder], check=True)
        results = measure(Path(folder))
    for name, row in results.items():
        print(f"{name:24}{row['seconds']:.3f} s   peak {row['peak_mib']:.0f} MiB")
    is_equal = len({row["sum"] for row in results.values()}) == 1
    said = " and ".join(f"{ratio:.2f}" for ratio in ratios_to_peers(results))
    print(f"ratios {said} (limit {LIMIT_RATIO:.2f}), voxels {'equal' if is_equal else 'DIFFER'}")
    return 0 if passes(results) else 1


def ratios_to_peers(results: dict[str, dict[str, float]]) -> list[float]:
    """Time of radgate divided by that of each peer."""
    own = results["radgate"]["seconds"]
    return [own / row["seconds"] for name, row in results.items() if name != "radgate"]


def passes(results: dict[str, dict[str, float]]) -> bool:
    """Whether radgate is no slower than any peer and all read the same voxels."""
    is_equal = len({row["sum"] for row in results.values()}) == 1
    return is_equal and max(ratios_to_peers(results)) <= LIMIT_RATIO


if __name__ == "__main__":
    if sys.argv[1:2] == ["make"]:
        make_series(Path(sys.argv[2]))
    elif len(sys.argv) > 1:
        _one_run(*sys.argv[1:])
    else:
        sys.exit(main())
