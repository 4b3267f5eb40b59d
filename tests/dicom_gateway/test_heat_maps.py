"""A classification of grey images reaches people: scores, the plane that they are of, and where they come from."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import dcmread
from pypdf import PdfReader

from dicom_gateway.flow.job import Tools
from dicom_gateway.flow.journal import Journal
from dicom_gateway.flow.local import process_folder
from dicom_gateway.settings import load_settings
from imaging.volume import Volume
from monai_bundles import Bundle, BundleOutput, run_bundle
from tests.monai_bundles.test_zoo_classification import classifier, volume_classifier
from tests.synthetic.series import write_series


def processed(tmp_path: Path, bundle: Bundle, modality: str, bright: tuple[slice, ...]) -> dict[str, Any]:
    """What becomes of a series with a bright place."""
    pixels = np.zeros((9, 23, 31), dtype=np.int16)
    pixels[bright] = 900
    write_series(
        tmp_path / "study", modality=modality, planes=9, rows=23, columns=31, pixels=pixels, intercept=0.0, seed=4
    )
    (tmp_path / "radgate.toml").write_text(
        f'[[route]]\nname = "r"\nbundle = "{bundle.name}"\n'
        f'when.all = [ {{ tag = "Modality", equals = "{modality}" }} ]\n',
        encoding="utf-8",
    )

    def run(bundle: Bundle, volume: Volume, progress: Any) -> BundleOutput:
        return run_bundle(bundle, volume, progress, device="cpu")

    settings, tools = load_settings(tmp_path / "radgate.toml"), Tools({bundle.name: bundle}, run)
    process_folder(tmp_path / "study", tmp_path / "out", settings, tools, Journal())
    (job,) = json.loads((tmp_path / "out" / "result.json").read_text(encoding="utf-8"))["jobs"]
    return dict(job)


def words(folder: Path) -> str:
    return "\n".join(page.extract_text() for page in PdfReader(folder / "report.pdf").pages)


def test_the_report_shows_where_a_class_of_a_volume_comes_from(tmp_path: Path) -> None:
    job = processed(tmp_path, volume_classifier(tmp_path), "CT", (slice(3, 6), slice(5, 12), slice(20, 28)))

    assert job["status"] == "findings"
    assert [s["label"] for s in job["result"]["scores"]] == ["sick", "well"]
    assert words(tmp_path / "out").count("热力图") == 3


def test_a_classifier_of_planes_says_which_plane_its_score_is_of(tmp_path: Path) -> None:
    bundle = classifier(tmp_path, {"0": "A", "1": "B"}, modality="MR")
    job = processed(tmp_path, bundle, "MR", (slice(6, 7), slice(5, 12), slice(20, 28)))

    scores = job["result"]["scores"]
    assert len(scores) == 2 * 9
    assert (scores[0]["label"], scores[0]["picture"]) == ("B", 7)
    assert words(tmp_path / "out").count("热力图") == 1
    report = dcmread(tmp_path / "out" / "sr.dcm")
    assert "the most certain picture" in report.to_json()
