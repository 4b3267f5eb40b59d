"""What the other series of a study add to one: the CT of a PET, the headers of the others, the volumes in time."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydicom.dataset import Dataset

from imaging.errors import RadgateError
from imaging.headers import read_header
from imaging.series import load_volume, scan
from imaging.volume import Volume
from qc.image.inputs import text_of

if TYPE_CHECKING:
    from imaging.series import Stack

__all__ = ["Surroundings", "frames_in_time", "is_related", "surroundings"]

PHASE = re.compile(r"(?<!\d)(\d{1,3})\s*%")
"""Breathing phases are series of their own, called by their share of the breath."""

FEWEST_PHASES = 4
TIME_KEYWORDS = ("TemporalPositionIdentifier", "TemporalPositionIndex", "AcquisitionNumber", "AcquisitionTime")
"""What tells the volumes of one series in time apart, the surest first."""


@dataclass(frozen=True, eq=False)
class Surroundings:
    """What the other series add; see `Inputs`."""

    companion: Volume | None = None
    frames: tuple[Volume, ...] = ()
    siblings: tuple[Dataset, ...] = ()


def surroundings(stack: "Stack", stacks: Sequence["Stack"]) -> Surroundings:
    """What a study adds to one of its stacks.

    Parameters
    ----------
    stack
        The one that is judged.
    stacks
        All that are at hand, this one and those of other studies included.
    """
    others = [
        s
        for s in stacks
        if s.study_instance_uid == stack.study_instance_uid and s.series_instance_uid != stack.series_instance_uid
    ]
    return Surroundings(_ct_of(stack, others), _phases_of(stack, others), tuple(s.header for s in others))


def is_related(modality: str, description: str, other_modality: str, other_description: str) -> bool:
    """Whether a series needs the pixels of another to be judged: a PET its CT, a breathing phase the other phases."""
    if modality == "PT":
        return other_modality == "CT"
    name, other = _name_and_phase(description), _name_and_phase(other_description)
    return name is not None and other is not None and (modality, name[0]) == (other_modality, other[0])


def frames_in_time(files: Sequence[Path]) -> tuple[Volume, ...]:
    """The volumes of one series that holds several at the same places; none where they cannot be told apart or read."""
    headers = []
    for file in files:
        try:
            headers.append((file, read_header(file).dataset))
        except RadgateError:
            return ()
    for keyword in TIME_KEYWORDS:
        groups: dict[str, list[Path]] = {}
        for file, header in headers:
            groups.setdefault(text_of(header, keyword), []).append(file)
        if len({len(g) for g in groups.values()}) == 1 and 1 < len(groups) < len(headers) and "" not in groups:
            found = [scan(groups[key]).stacks for key in sorted(groups, key=_as_number)]
            return _volumes([s[0] for s in found]) if all(len(s) == 1 for s in found) else ()
    return ()


def _as_number(text: str) -> tuple[float, str]:
    try:
        return float(text), text
    except ValueError:
        return 0.0, text


def _ct_of(stack: "Stack", others: Sequence["Stack"]) -> Volume | None:
    """The CT of a PET: of those in its frame of reference the one with the longest range."""
    if stack.modality != "PT" or not stack.frame_of_reference_uid:
        return None
    fitting = [s for s in others if s.modality == "CT" and s.frame_of_reference_uid == stack.frame_of_reference_uid]
    for candidate in sorted(fitting, key=lambda s: (-_length_mm(s), s.id)):
        found = _volumes([candidate])
        if found:
            return found[0]
    return None


def _length_mm(stack: "Stack") -> float:
    p_mm = stack.grid.plane_positions_mm
    return float(p_mm[-1] - p_mm[0])


def _phases_of(stack: "Stack", others: Sequence["Stack"]) -> tuple[Volume, ...]:
    """All phases of a four-dimensional CT, for the first of them; none for the others, that they are judged once."""
    named = _name_and_phase(text_of(stack.header, "SeriesDescription"))
    if stack.modality != "CT" or named is None:
        return ()
    phases = {named[1]: stack}
    for other in others:
        found = _name_and_phase(text_of(other.header, "SeriesDescription"))
        if found is not None and found[0] == named[0] and other.modality == "CT":
            phases.setdefault(found[1], other)
    if len(phases) < FEWEST_PHASES or min(phases) != named[1]:
        return ()
    return _volumes([phases[phase] for phase in sorted(phases)])


def _name_and_phase(description: str) -> tuple[str, int] | None:
    found = PHASE.search(description)
    return None if found is None else (PHASE.sub("%", description), int(found.group(1)))


def _volumes(stacks: Sequence["Stack"]) -> tuple[Volume, ...]:
    """The volumes of stacks; none at all where one of them cannot be read."""
    try:
        return tuple(load_volume(s) for s in stacks)
    except RadgateError:
        return ()
