"""`radgate run` on a folder as people have them: nested, mixed, with junk, with series that must be refused."""

import hashlib
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from rich.console import Console
from typer.testing import CliRunner

from contouring.seg_read import read_seg
from dicom_gateway.cli.app import app
from dicom_gateway.cli.run import outcome_table
from dicom_gateway.errors import NothingToDo, OutputRefused
from dicom_gateway.flow.job import Tools
from dicom_gateway.flow.journal import Journal
from dicom_gateway.flow.local import FolderOutcome, process_folder
from dicom_gateway.route.rules import default_routes
from dicom_gateway.settings import Settings
from imaging.quiet import quiet_pydicom
from imaging.series import scan
from imaging.testing.phantom import Phantom, make_phantom, write_phantom
from imaging.volume import Volume
from monai_bundles import Bundle, BundleError, BundleOutput, discover, run_bundle
from reports import encode_all
from tests.monai_bundles.making import make_bundle
from tests.reports.making import set_raw
from tests.synthetic.series import SeriesDescription, series_datasets, write_datasets, write_series

Runner = Callable[[Bundle, Volume, Callable[[float, str], None]], BundleOutput]


def process(source: Path, out: Path, run: Runner = run_bundle) -> FolderOutcome:
    """The folder through the body bundle only: no network, so that the test is quick."""
    routes = tuple(r for r in default_routes() if r.bundle_name == "ct_body_segmentation")
    settings = replace(Settings(), routes=routes)
    return process_folder(source, out, settings, Tools({b.name: b for b in discover()}, run), Journal())


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return make_phantom(shape=(96, 128, 120))


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory, phantom: Phantom) -> tuple[Path, Path, FolderOutcome]:
    """A folder with a good CT, a tilted one, one with a gap, an MR, junk and a cut file; its results; the outcome."""
    source, out = tmp_path_factory.mktemp("mixed"), tmp_path_factory.mktemp("out")
    files = write_phantom(source / "a" / "b" / "ct", phantom)
    for number, file in enumerate(files):
        file.rename(file.with_name(f"scan{number:03d}"))
    flat: dict[str, Any] = {
        "rows": 64,
        "columns": 61,
        "planes": 24,
        "orientation": (1, 0, 0, 0, 1, 0),
        "plane_spacing_mm": 3.0,
    }
    write_series(source / "tilted", seed=2, study_seed=2, tilt_deg=12.0, **flat)
    gap = write_series(source / "gap", seed=3, study_seed=3, **flat)
    gap[11].unlink()
    write_series(source / "mr", seed=4, study_seed=4, modality="MR")
    (source / "notes.txt").write_text("no DICOM")
    (source / "a" / "empty").touch()
    (source / "a" / "cut.dcm").write_bytes((source / "a" / "b" / "ct" / "scan007").read_bytes()[:-999])
    return source, out, process(source, out)


def test_every_file_is_accounted_for(mixed: tuple[Path, Path, FolderOutcome]) -> None:
    source, _, outcome = mixed
    files = [f for f in source.rglob("*") if f.is_file()]

    found = scan([source])

    assert sum(len(s.files) for s in found.stacks) + sum(len(i.files) for i in found.leftovers) == len(files)
    assert sum(group["files"] for group in outcome.leftovers) == sum(len(i.files) for i in found.leftovers)
    assert {"not_dicom", "truncated_file"} <= {group["reason"] for group in outcome.leftovers}


def test_the_good_series_is_contoured_like_the_truth(mixed: tuple[Path, Path, FolderOutcome], phantom: Phantom) -> None:
    source, out, outcome = mixed
    (job,) = [j for j in outcome.jobs if j.status == "findings"]
    grid = scan([source / "a" / "b" / "ct"]).stacks[0].grid

    seg = next(out / name for name in job.objects if name.startswith("seg"))
    segments = {s.label: s.region.mask() for s in read_seg(dcmread(seg), grid).segments}

    for name, least in (("Body", 0.98), ("Lung_L", 0.95), ("Lung_R", 0.95)):
        truth = phantom.regions[name].mask()
        assert 2 * np.count_nonzero(truth & segments[name]) / (truth.sum() + segments[name].sum()) > least, name


@pytest.mark.parametrize(("kind", "words"), [("tilted", "tilted by 12.00 degrees"), ("gap", "slice distance")])
def test_a_refused_geometry_is_a_result_that_says_so(
    mixed: tuple[Path, Path, FolderOutcome], kind: str, words: str
) -> None:
    source, out, outcome = mixed
    series_uid = scan([source / kind]).stacks[0].series_instance_uid

    (job,) = [j for j in outcome.jobs if j.plan.series_uid == series_uid]

    assert job.status == "refused"
    assert words in job.reason
    assert sorted(name.partition("-")[0].partition(".")[0] for name in job.objects) == ["pdf", "sr"]
    assert all((out / name).exists() for name in job.objects)


