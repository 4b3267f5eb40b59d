"""Bundles made for colours get red, green and blue of each picture, and their answers come back to its own pixels."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import monai_bundles as mb
from imaging.colours import load_pictures
from imaging.picture_scan import with_pictures
from imaging.pictures import Pictures, PictureSeries
from imaging.series import scan
from monai_bundles import errors
from monai_bundles.adding.add import add
from monai_bundles.adding.describe import describe
from tests.monai_bundles.colour_making import classifier_folder, is_red, red_score, segmenter_folder
from tests.monai_bundles.making import GRIDS, make_volume
from tests.monai_bundles.test_zoo import added, overlap
from tests.monai_bundles.zoo_making import metadata, post
from tests.synthetic.pictures import WAYS, coloured, write_pictures


def taken_in(root: Path, folder: Path) -> mb.Bundle:
    """The bundle of a folder; its lambda and its code are accepted."""
    return add(str(root), folder / "library", trust=True).bundle


def the_series(folder: Path, **changes: Any) -> PictureSeries:
    """Pictures, through files."""
    write_pictures(folder, **changes)
    return with_pictures(scan([folder])).pictures[0]


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> mb.Bundle:
    folder = tmp_path_factory.mktemp("classifier")
    return replace(taken_in(classifier_folder(folder), folder), trusted=False)


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> mb.Bundle:
    folder = tmp_path_factory.mktemp("segmenter")
    return replace(taken_in(segmenter_folder(folder), folder), trusted=False)


def test_every_picture_has_its_score_and_the_most_certain_is_named(classifier: mb.Bundle) -> None:
    output = mb.run_bundle(classifier, Pictures(coloured()), device="cpu")

    expected = [red_score(picture) for picture in coloured()]
    found = [{s.label: s.value for s in scores}["inbody"] for scores in output.plane_scores]
    assert found == pytest.approx(expected, abs=1e-6)
    assert len(set(expected)) == 3
    certain = [max(p, 1 - p) for p in expected]
    assert output.plane == int(np.argmax(certain))
    assert output.scores == output.plane_scores[output.plane]
    assert [s.value for s in output.scores] == sorted((s.value for s in output.scores), reverse=True)
    assert output.heat_map is not None
    assert output.heat_map.shape == (3, 40, 56)


@pytest.mark.parametrize("way", WAYS)
def test_the_score_is_the_same_however_the_colours_were_stored(classifier: mb.Bundle, tmp_path: Path, way: str) -> None:
    pictures = load_pictures(the_series(tmp_path, way=way))

    output = mb.run_bundle(classifier, pictures, device="cpu")

    found = [{s.label: s.value for s in scores}["inbody"] for scores in output.plane_scores]
    assert found == pytest.approx([red_score(picture) for picture in coloured()], abs=0.01)


@pytest.mark.parametrize("order", [(2, 1, 0), (1, 0, 2), (0, 2, 1)])
def test_another_order_of_the_channels_would_give_another_score(order: tuple[int, ...]) -> None:
    for picture in coloured():
        assert abs(red_score(picture[..., list(order)]) - red_score(picture)) > 0.02


@pytest.mark.filterwarnings("ignore:.*:UserWarning:monai")
@pytest.mark.parametrize("channel_first", [True, False])
def test_a_picture_goes_in_as_the_reader_of_monai_gives_its_file(
    segmenter: mb.Bundle, tmp_path: Path, channel_first: bool
) -> None:
    from monai.transforms import LoadImage

    from monai_bundles.zoo.pictures import picture_tensors

    Image.fromarray(coloured()[1]).save(tmp_path / "picture.png")
    read = LoadImage(reader="PILReader", image_only=True, ensure_channel_first=channel_first)(tmp_path / "picture.png")

    given = picture_tensors(segmenter, coloured()[1], channel_first=channel_first)["image"]

    assert given.shape == read.shape
    assert np.array_equal(np.asarray(given), np.asarray(read))
    assert np.array_equal(np.asarray(given.affine), np.asarray(read.affine))


def test_masks_lie_on_the_pictures_own_pixels(segmenter: mb.Bundle) -> None:
    output = mb.run_bundle(segmenter, Pictures(coloured()), device="cpu")

    [tools] = output.structures
    assert np.array_equal(tools.region.mask(), is_red(coloured()))
    assert is_red(coloured()).any(axis=(1, 2)).all()
    assert not is_red(coloured()[..., ::-1]).any()
    assert output.plane is None


@pytest.mark.parametrize("inverts", [True, False])
@pytest.mark.parametrize("size", [[112, 80], [28, 20], [112, 20]])
def test_what_was_resized_comes_back_exactly(tmp_path: Path, size: list[int], inverts: bool) -> None:
    resize = {"_target_": "Resized", "keys": "image", "spatial_size": size, "mode": "nearest"}
    bundle = replace(taken_in(segmenter_folder(tmp_path, resize, inverts=inverts), tmp_path), trusted=False)

    output = mb.run_bundle(bundle, Pictures(coloured()), device="cpu")

    [tools] = output.structures
    assert np.array_equal(tools.region.mask(), is_red(coloured()))


def test_an_odd_resize_comes_back_within_a_pixel(tmp_path: Path) -> None:
    resize = {"_target_": "Resized", "keys": "image", "spatial_size": [73, 48], "mode": "bilinear"}
    bundle = replace(taken_in(segmenter_folder(tmp_path, resize), tmp_path), trusted=False)

    [tools] = mb.run_bundle(bundle, Pictures(coloured()), device="cpu").structures

    assert overlap(tools.region.mask(), is_red(coloured())) > 0.95


def test_an_output_that_does_not_say_where_it_lies_is_refused(tmp_path: Path) -> None:
    forget = {"_target_": "Lambdad", "keys": "image", "func": "$lambda x: x.as_tensor()[:, ::2, ::2]"}
    bundle = taken_in(segmenter_folder(tmp_path, forget, inverts=False), tmp_path)

    with pytest.raises(errors.WrongOutput, match="how it lies"):
        mb.run_bundle(bundle, Pictures(coloured()), device="cpu")


def test_a_process_of_its_own_gives_the_same(classifier: mb.Bundle) -> None:
    with mb.Worker() as worker:
        output = worker.run(classifier, Pictures(coloured()), device="cpu")

    here = mb.run_bundle(classifier, Pictures(coloured()), device="cpu")
    assert output.plane_scores == here.plane_scores
    assert output.plane == here.plane


def test_grey_values_and_colours_are_not_mixed_up(
    classifier: mb.Bundle, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    grey = added(tmp_path)
    volume = make_volume(GRIDS["oblique"]())

    with pytest.raises(errors.VolumeOutsideRange, match="grey values, and the bundle is made for colour"):
        mb.run_bundle(classifier, volume, device="cpu")
    with pytest.raises(errors.VolumeOutsideRange, match="colours, not measurements"):
        mb.run_bundle(grey, Pictures(coloured()), device="cpu")


def test_what_does_not_fit_pictures_is_said_beforehand(classifier: mb.Bundle, tmp_path: Path) -> None:
    series = the_series(tmp_path / "es")
    pictures = load_pictures(series)
    wide = replace(classifier.accepts, max_pixel_spacing_mm=1.0)

    assert mb.misfits(classifier, series, pictures) == ()
    [spacing] = mb.misfits(replace(classifier, accepts=wide), series, pictures)
    assert "spacing" in spacing
    [place] = mb.misfits(replace(classifier, output="boxes"), series, pictures)
    assert "place in the patient" in place
    [few] = mb.misfits(replace(classifier, accepts=replace(classifier.accepts, min_planes=4)), series, pictures)
    assert "3 pictures" in few
    sentences = mb.misfits(added(tmp_path), series, pictures)
    assert len(sentences) == 2
    assert any("colours, not measurements" in s for s in sentences)


def test_a_bundle_for_colours_is_told_from_its_metadata(tmp_path: Path) -> None:
    found = describe(segmenter_folder(tmp_path))

    assert found.content["accepts"]["modalities"] == ["ES"]
    assert found.content["inputs"] == [
        {"key": "image", "channels": [{"name": "image", "modality": "ES"}], "colours": True}
    ]
    assert found.content["required_checks"] == []
    assert any("colour pictures" in note for note in found.notes)


@pytest.mark.parametrize("modality", ["MG", "CT", "MR"])
def test_three_channels_of_a_grey_modality_are_not_taken_for_colours(tmp_path: Path, modality: str) -> None:
    root = segmenter_folder(tmp_path)
    path = root / "configs" / "metadata.json"
    meta = json.loads(path.read_text(encoding="utf-8"))
    meta["network_data_format"]["inputs"]["image"]["modality"] = modality
    path.write_text(json.dumps(meta), encoding="utf-8")

    [entry] = describe(root).content["inputs"]

    assert entry.get("repeat") == 3
    assert "colours" not in entry


def test_pathology_with_a_mask_beside_its_colours_is_a_picture_and_zeros(tmp_path: Path) -> None:
    import torch

    meta = metadata({"0": "Other", "1": "Inflammatory"}, task="Pathology nuclei classification", description="Planted")
    image = {"modality": "regular", "format": "RGB", "channel_def": {"0": "R", "1": "G", "2": "B", "3": "Mask"}}
    meta["network_data_format"]["inputs"]["image"].update(image, spatial_shape=[16, 16], num_channels=4)
    meta["network_data_format"]["outputs"]["pred"].update(format="classification", type="probabilities")
    both = ["image", "label"]
    config = {
        "network_def": "$torch.nn.Sequential(torch.nn.Conv2d(4, 2, 1), torch.nn.AdaptiveAvgPool2d(1), "
        "torch.nn.Flatten())",
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "LoadImaged", "keys": both},
                {"_target_": "EnsureChannelFirstd", "keys": both},
                {"_target_": "ConcatItemsd", "keys": both, "name": "image"},
            ],
        },
        "inferer": {"_target_": "SimpleInferer"},
        "postprocessing": post({"_target_": "Activationsd", "keys": "pred", "softmax": True}),
    }
    weight = torch.tensor([[0.0, 0, 0, 0], [0.01, 0, 0, 99.0]]).reshape(2, 4, 1, 1)
    state = {"0.weight": weight, "0.bias": torch.zeros(2)}
    bundle = added(tmp_path, meta=meta, config=config, state=state)

    output = mb.run_bundle(bundle, Pictures(coloured()), device="cpu")

    assert bundle.accepts.modalities == ("SM", "GM")
    assert [entry.colours for entry in bundle.inputs] == [True, False]
    red = coloured()[..., 0].reshape(3, -1).mean(axis=1)
    found = [{s.label: s.value for s in scores}["Inflammatory"] for scores in output.plane_scores]
    assert found == pytest.approx(1 / (1 + np.exp(-0.01 * red)), abs=1e-5)


@pytest.mark.parametrize(
    "changes", [{"repeat": 3}, {"zeros": True}, {"channels": [{"name": "a"}, {"name": "b"}]}], ids=str
)
def test_colours_beside_something_else_are_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    root = segmenter_folder(tmp_path)
    content = dict(describe(root).content)
    content["inputs"] = [{**content["inputs"][0], **changes}]
    (root / "configs" / "radgate.json").write_text(json.dumps(content), encoding="utf-8")

    with pytest.raises(errors.BadMetadata, match="colours"):
        add(str(root), tmp_path / "library", trust=True)
