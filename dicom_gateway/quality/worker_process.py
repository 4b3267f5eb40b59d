"""The child process of image quality: open series, their provisional and final verdicts, pictures of the places.

Requests and answers are JSON lines. Whatever goes wrong with one series is the answer for that series; a crash of the
process is noticed by its parent, which starts another and sends the files again.
"""

import hashlib
import json
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from time import perf_counter
from typing import IO, Any

import numpy as np
from pydicom.dataset import Dataset

from imaging.errors import RadgateError
from imaging.frames import ENHANCED, SINGLE_FRAME, planes_of
from imaging.headers import read_header, text
from imaging.pixels import PlanePixels, read_pixels
from imaging.quiet import quiet_pydicom
from imaging.series import scan
from qc.image.inputs import text_of
from qc.image.judgeable import is_secondary_capture
from qc.image.match import profile_of_sender
from qc.image.monitor import SeriesMonitor
from qc.image.phantom import analyse_phantom, phantom_verdict, recognise_stack
from qc.image.place import Scene, place_picture
from qc.image.planar import read_planar
from qc.image.registry import OTHER_MODALITIES, discover
from qc.image.result import CheckResult, SeriesVerdict

__all__ = ["Bench", "main"]

log = logging.getLogger(__name__)

FEWEST_AT_REST = 5
"""Planes below which a pause says nothing of the series: its sender may be slow to begin."""


class Bench:
    """The open series of one process.

    Parameters
    ----------
    profiles
        Profile files of the site.
    pictures
        Folder that pictures are written to, by the sha256 of their content.
    phantoms
        Interpreter and limits of the process that measures phantoms, as in `analyse_phantom`.
    """

    def __init__(self, profiles: list[Path], pictures: Path, phantoms: Mapping[str, Any] | None = None) -> None:
        self._profiles = profiles
        self._phantoms = dict(phantoms or {})
        self._pictures = pictures
        self._open: dict[str, SeriesMonitor] = {}
        self._shown: dict[str, dict[str, tuple[str, str]]] = {}
        self._whole: dict[str, tuple[tuple[list[Path], list[str]], SeriesVerdict]] = {}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """What is to be said to one request.

        "look" has news of a series that arrives; "rest" asks for a word on all that has come, because nothing more
        comes for now; "close" for the final one.
        """
        series, files = request["series"], [Path(f) for f in request["files"]]
        started = perf_counter()
        if request["kind"] == "drop":
            self._forget(series)
            return {"kind": "dropped", "series": series}
        images = [f for f in files if is_image(f)]
        if images and series not in self._open:
            modality = text(read_header(images[0]).dataset, "Modality")
            profile = profile_of_sender(self._profiles, request.get("profiles", ()), modality)
            self._open[series] = SeriesMonitor(profile, profile_folders=self._profiles)
        monitor = self._open.get(series)
        if monitor is None:
            return {"kind": "ignored", "series": series}
        for file in images:
            monitor.add(file)
        is_final, is_rest = request["kind"] == "close", request["kind"] == "rest"
        if is_rest and 0 < monitor.planes < FEWEST_AT_REST:
            return {"kind": "ignored", "series": series}
        is_whole = is_final or is_rest
        verdict = self._on_all(series, monitor, request["context"]) if is_whole else monitor.provisional()
        if verdict is not None and is_rest:
            verdict = verdict.as_provisional()
        if verdict is None:
            return {"kind": "ignored", "series": series}
        pictures = self._pictured(series, monitor, verdict, anew=is_whole)
        if is_final:
            self._forget(series)
        return {
            "kind": "judged",
            "series": series,
            "verdict": verdict.to_json(),
            "at_rest": is_rest,
            "planes": monitor.planes or len(monitor.files),
            "pictures": pictures,
            "source": source_of(read_header(monitor.files[0]).dataset),
            "elapsed_s": round(perf_counter() - started, 3),
        }

    def _on_all(self, series: str, monitor: SeriesMonitor, context: Sequence[str]) -> SeriesVerdict:
        """The verdict on all that has come; made once where nothing came between a rest and the end."""
        asked = (monitor.files, sorted(context))
        kept = self._whole.get(series)
        if kept is None or kept[0] != asked:
            kept = self._whole[series] = (asked, self._final(monitor, context))
        return kept[1]

    def _final(self, monitor: SeriesMonitor, context: Sequence[str]) -> SeriesVerdict:
        """The verdict of the checks of patients, or what a phantom measures where the series shows one."""
        scanned = scan(monitor.files)
        verdict = monitor.close([Path(f) for f in context], scanned)
        for stack in scanned.stacks:
            kind = recognise_stack(stack) if stack.series_instance_uid == verdict.series_instance_uid else ""
            if kind:
                return phantom_verdict(analyse_phantom(stack, kind, **self._phantoms), verdict)
        return verdict

    def _forget(self, series: str) -> None:
        self._open.pop(series, None)
        self._shown.pop(series, None)
        self._whole.pop(series, None)

    def _pictured(self, series: str, monitor: SeriesMonitor, verdict: SeriesVerdict, *, anew: bool) -> dict[str, str]:
        """Pictures of the findings; one that is there stays until its check's grade changes, or all are drawn anew.

        A picture from the middle of an arrival has dark bands where planes were still to come.
        """
        shown = self._shown.setdefault(series, {})
        found = {}
        for result in verdict.findings():
            key = str(result.grade)
            if not anew and result.check_id in shown and shown[result.check_id][0] == key:
                found[result.check_id] = shown[result.check_id][1]
                continue
            try:
                png = _picture(monitor, result)
            except RadgateError:
                continue
            except Exception as error:  # noqa: BLE001 - a picture that fails must not cost the verdict
                log.error("picture failed kind=%s", type(error).__name__)
                continue
            if png is not None:
                sha256 = hashlib.sha256(png).hexdigest()
                target = self._pictures / f"{sha256}.png"
                if not target.exists():
                    partial = target.with_suffix(f".{os.getpid()}.part")
                    partial.write_bytes(png)
                    partial.replace(target)
                shown[result.check_id] = (key, sha256)
                found[result.check_id] = sha256
        return found


