"""A series outside a bundle's declared range is told why, sentence by sentence."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

import monai_bundles as mb
from imaging.headers import PixelLocation
from imaging.series import Stack
from imaging.testing.phantom import make_phantom
from imaging.volume import SourceInstance, Volume
from monai_bundles.bundle import Accepts
from tests.monai_bundles.making import GRIDS, make_volume


def stack_of(volume: Volume, **attributes: Any) -> Stack:
    header = Dataset()
    header.Modality = attributes.pop("Modality", "CT")
    for keyword, value in attributes.items():
        setattr(header, keyword, value)
    planes = volume.array.shape[0]
    return Stack(
        grid=volume.grid,
        sources=(SourceInstance("1.2.840.10008.5.1.4.1.1.2", "1.2.3", "1.2.4"),) * planes,
        files=(Path("a.dcm"),) * planes,
        headers=(header,) * planes,
        pixels=(PixelLocation("1.2.840.10008.1.2.1", 0, 0),) * planes,
    )


@pytest.fixture
def volume() -> Volume:
    return make_volume(GRIDS["oblique sagittal"]())


@pytest.fixture
def bundle() -> mb.Bundle:
    """The shipped bundle with a range of the test's own, in which the planted volume lies."""
    accepts = Accepts(
        modalities=("CT",),
        units=("[hnsf'U]",),
        body_parts=("HEAD", "NECK"),
        min_planes=10,
        max_slice_spacing_mm=3.0,
        max_pixel_spacing_mm=2.0,
        min_extent_mm=(30.0, 25.0, 35.0),
    )
    return replace(mb.find("ct_body_segmentation"), accepts=accepts)


def test_a_series_within_the_range_fits(bundle: mb.Bundle, volume: Volume) -> None:
    assert mb.misfits(bundle, stack_of(volume), volume) == ()
    assert mb.misfits(bundle, stack_of(volume, BodyPartExamined="HEADNECK"), volume) == ()


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"modalities": ("MR",)}, "modality is CT"),
        ({"units": ("1",)}, "values are in"),
        ({"min_planes": 15}, "14 slices"),
        ({"max_slice_spacing_mm": 2.6}, "2.70 mm apart"),
        ({"max_pixel_spacing_mm": 1.8}, "1.90 mm"),
        ({"min_extent_mm": (40.0, 25.0, 35.0)}, "height of 36 mm"),
        ({"min_extent_mm": (30.0, 31.0, 35.0)}, "depth of 30 mm"),
        ({"min_extent_mm": (30.0, 25.0, 39.0)}, "width of 38 mm"),
        ({"shows": "head_neck"}, "does not show a head"),
    ],
)
def test_each_limit_has_its_sentence(bundle: mb.Bundle, volume: Volume, changes: dict[str, Any], word: str) -> None:
    narrower = replace(bundle, accepts=replace(bundle.accepts, **changes))

    sentences = mb.misfits(narrower, stack_of(volume), volume)

    assert len(sentences) == 1
    assert word in sentences[0]


def test_another_body_part_is_told_without_quoting_the_header(bundle: mb.Bundle, volume: Volume) -> None:
    sentences = mb.misfits(bundle, stack_of(volume, BodyPartExamined="KNEE OF MR ZHANG"), volume)

    assert len(sentences) == 1
    assert "ZHANG" not in sentences[0]


def test_the_shipped_network_takes_a_head_and_refuses_a_chest() -> None:
    bundle = mb.find("head_neck_ct_oar_segmentation")
    whole = make_phantom(shape=(118, 190, 210)).volume
    grid = replace(whole.grid, positions_lps=whole.grid.positions_lps[:60])
    chest = Volume(whole.array[:60], grid, unit=whole.unit)

    assert mb.misfits(bundle, stack_of(whole), whole) == ()
    assert len(mb.misfits(bundle, stack_of(chest), chest)) == 1
