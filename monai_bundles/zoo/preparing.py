"""Makes a Model Zoo configuration fit to be built here: repairs, no loaders, no savers, no data, our device.

radgate hands the image over itself and takes the tensors before the savers, so that of a configuration only network,
preprocessing, inferer and postprocessing are built. The bundle's files stay as they are.
"""

import copy
import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monai_bundles.config import PartNames, part_names, targets, walk
from monai_bundles.repairs import repair_config

__all__ = ["Prepared", "prepare", "without_files"]

LOADERS = ("LoadImage", "EnsureChannelFirst")
OWN_LOADER = re.compile(r"scripts\.(\w+\.)*Load\w*d")
"""A loader in the bundle's own code: it puts channels in front, for what follows it takes images so."""

SAVERS = re.compile(r"(Save\w*|\w*Saver)d?$")
BOX_CONVERSIONS = frozenset({
    "AffineBoxToWorldCoordinated",
    "ConvertBoxModed",
    "ConvertBoxToStandardModed",
    "DeleteItemsd",
})
"""Radgate brings boxes to the patient itself, also on oblique grids; see `monai_bundles.zoo.boxes`."""

DISCRETE = frozenset({"AsDiscreted", "KeepLargestConnectedComponentd", "FillHolesd", "RemoveSmallObjectsd"})

MERGING = re.compile(r"Lambdad|\w*(merge|combine)\w*", re.IGNORECASE)
"""What makes one label map of channels behind the thresholds: a function, or a step of the bundle's own by its name."""

PREPARED = re.compile(r"raw|resampled|preprocessed", re.IGNORECASE)
"""In the name of a switch that says of the data set's files whether they have been resampled already."""

CUDA = re.compile(r"""torch\.device\(\s*(['"])cuda(:\d+)?\1[^()]*(\(\))?[^()]*\)|(['"])cuda(:\d+)?\4""")

UNUSED = ("dataset", "dataloader", "datalist", "handlers", "checkpointloader", "initialize", "run", "evaluating")


@dataclass(frozen=True)
class Prepared:
    """A configuration that can be built.

    Parameters
    ----------
    config
        For MONAI's parser.
    parts
        Ids of its parts.
    repairs
        Ids of the repairs that were needed.
    channel_first
        Whether preprocessing expects the loader to put the channel in front; else it takes what the file held.
    by_key
        Whether the transforms work on a dictionary.
    """

    config: dict[str, Any]
    parts: PartNames
    repairs: tuple[str, ...]
    channel_first: bool
    by_key: bool


def prepare(config: dict[str, Any], root: Path, device: str, *, keep_channels_apart: bool) -> Prepared:
    """The configuration as it is built here.

    Parameters
    ----------
    config
        As read from the bundle.
    root
        The bundle's folder.
    device
        Where tensors are to be.
    keep_channels_apart
        Leave out what merges overlapping channels into one label map.

    Raises
    ------
    UnknownNetwork
        It defines no network.
    """
    parts = part_names(config)
    config, repairs, channel_first, by_key = without_files(config)
    if _resample_raw_images(config):
        repairs.append("spacing-of-raw-images")
    if _invert_discrete_by_nearest(config):
        repairs.append("nearest-inverse-of-labels")
    _own_components(config)  # no repair that a reader must know of: it keeps the same voxels
    if keep_channels_apart and _without_merging(config):
        repairs.append("overlapping-channels-kept-apart")
    config["bundle_root"] = str(root)
    config["device"] = f"$torch.device('{device}')"
    if _use_device(config, device):
        repairs.append("own-device")
    return Prepared(config, parts, tuple(repairs), channel_first, by_key)


def without_files(config: dict[str, Any]) -> tuple[dict[str, Any], list[str], bool, bool]:
    """A copy of a configuration, repaired, without the steps that read or write files: they are never built here.

    Beside it the ids of the repairs, and of the loaders whether they put the channel in front and worked by key.
    """
    config = copy.deepcopy(config)
    repairs = list(repair_config(config))
    channel_first, by_key = _without_loaders(config)
    _without_savers(config)
    return config, repairs, channel_first, by_key


