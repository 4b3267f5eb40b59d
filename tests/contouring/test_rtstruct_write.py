"""What stands in a structure set: identity, references, codes, provenance, texts; and what validators say of it."""

import subprocess
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from contouring import Roi, WrittenRtstruct, grid_of, read_rtstruct, write_rtstruct
from contouring.errors import DuplicateRoiNumber, GridMismatch, ProfileViolation
from imaging.series import Stack, scan
from imaging.volume import Region, SourceInstance
from tests.conftest import require_program
from tests.contouring.cases import ALGORITHM, knotty_mask, roi, stack_of
from tests.synthetic.series import write_series

MADE_AT = datetime(2026, 3, 4, 10, 15, 30)


def written(stack: Stack | None = None, rois: list[Roi] | None = None, **options: Any) -> WrittenRtstruct:
    stack = stack or stack_of()
    rois = rois or [roi(knotty_mask(stack.grid)), roi(knotty_mask(stack.grid)[:, ::-1], 2, "SpinalCord")]
    return write_rtstruct(rois, stack, **{"made_at": MADE_AT, "algorithm": ALGORITHM, **options})


def test_patient_study_and_frame_are_those_of_the_images() -> None:
    stack = stack_of()

    ds = written(stack).dataset

    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "StudyInstanceUID", "StudyDate", "AccessionNumber"):
        assert ds[keyword].value == stack.header[keyword].value
    assert ds.FrameOfReferenceUID == stack.frame_of_reference_uid
    assert ds.StructureSetROISequence[0].ReferencedFrameOfReferenceUID == stack.frame_of_reference_uid
    assert ds.SeriesInstanceUID not in {stack.series_instance_uid, ""}


def test_every_image_is_referenced_in_the_order_of_the_planes() -> None:
    stack = stack_of()

    frame = written(stack).dataset.ReferencedFrameOfReferenceSequence[0]

    series = frame.RTReferencedStudySequence[0].RTReferencedSeriesSequence[0]
    assert series.SeriesInstanceUID == stack.series_instance_uid
    assert [i.ReferencedSOPInstanceUID for i in series.ContourImageSequence] == [
        s.sop_instance_uid for s in stack.sources
    ]


def test_the_result_says_who_made_it_and_that_a_physician_must_look() -> None:
    ds = written().dataset

    assert ds.ApprovalStatus == "UNAPPROVED"
    assert "for review by a physician" in ds.StructureSetDescription
    definition = ds.StructureSetROISequence[0]
    assert definition.ROIGenerationAlgorithm == "AUTOMATIC"
    algorithm = definition.ROIDerivationAlgorithmIdentificationSequence[0]
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == (ALGORITHM.name, ALGORITHM.version)
    assert ALGORITHM.weights_sha256[0] in algorithm.AlgorithmParameters
    assert ALGORITHM.bundle_digest in ds.ContributingEquipmentSequence[0].ContributionDescription


def test_every_algorithm_of_a_structure_set_is_named_and_counts_for_its_uid() -> None:
    stack = stack_of()
    first, second = (roi(knotty_mask(stack.grid), n, name) for n, name in ((1, "Parotid_L"), (2, "SpinalCord")))
    other = replace(ALGORITHM, name="second_bundle", version="7.1", bundle_digest="d" * 64)
    later = replace(other, version="7.2")

    one, two, three = (
        written(stack, [first, replace(second, algorithm=made_by)]).dataset for made_by in (None, other, later)
    )

    texts = [item.ContributionDescription for item in two.ContributingEquipmentSequence]
    assert len(one.ContributingEquipmentSequence) == 1
    assert [ALGORITHM.name in texts[0], "second_bundle 7.1" in texts[1], "d" * 64 in texts[1]] == [True] * 3
    assert "second_bundle 7.1" in two.StructureSetDescription
    assert len({one.SOPInstanceUID, two.SOPInstanceUID, three.SOPInstanceUID}) == 3


def test_names_codes_colours_and_types_are_written() -> None:
    ds = written().dataset

    assert [d.ROIName for d in ds.StructureSetROISequence] == ["Parotid_L", "SpinalCord"]
    assert "腮腺" in ds.StructureSetROISequence[0].ROIDescription
    observation = ds.RTROIObservationsSequence[0]
    assert observation.RTROIInterpretedType == "ORGAN"
    code = observation.RTROIIdentificationCodeSequence[0]
    assert code.SegmentedPropertyTypeModifierCodeSequence[0].CodeMeaning == "Left"
    assert len(ds.ROIContourSequence[0].ROIDisplayColor) == 3


