"""`radgate serve`: the service in the foreground."""

import logging
import signal
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["serve"]


def serve(
    config: Annotated[Path, typer.Option("--config", help="Settings file.", exists=True)],
    ready_file: Annotated[
        Path | None, typer.Option(help="Write the ports as JSON to this file once everything listens.")
    ] = None,
) -> None:
    """Run listener, store, workflow, delivery, DICOMweb and pages until interrupted."""
    import json

    from dicom_gateway.cli.sources import settings_of
    from dicom_gateway.flow.kept import keep_bytes
    from dicom_gateway.service import Service

    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    settings = settings_of(config)
    service = Service(settings)
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    service.start()
    try:
        typer.echo(
            f"radgate listens as {settings.listen.aet} on {settings.listen.host}:{service.dicom_port}; "
            f"pages at http://{settings.web.host}:{service.web_port}/"
        )
        if ready_file is not None:
            keep_bytes(ready_file, json.dumps({"dicom": service.dicom_port, "web": service.web_port}).encode())
        stopping.wait()
    finally:
        service.stop()
