"""Reading an export profile: every rule with its value, its source and whether anybody has verified it."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

__all__ = ["Profile", "Rule", "load_profile", "profile_names"]

RULES: Mapping[str, type | tuple[type, ...]] = {
    "name_max": int,
    "names_unique_ignoring_case": bool,
    "label_max": int,
    "transfer_syntax": str,
    "holes": str,
    "decimals": int,
    "max_points": int,
    "min_spacing_px": (int, float),
    "min_area_px": (int, float),
    "charset": str,
    "need_contour_image": bool,
    "need_external": bool,
    "need_code_version": bool,
    "need_study_values": bool,
    "one_plane_per_slice": bool,
    "same_frame_of_reference": bool,
    "type_map": dict,
    "colour": bool,
}
"""Every profile states each of these."""


@dataclass(frozen=True)
class Rule:
    """One rule of a profile.

    Parameters
    ----------
    value
        The limit or choice.
    source
        Where it is from.
    verified
        Whether a signed import record of that system exists. Without one it is a conservative default.
    """

    value: Any
    source: str
    verified: bool


@dataclass(frozen=True)
class Profile:
    """What one kind of planning system is written for.

    Parameters
    ----------
    name, title
        File name without its ending; name for people.
    rules
        By name; see the profile files for their meaning.
    """

    name: str
    title: str
    rules: Mapping[str, Rule]

    def value(self, rule: str) -> Any:
        """Value of a rule."""
        return self.rules[rule].value

    @property
    def holes(self) -> Literal["nested", "keyhole", "xor"]:
        """How holes are written."""
        form: Literal["nested", "keyhole", "xor"] = self.rules["holes"].value
        return form


def profile_names() -> tuple[str, ...]:
    """The profiles that are there, sorted."""
    folder = files("contouring.profiles")
    return tuple(sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml")))


@cache
def load_profile(name: str) -> Profile:
    """A profile by name.

    Raises
    ------
    ValueError
        There is no such profile, or its file lacks a rule or has one of a wrong type.
    """
    if name not in profile_names():
        raise ValueError(f"no export profile {name!r}; there are {', '.join(profile_names())}")
    raw = tomllib.loads(files("contouring.profiles").joinpath(f"{name}.toml").read_text(encoding="utf-8"))
    return _profile(name, raw)


def _profile(name: str, raw: Mapping[str, Any]) -> Profile:
    rules = raw.get("rules", {})
    strange = set(rules) ^ set(RULES)
    if strange:
        raise ValueError(f"profile {name}: rules missing or unknown: {', '.join(sorted(strange))}")
    for key, kind in RULES.items():
        if not isinstance(rules[key].get("value"), kind) or set(rules[key]) != {"value", "source", "verified"}:
            raise ValueError(f"profile {name}: rule {key} needs value, source and verified, with a value of its type")
    if rules["holes"]["value"] not in {"nested", "keyhole", "xor"}:
        raise ValueError(f"profile {name}: holes is nested, keyhole or xor")
    if rules["transfer_syntax"]["value"] not in {"implicit", "explicit"}:
        raise ValueError(f"profile {name}: transfer_syntax is implicit or explicit")
    return Profile(
        name=name,
        title=str(raw["title"]),
        rules={k: Rule(r["value"], str(r["source"]), bool(r["verified"])) for k, r in rules.items()},
    )
