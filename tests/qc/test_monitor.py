"""A series while it arrives: what is seen early, what never is, and that the final verdict knows nothing of it."""

import random
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import UID

from qc.image import SeriesVerdict
from qc.image.arrived import is_in_order
from qc.image.folder import check_files
from qc.image.monitor import SeriesMonitor
from qc.image.profile import load_profiles
from qc.image.registry import discover
from qc.image.result import Grade
from tests.qc.bodies import TRUNK, Body
from tests.synthetic.series import CHINESE_NAME, SeriesDescription, series_datasets, write_datasets, write_series

SMALL = SeriesDescription(rows=17, columns=12, planes=6)


def body_files(folder: Path, *, planes: int = 24, **changes: Any) -> list[Path]:
    description = replace(TRUNK, planes=planes, intercept=0.0)
    body = Body(**changes)
    return write_series(folder, replace(description, pixels=body.values(description.grid())))


def alarms(verdict: SeriesVerdict | None) -> dict[str, Grade]:
    assert verdict is not None
    assert verdict.provisional and all(r.provisional for r in verdict.results)
    return {r.check_id: r.grade for r in verdict.findings()}


def arrived(files: list[Path], profile: str = "auto") -> SeriesMonitor:
    monitor = SeriesMonitor(profile)
    for file in files:
        monitor.add(file)
    return monitor


def test_a_gap_is_seen_two_planes_later_and_long_before_the_end(tmp_path: Path) -> None:
    files = body_files(tmp_path)
    sent = [f for n, f in enumerate(files) if n not in {11, 12}]
    monitor = SeriesMonitor("ct_rt_sim")
    seen_after = None
    for count, file in enumerate(sent, start=1):
        monitor.add(file)
        if seen_after is None and "gen.geometry.missing" in alarms(monitor.provisional()):
            seen_after = count

    assert seen_after == 13  # eleven planes, the gap, and two planes beyond it
    verdict = monitor.provisional()
    missing = verdict.result("gen.geometry.missing") if verdict else None
    assert missing is not None and missing.value == 2 and missing.grade is Grade.FAIL
    grid = replace(TRUNK, planes=24).grid()
    assert missing.where[0].data["p_mm"] == pytest.approx(list(grid.plane_positions_mm[[11, 12]]), abs=1e-3)


def test_a_gap_that_is_filled_later_is_no_alarm_any_more(tmp_path: Path) -> None:
    files = body_files(tmp_path)
    monitor = arrived([f for n, f in enumerate(files[:20]) if n not in {11, 12}])
    before = alarms(monitor.provisional())

    monitor.add(files[11])

    assert "gen.geometry.missing" in before
    assert "gen.geometry.missing" not in alarms(monitor.provisional())


def test_planes_that_arrive_mixed_up_raise_no_alarm_of_gaps(tmp_path: Path) -> None:
    files = body_files(tmp_path)
    mixed = files[::2] + files[1:10:2]

    for count in range(1, len(mixed)):
        assert "gen.geometry.missing" not in alarms(arrived(mixed[:count]).provisional())


def test_a_cut_body_is_seen_after_a_few_planes_with_its_side_and_action(tmp_path: Path) -> None:
    files = body_files(tmp_path, shift_mm=40.0)

    verdict = arrived(files[:8], "ct_rt_sim").provisional()

    assert verdict is not None
    cut = verdict.result("ct.truncation")
    assert cut is not None and cut.grade is Grade.FAIL
    assert cut.action is not None and cut.action.now
    assert {w.kind for w in cut.where} == {"slices", "side"}


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"metal_radius_mm": 6.0}, "ct.metal"),
        ({"sigma_hu": 80.0}, "ct.noise.gni"),
        ({"scale_offset_hu": 80.0}, "ct.hu.air"),
    ],
)
def test_defects_of_pixels_are_seen_on_half_of_a_series_and_not_on_a_clean_one(
    tmp_path: Path, changes: dict[str, Any], check: str
) -> None:
    planted = alarms(arrived(body_files(tmp_path / "planted", **changes)[:12]).provisional())
    clean = alarms(arrived(body_files(tmp_path / "clean")[:12]).provisional())

    assert check in planted
    assert not [c for c in clean if c.startswith("ct.")]


def test_one_odd_plane_raises_no_alarm(tmp_path: Path) -> None:
    files = body_files(tmp_path, planes=24)
    odd = body_files(tmp_path / "odd", planes=24, shift_mm=40.0)

    verdict = alarms(arrived([*files[:7], odd[7], *files[8:]]).provisional())

    assert "ct.truncation" not in verdict


def test_checks_that_settle_at_the_end_stay_silent_before_it(tmp_path: Path) -> None:
    verdict = arrived(body_files(tmp_path)[:9]).provisional()

    assert verdict is not None
    specs = discover()
    said = {r.check_id for r in verdict.results}
    assert all(specs[c].settles == "early" or specs[c].by_plane == "ordered" for c in said)
    assert said >= {"gen.geometry.tilt", "ct.truncation", "gen.geometry.missing"}


def test_the_final_verdict_is_the_same_for_200_orders_with_duplicates_and_without_the_monitor(tmp_path: Path) -> None:
    for number, description in enumerate((SMALL, replace(SMALL, tilt_deg=9.0), replace(SMALL, modality="MR"))):
        folder = tmp_path / str(number)
        files = write_series(folder, description)[: 5 if number else 6]
        wanted = max(check_files([folder] if not number else files), key=lambda v: len(v.results)).untimed().to_json()
        shuffler = random.Random(number)
        for turn in range(200 if number == 0 else 20):
            order = files * 2 if turn % 2 else list(files)
            shuffler.shuffle(order)
            monitor = SeriesMonitor()
            for place, file in enumerate(order):
                monitor.add(file)
                if turn % 50 == 3 and place % 4 == 0:
                    monitor.provisional()

            assert monitor.close().untimed().to_json() == wanted


