"""What `configs/radgate.json` may hold, entry by entry, and which of its entries contradict each other."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from monai_bundles.bundle import Bundle
from monai_bundles.errors import BadMetadata, BundleError, UnlabelledOutput
from monai_bundles.schema import Choice, Fault, Flag, Listed, Mapped, Number, Table, Text, Whole

__all__ = ["OUTPUT_FORMS", "check_entry", "check_radgate", "require_agreement", "require_known_checks"]

OUTPUT_FORMS = ("structures", "labels", "channels", "boxes", "scores", "points", "findings")

INTERPRETED_TYPES = (
    "", "EXTERNAL", "PTV", "CTV", "GTV", "TREATED_VOLUME", "IRRAD_VOLUME", "BOLUS", "AVOIDANCE", "ORGAN", "MARKER",
    "REGISTRATION", "ISOCENTER", "CONTRAST_AGENT", "CAVITY", "BRACHY_CHANNEL", "BRACHY_ACCESSORY", "BRACHY_SRC_APP",
    "BRACHY_CHNL_SHLD", "SUPPORT", "FIXATION", "DOSE_REGION", "CONTROL", "DOSE_MEASUREMENT",
)  # fmt: skip
"""RT ROI Interpreted Type, PS3.3 C.8.8.8; empty where it follows from the name."""

MOST_LABEL = 65535
"""SEG numbers its segments with 16 bits."""

NAME = Text(most=64, pattern=r"\w[^\\]*", said="name: it begins with a letter or digit and holds no backslash")
"""DICOM's long string (LO), which ROIName and SegmentLabel are."""

CODE_STRING = r"[A-Z0-9_][A-Z0-9_ ]{0,15}"
MODALITY = Text(most=16, pattern=CODE_STRING, said="value of Modality, such as CT")
BODY_PART = Text(most=16, pattern=r"[A-Za-z0-9_][A-Za-z0-9_ ]{0,15}", said="word of BodyPartExamined, such as HEAD")
UNIT = Text(most=16)
"""A code value: 16 characters (SH)."""

SPACING_MM = Number(0, 1000, above=True)
LANGUAGE = Text(most=8, pattern=r"[a-z]{2,3}(-[A-Za-z]{2,4})?", said="code of a language, such as en")
SENTENCES = Mapped(LANGUAGE, Text(), least=1)


class Pattern:
    """A regular expression, or nothing."""

    def faults(self, value: Any, where: str) -> Iterator[Fault]:
        """See `monai_bundles.schema.Rule`."""
        if not isinstance(value, str):
            yield Fault(where, "is no text")
            return
        try:
            re.compile(value)
        except (re.error, RecursionError, OverflowError):
            yield Fault(where, "is no regular expression")


class Anything:
    """A value that is looked at elsewhere."""

    def faults(self, _value: Any, _where: str) -> Iterator[Fault]:
        """See `monai_bundles.schema.Rule`."""
        return iter(())


CHANNEL = Table(
    needed={"name": Text(most=64)},
    free={
        "modality": Text(least=0, most=16, pattern=f"({CODE_STRING})?", said=MODALITY.said),
        "description": Pattern(),
        "unit": Text(least=0, most=16),
        "optional": Flag(),
    },
)

INPUT = Table(
    needed={"key": Text(most=64)},
    free={
        "channels": Listed(CHANNEL, most=64),
        "zeros": Flag(),
        "repeat": Whole(1, 16),
        "colours": Flag(),
        "phases": Flag(),
        "rows_first": Flag(),
        "size_px": Listed(Whole(1, 16384), least=2, most=2),
    },
)

STRUCTURE = Table(
    needed={"label": Whole(1, MOST_LABEL), "name": NAME},
    free={
        "snomed": Text(least=0, most=16, pattern=r"(\d{6,16})?", said="SNOMED CT identifier of 6 to 16 digits"),
        "interpreted_type": Choice(INTERPRETED_TYPES),
    },
)

ACCEPTS = Table(
    needed={"modalities": Listed(MODALITY, least=1, once=True)},
    free={
        "units": Listed(UNIT, once=True),
        "body_parts": Listed(BODY_PART, once=True),
        "shows": Choice(("", "head_neck")),
        "min_planes": Whole(1, 100_000),
        "max_slice_spacing_mm": SPACING_MM,
        "max_pixel_spacing_mm": SPACING_MM,
        "min_extent_mm": Listed(Number(0, 10_000), least=3, most=3),
        "contrast": Choice(("", "required", "forbidden")),
    },
)

OF_STRUCTURES = Text(most=64)
CLEANUP = Table(
    free={
        "threshold": Number(0, 1, above=True, below=True),
        "min_share_of_largest": Mapped(OF_STRUCTURES, Number(0, 1)),
        "min_cc": Mapped(OF_STRUCTURES, Number(0, 100_000)),
        "sides": Mapped(OF_STRUCTURES, Choice(("left", "right"))),
        "max_from_middle_mm": Mapped(OF_STRUCTURES, Number(0, 10_000, above=True)),
        "within_body": Flag(),
        "crop_to_body": Flag(),
    }
)

