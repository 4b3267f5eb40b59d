"""What configurations commonly write passes; what could run other code is named."""

import pytest

from monai_bundles.adding.expressions import foreign_expression, foreign_target


@pytest.mark.parametrize(
    "text",
    [
        "$import glob",
        "$from pathlib import Path",
        "$import pandas as pd",
        "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "$@bundle_root + '/eval'",
        "$list(sorted(glob.glob(@dataset_dir + '/imagesTs/*.nii.gz')))",
        "$[{'image': i} for i in @datalist]",
        "$[{'image': i, 'label': l} for i, l in zip(@images, @labels)]",
        "$setattr(torch.backends.cudnn, 'benchmark', True)",
        "$monai.utils.set_determinism(seed=123)",
        "$@network_def.to(@device)",
        "$@preprocessing_transforms + @extra_transforms",
        "$[1.5, 1.5, 1.5] if @displayable_configs#highres else [3.0, 3.0, 3.0]",
        "$lambda x: torch.where(x[[2]] > 0, 4, torch.where(x[[0]] > 0, 1, 0))",
        "$list(@dataset_dir + pd.read_csv(@dataset_dir + 'test.csv').t2)",
        "$monai.networks.nets.resnet.resnet50(spatial_dims=3,n_input_channels=1)",
        "$@detector.set_box_selector_parameters(score_thresh=0.02,nms_thresh=0.22)",
        "$torch.load(@arch_ckpt_path, map_location=torch.device('cuda'))",
        "$@net.load_state_dict(torch.load(@checkpoint, weights_only=True))",
        "$os.path.join(@bundle_root, 'models', 'model.pt')",
        "$not os.path.exists(@ckpt_path)",
        "$open(@test_json,'r', encoding='utf8')",
        "$json.load(@test_fp)",
        "$np.product(@patch_size)",
    ],
)
def test_what_bundles_commonly_write_passes(text: str) -> None:
    assert foreign_expression(text) == ""


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("$__import__('os').system('true')", "__import__"),
        ("$import subprocess", "subprocess"),
        ("$import os; os.system('true')", "system"),
        ("$from os import system", "system"),
        ("$from scripts import valve_landmarks", "scripts"),
        ("$import scripts.monai_utils", "scripts"),
        ("$import sys", "sys"),
        ("$os.remove(@x)", "remove"),
        ("$os.environ['HOME']", "environ"),
        ("$torch.hub.load('a/b', 'c')", "hub"),
        ("$torch.os.system('true')", "os"),
        ("$np.load(@x, allow_pickle=True)", "allow_pickle"),
        ("$torch.load(@x, weights_only=False)", "weights_only"),
        ("$().__class__.__base__.__subclasses__()", "__"),
        ("$eval('1')", "eval"),
        ("$exec('1')", "exec"),
        ("$open('x', 'w').close()", "opened to write"),
        ("$setattr(monai.utils, 'x', 1)", "setattr"),
        ("$glob.glob('x'", "cannot be read"),
        ("$monai.utils.optional_import('os')[0]", "optional_import"),
        ("$Path('x').write_text('y')", "write_text"),
    ],
)
def test_what_could_run_other_code_is_named(text: str, named: str) -> None:
    assert named in foreign_expression(text)


@pytest.mark.parametrize("target", ["UNet", "monai.networks.nets.UNet", "torch.nn.Conv3d", "torch.device", "Compose"])
def test_targets_of_the_known_libraries_pass(target: str) -> None:
    assert foreign_target(target) == ""


@pytest.mark.parametrize(
    "target", ["os.system", "subprocess.run", "scripts.net.Net", "torch.hub.load", "monai.bundle.run", "builtins.exec"]
)
def test_other_targets_are_named(target: str) -> None:
    assert target in foreign_target(target)
