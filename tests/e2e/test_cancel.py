"""Cancelling from another process: the service ends the run within seconds; after kill -9 nothing begins it anew."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from dicom_gateway.demo.send import send_files
from dicom_gateway.store import tables
from imaging.testing.phantom import make_phantom, write_phantom
from tests.e2e.peers import Radgate, wait_for
from tests.e2e.test_kill import engine_of, running_step, states
from tests.monai_bundles.making import make_bundle

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
quiet_s = 2.0
[web]
port = 0
[bundles]
folders = ["bundles"]
[[route]]
name = "slow"
when.all = [{ tag = "Modality", equals = "CT" }]
bundle = "slow"
"""


def job_command(radgate: Radgate, *words: str) -> Any:
    """What `radgate job` prints as JSON, as a process of its own."""
    command = [sys.executable, "-m", "dicom_gateway.cli", "job", *words, "--config", str(radgate.config), "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout)


def children(pid: int) -> list[int]:
    """Worker processes of bundles that a process has started."""
    started = [c for task in Path(f"/proc/{pid}/task").iterdir() for c in (task / "children").read_text().split()]
    return [int(c) for c in started if b"monai_bundles.worker_process" in Path(f"/proc/{c}/cmdline").read_bytes()]


def has_ended(pid: int) -> bool:
    """Whether a process is gone, or is a dead one that nobody has asked about."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.slow
def test_the_command_stops_a_run_of_the_service_and_a_kill_in_between_begins_nothing_anew(tmp_path: Path) -> None:
    one_voxel = {"_target_": "SlidingWindowInferer", "roi_size": [1, 1, 1], "sw_batch_size": 1, "overlap": 0.0}
    make_bundle(tmp_path / "radgate" / "bundles", name="slow", inferer=one_voxel)  # minutes of small windows
    files = write_phantom(tmp_path / "study", make_phantom(shape=(40, 64, 60)))
    radgate = Radgate(tmp_path / "radgate", CONFIG)
    try:
        radgate.start()
        engine = engine_of(radgate)
        assert send_files(files, "127.0.0.1", radgate.dicom_port, lambda: None).accepted == len(files)
        wait_for("the run", lambda: running_step(engine, "run"), 120)
        [job] = job_command(radgate, "list")
        assert radgate.process is not None
        wait_for("its process", lambda: children(radgate.process.pid), 60)
        [worker] = children(radgate.process.pid)
        time.sleep(2.0)

        # Nothing of the service can answer before it is killed: only the database knows of the word.
        os.kill(radgate.process.pid, signal.SIGSTOP)
        assert job_command(radgate, "cancel", job["id"][:12], "--by", "王医生")["state"] == "CANCELLED"
        radgate.kill()
        wait_for("the run to end with the service", lambda: has_ended(worker), 10)
        radgate.start()
        wait_for("the study", lambda: states(engine) == ["CANCELLED"], 60)
        assert not running_step(engine, "run")

        job_command(radgate, "again", job["id"])
        radgate.stop()
        radgate.start()  # sooner than the minute after which a running service looks
        wait_for("the run", lambda: running_step(engine, "run"), 60)
        wait_for("its process", lambda: radgate.process and children(radgate.process.pid), 60)
        time.sleep(2.0)
        job_command(radgate, "cancel", job["id"])
        asked = time.monotonic()
        wait_for("the run to stop", lambda: not running_step(engine, "run"), 20)
        stopped_s = time.monotonic() - asked
        wait_for("the study", lambda: states(engine) == ["CANCELLED"], 20)

        assert stopped_s < 3.0
        with engine.connect() as connection:
            own = select(tables.instance.c.sop_uid).where(tables.instance.c.origin == "result")
            assert connection.execute(own).first() is None
            assert connection.execute(select(tables.result.c.id)).first() is None
            assert connection.execute(select(tables.cancellation.c.by)).scalars().all() != []
    finally:
        radgate.stop()
