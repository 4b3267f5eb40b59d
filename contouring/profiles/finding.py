"""What the validator of structure sets says: one broken rule, its place and what to do."""

from dataclasses import dataclass

from contouring.profiles.load import Profile

__all__ = ["Finding", "broken"]


@dataclass(frozen=True)
class Finding:
    """One rule that an object breaks.

    Parameters
    ----------
    tag
        Attribute, as "(gggg,eeee)".
    value
        What was found, without text that could identify a patient: a length, a count, a type.
    rule
        Name of the rule and its limit; "DICOM" for a rule of the standard.
    fix
        What to do.
    verified
        Whether the rule is verified for the system, or a conservative default.
    """

    tag: str
    value: str
    rule: str
    fix: str
    verified: bool


def broken(rules: Profile, rule: str, tag: str, value: str, fix: str) -> Finding:
    """The finding for a rule of a profile."""
    return Finding(tag, value, f"{rules.name}: {rule} = {rules.value(rule)}", fix, rules.rules[rule].verified)
