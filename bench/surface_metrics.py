"""Surface metrics of a pair of masks on 96 x 256 x 256: radgate against DeepMind's surface-distance.

The peer gets an environment of its own below `build/bench-surface` (made on the first run; without a package index it
is said and left out). Both run in one thread, and processor time is compared, so that a busy machine does not decide.
One pair is an organ drawn twice, the surfaces of the other lie centimetres apart; the limit holds for both.
Run with `python -m bench.surface_metrics`.
"""

import json
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contouring.metrics import hausdorff_mm, mean_surface_distance_mm, surface_dice
from contouring.surface import surface_distances
from imaging.geometry import Grid
from imaging.volume import Region

__all__ = ["main"]

PEER = Path(__file__).parents[1] / "build" / "bench-surface"
PEER_PACKAGES = ("surface-distance==0.1",)
SHAPE, SPACING = (96, 256, 256), (2.5, 0.9, 1.1)
REPEATS = 5
LIMIT_RATIO, LIMIT_DIFFERENCE = 1 / 3, 1e-6


def make_pairs() -> dict[str, tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Organs as a person and a network would draw them: nearly the same, and far off; both fill much of the image."""
    z, y, x = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]

    def ellipsoid(centre: tuple[int, ...], radii: tuple[int, ...]) -> NDArray[np.bool_]:
        parts = (((a - c) / r) ** 2 for a, c, r in zip((z, y, x), centre, radii, strict=True))
        return np.asarray(sum(parts) < 1)

    wave = 0.03 * np.sin(x / 5) * np.cos(y / 7)
    organ = ellipsoid((48, 128, 120), (40, 90, 100))
    close = np.asarray(((z - 47) / 39) ** 2 + ((y - 126) / 92) ** 2 + ((x - 123) / 97) ** 2 + wave < 1)
    return {"close": (organ, close), "far": (organ, ellipsoid((43, 118, 132), (34, 80, 92)))}


def with_radgate(a: NDArray[np.bool_], b: NDArray[np.bool_], grid: Grid) -> tuple[float, list[float]]:
    regions = Region.from_mask(a), Region.from_mask(b)
    begin = time.process_time()
    d = surface_distances(*regions, grid)
    means = mean_surface_distance_mm(d)
    values = [surface_dice(d, 2.0), hausdorff_mm(d, 95.0), means.a_to_b_mm, means.b_to_a_mm]
    return time.process_time() - begin, values


def peer_python() -> Path | None:
    """The interpreter of the peer's environment; made where it is missing, None where it cannot be."""
    python = PEER / "bin" / "python"
    if not python.exists():
        venv.create(PEER, with_pip=True)
    check = [str(python), "-c", "import surface_distance.lookup_tables"]
    if subprocess.run(check, capture_output=True, check=False).returncode:
        install = [str(python), "-m", "pip", "install", "--quiet", *PEER_PACKAGES]
        if subprocess.run(install, check=False).returncode:
            return None
    return python


def with_peer(python: Path, pairs: dict[str, tuple[NDArray[np.bool_], NDArray[np.bool_]]]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "masks.npz")
        masks = {f"{name}/{key}": mask for name, pair in pairs.items() for key, mask in zip("ab", pair, strict=True)}
        np.savez_compressed(path, spacing=np.array(SPACING), **masks)  # type: ignore[arg-type]
        job = Path(__file__).with_name("_surface_distance_job.py")
        done = subprocess.run(
            [str(python), "-W", "ignore", str(job), str(path), str(REPEATS)], check=True, capture_output=True, text=True
        )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def passes(rows: dict[str, dict[str, float]]) -> bool:
    return all(r["ratio"] <= LIMIT_RATIO and r["difference"] <= LIMIT_DIFFERENCE for r in rows.values())


def main() -> int:
    """Print times and the largest relative difference; 1 where radgate is slower than the limit, or numbers differ."""
    grid = Grid(
        np.arange(SHAPE[0])[:, None] * np.array([0, 0, SPACING[0]]) + [3.0, -11.0, 70.0],
        np.array([1.0, 0, 0]), np.array([0, 1.0, 0]), SPACING[1:], SHAPE[1], SHAPE[2], "1.2.3",
    )  # fmt: skip
    pairs = make_pairs()
    own = {}
    for name, pair in pairs.items():
        runs = [with_radgate(*pair, grid) for _ in range(REPEATS)]
        own[name] = (median(seconds for seconds, _ in runs), runs[0][1])
    python = peer_python()
    if python is None:
        print("surface-distance could not be installed, so there is no comparison")
        print({name: round(seconds, 3) for name, (seconds, _) in own.items()})
        return 0
    peer = with_peer(python, pairs)
    rows = {}
    for name, (seconds, values) in own.items():
        theirs = peer[name]
        difference = float(np.max(np.abs(np.subtract(values, theirs["values"])) / np.abs(theirs["values"])))
        rows[name] = {"ratio": seconds / theirs["seconds"], "difference": difference}
        print(
            f"{name:6} radgate {seconds:.3f} s   surface-distance {theirs['seconds']:.3f} s   "
            f"ratio {rows[name]['ratio']:.3f} (limit {LIMIT_RATIO:.2f})   largest difference {difference:.1e}"
        )
    return 0 if passes(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
