"""Image quality beside the path of a study: it sees everything, holds nobody up, and its death costs no image."""

import json
import os
import signal
import time
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import UID, DigitalXRayImageStorageForPresentation
from sqlalchemy import Engine

from dicom_gateway.quality.board import read_board, read_series
from dicom_gateway.quality.record import ARRIVING, AT_REST, keep_judgement
from dicom_gateway.quality.worker_process import Bench
from dicom_gateway.settings import Peer, Quality, Settings
from dicom_gateway.store import Store
from dicom_gateway.store.quality_tables import alert, judged_series, point
from imaging.provenance import deterministic_uid
from tests.dicom_gateway.quality_site import ct, hook, judged, mailed, observing, rows, series_of, stored
from tests.e2e.peers import wait_for
from tests.qc.bad_input import BAD_INPUT, BadInput
from tests.qc.bodies import TRUNK, Body
from tests.qc.chest import CHEST, Chest
from tests.qc.pets import PET_CHEST, pet_ct
from tests.qc.test_planar import film_dataset
from tests.synthetic.phantoms import Phantom, phantom_description
from tests.synthetic.series import CHINESE_NAME, series_datasets, write_datasets

__all__ = ["mailed"]

ON_BOARD_S = 5.0
"""Longest time from the instance that shows a fault to the board (issue of image quality)."""


def test_a_series_is_judged_while_it_arrives_and_finally_when_its_study_is_complete(
    settings: Settings, engine: Engine, store: Store
) -> None:
    finals: list[str] = []
    datasets = ct(shift_mm=40.0)
    with observing(settings, engine, store, on_final=finals.append) as observer:
        stored(store, datasets[:9])
        early = wait_for("a word", series_of(engine, lambda r: r.grade == "FAIL" and r.provisional == 1), 30)
        stored(store, datasets[9:])
        observer.completed(datasets[0].StudyInstanceUID)
        final = wait_for("the verdict", series_of(engine, lambda r: r.provisional == 0), 30)
        wait_for("the word", lambda: finals, 5)

    assert early.planes <= 9 and early.closed is None
    assert final.planes == 12 and final.closed is not None
    assert finals == [datasets[0].SeriesInstanceUID]
    [found] = [r for r in rows(engine, alert) if r.cause == "positioning"]
    assert found.state == "confirmed" and found.first_seen <= final.closed
    assert (settings.store.root / "pictures" / f"{found.findings[0]['picture']}.png").is_file()
    values = {p.check_id: p.value for p in rows(engine, point)}
    assert values["ct.truncation"] == pytest.approx(final_value(final, "ct.truncation"))
    assert CHINESE_NAME not in json.dumps([list(r) for r in rows(engine, judged_series)], ensure_ascii=False)


def final_value(row: Any, check_id: str) -> float:
    return next(float(r["value"]) for r in row.verdict["results"] if r["check_id"] == check_id)


def test_kill_9_of_the_process_costs_no_image_and_the_series_is_judged_all_the_same(
    settings: Settings, engine: Engine, store: Store
) -> None:
    datasets = ct(metal_radius_mm=6.0)
    with observing(settings, engine, store) as observer:
        stored(store, datasets[:5])
        wait_for("a first word", series_of(engine, lambda r: r.planes >= 5), 30)
        pid = observer.worker_pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        stored(store, datasets[5:])
        wait_for("all planes", series_of(engine, lambda r: r.planes == 12), 60)
        assert observer.worker_pid not in {None, pid}

    assert len(store.instances(study_uid=datasets[0].StudyInstanceUID)) == 12


def test_storing_goes_on_while_image_quality_hangs(settings: Settings, engine: Engine, store: Store) -> None:
    datasets = ct(planes=8)
    with observing(settings, engine, store) as observer:
        wait_for("the process", lambda: observer.worker_pid, 30)
        assert observer.worker_pid is not None
        os.kill(observer.worker_pid, signal.SIGSTOP)
        started = time.monotonic()
        stored(store, datasets)
        elapsed = time.monotonic() - started
        os.kill(observer.worker_pid, signal.SIGKILL)

    assert elapsed < 2.0
    assert len(store.instances(study_uid=datasets[0].StudyInstanceUID)) == 8


