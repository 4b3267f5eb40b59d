"""Runs in an environment of its own, with pylinac and without radgate: one JSON job in, one JSON answer out.

Started by path, so nothing of radgate may be imported here. It has no network, writes no picture and no report, and
limits its own memory; its parent ends it when it takes too long.
"""

import io
import json
import os
import sys
from collections.abc import Mapping
from typing import Any

CLASSES = {
    "acr_ct": "ACRCT",
    "acr_mr_large": "ACRMRILarge",
    "acr_mr_medium": "ACRMRIMedium",
    "catphan503": "CatPhan503",
    "catphan504": "CatPhan504",
    "catphan600": "CatPhan600",
    "catphan604": "CatPhan604",
    "catphan700": "CatPhan700",
    "quart_dvt": "QuartDVT",
    "tomo_cheese": "TomoCheese",
    "cirs_062m": "CIRS062M",
    "ge_daily": "GEHeliosCTDaily",
}
"""Kinds of phantoms and the classes that measure them."""


LEFT_OUT = frozenset({"warnings", "offset", "num_images", "origin_slice"})
"""What describes the method or the scan, not the scanner."""


def main() -> None:
    """Read the job, measure, answer; an error is an answer with its kind and nothing of its text."""
    answers, sys.stdout = sys.stdout, sys.stderr  # what the library prints must not get between the lines
    job = json.loads(sys.stdin.read())
    _limit_memory(int(job["memory_mb"]))
    _cut_network()
    os.environ["MPLBACKEND"] = "Agg"
    try:
        answer = _measured(job)
    except Exception as error:  # noqa: BLE001 - whatever the library raises is an answer
        answer = {"status": "failed", "error": type(error).__name__}
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


def _measured(job: Mapping[str, Any]) -> dict[str, Any]:
    import pylinac

    streams = []
    for name in job["files"]:
        with open(name, "rb") as stream:  # noqa: PTH123 - this file stands alone
            streams.append(io.BytesIO(stream.read()))
    phantom = getattr(pylinac, CLASSES[job["kind"]])(streams)
    phantom.analyze(**job.get("parameters", {}))
    values: dict[str, float] = {}
    _flatten("", phantom.results_data(as_dict=True), values)
    return {"status": "ok", "version": pylinac.__version__, "values": values}


def _flatten(path: str, value: Any, found: dict[str, float]) -> None:
    """Every number of a nested result by its dotted path."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key not in LEFT_OUT and not str(key).startswith("roi_"):
                _flatten(f"{path}.{key}" if path else str(key), item, found)
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            _flatten(f"{path}.{number}", item, found)
    elif isinstance(value, int | float) and value == value and abs(value) != float("inf"):
        found[path] = float(value)


def _limit_memory(megabytes: int) -> None:
    try:
        import resource
    except ImportError:  # not on every system; the time limit still holds
        return
    resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))


def _cut_network() -> None:
    import socket

    def refuse(*_: object, **__: object) -> None:
        raise OSError("no network here")

    socket.socket.connect = refuse  # type: ignore[method-assign]
    socket.create_connection = refuse  # type: ignore[assignment]


if __name__ == "__main__":
    main()
