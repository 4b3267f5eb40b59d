"""Enhanced multi-frame objects: the same volume as from single frames, whatever the order of frames."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import RLELossless

from imaging.errors import FourDimensional, MissingAttribute, RadgateError, TruncatedFile
from imaging.series import load_volume, scan
from tests.synthetic.defects import compressed
from tests.synthetic.enhanced import enhanced_ct
from tests.synthetic.series import SeriesDescription, write_datasets

SMALL = SeriesDescription(rows=11, columns=7, planes=5, slope=(1.0, 1.0, 2.0, 1.0, 1.0))
ORDER = (3, 0, 4, 2, 1)


@pytest.mark.parametrize("is_compressed", [False, True])
def test_frames_in_any_order_make_the_volume_of_the_single_frames(tmp_path: Path, is_compressed: bool) -> None:
    description = replace(SMALL, slope=1.0)
    objects = [enhanced_ct(description, ORDER)]
    files = write_datasets(tmp_path, compressed(objects, RLELossless) if is_compressed else objects)

    stack = scan([tmp_path]).stacks[0]
    volume = load_volume(stack)

    np.testing.assert_array_equal(volume.array, description.values())
    assert volume.grid.is_same_as(description.grid(), tolerance_mm=1e-6)
    assert [s.frame_number for s in volume.sources] == [ORDER.index(k) + 1 for k in range(5)]
    assert set(stack.files) == set(files)


def test_header_of_each_plane_has_its_frames_values_at_top_level(tmp_path: Path) -> None:
    write_datasets(tmp_path, [enhanced_ct(SMALL, ORDER)])

    stack = scan([tmp_path]).stacks[0]

    assert [float(h.RescaleSlope) for h in stack.headers] == list(SMALL.slope if isinstance(SMALL.slope, tuple) else ())
    assert [h.TemporalPositionTimeOffset for h in stack.headers] == [ORDER.index(k) + 1.0 for k in range(5)]
    assert str(stack.header.PatientName) == SMALL.patient_name
    assert all("PerFrameFunctionalGroupsSequence" not in h for h in stack.headers)


def _fewer_groups(ds: Dataset) -> None:
    del ds.PerFrameFunctionalGroupsSequence[-1]


def _no_groups(ds: Dataset) -> None:
    del ds.PerFrameFunctionalGroupsSequence


def _no_position(ds: Dataset) -> None:
    del ds.PerFrameFunctionalGroupsSequence[2].PlanePositionSequence


def _two_temporal_positions(ds: Dataset) -> None:
    for number, group in enumerate(ds.PerFrameFunctionalGroupsSequence):
        group.PlanePositionSequence[0].ImagePositionPatient = ["1", "2", "30"]
        group.FrameContentSequence[0].TemporalPositionIndex = number + 1


@pytest.mark.parametrize(
    ("spoil", "kind"),
    [
        (_fewer_groups, TruncatedFile),
        (_no_groups, MissingAttribute),
        (_no_position, MissingAttribute),
        (_two_temporal_positions, FourDimensional),
    ],
)
def test_objects_that_make_no_grid_are_left_over(tmp_path: Path, spoil: object, kind: type[RadgateError]) -> None:
    ds = enhanced_ct(SMALL)
    assert callable(spoil)
    spoil(ds)
    write_datasets(tmp_path, [ds])

    found = scan([tmp_path])

    assert not found.stacks
    assert [type(item.reason) for item in found.leftovers] == [kind]


def test_fewer_frames_of_pixels_than_claimed_are_refused(tmp_path: Path) -> None:
    ds = enhanced_ct(SMALL)
    ds.PixelData = ds.PixelData[: -2 * 77]
    write_datasets(tmp_path, [ds])

    with pytest.raises(TruncatedFile):
        load_volume(scan([tmp_path]).stacks[0])
