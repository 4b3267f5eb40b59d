"""Image quality of a CT with 300 slices of 512 x 512: seconds and memory of every check on one core.

Run with `python -m bench.qc_image`. The limits are those of the project: 3 s for all checks together, and 1 GiB above
the volume. `python -m bench.qc_image proof` prints how the value of each check follows planted severities.
"""

import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np

from imaging.volume import Volume
from qc.image import check_inputs
from qc.image.inputs import Inputs
from tests.qc.bodies import Body, header_inputs
from tests.synthetic.series import SeriesDescription

__all__ = ["main"]

LIMIT_S = 3.0
LIMIT_MIB = 1024.0
PLANES, ROWS, COLUMNS = 300, 512, 512
REPEATS = 3


def big_ct() -> Inputs:
    """A trunk of 300 slices with pixels of 0.74 x 0.76 mm that fills most of the picture."""
    d = SeriesDescription(
        rows=ROWS, columns=COLUMNS, planes=PLANES, pixel_spacing_mm=(0.74, 0.76), plane_spacing_mm=1.25, signed=True
    )
    half = replace(d, planes=20, pixel_spacing_mm=(0.47, 0.49))
    values = Body(sigma_hu=9.0).values(half.grid())
    array = np.empty((PLANES, ROWS, COLUMNS), dtype=np.int16)
    for plane in range(PLANES):
        array[plane] = values[plane % len(values)]
    headers = header_inputs(SeriesDescription(rows=7, columns=5, planes=PLANES, plane_spacing_mm=1.25)).headers
    for header in headers:
        header.Rows, header.Columns, header.PixelSpacing, header.RescaleIntercept = ROWS, COLUMNS, [0.74, 0.76], "0"
    return Inputs(headers, Volume(array, d.grid(), unit="[hnsf'U]"))


def measure() -> dict[str, float]:
    """Best seconds of a verdict and of each check, and memory above the volume in MiB."""
    inputs = big_ct()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    best: dict[str, float] = {}
    for _ in range(REPEATS):
        fresh = replace(inputs)
        began = time.perf_counter()
        verdict = check_inputs(fresh)
        spent = {"all checks": time.perf_counter() - began}
        spent |= {r.check_id: r.elapsed_ms / 1000 for r in verdict.results}
        best = {key: min(value, best.get(key, value)) for key, value in spent.items()}
    best["memory MiB"] = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return best


def proof() -> int:
    """Print rank correlation of value and severity over 20 seeds, and from which severity on each check alarms."""
    from scipy import stats

    from qc.image.registry import Measured, discover
    from tests.qc.cases import CASES, NumberCase

    failures = 0
    print("| check | severities | Spearman | largest error | alarm in 90 % from |")
    print("|---|---|---|---|---|")
    for check_id, case in CASES.items():
        if not isinstance(case, NumberCase):
            continue
        pairs, alarms = [], {}
        for severity in case.severities:
            bad = 0
            for seed in range(20):
                inputs = case.planted(severity, seed)
                found = discover()[check_id].run(inputs)
                if not isinstance(found, Measured):
                    raise TypeError(f"{check_id} could not measure severity {severity}")
                pairs.append((severity, float(found.value)))
                if seed < 3:
                    result = check_inputs(inputs, case.profile).result(check_id)
                    bad += result is not None and result.grade in {"WARN", "FAIL"}
            alarms[severity] = bad / 3
        rank = float(stats.spearmanr(*zip(*pairs, strict=True)).statistic)
        error = max(abs(v - case.truth(s)) for s, v in pairs) if case.truth else float("nan")
        first = next((s for s in case.severities if alarms[s] >= 0.9), None)
        failures += rank < 0.95
        said = ", ".join(f"{s:g}" for s in case.severities)
        print(
            f"| `{check_id}` | {said} | {rank:.3f} | {error:.3g} | {'-' if first is None else f'{first:g}'} |",
            flush=True,
        )
    return failures


def main() -> int:
    """Print time of each check, their sum and the memory; 1 where a limit is broken."""
    one_core = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "bench.qc_image", "one"]
    best = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, env=one_core).stdout)
    memory, total = best.pop("memory MiB"), best.pop("all checks")
    for check_id, seconds in sorted(best.items(), key=lambda item: -item[1]):
        print(f"{check_id:26}{seconds:8.3f} s")
    print(f"{'all checks':26}{total:8.3f} s   (limit {LIMIT_S:.0f} s)")
    print(f"{'memory above the volume':26}{memory:8.0f} MiB (limit {LIMIT_MIB:.0f} MiB)")
    return int(total > LIMIT_S or memory > LIMIT_MIB)


if __name__ == "__main__":
    if sys.argv[1:] == ["one"]:
        print(json.dumps(measure()))
    else:
        sys.exit(proof() if sys.argv[1:] == ["proof"] else main())
