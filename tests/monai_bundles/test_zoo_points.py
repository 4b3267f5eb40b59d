"""Points that a network gives lie where they were planted, in the patient: on phases of a cine and on planes."""

import json
import sys
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import monai_bundles as mb
from imaging.cines import Cine
from imaging.geometry import Grid
from imaging.ras import affine_ras
from imaging.volume import Volume
from monai_bundles import errors, misfits
from monai_bundles.adding.add import add
from monai_bundles.adding.describe import describe
from monai_bundles.bundle import Bundle, Landmark
from monai_bundles.metadata import absent_within_px_of, inputs_of
from monai_bundles.registry import load_bundle
from monai_bundles.runner import run_here
from monai_bundles.zoo.points import columns_rows_of
from tests.monai_bundles.point_making import (
    NAMES,
    SIZE_PX,
    place,
    plane_folder,
    point_folder,
    point_metadata,
    spotted,
)
from tests.monai_bundles.zoo_making import make_zoo_bundle
from tests.synthetic.cines import CINE

ONE_PLANE = replace(CINE, planes=1).grid()


def in_patient(column: float, row: float, plane: int = 0) -> NDArray[np.float64]:
    """Where a pixel lies, from the header's numbers alone (PS3.3 C.7.6.2.1.1); planes of a stack are 7 mm apart."""
    across, down = np.array(CINE.orientation[:3]), np.array(CINE.orientation[3:])
    normal = np.cross(across, down) / np.linalg.norm(np.cross(across, down))
    origin = np.array(CINE.origin_lps)
    return np.asarray(origin + across * 0.9 * column + down * 1.3 * row + normal * 7.0 * plane)


def the_cine() -> Cine:
    return Cine(spotted(), ONE_PLANE)


