"""Limits: every shipped row on both sides of its bound, and what a file may not say."""

from pathlib import Path

import numpy as np
import pytest

from contouring.dose import Dvh
from contouring.dose.curve import curve_of
from contouring.dose.errors import LimitsRefused
from contouring.dose.limits import Limit, judge, load_limits, shipped_limits
from contouring.dose.solid import Steps

ROWS = [(s, row) for s in shipped_limits().values() for row in s.limits]


def even(dose_gy: float, share_percent: float = 100.0, outside_mm3: float = 0.0) -> Dvh:
    """A structure of 10 cc of which a share receives a dose, and the rest nothing."""
    values = np.where(np.arange(10_000) < 100 * share_percent, dose_gy, 0.0)
    ones = np.ones(len(values))
    curve = curve_of(values, np.zeros(len(values)), ones, ones, outside_mm3)
    return Dvh(curve, "half", Steps(0.5, 0.25), len(values), True, 1e4, 10.0, 9)


def reaching(row: Limit, value: float) -> Dvh:
    """A structure for which the limit's metric has this value."""
    if row.metric.startswith("V"):
        return even(float(row.metric[1:].removesuffix("Gy")) + 1, value)
    return even(value)


@pytest.mark.parametrize(("limits", "row"), ROWS, ids=lambda v: getattr(v, "structure", getattr(v, "name", "")))
def test_each_row_is_met_near_and_broken(limits: object, row: Limit) -> None:
    rows = shipped_limits()[limits.name]  # type: ignore[attr-defined]
    bound = row.at_most or 0.0

    for factor, expected in ((0.8, "PASS"), (0.97, "CLOSE"), (1.02, "FAIL")):
        verdicts = judge(rows, row.structure, reaching(row, factor * bound), kind=rows.kind, dose_per_fraction_gy=2.0)
        found = next(v for v in verdicts if v.limit == row)
        assert found.status == expected
        assert found.value == pytest.approx(factor * bound, rel=1e-3)
        assert not found.is_verified


def test_nothing_is_said_of_the_wrong_fractionation_or_a_cut_structure() -> None:
    rows = shipped_limits()["quantec"]

    wrong = judge(rows, "Parotid_L", even(20), kind="physical", dose_per_fraction_gy=6.0)
    unknown = judge(rows, "Parotid_L", even(20), kind="physical")
    other = judge(rows, "Parotid_L", even(20), kind="EQD2")
    cut = judge(rows, "Parotid_L", even(20, outside_mm3=500.0), kind="physical", dose_per_fraction_gy=2.0)

    for verdicts in (wrong, unknown, other, cut):
        assert [v.status for v in verdicts] == ["NOT_EVALUABLE"]
        assert verdicts[0].reason


def test_every_set_names_its_source() -> None:
    assert {"quantec", "reirradiation_cord"} <= set(shipped_limits())
    assert all(s.citation for s in shipped_limits().values())


@pytest.mark.parametrize(
    "text",
    [
        "not toml",
        'title = "no citation"',
        'citation = "x"\ncolour = 1',
        'citation = "x"\n[[limit]]\nstructure = "Heartt"\nmetric = "Dmean"\nat_most = 1',
        'citation = "x"\n[[limit]]\nstructure = "Heart"\nmetric = "Dmedian"\nat_most = 1',
        'citation = "x"\n[[limit]]\nstructure = "Heart"\nmetric = "Dmean"',
        'citation = "x"\n[[limit]]\nstructure = "Heart"\nmetric = "Dmean"\nat_most = "low"',
        'citation = "x"\n[fractionation]\nas = "BED"',
    ],
)
def test_faults_in_a_file_are_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "own.toml"
    file.write_text(text, encoding="utf-8")

    with pytest.raises(LimitsRefused):
        load_limits(file)


def test_a_clinics_own_file(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text(
        'citation = "house rule"\nverified_by = "Li"\n'
        '[[limit]]\nstructure = "PTV_7000"\nmetric = "D95%"\nat_least = 66.5',
        encoding="utf-8",
    )

    (verdict,) = judge(load_limits(file), "PTV_7000", even(72), kind="physical")

    assert (verdict.status, verdict.is_verified) == ("PASS", True)
