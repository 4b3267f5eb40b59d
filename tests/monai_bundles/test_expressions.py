"""What configurations commonly write passes; what could run other code is named."""

import pytest

from monai_bundles.adding.allowed import allowed
from monai_bundles.adding.expressions import foreign_expression
from monai_bundles.adding.judging import foreign_entries, foreign_target


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
        "$monai.networks.nets.resnet.resnet50(spatial_dims=3,n_input_channels=1)",
        "$@detector.set_box_selector_parameters(score_thresh=0.02,nms_thresh=0.22)",
        "$torch.load(@arch_ckpt_path, map_location=torch.device('cuda'))",
        "$@net.load_state_dict(torch.load(@checkpoint, weights_only=True))",
        "$os.path.join(@bundle_root, 'models', 'model.pt')",
        "$not os.path.exists(@ckpt_path)",
        "$open(@test_json,'r', encoding='utf8')",
        "$json.load(@test_fp)",
        "$np.prod(@patch_size)",
        "$(not @whether_raw_luna16)",
        "$((@patch_size - @out_size) // 2,) * 4",
        "$list(range(33, 57)) + list(range(63, 98)) + [114, 120, 122]",
        "$list(set([i+1 for i in range(132)]) - set([2,16,18]))",
        "$@checkpointloader(@evaluator) if @load_pretrain else None",
        "$@arch_ckpt['arch_code_a']",
        "$torch.from_numpy(@arch_ckpt['node_a'])",
        "$lambda x: os.path.join(@dataset_dir, 'testing/images', x + '.tif')",
        "$lambda x: [@postprocessing({**xx['pred'],'image':xx['image']}) for xx in x]",
        "$lambda batch, dev,nb: (batch.to(dev),())",
        "$lambda x: x.convert('RGB')",
        "$lambda x: torch.nan_to_num(x, nan=255)",
        '$lambda engine: print(f\'image: "{engine.state.batch["image"].meta["name"][0]}"\')',
        "$[{'image': i, 'foreground': json.loads(pathlib.Path(c).read_text())} for i,c in zip(@images, @centroids)]",
        "$[{'label': l, **i} for i, l in zip(@images, @labels)]",
        "$[{'image': str(p), 'pet': str(p).replace('_ct', '_pet')} for p in sorted(Path(@dir).glob('*_ct.nii.gz'))]",
        "$os.path.basename(@x).replace('.nii', '').replace('.gz', '')",
        "$monai.apps.detection.networks.retinanet_network.resnet_fpn_feature_extractor(@backbone,3,False,[1,2],None)",
        "$monai.networks.nets.vista3d132(in_channels=@input_channels)",
        "$monai.data.load_decathlon_datalist(@data_list_file_path, data_list_key='testing', base_dir=@dataset_dir)",
        "$monai.data.utils.no_collation",
        "$monai.handlers.from_engine(['pred'])",
        "$copy.deepcopy(@preprocessing)",
        "$@metadata['network_data_format']['outputs']['pred']['channel_def']",
        "$np.float32",
        "$@preprocessing_transforms ",
        "${'image': '/data/Task09_Spleen/imagesTr/spleen_10.nii.gz', 'label_prompt': [3]}",
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
        ("$pd.read_csv('https://example.invalid/x')", "read_csv"),
        ("$monai.networks.nets.DenseNet121(3, 1, 2)", "without their names"),
        ("$monai.networks.nets.resnet50(pretrained=True)", "pretrained"),
        ("$monai.networks.nets.EfficientNetBN(model_name='efficientnet-b0')", "fetches"),
        ("$monai.networks.nets.resnet50", "monai.networks.nets.resnet50"),
        ("$torch.load", "torch.load"),
        ("$os", "the name os"),
        ("$torch.load(@x, None, @y)", "by their position"),
        ("$np.load(@x, mmap_mode='w+')", "mmap_mode"),
        ("$print(1, file=@x)", "file of print"),
        ("$@x.replace('a', 'b')", "replace"),
        ("$(a for x.y in [1])", "x.y"),
        ("$[x for x in @a] if (x := 1) else 2", "NamedExpr"),
        ("$lambda __local_refs: __local_refs['a']", "__local_refs"),
        ("$__local_refs", "__local_refs"),
        ("$", "cannot be read"),
        ("$1; 2", "cannot be read"),
        ("$import os, sys", "sys"),
        ("$from os import *", "os.*"),
        ("$from . import x", "x"),
        ("$import os as len", "as len"),
        ("$import os as torch", "as torch"),
    ],
)
def test_what_could_run_other_code_is_named(text: str, named: str) -> None:
    assert named in foreign_expression(text)


@pytest.mark.parametrize(
    "target",
    [
        "UNet",
        "monai.networks.nets.UNet",
        "monai.networks.nets.unet.UNet",
        "torch.nn.Conv3d",
        "torch.device",
        "Compose",
        "LambdaDict",
        "monai.transforms.ActivationsD",
        "monai_bundles.pet.LesionFinder",
    ],
)
def test_targets_of_the_known_libraries_pass(target: str) -> None:
    assert foreign_target(target) == ""


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "subprocess.run",
        "scripts.net.Net",
        "torch.hub.load",
        "monai.bundle.run",
        "builtins.exec",
        "exec",
        "open",
        "run_cmd",
        "download_and_extract",
        "remove",
        "@what",
        "$os.system",
        "%what",
        "monai.networks.nets.unet.warnings.warn",
        "monai.transforms.io.array.Path",
        "monai_bundles.pet.finder.np.save",
        "torch.load",
        "PersistentDataset",
        "SaveImage",
        "LoadImage",
    ],
)
def test_other_targets_are_named(target: str) -> None:
    assert target in foreign_target(target)


def test_an_import_by_another_name_is_judged_by_its_own() -> None:
    assert (
        foreign_entries({"imports": ["$import glob as g", "$from pathlib import Path as P"], "x": "$g.glob('*')"}) == []
    )
    assert foreign_entries({"imports": ["$import os as g"], "x": "$g.remove('x')"}) == [("x", "the name os.remove")]


def test_a_macro_of_the_same_configuration_is_judged_where_it_lands() -> None:
    harmless = {"a": {"_target_": "UNet", "spatial_dims": "$1 + 2"}, "b": "%a"}

    assert foreign_entries(harmless) == []
    assert [where for where, _ in foreign_entries({"a": "$eval('1')", "b": "%a"})] == ["a", "b"]


def test_every_name_on_the_list_of_monai_is_what_it_says() -> None:
    import importlib
    import json
    from pathlib import Path

    import monai_bundles.adding.allowed as module

    content = json.loads(Path(module.__file__).with_name("allowed_names.json").read_text(encoding="utf-8"))
    for home, lines in content["monai"].items():
        own = importlib.import_module(home)
        for name in " ".join(lines).split():
            found = getattr(own, name)
            assert found.__module__ == home
            packages = [".".join(home.split(".")[:n]) for n in range(2, home.count(".") + 1)]
            for package in map(importlib.import_module, packages):
                # A package either does not have the name or has this one under it.
                assert getattr(package, name, found) in (found, importlib.import_module(home)), (package, name)


def test_no_short_name_is_one_of_this_package() -> None:
    import ast
    from pathlib import Path

    import monai_bundles

    own: set[str] = set()
    for path in Path(monai_bundles.__file__).parent.rglob("*.py"):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        own |= {n.name for n in body if isinstance(n, ast.FunctionDef | ast.ClassDef)}

    # MONAI finds short names in every module whose name begins with its own.
    assert not own & allowed().short
