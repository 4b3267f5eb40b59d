"""What `radgate dose` is given and prints: numbers within reason, names that are never cut, shares that are told."""

from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from dicom_gateway.cli import dose_given
from dicom_gateway.cli.dose import app
from dicom_gateway.cli.dose_print import print_outside_sum, print_sum
from dicom_gateway.dose.numbers import fractions_of, prescription_gy_of, ratio_gy_of
from dicom_gateway.errors import DoseChoiceRefused


@pytest.mark.parametrize(
    "given",
    ["35,²", "35,٣", "35", "35,20,10", "35,", "0,20", "-3,20", "35,99999999", "201,1", "3.5,2", "35,1e1", "a,b"],
)
def test_fractions_that_are_none_are_a_mistake_of_the_command(given: str) -> None:
    with pytest.raises(typer.BadParameter, match="2 whole numbers from 1 to 200"):
        dose_given.whole_numbers(given, 2)


@pytest.mark.parametrize("given", ["70,1e300", "70,0", "70,nan", "70,inf", "70", "70,200.5", "70,-2", "70,٣", "70,"])
def test_prescriptions_that_are_none_are_a_mistake_of_the_command(given: str) -> None:
    with pytest.raises(typer.BadParameter, match=r"2 doses from 0\.01 to 200 Gy"):
        dose_given.doses(given, 2)


@pytest.mark.parametrize(
    "given",
    ["=2", " =2", "Brainstem=1e308", "Brainstem=1e-300", "Brainstem=0", "Brainstem=101", "Brainstem", "B=nan", "B="],
)
def test_ratios_that_are_none_are_a_mistake_of_the_command(given: str) -> None:
    with pytest.raises(typer.BadParameter, match="SpinalCord=2"):
        dose_given.ratios([given])


def test_a_structure_given_twice_is_a_mistake_of_the_command() -> None:
    with pytest.raises(typer.BadParameter, match="Brainstem stands twice"):
        dose_given.ratios(["Brainstem=2", "SpinalCord=3", "Brainstem=2.5"])


def test_what_is_sane_is_taken() -> None:
    assert dose_given.whole_numbers("", 3) == [None, None, None]
    assert dose_given.whole_numbers("1, 200", 2) == [1, 200]
    assert dose_given.doses("70,33.33", 2) == [70.0, 33.33]
    assert dose_given.ratios(["SpinalCord=2.47", "PTV=70=10"]) == {"SpinalCord": 2.47, "PTV=70": 10.0}
    assert (fractions_of(" 35 "), ratio_gy_of("100"), prescription_gy_of("200")) == (35, 100.0, 200.0)


def test_the_page_and_the_command_have_one_check() -> None:
    from dicom_gateway.web import dose_routes

    assert vars(dose_routes)["fractions_of"] is fractions_of and vars(dose_routes)["ratio_gy_of"] is ratio_gy_of
    for read, text in ((fractions_of, "²"), (ratio_gy_of, "1e2"), (prescription_gy_of, "1e2")):
        with pytest.raises(DoseChoiceRefused):
            read(text)


def test_one_histogram_takes_no_insane_numbers(tmp_path: Path) -> None:
    files = [tmp_path / n for n in ("s.dcm", "d.dcm")]
    for file in files:
        file.write_bytes(b"")
    for option in (["--fractions", "99999999"], ["--fractions", "²"], ["--prescription", "1e300"]):
        outcome = CliRunner().invoke(app, ["dvh", *(str(f) for f in files), *option])

        assert outcome.exit_code == 2 and option[0] in outcome.output, outcome.output


def histogram(outside: float = 0.0, reason: str = "") -> dict[str, Any]:
    refused = {"Dmean": reason, "D95%": "another number that nobody asked for"} if reason else {}
    metrics = {"Dmean": None if reason else 127.675, "D0.03cc": 140.5}
    return {"outside_share": outside, "metrics": metrics, "refused": refused}


def row(name: str, outside: tuple[float, float] = (0.0, 0.0), reason: str = "") -> dict[str, Any]:
    return {
        "structure": name,
        "alpha_beta_gy": 3.0,
        "courses": [histogram(share, reason) for share in outside],
        "physical": histogram(max(outside), reason),
        "eqd2": histogram(max(outside)),
        "bed": None,
        "outside_share": max(outside),
        "limits": [
            {
                "metric": "Dmean", "at_most": 26.0, "at_least": None, "unit": "Gy", "value": 127.675,
                "judged_on": "EQD2", "status": "not_evaluable", "verified_by": "unverified",
                "reason": "The organ is contoured on one of the images only; nobody knows where it lay on the other.",
            }
        ],
    }  # fmt: skip


def test_a_part_without_all_doses_is_told_with_its_share_and_the_dose(capsys: pytest.CaptureFixture[str]) -> None:
    print_outside_sum([row("SpinalCord", (0.08, 0.0), "Dmean is not known: why"), row("Parotid_L")], ["A", "B"])

    said = capsys.readouterr()
    assert said.err.splitlines() == [
        "SpinalCord: 8 % has not all doses (8 % outside the grid of dose A); the sum is of the part that has.",
        "SpinalCord: Dmean is not known: why",
    ]


def test_the_sum_as_text_tells_shares_and_never_cuts_names(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    names = ["GlndSubmand_L_of_the_first_course", "GlndSubmand_L_of_the_first_course~1"]

    print_sum({
        "courses": [{"letter": "A"}, {"letter": "B"}],
        "structures": [row(names[0]), row(names[1], (0.031, 0.9971))],
        "warnings": [],
        "refused": [],
    })

    said = capsys.readouterr()
    for name in names:
        lines = [line.split() for line in said.out.splitlines() if line.split()[:1] == [name]]
        assert lines[0] == [name, "3", "127.67", "127.67", "127.67", "140.50", "140.50", "no", "fractions"]
        assert len(lines) == 2, "among the limits too"
    assert "3.1 % outside the grid of dose A, >99 % outside the grid of dose B" in said.err


def test_a_case_without_its_collection_asks_for_it(tmp_path: Path) -> None:
    outcome = CliRunner().invoke(app, ["export-openkbp", "pt_201", "--out", str(tmp_path / "o")])

    assert outcome.exit_code == 2 and "--data" in outcome.output
    assert not (tmp_path / "o").exists()
