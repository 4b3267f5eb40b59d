"""RTDOSE: what is read where, and everything that is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.uid import RTPlanStorage

from contouring.dose import read_rtdose
from contouring.dose.cautions import high_doses
from contouring.dose.errors import (
    DoseError,
    DoseGridRefused,
    ImpossibleDose,
    MissingDoseScaling,
    NotADose,
    RelativeDose,
    UndecodableDose,
)
from imaging.errors import DuplicatePlanes, MissingAttribute, MixedOrientation, TruncatedFile
from tests.contouring.dose.making import CENTRE, HFS, dose_dataset, dose_of, grid_around, linear
from tests.synthetic.series import OBLIQUE

GRADIENT = (0.31, -0.22, 0.17)


def made(
    orientation: tuple[float, ...] = OBLIQUE, steps: tuple[float, ...] | None = None, bits: int = 32, **attributes: Any
) -> Any:
    grid = grid_around((3.0, 2.5, 2.2), (9, 12, 10), orientation, steps_mm=steps)
    return dose_dataset(dose_of(linear(GRADIENT), grid).dose_gy, grid, bits=bits, **attributes)


def largest_error(read: Any) -> float:
    points = CENTRE + np.random.default_rng(4).uniform(-6, 6, (200, 3))
    sampled = read.sample(points)
    assert sampled.is_known.all()
    assert np.allclose(sampled.gradient_gy_per_mm, GRADIENT, atol=2e-3)
    return float(np.abs(sampled.dose_gy - linear(GRADIENT)(points)).max())


@pytest.mark.parametrize(
    "orientation", [HFS, (1, 0, 0, 0, -1, 0), (0, 1, 0, 0, 0, -1), OBLIQUE], ids=["HFS", "FFP", "SAG", "oblique"]
)
def test_dose_lies_where_the_object_says(orientation: tuple[float, ...]) -> None:
    assert largest_error(read_rtdose(made(orientation))) < 1e-4


def test_sixteen_bits_are_as_good_as_their_step() -> None:
    assert largest_error(read_rtdose(made(bits=16))) < 1e-3


def test_uneven_planes_are_read_at_their_own_positions() -> None:
    steps = (3.0, 2.0, 2.0, 5.0, 3.0, 3.5, 2.5)

    assert largest_error(read_rtdose(made(steps=steps))) < 1e-4


def test_descending_offsets_are_put_in_order() -> None:
    grid = grid_around((3.0, 2.5, 2.2), (9, 12, 10))
    dose = dose_of(linear(GRADIENT), grid).dose_gy
    offsets = grid.plane_positions_mm - grid.plane_positions_mm[-1]

    read = read_rtdose(
        dose_dataset(
            dose[::-1], grid, ImagePositionPatient=[f"{v:.10g}" for v in grid.positions_lps[-1]],
            GridFrameOffsetVector=[f"{v:.8g}" for v in offsets[::-1]],
        )
    )  # fmt: skip

    assert largest_error(read) < 1e-4


@pytest.mark.parametrize("orientation", [HFS, (1, 0, 0, 0, -1, 0)], ids=["upwards", "downwards"])
def test_absolute_offsets_are_z_positions(orientation: tuple[float, ...]) -> None:
    grid = grid_around((3.0, 2.5, 2.2), (9, 12, 10), orientation)
    ds = made(orientation, GridFrameOffsetVector=[f"{v:.10g}" for v in grid.positions_lps[:, 2]])

    assert largest_error(read_rtdose(ds)) < 1e-4


@pytest.mark.parametrize(
    ("attributes", "refusal"),
    [
        ({"DoseUnits": "RELATIVE"}, RelativeDose),
        ({"DoseUnits": None}, RelativeDose),
        ({"DoseGridScaling": None}, MissingDoseScaling),
        ({"DoseGridScaling": "0"}, MissingDoseScaling),
        ({"GridFrameOffsetVector": None}, DoseGridRefused),
        ({"GridFrameOffsetVector": [0, 3, 6]}, DoseGridRefused),
        ({"GridFrameOffsetVector": [1.5 + 3 * n for n in range(8)]}, DoseGridRefused),
        ({"GridFrameOffsetVector": [0, 3, 3, 6, 9, 12, 15, 18]}, DuplicatePlanes),
        ({"NumberOfFrames": 1}, DoseGridRefused),
        ({"ImageOrientationPatient": [1, 0, 0, 0.5, 1, 0]}, MixedOrientation),
        ({"ImagePositionPatient": None}, MissingAttribute),
        ({"PixelSpacing": [0, 1]}, MissingAttribute),
        ({"SOPClassUID": RTPlanStorage}, NotADose),
        ({"PixelData": None}, NotADose),
        ({"PixelData": b"\0\0\0\0"}, UndecodableDose),
    ],
)
def test_refusals_have_names(attributes: dict[str, Any], refusal: type[Exception]) -> None:
    with pytest.raises(refusal) as caught:
        read_rtdose(made(**attributes))

    assert "张" not in str(caught.value)
    assert str(caught.value).endswith(".")


def test_absolute_offsets_of_oblique_planes_are_refused() -> None:
    grid = grid_around((3.0, 2.5, 2.2), (9, 12, 10))

    with pytest.raises(DoseGridRefused, match="not axial"):
        read_rtdose(made(GridFrameOffsetVector=[f"{v:.10g}" for v in grid.positions_lps[:, 2]]))


def test_a_cut_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "dose.dcm"
    made().save_as(file, enforce_file_format=True)
    assert read_rtdose(file).facts.summation_type == "PLAN"
    file.write_bytes(file.read_bytes()[:-500])

    with pytest.raises(TruncatedFile):
        read_rtdose(file)


def test_points_outside_are_unknown_and_not_zero() -> None:
    read = read_rtdose(made())

    sampled = read.sample(CENTRE + np.array([[0.0, 0, 0], [500.0, 0, 0]]))

    assert sampled.is_known.tolist() == [True, False]


def test_negative_doses_are_only_for_differences() -> None:
    ds = made()
    values = np.frombuffer(ds.PixelData, dtype="<i4").copy()
    values[5] = -7
    ds.PixelData, ds.PixelRepresentation = values.tobytes(), 1

    with pytest.raises(UndecodableDose):
        read_rtdose(ds)
    ds.DoseType = "ERROR"
    assert read_rtdose(ds).dose_gy.min() < 0


@pytest.mark.parametrize(("dose_type", "limit_gy"), [("PHYSICAL", 1000), ("ERROR", 1000), ("EFFECTIVE", 3000)])
def test_doses_that_no_treatment_gives_are_refused(dose_type: str, limit_gy: float) -> None:
    ds = made(DoseType=dose_type)
    largest = int(ds.pixel_array.max())

    ds.DoseGridScaling = f"{0.999 * limit_gy / largest:.9e}"
    assert read_rtdose(ds).dose_gy.max() == pytest.approx(0.999 * limit_gy)
    for wrong in (f"{1.5 * limit_gy / largest:.9e}", "1"):
        ds.DoseGridScaling = wrong
        with pytest.raises(ImpossibleDose, match="DoseGridScaling"):
            read_rtdose(ds)
    assert read_rtdose(ds, any_size=True).dose_gy.max() > 50_000


def test_hot_voxels_beside_sources_are_read_and_told() -> None:
    # 14 Gy at 20 mm from each of three sources, by the inverse square of the distance, capped at the source's surface
    grid = grid_around((3.0, 2.5, 2.2), (30, 32, 27))
    sources = [CENTRE + at for at in ((2.0, 1.0, -3.0), (9.0, -4.0, 5.0), (-8.0, 6.0, 11.0))]

    def dose(points: Any) -> Any:
        return sum(14.0 * (20.0 / np.maximum(np.linalg.norm(points - s, axis=1), 0.45)) ** 2 for s in sources)

    values = dose_of(dose, grid).dose_gy
    assert values.max() > 1000
    read = read_rtdose(dose_dataset(values, grid))

    (said,) = high_doses({"A": read})
    assert "brachytherapy" in said and f"{values.max():.0f} Gy" in said
    assert high_doses({"": read_rtdose(made())}) == ()
    # the same dose in cGy as if it were Gy: every voxel within 50 mm of a source is above 1000
    with pytest.raises(ImpossibleDose, match="DoseGridScaling is wrong"):
        read_rtdose(dose_dataset(100 * np.minimum(values, 400), grid))
    # and a single voxel can be too hot for any source
    values[3, 4, 5] = 51_000.0
    with pytest.raises(ImpossibleDose):
        read_rtdose(dose_dataset(values, grid))


def test_a_file_without_pixels_is_no_cut_volume_for_certain(tmp_path: Path) -> None:
    file = tmp_path / "dose.dcm"
    made(PixelData=None).save_as(file, enforce_file_format=True)

    with pytest.raises(NotADose, match="a DVH or points alone, or was cut"):
        read_rtdose(file)


@pytest.mark.parametrize("frame", [None, ""])
def test_a_dose_without_a_frame_of_reference_is_refused_as_that(frame: str | None) -> None:
    with pytest.raises(MissingAttribute, match="names no frame of reference"):
        read_rtdose(made(FrameOfReferenceUID=frame))


def test_every_refusal_is_a_dose_error() -> None:
    assert issubclass(RelativeDose, DoseError)
