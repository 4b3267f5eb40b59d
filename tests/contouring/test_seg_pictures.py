"""A segmentation of pictures has no frame of reference: each frame names the picture whose pixels it is."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from contouring.errors import GridMismatch
from contouring.names import lookup
from contouring.roi import Roi
from contouring.seg_write import SegmentationKind, write_seg
from imaging.picture_scan import with_pictures
from imaging.pictures import PictureSeries
from imaging.provenance import Algorithm
from imaging.series import scan
from imaging.volume import Region
from tests.conftest import require_program
from tests.synthetic.pictures import coloured, write_pictures

MADE_AT = datetime(2026, 3, 4, 15, 6, 7, tzinfo=UTC)


def the_series(folder: Path, **changes: Any) -> PictureSeries:
    write_pictures(folder, **changes)
    [series] = with_pictures(scan([folder])).pictures
    return series


def red_and_green() -> list[Roi]:
    """Two structures; the first is not on every picture."""
    red, green = coloured()[..., 0] > 200, coloured()[..., 1] > 150
    red[1] = False
    return [Roi(1, lookup("Bone"), Region.from_mask(red)), Roi(2, lookup("Liver"), Region.from_mask(green))]


def written(series: PictureSeries, kind: SegmentationKind = "binary") -> Dataset:
    return write_seg(red_and_green(), series, made_at=MADE_AT, algorithm=Algorithm("a", "1"), kind=kind)


@pytest.mark.parametrize("kind", ["ES", "XC", "GM", "ES video", "SC frames"])
def test_every_frame_is_the_pixels_of_the_picture_that_it_names(tmp_path: Path, kind: str) -> None:
    series = the_series(tmp_path, kind=kind, multi_frame=" " in kind)

    seg = written(series)

    bits = np.unpackbits(np.frombuffer(seg.PixelData, dtype=np.uint8), bitorder="little")
    places = {(s.sop_instance_uid, s.frame_number): k for k, s in enumerate(series.sources)}
    found = np.zeros((2, *series.shape), dtype=bool)
    for number, frame in enumerate(seg.PerFrameFunctionalGroupsSequence):
        [derivation] = frame.DerivationImageSequence
        [image] = derivation.SourceImageSequence
        plane = places[str(image.ReferencedSOPInstanceUID), image.get("ReferencedFrameNumber")]
        segment = int(frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
        size = seg.Rows * seg.Columns
        found[segment - 1, plane] = bits[number * size : (number + 1) * size].reshape(seg.Rows, seg.Columns)
        assert image.SpatialLocationsPreserved == "YES"
        assert frame.FrameContentSequence[0].InStackPositionNumber == plane + 1
    assert (seg.Rows, seg.Columns) == (40, 56)
    for roi, mask in zip(red_and_green(), found, strict=True):
        assert np.array_equal(roi.region.mask(), mask)
    assert seg.NumberOfFrames == 5


def test_the_index_of_a_frame_is_the_number_of_its_picture_where_earlier_ones_have_none(tmp_path: Path) -> None:
    [red, _] = red_and_green()

    seg = write_seg([red], the_series(tmp_path), made_at=MADE_AT, algorithm=Algorithm("a", "1"))

    contents = [frame.FrameContentSequence[0] for frame in seg.PerFrameFunctionalGroupsSequence]
    assert [c.InStackPositionNumber for c in contents] == [1, 3]
    assert [list(c.DimensionIndexValues) for c in contents] == [[1, 1], [1, 3]]


def test_nothing_in_it_is_a_place_or_a_size_in_the_patient(tmp_path: Path) -> None:
    seg = written(the_series(tmp_path))

    keywords = {element.keyword for element in seg.iterall()}
    assert not keywords & {
        "FrameOfReferenceUID",
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "PixelSpacing",
        "SliceThickness",
        "PositionReferenceIndicator",
    }
    assert str(seg.PatientName) == "Zhang^San=张^三"


def test_equal_arguments_give_equal_bytes(tmp_path: Path) -> None:
    first, second = (written(the_series(tmp_path / name)) for name in "ab")
    paths = [tmp_path / "1.dcm", tmp_path / "2.dcm"]

    for seg, path in zip((first, second), paths, strict=True):
        seg.save_as(path, enforce_file_format=True)

    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_a_label_map_of_pictures_has_a_frame_for_each_picture(tmp_path: Path) -> None:
    seg = written(the_series(tmp_path), "labelmap")

    labels = np.frombuffer(seg.PixelData, dtype=np.uint8)[: 3 * 40 * 56].reshape(3, 40, 56)
    for roi in red_and_green():
        assert np.array_equal(labels == roi.number, roi.region.mask())


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    roi = Roi(1, lookup("Bone"), Region.from_mask(np.ones((3, 56, 40), dtype=bool)))

    with pytest.raises(GridMismatch):
        write_seg([roi], the_series(tmp_path), made_at=MADE_AT, algorithm=Algorithm("a", "1"))


@pytest.mark.interop
@pytest.mark.parametrize("kind", ["ES", "GM", "ES video"])
def test_another_program_finds_no_error(tmp_path: Path, kind: str) -> None:
    program = require_program("dciodvfy")
    path = tmp_path / "seg.dcm"

    written(the_series(tmp_path / "pictures", kind=kind, multi_frame=" " in kind)).save_as(
        path, enforce_file_format=True
    )

    said = subprocess.run([program, str(path)], capture_output=True, text=True, check=False).stderr
    assert "Segmentation" in said
    assert "Error" not in said
