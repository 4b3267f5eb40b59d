"""Scanning: what becomes a stack, what is left over and why; nothing is lost."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import BasicTextSRStorage, generate_uid

from imaging.errors import (
    DuplicateInstance,
    DuplicatePlanes,
    FourDimensional,
    GantryTilt,
    Localiser,
    MissingAttribute,
    MissingSlices,
    MixedFrameOfReference,
    MixedGrid,
    MixedOrientation,
    MixedPatients,
    NotAnImageStack,
    NotDicom,
    RadgateError,
    TruncatedFile,
)
from imaging.series import Scan, load_volume, scan
from imaging.testing.strategies import PATIENT_POSITIONS, PLANES, oblique_orientation
from tests.synthetic.defects import changed, localiser, shuffled, two_echoes, with_copies, without
from tests.synthetic.series import CHINESE_NAME, SeriesDescription, series_datasets, write_datasets, write_series

DEFAULT = SeriesDescription()
SMALL = SeriesDescription(rows=11, columns=7, planes=5)


def partition(found: Scan) -> list[Path]:
    """Every file of stacks and leftovers, in order of names."""
    stacked = [file for stack in found.stacks for file in dict.fromkeys(stack.files)]
    return sorted(stacked + [file for item in found.leftovers for file in item.files])


def only_reason(folder: Path, datasets: Sequence[Dataset]) -> RadgateError:
    """Reason of the single leftover that a whole series becomes."""
    files = write_datasets(folder, datasets)
    found = scan([folder])
    assert not found.stacks
    assert len(found.leftovers) == 1
    assert partition(found) == sorted(files)
    return found.leftovers[0].reason


@pytest.mark.parametrize(
    "orientation",
    [
        *PATIENT_POSITIONS.values(),
        *PLANES.values(),
        oblique_orientation((20, 0, 0)),
        oblique_orientation((35, -50, 110), 4),
    ],
    ids=[*PATIENT_POSITIONS, *PLANES, "OBL20", "OBL3"],
)
def test_shuffled_series_of_every_orientation_is_read_back_exactly(
    tmp_path: Path, orientation: tuple[float, ...]
) -> None:
    description = replace(SMALL, orientation=orientation)
    write_datasets(tmp_path, shuffled(series_datasets(description)))

    found = scan([tmp_path])
    volume = load_volume(found.stacks[0])

    assert not found.leftovers
    np.testing.assert_array_equal(volume.array, description.values())
    assert volume.grid.is_same_as(description.grid(), tolerance_mm=1e-6)
    assert [s.sop_instance_uid for s in volume.sources] == [description.sop_instance_uid(k) for k in range(5)]


@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
def test_stack_knows_its_series(tmp_path: Path, modality: str) -> None:
    description = replace(DEFAULT, modality=modality)
    files = write_series(tmp_path, description)

    stack = scan([tmp_path]).stacks[0]

    assert stack.modality == modality
    assert stack.files == tuple(files)
    assert stack.series_instance_uid == description.series_instance_uid
    assert stack.study_instance_uid == description.study_instance_uid
    assert stack.frame_of_reference_uid == description.frame_of_reference_uid
    assert str(stack.header.PatientName) == CHINESE_NAME
    assert len(stack.headers) == stack.grid.shape[0]
    assert not any("PixelData" in header for header in stack.headers)


def test_name_in_gb18030_is_read(tmp_path: Path) -> None:
    write_series(tmp_path, replace(SMALL, character_set="GB18030"))

    assert str(scan([tmp_path]).stacks[0].header.PatientName) == CHINESE_NAME


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(seed=st.integers(0, 1000))
def test_order_and_names_of_files_do_not_matter(tmp_path: Path, seed: int) -> None:
    for folder in ("plain", "mixed"):
        shutil.rmtree(tmp_path / folder, ignore_errors=True)
    write_series(tmp_path / "plain", SMALL)
    write_datasets(tmp_path / "mixed", shuffled(series_datasets(SMALL), seed))

    plain, mixed = (scan([tmp_path / folder]).stacks[0] for folder in ("plain", "mixed"))

    assert plain.id == mixed.id
    np.testing.assert_array_equal(load_volume(plain).array, load_volume(mixed).array)


def test_other_planes_give_another_id(tmp_path: Path) -> None:
    write_series(tmp_path / "a", SMALL)
    write_datasets(tmp_path / "b", without(series_datasets(SMALL), 4))

    assert scan([tmp_path / "a"]).stacks[0].id != scan([tmp_path / "b"]).stacks[0].id


def test_series_are_told_apart_in_one_folder(tmp_path: Path) -> None:
    for modality in ("CT", "MR", "PT"):
        write_series(tmp_path / modality, replace(SMALL, modality=modality))
    write_series(tmp_path / "deep" / "er", replace(SMALL, seed=2))

    found = scan([tmp_path])

    assert [s.modality for s in found.stacks].count("CT") == 2
    assert len(found.stacks) == 4
    assert not found.leftovers


def test_folder_of_everything_is_partitioned_exactly(tmp_path: Path) -> None:
    datasets = series_datasets(SMALL)
    report = changed(datasets, 0, SOPClassUID=BasicTextSRStorage, SOPInstanceUID=generate_uid(), PixelData=None)[0]
    del report.Rows
    files = write_datasets(tmp_path / "series", [*datasets, localiser(SMALL), report])
    files += write_series(tmp_path / "deep" / "other", replace(SMALL, seed=3))
    for name, content in (
        ("empty", b""),
        ("notes.txt", b"not an image"),
        ("DICM", bytes(128) + b"DICM"),
        ("é 文", b"\0" * 400),
    ):
        (tmp_path / name).write_bytes(content)
        files.append(tmp_path / name)
    (tmp_path / "cut.dcm").write_bytes(files[2].read_bytes()[:-3])
    (tmp_path / "copy.dcm").write_bytes(files[1].read_bytes())
    seen: list[tuple[int, int]] = []

    found = scan([tmp_path], progress=lambda done, total: seen.append((done, total)))

    assert partition(found) == sorted([*files, tmp_path / "cut.dcm", tmp_path / "copy.dcm"])
    assert len(found.stacks) == 2
    assert seen == [(n, len(files) + 2) for n in range(1, len(files) + 3)]
    reasons = sorted(type(item.reason).__name__ for item in found.leftovers)
    assert reasons == sorted(
        ["NotDicom"] * 3 + ["TruncatedFile"] * 2 + ["DuplicateInstance", "Localiser", "NotAnImageStack"]
    )


def test_file_named_twice_is_read_once(tmp_path: Path) -> None:
    files = write_series(tmp_path, SMALL)

    found = scan([tmp_path, files[0], tmp_path])

    assert partition(found) == sorted(files)


def test_path_that_does_not_exist_is_the_callers_mistake(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        scan([tmp_path / "nothing"])


@pytest.mark.parametrize(
    ("first", "others"),
    [
        ({"PatientID": "ID210"}, {"PatientID": "OTHER"}),
        ({"PatientID": "ID210"}, {"PatientID": ""}),
        ({"PatientID": "", "PatientName": "王^小东"}, {"PatientID": "", "PatientName": "李^小东"}),
    ],
)
def test_slices_of_two_patients_are_no_series(tmp_path: Path, first: dict[str, str], others: dict[str, str]) -> None:
    datasets = series_datasets(SMALL)
    for number, dataset in enumerate(datasets):
        for keyword, value in (first if number < 2 else others).items():
            setattr(dataset, keyword, value)
    files = write_datasets(tmp_path, datasets)

    found = scan([tmp_path])

    assert not found.stacks
    assert [type(item.reason) for item in found.leftovers] == [MixedPatients]
    assert "ID210" not in str(found.leftovers[0].reason)
    assert partition(found) == sorted(files)


def test_slices_without_id_and_name_are_a_series(tmp_path: Path) -> None:
    datasets = series_datasets(SMALL)
    for dataset in datasets:
        dataset.PatientID, dataset.PatientName = "", ""
    write_datasets(tmp_path, datasets)

    assert len(scan([tmp_path]).stacks) == 1


def test_localiser_in_the_series_does_not_stop_the_rest(tmp_path: Path) -> None:
    write_datasets(tmp_path, [localiser(SMALL), *series_datasets(SMALL)])

    found = scan([tmp_path])

    assert load_volume(found.stacks[0]).array.shape == (5, 11, 7)
    assert [type(item.reason) for item in found.leftovers] == [Localiser]


def test_secondary_capture_in_the_series_does_not_stop_the_rest(tmp_path: Path) -> None:
    datasets = series_datasets(SMALL)
    screen = changed(
        datasets, 0, ImageType=["DERIVED", "SECONDARY", "SCREEN SAVE"], SOPInstanceUID=generate_uid(),
        ImagePositionPatient=None, ImageOrientationPatient=None,
    )[0]  # fmt: skip
    write_datasets(tmp_path, [*datasets, screen])

    found = scan([tmp_path])

    assert len(found.stacks[0].files) == 5
    assert [type(item.reason) for item in found.leftovers] == [NotAnImageStack]


@pytest.mark.parametrize(
    ("attributes", "kind"),
    [
        ({"ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"]}, MixedOrientation),
        ({"FrameOfReferenceUID": "2.25.77"}, MixedFrameOfReference),
        ({"PixelSpacing": ["1.1", "0.95"]}, MixedGrid),
        ({"Rows": 7, "Columns": 11}, MixedGrid),
        ({"ImagePositionPatient": None}, MissingAttribute),
        ({"ImageOrientationPatient": None}, MissingAttribute),
        ({"PixelSpacing": None}, MissingAttribute),
        ({"ImagePositionPatient": ["1", "2"]}, MissingAttribute),
        ({"PixelSpacing": ["0", "1"]}, MissingAttribute),
        ({"Columns": None}, MissingAttribute),
        ({"SOPInstanceUID": "2.25.5"}, None),
    ],
)
def test_one_deviating_plane_refuses_the_series_with_its_type(
    tmp_path: Path, attributes: dict[str, object], kind: type[RadgateError] | None
) -> None:
    datasets = changed(series_datasets(SMALL), 3, **attributes)
    if kind is None:
        write_datasets(tmp_path, datasets)
        assert len(scan([tmp_path]).stacks) == 1
        return

    reason = only_reason(tmp_path, datasets)

    assert type(reason) is kind
    if kind is MissingAttribute:
        keyword = reason.fields["keyword"]
        assert keyword in attributes
        assert keyword in reason.message


def test_orientation_within_rounding_is_one_stack(tmp_path: Path) -> None:
    cosines = [f"{c + 0.00004:.6f}" for c in SMALL.orientation]
    write_datasets(tmp_path, changed(series_datasets(SMALL), 2, ImageOrientationPatient=cosines))

    assert len(scan([tmp_path]).stacks) == 1


def test_second_instance_at_one_position_refuses_the_series(tmp_path: Path) -> None:
    reason = only_reason(tmp_path, with_copies(series_datasets(SMALL), 1))

    assert type(reason) is DuplicatePlanes
    assert len(reason.fields["sop_instance_uids"]) == 2


def test_two_echoes_are_four_dimensional_and_named(tmp_path: Path) -> None:
    reason = only_reason(tmp_path, two_echoes(SMALL))

    assert type(reason) is FourDimensional
    assert reason.fields["keyword"] == "EchoTime"
    assert "EchoTime" in reason.message


def test_acquisitions_at_all_positions_are_four_dimensional(tmp_path: Path) -> None:
    datasets = with_copies(series_datasets(SMALL), *range(5))

    reason = only_reason(tmp_path, changed(datasets, *range(5, 10), AcquisitionNumber=2))

    assert type(reason) is FourDimensional
    assert reason.fields["keyword"] == "AcquisitionNumber"


def test_identical_copy_is_one_instance(tmp_path: Path) -> None:
    files = write_series(tmp_path, SMALL)
    shutil.copy(files[2], tmp_path / "again.dcm")

    found = scan([tmp_path])

    assert len(found.stacks[0].files) == 5
    assert [type(item.reason) for item in found.leftovers] == [DuplicateInstance]
    assert len(partition(found)) == 6


def test_one_uid_with_two_contents_refuses_the_series(tmp_path: Path) -> None:
    datasets = series_datasets(SMALL)

    reason = only_reason(tmp_path, [*datasets, *changed(datasets, 2, KVP="80")[2:3]])

    assert type(reason) is DuplicateInstance


def test_missing_slice_is_a_stack_that_is_refused_on_loading_with_its_position(tmp_path: Path) -> None:
    write_datasets(tmp_path, without(series_datasets(DEFAULT), 7))

    stack = scan([tmp_path]).stacks[0]

    with pytest.raises(MissingSlices, match=r"5\.000 mm after slice 7 of 18"):
        load_volume(stack)


def test_uneven_and_tilted_series_are_stacks_with_every_plane_in_place(tmp_path: Path) -> None:
    uneven = replace(SMALL, steps_mm=(2.0, 3.0, 3.0, 5.0))
    tilted = replace(SMALL, tilt_deg=10.0, seed=2)
    for name, description in (("uneven", uneven), ("tilted", tilted)):
        write_series(tmp_path / name, description)
        stack = scan([tmp_path / name]).stacks[0]
        assert stack.grid.is_same_as(description.grid(), tolerance_mm=1e-6)

        with pytest.raises((MissingSlices, GantryTilt)) as refusal:
            load_volume(stack)

        assert type(refusal.value) is (MissingSlices if name == "uneven" else GantryTilt)


def test_unreadable_file_is_left_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = write_series(tmp_path, SMALL)
    open_file = Path.open

    def forbidding(self: Path, *options: Any) -> IO[Any]:
        if self == files[0]:
            raise PermissionError("not for you")
        return open_file(self, *options)

    monkeypatch.setattr(Path, "open", forbidding)

    assert [type(item.reason) for item in scan([tmp_path]).leftovers] == [NotDicom]


def test_dangling_link_is_left_over(tmp_path: Path) -> None:
    (tmp_path / "link.dcm").symlink_to(tmp_path / "gone.dcm")

    found = scan([tmp_path])

    assert partition(found) == [tmp_path / "link.dcm"]
    assert type(found.leftovers[0].reason) is NotDicom


def test_leftover_names_series_study_and_modality(tmp_path: Path) -> None:
    write_datasets(tmp_path, with_copies(series_datasets(SMALL), 1))

    leftover = scan([tmp_path]).leftovers[0]

    assert leftover.series_instance_uid == SMALL.series_instance_uid
    assert leftover.study_instance_uid == SMALL.study_instance_uid
    assert leftover.modality == "CT"


def test_messages_and_logs_hold_no_patient_data(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    secret = "Geheim^Name"
    datasets = series_datasets(replace(SMALL, patient_name=secret), attributes=(("ImageComments", secret),))
    for file in write_datasets(tmp_path / secret, datasets)[:1]:
        file.write_bytes(file.read_bytes().replace(b"1.1\\0.9 ", b"Geheim^N").replace(b"20260304", b"Geheim^N"))
    other = series_datasets(replace(SMALL, patient_name=secret, seed=2))
    write_datasets(tmp_path / "b", with_copies(other, 1))
    (tmp_path / secret / f"{secret}.txt").write_text(secret)

    found = scan([tmp_path])

    assert {type(item.reason) for item in found.leftovers} == {MissingAttribute, DuplicatePlanes, NotDicom}
    assert "Geheim" not in caplog.text
    for item in found.leftovers:
        assert secret not in f"{item.reason} {item.reason.fields} {item.reason.__cause__}"


def test_cut_slice_is_seen_beside_its_series(tmp_path: Path) -> None:
    files = write_series(tmp_path, SMALL)
    files[4].write_bytes(files[4].read_bytes()[:-2])

    found = scan([tmp_path])

    assert len(found.stacks[0].files) == 4
    assert [type(item.reason) for item in found.leftovers] == [TruncatedFile]
    assert found.leftovers[0].series_instance_uid == found.stacks[0].series_instance_uid
