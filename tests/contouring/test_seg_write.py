"""Segmentations as they are written: readable by others, equal to the mask, the patient's bytes untouched."""

import subprocess
import sys
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import ImplicitVRLittleEndian, RLELossless

from contouring import Roi, lookup, write_seg
from contouring.errors import EmptyStructure, GridMismatch, OverlappingSegments
from contouring.seg_read import read_seg
from contouring.seg_write import SegmentationKind
from imaging.series import scan
from imaging.volume import Region
from tests.conftest import require_program
from tests.contouring.segments import ALGORITHM, MADE_AT, Case, make_case
from tests.synthetic.enhanced import enhanced_ct
from tests.synthetic.series import write_datasets


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return make_case(tmp_path_factory.mktemp("series"))


def written(case: Case, kind: SegmentationKind = "binary", **options: object) -> Dataset:
    return write_seg(case.rois, case.stack, made_at=MADE_AT, algorithm=ALGORITHM, kind=kind, **options)  # type: ignore[arg-type]


def saved(ds: Dataset) -> bytes:
    stream = BytesIO()
    ds.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def masks_by_highdicom(content: bytes, case: Case) -> list[np.ndarray]:
    """Each segment on the grid of the series, through highdicom's own reader."""
    seg = highdicom.seg.Segmentation.from_dataset(pydicom.dcmread(BytesIO(content)))
    frames = seg.get_pixels_by_source_instance(
        [s.sop_instance_uid for s in case.stack.sources], ignore_spatial_locations=True,
        assert_missing_frames_are_empty=True,
    )  # fmt: skip
    return [frames[..., n] > 0 for n in range(frames.shape[-1])]


@pytest.mark.parametrize("kind", ["binary", "labelmap", "fractional"])
def test_highdicom_reads_the_same_masks(case: Case, kind: SegmentationKind) -> None:
    masks = masks_by_highdicom(saved(written(case, kind)), case)

    assert all(np.array_equal(a, b) for a, b in zip(masks[-2:], case.masks.values(), strict=True))


def test_rle_label_map_is_smaller_and_the_same(case: Case) -> None:
    packed = saved(written(case, "labelmap", transfer_syntax_uid=RLELossless))

    masks = masks_by_highdicom(packed, case)

    assert len(packed) < len(saved(written(case, "labelmap"))) / 2
    assert all(np.array_equal(a, b) for a, b in zip(masks, case.masks.values(), strict=True))


def test_equal_arguments_give_equal_bytes(case: Case) -> None:
    assert saved(written(case)) == saved(written(case))


def test_other_settings_give_other_uids(case: Case) -> None:
    first, second = written(case), written(case, settings_digest="other")

    assert first.SOPInstanceUID != second.SOPInstanceUID
    assert first.SeriesInstanceUID != case.stack.series_instance_uid


def test_every_algorithm_of_a_segmentation_is_named_and_counts_for_its_uid(case: Case) -> None:
    other = replace(ALGORITHM, name="second_bundle", version="7.1")
    rois = [case.rois[0], *(replace(r, algorithm=other) for r in case.rois[1:])]

    one, two = written(case), write_seg(rois, case.stack, made_at=MADE_AT, algorithm=ALGORITHM)

    assert one.SeriesDescription == f"AI {ALGORITHM.name} SEG" and two.SeriesDescription == "AI radgate SEG"
    named = [item.SoftwareVersions[1] for item in two.ContributingEquipmentSequence]
    assert named == [f"{ALGORITHM.name} {ALGORITHM.version}", "second_bundle 7.1"]
    assert one.SOPInstanceUID != two.SOPInstanceUID


@pytest.mark.parametrize(("character_set", "encoding"), [("GB18030", "gb18030"), ("ISO_IR 192", "utf-8")])
def test_patient_bytes_are_the_source_bytes(tmp_path: Path, character_set: str, encoding: str) -> None:
    case = make_case(tmp_path, character_set=character_set)

    ds = pydicom.dcmread(BytesIO(saved(written(case))))

    assert ds.get_item("PatientName").value.strip() == "Zhang^San=张^三".encode(encoding)
    assert ds.get_item("StudyDescription").value.strip() == "头颈部".encode(encoding)
    assert ds.SegmentSequence[0].SegmentDescription == "左腮腺; left parotid gland"


