"""Which doses are added on which image: proposed by rule, or chosen by a person; completed and checked the same way."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from contouring.dose.accumulate import letter_of
from dicom_gateway.dose.candidates import DoseCandidate, ImageCandidate, PatientDoses, StructureCandidate
from dicom_gateway.dose.ways import OBJECTS_DIFFER, Computed, ways_between
from dicom_gateway.errors import DoseChoiceRefused
from imaging.provenance import digest

__all__ = ["DoseChoice", "complete", "propose"]


LISTS = ("doses", "fractions", "others", "other_structures", "registrations", "without_object")

LATER = ("alpha_beta", "is_open", "bed", "registrations", "without_object")
"""What a choice did not hold from the first version on."""


@dataclass(frozen=True)
class DoseChoice:
    """A sum that can be made; plain values only, so that it can be kept in the database.

    Parameters
    ----------
    study_uid
        Study of the reference image, where the objects will lie.
    doses
        SOP instance UIDs, in order: A, B, ...
    fractions
        By hand, None where the plan says it.
    structures, series
        The structure set, and the image that it was drawn on.
    registrations
        Registration objects, each of the image and one or more of the other frames.
    register
        What to compute for the frames that no object relates; "" for nothing.
    others
        Images of those frames.
    other_structures
        Structure sets on those, for the bounds of the sum.
    site
        Whose limits apply; "" for none.
    alpha_beta
        Alpha/beta in Gy by name of the structure, by hand; what is left out comes from the table.
    is_open
        Registration objects differ, or a frame has none while others have: a person has to choose before it is run.
    without_object
        Letters of the doses of such frames without an object.
    bed
        Biologically effective dose is written too.
    """

    study_uid: str
    doses: tuple[str, ...]
    fractions: tuple[int | None, ...]
    structures: str
    series: str
    registrations: tuple[str, ...] = ()
    register: Computed = ""
    others: tuple[str, ...] = ()
    other_structures: tuple[str, ...] = ()
    site: str = ""
    alpha_beta: tuple[tuple[str, float], ...] = ()
    is_open: bool = False
    bed: bool = False
    without_object: tuple[str, ...] = ()

    @property
    def waits_for(self) -> str:
        """What a person has to say before it can be run, as a sentence; "" where nothing is open."""
        if not self.is_open:
            return ""
        return _without(self.without_object) if self.without_object else OBJECTS_DIFFER

    @property
    def id(self) -> str:
        """Digest: the same choice is the same sum."""
        return digest(["dose sum", self.to_json()])[:40]

    @property
    def proposal_id(self) -> str:
        """Digest of what was proposed, without what a person adds."""
        return digest(["dose proposal", sorted(self.doses), self.structures])[:40]

    def to_json(self) -> dict[str, Any]:
        """Plain values; what older sums did not have is left out where it is empty, so that they keep their digest."""
        values = asdict(self)
        many = values.pop("registrations")
        values["registration"] = many[0] if len(many) == 1 else ""
        values["registrations"] = many if len(many) > 1 else ()
        return {k: v for k, v in values.items() if v or k not in LATER}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "DoseChoice":
        """The choice that `to_json` wrote, this version's or an older one's."""
        plain = dict(value)
        one = plain.pop("registration", "")
        lists = {name: tuple(plain.get(name, ())) for name in LISTS}
        lists["registrations"] = lists["registrations"] or ((one,) if one else ())
        ratios = tuple((str(name), float(gy)) for name, gy in value.get("alpha_beta", ()))
        return cls(**{**plain, **lists, "alpha_beta": ratios})


def propose(patient: PatientDoses) -> DoseChoice | None:
    """The newest dose with the one before it, of different plans; None where they do not make a sum.

    Where registration objects differ it stays open which one is used: that is for a person to say.
    """
    fit = [d for d in patient.doses if not d.reason]
    if len(fit) < 2:
        return None
    newest = fit[-1]
    before = next((d for d in reversed(fit[:-1]) if not _same_plan(d, newest)), None)
    if before is None:
        return None
    try:
        return complete(patient, (before.sop_uid, newest.sop_uid), may_stay_open=True)
    except DoseChoiceRefused:
        return None


def complete(
    patient: PatientDoses,
    doses: Sequence[str],
    *,
    structures: str = "",
    fractions: Sequence[int | None] = (),
    ways: Mapping[str, str] | None = None,
    site: str = "",
    alpha_beta: Mapping[str, float] | None = None,
    bed: bool = False,
    may_stay_open: bool = False,
) -> DoseChoice:
    """A choice with image, structures and registration found for it.

    Parameters
    ----------
    patient
        What there is.
    doses
        Two or more, in the order of the courses.
    structures
        The structure set; "" takes the one of the newest dose's plan, frame or study.
    fractions
        By hand; None where the plan says it.
    ways
        How a person wants frames related, see `ways_between`; what is left out takes the only object, or one of several
        that say the same, and where no frame has one, a rigid registration.
    site
        Whose limits apply.
    alpha_beta
        Alpha/beta in Gy by name of the structure, by hand.
    bed
        Whether biologically effective dose is written too.
    may_stay_open
        Takes doses whose registration objects differ, or lack beside others, for a person to choose.

    Raises
    ------
    DoseChoiceRefused
        They do not make a sum: a dose is missing or unfit, or there is no structure set with its image, or no way
        between the frames, or several that differ.
    """
    chosen = [_found(patient, uid) for uid in doses]
    if len(chosen) < 2 or len(set(doses)) < len(doses):
        raise DoseChoiceRefused("A sum needs two doses or more, each once; choose them.")
    if any(_same_plan(a, b) for n, a in enumerate(chosen) for b in chosen[n + 1 :]):
        raise DoseChoiceRefused("Two of the doses are of the same plan; choose each plan once.")
    drawn, image = _structures(patient, chosen, structures)
    foreign = sorted({d.frame_uid for d in chosen} - {image.frame_uid})
    way = ways_between(patient, image.frame_uid, foreign, ways or {})
    without = tuple(letter_of(n) for n, d in enumerate(chosen) if d.frame_uid in way.without)
    is_open = bool(way.differing or way.without)
    if is_open and not may_stay_open:
        raise DoseChoiceRefused(_without(without) if without else OBJECTS_DIFFER)
    return DoseChoice(
        study_uid=image.study_uid,
        doses=tuple(doses),
        fractions=tuple(fractions) or (None,) * len(chosen),
        structures=drawn.sop_uid,
        series=image.series_uid,
        registrations=() if is_open else way.registrations,
        register="" if is_open else way.register,
        others=() if is_open else _others(patient, way.computed),
        other_structures=_other_structures(patient, foreign),
        site=site,
        alpha_beta=tuple(sorted((alpha_beta or {}).items())),
        is_open=is_open,
        bed=bed,
        without_object=without,
    )


def _without(letters: Sequence[str]) -> str:
    return (
        f"There is no registration object for dose {', '.join(letters)}, but for another one there is; choose how each "
        "is registered, or send the object."
    )


def _found(patient: PatientDoses, uid: str) -> DoseCandidate:
    dose = patient.dose(uid)
    if dose is None:
        raise DoseChoiceRefused("A chosen dose is not there, or belongs to another patient; choose again.")
    if dose.reason:
        raise DoseChoiceRefused(dose.reason)
    return dose


def _same_plan(a: DoseCandidate, b: DoseCandidate) -> bool:
    return bool(set(a.plan_uids) & set(b.plan_uids))


def _structures(
    patient: PatientDoses, doses: Sequence[DoseCandidate], wanted: str
) -> tuple[StructureCandidate, ImageCandidate]:
    """The structure set and its image: of the newest dose, else of the others.

    Raises
    ------
    DoseChoiceRefused
        There is none with its image at hand.
    """
    if wanted:
        order = [s for s in patient.structures if s.sop_uid == wanted]
    else:
        order = []
        for dose in reversed(doses):
            planned = {uid for plan in dose.plan_uids for uid in patient.plan_structures.get(plan, ())}
            mine = [s for s in reversed(patient.structures) if dose.frame_uid in s.frame_uids]
            order += sorted(mine, key=lambda s: (s.sop_uid not in planned, s.study_uid != dose.study_uid))
    for drawn in order:
        image = _image(patient, drawn)
        if image is not None:
            return drawn, image
    raise DoseChoiceRefused(
        "There is no structure set with the image that it was drawn on; send both, then choose again."
    )


def _image(patient: PatientDoses, drawn: StructureCandidate) -> ImageCandidate | None:
    named = [i for i in patient.images if i.series_uid in drawn.series_uids]
    fitting = named or [i for i in patient.images if i.frame_uid in drawn.frame_uids]
    return fitting[0] if len(fitting) == 1 else next((i for i in fitting if i.modality == "CT"), None)


def _others(patient: PatientDoses, frames: Sequence[str]) -> tuple[str, ...]:
    """One image of each frame.

    Raises
    ------
    DoseChoiceRefused
        A frame has none.
    """
    found = []
    for frame in frames:
        images = [i for i in patient.images if i.frame_uid == frame]
        if not images:
            raise DoseChoiceRefused(
                "A dose lies in another frame of reference, and neither a registration nor the image of that frame is "
                "there; send one of them."
            )
        found.append(next((i for i in images if i.modality == "CT"), images[0]).series_uid)
    return tuple(found)


def _other_structures(patient: PatientDoses, frames: Sequence[str]) -> tuple[str, ...]:
    """The newest structure set of each frame that has one."""
    found = []
    for frame in frames:
        drawn = [s for s in patient.structures if frame in s.frame_uids]
        found += [drawn[-1].sop_uid] if drawn else []
    return tuple(found)
