"""Starts the service as a process of its own, sends a study over DICOM, and asks over DICOMweb what came back."""

import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from sqlalchemy import select

from dicom_gateway.demo.send import send_files
from dicom_gateway.demo.tables import came_back_table, steps_table
from dicom_gateway.demo.truth import dice_against_truth
from dicom_gateway.demo.verdict import shortcomings
from dicom_gateway.errors import GatewayError
from dicom_gateway.settings import load_settings
from dicom_gateway.store import tables
from dicom_gateway.store.database import open_engine
from imaging.series import scan
from imaging.testing.phantom import Phantom, make_phantom, write_phantom

__all__ = ["Demonstration"]

MARKER = "made-by-radgate-demo"
"""File that says a folder may be emptied by the next demonstration."""

SETTLED = ("DELIVERED", "PARTLY", "HELD", "FAILED", "REFUSED", "UNROUTED", "CANCELLED", "SUPERSEDED")
PORTS = {"dicom": 11112, "web": 8180}
CONFIG = """# Settings of the demonstration: everything on this machine, the embedded store as PACS.
[store]
root = "store"
low_free = 0.01
floor_free = 0.005
[listen]
aet = "RADGATE"
port = {dicom}
[[peer]]
aet = "SCANNER"
[complete]
quiet_s = 2.0
[web]
port = {web}
"""