def test_a_series_without_a_route_says_which_was_nearest(mixed: tuple[Path, Path, FolderOutcome]) -> None:
    _, _, outcome = mixed

    (unrouted,) = [e for e in outcome.explanations if e.modality == "MR"]

    assert unrouted.nearest == "ct_body"
    assert not any(j.plan.stack == unrouted.stack for j in outcome.jobs)


def test_the_table_says_what_was_taken_instead_and_which_files_are_left(tmp_path: Path) -> None:
    flat: dict[str, Any] = {"rows": 40, "columns": 37, "orientation": (1, 0, 0, 0, 1, 0), "plane_spacing_mm": 3.0}
    write_series(tmp_path / "study" / "good", seed=8, study_seed=8, planes=31, **flat)
    write_series(tmp_path / "study" / "gap", seed=9, study_seed=8, planes=24, **flat)[11].unlink()
    (tmp_path / "study" / "good" / "notes.txt").write_text("no DICOM")

    outcome = process(tmp_path / "study", tmp_path / "out")
    console = Console(width=400, record=True, file=StringIO())
    console.print(outcome_table(outcome))
    lines = console.export_text().splitlines()

    assert [job.plan.route.partition("+")[0] for job in outcome.jobs] == ["ct_body"]
    row = next(number for number, line in enumerate(lines) if "CT 23 x 40 x 37" in line)
    assert "larger" in lines[row]
    assert any("slice distance" in line for line in lines[row : row + 4])
    assert any("good/notes.txt" in line for line in lines)


def test_the_language_of_the_settings_reaches_the_objects(tmp_path: Path) -> None:
    write_series(tmp_path / "study", rows=40, columns=37, planes=31, seed=8)
    config = tmp_path / "radgate.toml"
    config.write_text('[report]\nlanguage = "en"\n', encoding="utf-8")
    languages = []
    for options in ([], ["--config", str(config)]):
        out = tmp_path / f"out{len(options)}"
        CliRunner().invoke(app, ["run", str(tmp_path / "study"), "--out", str(out), *options])
        first = dcmread(out / "sr.dcm").ContentSequence[0]
        languages.append(str(first.ConceptCodeSequence[0].CodeValue).partition("-")[0])

    assert languages == ["zh", "en"]


def test_words_of_a_header_are_no_markup_of_the_table(tmp_path: Path) -> None:
    """A stray "[/X]" would end the whole table with a traceback, and "[bold]" would vanish from it."""
    datasets = series_datasets(SeriesDescription(rows=11, columns=7, planes=5))
    (tmp_path / "study").mkdir()
    with quiet_pydicom():
        for dataset in datasets:
            dataset.Modality = "[/X][B]"
        write_datasets(tmp_path / "study", datasets)

    console = Console(width=300, record=True, file=StringIO())
    console.print(outcome_table(process(tmp_path / "study", tmp_path / "out")))

    row = next(line for line in console.export_text().splitlines() if "not routed" in line)
    assert row.count("[/X][B]") == 2


def test_a_reason_that_two_bundles_share_is_said_once(mixed: tuple[Path, Path, FolderOutcome]) -> None:
    refused = [job.reason for job in mixed[2].jobs if job.status == "refused"]
    assert refused
    assert all(reason.count(reason.split(". ")[0]) == 1 for reason in refused)


def test_result_json_and_report_are_there(mixed: tuple[Path, Path, FolderOutcome]) -> None:
    _, out, outcome = mixed

    document = json.loads((out / "result.json").read_text(encoding="utf-8"))

    assert len(document["jobs"]) == len(outcome.jobs) == 3
    assert (out / "report.pdf").read_bytes().startswith(b"%PDF-")


