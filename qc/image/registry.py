"""What a check is: one pure function under a decorator that states its metadata, found by its place in `checks/`.

A check receives `Inputs` and returns what it measured (`Measured`) or why it could not (`NotEvaluable`). It never
grades: the limits are the profile's, and the grade is made in one place (`qc.image.grade`).
"""

import importlib
import pkgutil
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache

from qc.errors import CheckInvalid
from qc.image.inputs import Inputs
from qc.image.result import Location

__all__ = ["Advice", "CheckSpec", "Measured", "NotEvaluable", "check", "discover", "render", "template_fields"]

CAUSES = frozenset({
    "patient_motion", "breathing", "positioning", "exposure_low", "exposure_high", "protocol", "metal", "detector",
    "coil", "reconstruction", "transfer", "labelling", "phantom", "unknown",
})  # fmt: skip
OPERATORS = frozenset({"technician", "radiologist", "physicist", "service", "IT"})
BY_PLANE = frozenset({"", "run", "median", "sum", "ordered"})
REASONS = frozenset({
    "missing_tag", "series_incomplete", "too_few_slices", "too_few_pixels", "no_region", "needs_mask", "no_volume",
    "background_zeroed", "lossy", "worker_missing", "unsupported", "colour", "secondary_capture", "error",
})  # fmt: skip
DIRECTIONS = frozenset({"higher_worse", "lower_worse", "two_sided", "categorical"})
MODALITIES = frozenset({
    "CT", "MR", "PT", "NM", "CR", "DX", "MG", "XA", "RF", "US", "OP", "XC", "SM", "ECG", "ES",
    "GM", "IO", "PX", "OPT", "HD", "EPS", "IVUS",
})  # fmt: skip

OTHER_MODALITIES = frozenset({
    "OT", "SC", "SR", "SEG", "DOC", "PR", "KO", "REG", "FID", "RWV", "PLAN", "STAIN", "SMR", "M3D", "TEXTUREMAP", "ANN",
    "RTSTRUCT", "RTDOSE", "RTPLAN", "RTIMAGE", "RTRECORD", "RTINTENT", "RTRAD", "RTSEGANN", "AU", "AR", "ASMT", "BDUS",
    "BI", "BMD", "CFM", "CTPROTOCOL", "DG", "DMS", "EEG", "EMG", "EOG", "IOL", "IVOCT", "KER", "LEN", "LS", "OAM",
    "OCT", "OPM", "OPTBSV", "OPTENF", "OPV", "OSS", "POS", "RESP", "RG", "SRF", "TG", "VA", "XAPROTOCOL",
})  # fmt: skip
"""Modalities that DICOM defines and that no check is made for (PS3.3 C.7.3.1.1.1)."""


@dataclass(frozen=True)
class Advice:
    """One cause that a check may name, and what a person should then do; texts are templates with named numbers.

    Parameters
    ----------
    cause, zh, en
        Code of the closed list of causes, and the sentence in both languages.
    action, operator, now, do_zh, do_en
        Code of the action, who acts, whether it helps only while the patient is on the table, and the sentences.
    """

    cause: str
    zh: str
    en: str
    action: str
    operator: str
    do_zh: str
    do_en: str
    now: bool = False

    def templates(self) -> tuple[str, str, str, str]:
        """The four sentences."""
        return (self.zh, self.en, self.do_zh, self.do_en)


@dataclass(frozen=True)
class Measured:
    """What a check found.

    Parameters
    ----------
    value
        The number in the check's unit, or the state of a categorical check.
    advice
        Key of the check's `causes` that explains a bad value.
    params
        Numbers for the templates.
    uncertainty
        Overrides the decorator's where it depends on the data.
    """

    value: float | str
    advice: str = ""
    where: tuple[Location, ...] = ()
    params: Mapping[str, float | str] = field(default_factory=dict)
    evidence: Mapping[str, float | str] = field(default_factory=dict)
    uncertainty: float | None = None


