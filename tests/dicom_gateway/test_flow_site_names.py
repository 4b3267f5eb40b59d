"""A site's names for structures reach what the gateway delivers: labels of bundles, and doses on foreign RTSTRUCTs."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from contouring.dose.assess import AssessOptions, assess
from contouring.dose.dvh import Dvh
from contouring.dose.limits import limits_for
from contouring.dose.openkbp import export_case
from contouring.dose.study import StructureTable, histograms, tg263_of, verdicts_of
from contouring.names import NameTable, load_aliases
from dicom_gateway.flow.job import Tools
from dicom_gateway.flow.journal import Journal
from dicom_gateway.flow.local import process_folder
from dicom_gateway.flow.site_names import under_tg263
from dicom_gateway.route.rules import default_routes
from dicom_gateway.settings import Settings, load_settings
from imaging.provenance import Algorithm
from imaging.series import scan
from imaging.testing.phantom import make_phantom, write_phantom
from imaging.volume import Region, Volume
from monai_bundles import Bundle, BundleOutput, SegmentedStructure, discover
from tests.contouring.dose.test_openkbp import collection

__all__ = ["collection"]

ALIASES = '"外轮廓-放疗" = "Body"\n"myelon ctv1" = "SpinalCord"\n'


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings as a site writes them, with its names in a file beside."""
    (tmp_path / "names.toml").write_text(ALIASES, encoding="utf-8")
    path = tmp_path / "radgate.toml"
    path.write_text('[contour]\naliases = "names.toml"\n', encoding="utf-8")
    return replace(load_settings(path), routes=body_routes())


def body_routes() -> tuple:  # type: ignore[type-arg]
    return tuple(r for r in default_routes() if r.bundle_name == "ct_body_segmentation")


def output(*labels: str) -> BundleOutput:
    region = Region.from_mask(np.ones((2, 3, 4), dtype=np.bool_))
    return BundleOutput(
        tuple(SegmentedStructure(label, region) for label in labels), Algorithm("a", "1"), "cpu", 0.1, absent=("Liver",)
    )


def site_table() -> NameTable:
    return NameTable.default().with_aliases({"外轮廓-放疗": "Body", "myelon ctv1": "SpinalCord"})


def test_labels_get_their_tg263_names_and_unknown_ones_stay() -> None:
    named = under_tg263(output("外轮廓-放疗", "Parotid_L", "nodule 3"), site_table())

    assert [s.name for s in named.structures] == ["Body", "Parotid_L", "nodule 3"]


@pytest.mark.parametrize("labels", [("外轮廓-放疗", "Body"), ("Body", "外轮廓-放疗")])
def test_two_labels_of_one_structure_stay_apart(labels: tuple[str, str]) -> None:
    assert [s.name for s in under_tg263(output(*labels), site_table()).structures] == list(labels)


def test_a_bundle_with_a_word_of_the_site_delivers_a_tg263_structure(tmp_path: Path, settings: Settings) -> None:
    write_phantom(tmp_path / "ct", make_phantom(shape=(96, 90, 84)))

    def run(bundle: Bundle, volume: Volume, *_: object, **__: object) -> BundleOutput:
        mask = np.zeros(volume.array.shape, dtype=np.bool_)
        mask[30:50, 20:60, 25:50] = True
        found = SegmentedStructure("外轮廓-放疗", Region.from_mask(mask))
        return BundleOutput((found,), bundle.algorithm, "cpu", 0.1)

    tools = Tools({b.name: b for b in discover()}, run, names=load_aliases(settings.contour.aliases))
    done = process_folder(tmp_path / "ct", tmp_path / "out", settings, tools, Journal())

    assert [job.status for job in done.jobs] == ["findings"]
    [rtstruct] = (d for d in map(dcmread, (tmp_path / "out").rglob("*.dcm")) if d.Modality == "RTSTRUCT")
    assert [r.ROIName for r in rtstruct.StructureSetROISequence] == ["Body"]


def test_a_structure_with_a_name_of_the_site_is_judged_by_its_limits(collection: Path, tmp_path: Path) -> None:
    case = export_case(collection, "pt_1", tmp_path / "case")
    foreign = renamed(dcmread(case.rtstruct), "SpinalCord", "myelon ctv1")

    table = histograms(foreign, case.rtdose)
    sets = limits_for("nasopharynx")

    assert verdicts_of(table, sets, 35, 70.0)["myelon ctv1"] == ()
    own = StructureTable({"SpinalCord": found(table, "myelon ctv1")}, {})
    expected = verdicts_of(own, sets, 35, 70.0)["SpinalCord"]
    assert expected and verdicts_of(table, sets, 35, 70.0, site_table())["myelon ctv1"] == expected


def test_an_assessment_knows_the_names_of_the_site(collection: Path, tmp_path: Path) -> None:
    case = export_case(collection, "pt_1", tmp_path / "case")
    foreign = renamed(dcmread(case.rtstruct), "SpinalCord", "myelon ctv1")
    reference = scan([case.ct[0].parent]).stacks[0]

    done = [
        assess(foreign, [case.rtdose], reference, made_at=datetime(2026, 3, 4), options=AssessOptions(names=names))
        for names in (None, site_table())
    ]

    assert [{s.name: s.tg263 for s in d.structures}["myelon ctv1"] for d in done] == ["", "SpinalCord"]


def test_a_name_means_its_structure_only_with_the_aliases() -> None:
    assert (tg263_of("myelon ctv1"), tg263_of("myelon ctv1", site_table())) == ("", "SpinalCord")


def renamed(structures: Dataset, old: str, new: str) -> Dataset:
    structures.SpecificCharacterSet = "ISO_IR 192"
    for roi in structures.StructureSetROISequence:
        if roi.ROIName == old:
            roi.ROIName = new
    return structures


def found(table: StructureTable, name: str) -> Dvh:
    return table.histograms[name]