class Demonstration:
    """A service that lives as long as the `with` block.

    Parameters
    ----------
    folder
        Emptied first, if an earlier demonstration made it.
    console
        Where people look.
    timeout_s
        How long `wait` waits for results.

    Raises
    ------
    GatewayError
        The folder holds something else, or the service does not start.
    """

    def __init__(self, folder: Path, console: Console, *, timeout_s: float) -> None:
        self._folder = folder
        self._console = console
        self._timeout_s = timeout_s
        self._process: subprocess.Popen[bytes] | None = None
        self._phantom: Phantom | None = None
        self._sent: list[Path] = []
        self._studies: set[str] = set()
        self.web = ""
        self._dicom_port = 0

    def __enter__(self) -> Self:
        self._empty_folder()
        config = self._folder / "radgate.toml"
        config.write_text(CONFIG.format(**{name: free_port(port) for name, port in PORTS.items()}), encoding="utf-8")
        ready = self._folder / "ready.json"
        with (self._folder / "service.log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "dicom_gateway.cli",
                    "serve",
                    "--config",
                    str(config),
                    "--ready-file",
                    str(ready),
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        with self._console.status("starting the service"):
            while not ready.exists():
                if self._process.poll() is not None:
                    text = (self._folder / "service.log").read_text(encoding="utf-8", errors="replace")
                    raise GatewayError(f"The service did not start; its log ends with: {text[-400:]}")
                time.sleep(0.1)
        ports = json.loads(ready.read_text(encoding="utf-8"))
        self._dicom_port = ports["dicom"]
        self.web = f"http://127.0.0.1:{ports['web']}"
        self._engine = open_engine(load_settings(config))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def send(self, study: Path | None) -> None:
        """Send the files of a folder, or a new phantom, to the listener.

        Raises
        ------
        GatewayError
            There is nothing to send, or the listener refused it.
        """
        if study is None:
            with self._console.status("making a phantom (head to thorax, with known truth)"):
                self._phantom = make_phantom()
                self._sent = write_phantom(self._folder / "phantom", self._phantom)
        else:
            found = scan([study])
            self._sent = [f for s in found.stacks for f in dict.fromkeys(s.files)]
            self._sent += [f for item in found.leftovers if item.study_instance_uid for f in item.files]
        if not self._sent:
            raise GatewayError("There is no DICOM file to send; name a folder that holds a study.")
        bars = Progress(TextColumn("sending over DICOM"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with bars:
            task = bars.add_task("", total=len(self._sent))
            outcome = send_files(self._sent, "127.0.0.1", self._dicom_port, lambda: bars.advance(task))
        self._studies = outcome.study_uids
        self._console.print(
            f"sent {outcome.accepted} of {len(self._sent)} objects in {outcome.elapsed_s:.1f} s "
            f"({outcome.refused} refused)"
        )

    def wait(self) -> None:
        """Wait until every sent study has settled, or the time is over.

        Raises
        ------
        GatewayError
            The service stopped by itself.
        """
        until = time.monotonic() + self._timeout_s
        with self._console.status("working") as status:
            while time.monotonic() < until:
                states = self._states()
                running = self._rows(tables.step_log, state="running")
                status.update(
                    ", ".join(sorted({row["step"] for row in running})) or "waiting for the study to be complete"
                )
                if self._process is not None and self._process.poll() is not None:
                    raise GatewayError("The service stopped by itself; see service.log in the demonstration's folder.")
                if states and all(state in SETTLED for state in states.values()) and set(states) >= self._studies:
                    break
                time.sleep(0.3)

    def report(self) -> bool:
        """Print what arrived, what ran and for how long, what came back, and how it compares with the truth.

        Returns
        -------
        bool
            Whether every result came back as it should.
        """
        self._console.print(steps_table(self._rows(tables.instance), self._rows(tables.step_log), self._states()))
        results, objects = self._rows(tables.result), self._rows(tables.encoded_object)
        found = self._found_by_qido()
        dice = None
        if self._phantom is not None:
            dice = dice_against_truth(self._phantom, self._sent, self._segmentations())
        self._console.print(came_back_table(results, objects, found, dice or {}))
        wrong = shortcomings(self._states(), self._studies, results, objects, found, dice)
        for sentence in wrong:
            self._console.print(f"not as it should be: {sentence}", style="red", markup=False)
        self._console.print(f"page: {self.web}/")
        return not wrong

    def stay(self) -> None:
        """Keep the service until Ctrl-C."""
        self._console.print("The service is running; end it with Ctrl-C.")
        try:
            while self._process is not None and self._process.poll() is None:
                time.sleep(0.5)
        except KeyboardInterrupt:
            self._console.print("stopping")

    def _states(self) -> dict[str, str]:
        rows = sorted(self._rows(tables.study_version), key=lambda row: row["version"])
        return {row["study_uid"]: row["state"] for row in rows}

    def _rows(self, table: Any, **equal: Any) -> list[dict[str, Any]]:
        wanted = [table.c[name] == value for name, value in equal.items()]
        with self._engine.connect() as connection:
            return [dict(row) for row in connection.execute(select(table).where(*wanted)).mappings()]

    def _found_by_qido(self) -> set[str]:
        """SOP instance UIDs that DICOMweb lists for the sent studies."""
        found = set()
        for study in self._studies:
            answer = httpx.get(f"{self.web}/dicomweb/studies/{study}/instances", timeout=60)
            if answer.status_code == httpx.codes.OK:
                found |= {item["00080018"]["Value"][0] for item in answer.json()}
        return found

    def _segmentations(self) -> list[bytes]:
        """The SEG objects, retrieved over DICOMweb as a viewer would."""
        from dicom_gateway.demo.retrieve import retrieve

        rows = [row for row in self._rows(tables.encoded_object) if row["outlet"] == "seg"]
        by_id = {row["id"]: row["study_uid"] for row in self._rows(tables.result)}
        return [data for row in rows for data in retrieve(self.web, by_id[row["result_id"]], row["sop_uid"])]

    def _empty_folder(self) -> None:
        if self._folder.exists():
            if any(self._folder.iterdir()) and not (self._folder / MARKER).exists():
                raise GatewayError(f"The folder {self._folder.name} holds other files; name another one with --folder.")
            shutil.rmtree(self._folder)
        self._folder.mkdir(parents=True)
        (self._folder / MARKER).touch()


def free_port(wanted: int) -> int:
    """The wanted port on loopback, or a free one where another program has it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
