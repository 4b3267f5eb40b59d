"""The measurements of a finding as coded values of the structured report."""

from highdicom.sr import CodedConcept, Measurement

from reports.codes import code
from reports.findings import MEASURED, Finding

__all__ = ["measurements_of", "probability"]


def measurements_of(finding: Finding) -> list[Measurement]:
    """Everything that was measured, and the score as a probability."""
    items = []
    for key, value in finding.measured:
        quantity = MEASURED[key]
        derivation = CodedConcept.from_code(code(quantity.derivation)) if quantity.derivation else None
        items.append(
            Measurement(name=code(quantity.name), value=value, unit=code(quantity.unit), derivation=derivation)
        )
    if finding.score is not None:
        items.append(probability(finding.score))
    return items


def probability(value: float) -> Measurement:
    """A score between 0 and 1."""
    return Measurement(name=code("probability"), value=round(value, 4), unit=code("no_units"))
