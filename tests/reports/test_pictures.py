"""Key images: true shape, outlines in their place, each structure seen."""

import time
from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from contouring.names import lookup
from imaging.geometry import Grid
from imaging.volume import Region, Volume
from reports import Structure, measured_structure
from reports.pictures import FRAME_PX, key_pictures
from tests.reports.making import Case, run_of

RUN = run_of()


def volume_of(shape: tuple[int, int, int], spacing: tuple[float, float, float] = (3.0, 1.4, 0.7)) -> Volume:
    """A body of 30 HU in air, head first supine, with a bright rod at the patient's right front."""
    planes, rows, columns = shape
    positions = np.array([-20.0, 12.0, -300.0]) + np.outer(np.arange(planes) * spacing[0], [0, 0, 1.0])
    grid = Grid(positions, np.array([1.0, 0, 0]), np.array([0, 1.0, 0]), spacing[1:], rows, columns, "1.2.3")
    array = np.full(shape, -1000, dtype=np.int16)
    array[:, rows // 8 : -rows // 8, columns // 8 : -columns // 8] = 30
    array[:, rows // 4 : rows // 4 + rows // 20, columns // 4 : columns // 4 + columns // 20] = 1000
    return Volume(array, grid, unit="[hnsf'U]")


def structure(volume: Volume, name: str, region: Region, number: int = 1) -> Structure:
    return measured_structure(lookup(name), region, volume.grid, run=RUN, study_uid="1.2", number=number)


def block(volume: Volume, low: tuple[float, float, float], high: tuple[float, float, float]) -> Region:
    """A box between two points given as shares of the volume."""
    mask = np.zeros(volume.array.shape, dtype=bool)
    box = [slice(int(a * size), int(b * size)) for a, b, size in zip(low, high, volume.grid.shape, strict=True)]
    mask[tuple(box)] = True
    return Region.from_mask(mask)


def pixels(png: bytes) -> NDArray[Any]:
    return np.asarray(Image.open(BytesIO(png)).convert("RGB")).astype(int)


def near(image: NDArray[Any], colour: tuple[int, int, int]) -> NDArray[np.bool_]:
    return np.asarray(np.abs(image - np.array(colour)).max(axis=2) < 40)


def test_there_are_axial_coronal_and_sagittal_pictures_inside_the_frame(case: Case) -> None:
    pictures = key_pictures(case.volume, case.result.structures)

    kinds = [p.name.split("_")[0] for p in pictures]
    assert kinds[-2:] == ["coronal", "sagittal"]
    assert set(kinds[:-2]) == {"axial"}
    for picture in pictures:
        width, height = Image.open(BytesIO(picture.png)).size
        assert width <= FRAME_PX[0]
        assert height <= FRAME_PX[1]


def test_equal_input_gives_equal_bytes(case: Case) -> None:
    first, second = (key_pictures(case.volume, case.result.structures) for _ in range(2))

    assert first == second


def test_the_patients_right_is_on_the_left_of_an_axial_picture_and_the_front_on_top() -> None:
    volume = volume_of((20, 120, 160))

    picture = pixels(key_pictures(volume, ())[0].png)

    white = np.argwhere((picture > 250).all(axis=2) & (np.indices(picture.shape[:2])[0] > 60))
    row, column = white.mean(axis=0) / picture.shape[:2]
    assert row < 0.45
    assert column < 0.45


def test_the_aspect_is_that_of_the_patient_where_pixels_are_not_square() -> None:
    volume = volume_of((40, 120, 160))  # body 90 x 120 pixels of 1.4 x 0.7 mm: 126 x 84 mm
    body = structure(volume, "Body", block(volume, (0, 0.125, 0.125), (1, 0.875, 0.875)))

    axial = key_pictures(volume, [body])[0]

    found = np.argwhere(near(pixels(axial.png), body.name.colour_rgb))
    height, width = np.ptp(found, axis=0)
    assert height / width == pytest.approx(126 / 84, rel=0.015)


def test_an_outline_lies_on_the_edge_of_its_mask() -> None:
    volume = volume_of((20, 120, 160))
    target = structure(volume, "Parotid_L", block(volume, (0.2, 0.5, 0.5), (0.8, 0.7, 0.6)))

    picture = pixels(key_pictures(volume, [target])[0].png)

    found = np.argwhere(near(picture, target.name.colour_rgb))
    (top, left), (bottom, right) = found.min(axis=0), found.max(axis=0)
    inner = picture[top + 8 : bottom - 8, left + 8 : right - 8]
    assert not near(inner, target.name.colour_rgb).any()
    # 24 rows of 1.4 mm and 16 columns of 0.7 mm
    assert (bottom - top) / (right - left) == pytest.approx(24 * 1.4 / (16 * 0.7), rel=0.1)


def test_each_structure_is_seen_although_they_share_no_plane() -> None:
    volume = volume_of((40, 120, 160))
    places = {"Lens_L": (0.85, 0.9), "Parotid_L": (0.45, 0.6), "Larynx": (0.05, 0.2)}
    found = [
        structure(volume, name, block(volume, (low, 0.4, 0.4), (high, 0.6, 0.55)), number)
        for number, (name, (low, high)) in enumerate(places.items(), start=1)
    ]

    pictures = [p for p in key_pictures(volume, found) if p.name.startswith("axial")]

    assert len(pictures) == 3
    for name in places:
        assert any(name in p.caption_en and lookup(name).zh in p.caption_zh for p in pictures)
    order = [p.caption_en.split(": ")[1] for p in pictures]
    assert order == ["Lens_L", "Parotid_L", "Larynx"]  # from head to foot


def test_structures_of_another_grid_are_not_drawn(case: Case) -> None:
    other = volume_of((20, 60, 80))

    pictures = key_pictures(other, case.result.structures)

    assert all(p.caption_en.endswith("no structure") for p in pictures)


def test_a_planted_mirror_image_would_be_seen() -> None:
    volume = volume_of((20, 120, 160))
    mirrored = replace(volume, array=volume.array[:, :, ::-1])

    straight, turned = (pixels(key_pictures(v, ())[0].png) for v in (volume, mirrored))

    assert np.abs(straight - turned).max() > 100


@pytest.mark.slow
def test_pictures_of_300_planes_and_ten_structures_take_less_than_one_and_a_half_seconds() -> None:
    volume = volume_of((300, 512, 480), (1.0, 0.9, 0.8))
    names = ["Parotid_L", "Parotid_R", "SpinalCord", "Brainstem", "Larynx", "Lens_L", "Lens_R", "Cavity_Oral", "Heart"]
    found = [
        structure(volume, name, block(volume, (n / 12, 0.3, 0.3), (n / 12 + 0.2, 0.6, 0.5)), n + 1)
        for n, name in enumerate(names)
    ]
    found.append(structure(volume, "Body", block(volume, (0, 0.125, 0.125), (1, 0.875, 0.875)), 10))
    key_pictures(volume, found[:1])

    began = time.perf_counter()
    key_pictures(volume, found)

    assert time.perf_counter() - began < 1.5
