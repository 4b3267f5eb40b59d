"""Finds bundles in folders, reads what they declare, and checks that their files are what was recorded."""

import hashlib
import json
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from imaging.provenance import Algorithm, digest
from monai_bundles.adding.concerns import require_accepted
from monai_bundles.adding.judging import foreign_target
from monai_bundles.adding.record import Record, read_record
from monai_bundles.bundle import Bundle
from monai_bundles.config import read_inference
from monai_bundles.contents import files_of, licence_of, refuse_links_outside
from monai_bundles.errors import (
    BadMetadata,
    BundleError,
    MissingBundleFolder,
    MissingWeights,
    UnknownBundle,
    UnknownNetwork,
    UnreadableBundle,
    WrongHash,
)
from monai_bundles.gates import gates_of
from monai_bundles.metadata import (
    absent_within_px_of,
    accepted_range,
    empty_windows_of,
    inputs_of,
    instances_of,
    left_out_of,
    output_of,
    read_metadata,
    read_radgate,
    structures_of,
)
from monai_bundles.radgate_schema import require_agreement

__all__ = ["RefusedBundle", "Survey", "discover", "file_sha256", "find", "load_bundle", "survey", "verify"]

log = logging.getLogger(__name__)

SHIPPED = Path(__file__).parent / "bundles"
OWN_CODE = {"monai_bundles.body.": "body", "monai_bundles.pet.": "pet"}
"""Only code of this package runs as a segmenter, never what a bundle's folder names. It is part of the digest."""

NETWORK_ENTRIES = ("network_def", "network", "net", "model", "detector", "evaluator")


@dataclass(frozen=True)
class RefusedBundle:
    """A folder that is meant as a bundle and cannot be one, and why."""

    name: str
    error: BundleError


@dataclass(frozen=True)
class Survey:
    """Everything found in the bundle folders: what can be used and what was refused."""

    bundles: tuple[Bundle, ...]
    refused: tuple[RefusedBundle, ...]


def survey(*folders: Path) -> Survey:
    """The shipped bundles and those in `folders` (each a folder of bundles), sorted by name, with those refused.

    A site's bundle of the same name replaces the shipped one.

    Raises
    ------
    MissingBundleFolder
        One of `folders` is no folder, or cannot be listed.
    """
    bundles: dict[str, Bundle] = {}
    refused = []
    for folder in (SHIPPED, *folders):
        for root in _bundle_roots(folder):
            try:
                bundles[root.name] = _never_added(root)
            except BundleError as error:
                log.warning("bundle refused code=%s", error.code)
                refused.append(RefusedBundle(root.name, error))
        try:
            record = read_record(folder)
        except BundleError as error:
            refused.append(RefusedBundle(folder.name, error))
            continue
        for name in record.bundles:
            try:
                bundles[name] = _from_library(folder, record, name)
            except BundleError as error:
                log.warning("bundle refused code=%s", error.code)
                refused.append(RefusedBundle(name, error))
    return Survey(tuple(bundles[name] for name in sorted(bundles)), tuple(refused))


def _bundle_roots(folder: Path) -> list[Path]:
    """The folders in `folder` that are meant as bundles, sorted by name.

    Raises
    ------
    MissingBundleFolder
        It is no folder, or cannot be listed.
    """
    try:
        return sorted(p for p in folder.iterdir() if "@" not in p.name and (p / "configs").is_dir())
    except OSError as error:
        raise MissingBundleFolder(
            f"The bundle folder {folder.name!r} cannot be listed ({error.strerror}); correct its path or make it.",
            folder=folder.name,
        ) from None


def _never_added(root: Path) -> Bundle:
    """A bundle that lies in a folder, if it could not run foreign code; those that are shipped are no exception.

    Raises
    ------
    CodeNotTrusted
        It could, and nobody has accepted that.
    BundleError
        See `load_bundle`.
    """
    bundle = load_bundle(root)
    require_accepted(bundle)
    return bundle


