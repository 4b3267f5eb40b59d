"""Loads what encoders otherwise load when they first run.

highdicom and pydicom import in circles: two threads that load parts of them at the same time may find a half-made
module, and an object could then not be written (ImportError).
"""

from importlib import import_module

__all__ = ["load_encoders"]

MODULES = (
    "highdicom.color",
    "highdicom.seg",
    "highdicom.sr",
    "pydicom.sr.codedict",
    "contouring.rtstruct_write",
    "contouring.seg_write",
    "contouring.volumes",
    "reports.document",
    "reports.encode.sr_findings",
    "reports.encode.sr_groups",
    "reports.encode.sr_landmarks",
    "reports.encode.sr_pictures",
    "reports.quality",
)


def load_encoders() -> None:
    """Import all that an encoder needs; a program with threads calls this before it starts them."""
    for name in MODULES:
        import_module(name)