def is_image(file: Path) -> bool:
    """Whether a file holds something that image quality has a word on; a plan, a dose or a mask is none.

    What says of itself no known modality is told so, and a picture of a screen is not judged aloud.
    """
    try:
        header = read_header(file)
    except RadgateError:
        return False
    modality = text(header.dataset, "Modality")
    has_signal = header.pixels is not None or "WaveformSequence" in header.dataset
    return has_signal and (modality not in OTHER_MODALITIES or is_secondary_capture(header.dataset))


def source_of(header: Dataset) -> dict[str, Any]:
    """Where a series comes from: scanner, modality and time; nothing of the patient."""
    station = text_of(header, "StationName") or text_of(header, "ManufacturerModelName")
    return {
        "study_uid": text_of(header, "StudyInstanceUID"),
        "modality": text_of(header, "Modality"),
        "station": station[:128] or "unknown",
        "serial": text_of(header, "DeviceSerialNumber")[:64],
        "time": _time_of(header),
    }


def _time_of(header: Dataset) -> float | None:
    """UTC seconds at which the series was acquired, in the clock of this machine's zone; None where it is not said."""
    day = text_of(header, "AcquisitionDate") or text_of(header, "SeriesDate") or text_of(header, "StudyDate")
    clock = (
        text_of(header, "AcquisitionTime") or text_of(header, "SeriesTime") or text_of(header, "StudyTime") or "120000"
    )
    try:
        return datetime.strptime(f"{day} {clock.partition('.')[0]:0<6}"[:15], "%Y%m%d %H%M%S").astimezone().timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def _picture(monitor: SeriesMonitor, result: CheckResult) -> bytes | None:
    where = [{"kind": w.kind, **w.data} for w in result.where]
    positions = [float(p) for w in where if w["kind"] == "slices" for p in w.get("p_mm", ())]
    if not monitor.planes:
        return _planar_picture(monitor.files[-1], where, result.check_id)
    if not where:
        return None
    scout = monitor.scout()
    middle = positions[len(positions) // 2] if positions else 0.0
    nearest = monitor.nearest(middle)
    if nearest is None:
        return None
    scene = _scene(*nearest, scout)
    return None if scene is None else place_picture(scene, where, result.check_id)


def _planar_picture(file: Path, where: list[dict[str, Any]], check_id: str) -> bytes | None:
    """A radiograph or a photograph itself, with the place marked where the finding names one."""
    series = read_planar([file])
    if not series.pictures:
        return None
    picture, header = series.pictures[0], series.headers[0]
    scene = Scene(picture.array, picture.spacing_mm or (1.0, 1.0), text_of(header, "Modality"))
    return place_picture(scene, where, check_id)


def _scene(file: Path, frame: int | None, scout: Any) -> Scene | None:
    """The plane of one file with its directions.

    Raises
    ------
    RadgateError
        It cannot be read.
    """
    header = read_header(file)
    if text(header.dataset, "SOPClassUID") not in SINGLE_FRAME | ENHANCED:
        return None
    planes = planes_of(header)
    plane = planes[(frame or 1) - 1]
    pixels = PlanePixels(plane.header, file, plane.source.frame_number, plane.pixels)
    array, _ = read_pixels([pixels], (1, plane.rows, plane.columns))
    directions = (np.asarray(plane.orientation[:3]), np.asarray(plane.orientation[3:]))
    return Scene(array[0], plane.pixel_spacing_mm, text(plane.header, "Modality"), directions, scout)


def main(requests: IO[str], answers: IO[str], arguments: list[str]) -> None:
    """Answer until the parent closes the pipe."""
    settings = json.loads(arguments[0])
    discover()
    phantoms = {**settings["phantoms"], "python": Path(settings["phantoms"]["python"] or "/nowhere")}
    bench = Bench([Path(p) for p in settings["profiles"]], Path(settings["pictures"]), phantoms)
    _say(answers, {"kind": "ready"})
    for line in requests:
        request = json.loads(line)
        try:
            with quiet_pydicom():
                answer = bench.answer(request)
        except RadgateError as error:
            answer = {"kind": "failed", "series": request.get("series", ""), "code": error.code}
        except Exception as error:  # noqa: BLE001 - the boundary of one series: the others go on
            answer = {"kind": "failed", "series": request.get("series", ""), "code": type(error).__name__}
        _say(answers, answer)


def _say(answers: IO[str], what: dict[str, Any]) -> None:
    answers.write(json.dumps(what, ensure_ascii=False, allow_nan=False) + "\n")
    answers.flush()


if __name__ == "__main__":
    os.nice(5)  # images are received first
    main(sys.stdin, sys.stdout, sys.argv[1:])