def _from_library(library: Path, record: Record, name: str) -> Bundle:
    """The version of a bundle that runs, with the one in its shadow; a shadow that is broken stops nothing."""
    entry = record.entry(name)
    bundle = load_version(library, record, name, entry.active)
    if not entry.shadow:
        return bundle
    try:
        return replace(bundle, shadow=load_version(library, record, name, entry.shadow))
    except BundleError as error:
        log.warning("shadow refused code=%s", error.code)
        return replace(bundle, broken_shadow=(entry.shadow, error.message))


def load_version(library: Path, record: Record, name: str, version: str) -> Bundle:
    """One version of a library's bundle, if its files are still those that were added.

    Raises
    ------
    WrongHash
        They are others.
    CodeNotTrusted
        It could run foreign code, and was added without accepting that.
    BundleError
        See `load_bundle`.
    """
    added = record.entry(name).versions[version]
    bundle = load_bundle(library / f"{name}@{version}")
    if bundle.algorithm.bundle_digest != added.digest:
        raise WrongHash(
            f"The files of bundle {name} {version} are not those that were added; add it again, or roll back.",
            expected=added.digest,
            got=bundle.algorithm.bundle_digest,
        )
    bundle = replace(bundle, trusted=added.trusted)
    require_accepted(bundle)
    return bundle


def discover(*folders: Path) -> tuple[Bundle, ...]:
    """The usable bundles among the shipped ones and those in `folders`; `survey` also tells the refused ones."""
    return survey(*folders).bundles


def find(name: str, *folders: Path) -> Bundle:
    """The bundle of this name.

    Raises
    ------
    BundleError
        The one for which it was refused.
    UnknownBundle
        There is none.
    """
    found = survey(*folders)
    for bundle in found.bundles:
        if bundle.name == name:
            return bundle
    for refused in found.refused:
        if refused.name == name:
            raise refused.error
    known = ", ".join(b.name for b in found.bundles)
    raise UnknownBundle(f"There is no bundle {name!r}; known are {known}.", name=name)


def load_bundle(root: Path) -> Bundle:
    """What the bundle in folder `root` declares. Its weights are hashed for the digest but not judged: see `verify`.

    Raises
    ------
    BadMetadata
        A file in `configs/` or the licence is missing or wrong, or a link leads out of the folder.
    UnlabelledOutput
        An output has no meaning.
    UnknownNetwork
        The configuration names no network, or a segmenter from elsewhere.
    UnreadableBundle
        One of its files cannot be read.
    """
    try:
        return _loaded(root)
    except OSError as error:
        raise UnreadableBundle(
            f"The files of bundle {root.name} cannot be read ({error.strerror}); correct that and try again.",
            kind=type(error).__name__,
        ) from error


def _loaded(root: Path) -> Bundle:
    """See `load_bundle`.

    Raises
    ------
    BadMetadata
        Its weights lie elsewhere.
    """
    refuse_links_outside(root)
    metadata = read_metadata(root)
    radgate = read_radgate(root)
    inference = read_inference(root)
    if licence_of(root) is None:
        raise BadMetadata(
            "The bundle has no LICENSE, so nobody knows whether it may be used; add the text of its licence."
        )
    weights = dict(radgate["weights_sha256"])
    escaping = [path for path in weights if not (root / path).resolve().is_relative_to(root.resolve())]
    if escaping:
        raise BadMetadata("A weights file in configs/radgate.json lies outside the bundle; move it inside.")
    gates, left_out = gates_of(radgate), left_out_of(radgate)
    needs_network = _needs_network(inference)
    require_agreement(radgate, needs_network=needs_network)
    hashes = {str(p.relative_to(root)): file_sha256(p) for p in files_of(root)}
    if not needs_network:
        hashes |= {f"code/{p.name}": file_sha256(p) for p in _own_code(inference)}
    name = root.name.partition("@")[0]
    return Bundle(
        name=name,
        version=metadata["version"],
        root=root,
        algorithm=Algorithm(
            name=name,
            version=metadata["version"],
            weights_sha256=tuple(sorted(v for path, v in weights.items() if v and path not in left_out)),
            bundle_digest=digest(hashes),
            manufacturer=str(metadata["authors"]),
            deterministic=not needs_network,
            intended_use=dict(radgate["intended_use"]),
        ),
        accepts=accepted_range(radgate),
        structures=structures_of(radgate, metadata),
        required_checks=tuple(gate.check for gate in gates),
        gates=gates,
        licence=radgate["licence"],
        needs_network=needs_network,
        weights_sha256=weights,
        postprocessing=dict(radgate.get("postprocessing", {})),
        title=dict(radgate["title"]),
        output=output_of(radgate),
        inputs=inputs_of(radgate),
        left_out=left_out,
        empty_windows=empty_windows_of(radgate),
        absent_within_px=absent_within_px_of(radgate),
        instances=instances_of(radgate),
    )