@dataclass(frozen=True)
class NotEvaluable:
    """Why a check could not measure: a code of the closed list, and numbers that show it."""

    reason: str
    evidence: Mapping[str, float | str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.reason not in REASONS:
            raise ValueError(f"reason '{self.reason}'; allowed: {', '.join(sorted(REASONS))}")


CheckFunction = Callable[[Inputs], Measured | NotEvaluable]


@dataclass(frozen=True)
class CheckSpec:
    """A registered check: its metadata and its function."""

    id: str
    version: str
    title_zh: str
    title_en: str
    modalities: frozenset[str]
    needs: frozenset[str]
    unit: str
    direction: str
    settles: str
    uncertainty: float
    source: str
    causes: Mapping[str, Advice]
    states: Mapping[str, str]
    run: CheckFunction
    module: str
    by_plane: str = ""

    def applies_to(self, modality: str) -> bool:
        """Whether the check is made for this modality; an empty set means every one."""
        return not self.modalities or modality in self.modalities


REGISTERED: dict[str, CheckSpec] = {}


def check(
    id: str,  # noqa: A002 - the word of the specification
    *,
    version: str,
    title: tuple[str, str],
    unit: str,
    direction: str,
    settles: str,
    source: str,
    causes: Mapping[str, Advice],
    modalities: tuple[str, ...] = (),
    needs: tuple[str, ...] = ("headers",),
    uncertainty: float = 0.0,
    states: Mapping[str, str] | None = None,
    by_plane: str = "",
) -> Callable[[CheckFunction], CheckFunction]:
    """Register a check.

    Parameters
    ----------
    id, version
        Dotted id; semantic version, raised whenever a number can change.
    title
        What is checked, in Chinese and English.
    unit
        UCUM code.
    direction
        higher_worse, lower_worse, two_sided, or categorical (the value is then a state).
    settles
        "early" where more slices can only make it worse, "final" where only a complete series can be judged.
    source
        Standard, paper or DOI of the method.
    causes
        What may be wrong, by a key that the function returns.
    modalities
        Empty for every modality.
    needs
        Subset of headers, pixels, stack, pictures, image, waveform, frames, siblings, order, expect, masks:<names>.
    uncertainty
        Half-width of the 95 % interval of the value, from the planted-defect tests.
    states
        For a categorical check: each state and its grade where the profile says nothing else.
    by_plane
        How a check of pixels is judged while a series arrives, from its values on single planes: "run" (a run of
        neighbouring planes is bad), "median", "sum"; "" where it needs the whole series. "ordered" marks a check of
        headers that settles at the end but can be judged on planes that came one after the other.

    Returns
    -------
    callable
        Decorator that returns the function unchanged.

    Raises
    ------
    CheckInvalid
        The declaration is incomplete, a template is malformed, or the id is taken.
    """

    def register(function: CheckFunction) -> CheckFunction:
        spec = CheckSpec(
            id=id,
            version=version,
            title_zh=title[0],
            title_en=title[1],
            modalities=frozenset(modalities),
            needs=frozenset(needs),
            unit=unit,
            direction=direction,
            settles=settles,
            uncertainty=uncertainty,
            source=source,
            causes=dict(causes),
            states=dict(states or {}),
            run=function,
            module=function.__module__,
            by_plane=by_plane,
        )
        fault = _fault(spec)
        taken = REGISTERED.get(id)
        if taken is not None and taken.module != spec.module:
            fault = f"the id is taken by {taken.module}"
        if fault:
            raise CheckInvalid(f"Check '{id}' in {spec.module}: {fault}; correct its declaration.", check=id)
        REGISTERED[id] = spec
        return function

    return register


def _fault(spec: CheckSpec) -> str:
    """What is wrong with a declaration, or an empty string."""
    stray = [
        *(c.cause for c in spec.causes.values() if c.cause not in CAUSES),
        *(c.operator for c in spec.causes.values() if c.operator not in OPERATORS),
        *(spec.modalities - MODALITIES),
        *({spec.direction} - DIRECTIONS),
        *({spec.settles} - {"early", "final"}),
        *({spec.by_plane} - BY_PLANE),
    ]
    if stray:
        return f"unknown word '{stray[0]}'"
    if not (spec.title_zh and spec.title_en and spec.source and spec.unit and spec.version.count(".") == 2):
        return "title, source, unit or version is missing"
    if (spec.direction == "categorical") != bool(spec.states):
        return "states belong to categorical checks, and to no other"
    for advice in spec.causes.values():
        # A word that differs between the languages is handed in twice, as name_zh and name_en.
        names = [
            {name.removesuffix("_zh").removesuffix("_en"): form for name, form in template_fields(t).items()}
            for t in advice.templates()
        ]
        if not all(advice.templates()) or names[0] != names[1] or names[2] != names[3]:
            return "both languages need a text with the same numbers"
    return ""


def template_fields(template: str) -> dict[str, str]:
    """The named fields of a template and the format of each."""
    return {name: spec or "" for _, name, spec, _ in string.Formatter().parse(template) if name}


@cache
def discover() -> Mapping[str, CheckSpec]:
    """All checks of the folder `checks/`, by id, in the order of their ids.

    Raises
    ------
    CheckInvalid
        A module of the folder registers no check.
    """
    from qc.image import checks  # late: the folder's modules import this one

    for module in pkgutil.iter_modules(checks.__path__, f"{checks.__name__}."):
        importlib.import_module(module.name)
        if not any(s.module == module.name for s in REGISTERED.values()):
            raise CheckInvalid(f"Module {module.name} registers no check; decorate one or move it.", module=module.name)
    return dict(sorted(REGISTERED.items()))


def render(template: str, params: Mapping[str, float | str]) -> str:
    """A template with its numbers.

    Raises
    ------
    CheckInvalid
        A number that the template names is missing.
    """
    try:
        return template.format_map(dict(params))
    except KeyError as missing:
        raise CheckInvalid(f"A text names {missing} but the check gave no such number.") from missing
