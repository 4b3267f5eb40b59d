"""What nobody should send is told with its attribute, or not judged; it is never praised, and never ends a program."""

from pathlib import Path

import numpy as np
import pytest

from imaging.provenance import deterministic_uid
from qc.image.folder import check_files
from qc.image.monitor import SeriesMonitor
from qc.image.registry import discover
from qc.image.result import SeriesVerdict
from tests.qc.bad_input import BAD_INPUT, BadInput, ct, film, from_screen
from tests.synthetic.series import write_datasets

PIXELS = {"pixels", "pictures", "image"}


def assert_says(verdict: SeriesVerdict, bad: BadInput) -> None:
    assert verdict.grade == bad.grade
    told = [r for r in verdict.findings() if r.grade == "FAIL"]
    if bad.names:
        assert any(r.cause is not None and bad.names in r.cause.en and r.action is not None for r in told)
    of_pixels = [r for r in verdict.results if discover()[r.check_id].needs & PIXELS]
    assert not [r.check_id for r in verdict.results if r.reason == "error"]
    if bad.reason:
        assert {(str(r.grade), r.reason) for r in of_pixels} <= {("NOT_EVALUABLE", bad.reason)}


@pytest.mark.parametrize("name", BAD_INPUT)
def test_bad_input_is_one_verdict_that_names_the_attribute_or_judges_nothing(name: str, tmp_path: Path) -> None:
    bad = BAD_INPUT[name]
    write_datasets(tmp_path, bad.make())

    (verdict,) = check_files([tmp_path])

    assert_says(verdict, bad)


@pytest.mark.parametrize("name", BAD_INPUT)
def test_bad_input_is_no_other_while_it_arrives(name: str, tmp_path: Path) -> None:
    bad = BAD_INPUT[name]
    monitor = SeriesMonitor()
    for file in write_datasets(tmp_path, bad.make()):
        monitor.add(file)

    so_far, final = monitor.provisional(), monitor.close()

    assert_says(final, bad)
    if bad.names in {"PhotometricInterpretation", "Modality"}:
        assert so_far is not None
        assert so_far.grade == "FAIL"


def test_screens_sent_in_the_series_of_their_images_are_told_apart(tmp_path: Path) -> None:
    datasets = ct(7)
    write_datasets(tmp_path, [*from_screen(datasets[:2]), *datasets[2:]])

    image, screen = check_files([tmp_path])

    assert (image.grade, screen.grade) == ("PASS", "NOT_EVALUABLE")
    assert [v.results[0].subject.planes for v in (image, screen)] == [5, 2]


def test_second_film_of_a_series_is_judged_too(tmp_path: Path) -> None:
    (good,), (bad,) = film(), film(SOPInstanceUID=deterministic_uid("test film", "second"))
    array = bad.pixel_array.copy()
    array[20:140, 20:140] = 4095
    bad.PixelData = array.astype("<u2").tobytes()
    bad.file_meta.MediaStorageSOPInstanceUID = bad.SOPInstanceUID
    write_datasets(tmp_path, [good, bad])

    (verdict,) = check_files([tmp_path])

    clip = verdict.result("dx.clip")
    assert clip is not None
    assert clip.grade in {"WARN", "FAIL"}
    assert float(np.asarray(clip.value)) > 5
