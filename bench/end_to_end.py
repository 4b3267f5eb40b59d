"""A whole study through the service: 300 x 512 x 512 CT, 12 structures, from the last instance to the last delivery.

Prints the seconds of each step, what the networks' own forward passes took of them, and the peak memory of the service
with its worker. Targets on two cores: at most 15 s without the forward passes, at most 3 GiB.
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from pynetdicom import AE, AllStoragePresentationContexts, evt
from sqlalchemy import create_engine, select

from dicom_gateway.demo.send import send_files
from dicom_gateway.store import tables
from imaging.testing.phantom import make_phantom, write_phantom
from tests.e2e.peers import Radgate, free_port, wait_for

SHAPE = (300, 512, 512)
QUIET_S = 1.0
TARGET_S = 15.0
TARGET_GIB = 3.0

CONFIG = """
[store]
root = "store"
low_free = 0.01
floor_free = 0.005
[listen]
port = 0
[[peer]]
aet = "SCANNER"
[complete]
quiet_s = {quiet}
[web]
port = 0
[[destination]]
name = "sink"
aet = "SINK"
host = "127.0.0.1"
port = {port}
"""


def start_sink(port: int, arrivals: list[float]) -> Any:
    """An archive that takes everything and notes the time."""
    ae = AE(ae_title="SINK")
    for context in AllStoragePresentationContexts:
        ae.add_supported_context(context.abstract_syntax, ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"])
    ae.add_supported_context("1.2.840.10008.1.1")

    def store(event: Any) -> int:
        arrivals.append(time.time())
        return 0x0000

    return ae.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, store)])


def peak_gib(root: int) -> float:
    """Sum of the peak resident memory of a process and all that it started (each at its own time: an upper bound)."""
    parents: dict[int, int] = {}
    peaks: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                lines = (folder / "status").read_text(encoding="utf-8").splitlines()
            except OSError:
                continue
            fields = dict(line.split(":", 1) for line in lines if ":" in line)
            parents[int(folder.name)] = int(fields["PPid"])
            peaks[int(folder.name)] = int(fields.get("VmHWM", "0 kB").split()[0])
    family, grown = {root}, True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in family} - family
        family |= more
        grown = bool(more)
    return sum(peaks.get(pid, 0) for pid in family) / 2**20


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="radgate-bench-") as name:
        folder = Path(name)
        print(f"making a phantom of {' x '.join(str(n) for n in SHAPE)}", flush=True)
        files = write_phantom(folder / "study", make_phantom(shape=SHAPE))
        arrivals: list[float] = []
        port = free_port()
        sink = start_sink(port, arrivals)
        radgate = Radgate(folder / "radgate", CONFIG.format(port=port, quiet=QUIET_S))
        radgate.start()
        try:
            wait_for("the rehearsal after the start", lambda: "rehears" in radgate.log(), 120)
            sent = send_files(files, "127.0.0.1", radgate.dicom_port, lambda: None)
            last = time.time()
            engine = create_engine(f"sqlite:///{radgate.folder / 'store' / 'radgate.sqlite'}")
            version = tables.study_version

            def delivered() -> bool:
                with engine.connect() as connection:
                    return "DELIVERED" in connection.execute(select(version.c.state)).scalars().all()

            wait_for("delivery", delivered, 600)
            with engine.connect() as connection:
                steps = connection.execute(select(tables.step_log).order_by(tables.step_log.c.id)).mappings().all()
                document = connection.execute(select(tables.result.c.document)).scalar_one()
            memory = peak_gib(radgate.process.pid if radgate.process else 0)
        finally:
            radgate.stop()
            sink.shutdown()
    forward = sum(
        bundle.get("forward_s", 0.0) for row in steps if row["step"] == "run" for bundle in row["detail"]["bundles"]
    )
    total = max(arrivals) - last
    print(f"{len(files)} instances received in {sent.elapsed_s:.1f} s")
    print(f"{len(document['structures'])} structures; status {document['status']}")
    for row in steps:
        seconds = row["ended"] - row["started"]
        print(f"  {row['step']:<10} {seconds:6.2f} s  {100 * seconds / total:5.1f} %")
        for bundle in row["detail"].get("bundles", []) if row["step"] == "run" else []:
            seconds, passes = bundle.get("elapsed_s", 0.0), bundle.get("forward_s", 0.0)
            print(f"    {bundle['bundle']}: {seconds:.2f} s, forward passes {passes:.2f} s")
    waited = min(row["started"] for row in steps) - last
    print(f"  {'silence':<10} {waited:6.2f} s  {100 * waited / total:5.1f} %  (complete.quiet_s = {QUIET_S})")
    print(f"  {'sending':<10} {max(arrivals) - max(row['ended'] for row in steps):6.2f} s after the last step")
    print(f"last instance to last delivery: {total:.1f} s, of which forward passes {forward:.1f} s")
    rest = total - forward
    print(f"without the forward passes {rest:.1f} s, target {TARGET_S:.0f} s: {rest / TARGET_S:.2f} of it")
    print(f"(of these, complete.quiet_s = {QUIET_S} s is a wait that a site sets, not work; a site's default is 60 s)")
    print(f"peak memory {memory:.2f} GiB, target {TARGET_GIB:.0f} GiB: {memory / TARGET_GIB:.2f} of it")
    return int(rest > TARGET_S or memory > TARGET_GIB)


if __name__ == "__main__":
    sys.exit(main())
