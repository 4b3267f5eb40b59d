"""A cine goes through `radgate run`: landmarks in the patient, as points on its phases, in all objects and the page."""

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pypdf import PdfReader

from dicom_gateway.flow.job import Tools
from dicom_gateway.flow.journal import Journal
from dicom_gateway.flow.local import FolderOutcome, process_folder
from dicom_gateway.flow.planning import decide
from dicom_gateway.flow.shadow import run_shadow
from dicom_gateway.route import parse_routes
from dicom_gateway.route.explain import render_text
from dicom_gateway.route.facts import Facts
from dicom_gateway.settings import Settings
from dicom_gateway.web.found import landmark_rows
from imaging.cine_scan import load_cine, with_cines
from imaging.series import scan
from monai_bundles import Bundle, BundleOutput
from monai_bundles.adding.describe import describe
from monai_bundles.bundle import Landmark
from monai_bundles.registry import load_bundle
from reports import Result, encode_all
from tests.conftest import require_program
from tests.monai_bundles.point_making import NAMES, place, point_folder, spotted
from tests.synthetic.cines import CINE, write_cine
from tests.synthetic.series import write_series

CINES = {"all": [{"tag": "Modality", "equals": "MR"}, {"stack": "phases", "at_least": 2}]}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    root = point_folder(tmp_path_factory.mktemp("bundle"))
    describe(root).write(root)
    return replace(load_bundle(root), required_checks=(), gates=())


def found_by_eye(bundle: Bundle, image: Any, _progress: Any, **_: Any) -> BundleOutput:
    """What the network gives, without torch: `tests/monai_bundles/test_zoo_points.py` proves that it does."""
    landmarks = []
    for phase in range(len(image.array)):
        for spot, label in enumerate(NAMES[:2]):
            column, row = place(spot, phase)
            assert image.array[phase, int(row), int(column)] == (1000, 680)[spot]
            x, y, z = image.grid.points_lps(0, [[column, row]])[0]
            landmarks.append(Landmark(label, phase, column, row, (float(x), float(y), float(z))))
    return BundleOutput((), bundle.algorithm, "cpu", 0.1, landmarks=tuple(landmarks))


def processed(folder: Path, bundle: Bundle, when: dict[str, Any] = CINES) -> FolderOutcome:
    """The study of a folder `study`, into a folder `out` beside it."""
    routes = parse_routes([{"name": "valves", "bundle": bundle.name, "when": when}])
    tools = Tools({bundle.name: bundle}, found_by_eye)
    return process_folder(folder / "study", folder / "out", replace(Settings(), routes=routes), tools, Journal())


@pytest.fixture
def done(tmp_path: Path, bundle: Bundle) -> tuple[Path, FolderOutcome, list[Path]]:
    files = write_cine(tmp_path / "study", values=spotted())
    return tmp_path / "out", processed(tmp_path, bundle), files


def items(ds: Dataset) -> Iterator[Dataset]:
    for item in ds.get("ContentSequence", ()):
        yield item
        yield from items(item)


def in_patient(column: float, row: float) -> Any:
    across, down = np.array(CINE.orientation[:3]), np.array(CINE.orientation[3:])
    return np.array(CINE.origin_lps) + across * 0.9 * column + down * 1.3 * row


def test_the_landmarks_of_every_phase_stand_in_the_result(done: tuple[Path, FolderOutcome, list[Path]]) -> None:
    _, outcome, _ = done
    [job] = outcome.jobs

    assert job.status == "findings", job.reason
    assert sorted(job.objects) == ["pdf.dcm", "sr.dcm"]
    assert job.result is not None
    found = {(m["label"], m["picture"]): m for m in job.result["landmarks"]}
    assert len(found) == 10
    for spot, label in enumerate(NAMES[:2]):
        for phase in range(5):
            column, row = place(spot, phase)
            entry = found[label, phase + 1]
            assert (entry["column"], entry["row"]) == (column, row)
            np.testing.assert_allclose(entry["position_lps"], in_patient(column, row), atol=1e-3)
    assert Result.from_json(job.result).to_json() == job.result