def test_the_same_input_gives_the_same_bytes_and_other_input_another_uid() -> None:
    first, second = written(), written()
    moved = knotty_mask(stack_of().grid)
    moved[3, 20, 20] ^= True

    assert first.encoded == second.encoded
    uids = {
        str(w.dataset.SOPInstanceUID)
        for w in (
            first,
            written(rois=[roi(moved)]),
            written(mode="crack"),
            written(algorithm=replace(ALGORITHM, version="0.1.1")),
            written(settings_digest="x"),
        )
    }
    assert len(uids) == 5
    assert written(made_at=datetime(2027, 1, 1)).dataset.SOPInstanceUID == first.dataset.SOPInstanceUID


@pytest.mark.parametrize("condition", [{}, {"orientation": (0, 1, 0, 0, 0, -1)}, {"planes": 1}])
def test_the_grid_comes_back_out_of_the_object(condition: dict[str, Any]) -> None:
    stack = stack_of(**condition)

    grid = grid_of(written(stack).dataset)

    assert grid is not None
    assert grid.is_same_as(stack.grid)


@pytest.mark.parametrize("condition", [{"tilt_deg": 10.0}, {"planes": 3, "steps_mm": (2.0, 3.0)}])
def test_a_grid_that_one_spacing_cannot_describe_is_left_out(condition: dict[str, Any]) -> None:
    assert grid_of(written(stack_of(**condition)).dataset) is None


def test_an_empty_structure_is_written_without_contours() -> None:
    stack = stack_of()
    empty = roi(np.zeros(stack.grid.shape, dtype=np.bool_), 3, "Heart")

    result = written(stack, [empty, roi(knotty_mask(stack.grid), 4)])

    assert "ContourSequence" not in result.dataset.ROIContourSequence[0]
    assert result.report.rois[0].voxels == 0
    assert read_rtstruct(result.dataset, stack.grid).structures[0].region.voxel_count == 0