def test_what_an_earlier_run_left_open_is_taken_up(settings: Settings, engine: Engine, store: Store) -> None:
    datasets = ct()
    with observing(settings, engine, store):
        stored(store, datasets)
        wait_for("a word", series_of(engine, lambda r: r.planes == 12), 30)

    with observing(settings, engine, store):
        assert wait_for("the verdict", series_of(engine, lambda r: r.closed is not None), 30).grade == "PASS"


def warmed(engine: Engine, store: Store) -> None:
    """Wait until the process has judged something: a service has done so long before a patient comes."""
    stored(store, ct(replace(TRUNK, seed=9), planes=1))
    wait_for("the process", series_of(engine, lambda r: r.planes == 1), 60)


def mixed_up(datasets: list[Dataset]) -> list[Dataset]:
    """In the order of their names, as a folder is sent: 1, 10, 11, ..., 2, 20."""
    return [datasets[n] for n in sorted(range(len(datasets)), key=str)]


def missing_of(row: Any) -> Any:
    return next((r for r in row.verdict["results"] if r["check_id"] == "gen.geometry.missing"), None)


@pytest.mark.parametrize("association", ["", "a1"])
def test_a_gap_in_images_that_came_mixed_up_is_told_when_their_sender_rests_and_withdrawn_when_it_is_filled(
    settings: Settings, engine: Engine, store: Store, association: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while the sender keeps its connection, as most scanners do."""
    monkeypatch.setattr("dicom_gateway.quality.observer.RHYTHM", 1.0)
    datasets = ct(planes=24)
    sent = mixed_up([d for n, d in enumerate(datasets) if n not in {11, 12}])
    with observing(settings, engine, store):
        warmed(engine, store)
        stored(store, sent, association)
        last = time.time()
        at_rest = wait_for("a word at rest", series_of(engine, lambda r: r.provisional == AT_REST), 30)
        found = [a for a in rows(engine, alert) if a.cause == "transfer"]
        stored(store, datasets[11:13], association)
        wait_for("more", series_of(engine, lambda r: r.planes == 24 and r.provisional == AT_REST), 30)
        [filled] = [a for a in rows(engine, alert) if a.cause == "transfer"]

    assert missing_of(at_rest)["value"] == 2 and at_rest.closed is None
    assert at_rest.verdict["provisional"] and all(r["provisional"] for r in at_rest.verdict["results"])
    assert [(a.state, a.grade) for a in found] == [("open", "FAIL")]
    assert found[0].first_seen - last < ON_BOARD_S
    assert filled.state == "withdrawn"


@pytest.mark.parametrize(("exposure", "cause"), [(2000, "exposure_high"), (80, "exposure_low")])
def test_a_chest_film_exposed_five_times_wrongly_is_on_the_board_and_goes_out(
    settings: Settings, engine: Engine, store: Store, mailed: list[Any], exposure: int, cause: str
) -> None:
    film = film_dataset()
    film.SOPClassUID = film.file_meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    film.file_meta.MediaStorageSOPInstanceUID = film.SOPInstanceUID
    film.Modality, film.ExposureIndex, film.TargetExposureIndex = "DX", str(exposure), "400"
    with hook() as (address, heard):
        told_to = Quality(
            webhooks=(address,), smtp_host="mail.example", mail_from="radgate@example", mail_to=("dr@example",)
        )
        with observing(replace(settings, quality=told_to), engine, store):
            warmed(engine, store)
            stored(store, [film])
            last = time.time()
            wait_for("both messages", lambda: heard and mailed, 30)
            with engine.connect() as connection:
                board = read_board(connection)

    [found] = [a for a in board.alerts if a["series_uid"] == film.SeriesInstanceUID]
    assert (found["cause"], found["grade"]) == (cause, "FAIL")
    assert found["first_seen"] - last < ON_BOARD_S
    [finding] = found["findings"]
    assert (settings.store.root / "pictures" / f"{finding['picture']}.png").is_file()
    assert "mAs" in finding["action"]["zh"] and "mAs" in finding["action"]["en"]
    assert (heard[0]["cause"], heard[0]["findings"][0]["check_id"]) == (cause, "dx.di")
    assert cause in mailed[0]["Subject"] and "mAs" in mailed[0].get_content()


def test_a_series_that_arrives_has_no_grade_on_the_board_until_all_of_it_was_checked(engine: Engine) -> None:
    seen = []
    for grade, at_rest in (("PASS", False), ("NOT_EVALUABLE", False), ("FAIL", False), ("PASS", False), ("PASS", True)):
        keep_judgement(engine, {**judged(grade, checks=()), "at_rest": at_rest})
        with engine.connect() as connection:
            board, one = read_board(connection), read_series(connection, "1.2.3")
        assert one is not None and one.row["is_awaited"] == board.series[0]["is_awaited"]
        seen.append((board.series[0]["is_awaited"], {g: n for g, n in board.counts.items() if n}))

    assert seen == [(True, {}), (True, {}), (False, {"FAIL": 1}), (True, {}), (False, {"PASS": 1})]


def test_a_sender_that_keeps_its_connection_is_not_at_rest(
    settings: Settings, engine: Engine, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dicom_gateway.quality.observer.REST_S", 0.3)
    monkeypatch.setattr("dicom_gateway.quality.observer.REST_CONNECTED_S", 60.0)
    with observing(settings, engine, store) as observer:
        wait_for("the process", lambda: observer.worker_pid, 30)
        stored(store, ct(planes=8), association="a1")
        wait_for("a word", series_of(engine, lambda r: r.planes == 8), 30)
        time.sleep(1.5)
        [connected] = rows(engine, judged_series)
        observer.closed("a1")
        wait_for("a word at rest", series_of(engine, lambda r: r.provisional == AT_REST), 30)

    assert connected.provisional == ARRIVING


def test_a_pause_of_a_sender_that_has_gone_since_makes_nobody_wait(
    settings: Settings, engine: Engine, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dicom_gateway.quality.observer.RHYTHM", 1000.0)
    datasets = ct(planes=12)
    with observing(settings, engine, store) as observer:
        wait_for("the process", lambda: observer.worker_pid, 30)
        stored(store, datasets[:6], association="a1")
        time.sleep(0.2)
        stored(store, datasets[6:], association="a1")
        observer.closed("a1")
        wait_for("a word at rest", series_of(engine, lambda r: r.provisional == AT_REST), 20)


def test_a_verdict_at_rest_becomes_the_final_one_without_a_second_look_and_a_few_planes_have_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = write_datasets(tmp_path, ct(planes=8))
    looks: list[int] = []
    judge = Bench._final

    def counted(bench: Bench, monitor: Any, context: Any) -> Any:
        looks.append(monitor.planes)
        return judge(bench, monitor, context)

    monkeypatch.setattr(Bench, "_final", counted)
    bench = Bench([], tmp_path / "pictures")
    (tmp_path / "pictures").mkdir()

    def say(kind: str, *new: Path) -> dict[str, Any]:
        return bench.answer({"kind": kind, "series": "1.2", "files": [str(f) for f in new], "context": []})

    say("look", *files[:4])
    few = say("rest")
    say("look", *files[4:7])
    rest, again, more, final = say("rest"), say("rest"), say("look", files[7]), say("close")

    assert few["kind"] == "ignored"
    assert rest["at_rest"] and not more["at_rest"] and not final["at_rest"]
    assert rest["verdict"] == again["verdict"] and rest["verdict"]["provisional"]
    assert not final["verdict"]["provisional"] and final["planes"] == 8
    assert looks == [7, 8]


def test_objects_that_are_no_images_are_left_alone(settings: Settings, engine: Engine, store: Store) -> None:
    plan = ct(planes=1)[0]
    plan.Modality = "RTSTRUCT"
    del plan.PixelData
    with observing(settings, engine, store) as observer:
        stored(store, [plan])
        stored(store, ct(replace(TRUNK, seed=7), planes=3))
        observer.completed(plan.StudyInstanceUID)
        wait_for("the images", series_of(engine, lambda r: r.closed is not None), 30)

    assert {r.modality for r in rows(engine, judged_series)} == {"CT"}


def test_bad_input_is_on_the_board_and_the_service_goes_on(settings: Settings, engine: Engine, store: Store) -> None:
    sent: dict[str, BadInput] = {}
    with observing(settings, engine, store) as observer:
        for name, bad in BAD_INPUT.items():
            datasets = bad.make()
            uids = [deterministic_uid("test bad input", f"{name} {n}") for n in range(len(datasets) + 2)]
            for dataset, sop_uid in zip(datasets, uids[2:], strict=True):
                dataset.StudyInstanceUID, dataset.SeriesInstanceUID = uids[:2]
                dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = UID(sop_uid)
            stored(store, datasets)
            sent[uids[1]] = bad
            observer.completed(uids[0])
        last = ct(replace(TRUNK, seed=3))
        stored(store, last)
        observer.completed(last[0].StudyInstanceUID)
        wait_for("all verdicts", lambda: sum(r.closed is not None for r in rows(engine, judged_series)) > len(sent), 90)
        pid = observer.worker_pid

    found = {r.series_uid: r for r in rows(engine, judged_series)}
    assert found[last[0].SeriesInstanceUID].grade == "PASS" and pid is not None
    assert {uid: found[uid].grade for uid in sent} == {uid: bad.grade for uid, bad in sent.items()}
    told = {a.series_uid: json.dumps(a.findings) for a in rows(engine, alert) if a.grade == "FAIL"}
    assert not [bad.names for uid, bad in sent.items() if bad.names and bad.names not in told.get(uid, "")]
    with engine.connect() as connection:
        board = read_board(connection)
    assert len(board.series) == len(sent) + 1
    assert {r["not_judged"] for r in board.series if r["grade"] == "NOT_EVALUABLE"} == {"secondary_capture"}


@pytest.mark.parametrize(
    ("wanted", "profile"), [((), "ct_base"), (("pt_ct", "ct_head"), "ct_head"), (("mg",), "ct_base")]
)
def test_profile_that_a_sender_has_for_a_modality_is_taken(
    tmp_path: Path, wanted: tuple[str, ...], profile: str
) -> None:
    d = replace(TRUNK, planes=5, intercept=0.0)
    files = write_datasets(tmp_path, series_datasets(replace(d, pixels=Body().values(d.grid()))))
    request = {"kind": "look", "series": "2.25.1", "files": [str(f) for f in files], "profiles": wanted}
    bench = Bench([], tmp_path)

    answers = [bench.answer(request), bench.answer({**request, "kind": "close", "files": [], "context": []})]

    assert [a["verdict"]["profile_id"] for a in answers] == [profile, profile]


def test_profiles_of_a_peer_go_with_its_images(settings: Settings, engine: Engine, store: Store) -> None:
    mine = replace(settings, peers=(Peer("CT2"), Peer("CT1", qc_profiles=("pt_ct", "ct_head"))))
    with observing(mine, engine, store):
        stored(store, ct(planes=5))
        found = wait_for("a word", series_of(engine, lambda r: r.planes == 5), 30)

    assert found.profile == "ct_head"


# What is written down


def test_pictures_are_drawn_for_every_kind_of_place(tmp_path: Path) -> None:
    import numpy as np
    from PIL import Image

    from qc.image.place import Scene, place_picture

    plane = np.arange(60 * 90).reshape(60, 90) % 900 - 400
    scout = (np.array([0.0, 2.5, 7.5, 10.0]), np.full((4, 90), 200, dtype=np.int16))
    axes = (np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0]))
    scene = Scene(plane, (1.2, 0.8), "CT", axes, scout)
    gap = [{"kind": "slices", "p_mm": [5.0]}]

    missing = Image.open(BytesIO(place_picture(scene, gap, "gen.geometry.missing")))
    plain = Image.open(BytesIO(place_picture(Scene(plane, (1.2, 0.8), "MR"), [], "mr.x")))
    side = Image.open(BytesIO(place_picture(scene, [{"kind": "side", "side": "L"}], "ct.truncation")))
    box = Image.open(
        BytesIO(place_picture(scene, [{"kind": "box_px", "rows": [5, 20], "columns": [5, 30]}], "gen.pixel.x"))
    )

    assert missing.size[1] == plain.size[1] == 300 and missing.size[0] > plain.size[0]
    red = np.array(missing)[:, -20, :].astype(int)
    assert ((red[:, 0] > 180) & (red[:, 1] < 80)).any()
    assert np.array(side)[150, missing.size[0] - 430 : missing.size[0] - 424].size  # drawn without an error
    assert box.size == missing.size


def test_the_box_of_a_finding_lies_on_its_pixels_in_a_wide_picture_too() -> None:
    import numpy as np
    from PIL import Image

    from qc.image.place import Scene, place_picture

    plane = np.zeros((40, 200))
    plane[10:20, 50:80] = 100.0
    where = [{"kind": "box_px", "rows": [10, 20], "columns": [50, 80]}]

    picture = np.array(Image.open(BytesIO(place_picture(Scene(plane, (1.5, 0.5), "DX"), where, "dx.x")))).astype(int)

    bright = np.argwhere(picture.min(axis=2) > 150)
    red = np.argwhere((picture[:, :, 0] > 180) & (picture[:, :, 1] < 80))
    assert picture.shape[1] == 420 or picture.shape[0] == 300
    assert (red.min(axis=0) <= bright.min(axis=0)).all() and (red.max(axis=0) >= bright.max(axis=0)).all()
    assert (bright.min(axis=0) - red.min(axis=0)).max() < 12


def test_a_phantom_that_arrives_is_measured_followed_and_not_judged_as_a_patient(
    settings: Settings, engine: Engine, store: Store
) -> None:
    datasets = series_datasets(phantom_description(Phantom(hu_shift=9.0), step_mm=12.0))
    with observing(settings, engine, store) as observer:
        stored(store, datasets)
        observer.completed(datasets[0].StudyInstanceUID)
        final = wait_for("the verdict", series_of(engine, lambda r: r.closed is not None), 60)

    assert (final.profile, final.grade) == ("phantom_water", "FAIL")
    assert {p.check_id: p.profile for p in rows(engine, point)}["phantom.water.noise"] == "phantom_water"
    [found] = [a for a in rows(engine, alert) if a.state == "confirmed"]
    assert (found.cause, found.findings[0]["action"]["operator"]) == ("phantom", "physicist")


def test_a_pet_is_judged_with_the_ct_of_its_study(settings: Settings, engine: Engine, store: Store) -> None:
    shifted = pet_ct(21.0).volume
    assert shifted is not None
    name = (("SeriesDescription", "PET-CT WB"),)
    pet = series_datasets(replace(PET_CHEST, pixels=shifted.array, seed=3, attributes=name))
    chest = series_datasets(replace(CHEST, pixels=Chest().values(CHEST.grid()), seed=4))
    with observing(settings, engine, store) as observer:
        stored(store, [*pet, *chest])
        observer.completed(pet[0].StudyInstanceUID)
        final = wait_for("the verdict", series_of(engine, lambda r: r.modality == "PT" and r.closed is not None), 60)

    [aligned] = [r for r in final.verdict["results"] if r["check_id"] == "pt.ct_align"]
    assert aligned["value"] == pytest.approx(21.0, abs=2.5)
    assert final.profile == "pt_ct" and aligned["grade"] in {"WARN", "FAIL"}
