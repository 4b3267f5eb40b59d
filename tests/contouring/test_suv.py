"""SUV from headers of every kind, refused where the header leaves a doubt; peak, volume and glycolysis of a lesion."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from contouring import read_rtstruct
from contouring.errors import EmptyStructure, SuvRefused
from contouring.suv import SUVBW_UNIT, suv_metrics, suv_scale, suv_volume
from imaging.geometry import Grid
from imaging.series import load_volume, scan
from imaging.volume import Region, Volume
from tests.conftest import data_folder
from tests.synthetic.series import series_datasets, write_series

HALF_LIFE_S = 6586.2
WEIGHT_KG, DOSE_BQ = 61.0, 350e6


def header(**changes: object) -> Dataset:
    ds = series_datasets(modality="PT", planes=2)[0]
    for keyword, value in changes.items():
        target = ds.RadiopharmaceuticalInformationSequence[0] if keyword.startswith("Radio") else ds
        setattr(target, keyword, value)
    return ds


def test_bqml_from_the_start_of_the_series() -> None:
    """Injected 09:15, series at 10:15: an hour of decay."""
    scale = suv_scale([header()])

    assert scale.factor == pytest.approx(WEIGHT_KG * 1000 / (DOSE_BQ * 2 ** (-3600 / HALF_LIFE_S)))
    assert "SeriesTime" in scale.rule


def test_dose_corrected_to_injection_is_not_decayed_again() -> None:
    assert suv_scale([header(DecayCorrection="ADMIN")]).factor == pytest.approx(WEIGHT_KG * 1000 / DOSE_BQ)


def test_injection_before_midnight_is_found() -> None:
    late = header(SeriesTime="003000", AcquisitionTime="003000", RadiopharmaceuticalStartTime="233000")

    assert suv_scale([late]).factor == pytest.approx(WEIGHT_KG * 1000 / (DOSE_BQ * 2 ** (-3600 / HALF_LIFE_S)))


def test_full_date_of_injection_wins_over_the_time_of_day() -> None:
    dated = header(RadiopharmaceuticalStartDateTime="20260304081500.00", RadiopharmaceuticalStartTime="091500")

    assert suv_scale([dated]).factor == pytest.approx(WEIGHT_KG * 1000 / (DOSE_BQ * 2 ** (-7200 / HALF_LIFE_S)))


@pytest.mark.parametrize(
    ("written", "zone"),
    [("20260304001500.00+0000", "+0800"), ("20260304081500+0800", "+0800"), ("20260303191500-0500", "+0800")],
)
def test_an_injection_by_another_clock_is_converted(written: str, zone: str) -> None:
    """All three are 08:15 in China, two hours before the scan; read without their offsets they would be up to 15."""
    dated = header(RadiopharmaceuticalStartDateTime=written, TimezoneOffsetFromUTC=zone)

    assert suv_scale([dated]).factor == pytest.approx(WEIGHT_KG * 1000 / (DOSE_BQ * 2 ** (-7200 / HALF_LIFE_S)))


def test_an_offset_that_cannot_be_related_is_refused_unless_the_clocks_agree() -> None:
    known = {"RadiopharmaceuticalStartDateTime": "20260304081500+0800"}

    with pytest.raises(SuvRefused, match="TimezoneOffsetFromUTC"):
        suv_scale([header(**known, RadiopharmaceuticalStartTime="001500")])
    agreeing = header(**known, RadiopharmaceuticalStartTime="081500")
    assert suv_scale([agreeing]).factor == pytest.approx(WEIGHT_KG * 1000 / (DOSE_BQ * 2 ** (-7200 / HALF_LIFE_S)))


def test_a_dose_in_megabecquerel_is_refused() -> None:
    with pytest.raises(SuvRefused, match="MBq"):
        suv_scale([header(RadionuclideTotalDose=370.0)])


def test_values_that_are_suv_already_stay() -> None:
    assert suv_scale([header(Units="GML")]).factor == 1.0
    assert suv_scale([header(Units="GML", SUVType="BW")]).factor == 1.0


def test_philips_counts_use_their_scale_factor() -> None:
    ds = header(Units="CNTS")
    ds.add_new((0x7053, 0x0010), "LO", "Philips PET Private Group")
    ds.add_new((0x7053, 0x1000), "DS", "0.00042")

    assert suv_scale([ds]).factor == pytest.approx(0.00042)


def test_philips_counts_without_suv_factor_use_the_activity_factor() -> None:
    ds = header(Units="CNTS")
    ds.add_new((0x7053, 0x0010), "LO", "Philips PET Private Group")
    ds.add_new((0x7053, 0x1009), "DS", "3.5")

    assert suv_scale([ds]).factor == pytest.approx(3.5 * suv_scale([header()]).factor)


def test_a_series_made_after_the_scan_uses_the_scanners_own_note() -> None:
    later = header(SeriesTime="150000")
    later.add_new((0x0009, 0x0010), "LO", "GEMS_PETD_01")
    later.add_new((0x0009, 0x100D), "DT", "20260304101500.00")

    assert suv_scale([later]).factor == pytest.approx(suv_scale([header()]).factor)


def without(keyword: str) -> Callable[[], Dataset]:
    def make() -> Dataset:
        ds = header()
        delattr(ds.RadiopharmaceuticalInformationSequence[0] if keyword.startswith("Radion") else ds, keyword)
        return ds

    return make


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (without("PatientWeight"), "PatientWeight"),
        (lambda: header(PatientWeight="0"), "PatientWeight"),
        (without("RadionuclideTotalDose"), "RadionuclideTotalDose"),
        (without("RadionuclideHalfLife"), "RadionuclideHalfLife"),
        (without("RadiopharmaceuticalInformationSequence"), "RadiopharmaceuticalInformationSequence"),
        (lambda: header(CorrectedImage=["DECY"]), "attenuation"),
        (lambda: header(Units="PROPCPS"), "Units"),
        (lambda: header(Units="CNTS"), "counts"),
        (lambda: header(Units="GML", SUVType="LBM"), "LBM"),
        (lambda: header(DecayCorrection="NONE"), "DecayCorrection"),
        (lambda: header(SeriesTime="150000"), "SeriesTime"),
        (lambda: header(RadiopharmaceuticalStartDateTime="20260301091500"), "injection"),
        (lambda: header(RadiopharmaceuticalStartDateTime="20260304111500"), "before the injection"),
    ],
)
def test_a_doubtful_header_is_refused_with_its_attribute(make: Callable[[], Dataset], word: str) -> None:
    with pytest.raises(SuvRefused, match=word):
        suv_scale([make()])


GRID = Grid(
    np.arange(21)[:, None] * np.array([0, 0, 2.5]) + [-20.0, 11.0, 100.0],
    np.array([1.0, 0, 0]), np.array([0, 1.0, 0]), (1.7, 1.9), 37, 41, "1.2.3",
)  # fmt: skip


def test_peak_of_a_hot_ball_is_its_value_and_of_a_hot_voxel_its_share() -> None:
    k, j, i = np.indices(GRID.shape)
    squared = ((k - 10) * 2.5) ** 2 + ((j - 18) * 1.7) ** 2 + ((i - 20) * 1.9) ** 2
    ball = np.where(squared < 15**2, 8.0, 1.0)
    ball[4, 5, 6] = 101.0
    volume = Volume(ball, GRID, unit=SUVBW_UNIT)
    voxel = np.zeros(GRID.shape, dtype=np.bool_)
    voxel[4, 5, 6] = True

    hot, spot = (suv_metrics(Region.from_mask(m), volume) for m in (squared < 15**2, voxel))

    assert (hot.maximum, hot.mean) == (8.0, 8.0)
    assert hot.peak == pytest.approx(8.0)
    assert spot.maximum == 101.0
    # One voxel of 8.075 mm^3 in a sphere of 998 mm^3 whose other values are 1.
    assert spot.peak == pytest.approx(1 + 100 * 8.075 / 998.3, rel=0.02)


def test_the_sphere_of_the_peak_lies_around_its_voxel() -> None:
    """On a ramp the mean of a sphere is the value at its middle, whichever way it rises."""
    k, j, i = np.indices(GRID.shape)
    voxel = np.zeros(GRID.shape, dtype=np.bool_)
    voxel[9, 14, 23] = True
    for ramp in (0.3 * k, 0.3 * j, 0.3 * i):
        volume = Volume(2.0 + ramp, GRID, unit=SUVBW_UNIT)

        assert suv_metrics(Region.from_mask(voxel), volume).peak == pytest.approx(volume.array[9, 14, 23], abs=0.01)


def test_metabolic_volume_and_glycolysis() -> None:
    values = np.full(GRID.shape, 1.0)
    values[5:9, 10:20, 12:20] = 6.0
    values[6:8, 12:18, 14:18] = 10.0
    region = np.zeros(GRID.shape, dtype=np.bool_)
    region[4:10, 8:22, 10:22] = True
    voxel_cc = 2.5 * 1.7 * 1.9 / 1000

    relative = suv_metrics(Region.from_mask(region), Volume(values, GRID, unit=SUVBW_UNIT))
    fixed = suv_metrics(Region.from_mask(region), Volume(values, GRID, unit=SUVBW_UNIT), threshold=7.0)

    assert relative.threshold == pytest.approx(4.1)
    assert relative.metabolic_volume_cc == pytest.approx(320 * voxel_cc)
    assert relative.total_lesion_glycolysis_g == pytest.approx((272 * 6 + 48 * 10) * voxel_cc)
    assert fixed.metabolic_volume_cc == pytest.approx(48 * voxel_cc)


def test_an_image_that_is_not_suv_and_an_empty_lesion_are_refused() -> None:
    values = np.ones(GRID.shape)
    empty = Region.from_mask(np.zeros(GRID.shape, dtype=np.bool_))

    with pytest.raises(SuvRefused):
        suv_metrics(empty, Volume(values, GRID, unit="Bq/ml"))
    with pytest.raises(EmptyStructure):
        suv_metrics(empty, Volume(values, GRID, unit=SUVBW_UNIT))


def test_a_series_becomes_an_image_in_suv(tmp_path: Path) -> None:
    write_series(tmp_path, modality="PT")
    stack = scan([tmp_path]).stacks[0]
    activity = load_volume(stack)

    suv = suv_volume(activity, stack.headers)

    assert suv.unit == SUVBW_UNIT
    assert suv.array == pytest.approx(activity.array * suv_scale(stack.headers).factor, rel=1e-5)


@pytest.mark.data
@pytest.mark.parametrize("patient", ["STS_002", "STS_025"])
def test_a_real_sarcoma_takes_up_more_than_what_is_around_it(patient: str) -> None:
    folder = data_folder("sts_petct") / patient / "PET"
    stack = scan([folder / "image"]).stacks[0]
    volume = suv_volume(load_volume(stack), stack.headers)
    read = read_rtstruct(next((folder / "mask").glob("*.dcm")), stack.grid)

    metrics = suv_metrics(read.structures[0].region, volume)

    assert suv_scale(stack.headers).rule == "values are SUVbw already"
    assert 1 < metrics.mean < metrics.peak <= metrics.maximum < 50
    assert metrics.mean > 2 * float(np.median(volume.array))