@pytest.fixture(scope="module", autouse=True)
def own_code(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The bundles' code, which is the same for all, where this process finds it."""
    root = point_folder(tmp_path_factory.mktemp("code"))
    sys.path.insert(0, str(root))
    yield
    sys.path.remove(str(root))
    vars(np).pop("product", None)  # the repair of old code, which is meant for a process of its own
    for name in [n for n in sys.modules if n.partition(".")[0] == "scripts"]:
        del sys.modules[name]


def described(root: Path, size_px: tuple[int, ...] = SIZE_PX) -> Bundle:
    """A bundle as `add` takes it in, without a process that tries it."""
    describe(root).write(root)
    bundle = replace(load_bundle(root), trusted=True)
    return replace(bundle, inputs=(replace(bundle.inputs[0], size_px=size_px),))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("points")
    return add(str(point_folder(folder)), folder / "library", trust=True).bundle


def of(landmarks: tuple[Landmark, ...], label: str) -> dict[int, Landmark]:
    return {item.plane: item for item in landmarks if item.label == label}


def planted(landmarks: tuple[Landmark, ...], *, planes: bool = False, within_px: float = 1e-4) -> None:
    """Assert that both spots were found where they were planted, on every picture."""
    for spot, label in enumerate(NAMES[:2]):
        found = of(landmarks, label)
        assert sorted(found) == [0, 1, 2, 3, 4]
        for phase, item in found.items():
            column, row = place(spot, phase)
            assert (item.column, item.row) == pytest.approx((column, row), abs=within_px)
            expected = in_patient(column, row, phase if planes else 0)
            np.testing.assert_allclose(item.position_lps, expected, atol=1e-4 + 1.3 * within_px)


def test_describe_tells_names_phases_and_the_size_of_planes(tmp_path: Path) -> None:
    content = describe(point_folder(tmp_path)).content

    assert content["output"] == {"form": "points", "absent_within_px": 2.4}
    assert content["structures"] == [{"label": n + 1, "name": name} for n, name in enumerate(NAMES)]
    [entry] = content["inputs"]
    assert (entry["phases"], entry["size_px"]) == (True, SIZE_PX)
    assert content["accepts"]["modalities"] == ["MR"]
    assert content["required_checks"] == []
    assert any("Points within 2.4 pixels" in note for note in content["not_guessed"])


def test_planted_points_are_found_on_every_phase_in_a_process_of_their_own(bundle: Bundle) -> None:
    output = mb.run_bundle(bundle, the_cine())

    planted(output.landmarks)
    assert len(output.landmarks) == 10
    assert any("numpy-product-in-code" in w for w in output.warnings)
    assert any("filled up with zeros to 53 and 48" in w for w in output.warnings)


def test_the_planes_of_a_stack_are_like_phases_each_in_its_own_place(bundle: Bundle) -> None:
    grid = CINE.grid()

    output = run_here(bundle, Volume(spotted(), grid))

    planted(output.landmarks, planes=True)


def test_a_swapped_axis_or_a_centre_taken_for_a_corner_would_be_seen(bundle: Bundle) -> None:
    [first, *_] = run_here(bundle, the_cine()).landmarks

    for column, row in ((first.row, first.column), (first.column + 0.5, first.row + 0.5)):
        wrong = in_patient(column, row)
        assert np.abs(wrong - np.array(first.position_lps)).max() > 0.3


def test_a_missing_point_is_none_and_one_beside_the_image_is_counted(bundle: Bundle) -> None:
    output = run_here(bundle, the_cine())
    assert not of(output.landmarks, NAMES[2])

    always = run_here(replace(bundle, absent_within_px=0.0), the_cine())

    assert always.landmarks == output.landmarks
    assert any("5 point(s) lie beside the image" in w for w in always.warnings)
    full = Cine(np.pad(spotted(), ((0, 0), (0, 9), (0, 11))), replace(ONE_PLANE, rows=53, columns=48))
    assert len(of(run_here(replace(bundle, absent_within_px=0.0), full).landmarks, NAMES[2])) == 5


def test_equal_input_gives_equal_points(bundle: Bundle) -> None:
    assert run_here(bundle, the_cine()).landmarks == run_here(bundle, the_cine()).landmarks


FLIP = {"_target_": "Flipd", "keys": "image", "spatial_axis": 1}
LARGER = {"_target_": "Resized", "keys": "image", "spatial_size": [111, 132], "mode": "nearest"}
PADDED = {"_target_": "SpatialPadd", "keys": "image", "spatial_size": [61, 50], "method": "end"}


@pytest.mark.parametrize(
    ("steps", "size", "within_px"),
    [((), SIZE_PX, 1e-4), ((FLIP,), SIZE_PX, 1e-4), ((PADDED,), (61, 53), 1e-4), ((LARGER,), (111, 132), 0.5)],
    ids=["as it is", "flipped", "padded", "three times as fine"],
)
def test_what_preprocessing_does_to_a_plane_is_undone(
    tmp_path: Path, steps: tuple[Any, ...], size: tuple[int, int], within_px: float
) -> None:
    root = plane_folder(tmp_path, *steps, size=size)
    bundle = described(root, () if LARGER in steps else SIZE_PX)

    output = run_here(bundle, the_cine())

    planted(output.landmarks, within_px=within_px)


def test_a_step_that_moves_the_image_silently_is_refused(tmp_path: Path) -> None:
    turned = {"_target_": "Transposed", "keys": "image", "indices": [0, 2, 1]}
    root = plane_folder(tmp_path, turned, size=(53, 48))
    bundle = described(root)

    with pytest.raises(errors.WrongOutput, match="without saying so"):
        run_here(bundle, the_cine())


def test_planes_that_are_too_large_are_outside_the_range(bundle: Bundle) -> None:
    grid: Grid = replace(ONE_PLANE, rows=54)
    cine = Cine(np.zeros((2, 54, 37), np.uint16), grid)

    class Series:
        modality = "MR"
        header: dict[str, str] = {}  # noqa: RUF012 - a stand-in for a data set

    [sentence] = misfits(bundle, Series(), cine)  # type: ignore[arg-type]

    assert "54 rows and 37 columns, the network takes up to 53 and 48" in sentence
    with pytest.raises(errors.VolumeOutsideRange, match="smaller matrix"):
        run_here(bundle, cine)


def test_a_bundle_for_volumes_does_not_take_a_cine(tmp_path: Path) -> None:
    other = add(str(make_zoo_bundle(tmp_path)), tmp_path / "library").bundle

    class Series:
        modality = "CT"
        header: dict[str, str] = {}  # noqa: RUF012 - a stand-in for a data set

    [sentence] = misfits(other, Series(), the_cine())  # type: ignore[arg-type]

    assert "only bundles that give points" in sentence
    with pytest.raises(errors.VolumeOutsideRange, match="Give bundle"):
        run_here(replace(other, accepts=replace(other.accepts, units=())), the_cine())


@pytest.mark.parametrize(
    "meanings",
    [None, {}, {"0": "a", "2": "b", "3": "c"}, {"0": "a", "1": "a", "2": "b"}, {"0": "a", "1": "", "2": "b"}],
)
def test_points_without_a_name_each_are_refused_at_describe(tmp_path: Path, meanings: Any) -> None:
    with pytest.raises(errors.UnlabelledOutput, match="coordinate_meanings"):
        describe(point_folder(tmp_path, point_metadata(coordinate_meanings=meanings)))


def test_other_numbers_than_points_are_refused(bundle: Bundle) -> None:
    fewer = replace(bundle, structures=bundle.structures[:2])

    with pytest.raises(errors.WrongOutput, match="not two coordinates of 2 points on 5 planes"):
        run_here(fewer, the_cine())


@pytest.mark.parametrize("distance", [-1, "near", True, float("nan")])
def test_the_distance_of_a_missing_point_is_a_distance(distance: Any) -> None:
    with pytest.raises(errors.BadMetadata, match="absent_within_px"):
        absent_within_px_of({"output": {"form": "points", "absent_within_px": distance}})


@pytest.mark.parametrize(
    "entry", [{"size_px": [48]}, {"size_px": [48, 0]}, {"size_px": "x"}, {"channels": [{"name": "a"}, {"name": "b"}]}]
)
def test_the_input_of_points_is_one_series_of_planes(entry: dict[str, Any]) -> None:
    usual = {"key": "image", "channels": [{"name": "image"}]}

    with pytest.raises(errors.BadMetadata):
        inputs_of({"output": {"form": "points"}, "inputs": [{**usual, **entry}]})


def test_the_answer_is_that_of_monai_on_the_same_image_as_a_file(tmp_path: Path, bundle: Bundle) -> None:
    """MONAI's own reader, transforms and inferer on a NIfTI file of the phases, with the same weights."""
    nibabel = pytest.importorskip("nibabel")
    import torch
    from monai.bundle import ConfigParser

    cine = the_cine()
    rows, columns = cine.array.shape[1:]
    before = ((SIZE_PX[0] - columns) // 2, (SIZE_PX[1] - rows) // 2)
    values = np.zeros((*SIZE_PX, 1, 5), np.float32)
    values[before[0] : before[0] + columns, before[1] : before[1] + rows, 0] = cine.array.transpose(2, 1, 0)
    affine = affine_ras(ONE_PLANE)
    move = np.eye(4)
    move[:2, 3] = [-n for n in before]
    nibabel.save(nibabel.Nifti1Image(values, affine @ move), tmp_path / "phases.nii.gz")

    config = json.loads((bundle.root / "configs" / "inference.json").read_text())
    code = tmp_path / "scripts_of_points.py"
    code.write_text((bundle.root / "scripts" / "points.py").read_text().replace("np.product", "np.prod"))
    sys.path.insert(0, str(tmp_path))
    try:
        text = json.dumps({k: config[k] for k in ("network_def", "preprocessing", "inferer")})
        parser = ConfigParser(json.loads(text.replace('"scripts.points.', '"scripts_of_points.')))
        parser["device"] = "$torch.device('cpu')"
        network = parser.get_parsed_content("network_def").eval()
        network.load_state_dict(torch.load(bundle.root / "models" / "model.pt", weights_only=True))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # readers that are not installed
            image = parser.get_parsed_content("preprocessing")(str(tmp_path / "phases.nii.gz"))
        with torch.inference_mode():
            theirs = parser.get_parsed_content("inferer")(image[None].as_tensor(), network)[0].numpy()
    finally:
        sys.path.remove(str(tmp_path))

    mine = run_here(bundle, cine).landmarks
    assert theirs.shape == (5, 2, len(NAMES))
    for item in mine:
        index = theirs[item.plane, :, NAMES.index(item.label)] - np.array(before)
        assert (item.column, item.row) == pytest.approx(tuple(index), abs=1e-9)
        position = (affine @ [*index, 0.0, 1.0])[:3] * [-1, -1, 1]
        np.testing.assert_allclose(item.position_lps, position, atol=1e-6)


def test_index_pairs_go_through_both_affines() -> None:
    source = np.diag([0.9, 1.3, 7.0, 1.0])
    other = source @ np.array([[0.5, 0, 0, -3.0], [0, -1.0, 0, 43.0], [0, 0, 1, 0], [0, 0, 0, 1.0]])

    [found] = columns_rows_of(np.array([[10.0, 4.0]]), other, source)

    assert found == pytest.approx((2.0, 39.0))


def test_memory_is_asked_for_before_the_network_is(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monai_bundles.memory.available_bytes", lambda _device: 1000)

    with pytest.raises(errors.NotEnoughMemory, match="free memory"):
        run_here(bundle, the_cine())
