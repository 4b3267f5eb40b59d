"""Records the hashes of a bundle's weights in its `configs/radgate.json`: `python -m monai_bundles.seal BUNDLE_DIR`."""

import argparse
import json
import sys
from pathlib import Path

from imaging.errors import RadgateError
from monai_bundles.errors import MissingWeights
from monai_bundles.metadata import read_json
from monai_bundles.registry import file_sha256

__all__ = ["main", "seal"]

WEIGHTS_SUFFIXES = (".pt", ".pth", ".ts")


def seal(root: Path) -> dict[str, str]:
    """Hash every weights file in `models/` and write the hashes, which it returns by path, into `radgate.json`.

    Raises
    ------
    MissingWeights
        There is none.
    BadMetadata
        `radgate.json` cannot be read.
    """
    models = root / "models"
    found = sorted(p for p in models.rglob("*") if p.suffix in WEIGHTS_SUFFIXES) if models.is_dir() else []
    if not found:
        raise MissingWeights("The bundle has no weights in models/; put them there first.")
    hashes = {p.relative_to(root).as_posix(): file_sha256(p) for p in found}
    path = root / "configs" / "radgate.json"
    content = read_json(path)
    content["weights_sha256"] = hashes
    path.write_text(json.dumps(content, indent=4, ensure_ascii=False) + "\n", encoding="utf-8")
    return hashes


def main() -> int:
    """Seal the bundle named on the command line; exit code 1 and one sentence when it cannot be."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("bundle", type=Path, help="folder of the bundle")
    try:
        for path, value in seal(arguments.parse_args().bundle).items():
            sys.stdout.write(f"{value}  {path}\n")
    except RadgateError as error:
        sys.stderr.write(f"{error.message}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
