"""Block means and refinement against plain computation."""

import numpy as np
import pytest

from monai_bundles.body.coarse import block_means, refine
from tests.monai_bundles.making import planted_image


@pytest.mark.parametrize("shape", [(7, 13, 17), (6, 12, 15)])
def test_block_means_are_means_of_blocks(shape: tuple[int, int, int]) -> None:
    image = planted_image(shape)

    coarse = block_means(image, (1.4, 0.9, 0.8), 2.5)

    assert coarse.factors == (2, 3, 3)
    assert coarse.spacing_mm == pytest.approx((2.8, 2.7, 2.4))
    assert coarse.hu[1, 2, 3] == pytest.approx(image[2:4, 6:9, 9:12].mean())
    assert coarse.hu.shape == tuple(-(-n // f) for n, f in zip(shape, coarse.factors, strict=True))


def test_the_last_block_of_planes_is_the_mean_of_what_there_is() -> None:
    image = planted_image((7, 12, 15))

    coarse = block_means(image, (1.4, 0.9, 0.8), 2.5)

    assert coarse.hu[3, 0, 0] == pytest.approx(image[6, :3, :3].mean())


def test_a_coarse_axis_is_not_averaged() -> None:
    image = planted_image((5, 8, 9))

    coarse = block_means(image, (5.0, 2.4, 3.1), 2.5)

    assert coarse.factors == (1, 1, 1)
    assert np.array_equal(coarse.hu, image)


def test_refine_keeps_the_certain_and_asks_for_the_possible() -> None:
    image = planted_image((7, 13, 17))
    coarse = block_means(image, (1.4, 0.9, 0.8), 2.5)
    rng = np.random.default_rng(3)
    certain, possible = rng.random(coarse.hu.shape) < 0.1, rng.random(coarse.hu.shape) < 0.3

    crop, start = refine(coarse, certain, possible, lambda hu: hu > 100)

    def expanded(
        mask: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        return mask.repeat(2, axis=0).repeat(3, axis=1).repeat(3, axis=2)[:7, :13, :17]

    full = np.zeros(image.shape, dtype=bool)
    full[tuple(slice(s, s + n) for s, n in zip(start, crop.shape, strict=True))] = crop
    assert np.array_equal(full, expanded(certain) | (expanded(possible) & (image > 100)))


def test_nothing_possible_gives_an_empty_mask() -> None:
    coarse = block_means(planted_image((4, 6, 9)), (2.0, 1.0, 1.2), 2.5)
    nothing = np.zeros(coarse.hu.shape, dtype=bool)

    crop, _ = refine(coarse, nothing, nothing, lambda hu: hu > 0)

    assert crop.size == 0
