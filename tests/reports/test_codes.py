"""Codes: what `codes.toml` says is what the standard's dictionaries say."""

import pytest
from pydicom.sr._concepts_dict import concepts

from reports.codes import PRIVATE_SCHEME, all_codes, code
from reports.errors import UnknownCode

NOT_IN_PYDICOM = {PRIVATE_SCHEME, "RFC5646"}
NOT_LISTED = {"gram", "pixels"}
"""UCUM units that no context group of the dictionaries has by themselves."""


def meanings(scheme: str, value: str) -> set[str]:
    """All meanings that pydicom's dictionaries have for a code."""
    table: dict[str, dict[str, tuple[str, list[int]]]] = concepts[scheme]  # type: ignore[assignment]
    return {entry[value][0] for entry in table.values() if value in entry}


@pytest.mark.parametrize(
    "key", [k for k, c in all_codes().items() if c.scheme_designator not in NOT_IN_PYDICOM and k not in NOT_LISTED]
)
def test_value_and_meaning_are_those_of_the_dictionaries(key: str) -> None:
    entry = code(key)

    assert entry.meaning in meanings(entry.scheme_designator, entry.value)


def test_a_wrong_meaning_would_be_found() -> None:
    assert "Volume of sphere" not in meanings("SCT", code("volume").value)


def test_codes_fit_their_attributes_and_private_ones_are_marked() -> None:
    for entry in all_codes().values():
        assert len(entry.meaning) <= 64
        assert len(entry.value) <= 16
    assert code("check_value").scheme_designator == PRIVATE_SCHEME


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(UnknownCode):
        code("no such thing")