def verify(bundle: Bundle, *, build: bool = False) -> None:
    """Check that the weights are those recorded; if asked, also that the configured network exists and takes them.

    Parameters
    ----------
    bundle
        A bundle from `discover`.
    build
        Also build the network with its weights. This loads torch and MONAI into this process (seconds, and half a
        gigabyte), so a service leaves it to its worker.

    Raises
    ------
    MissingWeights
        A weights file is absent or was never sealed.
    WrongHash
        A weights file is another than the recorded one.
    UnknownNetwork
        The configuration names no network or segmenter that exists here.
    WeightsDoNotFit
        The weights belong to another network.
    NetworkSupportMissing
        torch or MONAI is not installed.
    """
    check_weights(bundle)
    if bundle.needs_network and build:
        if bundle.output == "structures":
            from monai_bundles.network import load_network

            load_network(bundle, "cpu")
        else:
            from monai_bundles.zoo import check_workflow

            check_workflow(bundle)
    elif not bundle.needs_network:
        from monai_bundles.segmenter import load_segmenter

        load_segmenter(bundle)


def check_weights(bundle: Bundle) -> None:
    """Compare each weights file with its recorded hash.

    Raises
    ------
    MissingWeights
        A weights file is absent, was never sealed, or a network has none.
    WrongHash
        A weights file is another than the recorded one.
    """
    if bundle.needs_network and not bundle.weights_sha256:
        raise MissingWeights(f"Bundle {bundle.name} has a network but lists no weights; run monai_bundles.seal on it.")
    for path, expected in bundle.weights_sha256.items():
        file = bundle.root / path
        if not file.is_file():
            raise MissingWeights(
                f"Bundle {bundle.name} has no weights at {path}; restore the file from the bundle's source.", file=path
            )
        if not expected:
            raise MissingWeights(
                f"The weights {path} of bundle {bundle.name} are not sealed; run monai_bundles.seal on it."
            )
        got = file_sha256(file)
        if got != expected:
            raise WrongHash(
                f"The weights {path} of bundle {bundle.name} are not the recorded ones; restore them, or seal the "
                "bundle again if the change was meant.",
                file=path,
                expected=expected,
                got=got,
            )


def file_sha256(path: Path) -> str:
    """sha256 (hex) of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _needs_network(inference: dict[str, Any]) -> bool:
    """Whether the configuration defines a network; otherwise it must name a segmenter of this package.

    Raises
    ------
    UnknownNetwork
        It names neither, or a segmenter from elsewhere.
    """
    if any(isinstance(inference.get(entry), dict | str) for entry in NETWORK_ENTRIES):
        return True
    target = inference.get("segmenter", {}).get("_target_", "") if isinstance(inference.get("segmenter"), dict) else ""
    if not str(target).startswith(tuple(OWN_CODE)) or foreign_target(target):
        raise UnknownNetwork(
            "configs/inference.json defines no network and no segmenter of this package; add `network_def`.",
            target=json.dumps(target),
        )
    return False


def _own_code(inference: dict[str, Any]) -> list[Path]:
    """The modules of this package that a bundle without a network runs."""
    target = str(inference["segmenter"]["_target_"])
    folder = next(name for prefix, name in OWN_CODE.items() if target.startswith(prefix))
    return sorted((Path(__file__).parent / folder).glob("*.py"))
