"""One broken rule."""

from dataclasses import dataclass

__all__ = ["Violation"]


@dataclass(frozen=True, order=True)
class Violation:
    """A rule that an object breaks.

    Parameters
    ----------
    outlet
        Which object.
    rule
        Name of the rule.
    text
        What is wrong; no value of an attribute, because it may be the patient's.
    """

    outlet: str
    rule: str
    text: str
