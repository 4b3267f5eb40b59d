"""A rehearsal at the start of the service: a small phantom through the steps, so that the first study need not wait.

Libraries, fonts and code tables are loaded when they are first used, which costs the first study about two seconds.
Nothing of the rehearsal reaches the store, the database or a destination.
"""

import tempfile
import time
from dataclasses import replace
from pathlib import Path

from dicom_gateway.flow.job import Tools
from dicom_gateway.flow.journal import Journal
from dicom_gateway.flow.local import process_folder
from dicom_gateway.settings import Settings

__all__ = ["rehearse"]

SHAPE = (96, 100, 90)
"""About the coarsest that the body bundle takes."""


def rehearse(settings: Settings, tools: Tools) -> float:
    """Run a phantom through the steps, with the bundles of the routes that need no network; the seconds it took."""
    from imaging.testing.phantom import make_phantom, write_phantom

    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="radgate-rehearsal-") as name:
        folder = Path(name)
        write_phantom(folder / "study", make_phantom(shape=SHAPE))
        quick = tuple(r for r in settings.routes if not is_network(tools, r.bundle_name))
        process_folder(folder / "study", folder / "out", replace(settings, routes=quick), tools, Journal())
    return time.monotonic() - began


def is_network(tools: Tools, name: str) -> bool:
    """Whether a bundle is there and needs a network."""
    bundle = tools.bundles.get(name)
    return bundle is not None and bundle.needs_network
