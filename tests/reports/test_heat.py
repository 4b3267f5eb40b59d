"""Heat maps as pictures: over the right place, in colours that rise with the value, said to be no outline."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from imaging.pictures import Pictures
from imaging.volume import Region, Volume
from reports.heat import blend_heat
from reports.pictures import heat_pictures
from tests.reports.making import Case


def pixels(png: bytes) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]]":
    return np.asarray(Image.open(BytesIO(png)).convert("RGB"), dtype=float)


def redness(png: bytes) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]]":
    """How much more red than blue: letters and lines are yellow or white at the edges, and left out."""
    image = pixels(png)[60:-60, 60:-60]
    return image[..., 0] - image[..., 2]


def heat_at(volume: Volume, place: tuple[int, int, int]) -> Region:
    """A map that falls off from one place."""
    k, j, i = np.indices(volume.array.shape)
    dk, dj, di = volume.spacing_mm
    distance = np.sqrt(((k - place[0]) * dk) ** 2 + ((j - place[1]) * dj) ** 2 + ((i - place[2]) * di) ** 2)
    values = np.clip(1 - distance / 30, 0, 1).astype(np.float32)
    return Region.from_mask(values > 1 / 3, values)


def test_three_planes_go_through_the_strongest_place(case: Case) -> None:
    place = tuple(n // 3 for n in case.volume.array.shape)

    pictures = heat_pictures(case.volume, heat_at(case.volume, (place[0], place[1], place[2])), "sick")

    assert len(pictures) == 3
    assert len({p.name for p in pictures}) == 3 and all(p.name.startswith("heat_") for p in pictures)
    assert all("no outline" in p.caption_en and "sick" in p.caption_en for p in pictures)
    assert all("不是轮廓" in p.caption_zh for p in pictures)
    assert all(redness(p.png).max() > 80 for p in pictures)


def test_the_map_of_one_plane_is_one_picture_of_that_plane(case: Case) -> None:
    heat = heat_at(case.volume, (1, 8, 9))
    one = Region(heat.crop[:1], heat.start, heat.shape, None if heat.probability is None else heat.probability[:1])

    [picture] = heat_pictures(case.volume, one, "sick")

    assert picture.name.endswith(f"{heat.start[0] + 1:04d}")


def test_without_values_or_voxels_there_is_no_picture(case: Case) -> None:
    nothing = np.zeros(case.volume.array.shape, dtype=bool)

    assert heat_pictures(case.volume, Region.from_mask(nothing, nothing.astype(np.float32)), "sick") == ()
    assert heat_pictures(case.volume, Region.from_mask(~nothing), "sick") == ()


@pytest.mark.parametrize("size", [(40, 60), (80, 30)])
def test_colours_rise_with_the_value_and_leave_what_is_cold_alone(size: tuple[int, int]) -> None:
    canvas = np.full((*size, 3), 90.0, dtype=np.float32)
    heat = np.tile(np.linspace(0, 1, 30), (20, 1))

    blend_heat(canvas, heat)

    assert np.allclose(canvas[:, 0], 90, atol=6)
    assert (np.diff(canvas[size[0] // 2, :, 0]) >= -0.5).all()
    assert canvas[:, -1, 0].min() > canvas[:, -1, 2].max() + 50


def test_a_colour_picture_shows_the_map_at_its_pixels() -> None:
    from types import SimpleNamespace
    from typing import Any, cast

    from reports.colour_pictures import colour_heat

    pictures = Pictures(np.full((3, 60, 90, 3), 100, dtype=np.uint8))
    values = np.zeros(pictures.shape, dtype=np.float32)
    values[1, 10:20, 70:85] = 1.0

    [picture] = colour_heat(
        pictures, Region.from_mask(values > 0.3, values), "B", cast("Any", SimpleNamespace(scores=()))
    )

    image = pixels(picture.png)
    hot = np.argwhere(image[..., 0] - image[..., 2] > 60).mean(axis=0) / image.shape[:2]
    assert picture.name == "heat_picture_0002"
    assert hot == pytest.approx([14.5 / 60, 77 / 90], abs=0.02)
