"""`radgate dose`: the commands on a small made-up case."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import UID
from pypdf import PdfReader
from typer.testing import CliRunner

from contouring.dose import read_rtdose
from contouring.dose.openkbp import export_case
from dicom_gateway.cli.dose import app
from dicom_gateway.cli.dose_given import stacks_of
from tests.conftest import require_program
from tests.contouring.dose.making import errors_of_dciodvfy
from tests.contouring.dose.test_openkbp import collection
from tests.reports.dose_case import two_courses

__all__ = ["collection"]


@pytest.fixture(scope="module")
def two_courses_made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sum by the command, of an oblique study with a Chinese name."""
    folder = tmp_path_factory.mktemp("two")
    case = two_courses(folder)
    command = ["sum", *(str(f) for f in case.doses), "--rtstruct", str(case.rtstruct), "--series", str(case.images)]
    command += ["--plan", str(case.plans[0]), "--plan", str(case.plans[1]), "--bed", "--out", str(folder / "out")]
    outcome = CliRunner().invoke(app, command)
    assert outcome.exit_code == 0, outcome.output
    return folder


@pytest.fixture(scope="module")
def courses(collection: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("courses")
    export_case(collection, "pt_1", folder / "a")
    export_case(collection, "pt_1", folder / "b", course=2)
    return folder


def test_histograms_as_json(courses: Path) -> None:
    outcome = CliRunner().invoke(
        app,
        ["dvh", str(courses / "a" / "RTSTRUCT.dcm"), str(courses / "a" / "RTDOSE.dcm"), "--metric", "V20Gy", "--json"],
    )

    assert outcome.exit_code == 0, outcome.output
    rows = {r["structure"]: r for r in json.loads(outcome.stdout)["structures"]}
    assert set(rows) == {"SpinalCord", "Parotid_R", "PTV_7000"}
    assert rows["PTV_7000"]["rules"]["caps"] == "half"
    assert 0 <= rows["SpinalCord"]["metrics"]["V20Gy"] <= 100


def test_limits_of_the_stated_site_are_judged_and_not_verified(courses: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(
        'citation = "house rule"\n[[limit]]\nstructure = "SpinalCord"\nmetric = "Dmax"\nat_most = 5', encoding="utf-8"
    )
    config = tmp_path / "radgate.toml"
    config.write_text('[dose]\nlimits = ["own.toml"]', encoding="utf-8")
    files = [str(courses / "a" / name) for name in ("RTSTRUCT.dcm", "RTDOSE.dcm")]
    fractions = ["--fractions", "35", "--prescription", "70"]

    outcome = CliRunner().invoke(app, ["dvh", *files, "--site", "nasopharynx", *fractions, "--json"])
    plain = CliRunner().invoke(app, ["dvh", *files, "--site", "nasopharynx", "--config", str(config), *fractions])
    elbow = CliRunner().invoke(app, ["dvh", *files, "--site", "elbow"])

    cord = next(r for r in json.loads(outcome.stdout)["structures"] if r["structure"] == "SpinalCord")
    assert [(v["metric"], v["at_most"], v["verified_by"]) for v in cord["limits"]] == [("Dmax", 45.0, "unverified")]
    assert cord["limits"][0]["status"] in {"met", "near", "broken"} and cord["limits"][0]["citation"]
    assert "broken" in plain.stdout and "unverified" in plain.stdout
    assert type(elbow.exception).__name__ == "LimitsRefused"


def test_a_sum_of_one_frame_is_written(collection: Path, tmp_path: Path) -> None:
    export_case(collection, "pt_1", tmp_path / "a")
    first = read_rtdose(tmp_path / "a" / "RTDOSE.dcm")
    ds = dcmread(tmp_path / "a" / "RTDOSE.dcm")
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = UID("1.2.3.77")
    ds.ReferencedRTPlanSequence[0].ReferencedSOPInstanceUID = "1.2.3.78"
    ds.save_as(tmp_path / "second.dcm")
    command = ["sum", str(tmp_path / "a" / "RTDOSE.dcm"), str(tmp_path / "second.dcm"), "--rtstruct"]
    command += [
        str(tmp_path / "a" / "RTSTRUCT.dcm"),
        "--series",
        str(tmp_path / "a" / "CT"),
        "--out",
        str(tmp_path / "o"),
    ]

    outcome = CliRunner().invoke(app, [*command, "--fractions", "35,20", "--bed", "--json"])

    assert outcome.exit_code == 0, outcome.output
    said = json.loads(outcome.stdout)
    ratios = ("ab2", "ab3", "ab10")
    assert {f["file"] for f in said["files"]} == {
        "sum_physical.dcm", "isodoses.dcm", "capture_sum.dcm", "report_sr.dcm", "report_pdf.dcm", "report.pdf",
        *(f"{what}_{ab}.dcm" for what in ("sum_eqd2", "sum_bed", "capture_eqd2") for ab in ratios),
    }  # fmt: skip
    assert {f.name for f in (tmp_path / "o").iterdir()} == {f["file"] for f in said["files"]}
    assert {f["kind"] for f in said["files"]} == {"RTDOSE", "RTSTRUCT", "SC", "SR", "PDF"}
    assert (tmp_path / "o" / "report.pdf").read_bytes()[:5] == b"%PDF-"
    total = read_rtdose(tmp_path / "o" / "sum_physical.dcm")
    assert total.dose_gy.max() == pytest.approx(2 * first.dose_gy.max(), abs=1e-3)
    assert [(c["letter"], c["fractions"], c["fractions_source"]) for c in said["courses"]] == [
        ("A", 35, "stated"),
        ("B", 20, "stated"),
    ]
    row = next(r for r in said["structures"] if r["structure"] == "SpinalCord")
    assert row["alpha_beta_gy"] == 2.0
    assert row["eqd2"]["metrics"]["Dmean"] > 0
    effective, bed = (read_rtdose(tmp_path / "o" / f"sum_{what}_ab3.dcm") for what in ("eqd2", "bed"))
    assert bed.facts.dose_type == "EFFECTIVE"
    # BED = EQD2 (1 + 2 / ab) in every voxel
    assert np.abs(bed.dose_gy - effective.dose_gy * (1 + 2 / 3)).max() < 1e-4
    titles = {what: dcmread(tmp_path / "o" / f"sum_{what}_ab3.dcm") for what in ("eqd2", "bed")}
    assert titles["bed"].SOPInstanceUID != titles["eqd2"].SOPInstanceUID
    assert "BED" in titles["bed"].DoseComment and "BED" in titles["bed"].SeriesDescription
    without = CliRunner().invoke(app, [*command, "--json"])
    assert json.loads(without.stdout)["structures"][0]["eqd2"] is None


@pytest.mark.interop
def test_every_object_of_the_command_is_clean_for_dciodvfy(two_courses_made: Path) -> None:
    program = require_program("dciodvfy")
    written = sorted((two_courses_made / "out").glob("*.dcm"))

    found = {}
    for file in written:
        ds = dcmread(file)
        if ds.Modality == "RTDOSE":
            found[file.name] = errors_of_dciodvfy(program, ds, two_courses_made)
            continue
        said = subprocess.run([program, str(file)], capture_output=True, text=True, check=False)
        found[file.name] = [line for line in (said.stdout + said.stderr).splitlines() if line.startswith("Error")]

    assert {n.split("_")[0].removesuffix(".dcm") for n in found} == {"sum", "isodoses", "capture", "report"}
    assert not any(found.values()), found


def test_report_and_capture_of_the_command_say_bed_and_structures(two_courses_made: Path) -> None:
    text = "\n".join(p.extract_text() for p in PdfReader(two_courses_made / "out" / "report.pdf").pages)
    sr = dcmread(two_courses_made / "out" / "report_sr.dcm")

    assert "BED" in text and "SpinalCord" in text and "张三" in text
    names = {str(e.value) for e in sr.iterall() if e.VR in {"UT", "LO"}}
    assert "SpinalCord bed" in names and "SpinalCord eqd2" in names


def test_folders_behind_links_are_searched_and_rings_end(two_courses_made: Path, tmp_path: Path) -> None:
    folder = tmp_path / "series"
    (folder / "below").mkdir(parents=True)
    (folder / "below" / "ct").symlink_to(two_courses_made / "images", target_is_directory=True)
    (folder / "ring").symlink_to(tmp_path, target_is_directory=True)

    stacks = stacks_of(folder)

    assert [len(s.sources) for s in stacks] == [23]


@pytest.mark.parametrize("doses", [1, 2])
def test_doses_that_name_no_plan_are_written_too(courses: Path, tmp_path: Path, doses: int) -> None:
    names = []
    for n in range(doses):
        ds = dcmread(courses / "a" / "RTDOSE.dcm")
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = UID(f"1.2.3.9{n}")
        del ds.ReferencedRTPlanSequence
        ds.save_as(tmp_path / f"{n}.dcm")
        names.append(str(tmp_path / f"{n}.dcm"))
    command = ["sum", *names, "--rtstruct", str(courses / "a" / "RTSTRUCT.dcm"), "--series", str(courses / "a" / "CT")]

    outcome = CliRunner().invoke(app, [*command, "--fractions", ",".join(["30"] * doses), "--out", str(tmp_path / "o")])

    assert outcome.exit_code == 0, outcome.output
    assert dcmread(tmp_path / "o" / "sum_physical.dcm").DoseSummationType == "PLAN_OVERVIEW"


def test_two_frames_without_a_registration_are_refused(courses: Path, tmp_path: Path) -> None:
    outcome = CliRunner().invoke(
        app,
        [
            "sum", str(courses / "a" / "RTDOSE.dcm"), str(courses / "b" / "RTDOSE.dcm"), "--rtstruct",
            str(courses / "a" / "RTSTRUCT.dcm"), "--series", str(courses / "a" / "CT"), "--out", str(tmp_path),
        ],
    )  # fmt: skip

    assert type(outcome.exception).__name__ == "NoRegistration"


def test_an_object_beside_a_computed_registration_is_refused(courses: Path, tmp_path: Path) -> None:
    files = [str(courses / "a" / "RTDOSE.dcm"), str(courses / "b" / "RTDOSE.dcm"),
             "--rtstruct", str(courses / "a" / "RTSTRUCT.dcm"), "--series", str(courses / "a" / "CT")]  # fmt: skip
    (tmp_path / "reg.dcm").write_bytes(b"never read")
    ways = ["--registration", str(tmp_path / "reg.dcm"), "--register", "rigid"]

    outcome = CliRunner().invoke(app, ["sum", *files, "--out", str(tmp_path / "o"), *ways])

    assert outcome.exit_code == 2
    assert "give " in outcome.output and "--registration" in outcome.output
    assert not (tmp_path / "o").exists()


def test_export(collection: Path, tmp_path: Path) -> None:
    outcome = CliRunner().invoke(
        app, ["export-openkbp", "pt_1", "--data", str(collection), "--out", str(tmp_path), "--json"]
    )

    assert outcome.exit_code == 0, outcome.output
    assert json.loads(outcome.stdout)["files"] == 15
    assert np.isfinite(read_rtdose(tmp_path / "RTDOSE.dcm").dose_gy).all()
