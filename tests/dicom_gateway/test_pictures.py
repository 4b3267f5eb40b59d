"""Colour pictures go through `radgate run` and the service: scores of each, masks on their pixels, no millimetres."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from pypdf import PdfReader
from sqlalchemy import Engine, insert, select

from dicom_gateway.flow.durable import StudyFlow, launch, shut_down
from dicom_gateway.flow.job import Tools
from dicom_gateway.flow.journal import Journal
from dicom_gateway.flow.kept import kept_json
from dicom_gateway.flow.local import FolderOutcome, process_folder
from dicom_gateway.flow.planning import decide
from dicom_gateway.route import parse_routes
from dicom_gateway.route.explain import render_text
from dicom_gateway.route.facts import Facts
from dicom_gateway.settings import Settings
from dicom_gateway.settings import Store as StoreSettings
from dicom_gateway.store import Store, open_engine, tables
from imaging.picture_scan import with_pictures
from imaging.series import scan
from monai_bundles import Bundle, run_bundle
from monai_bundles.adding.add import add
from tests.conftest import require_program
from tests.e2e.peers import wait_for
from tests.monai_bundles.colour_making import classifier_folder, is_red, red_score, segmenter_folder
from tests.monai_bundles.test_zoo import added
from tests.synthetic.pictures import WAYS, coloured, write_pictures
from tests.synthetic.series import write_series


@dataclass(frozen=True)
class Bundles:
    """The planted bundles by what they do."""

    classifier: Bundle
    segmenter: Bundle
    grey: Bundle

    def tools(self) -> Tools:
        return Tools({b.name: b for b in (self.classifier, self.segmenter, self.grey)}, run_bundle)


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Bundles:
    folder = tmp_path_factory.mktemp("bundles")
    made = [
        add(str(make(folder)), folder / "library", trust=True).bundle for make in (classifier_folder, segmenter_folder)
    ]
    classifier, segmenter = (replace(bundle, trusted=False) for bundle in made)
    return Bundles(classifier, segmenter, added(folder / "grey"))


def routes_to(*bundles: Bundle, modality: str = "ES") -> tuple[Any, ...]:
    when = {"all": [{"tag": "Modality", "equals": modality}]}
    return parse_routes([{"name": f"route{n}", "bundle": b.name, "when": when} for n, b in enumerate(bundles)])


def processed(source: Path, out: Path, bundles: Bundles, *chosen: Bundle, modality: str = "ES") -> FolderOutcome:
    settings = replace(Settings(), routes=routes_to(*chosen, modality=modality))
    return process_folder(source, out, settings, bundles.tools(), Journal())


def items(ds: Dataset) -> Iterator[Dataset]:
    """Every content item of a report."""
    for item in ds.get("ContentSequence", ()):
        yield item
        yield from items(item)


def words(ds: Dataset) -> str:
    return "\n".join(str(i.TextValue) for i in items(ds) if i.ValueType == "TEXT")


def masks_of(seg: Dataset) -> dict[tuple[str, int | None], Any]:
    """Pixels of each frame by the instance and frame that it was derived from."""
    bits = np.unpackbits(np.frombuffer(seg.PixelData, dtype=np.uint8), bitorder="little")
    size = int(seg.Rows) * int(seg.Columns)
    found = {}
    for number, frame in enumerate(seg.PerFrameFunctionalGroupsSequence):
        image = frame.DerivationImageSequence[0].SourceImageSequence[0]
        at = (str(image.ReferencedSOPInstanceUID), image.get("ReferencedFrameNumber"))
        found[at] = bits[number * size : (number + 1) * size].reshape(seg.Rows, seg.Columns).astype(bool)
    return found


@pytest.mark.parametrize("kind", ["ES", "ES video", "SC frames"])
def test_a_classification_gives_the_score_of_each_picture_and_shows_the_most_certain(
    tmp_path: Path, bundles: Bundles, kind: str
) -> None:
    files = write_pictures(tmp_path / "study", kind=kind, multi_frame=kind != "ES")

    [job] = processed(tmp_path / "study", tmp_path / "out", bundles, bundles.classifier).jobs

    expected = [red_score(picture) for picture in coloured()]
    certain = int(np.argmax([max(p, 1 - p) for p in expected])) + 1
    assert job.status == "findings", job.reason
    assert sorted(job.objects) == ["pdf.dcm", "sr.dcm"]
    assert job.result is not None
    scores = job.result["scores"]
    assert scores[0]["picture"] == certain
    inbody = {s["picture"]: s["value"] for s in scores if s["label"] == "inbody"}
    assert [inbody[n] for n in (1, 2, 3)] == pytest.approx(expected, abs=1e-4)

    report = dcmread(tmp_path / "out" / "sr.dcm")
    assert f"Picture {certain}, class: {scores[0]['label']} {scores[0]['value']:.3f}" in words(report)
    assert words(report).count("最确定的图像") == 1
    images = [i.ReferencedSOPSequence[0] for i in items(report) if i.ValueType == "IMAGE"]
    named = {(str(i.ReferencedSOPInstanceUID), i.get("ReferencedFrameNumber")) for i in images}
    uids = [str(dcmread(f).SOPInstanceUID) for f in files]
    wanted = [(uids[0], n) for n in (1, 2, 3)] if kind != "ES" else [(uid, None) for uid in uids]
    assert set(wanted) <= named

    text = "\n".join(page.extract_text() for page in PdfReader(tmp_path / "out" / "report.pdf").pages)
    assert "most certain" in text
    assert f"{scores[0]['value']:.3f}" in text
    assert "cm³" not in text
    assert str(report.PatientName) == "Zhang^San=张^三"


def shown(out: Path) -> list[Any]:
    """The pictures in the document, as arrays."""
    reader = PdfReader(out / "report.pdf")
    return [np.asarray(i.image.convert("RGB")) for page in reader.pages for i in page.images if i.image is not None]


def test_the_key_image_is_the_picture_in_its_own_colours(tmp_path: Path, bundles: Bundles) -> None:
    write_pictures(tmp_path / "study", way="YBR_FULL planes")

    [job] = processed(tmp_path / "study", tmp_path / "out", bundles, bundles.classifier).jobs

    assert job.result is not None
    picture = coloured()[job.result["scores"][0]["picture"] - 1]
    *_, image = shown(tmp_path / "out")  # where the class comes from stands in front of it
    small = np.asarray(Image.fromarray(image).resize((56, 40), Image.Resampling.BOX)).astype(int)
    assert np.abs(small - picture).mean() < 4
    assert np.abs(small - picture[..., ::-1]).mean() > 20


@pytest.mark.parametrize("way", WAYS)
def test_masks_lie_on_the_pixels_that_the_objects_name(tmp_path: Path, bundles: Bundles, way: str) -> None:
    files = write_pictures(tmp_path / "study", way=way)

    [job] = processed(tmp_path / "study", tmp_path / "out", bundles, bundles.segmenter).jobs

    assert job.status == "findings", job.reason
    assert sorted(job.objects) == ["pdf.dcm", "seg.dcm", "sr.dcm"]
    assert any("not as a structure set" in warning for warning in job.warnings)
    seg = dcmread(tmp_path / "out" / "seg.dcm")
    assert "FrameOfReferenceUID" not in seg
    assert "PixelMeasuresSequence" not in seg.SharedFunctionalGroupsSequence[0]
    found = masks_of(seg)
    for file, mask in zip(files, is_red(coloured()), strict=True):
        wrong = np.count_nonzero(found[str(dcmread(file).SOPInstanceUID), None] ^ mask)
        assert wrong <= (0.02 * mask.sum() if way == "JPEG" else 0)


def test_areas_are_in_pixels_and_nothing_is_in_millimetres(tmp_path: Path, bundles: Bundles) -> None:
    write_pictures(tmp_path / "study", kind="SC frames", multi_frame=True)

    [job] = processed(tmp_path / "study", tmp_path / "out", bundles, bundles.segmenter).jobs

    areas = is_red(coloured()).sum(axis=(1, 2))
    assert job.result is not None
    [structure] = job.result["structures"]
    assert structure["areas"] == {"value": [[n + 1, int(a)] for n, a in enumerate(areas)], "unit": "{pixels}"}
    assert "volume" not in structure
    report = dcmread(tmp_path / "out" / "sr.dcm")
    measured = [i.MeasuredValueSequence[0] for i in items(report) if i.ValueType == "NUM" and i.MeasuredValueSequence]
    units = {str(m.MeasurementUnitsCodeSequence[0].CodeValue): float(m.NumericValue) for m in measured}
    assert units["{pixels}"] == areas.max()
    assert not set(units) & {"mm", "mm2", "cm", "cm2", "cm3", "mm3"}
    seg = dcmread(tmp_path / "out" / "seg.dcm")
    images = [i.ReferencedSOPSequence[0] for i in items(report) if i.ValueType == "IMAGE"]
    [reference] = [i for i in images if i.ReferencedSOPInstanceUID == seg.SOPInstanceUID]
    assert "ReferencedSegmentNumber" not in reference
    frame = seg.PerFrameFunctionalGroupsSequence[int(reference.ReferencedFrameNumber) - 1]
    image = frame.DerivationImageSequence[0].SourceImageSequence[0]
    assert image.ReferencedFrameNumber == int(areas.argmax()) + 1
    text = "\n".join(page.extract_text() for page in PdfReader(tmp_path / "out" / "report.pdf").pages)
    assert f"{areas.max()}" in text
    assert "px" in text


def test_both_bundles_on_one_series_make_one_result(tmp_path: Path, bundles: Bundles) -> None:
    write_pictures(tmp_path / "study")

    [job] = processed(tmp_path / "study", tmp_path / "out", bundles, bundles.classifier, bundles.segmenter).jobs

    assert job.status == "findings", job.reason
    assert job.result is not None
    assert {s["run"] for s in job.result["scores"]} == {"r1"}
    assert {s["run"] for s in job.result["structures"]} == {"r2"}


def test_pictures_without_the_structure_are_no_finding_of_it(tmp_path: Path, bundles: Bundles) -> None:
    write_pictures(tmp_path / "study", array=np.ascontiguousarray(coloured()[..., ::-1]))

    [job] = processed(tmp_path / "study", tmp_path / "out", bundles, bundles.segmenter).jobs

    assert job.status in {"none_found", "partial"}
    assert sorted(job.objects) == ["pdf.dcm", "sr.dcm"]


def test_a_bundle_for_grey_values_refuses_colours_and_the_other_way_round(tmp_path: Path, bundles: Bundles) -> None:
    write_pictures(tmp_path / "es")
    write_series(tmp_path / "ct")
    anywhere = replace(bundles.classifier, accepts=replace(bundles.classifier.accepts, modalities=("CT",)))

    [colours] = processed(tmp_path / "es", tmp_path / "out", bundles, bundles.grey).jobs
    [grey] = processed(
        tmp_path / "ct", tmp_path / "out2", replace(bundles, classifier=anywhere), anywhere, modality="CT"
    ).jobs

    assert colours.status == grey.status == "refused"
    assert "The pixels are colours, not measurements" in colours.reason
    assert "grey values, and the bundle is made for colour pictures" in grey.reason
    assert sorted(colours.objects) == ["pdf.dcm", "sr.dcm"]


def test_a_ct_with_a_screen_shot_in_colours_is_worked_on_without_it(tmp_path: Path, bundles: Bundles) -> None:
    write_series(tmp_path / "study" / "ct")
    write_pictures(tmp_path / "study" / "overlay", kind="SC", modality="CT")

    outcome = processed(tmp_path / "study", tmp_path / "out", bundles, bundles.grey, modality="CT")

    assert len(outcome.jobs) == 1
    assert [group["files"] for group in outcome.leftovers] == [3]
    assert outcome.leftovers[0]["reason"] == "not_an_image_stack"


def test_pictures_without_a_route_say_so(tmp_path: Path, bundles: Bundles) -> None:
    write_pictures(tmp_path / "study", kind="XC")

    outcome = processed(tmp_path / "study", tmp_path / "out", bundles, bundles.classifier)

    assert outcome.jobs == []
    [stack] = outcome.stacks
    assert stack["shape"] == [3, 40, 56]
    assert stack["spacing_mm"] is None
    [explanation] = outcome.explanations
    assert explanation.nearest == "route0"
    assert "pictures)" in render_text(explanation)


@pytest.mark.parametrize(
    ("clause", "runs"),
    [
        ({"stack": "planes", "at_least": 3}, True),
        ({"stack": "rows", "at_most": 39}, False),
        ({"stack": "regular"}, False),
        ({"stack": "irregular"}, False),
        ({"stack": "row_spacing_mm", "at_most": 99}, False),
    ],
    ids=str,
)
def test_routes_know_the_number_and_the_size_of_pictures_and_nothing_else(
    tmp_path: Path, clause: dict[str, Any], runs: bool
) -> None:
    write_pictures(tmp_path, attributes=(("PixelSpacing", ["0.2", "0.3"]),))
    when = {"all": [{"tag": "Modality", "equals": "ES"}, clause]}
    routes = parse_routes([{"name": "r", "bundle": "b", "when": when}])

    decision = decide(with_pictures(scan([tmp_path])), routes, Facts(complete=True))

    assert bool(decision.choices) == runs


def test_damaged_pictures_are_a_refusal_that_people_see(tmp_path: Path, bundles: Bundles) -> None:
    write_pictures(tmp_path / "study", kind="ES video", multi_frame=True, attributes=(("NumberOfFrames", 5),))

    [job] = processed(tmp_path / "study", tmp_path / "out", bundles, bundles.classifier).jobs

    assert job.status == "refused"
    assert "send the file again" in job.reason
    assert sorted(job.objects) == ["pdf.dcm", "sr.dcm"]


@pytest.mark.interop
def test_another_program_finds_no_error_in_the_objects(tmp_path: Path, bundles: Bundles) -> None:
    import subprocess

    program = require_program("dciodvfy")
    for kind in ("ES", "SC frames"):
        [file, *_] = write_pictures(tmp_path / kind, kind=kind, multi_frame=kind != "ES")
        out = tmp_path / f"out {kind}"
        processed(tmp_path / kind, out, bundles, bundles.classifier, bundles.segmenter)
        for path in (file, *sorted(out.glob("*.dcm"))):
            said = subprocess.run([program, str(path)], capture_output=True, text=True, check=False).stderr
            assert not [line for line in said.splitlines() if line.startswith("Error")], (path.name, said)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(settings_of(tmp_path))
    yield engine
    engine.dispose()


def settings_of(folder: Path) -> Settings:
    store = StoreSettings(root=folder / "store", low_free=0.0, floor_free=0.0)
    return replace(Settings(), store=store)


def test_the_service_does_the_same(tmp_path: Path, engine: Engine, bundles: Bundles) -> None:
    settings = replace(settings_of(tmp_path), routes=routes_to(bundles.classifier, bundles.segmenter))
    store = Store.open(settings, engine)
    files = write_pictures(tmp_path / "es", way="JPEG")
    receipts = [store.receive(file.read_bytes(), peer="TOWER") for file in files]
    uid = str(receipts[0].study_uid)
    with engine.begin() as connection:
        connection.execute(
            insert(tables.study_version).values(study_uid=uid, version=1, state="COMPLETE", opened=1.0, changed=1.0)
        )

    flow = launch(
        engine,
        lambda: StudyFlow(settings, engine, store, bundles.tools(), lambda: None, name=f"pictures {tmp_path.name}"),
        executor="test",
        version="test",
        at_once=1,
    )
    try:
        flow.start(uid, 1)
        wait_for("the study", lambda: state_of(engine) == "DELIVERED", 120)
    finally:
        shut_down()

    with engine.connect() as connection:
        outlets = set(connection.execute(select(tables.encoded_object.c.outlet)).scalars())
    assert outlets == {"seg", "sr", "pdf"}
    processed(tmp_path / "es", tmp_path / "out", bundles, bundles.classifier, bundles.segmenter)
    [job] = kept_json(tmp_path / "out" / "result.json")["jobs"]
    with engine.connect() as connection:
        [document] = connection.execute(select(tables.result.c.document)).scalars()
    assert document["scores"] == job["result"]["scores"]
    assert [s["mask_sha256"] for s in document["structures"]] == [s["mask_sha256"] for s in job["result"]["structures"]]


def state_of(engine: Engine) -> str:
    with engine.connect() as connection:
        return str(connection.execute(select(tables.study_version.c.state)).scalar_one())
