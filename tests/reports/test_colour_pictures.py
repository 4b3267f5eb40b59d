"""Results on pictures: areas instead of volumes, scores of each picture, and a gate that sees a wrong reference."""

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset

from contouring.names import lookup
from imaging.colours import load_pictures
from imaging.picture_scan import with_pictures
from imaging.pictures import Pictures, PictureSeries
from imaging.series import scan
from imaging.volume import Region
from reports import (
    Capability,
    EncodedObject,
    Result,
    StackRef,
    encode_all,
    input_version,
    key_images,
    outcome,
    study_ref,
)
from reports.errors import InvalidObject, InvalidResult
from reports.findings import ClassScore, picture_scores
from reports.model import pictured_structure
from reports.pictures import Picture
from reports.validate import validate
from tests.reports.making import MADE_AT, run_of
from tests.reports.test_validate import spoiled
from tests.synthetic.pictures import coloured, write_pictures


def red() -> Region:
    """Not on the first picture."""
    mask = coloured()[..., 0] > 200
    mask[0] = False
    return Region.from_mask(mask)


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> PictureSeries:
    folder = tmp_path_factory.mktemp("pictures")
    write_pictures(folder, kind="ES video", multi_frame=True)
    return with_pictures(scan([folder])).pictures[0]


@pytest.fixture(scope="module")
def pictures(series: PictureSeries) -> Pictures:
    return load_pictures(series)


@pytest.fixture(scope="module")
def result(series: PictureSeries) -> Result:
    run = run_of(targets=(series.id,))
    study = study_ref(series.header)
    structure = pictured_structure(lookup("Bone"), red(), series, run=run, study_uid=study.study_uid, number=1)
    values = [
        [("inbody", 0.7), ("outbody", 0.3)],
        [("inbody", 0.9), ("outbody", 0.1)],
        [("outbody", 0.8), ("inbody", 0.2)],
    ]
    stack = StackRef(series.id, series.series_instance_uid, "", 3, "ES", "")
    instances = [(s.sop_instance_uid, "0" * 64) for s in series.sources[:1]]
    scores = picture_scores("r1", values, 1)
    return Result(
        study=study,
        input=input_version(instances, [stack]),
        runs=(run,),
        status=outcome((run,), (structure, *scores)),
        created_at=MADE_AT,
        structures=(structure,),
        scores=scores,
    )


def objects_of(
    result: Result, series: PictureSeries, pictures: Pictures, **capability: str
) -> dict[str, EncodedObject]:
    made = encode_all(result, series, pictures, capability=Capability(**capability))  # type: ignore[arg-type]
    return {item.outlet: item for item in made}


def test_the_most_certain_picture_stands_first_and_all_are_there(result: Result) -> None:
    assert [(s.picture, s.label) for s in result.scores] == [
        (2, "inbody"),
        (2, "outbody"),
        (1, "inbody"),
        (1, "outbody"),
        (3, "outbody"),
        (3, "inbody"),
    ]


def test_a_structure_on_pictures_counts_pixels_and_has_no_volume(result: Result) -> None:
    [structure] = result.structures
    counts = np.count_nonzero(red().mask(), axis=(1, 2))

    assert structure.volume_cc is None
    assert structure.areas_px == ((2, int(counts[1])), (3, int(counts[2])))
    assert structure.largest_area_px == (3, int(counts[2]))
    with pytest.raises(InvalidResult):
        replace(structure, volume_cc=1.0)
    with pytest.raises(InvalidResult):
        replace(structure, areas_px=())
    with pytest.raises(InvalidResult):
        replace(structure, areas_px=((2, 0),))


def test_a_mask_of_another_size_is_no_structure(series: PictureSeries) -> None:
    with pytest.raises(InvalidResult, match="another shape"):
        pictured_structure(
            lookup("Bone"),
            Region.from_mask(np.ones((3, 56, 40), bool)),
            series,
            run=run_of(),
            study_uid="1.2",
            number=1,
        )


def test_a_mask_without_a_pixel_is_no_structure(series: PictureSeries) -> None:
    with pytest.raises(InvalidResult, match="without a voxel"):
        pictured_structure(
            lookup("Bone"),
            Region.from_mask(np.zeros(series.shape, bool)),
            series,
            run=run_of(),
            study_uid="1.2",
            number=1,
        )


def test_the_json_form_comes_back_equal(result: Result) -> None:
    back = Result.from_json(result.to_json(), {"r1.Bone": red()})

    assert back.scores == result.scores
    assert back.structures[0].areas_px == result.structures[0].areas_px
    assert back.uid_parts == result.uid_parts
    assert "volume" not in result.to_json()["structures"][0]


