"""dciodvfy (dicom3tools) on an object: its errors, and those of its warnings that nobody has explained.

Only errors that are ours keep an object from being sent; the warnings are for the tests of the encoders.
"""

import re
import shutil
import subprocess
import tempfile
from io import BytesIO
from pathlib import Path

from pydicom import dcmread

from imaging.quiet import quiet_pydicom
from reports.encode.encoded import EncodedObject
from reports.errors import ValidatorSilent
from reports.validate.inherited import Inherited, without_inherited

__all__ = ["ALLOWED_WARNINGS", "dciodvfy_errors", "dciodvfy_findings"]

TIMEOUT_S = 120

MOST_FRAMES = 300
"""The program's time grows with the square of the frames and more (0.8 s for 1000, 55 s for 4000, 295 s for 8000, as a
hundred structures have). Every frame is described by the same code, and our own rules look at each."""

GBK = re.compile(rb"\x08\x00\x05\x00(CS\x04\x00|\x04\x00\x00\x00)GBK ")
"""SpecificCharacterSet of an object, explicit or implicit. The program does not know GBK and takes each Chinese
character for an error; whether such text decodes is checked by our own rules."""

HEAD_BYTES = 1024

ALLOWED_WARNINGS: tuple[tuple[str, str], ...] = (
    (
        r"Attribute is not present in standard DICOM IOD - \(0x0008,0x0005\) CS Specific Character Set",
        "written into items for viewers built on dcmjs, which garble Chinese otherwise (dcmjs #503)",
    ),
    (
        r"Attribute is not present in standard DICOM IOD - \(0x0028,0x00(08|10|11)\)",
        "Source Pixel Planes Characteristics of a structure set; the program is older than that sequence",
    ),
    (r"Standard Extended SOP Class", "follows from the two above"),
    (r"Unrecognized defined term <99RADGATE>", "the private scheme is declared in the object"),
    (r"needed to build DICOMDIR", "an attribute that the source does not have; we do not invent it"),
    (r"Value dubious for this VR - \(0x0010,0x0010\) PN", "the patient's name is the source's to write"),
)
"""Patterns of warnings with the reason why each is right."""


def dciodvfy_findings(encoded: EncodedObject, program: str = "dciodvfy") -> tuple[str, ...] | None:
    """Errors, and warnings off the list, that dciodvfy prints for an object; None where it is not installed.

    Of more than `MOST_FRAMES` frames it is shown that many, evenly spaced. The lines may quote values of attributes:
    show them to engineers, never write them to a log.

    Raises
    ------
    ValidatorSilent
        The program is there and cannot be started, or takes too long.
    """
    path = shutil.which(program)
    if path is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "object.dcm"
        file.write_bytes(_shortened(encoded))
        try:
            done = subprocess.run([path, str(file)], capture_output=True, timeout=TIMEOUT_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as fault:
            raise ValidatorSilent(
                f"{program} gave no answer on the {encoded.outlet} within {TIMEOUT_S} s; repair or remove it, and send "
                "the study again.",
                outlet=encoded.outlet,
                reason=type(fault).__name__,
            ) from None
    lines = (done.stderr + done.stdout).decode("utf-8", errors="replace").splitlines()
    if GBK.search(encoded.data[:HEAD_BYTES]):
        lines = _without_repertoire(lines)
    return tuple(line for line in lines if line.startswith("Error") or _is_unexplained(line))


def dciodvfy_errors(findings: tuple[str, ...] | None, inherited: Inherited) -> tuple[str, ...]:
    """Those of the findings that are errors and ours; none where the program is not installed."""
    return without_inherited((line for line in findings or () if line.startswith("Error")), inherited)


def _shortened(encoded: EncodedObject) -> bytes:
    """The file, or an excerpt where a segmentation has more frames than the program can do with."""
    if encoded.outlet != "seg":
        return encoded.data
    with quiet_pydicom():
        return _excerpt(encoded)


def _excerpt(encoded: EncodedObject) -> bytes:
    """Frames evenly chosen; their pixels are the first that the file has: the program looks at their length alone."""
    ds = dcmread(BytesIO(encoded.data))
    frames = len(ds.get("PerFrameFunctionalGroupsSequence") or ())
    if frames <= MOST_FRAMES or ds.file_meta.TransferSyntaxUID.is_encapsulated:
        return encoded.data
    shown = [n * (frames - 1) // (MOST_FRAMES - 1) for n in range(MOST_FRAMES)]
    ds.PerFrameFunctionalGroupsSequence = [ds.PerFrameFunctionalGroupsSequence[n] for n in shown]
    ds.NumberOfFrames = MOST_FRAMES
    size_bytes = (MOST_FRAMES * ds.Rows * ds.Columns * ds.BitsAllocated + 7) // 8
    ds.PixelData = ds.PixelData[: size_bytes + size_bytes % 2]
    buffer = BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _without_repertoire(lines: list[str]) -> list[str]:
    """The lines without complaints about characters, and without their summary where it stands for nothing else."""
    kept = [line for line in lines if "Character invalid for character repertoire" not in line]
    if any("Value invalid for this VR" in line for line in kept):
        return kept
    return [line for line in kept if "contains invalid data values for Value Representations" not in line]


def _is_unexplained(line: str) -> bool:
    return line.startswith("Warning") and not any(re.search(pattern, line) for pattern, _ in ALLOWED_WARNINGS)