def test_the_same_files_give_the_same_objects_byte_for_byte_whenever_and_wherever(
    tmp_path: Path, mixed: tuple[Path, Path, FolderOutcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out, _ = mixed
    shutil.copytree(source / "a" / "b" / "ct", tmp_path / "elsewhere")
    monkeypatch.setattr("time.time", lambda: 2_000_000_000.0)

    again = [process(tmp_path / "elsewhere", tmp_path / f"out{number}") for number in (1, 2)]

    (job,), (same,) = (outcome.jobs for outcome in again)
    assert job.objects == same.objects
    first = {dcmread(f).SOPInstanceUID: f for f in out.glob("*.dcm")}
    for name in job.objects:
        data = (tmp_path / "out1" / name).read_bytes()
        assert data == (tmp_path / "out2" / name).read_bytes()
        assert data == first[dcmread(tmp_path / "out1" / name).SOPInstanceUID].read_bytes()


def test_another_stated_time_is_another_object(tmp_path: Path, phantom: Phantom) -> None:
    write_phantom(tmp_path / "ct", phantom)
    one = process(tmp_path / "ct", tmp_path / "one").jobs[0]
    for file in (tmp_path / "ct").iterdir():
        ds = dcmread(file)
        ds.InstanceCreationDate, ds.InstanceCreationTime = "20310203", "0405"
        ds.save_as(file)

    two = process(tmp_path / "ct", tmp_path / "two").jobs[0]

    uids = [{str(dcmread(tmp_path / out / n).SOPInstanceUID) for n in one.objects} for out in ("one", "two")]
    assert not uids[0] & uids[1]
    assert datetime.fromtimestamp(two.plan.created_at, UTC) == datetime(2031, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize("stated", ["ISO_IR 192", "ISO_IR 100", "ISO_IR 6", "nonsense"])
def test_a_name_in_the_wrong_character_set_goes_through_byte_for_byte_and_is_told(
    tmp_path: Path, phantom: Phantom, stated: str
) -> None:
    name, description = "Zhang^San=张^三".encode("gbk"), "肿瘤医院".encode("gbk")
    for file in write_phantom(tmp_path / "ct", phantom):
        with quiet_pydicom():
            ds = dcmread(file)
            ds.SpecificCharacterSet = stated
            set_raw(ds, "PatientName", name)
            set_raw(ds, "InstitutionName", description)
            ds.set_original_encoding(False, True, ds._character_set)
            ds.save_as(file)

    (job,) = process(tmp_path / "ct", tmp_path / "out").jobs

    assert job.status == "findings"
    assert len(job.objects) == 4
    for object_name in job.objects:
        assert name in (tmp_path / "out" / object_name).read_bytes()
    assert job.result is not None
    assert {"PatientName", "InstitutionName"} <= set(job.result["study"]["undecodable"])
    told = " ".join(job.warnings)
    assert "PatientName does not decode" in told
    assert "byte for byte" in told
    assert "InstitutionName does not decode" in told


def raising(bundle: Bundle, volume: Volume, progress: Callable[[float, str], None]) -> BundleOutput:
    raise BundleError("The bundle broke off; look at its log.")


def exploding(bundle: Bundle, volume: Volume, progress: Callable[[float, str], None]) -> BundleOutput:
    raise ZeroDivisionError("Zhang^San")


@pytest.mark.parametrize(("run", "status"), [(raising, "failed"), (exploding, "failed")])
def test_a_bundle_that_raises_gives_a_visible_failure(
    tmp_path: Path, phantom: Phantom, run: Runner, status: str
) -> None:
    write_phantom(tmp_path / "ct", phantom)

    (job,) = process(tmp_path / "ct", tmp_path / "out", run).jobs

    assert job.status == status
    assert job.reason
    assert "Zhang" not in json.dumps(job.to_json()["steps"])
    assert {"sr.dcm", "pdf.dcm"} <= set(job.objects)


def test_a_result_that_cannot_be_encoded_is_delivered_as_a_failure(
    tmp_path: Path, phantom: Phantom, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reports.errors import EncodingError

    real = encode_all

    def planted(result: Any, *rest: Any, **options: Any) -> Any:
        if result.structures:
            raise EncodingError("The segmentation cannot be written.")
        return real(result, *rest, **options)

    monkeypatch.setattr("dicom_gateway.flow.steps.encode_all", planted)
    write_phantom(tmp_path / "ct", phantom)

    (job,) = process(tmp_path / "ct", tmp_path / "out").jobs

    assert job.status == "failed"
    assert "cannot be written" in job.reason
    assert sorted(job.objects) == ["pdf.dcm", "sr.dcm"]


def test_an_invalid_object_is_not_let_out(tmp_path: Path, phantom: Phantom, monkeypatch: pytest.MonkeyPatch) -> None:
    real = encode_all

    def planted(result: Any, *rest: Any, **options: Any) -> Any:
        made = real(result, *rest, **options)
        return [
            replace(o, data=(d := o.data[:-400]), sha256=hashlib.sha256(d).hexdigest()) if o.outlet == "seg" else o
            for o in made
        ]

    monkeypatch.setattr("dicom_gateway.flow.steps.encode_all", planted)
    write_phantom(tmp_path / "ct", phantom)

    (job,) = process(tmp_path / "ct", tmp_path / "out").jobs

    assert job.status == "failed"
    assert "seg.dcm" not in job.objects


def test_a_second_run_into_the_same_folder_leaves_nothing_of_the_first(tmp_path: Path, phantom: Phantom) -> None:
    write_phantom(tmp_path / "ct", phantom)
    write_series(tmp_path / "mr", seed=4, study_seed=4, modality="MR")
    process(tmp_path / "ct", tmp_path / "out")
    before = {f.name: f.read_bytes() for f in (tmp_path / "out").glob("*.dcm")}

    process(tmp_path / "ct", tmp_path / "out")
    again = {f.name: f.read_bytes() for f in (tmp_path / "out").glob("*.dcm")}
    process(tmp_path / "mr", tmp_path / "out")

    assert again == before
    assert [f.name for f in (tmp_path / "out").iterdir()] == ["result.json"]


def test_ctrl_c_leaves_what_is_finished_and_says_what_is_not(tmp_path: Path, phantom: Phantom) -> None:
    write_phantom(tmp_path / "ct" / "first", phantom)
    write_phantom(tmp_path / "ct" / "second", make_phantom(shape=(96, 120, 112)))
    asked: list[str] = []

    def stopped(bundle: Bundle, volume: Volume, progress: Callable[[float, str], None]) -> BundleOutput:
        asked.append(bundle.name)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return run_bundle(bundle, volume, progress)

    with pytest.raises(KeyboardInterrupt):
        process(tmp_path / "ct", tmp_path / "out", stopped)

    first, second = json.loads((tmp_path / "out" / "result.json").read_text(encoding="utf-8"))["jobs"]
    assert first["status"] == "findings" and len(first["objects"]) == 4
    assert (second["status"], second["objects"], second["result"]) == ("cancelled", [], None)
    assert "Ctrl-C" in second["reason"]
    found = {f.name for f in (tmp_path / "out").iterdir()}
    assert found == {*first["objects"], "report.pdf", "result.json"}


def test_ctrl_c_while_objects_are_copied_takes_them_back(
    tmp_path: Path, phantom: Phantom, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_phantom(tmp_path / "ct", phantom)
    copy = shutil.copyfile

    def copied(source: Path, target: Path) -> None:
        copy(source, target)
        if target.name.startswith("rtstruct"):
            raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "copyfile", copied)

    with pytest.raises(KeyboardInterrupt):
        process(tmp_path / "ct", tmp_path / "out")

    [job] = json.loads((tmp_path / "out" / "result.json").read_text(encoding="utf-8"))["jobs"]
    assert (job["status"], job["objects"], job["report"]) == ("cancelled", [], "")
    assert [f.name for f in (tmp_path / "out").iterdir()] == ["result.json"]


@pytest.mark.slow
def test_ctrl_c_ends_the_command_within_seconds_with_the_shells_code(tmp_path: Path) -> None:
    one_voxel = {"_target_": "SlidingWindowInferer", "roi_size": [1, 1, 1], "sw_batch_size": 1, "overlap": 0.0}
    make_bundle(tmp_path / "bundles", name="slow", inferer=one_voxel)  # minutes of small windows
    write_phantom(tmp_path / "ct", make_phantom(shape=(40, 64, 60)))
    config = tmp_path / "radgate.toml"
    config.write_text(
        "[bundles]\nfolders = ['bundles']\n[[route]]\nname = 'slow'\nbundle = 'slow'\n"
        "when.all = [{ tag = 'Modality', equals = 'CT' }]\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "dicom_gateway.cli", "run", str(tmp_path / "ct"), "--out", str(tmp_path / "out")]
    with subprocess.Popen([*command, "--config", str(config)], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "qc: " in line:
                break
        time.sleep(5.0)  # the libraries are loaded, and the windows have begun

        asked = time.monotonic()
        process.send_signal(signal.SIGINT)
        said = ""
        while "Stopped." not in said:
            said += process.stderr.readline() or pytest.fail(said)
        stopped_s = time.monotonic() - asked
        said += process.stderr.read()

        assert process.wait(30) == 130  # unloading the libraries takes seconds on a busy machine
    assert stopped_s < 3.0
    assert "run: cancelled" in said and "Stopped. The folder holds what was finished" in said
    [job] = json.loads((tmp_path / "out" / "result.json").read_text(encoding="utf-8"))["jobs"]
    assert job["status"] == "cancelled"


def test_an_output_folder_inside_the_study_is_not_read(tmp_path: Path, phantom: Phantom) -> None:
    write_phantom(tmp_path / "ct", phantom)

    first, second = (process(tmp_path / "ct", tmp_path / "ct" / "out") for _ in range(2))

    assert first.leftovers == second.leftovers == []
    assert [j.plan.id for j in first.jobs] == [j.plan.id for j in second.jobs]


@pytest.mark.parametrize("kind", ["a file", "objects of something else"])
def test_an_output_folder_that_cannot_be_used_is_refused(tmp_path: Path, phantom: Phantom, kind: str) -> None:
    write_series(tmp_path / "mr", modality="MR")
    out = tmp_path / "out"
    if kind == "a file":
        out.touch()
    else:
        write_series(out, seed=9)

    with pytest.raises(OutputRefused):
        process(tmp_path / "mr", out)


def test_a_folder_without_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    with pytest.raises(NothingToDo):
        process(tmp_path / "empty", tmp_path / "out")