def test_references_to_the_segmentation_and_the_predecessor_are_written() -> None:
    ds = written(
        definition_sources={1: ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.3.4.5", 7)},
        predecessor=("1.2.840.10008.5.1.4.1.1.481.3", "1.2.3.9"),
    ).dataset

    source = ds.StructureSetROISequence[0].DefinitionSourceSequence[0]
    assert (source.ReferencedSOPInstanceUID, source.ReferencedSegmentNumber) == ("1.2.3.4.5", 7)
    assert "DefinitionSourceSequence" not in ds.StructureSetROISequence[1]
    assert ds.PredecessorStructureSetSequence[0].ReferencedSOPInstanceUID == "1.2.3.9"


def test_frames_of_a_multi_frame_image_are_named() -> None:
    stack = stack_of()
    sources = tuple(
        SourceInstance("1.2.840.10008.5.1.4.1.1.2.1", "1.2.3.77", s.series_instance_uid, k + 1)
        for k, s in enumerate(stack.sources)
    )
    stack = replace(stack, sources=sources)

    result = written(stack)

    contour = result.dataset.ROIContourSequence[0].ContourSequence[0]
    image = contour.ContourImageSequence[0]
    assert image.ReferencedSOPInstanceUID == "1.2.3.77"
    assert int(image.ReferencedFrameNumber) == 1
    frame = result.dataset.ReferencedFrameOfReferenceSequence[0]
    series = frame.RTReferencedStudySequence[0].RTReferencedSeriesSequence[0]
    assert len(series.ContourImageSequence) == 1
    read = read_rtstruct(result.dataset, stack.grid, images=stack.sources)
    assert all(s.report.wrong_references == 0 for s in read.structures)


CHARACTER_SETS = ["ISO_IR 192", "GB18030", "GBK", "\\ISO 2022 IR 58", "ISO_IR 100", ""]


@pytest.mark.parametrize("character_set", CHARACTER_SETS)
def test_the_patients_name_keeps_its_bytes_in_every_character_set(tmp_path: Path, character_set: str) -> None:
    plain = character_set in {"ISO_IR 100", ""}
    write_series(
        tmp_path,
        planes=3,
        character_set=character_set.split("\\") if "\\" in character_set else character_set,
        patient_name="Mu^Lan" if plain else "Zhang^San=张^三",
        attributes=(("StudyDescription", "neck"), ("SeriesDescription", "CT")) if plain else (),
    )
    stack = scan([tmp_path]).stacks[0]
    before = dcmread(stack.files[0], stop_before_pixels=True).get_item("PatientName")

    result = written(stack)

    after = dcmread(_file(tmp_path / "out", result)).get_item("PatientName")
    assert after is not None
    assert before is not None
    assert after.value == before.value
    description = str(result.dataset.StructureSetROISequence[0].ROIDescription)
    assert description == ("left parotid gland" if plain else "左腮腺") or not plain
    assert (plain and not description.isascii()) is False
    assert ((1, "ROIDescription") in result.report.left_out) == plain


def test_what_was_done_to_a_structure_is_written_without_its_chinese_name_too(tmp_path: Path) -> None:
    write_series(tmp_path, planes=3, character_set="ISO_IR 100", patient_name="Mu^Lan",
                 attributes=(("StudyDescription", "neck"), ("SeriesDescription", "CT")))  # fmt: skip
    stack = scan([tmp_path]).stacks[0]
    smooth = replace(roi(knotty_mask(stack.grid)), description="smoothed by 4 mm")

    ds = written(stack, [smooth]).dataset

    assert ds.StructureSetROISequence[0].ROIDescription == "left parotid gland smoothed by 4 mm"


def test_undeclared_bytes_of_a_name_are_kept_as_they_are(tmp_path: Path) -> None:
    """GB18030 without SpecificCharacterSet, as some Chinese systems write."""
    paths = write_series(tmp_path / "in", planes=3, character_set="GB18030", patient_name="Zhang^San=张^三")
    for path in paths:
        ds = dcmread(path)
        name = ds.get_item("PatientName")
        description = ds.get_item("StudyDescription")
        assert name is not None
        assert description is not None
        raw = path.read_bytes()
        head = raw.index(b"\x08\x00\x05\x00CS")
        length = int.from_bytes(raw[head + 6 : head + 8], "little")
        path.write_bytes(raw[:head] + raw[head + 8 + length :])
    stack = scan([tmp_path / "in"]).stacks[0]

    result = written(stack)

    assert "SpecificCharacterSet" not in result.dataset
    assert "张".encode("gb18030") in result.encoded


def _file(folder: Path, result: WrittenRtstruct) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "rtstruct.dcm"
    path.write_bytes(result.encoded)
    return path


@pytest.mark.parametrize(
    ("profile", "syntax"), [("generic", ExplicitVRLittleEndian), ("eclipse", ImplicitVRLittleEndian)]
)
def test_the_transfer_syntax_follows_the_profile(profile: str, syntax: str) -> None:
    assert written(profile=profile).dataset.file_meta.TransferSyntaxUID == syntax


def test_a_contour_too_long_for_explicit_vr_makes_the_object_implicit() -> None:
    stack = stack_of(rows=200, columns=190, planes=2)
    comb = np.zeros(stack.grid.shape, dtype=np.bool_)
    comb[0, 4:190, 3:180:3] = True
    comb[0, 2:4, 3:180] = True
    comb[0, 5:190:2, 4:180:3] = True

    result = written(stack, [roi(comb)], mode="crack")

    assert (
        max(len(c.get_item("ContourData").value) for c in result.dataset.ROIContourSequence[0].ContourSequence) > 65534
    )
    assert result.report.implicit
    assert result.dataset.file_meta.TransferSyntaxUID == ImplicitVRLittleEndian


def test_long_names_and_labels_are_refused_by_profiles_that_cannot_hold_them() -> None:
    stack = stack_of()
    long_name = replace(roi(knotty_mask(stack.grid)).name, tg263="A" * 17)
    rois = [Roi(1, long_name, Region.from_mask(knotty_mask(stack.grid)))]

    with pytest.raises(ProfileViolation, match="16 characters"):
        written(stack, rois, profile="eclipse")
    assert written(stack, rois, profile="generic").report.findings == ()
    with pytest.raises(ProfileViolation, match="StructureSetLabel"):
        written(stack, label="a label of 18 chars")


def test_neighbours_share_their_edge_on_request() -> None:
    stack = stack_of(planes=2)
    columns = np.broadcast_to(np.arange(47), stack.grid.shape)
    left = np.clip(0.5 + 0.2 * (20.3 - columns), 0, 1)
    inner = np.zeros(stack.grid.shape, dtype=np.bool_)
    inner[:, 5:40, 5:38] = True
    regions = [Region((p > 0.5) & inner, (0, 0, 0), stack.grid.shape, p) for p in (left, 1 - left)]
    rois = [
        Roi(n, roi(inner, n, name).name, r) for n, name, r in zip((1, 2), ("Lung_L", "Lung_R"), regions, strict=True)
    ]

    ds = written(stack, rois, shared_edges=True, mode="smooth").dataset

    edges = []
    for item in ds.ROIContourSequence:
        points = np.array([float(v) for v in item.ContourSequence[0].ContourData]).reshape(-1, 3)
        uw = stack.grid.columns_rows(0, points)
        edges.append(uw[np.abs(uw[:, 0] - 20.3) < 0.01])
    assert len(edges[0]) == len(edges[1]) == 35
    with pytest.raises(ValueError, match="probability"):
        written(stack, [roi(inner), roi(inner, 2)], shared_edges=True)


def test_callers_mistakes_are_refused() -> None:
    stack = stack_of()
    mask = knotty_mask(stack.grid)

    with pytest.raises(DuplicateRoiNumber):
        written(stack, [roi(mask, 1), roi(mask, 1)])
    with pytest.raises(GridMismatch):
        written(stack, [roi(mask[1:])])
    with pytest.raises(ValueError, match="no export profile"):
        written(stack, profile="unknown")


def _complaints(path: Path) -> list[str]:
    program = require_program("dciodvfy")
    answer = subprocess.run([program, str(path)], capture_output=True, text=True, errors="replace", check=False)
    assert "RTStructureSet" in answer.stderr
    return [line for line in answer.stderr.splitlines() if line.startswith("Error")]


@pytest.mark.interop
@pytest.mark.parametrize("profile", ["generic", "eclipse"])
@pytest.mark.parametrize("mode", ["crack", "smooth"])
def test_dciodvfy_finds_no_error(tmp_path: Path, profile: str, mode: str) -> None:
    result = written(
        profile=profile,
        mode=mode,
        definition_sources={1: ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.3.4.5", 7)},
        predecessor=("1.2.840.10008.5.1.4.1.1.481.3", "1.2.3.9"),
    )

    assert _complaints(_file(tmp_path, result)) == []


@pytest.mark.interop
def test_dciodvfy_finds_a_planted_error(tmp_path: Path) -> None:
    ds: Dataset = written().dataset
    del ds.StructureSetLabel
    path = tmp_path / "faulty.dcm"
    ds.save_as(path, enforce_file_format=True)

    assert _complaints(path)


@pytest.mark.interop
@pytest.mark.parametrize("holes", ["nested", "keyhole"])
@pytest.mark.parametrize("mode", ["crack", "smooth"])
def test_plastimatch_reads_the_same_voxels(tmp_path: Path, mode: str, holes: str) -> None:
    """An independent reader; it works along patient axes, so the series is axial, and writes MetaImage."""
    program = require_program("plastimatch")
    condition = {"orientation": (1, 0, 0, 0, 1, 0), "origin_lps": (-31.5, 42.25, -117.5)}
    write_series(tmp_path / "ct", **condition)  # type: ignore[arg-type]
    stack = scan([tmp_path / "ct"]).stacks[0]
    mask = knotty_mask(stack.grid)
    path = _file(tmp_path, written(stack, [roi(mask)], mode=mode, holes=holes))
    command = [program, "convert", "--input", str(path), "--referenced-ct", str(tmp_path / "ct")]
    command += ["--xor-contours", "--output-prefix", str(tmp_path / "masks"), "--prefix-format", "mha"]

    subprocess.run(command, capture_output=True, check=True)

    (output,) = (tmp_path / "masks").glob("*.mha")
    theirs = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(output))) > 0
    assert np.array_equal(theirs, mask)