def test_what_stays_of_a_slice_is_less_than_64_kib(tmp_path: Path) -> None:
    attributes = tuple((f"{k}", "text " * 12) for k in ("ImageComments", "StudyComments", "RequestedProcedureComments"))
    description = replace(TRUNK, planes=40, intercept=0.0, attributes=attributes)
    files = write_series(tmp_path, replace(description, pixels=Body().values(description.grid())))
    _ = load_profiles(), discover(), arrived(files[:2]).provisional()
    tracemalloc.start()
    monitor = SeriesMonitor("ct_rt_sim")
    before = tracemalloc.get_traced_memory()[0]
    for file in files:
        monitor.add(file)
    kept = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()

    assert kept / len(files) < 64 * 1024


def test_the_headers_that_stay_say_the_same_as_the_files(tmp_path: Path) -> None:
    datasets = series_datasets(SMALL)
    for ds in datasets:
        ds.add_new(0x00091001, "OB", bytes(5000))
        ds.ImageComments = "x" * 9
    monitor = arrived(write_datasets(tmp_path, datasets))

    verdict = monitor.provisional()
    final = monitor.close()

    assert verdict is not None
    for result in verdict.results:
        other = final.result(result.check_id)
        if result.check_id.startswith("gen.tag") or result.check_id == "gen.geometry.mixed":
            assert other is not None and (other.value, other.grade) == (result.value, result.grade)


def test_unreadable_files_and_other_objects_stop_nothing(tmp_path: Path) -> None:
    files = write_series(tmp_path / "good", SMALL)
    cut, junk = tmp_path / "cut.dcm", tmp_path / "junk"
    cut.write_bytes(files[3].read_bytes()[:-200])
    junk.write_bytes(b"no DICOM at all")
    monitor = SeriesMonitor()

    assert [monitor.add(f) for f in (junk, cut, *files[:3], files[0])] == [True, True, True, True, True, False]

    assert monitor.provisional() is not None
    assert CHINESE_NAME not in str(monitor.provisional())
    assert monitor.close().series_instance_uid == SMALL.series_instance_uid


def test_a_series_of_nothing_readable_is_no_verdict_before_the_end(tmp_path: Path) -> None:
    junk = tmp_path / "junk"
    junk.write_bytes(b"no DICOM at all")
    monitor = arrived([junk])

    assert monitor.provisional() is None
    with pytest.raises(ValueError, match="at least one file"):
        SeriesMonitor().close()


def test_what_only_goes_with_images_has_a_final_word_where_it_comes_alone(tmp_path: Path) -> None:
    description = replace(TRUNK, planes=1, attributes=(("ImageType", ["ORIGINAL", "PRIMARY", "LOCALIZER"]),))
    monitor = arrived(write_series(tmp_path, description))

    assert monitor.close().series_instance_uid


def test_the_place_of_a_finding_leads_to_its_file_and_the_scout_has_a_row_for_each_plane(tmp_path: Path) -> None:
    files = body_files(tmp_path, planes=12)
    monitor = arrived(files)
    scout = monitor.scout()

    assert scout is not None
    p_mm, rows = scout
    assert len(p_mm) == 12 and rows.shape == (12, 256)
    assert monitor.nearest(float(p_mm[7]) + 0.4) == (files[7], None)
    assert rows.max() > 500  # the spine


@pytest.mark.parametrize(("positions", "expected"), [([1, 2, 4], True), ([4, 2, 1], True), ([1, 3, 2], False)])
def test_order_has_one_direction(positions: list[float], expected: bool) -> None:
    assert is_in_order(positions) is expected


def test_a_cut_body_stays_cut_in_the_final_verdict_where_a_gap_leaves_no_volume(tmp_path: Path) -> None:
    files = body_files(tmp_path, shift_mm=40.0)
    monitor = arrived([f for n, f in enumerate(files) if n not in {11, 12}], "ct_rt_sim")

    early, final = monitor.provisional(), monitor.close()

    assert {"ct.truncation", "gen.geometry.missing"} <= set(alarms(early))
    graded = {r.check_id: r.grade for r in final.results}
    assert graded["ct.truncation"] is Grade.FAIL and graded["gen.geometry.missing"] is Grade.FAIL
    assert not final.provisional


def test_an_over_exposed_radiograph_is_seen_with_its_only_instance(tmp_path: Path) -> None:
    dataset = series_datasets(replace(SMALL, rows=120, columns=96, planes=1))[0]
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "FrameOfReferenceUID", "KVP"):
        delattr(dataset, keyword)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.1.1")
    dataset.Modality, dataset.BodyPartExamined = "DX", "CHEST"
    dataset.ExposureIndex, dataset.TargetExposureIndex, dataset.DeviationIndex = "1600", "400", "6.02"
    monitor = arrived(write_datasets(tmp_path, [dataset]))

    early, final = monitor.provisional(), monitor.close()

    assert alarms(early)["dx.di"] is Grade.FAIL
    assert early is not None and early.grade is final.grade is Grade.FAIL
    assert [r.grade for r in final.results if r.check_id == "dx.di"] == [Grade.FAIL]