def _without_loaders(config: dict[str, Any]) -> tuple[bool, bool]:
    """Turn what reads files into nothing; whether it put the channel in front, and whether it worked by key."""
    channel_first, by_key = False, True
    for _, entry in targets(config):
        name = entry["_target_"].rpartition(".")[2]
        own = OWN_LOADER.fullmatch(entry["_target_"]) is not None
        if not name.startswith(LOADERS) and not own:
            continue
        dictionary = name.endswith(("d", "D", "Dict"))
        by_key = by_key and dictionary
        channel_first |= own or name.startswith("EnsureChannelFirst") or bool(entry.get("ensure_channel_first"))
        keys = entry.get("keys")
        entry.clear()
        entry["_target_"] = "Identityd" if dictionary else "Identity"
        if dictionary:
            entry |= {"keys": keys or "image", "allow_missing_keys": True}
    return channel_first, by_key


def _without_savers(config: dict[str, Any]) -> None:
    """Turn what writes files into nothing, and leave boxes in the image's own voxels."""
    for _, entry in targets(config):
        name = entry["_target_"].rpartition(".")[2]
        if SAVERS.fullmatch(name) or name in BOX_CONVERSIONS:
            entry.clear()
            entry |= {"_target_": "Identityd", "keys": "pred", "allow_missing_keys": True}


def _resample_raw_images(config: dict[str, Any]) -> bool:
    """Bring images to the network's spacing also where a switch says that the files were; a hospital's never are."""
    done = False
    for _, entry in targets(config):
        switch = entry.get("_disabled_")
        if (
            entry["_target_"].rpartition(".")[2] in {"Spacingd", "Spacing"}
            and isinstance(switch, str)
            and PREPARED.search(switch)
        ):
            del entry["_disabled_"]
            done = True
    return done


def _post_lists(config: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """The lists of transforms that stand behind a network: those with an activation, a discretisation or an inverse."""
    found = []
    lists = [value for _, _, value in walk(config) if isinstance(value, list)]
    for value in lists:
        entries = [e for e in value if isinstance(e, dict) and isinstance(e.get("_target_"), str)]
        names = {e["_target_"].rpartition(".")[2] for e in entries}
        if names & {"Invertd", "AsDiscreted", "Activationsd"}:
            found.append(entries)
    return found


def _invert_discrete_by_nearest(config: dict[str, Any]) -> bool:
    """Labels are brought back by nearest neighbour: linear interpolation would make labels that are none."""
    done = False
    for entries in _post_lists(config):
        discrete = False
        for entry in entries:
            name = entry["_target_"].rpartition(".")[2]
            discrete |= name in DISCRETE
            if name == "Invertd" and discrete and entry.get("nearest_interp") is not True:
                entry["nearest_interp"] = True
                done = True
    return done


def _own_components(config: dict[str, Any]) -> None:
    """Use this package's search for components where MONAI's library for it is not installed."""
    if importlib.util.find_spec("skimage") is not None:
        return
    found = [e for _, e in targets(config) if e["_target_"].rpartition(".")[2] == "KeepLargestConnectedComponentd"]
    for entry in found:
        entry["_target_"] = "monai_bundles.zoo.components.KeepLargest"


def _without_merging(config: dict[str, Any]) -> bool:
    """Leave out what follows the thresholds and merges channels into one map."""
    done = False
    for entries in _post_lists(config):
        thresholded = False
        for entry in entries:
            name = entry["_target_"].rpartition(".")[2]
            thresholded |= name == "AsDiscreted" and "threshold" in entry
            if thresholded and MERGING.fullmatch(name):
                keys = entry.get("keys", "pred")
                entry.clear()
                entry |= {"_target_": "Identityd", "keys": keys}
                done = True
    return done


def _use_device(config: dict[str, Any], device: str) -> bool:
    """Put our device where a GPU is written into the configuration."""
    done = False
    for where, key, value in list(walk(config)):
        if not isinstance(value, str) or "cuda" not in value or where == "device":
            continue
        replaced = f"{device}" if re.fullmatch(r"cuda(:\d+)?", value) else CUDA.sub(f"torch.device('{device}')", value)
        if replaced != value:
            _set(config, where, key, replaced)
            done = True
    return done


def _set(config: Any, where: str, key: str, value: str) -> None:
    """Set the entry with an id."""
    holder = config
    for part in where.split("::")[:-1]:
        holder = holder[int(part)] if isinstance(holder, list) else holder[part]
    holder[int(key) if isinstance(holder, list) else key] = value
