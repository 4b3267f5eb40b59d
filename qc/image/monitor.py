"""A series while it arrives: what its planes show so far, and the final verdict when it is complete.

Every instance is looked at once, when it is added; what stays of a plane is its header and a few numbers, never its
pixels. Only what more planes cannot put right raises an alarm before the end (`settles` and `by_plane` of a check).
The final verdict is made from the files alone, so that neither the order of arrival nor the monitor changes it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from imaging.errors import RadgateError
from imaging.frames import ENHANCED, SINGLE_FRAME, Plane, planes_of
from imaging.headers import Header, read_header, text
from imaging.series import Scan, scan
from qc.image.arrived import ArrivedPlane, SlimHeaders, is_in_order, joined, scout_row
from qc.image.folder import check_files, check_scan
from qc.image.inputs import PLANAR, Inputs
from qc.image.match import Choice, choose_profile
from qc.image.profile import Profile, load_profiles
from qc.image.registry import CheckSpec, Measured, NotEvaluable, discover
from qc.image.result import CheckResult, Grade, SeriesVerdict, Subject, worst
from qc.image.run import graded, is_given, run_check, with_expectations
from qc.image.singly import has_near, plane_volume, specs_by_plane

__all__ = ["SeriesMonitor"]

MOST_PICTURES = 4
"""Pictures that are looked at again when one more has come."""

FEWEST_IN_ORDER = 5
"""Planes that came one after the other, before a leap between two of them is taken for a gap."""


class SeriesMonitor:
    """One open series.

    Parameters
    ----------
    profile, intent, order, today, profile_folders
        As in `check_series`.
    """

    def __init__(
        self,
        profile: str = "auto",
        *,
        intent: str = "",
        order: Mapping[str, str] | None = None,
        today: date | None = None,
        profile_folders: Sequence[Path] = (),
    ) -> None:
        self._profile = profile
        self._intent = intent
        self._order = dict(order or {})
        self._today = today
        self._folders = tuple(profile_folders)
        self._slim = SlimHeaders()
        self._files: dict[Path, None] = {}
        self._seen: set[tuple[str, int | None]] = set()
        self._planes: list[ArrivedPlane] = []
        self._others: list[Dataset] = []
        self._pictures: list[Path] = []
        self._choice: Choice | None = None

    @property
    def planes(self) -> int:
        """How many planes have arrived."""
        return len(self._planes)

    @property
    def files(self) -> list[Path]:
        """What was added, in the order of its arrival."""
        return list(self._files)

    def add(self, file: Path) -> bool:
        """Look at one more instance; whether it brought anything new. A file that cannot be read is kept for the end.

        Raises
        ------
        ProfileInvalid
            A profile file of the site breaks a rule.
        UnknownProfile
            There is no profile of that id.
        """
        if file in self._files:
            return False
        self._files[file] = None
        try:
            header = read_header(file)
            planes = _planes_of(header)
        except RadgateError:
            return True
        if not planes:
            self._others.append(self._slim.of(header.dataset))
            if text(header.dataset, "Modality") in PLANAR:
                self._pictures.append(file)
            return True
        new = [p for p in planes if (p.source.sop_instance_uid, p.source.frame_number) not in self._seen]
        for plane in new:
            self._seen.add((plane.source.sop_instance_uid, plane.source.frame_number))
            self._planes.append(self._looked_at(plane))
        return bool(new)

    def provisional(self) -> SeriesVerdict | None:
        """What can be said so far; None before the first image. Every result says that it is provisional."""
        if self._pictures and not self._planes:
            return self._of_pictures()
        headers = tuple(p.header for p in self._planes) or tuple(self._others)
        if not headers:
            return None
        profile = self._chosen(headers[0]).profile
        inputs = with_expectations(Inputs(headers, refusal=None, order=self._order, today=self._today), profile)
        results = [r for spec in discover().values() if (r := self._so_far(spec, inputs, profile)) is not None]
        return SeriesVerdict(
            series_instance_uid=inputs.subject.series_instance_uid,
            grade=worst([r.grade for r in results if r.is_gate]),
            profile_id=profile.id,
            profile_sha256=profile.sha256,
            results=tuple(results),
            required=profile.required,
            provisional=True,
        )

    def _of_pictures(self) -> SeriesVerdict:
        """Each picture of a radiograph or a photograph is whole in itself: the newest are judged as they are."""
        verdicts = check_files(
            self._pictures[-MOST_PICTURES:],
            self._profile,
            intent=self._intent,
            order=self._order,
            today=self._today,
            profile_folders=self._folders,
        )
        return max(verdicts, key=lambda v: len(v.results)).as_provisional()

    def close(self, context: Sequence[Path] = (), scanned: Scan | None = None) -> SeriesVerdict:
        """The final verdict: every check at full resolution on all files; equal for every order of arrival.

        Parameters
        ----------
        context
            Files of other series of the study that help to judge this one, such as the CT of a PET.
        scanned
            What `scan` found in these files, where it was asked before.

        Raises
        ------
        ValueError
            Nothing was added.
        ProfileInvalid
            A profile file of the site breaks a rule.
        UnknownProfile
            There is no profile of that id.
        """
        if not self._files:
            raise ValueError("add at least one file before closing the series")
        verdicts = check_scan(
            scanned or scan(self.files),
            self._profile,
            intent=self._intent,
            order=self._order,
            today=self._today,
            profile_folders=self._folders,
            context=context,
            alone=True,
        )
        # A series is one stack as a rule. Where it is more, the one that the series stands for has the most planes.
        return max(verdicts, key=lambda v: (_size(v), v.series_instance_uid))

    def nearest(self, p_mm: float) -> tuple[Path, int | None] | None:
        """File and frame of the plane nearest to a position along the normal; None where there is no plane."""
        if not self._planes:
            return None
        found = min(self._planes, key=lambda p: (abs(p.p_mm - p_mm), p.p_mm))
        return found.file, found.frame_number

    def scout(self) -> tuple[NDArray[np.float64], NDArray[np.int16]] | None:
        """Positions along the normal (ascending, mm) and one row for each: the brightest values down the columns."""
        found = sorted((p for p in self._planes if p.scout is not None), key=lambda p: p.p_mm)
        if len(found) < 2 or len({len(p.scout) for p in found if p.scout is not None}) > 1:
            return None
        return np.array([p.p_mm for p in found]), np.array([p.scout for p in found])

    def _chosen(self, header: Dataset) -> Choice:
        if self._choice is None:
            inputs = Inputs((header,), order=self._order)
            self._choice = choose_profile(load_profiles(*self._folders), inputs, self._profile, self._intent)
        return self._choice

    def _looked_at(self, plane: Plane) -> ArrivedPlane:
        """What stays of a plane."""
        header = self._slim.of(plane.header)
        choice = self._chosen(header)
        normal = np.cross(plane.orientation[:3], plane.orientation[3:])
        p_mm = float(plane.position_lps @ normal / max(float(np.linalg.norm(normal)), 1e-6))
        arrived = ArrivedPlane(plane.file, plane.source.frame_number, header, p_mm)
        try:
            volume = plane_volume(plane)
        except RadgateError:
            return arrived  # why it cannot be read is said by the final verdict, which names the whole series
        inputs = Inputs((plane.header,), volume)
        arrived.scout = scout_row(volume.array[0])
        for spec in specs_by_plane(inputs, choice.profile):
            if not has_near(spec, p_mm, self._planes):
                arrived.found[spec.id] = run_check(spec, inputs)[0]
        return arrived

    def _so_far(self, spec: CheckSpec, inputs: Inputs, profile: Profile) -> CheckResult | None:
        """The provisional result of one check, or None where a part of the series says nothing."""
        limits = profile.limits.get(spec.id)
        if limits is None or not spec.applies_to(inputs.modality) or not is_given(spec, inputs):
            return None
        started = perf_counter()
        found: Measured | NotEvaluable | None = None
        if spec.by_plane == "ordered":
            found = self._in_order(spec, inputs)
        elif spec.by_plane:
            found = joined(spec, limits, [(p.p_mm, p.found[spec.id]) for p in self._planes if spec.id in p.found])
        elif spec.settles == "early" and not _needs_more(spec):
            found = run_check(spec, inputs)[0]
        if not isinstance(found, Measured):
            return None
        elapsed_ms = (perf_counter() - started) * 1000
        return replace(graded(spec, found, limits, profile, inputs, elapsed_ms), provisional=True)

    def _in_order(self, spec: CheckSpec, inputs: Inputs) -> Measured | NotEvaluable | None:
        """A check of the planes but the last, where they came one after the other; several ways in parallel mix them.

        The last plane is left out, because one that was overtaken by its neighbour may come next.
        """
        if len(self._planes) <= FEWEST_IN_ORDER or not is_in_order([p.p_mm for p in self._planes]):
            return None
        return run_check(spec, replace(inputs, headers=inputs.headers[:-1]))[0]


def _needs_more(spec: CheckSpec) -> bool:
    """Whether a check looks at more than headers, and what the caller knows."""
    return bool(spec.needs - {"headers", "order", "expect", "stack"})


def _planes_of(header: Header) -> tuple[Plane, ...]:
    """The planes of an image that belongs to a stack; none for other objects.

    Raises
    ------
    RadgateError
        An attribute of its geometry is missing.
    """
    if text(header.dataset, "SOPClassUID") not in SINGLE_FRAME | ENHANCED or header.pixels is None:
        return ()
    return planes_of(header)


def _size(verdict: SeriesVerdict) -> tuple[int, Any]:
    subject = verdict.results[0].subject if verdict.results else Subject()
    return subject.planes, verdict.grade is not Grade.NOT_EVALUABLE
