"""Which doses are added on which image: proposed by rule, or chosen by a person; completed and checked the same way."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from dicom_gateway.dose.candidates import DoseCandidate, ImageCandidate, PatientDoses, StructureCandidate
from dicom_gateway.dose.ways import do_agree, object_between, objects_between
from dicom_gateway.errors import DoseChoiceRefused
from imaging.provenance import digest

__all__ = ["DoseChoice", "complete", "propose"]


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
    registration
        Registration object, "" for none.
    register
        What to compute where frames differ and there is no object; "" for nothing.
    others
        Images of the other frames, needed to register.
    other_structures
        Structure sets on those, for the bounds of the sum.
    site
        Whose limits apply; "" for none.
    alpha_beta
        Alpha/beta in Gy by name of the structure, by hand; what is left out comes from the table.
    is_open
        Several registration objects differ: a person has to choose one before anything is run.
    bed
        Biologically effective dose is written too.
    """

    study_uid: str
    doses: tuple[str, ...]
    fractions: tuple[int | None, ...]
    structures: str
    series: str
    registration: str = ""
    register: Literal["", "rigid", "deformable"] = ""
    others: tuple[str, ...] = ()
    other_structures: tuple[str, ...] = ()
    site: str = ""
    alpha_beta: tuple[tuple[str, float], ...] = ()
    is_open: bool = False
    bed: bool = False

    @property
    def id(self) -> str:
        """Digest: the same choice is the same sum."""
        return digest(["dose sum", self.to_json()])[:40]

    @property
    def proposal_id(self) -> str:
        """Digest of what was proposed, without what a person adds."""
        return digest(["dose proposal", sorted(self.doses), self.structures])[:40]

    def to_json(self) -> dict[str, Any]:
        """Plain values; what was not given by hand is left out, so that older sums keep their digest."""
        values = asdict(self)
        return {k: v for k, v in values.items() if v or k not in {"alpha_beta", "is_open", "bed"}}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "DoseChoice":
        """The choice that `to_json` wrote."""
        lists = {name: tuple(value[name]) for name in ("doses", "fractions", "others", "other_structures")}
        ratios = tuple((str(name), float(gy)) for name, gy in value.get("alpha_beta", ()))
        return cls(**{**value, **lists, "alpha_beta": ratios})


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
    registration: str = "",
    register: Literal["", "rigid", "deformable"] = "",
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
    registration
        The registration object that a person has chosen; "" takes the only one, or one of several that say the same.
    register
        What to compute where frames differ; "" takes an object where there is one, else a rigid registration.
    site
        Whose limits apply.
    alpha_beta
        Alpha/beta in Gy by name of the structure, by hand.
    bed
        Whether biologically effective dose is written too.
    may_stay_open
        Takes doses whose registration objects differ, for a person to choose one.

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
    way = _way(patient, image.frame_uid, foreign, registration, register, may_stay_open=may_stay_open)
    return DoseChoice(
        study_uid=image.study_uid,
        doses=tuple(doses),
        fractions=tuple(fractions) or (None,) * len(chosen),
        structures=drawn.sop_uid,
        series=image.series_uid,
        registration=way.registration,
        register=way.register,
        others=way.others,
        other_structures=_other_structures(patient, foreign),
        site=site,
        alpha_beta=tuple(sorted((alpha_beta or {}).items())),
        is_open=way.is_open,
        bed=bed,
    )


@dataclass(frozen=True)
class _Way:
    """How the frames are joined; fields as in `DoseChoice`."""

    registration: str = ""
    register: Literal["", "rigid", "deformable"] = ""
    others: tuple[str, ...] = ()
    is_open: bool = False


def _way(
    patient: PatientDoses, frame: str, foreign: Sequence[str], registration: str,
    register: Literal["", "rigid", "deformable"], *, may_stay_open: bool,
) -> _Way:  # fmt: skip
    """What a person has chosen, else an object where there is one, else what can be computed.

    Raises
    ------
    DoseChoiceRefused
        There is no way, or there are several that differ.
    """
    if registration:
        return _Way(object_between(patient, frame, foreign, registration))
    if not foreign:
        return _Way()
    if not register:
        if may_stay_open and not do_agree(objects_between(patient, frame, foreign), frame, foreign):
            return _Way(is_open=True)
        if found := object_between(patient, frame, foreign):
            return _Way(found)
    return _Way(register=register or "rigid", others=_others(patient, foreign))


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
