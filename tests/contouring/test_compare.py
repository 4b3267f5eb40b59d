"""Comparing sets of structures, and the picture of the difference."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import ImageDraw

from contouring import Roi, lookup
from contouring.compare import (
    OTHER_COLOUR,
    REFERENCE_COLOUR,
    compare_structures,
    draw_difference,
    plane_of_largest_difference,
)
from contouring.errors import GridMismatch
from imaging.series import load_volume
from imaging.volume import Region
from tests.contouring.segments import Case, make_case


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return make_case(tmp_path_factory.mktemp("series"))


def moved(case: Case, columns: int, plane: int | None = None) -> Region:
    mask = case.masks["SpinalCord"].copy()
    where = slice(None) if plane is None else plane
    mask[where] = np.roll(mask[where], columns, axis=-1)
    return Region.from_mask(mask)


def test_structures_of_equal_name_are_compared_and_the_others_listed(case: Case) -> None:
    other = (replace(case.rois[1], region=moved(case, 2)), Roi(7, lookup("Heart"), case.rois[0].region))

    found = compare_structures(case.rois, other, case.stack.grid)

    assert found.agreements["SpinalCord"].dice == pytest.approx(16 / 18)
    assert (found.only_in_reference, found.only_in_other) == (("Parotid_L",), ("Heart",))


def test_the_plane_of_the_largest_difference_is_found(case: Case) -> None:
    assert plane_of_largest_difference(case.rois[1].region, moved(case, 3, plane=9)) == 9
    assert plane_of_largest_difference(case.rois[1].region, case.rois[1].region) == 4 + 12 // 2
    with pytest.raises(GridMismatch):
        plane_of_largest_difference(case.rois[1].region, Region.from_mask(np.ones((2, 3, 4), dtype=np.bool_)))


def test_the_picture_shows_both_contours_in_square_millimetres(case: Case, tmp_path: Path) -> None:
    volume = load_volume(case.stack)

    picture = draw_difference(volume, case.rois[1].region, moved(case, 3, plane=9), title="SpinalCord")

    pixels = np.asarray(picture)
    for colour in (REFERENCE_COLOUR, OTHER_COLOUR):
        assert (pixels == colour).all(axis=2).sum() > 200
    green = np.argwhere((pixels[:-40] == REFERENCE_COLOUR).all(axis=2))
    height, width = green.max(axis=0) - green.min(axis=0)
    # The box has 18 rows of 1.1 mm and 18 columns of 0.9 mm.
    assert height / width == pytest.approx(1.1 / 0.9, rel=0.05)
    picture.save(tmp_path / "difference.png")


def test_the_image_lies_under_the_contours_as_it_is(case: Case) -> None:
    """A bright mark in the first rows and columns of the structure, on its slice alone, is seen at its top left."""
    volume = load_volume(case.stack)
    region = case.rois[1].region
    array = np.zeros_like(volume.array)
    rows, columns = (region.start[axis] for axis in (1, 2))
    plane = plane_of_largest_difference(region, region)
    assert plane != len(array) - 1 - plane
    array[plane, rows + 3 : rows + 6, columns + 3 : columns + 6] = 1000

    pixels = np.asarray(draw_difference(replace(volume, array=array), region, region, window=(0, 1000)))[:-40]

    line = np.argwhere((pixels == REFERENCE_COLOUR).all(axis=2))
    mark = np.argwhere((pixels == 255).all(axis=2)).mean(axis=0)
    share = (mark - line.min(axis=0)) / (line.max(axis=0) - line.min(axis=0))
    assert share == pytest.approx([4.5 / 18, 4.5 / 18], abs=0.03)


def test_the_picture_is_cut_around_a_structure_that_is_higher_than_wide(case: Case) -> None:
    mask = np.zeros(case.stack.grid.shape, dtype=np.bool_)
    mask[6, 4:24, 21:27] = True
    region = Region.from_mask(mask)

    pixels = np.asarray(draw_difference(load_volume(case.stack), region, region))[:-40]

    line = np.argwhere((pixels == REFERENCE_COLOUR).all(axis=2) | (pixels == OTHER_COLOUR).all(axis=2))
    height, width = line.max(axis=0) - line.min(axis=0)
    assert height / width == pytest.approx(20 * 1.1 / (6 * 0.9), rel=0.06)
    assert height > 0.5 * pixels.shape[0], "it fills the picture but for a rim"


def test_contours_that_coincide_are_both_seen(case: Case) -> None:
    picture = draw_difference(load_volume(case.stack), case.rois[1].region, case.rois[1].region)

    pixels = np.asarray(picture)[:-40]
    green, magenta = ((pixels == colour).all(axis=2).sum() for colour in (REFERENCE_COLOUR, OTHER_COLOUR))
    assert 0.75 < green / magenta < 1.33
    # Along each side of the box both colours follow each other: no stretch shows one of them alone.
    edge = np.argwhere((pixels == REFERENCE_COLOUR).all(axis=2))[:, 0].min() + 1
    row = pixels[edge]
    for colour in (REFERENCE_COLOUR, OTHER_COLOUR):
        shown = np.flatnonzero((row == colour).all(axis=1))
        assert len(shown) > 50
        assert np.diff(shown).max() < 20


def test_a_slice_without_one_of_the_contours_says_so(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    region = case.rois[1].region
    longer = region.mask()
    longer[region.start[0] - 1] = longer[region.start[0]]
    written: list[str] = []
    text = ImageDraw.ImageDraw.text

    def kept(self: ImageDraw.ImageDraw, place: tuple[float, float], words: str, **options: object) -> None:
        written.append(words)
        text(self, place, words, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", kept)

    draw_difference(load_volume(case.stack), region, Region.from_mask(longer))
    draw_difference(load_volume(case.stack), Region.from_mask(longer), region)
    draw_difference(load_volume(case.stack), region, region)

    assert written[1:3] == ["reference: no contour on this slice", "other (dashed)"]
    assert written[4:6] == ["reference", "other: no contour on this slice"]
    assert written[7:9] == ["reference", "other (dashed)"]


def test_equal_and_empty_contours_are_drawn_too(case: Case) -> None:
    volume = load_volume(case.stack)
    empty = Region.from_mask(np.zeros(case.stack.grid.shape, dtype=np.bool_))

    assert draw_difference(volume, case.rois[1].region, case.rois[1].region).size[1] > 100
    assert draw_difference(volume, empty, empty, window=(-100, 300)).size[1] > 100
