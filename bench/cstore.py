"""Receiving by C-STORE: radgate, durable and indexed, beside the same library that only writes the bytes to a file.

Rates depend on the machine and its disk; the ratio to the peer is the result. The client is DCMTK's storescu with
TCP_NODELAY=1 where it is installed (without that it waits 45 ms for each image), else pynetdicom.

    python bench/cstore.py --images 150 --repeat 3
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

CT_CLASS = "1.2.840.10008.5.1.4.1.1.2"
ROWS, COLUMNS = 520, 512
TARGET = 0.9
"""Least ratio at four associations (specification of the gateway, 2.4)."""


@dataclass(frozen=True)
class Run:
    """One measurement: images per second and processor time of the receiver for each."""

    rate: float
    cpu_ms: float


def write_images(folder: Path, count: int, part: int) -> None:
    """A CT series of noise, about 0.53 MB an image."""
    noise = np.random.default_rng(part)
    for number in range(1, count + 1):
        ds = Dataset()
        ds.SOPClassUID = CT_CLASS
        ds.SOPInstanceUID = f"1.2.826.0.1.3680043.10.1234.5.{part}.{number}"
        ds.StudyInstanceUID = "1.2.826.0.1.3680043.10.1234.5"
        ds.SeriesInstanceUID = f"1.2.826.0.1.3680043.10.1234.5.{part}"
        ds.PatientID, ds.PatientName, ds.Modality = "BENCH", "Bench^Study", "CT"
        ds.InstanceNumber = number
        ds.Rows, ds.Columns, ds.BitsAllocated, ds.BitsStored, ds.HighBit = ROWS, COLUMNS, 16, 12, 11
        ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 0
        ds.PixelData = noise.integers(0, 4096, ROWS * COLUMNS, dtype="<u2").tobytes()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.file_meta.MediaStorageSOPClassUID = UID(CT_CLASS)
        ds.file_meta.MediaStorageSOPInstanceUID = UID(ds.SOPInstanceUID)
        ds.save_as(folder / f"{number:04}.dcm", enforce_file_format=True)


def serve_sink(folder: Path) -> None:
    """The peer: pynetdicom, raw bytes to a file, PDU of 128 KiB, TCP_NODELAY; no sync, no index."""
    import socket

    from pynetdicom import AE, evt
    from pynetdicom.presentation import build_context

    def no_delay(event: Any) -> None:
        event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def store(event: Any) -> int:
        (folder / str(event.request.AffectedSOPInstanceUID)).write_bytes(event.encoded_dataset())
        return 0x0000

    ae = AE(ae_title="RADGATE")
    ae.maximum_pdu_size = 131072
    ae.supported_contexts = [build_context(CT_CLASS, [ExplicitVRLittleEndian])]
    handlers: Any = [(evt.EVT_C_STORE, store), (evt.EVT_CONN_OPEN, no_delay)]
    server: Any = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    print(server.server_address[1], flush=True)


def serve_radgate(folder: Path) -> None:
    """Radgate's listener over its store: synced file, index row, then Success."""
    from dicom_gateway.listen import Listener
    from dicom_gateway.settings import read_settings
    from dicom_gateway.store import Store, open_engine

    settings = read_settings(
        "[store]\nlow_free = 0.0\nfloor_free = 0.0\n[listen]\nport = 0\n", folder.resolve() / "radgate.toml"
    )
    listener = Listener(settings, Store.open(settings, open_engine(settings)), lambda _receipt: None)
    listener.start()
    print(listener.port, flush=True)


SERVERS = {"pynetdicom sink": serve_sink, "radgate": serve_radgate}


@contextmanager
def server(name: str, folder: Path) -> Iterator[tuple[int, int]]:
    """A receiver in its own process: port and process id."""
    command = [sys.executable, str(Path(__file__).resolve()), "--serve", name, "--folder", str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline()), process.pid
        finally:
            process.kill()


def cpu_s(pid: int) -> float:
    """Processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def send(folder: Path, port: int) -> None:
    """One association with all images of a folder.

    Raises
    ------
    RuntimeError
        Something was refused.
    """
    program = shutil.which("storescu")
    if program:
        command = [program, "-aec", "RADGATE", "--max-send-pdu", "131072", "+sd", "127.0.0.1", str(port), str(folder)]
        done = subprocess.run(command, env={**os.environ, "TCP_NODELAY": "1"}, check=False, capture_output=True)
        if done.returncode:
            raise RuntimeError(f"storescu failed: {done.stderr.decode(errors='replace')[-300:]}")
        return
    from pynetdicom import AE, _config
    from pynetdicom.presentation import build_context

    _config.STORE_SEND_CHUNKED_DATASET = True
    association = AE().associate(
        "127.0.0.1", port, contexts=[build_context(CT_CLASS, [ExplicitVRLittleEndian])], ae_title="RADGATE"
    )
    for path in sorted(folder.iterdir()):
        if association.send_c_store(path).Status != 0x0000:
            raise RuntimeError("an image was refused")
    association.release()


def measure(name: str, parts: list[Path], images: int) -> Run:
    """One run of a receiver with one association for each part."""
    with tempfile.TemporaryDirectory(dir=parts[0].parent) as kept, server(name, Path(kept)) as (port, pid):
        before, started = cpu_s(pid), time.perf_counter()
        with ThreadPoolExecutor(len(parts)) as pool:
            list(pool.map(send, parts, [port] * len(parts)))
        wall_s = time.perf_counter() - started
        return Run(images / wall_s, 1000 * (cpu_s(pid) - before) / images)


def main(arguments: Sequence[str] = ()) -> int:
    """Print the table; 1 where radgate misses its target at four associations."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=160)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where to write; take the disk that the store will lie on")
    parser.add_argument("--serve", choices=SERVERS, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.serve:
        SERVERS[options.serve](options.folder)
        time.sleep(3600)
    ratio = 0.0
    print(f"{'receiver':<18}{'associations':>13}{'images/s':>10}{'ratio':>8}{'CPU ms/image':>14}")
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for associations in (1, 4):
            parts = []
            for part in range(associations):
                parts.append(Path(folder) / f"{associations}-{part}")
                parts[-1].mkdir()
                write_images(parts[-1], options.images // associations, part)
            images = associations * (options.images // associations)
            runs: dict[str, list[Run]] = {name: [] for name in SERVERS}
            for _ in range(options.repeat):  # in turns, so that what else the machine does hits both
                for name in SERVERS:
                    runs[name].append(measure(name, parts, images))
            peer = statistics.median(r.rate for r in runs["pynetdicom sink"])
            for name, found in runs.items():
                rate = statistics.median(r.rate for r in found)
                cpu_ms = statistics.median(r.cpu_ms for r in found)
                ratio = rate / peer
                print(f"{name:<18}{associations:>13}{rate:>10.0f}{ratio:>8.2f}{cpu_ms:>14.1f}")
    print(f"target: at least {TARGET} at 4 associations, with a sync of file and folder and an index row per image")
    return 0 if ratio >= TARGET else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