def test_a_score_without_a_picture_reads_as_one_of_the_whole_image(result: Result) -> None:
    form = result.to_json()
    for score in form["scores"]:
        del score["picture"]

    back = Result.from_json(form, {"r1.Bone": red()})

    assert {score.picture for score in back.scores} == {0}
    with pytest.raises(InvalidResult):
        ClassScore("r1", "a", 0.5, -1)


@pytest.mark.parametrize("seg", ["binary", "labelmap"])
def test_nothing_is_found_in_what_is_written(
    result: Result, series: PictureSeries, pictures: Pictures, seg: str
) -> None:
    objects = objects_of(result, series, pictures, seg=seg)

    assert sorted(objects) == ["pdf", "seg", "sr"]
    assert validate(list(objects.values()), result, series) == ()


def _other_rows(ds: Dataset) -> None:
    ds.Rows, ds.Columns = ds.Columns, ds.Rows


def _other_instance(ds: Dataset) -> None:
    image = ds.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0].SourceImageSequence[0]
    image.ReferencedSOPInstanceUID = ds.StudyInstanceUID


def _other_frame(ds: Dataset) -> None:
    image = ds.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0].SourceImageSequence[0]
    image.ReferencedFrameNumber = 4


def _no_picture(ds: Dataset) -> None:
    del ds.PerFrameFunctionalGroupsSequence[1].DerivationImageSequence


def _a_place(ds: Dataset) -> None:
    ds.FrameOfReferenceUID = "1.2.3"


@pytest.mark.parametrize("spoil", [_other_rows, _other_instance, _other_frame, _no_picture, _a_place])
def test_a_segmentation_that_lies_on_other_pixels_is_not_let_out(
    result: Result, series: PictureSeries, pictures: Pictures, spoil: Callable[[Dataset], None]
) -> None:
    objects = objects_of(result, series, pictures)

    changed = {**objects, "seg": spoiled(objects["seg"], spoil)}

    assert ("seg", "geometry") in {(v.outlet, v.rule) for v in validate(list(changed.values()), result, series)}


def test_a_report_on_a_segmentation_without_the_structure_is_not_written(
    result: Result, series: PictureSeries, pictures: Pictures
) -> None:
    from reports import encode_sr

    def other(ds: Dataset) -> None:
        for frame in ds.PerFrameFunctionalGroupsSequence:
            frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber = 7

    seg = spoiled(objects_of(result, series, pictures)["seg"], other)

    with pytest.raises(InvalidObject, match="no frame"):
        encode_sr(result, series, seg=seg)


def outlined(picture: Picture) -> int:
    """Pixels in the colour of the structure's outline."""
    with Image.open(BytesIO(picture.png)) as image:
        values = np.asarray(image).astype(int)
    return int(np.count_nonzero(np.abs(values - np.array(lookup("Bone").colour_rgb)).max(axis=2) < 40))


def test_key_images_show_the_certain_picture_and_the_largest_area_in_their_colours(
    result: Result, pictures: Pictures
) -> None:
    made = key_images(pictures, result)

    assert [p.name for p in made] == ["picture_0002", "picture_0003"]
    assert made[0].caption_en == "Picture 2: inbody 0.900, outbody 0.100, Bone"
    with Image.open(BytesIO(made[0].png)) as image:
        small = np.asarray(image.resize((56, 40), Image.Resampling.BOX)).astype(int)
    # Inside and outside of the outline.
    assert np.abs(small[8:12, 12:24] - coloured()[1, 8:12, 12:24]).max() < 12
    assert np.abs(small[:3] - coloured()[1, :3]).max() < 12
    bare = key_images(pictures, replace(result, structures=()))
    assert outlined(made[0]) > 200
    assert outlined(bare[0]) == 0


def test_without_anything_found_the_first_picture_is_shown(result: Result, pictures: Pictures) -> None:
    nothing = replace(result, structures=(), scores=(), status=outcome(result.runs))

    [picture] = key_images(pictures, nothing)

    assert picture.name == "picture_0001"
    assert picture.caption_en == "Picture 1: nothing found"


def test_a_long_film_says_what_the_report_leaves_out(series: PictureSeries, result: Result) -> None:
    from highdicom.sr import MeasurementsAndQualitativeEvaluations

    from reports.encode import sr_findings, sr_pictures

    many = [[("inbody", 0.5 + n / 2000), ("outbody", 0.5 - n / 2000)] for n in range(sr_pictures.MOST_PICTURES + 7)]
    film = replace(result, structures=(), scores=picture_scores("r1", many, 3), status=outcome(result.runs, (1,)))

    groups = sr_findings.finding_groups(film, [series.sources[0]] * len(many))

    assert len(groups) == sr_pictures.MOST_PICTURES
    assert all(isinstance(g, MeasurementsAndQualitativeEvaluations) for g in groups)
    assert any("7 more pictures" in str(i.get("TextValue", "")) for i in groups[0][0].ContentSequence)
