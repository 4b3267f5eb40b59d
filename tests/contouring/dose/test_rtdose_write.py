"""A written sum: what stands in it, that it reads back equal, and what validators say."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from pydicom.uid import DeformableSpatialRegistrationStorage, SpatialRegistrationStorage

from contouring.dose import read_rtdose
from contouring.dose.accumulate import check_summable, map_dose
from contouring.dose.errors import MixedDoseType
from contouring.dose.radiobiology import Course
from contouring.dose.resample import GridSum, sum_on_grid, union_grid
from contouring.dose.rtdose_write import SumFacts, WrittenDose, _scaling_text, write_rtdose
from tests.conftest import require_program
from tests.contouring.dose.making import FRAME, HFS, dose_dataset, dose_of, errors_of_dciodvfy, grid_around, linear
from tests.synthetic.series import OBLIQUE

MADE_AT = datetime(2026, 3, 4, 10, 15, 30)


def total(alpha_beta_gy: float | None = None, orientation: tuple[float, ...] = OBLIQUE) -> tuple[GridSum, SumFacts]:
    grids = grid_around((3.0, 2.5, 2.2), (9, 12, 10)), grid_around((2.0, 3.1, 2.7), (11, 8, 13), HFS)
    doses = [
        map_dose(
            read_rtdose(dose_dataset(dose_of(linear((0.3, 0.1 * n, -0.2)), g).dose_gy, g, n)),
            FRAME,
            course=Course(20 + n),
        )
        for n, g in enumerate(grids, start=1)
    ]
    grid = union_grid(doses, (np.array(orientation[:3]), np.array(orientation[3:])), FRAME)
    found = sum_on_grid(doses, grid, alpha_beta_gy)
    facts = SumFacts(
        header=doses[0].dose.facts.header,
        source_doses=tuple(d.dose.facts.sop_instance_uid for d in doses),
        plan_uids=found.volume.facts.plan_uids,
        alpha_beta_gy=alpha_beta_gy,
        comment="sum of two",
    )
    return found, facts


def written(alpha_beta_gy: float | None = None, **options: object) -> WrittenDose:
    return write_rtdose(*total(alpha_beta_gy), made_at=MADE_AT)


def test_it_reads_back_equal() -> None:
    found, facts = total()

    read = read_rtdose(write_rtdose(found, facts, made_at=MADE_AT).dataset)

    assert read.grid.is_same_as(found.volume.grid)
    assert np.abs(read.dose_gy - found.volume.dose_gy).max() <= 1e-6 * found.volume.dose_gy.max()


def test_it_says_what_it_is_and_where_it_came_from() -> None:
    _, facts = total()

    ds = written().dataset
    effective = written(3.0).dataset

    assert (ds.DoseType, ds.DoseSummationType, ds.DoseUnits) == ("PHYSICAL", "MULTI_PLAN", "GY")
    assert effective.DoseType == "EFFECTIVE"
    assert "a/b=3" in effective.SeriesDescription
    assert [i.ReferencedSOPInstanceUID for i in ds.ReferencedRTPlanSequence] == list(facts.plan_uids)
    assert [i.ReferencedSOPInstanceUID for i in ds.ReferencedInstanceSequence] == list(facts.source_doses)
    assert ds.PatientName == facts.header.PatientName
    assert len(str(ds.DoseGridScaling)) <= 16
    assert "UNAPPROVED" in ds.SeriesDescription


def test_every_registration_is_named_with_its_own_class() -> None:
    found, facts = total()
    used = (("1.2.3.1", False), ("1.2.3.2", True))

    ds = write_rtdose(found, replace(facts, registrations=used, is_registered=True, is_deformed=True), made_at=MADE_AT)
    swapped = write_rtdose(found, replace(facts, registrations=used[::-1]), made_at=MADE_AT)

    named = [
        (i.ReferencedSOPInstanceUID, i.ReferencedSOPClassUID) for i in ds.dataset.ReferencedSpatialRegistrationSequence
    ]
    assert named == [
        ("1.2.3.1", SpatialRegistrationStorage),
        ("1.2.3.2", DeformableSpatialRegistrationStorage),
    ]
    assert ds.dataset.SpatialTransformOfDose == "NON_RIGID"
    assert len({ds.dataset.SOPInstanceUID, swapped.dataset.SOPInstanceUID, written().dataset.SOPInstanceUID}) == 3
    assert "ReferencedSpatialRegistrationSequence" not in written().dataset


@pytest.mark.interop
def test_dciodvfy_takes_two_registrations(tmp_path: Path) -> None:
    program = require_program("dciodvfy")
    found, facts = total()
    used = replace(facts, registrations=(("1.2.3.1", False), ("1.2.3.2", True)), is_registered=True, is_deformed=True)

    assert errors_of_dciodvfy(program, write_rtdose(found, used, made_at=MADE_AT).dataset, tmp_path) == []


def test_an_effective_dose_cannot_be_added_again() -> None:
    with pytest.raises(MixedDoseType):
        check_summable([read_rtdose(written().dataset), read_rtdose(written(3.0).dataset)])


def test_equal_input_gives_equal_objects() -> None:
    later = write_rtdose(*total(), made_at=datetime(2027, 1, 1)).dataset

    assert written().encoded == written().encoded
    assert later.SOPInstanceUID == written().dataset.SOPInstanceUID
    assert written(3.0).dataset.SOPInstanceUID not in {later.SOPInstanceUID, written(10.0).dataset.SOPInstanceUID}


@pytest.mark.parametrize("largest", [1e-5, 0.7, 2.0, 69.99999, 83.123456789, 1e4])
def test_the_largest_dose_fits_into_the_pixels(largest: float) -> None:
    text = _scaling_text(largest)

    assert len(text) <= 16
    assert largest / float(text) <= 2**31 - 1
    assert largest / float(text) >= 2**31 * 0.999999


@pytest.mark.interop
def test_simpleitk_reads_the_same_values(tmp_path: Path) -> None:
    found, facts = total()
    file = tmp_path / "sum.dcm"
    file.write_bytes(write_rtdose(found, facts, made_at=MADE_AT).encoded)

    image = SimpleITK.ReadImage(str(file))

    values = SimpleITK.GetArrayFromImage(image)
    scale = 1.0 if values.max() < 1000 else float(read_scaling(file))
    assert np.abs(values * scale - found.volume.dose_gy).max() < 1e-4
    assert np.allclose(image.GetOrigin(), found.volume.grid.positions_lps[0], atol=1e-4)


def read_scaling(file: Path) -> float:
    from pydicom import dcmread

    return float(dcmread(file, stop_before_pixels=True).DoseGridScaling)


@pytest.mark.interop
@pytest.mark.parametrize("alpha_beta_gy", [None, 3.0])
def test_dciodvfy_finds_no_error(tmp_path: Path, alpha_beta_gy: float | None) -> None:
    program = require_program("dciodvfy")

    assert errors_of_dciodvfy(program, written(alpha_beta_gy).dataset, tmp_path) == []


@pytest.mark.interop
def test_dciodvfy_would_find_a_missing_type(tmp_path: Path) -> None:
    """The planted fault."""
    program = require_program("dciodvfy")
    ds = written().dataset
    del ds.DoseUnits

    assert errors_of_dciodvfy(program, ds, tmp_path) != []


@pytest.mark.interop
@pytest.mark.parametrize(
    ("plans", "overview", "kind"),
    [
        (2, (), "MULTI_PLAN"),
        (1, (), "PLAN"),
        (1, (("plan 1", 35, 70.0), ("剂量", None, None)), "PLAN_OVERVIEW"),
        (0, (("", None, None),), "PLAN_OVERVIEW"),
    ],
)
def test_a_dose_that_names_no_plan_is_overviewed(
    tmp_path: Path, plans: int, overview: tuple[tuple[str, int | None, float | None], ...], kind: str
) -> None:
    found, facts = total()
    facts = replace(facts, plan_uids=facts.plan_uids[:plans], overview=overview)

    ds = write_rtdose(found, facts, made_at=MADE_AT).dataset

    assert ds.DoseSummationType == kind
    assert len(ds.get("ReferencedRTPlanSequence", ())) == (0 if overview else plans)
    labels = [item.RTPlanLabel for item in ds.get("PlanOverviewSequence", ())]
    assert labels == [label if label.isascii() else "" for label, _, _ in overview]
    assert errors_of_dciodvfy(require_program("dciodvfy"), ds, tmp_path) == []
