"""Real servers for end-to-end tests: Orthanc as PACS, radgate itself as a process that can be killed."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.conftest import require_program

__all__ = ["Orthanc", "Radgate", "free_port", "send_with_dcmtk", "start_orthanc", "wait_for"]

DICOMWEB_PLUGIN = "libOrthancDicomWeb.so"


def free_port() -> int:
    """A TCP port of this machine that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(what: str, condition: Any, timeout_s: float = 120.0) -> Any:
    """The first true value of `condition()`, or a failure that names what was waited for."""
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        value = condition()
        if value:
            return value
        time.sleep(0.1)
    raise AssertionError(f"waited {timeout_s:.0f} s in vain for {what}")


@dataclass
class Orthanc:
    """A running Orthanc."""

    process: subprocess.Popen[bytes]
    dicom_port: int
    web: str

    def instances(self, study_uid: str) -> list[dict[str, Any]]:
        """QIDO-RS: every instance of a study, with Modality and the references that are asked for."""
        answer = httpx.get(
            f"{self.web}/dicom-web/studies/{study_uid}/instances", params={"includefield": "all"}, timeout=60
        )
        return list(answer.json()) if answer.status_code == httpx.codes.OK and answer.content else []

    def file(self, sop_uid: str) -> bytes:
        """The DICOM file of an instance, through Orthanc's own interface."""
        found = httpx.post(f"{self.web}/tools/lookup", content=sop_uid, timeout=60).json()
        return httpx.get(f"{self.web}/instances/{found[0]['ID']}/file", timeout=60).content

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(timeout=30)


def start_orthanc(folder: Path, *, dicom_port: int = 0) -> Orthanc:
    """Start Orthanc with DICOMweb on free ports of this machine; skips where it is not installed."""
    program = require_program("Orthanc")
    plugins = [
        str(p)
        for root in ("/usr/share/orthanc/plugins", "/usr/lib/orthanc")
        for p in Path(root).glob(f"**/{DICOMWEB_PLUGIN}")
    ]
    if not plugins:
        require_program("Orthanc's DICOMweb plug-in")
    folder.mkdir(parents=True, exist_ok=True)
    web, dicom_port = free_port(), dicom_port or free_port()
    settings = {
        "Name": "test",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "index"),
        "HttpPort": web,
        "DicomPort": dicom_port,
        "DicomAet": "ORTHANC",
        "DicomAlwaysAllowStore": True,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "Plugins": plugins[:1],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        "OverwriteInstances": False,
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    log = (folder / "orthanc.log").open("wb")
    process = subprocess.Popen([program, str(folder / "orthanc.json")], stdout=log, stderr=subprocess.STDOUT)
    log.close()
    orthanc = Orthanc(process, dicom_port, f"http://127.0.0.1:{web}")

    def answers() -> bool:
        try:
            return httpx.get(f"{orthanc.web}/system", timeout=2).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    wait_for("Orthanc", answers, 60)
    return orthanc


class Radgate:
    """`radgate serve` as a process."""

    def __init__(self, folder: Path, config: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.config = folder / "radgate.toml"
        self.config.write_text(config, encoding="utf-8")
        self.process: subprocess.Popen[bytes] | None = None
        self.dicom_port = 0
        self.web = ""

    def start(self) -> None:
        """Start it and wait until it listens."""
        ready = self.folder / "ready.json"
        ready.unlink(missing_ok=True)
        with (self.folder / "service.log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "dicom_gateway.cli",
                    "serve",
                    "--config",
                    str(self.config),
                    "--ready-file",
                    str(ready),
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_for("radgate", lambda: ready.exists() or self._died(), 60)
        ports = json.loads(ready.read_text())
        self.dicom_port, self.web = ports["dicom"], f"http://127.0.0.1:{ports['web']}"

    def _died(self) -> bool:
        if self.process is not None and self.process.poll() is not None:
            raise AssertionError(self.log())
        return False

    def log(self) -> str:
        """What it has written so far."""
        return (self.folder / "service.log").read_text(errors="replace")

    def kill(self) -> None:
        """End it as kill -9 does; what it has started has to notice by itself."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=30)

    def stop(self) -> None:
        """End it as an administrator would."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.kill()


def send_with_dcmtk(files: Path, port: int, *, calling: str = "SCANNER") -> None:
    """Send a folder with DCMTK's storescu."""
    program = require_program("storescu")
    outcome = subprocess.run(
        [program, "-aet", calling, "-aec", "RADGATE", "+sd", "+r", "127.0.0.1", str(port), str(files)],
        env={**os.environ, "TCP_NODELAY": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stderr[-2000:]
