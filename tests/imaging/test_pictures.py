"""Pictures come as red, green and blue however they are stored; what is no picture stays a leftover with its reason."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.uid import MPEG4HP41

from imaging import colours
from imaging.colours import load_pictures
from imaging.errors import (
    DuplicateInstance,
    MixedGrid,
    MixedPatients,
    NotAnImageStack,
    TruncatedFile,
    UndecodablePixels,
)
from imaging.picture_scan import with_pictures
from imaging.pictures import Pictures, PictureSeries
from imaging.series import Scan, scan
from tests.synthetic.defects import cut_frame
from tests.synthetic.pictures import STORAGES, WAYS, coloured, picture_datasets, write_pictures, ybr_of
from tests.synthetic.series import write_datasets, write_series

FILMS = {"ES video", "SC frames"}
LOSSLESS = {"RGB", "RGB planes", "PALETTE 8", "PALETTE 16", "JPEG 2000", "RLE"}
NEARLY = {"YBR_FULL": 2, "YBR_FULL planes": 2, "YBR_FULL_422": 2, "JPEG": 40}
"""Largest difference that rounding (or JPEG at an edge) makes; channels that are mixed up differ by 190."""


def the_series(folder: Path) -> PictureSeries:
    """The only series of pictures in a folder that holds nothing else."""
    found = with_pictures(scan([folder]))
    assert not found.stacks
    assert not found.leftovers
    [series] = found.pictures
    return series


def reason_of(folder: Path) -> Exception:
    """Why the only leftover of a folder is none."""
    found = with_pictures(scan([folder]))
    assert found.pictures == ()
    [left] = found.leftovers
    return left.reason


@pytest.mark.parametrize("multi_frame", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_the_same_colours_come_from_every_way_to_store_them(tmp_path: Path, way: str, multi_frame: bool) -> None:
    write_pictures(tmp_path, way=way, multi_frame=multi_frame, kind="ES video" if multi_frame else "ES")

    pictures = load_pictures(the_series(tmp_path))

    assert pictures.shape == (3, 40, 56)
    difference = np.abs(pictures.array.astype(int) - coloured().astype(int))
    assert difference.max() <= (0 if way in LOSSLESS else NEARLY[way])
    assert difference.mean() < 2


@pytest.mark.parametrize("mixed", ["blue first", "not turned", "planes taken for pixels"])
def test_a_mix_up_of_the_channels_would_be_seen(mixed: str) -> None:
    right = coloured()
    wrong = {
        "blue first": right[..., ::-1],
        "not turned": ybr_of(right),
        "planes taken for pixels": right.transpose(0, 3, 1, 2).reshape(right.shape),
    }[mixed]

    assert np.abs(wrong.astype(int) - right.astype(int)).max() > max(NEARLY.values())
    assert np.abs(wrong.astype(int) - right.astype(int)).mean() > 2


@pytest.mark.parametrize("kind", STORAGES)
def test_pictures_are_known_by_their_kind_of_object(tmp_path: Path, kind: str) -> None:
    files = write_pictures(tmp_path, kind=kind, multi_frame=kind in FILMS)

    series = the_series(tmp_path)

    assert series.shape == (3, 40, 56)
    assert sorted(set(series.files)) == sorted(files)
    assert [s.frame_number for s in series.sources] == ([1, 2, 3] if kind in FILMS else [None] * 3)
    assert {s.sop_class_uid for s in series.sources} == {STORAGES[kind]}
    assert series.frame_of_reference_uid == ""


def test_a_screen_shot_of_a_ct_in_colours_is_no_picture_and_leaves_the_ct_alone(tmp_path: Path) -> None:
    write_series(tmp_path / "ct")
    write_pictures(tmp_path / "overlay", kind="SC", modality="CT")

    found = with_pictures(scan([tmp_path]))

    assert len(found.stacks) == 1
    assert found.pictures == ()
    assert {type(item.reason) for item in found.leftovers} == {NotAnImageStack}


def test_scanning_alone_leaves_pictures_among_the_leftovers(tmp_path: Path) -> None:
    write_pictures(tmp_path)

    found = scan([tmp_path])

    assert found.pictures == ()
    assert sum(len(item.files) for item in found.leftovers) == 3


def test_the_order_is_that_of_instance_numbers_whatever_the_files_are_called(tmp_path: Path) -> None:
    write_datasets(tmp_path, picture_datasets()[::-1])

    series = the_series(tmp_path)

    assert np.array_equal(load_pictures(series).array, coloured())
    assert series.id == the_series(tmp_path).id


def test_every_file_is_in_exactly_one_place(tmp_path: Path) -> None:
    files = write_series(tmp_path / "ct") + write_pictures(tmp_path / "es") + write_pictures(tmp_path / "xc", kind="XC")
    files += write_pictures(tmp_path / "grey", seed=9, attributes=(("BitsStored", 7),))
    (tmp_path / "notes.txt").write_text("nothing", encoding="utf-8")

    found = with_pictures(scan([tmp_path]))

    series = [set(s.files) for s in (*found.stacks, *found.pictures)]
    placed = [f for part in (*series, *(item.files for item in found.leftovers)) for f in part]
    assert sorted(placed) == sorted([*files, tmp_path / "notes.txt"])
    assert len(found.pictures) == 2


def _of_two_sizes(folder: Path) -> None:
    larger = write_pictures(folder / "b", array=coloured(1, 44, 58), attributes=(("SOPInstanceUID", "1.2.3.4"),))
    assert larger
    write_pictures(folder / "a")


def _of_two_patients(folder: Path) -> None:
    first, *rest = picture_datasets()
    first.PatientID = "OTHER"
    write_datasets(folder, [first, *rest])


def _with_one_uid(folder: Path) -> None:
    first, second, _ = picture_datasets()
    second.SOPInstanceUID = first.SOPInstanceUID
    write_datasets(folder, [first, second])


def _grey(folder: Path) -> None:
    for ds in (datasets := picture_datasets()):
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        del ds.PlanarConfiguration
    write_datasets(folder, datasets)


def _many_frames(folder: Path) -> None:
    write_pictures(folder, kind="ES video", multi_frame=True, attributes=(("NumberOfFrames", 4_000_000),))


def _a_film_as_one_picture(folder: Path) -> None:
    write_pictures(folder, multi_frame=True)


@pytest.mark.parametrize(
    ("made", "kind"),
    [
        (_of_two_sizes, MixedGrid),
        (_of_two_patients, MixedPatients),
        (_with_one_uid, DuplicateInstance),
        (_grey, UndecodablePixels),
        (_many_frames, TruncatedFile),
        (_a_film_as_one_picture, NotAnImageStack),
    ],
)
def test_pictures_that_cannot_be_used_together_say_why(tmp_path: Path, made: Any, kind: type[Exception]) -> None:
    made(tmp_path)

    reason = reason_of(tmp_path)

    assert type(reason) is kind
    assert "Zhang" not in str(reason)
    assert "TEST0001" not in str(reason)


@pytest.mark.parametrize(
    "attributes",
    [
        (("BitsAllocated", 16), ("BitsStored", 16)),
        (("PhotometricInterpretation", "CMYK"),),
        (("PixelRepresentation", 1),),
        (("Rows", 0),),
    ],
)
def test_what_is_no_colour_of_eight_bits_is_refused(tmp_path: Path, attributes: tuple[tuple[str, Any], ...]) -> None:
    write_pictures(tmp_path, attributes=attributes)

    assert type(reason_of(tmp_path)) is UndecodablePixels


def test_a_file_with_fewer_pixels_than_it_says_is_refused(tmp_path: Path) -> None:
    write_pictures(tmp_path, kind="SC frames", multi_frame=True, attributes=(("NumberOfFrames", 5),))

    with pytest.raises(TruncatedFile):
        load_pictures(the_series(tmp_path))


def test_a_film_in_a_format_without_a_decoder_is_refused(tmp_path: Path) -> None:
    [film] = picture_datasets(kind="ES video", way="JPEG", multi_frame=True)
    film.file_meta.TransferSyntaxUID = MPEG4HP41
    write_datasets(tmp_path, [film])

    with pytest.raises(UndecodablePixels, match="uncompressed if possible"):
        load_pictures(the_series(tmp_path))


def test_a_film_that_would_fill_the_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_pictures(tmp_path, kind="ES video", multi_frame=True)
    monkeypatch.setattr(colours, "MOST_BYTES", 3 * 3 * 40 * 56 - 1)

    with pytest.raises(UndecodablePixels, match="send a part"):
        load_pictures(the_series(tmp_path))


def test_a_damaged_stream_is_refused(tmp_path: Path) -> None:
    [file] = write_pictures(tmp_path, kind="ES video", way="JPEG", multi_frame=True)
    content = bytearray(file.read_bytes())
    place = content.index(b"\xff\xd8", 1000)
    content[place + 2 : place + 300] = bytes(298)
    file.write_bytes(bytes(content))

    with pytest.raises(UndecodablePixels):
        load_pictures(the_series(tmp_path))


@pytest.mark.parametrize("share", [0.98, 0.35])
def test_a_picture_whose_stream_was_cut_is_refused(tmp_path: Path, share: float) -> None:
    """The decoder would fill the rest with grey, and a bundle would judge it."""
    [file] = write_pictures(tmp_path, kind="ES video", way="JPEG", multi_frame=True)
    cut_frame(file, 1, share)

    with pytest.raises(TruncatedFile, match="no end"):
        load_pictures(the_series(tmp_path))


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((2, 3, 4), dtype=np.uint8),
        np.zeros((2, 3, 4, 4), dtype=np.uint8),
        np.zeros((2, 3, 4, 3), dtype=np.int16),
        np.zeros((0, 3, 4, 3), dtype=np.uint8),
    ],
)
def test_pictures_are_three_channels_of_eight_bits(array: Any) -> None:
    with pytest.raises(ValueError, match="pictures"):
        Pictures(array)


def test_an_empty_scan_has_no_pictures() -> None:
    found = with_pictures(Scan((), ()))

    assert not (found.stacks or found.leftovers or found.pictures)
