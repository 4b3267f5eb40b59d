"""The spinal canal against drawn vertebrae whose canal is known: gaps, slopes, ends, and bones that are none."""

import numpy as np
import pytest
from numpy.typing import NDArray

from monai_bundles.body.canal import spinal_canal
from monai_bundles.body.coarse import block_means

SPACING_MM = (2.0, 0.9, 1.1)
SHAPE = (90, 150, 140)
MIDDLE = (85.0, 64.0)
HALF_MM = (7.0, 10.0)
"""Of the canal, along posterior and left."""

Ints = NDArray[np.int16]
Bools = NDArray[np.bool_]


def drawn(slope: tuple[float, float] = (0.0, 0.0), *, body: bool = True, fat: bool = False) -> tuple[Ints, Bools]:
    """Vertebrae of 24 mm with their canal: an arch around it for 14 mm, then only facets at its sides, and a disc."""
    hu = np.full(SHAPE, -1000, np.int16)
    truth = np.zeros(SHAPE, bool)
    rows, columns = np.mgrid[: SHAPE[1], : SHAPE[2]].astype(float)
    hu[:, 20:140, 10:130] = 45
    for plane in range(SHAPE[0]):
        z = (plane - SHAPE[0] / 2) * SPACING_MM[0]
        down = (rows - MIDDLE[0]) * SPACING_MM[1] - slope[0] * z
        left = (columns - MIDDLE[1]) * SPACING_MM[2] - slope[1] * z
        canal = (down / HALF_MM[0]) ** 2 + (left / HALF_MM[1]) ** 2 < 1
        wall = (down / (HALF_MM[0] + 4)) ** 2 + (left / (HALF_MM[1] + 4)) ** 2 < 1
        phase = (z + 200) % 24
        vertebra = (down / 14 + (HALF_MM[0] + 14) / 14) ** 2 + (left / 19) ** 2 < 1
        if body:
            hu[plane][vertebra] = 300 if phase < 19 else 95
            ring = wall if phase < 14 else wall & (np.abs(left) > 6) & (down > -3)
            hu[plane][ring] = 600
        else:
            hu[plane][wall] = 900
        hu[plane][canal] = -70 if fat else 25
        truth[plane] = canal
    return hu, truth


def found(hu: Ints) -> Bools:
    """The canal as a mask on the voxels of the image."""
    coarse = block_means(hu, SPACING_MM, 2.5)
    bone = coarse.hu > 150
    crop, start = spinal_canal(coarse, coarse.hu > -500, bone, MIDDLE[1] / coarse.factors[2])
    mask = np.zeros(SHAPE, bool)
    mask[tuple(slice(first, first + size) for first, size in zip(start, crop.shape, strict=True))] = crop
    return mask


def dice(a: Bools, b: Bools) -> float:
    return float(2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b)))


@pytest.mark.parametrize("slope", [(0.0, 0.0), (0.35, -0.1), (-0.3, 0.2)])
def test_the_canal_is_followed_through_gaps_between_arches(slope: tuple[float, float]) -> None:
    hu, truth = drawn(slope)

    mask = found(hu)

    assert dice(mask, truth) > 0.93
    assert mask.any((1, 2)).sum() > 80
    assert np.count_nonzero(mask & ~truth) < 0.1 * np.count_nonzero(truth)


def test_a_long_bone_has_no_canal() -> None:
    for fat in (True, False):
        hu, _ = drawn(body=False, fat=fat)
        assert not found(hu).any()


def test_fat_between_vertebrae_is_no_canal() -> None:
    hu, _ = drawn(fat=True)
    assert not found(hu).any()


def test_the_canal_ends_where_the_skull_opens() -> None:
    hu, truth = drawn()
    rows, columns = np.mgrid[: SHAPE[1], : SHAPE[2]].astype(float)
    far = np.hypot((rows - 80) * SPACING_MM[1], (columns - 70) * SPACING_MM[2])
    for plane in range(60, SHAPE[0]):
        hu[plane][far < 50] = 900
        hu[plane][far < 45] = 35
        # A vein's opening in the base of the skull, aside of the canal: the path has to go somewhere.
        hu[plane, 70:84, 92:110] = 800
        hu[plane, 73:81, 96:106] = 40

    mask = found(hu)

    assert dice(mask[:60], truth[:60]) > 0.9
    assert not mask[64:].any()


def test_less_than_a_vertebra_and_a_half_is_not_called_a_canal() -> None:
    hu, _ = drawn()
    hu[12:] = np.where(hu[12:] > 100, 45, hu[12:])
    assert not found(hu).any()


def test_an_image_without_bone_has_none() -> None:
    hu = np.full(SHAPE, 40, np.int16)
    assert not found(hu).any()