def test_chinese_stays_out_where_the_character_set_cannot_say_it(tmp_path: Path) -> None:
    case = make_case(tmp_path, character_set="ISO_IR 100", patient_name="Muller^A", attributes=(
        ("StudyDescription", "neck"), ("SeriesDescription", "CT"),
    ))  # fmt: skip

    ds = pydicom.dcmread(BytesIO(saved(written(case, item_charset=False))))

    assert ds.SegmentSequence[0].SegmentDescription == "left parotid gland"
    assert "SpecificCharacterSet" not in ds.SegmentSequence[0]


def test_frame_positions_repeat_the_source_character_by_character(case: Case) -> None:
    ds = pydicom.dcmread(BytesIO(saved(written(case))))

    sources = {s.sop_instance_uid: h for s, h in zip(case.stack.sources, case.stack.headers, strict=True)}
    for frame in ds.PerFrameFunctionalGroupsSequence:
        source = frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        written_texts = [str(v) for v in frame.PlanePositionSequence[0].ImagePositionPatient]
        assert written_texts == [str(v) for v in sources[source].ImagePositionPatient]


def test_segments_carry_codes_algorithm_and_tracking(case: Case) -> None:
    parotid, cord = written(case).SegmentSequence

    assert parotid.SegmentLabel == "Parotid_L"
    kind = parotid.SegmentedPropertyTypeCodeSequence[0]
    assert (kind.CodeValue, kind.CodingSchemeDesignator) == ("45289007", "SCT")
    assert kind.SegmentedPropertyTypeModifierCodeSequence[0].CodeValue == "7771000"
    assert "SegmentedPropertyTypeModifierCodeSequence" not in cord.SegmentedPropertyTypeCodeSequence[0]
    algorithm = parotid.SegmentationAlgorithmIdentificationSequence[0]
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("test_oar", "1.2.0.4")
    assert "ab" * 32 in algorithm.AlgorithmParameters
    assert parotid.TrackingUID != cord.TrackingUID
    assert parotid.TrackingUID == written(case, "labelmap").SegmentSequence[1].TrackingUID


def test_overlap_is_stated_and_refused_in_a_label_map(case: Case) -> None:
    both = (*case.rois, Roi(3, lookup("Lungs"), case.rois[0].region))
    overlapping = replace(case, rois=both)

    assert written(case).SegmentsOverlap == "NO"
    assert written(overlapping).SegmentsOverlap == "YES"
    with pytest.raises(OverlappingSegments):
        written(overlapping, "labelmap")


def test_all_frames_on_request(case: Case) -> None:
    ds = written(case, omit_empty=False)

    assert ds.NumberOfFrames == 2 * len(case.stack.sources)
    masks = masks_by_highdicom(saved(ds), case)
    assert np.array_equal(masks[1], case.masks["SpinalCord"])


def test_probabilities_are_kept_in_255_steps(case: Case) -> None:
    region = case.rois[1].region
    share = np.linspace(0.3, 1, region.crop.size).reshape(region.crop.shape)
    roi = replace(case.rois[1], number=1, region=replace(region, probability=share))

    ds = written(replace(case, rois=(roi,)), "fractional")

    count = int(ds.NumberOfFrames) * case.stack.grid.rows * case.stack.grid.columns
    values = np.frombuffer(ds.PixelData, np.uint8)[:count].reshape(-1, *case.stack.grid.shape[1:])
    stored = values[(slice(None), *region.box[1:])]
    assert np.abs(stored / 255 - share).max() <= 0.5 / 255 + 1e-9


def test_empty_result_is_no_object(case: Case) -> None:
    nothing = Region.from_mask(np.zeros(case.stack.grid.shape, dtype=np.bool_))

    with pytest.raises(EmptyStructure, match="nothing was found"):
        written(replace(case, rois=(replace(case.rois[0], region=nothing),)))


def test_region_of_another_grid_is_refused(case: Case) -> None:
    foreign = Region.from_mask(np.ones((3, 4, 5), dtype=np.bool_))

    with pytest.raises(GridMismatch):
        written(replace(case, rois=(replace(case.rois[0], region=foreign),)))


def test_gaps_in_the_numbering_are_refused(case: Case) -> None:
    with pytest.raises(ValueError, match="without gaps"):
        written(replace(case, rois=(case.rois[1],)))


def test_another_transfer_syntax_is_written_rightly_by_pydicom(case: Case) -> None:
    """The groups are kept encoded; pydicom must decode them where the encoding changes."""
    ds = written(case)
    ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian

    masks = masks_by_highdicom(saved(ds), case)

    assert np.array_equal(masks[0], case.masks["Parotid_L"])