WEIGHTS = Mapped(
    Text(most=400), Text(least=0, most=64, pattern=r"([0-9a-f]{64})?", said="sha256 of 64 small hexadecimal digits")
)

RADGATE = Table(
    needed={
        "title": SENTENCES,
        "intended_use": SENTENCES,
        "licence": Text(most=200),
        "accepts": ACCEPTS,
        "structures": Listed(STRUCTURE, least=1),
        "required_checks": Listed(Anything()),
        "weights_sha256": WEIGHTS,
    },
    free={
        "inputs": Listed(INPUT, least=1, most=64),
        "output": Table(
            needed={"form": Choice(OUTPUT_FORMS)}, free={"absent_within_px": Number(0, 10_000), "instances": Flag()}
        ),
        "postprocessing": CLEANUP,
        "empty_windows": Choice(("skip", "compute")),
        "left_out": Anything(),
        "not_guessed": Listed(Text()),
    },
)


def check_radgate(content: Any) -> None:
    """Refuse a content of `configs/radgate.json` with an entry that is missing, unknown, or of another kind or range.

    Raises
    ------
    BadMetadata
        There is one; the sentence names the first.
    UnlabelledOutput
        It is the label or the name of a structure.
    """
    for fault in RADGATE.faults(content, ""):
        of_meaning = re.fullmatch(r"structures(\[\d+\](\.(label|name))?)?", fault.where)
        error = _refused(fault, UnlabelledOutput if of_meaning else BadMetadata)
        raise error


def check_entry(name: str, content: Mapping[str, Any]) -> None:
    """The same as `check_radgate` for one of the entries that may be absent.

    Raises
    ------
    BadMetadata
        It is there and wrong.
    """
    for fault in RADGATE.free[name].faults(content[name], name) if name in content else ():
        error = _refused(fault, BadMetadata)
        raise error


def require_agreement(content: Mapping[str, Any], *, needs_network: bool) -> None:
    """Refuse entries of `configs/radgate.json` that contradict each other or what the configuration defines.

    Raises
    ------
    BadMetadata
        Two of them do; the sentence names them.
    """
    for fault in _contradictions(content, needs_network=needs_network):
        error = _refused(fault, BadMetadata)
        raise error


def require_known_checks(bundle: Bundle, known: Collection[str]) -> None:
    """Refuse a bundle that asks for an image quality check that nobody does.

    Parameters
    ----------
    known
        Ids of the checks that there are.

    Raises
    ------
    BadMetadata
        It asks for another one.
    """
    for number, check in enumerate(bundle.required_checks):
        if check not in known:
            raise BadMetadata(
                f"`required_checks[{number}]` in configs/radgate.json of bundle {bundle.name} names {check!r}, and "
                "there is no such check of image quality; correct it.",
                entry=f"required_checks[{number}]",
                check=check,
            )


def _refused(fault: Fault, kind: type[BundleError]) -> BundleError:
    subject = f"`{fault.where}` in configs/radgate.json" if fault.where else "configs/radgate.json"
    return kind(f"{subject} {fault.wrong}; correct it.", entry=fault.where)


def _contradictions(content: Mapping[str, Any], *, needs_network: bool) -> Iterator[Fault]:
    form = content.get("output", {}).get("form", "structures")
    if needs_network and form == "findings":
        yield Fault("output.form", "is findings, which only image processing of radgate gives, and there is a network")
    if not needs_network and form not in {"structures", "findings"}:
        yield Fault("output.form", f"is {form}, and the configuration defines no network that could give it")
    modalities = content["accepts"]["modalities"]
    inputs = content.get("inputs", ())
    first: Mapping[str, Any] = next((channel for entry in inputs for channel in entry.get("channels", ())), {})
    if first.get("modality") and first["modality"] not in modalities:
        yield Fault("inputs", f"begins with {first['modality']}, which `accepts.modalities` does not take")
    keys = [entry["key"] for entry in inputs]
    yield from (Fault("inputs", f"has the key {key!r} twice") for key in keys if keys.count(key) > 1)
    names = [channel["name"] for entry in inputs for channel in entry.get("channels", ())]
    yield from (Fault("inputs", f"has a channel {name!r} twice") for name in names if names.count(name) > 1)
    named = {entry["name"] for entry in content["structures"]}
    if form != "scores":
        slashed = sorted(name for name in named if "/" in name)
        yield from (Fault("structures", f"has the name {name!r} with a slash") for name in slashed)
    for rule, by_name in content.get("postprocessing", {}).items():
        foreign = sorted(set(by_name) - named - {"default"}) if isinstance(by_name, dict) else []
        yield from (Fault(f"postprocessing.{rule}", f"speaks of {name!r}, which is no structure") for name in foreign)
