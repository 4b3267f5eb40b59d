"""Which profile fits a series: the most specific one that the headers support, else the base of its modality."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from qc.errors import AmbiguousProfile, UnknownProfile
from qc.image.inputs import Inputs
from qc.image.profile import Match, Profile, load_profiles, profile_by_id

__all__ = ["Choice", "choose_profile", "fitting", "profile_of_sender"]

FALLBACK = "any_base"
"""Profile of a modality that has no base of its own: it looks at geometry and headers only."""

WEIGHTS = {"modality": 1, "body_part": 2, "text": 4, "intent": 8}
"""What a series is meant for says more than its body part: a planning CT of the chest is a planning CT."""

TEXT_ATTRIBUTES = ("SeriesDescription", "ProtocolName", "StudyDescription")


@dataclass(frozen=True)
class Choice:
    """A profile and how it was found.

    Named, matched, base, ambiguous (then the base was taken), or other_modality: the one that was named is made for
    other modalities, and another was found as if none had been named.
    """

    profile: Profile
    how: str
    candidates: tuple[str, ...] = ()


def choose_profile(profiles: Mapping[str, Profile], inputs: Inputs, wanted: str = "auto", intent: str = "") -> Choice:
    """The profile to judge a series with.

    Where the headers tell nothing beyond the modality, or two profiles fit equally well, the base of the modality is
    taken and said so: limits of a protocol are never guessed. A wanted profile that is made for other modalities is not
    taken, because next to none of its checks would run.

    Raises
    ------
    UnknownProfile
        The wanted profile, or the base to fall back on, does not exist.
    """
    if wanted != "auto":
        named = profile_by_id(profiles, wanted)
        made_for = _modalities(profiles, named)
        if not (inputs.modality and made_for) or inputs.modality in made_for:
            return Choice(named, "named")
        return Choice(choose_profile(profiles, inputs, "auto", intent).profile, "other_modality", (wanted,))
    try:
        best = most_specific(profiles, inputs, intent)
    except AmbiguousProfile as tie:
        return Choice(_base(profiles, inputs.modality), "ambiguous", tuple(tie.fields["candidates"]))
    if best is None:
        return Choice(_base(profiles, inputs.modality), "base")
    return Choice(best, "matched")


def _rule(profiles: Mapping[str, Profile], profile: Profile) -> Match:
    """The match rule of a profile, or else of the nearest one it inherits from that has one."""
    line = (profile, *(profiles[ancestor] for ancestor in profile.lineage))
    return next((p.match for p in line if p.match != Match()), Match())


def _modalities(profiles: Mapping[str, Profile], profile: Profile) -> tuple[str, ...]:
    """Modalities that a profile, or else the nearest one it inherits from, names; none for any."""
    line = (profile, *(profiles[ancestor] for ancestor in profile.lineage))
    return next((p.match.modality for p in line if p.match.modality), ())


def profile_of_sender(folders: Sequence[Path], wanted: Sequence[str], modality: str) -> str:
    """The first of a sender's profiles that is made for a modality; "auto" where none is.

    Parameters
    ----------
    folders
        Profiles of the site, besides the shipped ones.
    wanted
        Ids of profiles, as the settings name them for what a peer sends.

    Raises
    ------
    ProfileInvalid
        A profile file breaks a rule.
    """
    known = load_profiles(*folders) if wanted else {}
    made_for = {name: _modalities(known, known[name]) for name in wanted if name in known}
    return next((name for name, modalities in made_for.items() if not modalities or modality in modalities), "auto")


def most_specific(profiles: Mapping[str, Profile], inputs: Inputs, intent: str = "") -> Profile | None:
    """The fitting profile with the most special criteria, or None where only a base fits.

    Raises
    ------
    AmbiguousProfile
        Two fit equally well.
    """
    fits = fitting(profiles, inputs, intent)
    if not fits:
        return None
    top = max(fits.values())
    best = sorted(key for key, score in fits.items() if score == top)
    # Of two profiles where one inherits from the other, the heir is the more special one.
    best = [b for b in best if not any(b in profiles[other].lineage for other in best)]
    if len(best) > 1:
        raise AmbiguousProfile(
            f"The profiles {', '.join(best)} fit equally well; make one match rule narrower, or name the profile.",
            candidates=best,
        )
    return profiles[best[0]]


def fitting(profiles: Mapping[str, Profile], inputs: Inputs, intent: str = "") -> dict[str, int]:
    """Profiles (not bases) that fit, with how special the criteria are that hold.

    Modality and body part must hold where a profile names them; of text and intent, one is enough. A profile without a
    rule of its own takes the rule of what it inherits from, and its place; one that names no modality, its modality.
    """
    text = " ".join(inputs.text(keyword) for keyword in TEXT_ATTRIBUTES).casefold()
    part = inputs.text("BodyPartExamined").upper().replace(" ", "")
    found: dict[str, int] = {}
    for profile in profiles.values():
        match = _rule(profiles, profile)
        modalities = _modalities(profiles, profile)
        must = [(modalities, inputs.modality), (match.body_part, part)]
        if profile.is_base or not all(value in words for words, value in must if words):
            continue
        holds = {
            "modality": bool(modalities),
            "body_part": bool(match.body_part),
            "text": any(_stands_in(word.casefold(), text) for word in match.text),
            "intent": intent in match.intent,
        }
        if (match.text or match.intent) and not (holds["text"] or holds["intent"]):
            continue
        found[profile.id] = sum(WEIGHTS[name] for name, is_met in holds.items() if is_met)
    return found


def _stands_in(word: str, text: str) -> bool:
    """Whether a word stands in a text; a Latin word only between separators ("sim" is not in "simple")."""
    if not word.isascii():
        return word in text
    padded = "".join(c if c.isalnum() else " " for c in text)
    needle = "".join(c if c.isalnum() else " " for c in word)
    spaced = "".join(c if c.isascii() else " " for c in padded)
    return f" {needle} " in f" {spaced} "


def _base(profiles: Mapping[str, Profile], modality: str) -> Profile:
    for profile in profiles.values():
        if profile.is_base and modality in profile.match.modality:
            return profile
    if FALLBACK not in profiles:
        raise UnknownProfile(f"The profile '{FALLBACK}' is missing; reinstall radgate.")
    return profiles[FALLBACK]