def test_uneven_and_tilted_stacks_are_written_plane_by_plane(tmp_path: Path) -> None:
    case = make_case(tmp_path, planes=6, steps_mm=(2.0, 3.0, 3.0, 5.0, 2.5), tilt_deg=9.0)

    ds = written(case)

    assert "SpacingBetweenSlices" not in ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert np.array_equal(masks_by_highdicom(saved(ds), case)[1], case.masks["SpinalCord"])


@pytest.mark.interop
def test_frames_of_a_multi_frame_source_are_named(tmp_path: Path) -> None:
    program = require_program("dciodvfy")
    write_datasets(tmp_path, [enhanced_ct()])
    stack = scan([tmp_path]).stacks[0]
    mask = np.zeros(stack.grid.shape, dtype=np.bool_)
    mask[2:5, 8:20, 11:17] = True
    region = Region.from_mask(mask)

    ds = write_seg((Roi(1, lookup("Liver"), region),), stack, made_at=MADE_AT, algorithm=ALGORITHM)
    content = saved(ds)
    (tmp_path / "seg.dcm").write_bytes(content)

    read = pydicom.dcmread(BytesIO(content))
    frames = [
        g.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber
        for g in read.PerFrameFunctionalGroupsSequence
    ]
    assert frames == [s.frame_number for s in stack.sources[2:5]]
    assert len(read.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == 1
    assert np.array_equal(read_seg(read, stack.grid).segments[0].region.mask(), mask)
    run = subprocess.run([program, "-new", str(tmp_path / "seg.dcm")], capture_output=True, check=False)
    assert b"Error" not in run.stderr


@pytest.mark.interop
@pytest.mark.parametrize("kind", ["binary", "fractional"])
def test_dciodvfy_finds_no_error(case: Case, tmp_path: Path, kind: SegmentationKind) -> None:
    program = require_program("dciodvfy")
    written(case, kind).save_as(tmp_path / "seg.dcm", enforce_file_format=True)

    run = subprocess.run([program, "-new", str(tmp_path / "seg.dcm")], capture_output=True, check=False)

    complaints = run.stderr.decode(errors="replace").splitlines()
    assert not [c for c in complaints if c.startswith("Error")]
    assert all("SpecificCharacterSet" in c for c in complaints if c.startswith("Warning"))


@pytest.mark.interop
def test_dciodvfy_finds_a_planted_error(case: Case, tmp_path: Path) -> None:
    program = require_program("dciodvfy")
    ds = written(case)
    del ds.SegmentSequence[0].SegmentAlgorithmType
    ds.save_as(tmp_path / "seg.dcm", enforce_file_format=True)

    run = subprocess.run([program, "-new", str(tmp_path / "seg.dcm")], capture_output=True, check=False)

    assert b"Error" in run.stderr


@pytest.mark.interop
def test_dcmqi_reads_the_same_mask(case: Case, tmp_path: Path) -> None:
    import SimpleITK

    program = Path(sys.executable).with_name("segimage2itkimage")
    if not program.exists():
        pytest.skip("needs dcmqi's segimage2itkimage")
    written(case).save_as(tmp_path / "seg.dcm", enforce_file_format=True)

    subprocess.run(
        [program, "--inputDICOM", tmp_path / "seg.dcm", "--outputDirectory", tmp_path, "-t", "nrrd", "-p", "out"],
        check=True,
        capture_output=True,
    )

    for number, mask in enumerate(case.masks.values(), start=1):
        image = SimpleITK.ReadImage(str(tmp_path / f"out-{number}.nrrd"))
        found = np.argwhere(SimpleITK.GetArrayFromImage(image) > 0)
        points = np.array([image.TransformContinuousIndexToPhysicalPoint([float(v) for v in p[::-1]]) for p in found])
        k, j, i = np.nonzero(mask)
        expected = case.stack.grid.points_lps(k, np.stack([i, j], axis=1))
        assert len(points) == len(expected)
        order_a, order_b = (np.lexsort(np.round(p, 2).T) for p in (points, expected))
        assert np.abs(points[order_a] - expected[order_b]).max() < 0.01


def test_category_codes_are_in_the_dictionary() -> None:
    assert codes.SCT.AnatomicalStructure.value == lookup("Liver").category.value