def test_the_report_draws_each_point_on_the_instance_of_its_phase(
    done: tuple[Path, FolderOutcome, list[Path]],
) -> None:
    out, _, files = done

    report = dcmread(out / "sr.dcm")

    points = [i for i in items(report) if i.ValueType == "SCOORD"]
    assert {str(p.GraphicType) for p in points} == {"POINT"}
    by_instance: dict[str, set[tuple[float, float]]] = {}
    for point in points:
        [image] = [c for c in point.ContentSequence if c.ValueType == "IMAGE"]
        uid = str(image.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
        by_instance.setdefault(uid, set()).add((float(point.GraphicData[0]), float(point.GraphicData[1])))
    # A report's coordinates begin at the corner of the first pixel: its centre is (0.5, 0.5).
    expected = {
        str(dcmread(file).SOPInstanceUID): {
            (column + 0.5, row + 0.5) for column, row in (place(spot, phase) for spot in range(2))
        }
        for phase, file in enumerate(files)
    }
    assert by_instance == expected
    words = "\n".join(str(i.TextValue) for i in items(report) if i.ValueType == "TEXT")
    x, y, z = in_patient(*place(1, 3))
    assert f"Landmark: {NAMES[1]}; 图像 / picture 4; 位置 / position LPS: {x:.2f}, {y:.2f}, {z:.2f} mm" in words
    tracked = {str(i.TextValue): "" for i in items(report) if i.ValueType == "TEXT"}
    assert set(NAMES[:2]) <= set(tracked)
    assert str(report.PatientName) == "Zhang^San=张^三"


def test_document_and_page_list_each_landmark_once(done: tuple[Path, FolderOutcome, list[Path]]) -> None:
    out, outcome, _ = done
    result = outcome.jobs[0].result
    assert result is not None

    text = "\n".join(page.extract_text() for page in PdfReader(out / "report.pdf").pages)
    rows = landmark_rows(result)

    x, y, z = in_patient(*place(0, 0))
    assert "2 landmark(s) on 5 picture(s)" in text
    assert f"{x:.1f}, {y:.1f}, {z:.1f}".replace("-", "−") in text or f"{x:.1f}, {y:.1f}, {z:.1f}" in text
    assert [(r["label"], r["picture"], r["seen"]) for r in rows] == [(NAMES[0], 1, 5), (NAMES[1], 1, 5)]
    assert rows[0]["position"].replace("−", "-") == f"{x:.1f}, {y:.1f}, {z:.1f}"
    assert landmark_rows({"landmarks": [{"picture": "x"}, 3, {"picture": 1, "position_lps": [1, 2]}]}) == []


def test_crosses_stand_on_the_spots_of_the_key_images(done: tuple[Path, FolderOutcome, list[Path]]) -> None:
    out, _, _ = done
    reader = PdfReader(out / "report.pdf")
    images = [i.image for page in reader.pages for i in page.images if i.image is not None]

    assert len(images) == 4
    picture = np.asarray(images[0].convert("RGB")).astype(int)
    high, wide = picture.shape[:2]
    assert wide / high == pytest.approx(37 * 0.9 / (44 * 1.3), abs=0.01)
    for spot, colour in enumerate(((255, 214, 10), (90, 200, 250))):
        column, row = place(spot, 0)
        near = np.abs(picture - np.array(colour)).max(axis=2) < 12
        marked = np.argwhere(near)
        there = np.array([(row + 0.5) * high / 44, (column + 0.5) * wide / 37])
        assert np.abs(marked - there).sum(axis=1).min() <= 2
        inside = np.abs(marked - there).max(axis=1) <= 12
        assert inside.sum() > 20


@pytest.mark.interop
def test_another_program_finds_no_error_in_the_objects(done: tuple[Path, FolderOutcome, list[Path]]) -> None:
    program = require_program("dciodvfy")
    out, _, _ = done
    for path in sorted(out.glob("*.dcm")):
        said = subprocess.run([program, str(path)], capture_output=True, text=True, check=False).stderr
        assert not [line for line in said.splitlines() if line.startswith("Error")], (path.name, said)


def test_a_route_that_does_not_ask_for_phases_gets_no_cine(tmp_path: Path, bundle: Bundle) -> None:
    write_cine(tmp_path / "study", values=spotted())

    outcome = processed(tmp_path, bundle, {"all": [{"tag": "Modality", "equals": "MR"}]})

    assert outcome.jobs == []
    [explanation] = outcome.explanations
    assert "stack phases 5, wanted asked for" in render_text(explanation)


@pytest.mark.parametrize(
    ("clause", "runs"),
    [
        ({"stack": "planes", "at_most": 1}, True),
        ({"stack": "rows", "at_least": 45}, False),
        ({"stack": "row_spacing_mm", "at_least": 1.2}, True),
        ({"stack": "regular"}, False),
    ],
    ids=str,
)
def test_routes_know_the_plane_of_a_cine(tmp_path: Path, clause: dict[str, Any], runs: bool) -> None:
    write_cine(tmp_path)
    routes = parse_routes([{"name": "r", "bundle": "b", "when": {"all": [*CINES["all"], clause]}}])

    decision = decide(with_cines(scan([tmp_path])), routes, Facts(complete=True))

    assert bool(decision.choices) == runs


def test_a_stack_has_no_phases(tmp_path: Path) -> None:
    write_series(tmp_path, modality="MR")
    routes = parse_routes([{"name": "r", "bundle": "b", "when": CINES}])

    assert not decide(with_cines(scan([tmp_path])), routes, Facts(complete=True)).choices


def test_a_bundle_for_volumes_says_why_it_does_not_run(tmp_path: Path, bundle: Bundle) -> None:
    write_cine(tmp_path / "study", values=spotted())

    [job] = processed(tmp_path, replace(bundle, output="labels")).jobs

    assert job.status == "refused"
    assert "only bundles that give points" in job.reason
    assert sorted(job.objects) == ["pdf.dcm", "sr.dcm"]


def test_equal_landmarks_give_equal_objects(done: tuple[Path, FolderOutcome, list[Path]], tmp_path: Path) -> None:
    _, outcome, _ = done
    assert outcome.jobs[0].result is not None
    result = Result.from_json(outcome.jobs[0].result)
    [stack] = with_cines(scan([tmp_path / "study"])).cines
    moved = replace(result.landmarks[0], column=result.landmarks[0].column + 0.001)
    other = replace(result, landmarks=(moved, *result.landmarks[1:]))

    first, second, third = (encode_all(r, stack, pictures=()) for r in (result, result, other))

    assert [o.sha256 for o in first] == [o.sha256 for o in second]
    assert {o.sop_instance_uid for o in first}.isdisjoint(o.sop_instance_uid for o in third)


def test_a_shadow_tells_how_far_its_landmarks_lie_from_the_delivered_ones(tmp_path: Path, bundle: Bundle) -> None:
    [series] = with_cines(scan([write_cine(tmp_path, values=spotted())[0].parent])).cines
    cine = load_cine(series)
    output = found_by_eye(bundle, cine, None)
    x, y, z = output.landmarks[3].position_lps
    moved = replace(output.landmarks[3], position_lps=(x + 3.0, y - 4.0, z))
    other = replace(output, landmarks=(*output.landmarks[1:3], moved))

    record = run_shadow(replace(bundle, shadow=bundle), output, lambda _: other, cine)

    assert record["landmarks"] == {"delivered": 10, "shadow": 3, "in_both": 3, "most_apart_mm": 5.0}
