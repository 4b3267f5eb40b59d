"""Morphology on coarse masks: sizes in mm, edges, holes."""

import numpy as np
import pytest

from monai_bundles.body.morphology import close, dilate, erode, fill_planes, label_planes, touches_sides

SPACING = (3.0, 2.0, 2.5)


def ball(radius_mm: float) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    k, j, i = np.meshgrid(np.arange(21), np.arange(33), np.arange(29), indexing="ij")
    return (k - 10) ** 2 * 9 + (j - 16) ** 2 * 4 + (i - 14) ** 2 * 6.25 < radius_mm**2


def test_erosion_of_a_ball_is_a_smaller_ball() -> None:
    eroded = erode(ball(20), 6.0, SPACING)

    assert (eroded & ~ball(15.5)).sum() == 0
    assert eroded.sum() == pytest.approx(ball(13.5).sum(), rel=0.25)


def test_dilation_contains_the_mask_and_grows_every_axis_by_the_radius() -> None:
    mask = np.zeros((15, 19, 17), dtype=bool)
    mask[7, 9, 8] = True

    grown = dilate(mask, 6.0, SPACING)

    assert int(grown[:, 9, 8].sum()) == 1 + 2 * 2
    assert int(grown[7, :, 8].sum()) == 1 + 2 * 3
    assert int(grown[7, 9, :].sum()) == 1 + 2 * 2


def test_the_edge_of_the_scan_does_not_erode() -> None:
    mask = np.zeros((10, 20, 16), dtype=bool)
    mask[:, 5:15, 0:10] = True

    eroded = erode(mask, 4.0, SPACING)

    assert eroded[0, 10, 0]
    assert eroded[9, 10, 0]
    assert not eroded[5, 5, 5]


def test_closing_bridges_a_gap_and_adds_nothing_else() -> None:
    mask = np.zeros((9, 40, 30), dtype=bool)
    mask[:, 5:18] = mask[:, 20:35] = True

    closed = close(mask, 4.0, SPACING)

    assert closed[:, 5:35].all()
    assert not closed[:, :5].any()
    assert not closed[:, 35:].any()


def test_a_hole_is_filled_and_an_open_bay_is_not() -> None:
    mask = np.zeros((3, 20, 24), dtype=bool)
    mask[1, 4:16, 4:20] = True
    mask[1, 8:11, 8:12] = False
    mask[1, 12:14, 0:10] = False

    filled = fill_planes(mask)

    assert filled[1, 9, 9]
    assert not filled[1, 12, 6]
    assert not filled[0].any()


def test_parts_of_planes_know_whether_they_touch_the_sides() -> None:
    mask = np.zeros((2, 10, 12), dtype=bool)
    mask[0, 3:5, 3:6] = mask[1, 0:2, 4:6] = mask[1, 5:7, 9:12] = True

    labels, count = label_planes(mask)
    touching = touches_sides(labels, count)

    assert count == 3
    assert not touching[labels[0, 3, 3]]
    assert touching[labels[1, 0, 4]]
    assert touching[labels[1, 5, 11]]
