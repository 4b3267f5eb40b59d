"""Series of one study help to judge each other, on the command line and in the service: PET and CT, phases, time."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import UID

from qc.image.folder import check_files
from qc.image.monitor import SeriesMonitor
from qc.image.result import CheckResult, Grade, SeriesVerdict
from qc.image.study import is_related
from tests.qc.chest import CHEST, Chest
from tests.qc.pets import PET_CHEST, pet_ct
from tests.synthetic.series import SeriesDescription, series_datasets, write_datasets, write_series

SMALL = SeriesDescription(rows=17, columns=12, planes=9)


def named(description: SeriesDescription, name: str) -> SeriesDescription:
    return replace(description, attributes=(("SeriesDescription", name),))


def result_of(verdicts: list[SeriesVerdict], check_id: str) -> CheckResult:
    return next(r for v in verdicts if (r := v.result(check_id)) is not None)


@pytest.fixture(scope="module")
def pet_and_ct(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], list[Path]]:
    folder = tmp_path_factory.mktemp("pet")
    shifted = pet_ct(21.0).volume
    assert shifted is not None
    pet = write_series(folder / "pet", replace(PET_CHEST, pixels=shifted.array, slope=1.0, seed=3))
    ct = write_series(folder / "ct", replace(CHEST, pixels=Chest().values(CHEST.grid()), seed=4))
    return pet, ct


def test_the_ct_of_a_pet_is_found_among_the_files(pet_and_ct: tuple[list[Path], list[Path]]) -> None:
    pet, ct = pet_and_ct

    together = result_of(check_files([*pet, *ct], "pt_ct"), "pt.ct_align")
    alone = result_of(check_files(pet, "pt_ct"), "pt.ct_align")

    assert together.value == pytest.approx(21.0, abs=2.5)
    assert together.grade is not Grade.PASS
    assert (alone.grade, alone.reason) == (Grade.NOT_EVALUABLE, "series_incomplete")


def test_context_helps_and_is_not_judged(pet_and_ct: tuple[list[Path], list[Path]]) -> None:
    pet, ct = pet_and_ct
    monitor = SeriesMonitor("pt_ct")
    for file in pet:
        monitor.add(file)

    verdict = monitor.close(ct)

    assert verdict.results[0].subject.modality == "PT"
    assert result_of([verdict], "pt.ct_align").value == pytest.approx(21.0, abs=2.5)


def test_a_ct_of_another_frame_of_reference_is_no_companion(
    pet_and_ct: tuple[list[Path], list[Path]], tmp_path: Path
) -> None:
    pet, _ = pet_and_ct
    other = replace(CHEST, pixels=Chest().values(CHEST.grid()), seed=4, attributes=(("FrameOfReferenceUID", "1.2.9"),))

    verdicts = check_files([*pet, *write_series(tmp_path, other)], "pt_ct")

    assert result_of(verdicts, "pt.ct_align").reason == "series_incomplete"


def test_breathing_phases_are_judged_together_and_once(tmp_path: Path) -> None:
    files = [
        write_series(tmp_path / f"{n}", named(replace(SMALL, seed=10 + n), f"4D 胸部 {20 * n}%")) for n in range(5)
    ]
    everything = [f for part in files for f in part]

    complete = check_files(everything, "ct_rt_sim", order={"Phases": "5"})
    short = check_files(everything[: -SMALL.planes], "ct_rt_sim", order={"Phases": "5"})

    assert [r.value for v in complete if (r := v.result("ct.rt.4d")) is not None] == ["complete"]
    assert [r.value for v in short if (r := v.result("ct.rt.4d")) is not None] == ["incomplete"]


def test_the_volumes_of_a_series_in_time_are_told_apart(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    mr = replace(SMALL, modality="MR")
    base = 300 + 200 * rng.random(mr.grid().shape)
    for number in range(9):
        moment = replace(mr, pixels=np.round(base + rng.normal(0, 8, base.shape)).astype(np.int16))
        datasets = series_datasets(moment)
        for plane, dataset in enumerate(datasets):
            dataset.TemporalPositionIdentifier = number + 1
            uid = UID(mr.sop_instance_uid(plane, number))
            dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid
        write_datasets(tmp_path / f"{number}", datasets)

    [verdict] = check_files([tmp_path], "mr_brain")

    [ratio] = [m.value for m in verdict.measurements if m.check_id == "mr.tsnr"]
    assert float(ratio) == pytest.approx(400 / 8, rel=0.25)
    usable = verdict.result("gen.geometry.usable")
    assert usable is not None and usable.value == "four_dimensional"


@pytest.mark.parametrize(
    ("own", "other", "expected"),
    [
        (("PT", "WB"), ("CT", "CTAC"), True),
        (("CT", "CTAC"), ("PT", "WB"), False),
        (("CT", "4D 0%"), ("CT", "4D 50%"), True),
        (("CT", "4D 0%"), ("CT", "肺 50%"), False),
        (("CT", "定位"), ("CT", "定位"), False),
    ],
)
def test_only_series_that_help_are_asked_for(own: tuple[str, str], other: tuple[str, str], expected: bool) -> None:
    assert is_related(*own, *other) is expected
