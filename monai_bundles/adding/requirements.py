"""The Python packages that a bundle's run needs and that are not installed; nothing is ever installed here."""

import ast
import importlib.util
import re
from pathlib import Path
from typing import Any

from monai_bundles.config import targets, walk
from monai_bundles.errors import MissingPackages

__all__ = ["missing_packages", "require_packages"]

NOT_NEEDED = frozenset({"ignite", "glob", "pandas"})
"""Radgate drives the parts itself and gives the data: handlers and lists of files are not used."""

TARGET_NEEDS = {
    "TorchVisionFCModel": "torchvision",
    "CuCIM": "cucim",
    "CellSamWrapper": "segment_anything",
    **dict.fromkeys(("SwinUNETR", "UNETR", "ViT", "ViTAutoEnc", "MILModel", "VISTA3D"), "einops"),
}
"""What networks and readers of MONAI need beside MONAI itself."""

WITH_SKIMAGE = re.compile(
    r"(HoVerNetInstanceMap\w*|(Generate)?Watershed\w*|GenerateInstance\w*|RemoveSmallObjects)(d|D|Dict)?"
)
"""Steps of MONAI that call scikit-image; its search for components is replaced, see `monai_bundles.zoo.components`."""

TORCHVISION_NAMES = ("torchvision.", "TorchVisionFCModel")


def missing_packages(root: Path, config: dict[str, Any], *, with_code: bool) -> tuple[str, ...]:
    """Names of packages that the configuration, or the bundle's own code where it is trusted, imports in vain."""
    wanted: set[str] = set()
    for _, entry in targets(config):
        name = entry["_target_"]
        short = name.rpartition(".")[2]
        wanted.add("skimage" if WITH_SKIMAGE.fullmatch(short) else TARGET_NEEDS.get(short, ""))
        if name.startswith("torchvision."):
            wanted.add("torchvision")
    for _, _, value in walk(config):
        if isinstance(value, str) and value.startswith("$") and any(name in value for name in TORCHVISION_NAMES):
            wanted.add("torchvision")
    if with_code:
        wanted |= _imports_of_code(root, config)
    own = {p.relative_to(root).parts[0].removesuffix(".py") for p in root.rglob("*.py")}
    return tuple(sorted(n for n in wanted - own - NOT_NEEDED if n and importlib.util.find_spec(n) is None))


def require_packages(root: Path, config: dict[str, Any], *, with_code: bool) -> None:
    """Refuse a bundle whose packages are not here.

    Raises
    ------
    MissingPackages
        Some are missing; the sentence names them.
    """
    missing = missing_packages(root, config, with_code=with_code)
    if missing:
        raise MissingPackages(
            f"The bundle needs {', '.join(missing)}, which radgate does not install by itself; install what you accept "
            "and add the bundle again.",
            missing=list(missing),
        )


def _imports_of_code(root: Path, config: dict[str, Any]) -> set[str]:
    """Top-level imports of the modules of the bundle that its inference configuration leads to."""
    texts = " ".join(v for _, _, v in walk(config) if isinstance(v, str))
    names: set[str] = set()
    for path in sorted(root.rglob("*.py")):
        dotted = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
        if dotted not in texts and path.name != "__init__.py":
            continue
        try:
            tree = ast.parse(path.read_text(encoding="utf-8", errors="replace"))
        except (SyntaxError, ValueError):
            continue
        for node in tree.body:
            if isinstance(node, ast.Import):
                names |= {a.name.partition(".")[0] for a in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.partition(".")[0])
    return names
